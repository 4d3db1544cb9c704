-- name: has_rowid
SELECT coalesce(max(type = 'table' AND NOT wr), 0) FROM pragma_table_list(?1)
WHERE schema = ?2 COLLATE NOCASE

-- name: index_columns
-- The columns that the indexes of a table (?1, in ?2) are over, a line each: the index, whether it is partial, the number
-- of the column (-2 for an expression) and its name.
SELECT l.name, l.partial, i.cid, i.name
FROM pragma_index_list(?1, ?2) AS l, pragma_index_xinfo(l.name, ?2) AS i
WHERE i.key;
