-- Rule 7: rows of earlier slices whose parent is in this one.
UPDATE BlobDeltaAbsentParent SET RunId = @RunId
WHERE TableName = @TableName AND Scope = @Scope AND RunId IS NULL AND stream_id IN (
    SELECT a.stream_id
    FROM BlobDeltaAbsentParent AS a
    CROSS JOIN {SourceTable} AS c ON c.{KeyColumn} = a.stream_id
    CROSS JOIN {SourceTable} AS p ON p.{PathColumn} = c.{ParentPathColumn}
    CROSS JOIN {TargetTable} AS t ON t.{KeyColumn} = p.{KeyColumn}
    WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.RunId IS NULL
);
