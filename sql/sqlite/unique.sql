-- name: unique_indexes
-- Unique indexes of a table (?1, in ?2), a line a column, with whether the index is partial; a NULL for an expression.
SELECT l.name, i.name, l.partial
FROM pragma_index_list(?1, ?2) AS l, pragma_index_info(l.name, ?2) AS i
WHERE l."unique"
ORDER BY l.name, i.seqno;
