-- name: needed_ancestors
-- Rules 7 and 17: ancestors out of this scope, or deleted by DeletedWhen, that its receivers need and no window of it brings:
-- each comes once, and what lies above it with it. Needed is what stands in the source above a row that is in scope, or that was handed out and is not in
-- "#Left" to leave. A row that is deleted by DeletedWhen needs nothing above it, unless one below it does.
INSERT INTO BlobDeltaMissingParentsQueue (RunId, TableName, stream_id, BusinessUnit, Processed, CreatedAt)
WITH
Candidate (stream_id, IsNew) AS (
    -- Renamed or moved: stamped in this window, in whatever scope.
    SELECT k.stream_id, 0
    FROM BlobDeltaShippedKey AS k
    WHERE k.TableName = @TableName AND k.Scope = @Scope AND NOT k.IsWhole
        AND EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey}
                AND {InWindow}
        )
    UNION ALL
    -- Took the place of another folder above rows that stand: stamped in this window, and never handed out. What the first run
    -- of a scope brings has all that lies above it.
    SELECT {ToId(}m.{MetadataIdColumn}{)ToId}, 1
    FROM {MetadataTable} AS m
    WHERE {InWindow}
        AND NOT EXISTS (
            SELECT 1 FROM BlobDeltaShippedKey AS k
            WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = {ToId(}m.{MetadataIdColumn}{)ToId}
        )
        AND EXISTS (
            SELECT 1 FROM BlobDeltaRunTable AS r
            WHERE r.TableName = @TableName AND r.Scope = @Scope AND r.Status = 'Completed'
        )
    UNION ALL
    -- Reported as deleted, by this slice or by an earlier one that nothing has passed yet.
    SELECT d.stream_id, 0
    FROM {SliceSchema}.BlobDeltaDeletion AS d
    WHERE d.TableName = @TableName AND d.Reason = 'Deleted'
    UNION ALL
    SELECT d.stream_id, 0
    FROM BlobDeltaReportedDeletion AS d
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
    CROSS JOIN {SourceTable} AS c ON c.{KeyColumn} = {ToKey(}a.stream_id{)ToKey}
    CROSS JOIN {SourceTable} AS p ON p.{PathColumn} = c.{ParentPathColumn}
    WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.RunId IS NULL AND a.ParentKey IS NULL
),
Needed (stream_id) AS (
    SELECT n.stream_id
    FROM Candidate AS n
    CROSS JOIN {SourceTable} AS p ON p.{KeyColumn} = {ToKey(}n.stream_id{)ToKey}
    WHERE NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}n.stream_id{)ToKey} AND {InScope})
        AND EXISTS (
            SELECT 1 FROM {SourceTable} AS c
            WHERE c.{ParentPathColumn} = p.{PathColumn} AND (
                EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = c.{KeyColumn} AND {InScope})
                OR (
                    EXISTS (
                        SELECT 1 FROM BlobDeltaShippedKey AS h
                        WHERE h.TableName = @TableName AND h.Scope = @Scope AND h.stream_id = {ToId(}c.{KeyColumn}{)ToId}
                    )
                    AND {ToId(}c.{KeyColumn}{)ToId} NOT IN (SELECT l.stream_id FROM "#Left" AS l WHERE NOT l.Stays)
                    AND NOT EXISTS (
                        SELECT 1 FROM {MetadataTable} AS m
                        WHERE m.{MetadataIdColumn} = c.{KeyColumn} AND {InScopeOrDeleted} AND {IsDeleted}
                    )
                )
                -- It holds what lies above the rows below it.
                OR (NOT n.IsNew AND ({ToId(}c.{KeyColumn}{)ToId} IS @ExcludedStreamId OR EXISTS (
                    SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = {ToId(}c.{KeyColumn}{)ToId}
                )))
            )
        )
    UNION ALL
    -- Not there, or excluded, when the rows below them came. One that is in scope by now may lie in no window. A row below that
    -- is another scope's by now asks for nothing: what it lies in may never have been above a row of this scope.
    SELECT {ToId(}p.{KeyColumn}{)ToId}
    FROM BlobDeltaAbsentParent AS a
    CROSS JOIN {SourceTable} AS c ON c.{KeyColumn} = {ToKey(}a.stream_id{)ToKey}
    CROSS JOIN {SourceTable} AS p ON p.{PathColumn} = c.{ParentPathColumn}
    WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.RunId IS NULL AND (
        EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = c.{KeyColumn} AND {InScope})
        OR (
            EXISTS (
                SELECT 1 FROM BlobDeltaShippedKey AS h
                WHERE h.TableName = @TableName AND h.Scope = @Scope AND h.stream_id = a.stream_id
            )
            AND a.stream_id NOT IN (SELECT l.stream_id FROM "#Left" AS l WHERE NOT l.Stays)
        )
        -- What all units were handed whole is not kept: without metadata it is nobody else's.
        OR (
            @BusinessUnitId IS NULL
            AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = c.{KeyColumn})
        )
    )
)
SELECT
    @RunId,
    @TableName,
    n.stream_id,
    (SELECT max({BusinessUnit}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}n.stream_id{)ToKey}),
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

