-- name: obstacles
-- What of a table (@P1: its schema and name, quoted) may keep rows of a replay out, a row each. The columns mean, by
-- Kind: generated, identity, needed: a column. child: a foreign key that leads from the table, the table at its
-- other end, its column. parent: one that leads to it, and whether it keeps rows (A) and values (B). trigger: its
-- text, whether it is on DELETE (A) or INSTEAD OF (B).
SELECT CASE WHEN c.generated_always_type <> 0 THEN N'generated' WHEN c.is_identity = 1 THEN N'identity' ELSE N'needed' END AS Kind,
    CONVERT(nvarchar(128), c.name) AS Name, CONVERT(nvarchar(300), NULL) AS Other, CONVERT(nvarchar(128), c.name) AS ColumnName,
    0 AS A, 0 AS B, CONVERT(nvarchar(max), NULL) AS Text
FROM sys.columns AS c
WHERE c.object_id = OBJECT_ID(@P1)
  AND (
    c.generated_always_type <> 0
    OR c.is_identity = 1
    -- 189 is rowversion.
    OR (c.is_nullable = 0 AND c.default_object_id = 0 AND c.is_computed = 0 AND c.system_type_id <> 189)
  )
UNION ALL
SELECT N'child', CONVERT(nvarchar(128), f.name), CONVERT(nvarchar(300), CONCAT(OBJECT_SCHEMA_NAME(f.referenced_object_id), N'.', OBJECT_NAME(f.referenced_object_id))),
    CONVERT(nvarchar(128), c.name), 0, 0, NULL
FROM sys.foreign_keys AS f
INNER JOIN sys.foreign_key_columns AS k ON k.constraint_object_id = f.object_id
INNER JOIN sys.columns AS c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id
WHERE f.parent_object_id = OBJECT_ID(@P1) AND f.is_disabled = 0
UNION ALL
SELECT N'parent', CONVERT(nvarchar(128), f.name), CONVERT(nvarchar(300), CONCAT(OBJECT_SCHEMA_NAME(f.parent_object_id), N'.', OBJECT_NAME(f.parent_object_id))),
    CONVERT(nvarchar(128), c.name),
    CASE WHEN f.delete_referential_action = 0 THEN 1 ELSE 0 END, CASE WHEN f.update_referential_action = 0 THEN 1 ELSE 0 END, NULL
FROM sys.foreign_keys AS f
INNER JOIN sys.foreign_key_columns AS k ON k.constraint_object_id = f.object_id
INNER JOIN sys.columns AS c ON c.object_id = k.referenced_object_id AND c.column_id = k.referenced_column_id
WHERE f.referenced_object_id = OBJECT_ID(@P1) AND f.is_disabled = 0
UNION ALL
SELECT N'trigger', CONVERT(nvarchar(128), t.name), NULL, NULL,
    CASE WHEN e.type = 3 THEN 1 ELSE 0 END, CASE WHEN t.is_instead_of_trigger = 1 THEN 1 ELSE 0 END,
    (SELECT m.definition FROM sys.sql_modules AS m WHERE m.object_id = t.object_id)
FROM sys.triggers AS t
INNER JOIN sys.trigger_events AS e ON e.object_id = t.object_id
WHERE t.parent_id = OBJECT_ID(@P1) AND t.is_disabled = 0;
