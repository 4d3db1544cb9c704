-- Unique indexes of a table (@P1, quoted) that hold for all of its rows, a line a column.
SELECT CONVERT(nvarchar(128), i.name), CONVERT(nvarchar(128), c.name)
FROM sys.indexes AS i
INNER JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
INNER JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.is_unique = 1 AND i.has_filter = 0 AND i.is_disabled = 0 AND k.is_included_column = 0
  AND i.object_id = OBJECT_ID(@P1)
ORDER BY i.index_id, k.index_column_id;