-- name: left_behind
-- Rules 7 and 17: what left a scope and stays for what lies below it comes once more, as an ancestor of
-- another unit comes.
INSERT OR IGNORE INTO BlobDeltaMissingParentsQueue (RunId, TableName, stream_id, BusinessUnit, Processed, CreatedAt)
SELECT @RunId, @TableName, l.stream_id, NULL, 0, @Now
FROM "#Left" AS l
WHERE l.Stays AND l.IsWhole AND l.IsPassed AND l.stream_id IS NOT @ExcludedStreamId
    AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}l.stream_id{)ToKey} AND {InScope})
    AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = l.stream_id
    );

-- name: absent_settled
-- Rule 7, before the queue is filled: of the rows whose parents were absent, those are settled whose parents came in a slice
-- that is not given up any more, that are gone from the source, or that this unit was handed no more.
DELETE FROM BlobDeltaAbsentParent
WHERE TableName = @TableName AND Scope = @Scope AND (
    RunId IS NOT NULL
    OR NOT EXISTS (SELECT 1 FROM {SourceTable} AS c WHERE c.{KeyColumn} = {ToKey(}BlobDeltaAbsentParent.stream_id{)ToKey})
    OR (@BusinessUnitId IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaShippedKey AS k
        WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = BlobDeltaAbsentParent.stream_id
    ))
);

-- name: absent_asked
-- Rule 7: rows of this scope that came without the key of their parent, which is there now: they come again and bring it. Those
-- out of scope are ancestors themselves, and come as needed_ancestors says.
INSERT OR IGNORE INTO BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt)
SELECT @TableName, @Scope, a.stream_id, 'its parent was not there when it came', @Now
FROM BlobDeltaAbsentParent AS a
CROSS JOIN {SourceTable} AS c ON c.{KeyColumn} = {ToKey(}a.stream_id{)ToKey}
CROSS JOIN {SourceTable} AS p ON p.{PathColumn} = c.{ParentPathColumn}
WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.RunId IS NULL AND a.ParentKey IS NULL
    AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}a.stream_id{)ToKey} AND {InScope})
    AND a.stream_id IS NOT @ExcludedStreamId AND {ToId(}p.{KeyColumn}{)ToId} IS NOT @ExcludedStreamId
    AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaExcludedKey AS e
        WHERE e.TableName = @TableName AND e.stream_id IN (a.stream_id, {ToId(}p.{KeyColumn}{)ToId})
    );

-- name: absent_decided
-- Rule 7: a row that comes again is decided anew.
DELETE FROM BlobDeltaAbsentParent
WHERE TableName = @TableName AND Scope = @Scope
    AND EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = {ToKey(}BlobDeltaAbsentParent.stream_id{)ToKey});

