-- name: needed
-- Columns that a row cannot do without. One that is the rowid counts by itself.
SELECT name FROM pragma_table_xinfo(?1, ?2)
WHERE "notnull" AND dflt_value IS NULL AND hidden = 0 AND NOT (pk = 1 AND upper(type) = 'INTEGER')

-- name: foreign_keys
-- The foreign keys of a table (?1, in ?2), a line a column: those that lead from it (1), and those that lead to it.
SELECT 'to ' || k."table", k."table", k."from", 1 AS IsChild, k.on_delete, k.on_update
FROM pragma_foreign_key_list(?1, ?2) AS k
UNION ALL
SELECT 'of ' || t.name, t.name, k."to", 0, k.on_delete, k.on_update
FROM {Schema}.sqlite_master AS t, pragma_foreign_key_list(t.name, ?2) AS k
WHERE t.type = 'table' AND k."table" = ?1 COLLATE NOCASE;
