-- Rules 7 and 17: ancestors out of this scope that its receivers need and no window of it brings: each comes once, and what
-- lies above it with it. Needed is what stands in the source above a row that is in scope, or that was handed out and is not in
-- "#Left" to leave.
INSERT INTO BlobDeltaMissingParentsQueue (RunId, TableName, stream_id, BusinessUnit, Processed, CreatedAt)
WITH
Candidate (stream_id, IsNew) AS (
    -- Renamed or moved: stamped in this window, in whatever scope.
    SELECT k.stream_id, 0
    FROM BlobDeltaShippedKey AS k
    WHERE k.TableName = @TableName AND k.Scope = @Scope AND NOT k.IsWhole
        AND EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = k.stream_id
                AND m.{MetadataModifiedOnCol} >= @WindowStart AND m.{MetadataModifiedOnCol} < @WindowEnd
        )
    UNION ALL
    -- Took the place of another folder above rows that stand: stamped in this window, and never handed out. What the first run
    -- of a scope brings has all that lies above it.
    SELECT m.{MetadataIdColumn}, 1
    FROM {MetadataTable} AS m
    WHERE m.{MetadataModifiedOnCol} >= @WindowStart AND m.{MetadataModifiedOnCol} < @WindowEnd
        AND NOT EXISTS (
            SELECT 1 FROM BlobDeltaShippedKey AS k
            WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = m.{MetadataIdColumn}
        )
        AND EXISTS (
            SELECT 1 FROM BlobDeltaRunTable AS r
            WHERE r.TableName = @TableName AND r.Scope = @Scope AND r.Status = 'Completed'
        )
    UNION ALL
    -- Told to be deleted, by this slice or by an earlier one that nothing has passed yet.
    SELECT d.stream_id, 0
    FROM {SliceSchema}.BlobDeltaDeletion AS d
    WHERE d.TableName = @TableName AND d.Reason = 'Deleted'
    UNION ALL
    SELECT d.stream_id, 0
    FROM BlobDeltaToldDeletion AS d
    WHERE d.TableName = @TableName AND d.Scope = @Scope AND d.IsDeletion AND d.PassedByRunId IS NULL
    UNION ALL
    -- Asked for by name.
    SELECT p.stream_id, 0
    FROM BlobDeltaPendingKey AS p
    WHERE p.TableName = @TableName AND p.Scope = @Scope
    UNION ALL
    -- Came without the key of their parents, which are there now.
    SELECT a.stream_id, 0
    FROM BlobDeltaAbsentParent AS a
    CROSS JOIN {SourceTable} AS c ON c.{KeyColumn} = a.stream_id
    CROSS JOIN {SourceTable} AS p ON p.{PathColumn} = c.{ParentPathColumn}
    WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.RunId IS NULL AND a.ParentKey IS NULL
),
Needed (stream_id) AS (
    SELECT n.stream_id
    FROM Candidate AS n
    CROSS JOIN {SourceTable} AS p ON p.{KeyColumn} = n.stream_id
    WHERE NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = n.stream_id AND {InScope})
        AND EXISTS (
            SELECT 1 FROM {SourceTable} AS c
            WHERE c.{ParentPathColumn} = p.{PathColumn} AND (
                EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = c.{KeyColumn} AND {InScope})
                OR (
                    EXISTS (
                        SELECT 1 FROM BlobDeltaShippedKey AS h
                        WHERE h.TableName = @TableName AND h.Scope = @Scope AND h.stream_id = c.{KeyColumn}
                    )
                    AND c.{KeyColumn} NOT IN (SELECT l.stream_id FROM "#Left" AS l WHERE NOT l.Stays)
                )
                -- It holds what lies above the rows below it.
                OR (NOT n.IsNew AND (c.{KeyColumn} IS @ExcludedStreamId OR EXISTS (
                    SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = c.{KeyColumn}
                )))
            )
        )
    UNION ALL
    -- Not there, or excluded, when the rows below them came. One that is in scope by now may lie in no window.
    SELECT p.{KeyColumn}
    FROM BlobDeltaAbsentParent AS a
    CROSS JOIN {SourceTable} AS c ON c.{KeyColumn} = a.stream_id
    CROSS JOIN {SourceTable} AS p ON p.{PathColumn} = c.{ParentPathColumn}
    WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.RunId IS NULL
)
SELECT
    @RunId,
    @TableName,
    n.stream_id,
    (SELECT max({BusinessUnit}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = n.stream_id),
    0,
    @Now
FROM Needed AS n
WHERE n.stream_id IS NOT @ExcludedStreamId
    AND n.stream_id NOT IN (SELECT e.stream_id FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName)
    AND n.stream_id NOT IN (
        SELECT q.stream_id FROM BlobDeltaWindowQueue AS q WHERE q.RunId = @RunId AND q.TableName = @TableName
    )
GROUP BY n.stream_id
ON CONFLICT (RunId, TableName, stream_id) DO NOTHING;
