-- name: unique_indexes
-- Unique indexes of a table (?1, in ?2), a line a column, with whether the index is partial; a NULL for an expression.
SELECT l.name, i.name, l.partial
FROM pragma_index_list(?1, ?2) AS l, pragma_index_info(l.name, ?2) AS i
WHERE l."unique"
ORDER BY l.name, i.seqno;

-- name: is_primary_key
-- Whether the column ?3 alone is the primary key of the table ?1 in ?2.
SELECT count(*) = 1 AND coalesce(max(name = ?3 COLLATE NOCASE), 0) FROM pragma_table_xinfo(?1, ?2) WHERE pk > 0;