-- name: absent_noted
-- Rule 7: rows whose parent is not in the slice, as absent_parents lists them.
INSERT INTO BlobDeltaAbsentParent (TableName, Scope, stream_id, ParentKey)
SELECT @TableName, @Scope, {ToId(}c.{KeyColumn}{)ToId}, {ToId(}c.DeltaParentKey{)ToId}
FROM {TargetTable} AS c
WHERE c.{ParentPathColumn} IS NOT NULL AND (
    c.DeltaParentKey IS NULL
    OR NOT EXISTS (SELECT 1 FROM {TargetTable} AS p WHERE p.{KeyColumn} = c.DeltaParentKey)
);

-- name: absent_came
-- Rule 7: rows of earlier slices whose parent is in this one.
UPDATE BlobDeltaAbsentParent SET RunId = @RunId
WHERE TableName = @TableName AND Scope = @Scope AND RunId IS NULL AND stream_id IN (
    SELECT a.stream_id
    FROM BlobDeltaAbsentParent AS a
    CROSS JOIN {SourceTable} AS c ON c.{KeyColumn} = {ToKey(}a.stream_id{)ToKey}
    CROSS JOIN {SourceTable} AS p ON p.{PathColumn} = c.{ParentPathColumn}
    CROSS JOIN {TargetTable} AS t ON t.{KeyColumn} = p.{KeyColumn}
    WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.RunId IS NULL
);

-- name: ancestor_stamps
-- Rules 7 and 14: an ancestor that comes without a stamp would lose against what this scope has been told of it before.
-- First whether it was handed it, and by which stamp, where the ancestor is in this scope no more (one that came before its
-- window waits, as in left_scope); the time at which somebody logged that it left, and the one at which it was told to have
-- left: on a tie the later run wins. Then what it was reported as deleted by, or is by this slice, which a row has to pass. The
-- greatest stamp of its metadata comes last: others may have the row by it.
SELECT
    {ToId(}t.{KeyColumn}{)ToId},
    k.stream_id IS NOT NULL,
    k.ModifiedOn,
    (
        SELECT d.DeletedOn FROM {SliceSchema}.BlobDeltaDeletion AS d
        WHERE d.TableName = @TableName AND d.stream_id = {ToId(}t.{KeyColumn}{)ToId} AND d.Reason = 'LeftScope' AND t.DeltaBusinessUnit IS NULL
    ),
    (
        SELECT max(d.DeletedOn) FROM BlobDeltaReportedDeletion AS d
        WHERE d.TableName = @TableName AND d.Scope = @Scope AND d.stream_id = {ToId(}t.{KeyColumn}{)ToId} AND NOT d.IsDeletion
    ),
    (
        SELECT max(d.DeletedOn)
        FROM (
            SELECT o.DeletedOn FROM BlobDeltaReportedDeletion AS o
            WHERE o.TableName = @TableName AND o.Scope = @Scope AND o.stream_id = {ToId(}t.{KeyColumn}{)ToId} AND o.IsDeletion
            UNION ALL
            SELECT n.DeletedOn FROM {SliceSchema}.BlobDeltaDeletion AS n
            WHERE n.TableName = @TableName AND n.stream_id = {ToId(}t.{KeyColumn}{)ToId} AND n.Reason = 'Deleted'
        ) AS d
    ),
    (SELECT max({ModifiedOn}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = t.{KeyColumn})
FROM {TargetTable} AS t
LEFT JOIN BlobDeltaShippedKey AS k
    ON k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = {ToId(}t.{KeyColumn}{)ToId}
        AND (NOT k.IsWhole OR coalesce(k.ModifiedOn < @WindowEnd, 1))
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey} AND {InScope})
WHERE t.DeltaStep = 2 AND t.DeltaModifiedOn IS NULL;
