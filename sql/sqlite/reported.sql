-- name: reported
-- Rule 6: keys with a metadata row in the window that no run of this scope takes. A key that has
-- another row in scope is taken, or deleted by DeletedWhen, and not counted as out of scope, without business unit or left out by the table's
-- filter; one that the filter leaves out counts as that where its unit is in scope. An excluded key is counted as nothing else.
-- Stamps in the future, missing ones and logged deletions are counted over the whole table.
-- Each count begins at what it counts, which is rare, and not at the keys of the window.
WITH
Outside AS (
    SELECT {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id, max({BusinessUnit} IS NOT NULL) AS HasBusinessUnit
    FROM {MetadataTable} AS m
    WHERE @BusinessUnitId IS NULL AND {MetadataFilter} AND NOT {InScopeOrDeleted}
        AND {InWindow}
    GROUP BY m.{MetadataIdColumn}
),
Untaken AS (
    SELECT o.HasBusinessUnit
    FROM Outside AS o
    WHERE NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS m
        WHERE m.{MetadataIdColumn} IS {ToKey(}o.stream_id{)ToKey} AND {InScopeOrDeleted}
            AND {InWindow}
    )
),
Excluded AS (
    SELECT @ExcludedStreamId AS stream_id
    UNION
    SELECT e.stream_id FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName
),
Filtered AS (
    SELECT DISTINCT {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id
    FROM {MetadataTable} AS m
    WHERE {InWindow}
        AND {InUnits} AND NOT coalesce({MetadataFilter}, 0)
        AND NOT EXISTS (SELECT 1 FROM Excluded AS x WHERE x.stream_id = {ToId(}m.{MetadataIdColumn}{)ToId})
),
Future AS (
    SELECT DISTINCT {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id
    FROM {MetadataTable} AS m
    WHERE {FromRunStart} AND {InScopeOrDeleted}
        AND NOT EXISTS (SELECT 1 FROM Excluded AS x WHERE x.stream_id = {ToId(}m.{MetadataIdColumn}{)ToId})
)
SELECT
    (SELECT coalesce(sum(u.HasBusinessUnit), 0) FROM Untaken AS u) AS OutOfScope,
    (SELECT coalesce(sum(NOT u.HasBusinessUnit), 0) FROM Untaken AS u) AS WithoutBusinessUnit,
    (
        SELECT count(*) FROM Excluded AS x
        WHERE EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {ToKey(}x.stream_id{)ToKey} AND {InScopeOrDeleted}
                AND {InWindow}
        )
    ) AS Excluded,
    (SELECT count(*) FROM Future AS f) AS Future,
    (
        SELECT count(*) FROM {MetadataTable} AS m
        WHERE {WithoutStamp} AND {InScopeOrDeleted}
            AND NOT EXISTS (SELECT 1 FROM Excluded AS x WHERE x.stream_id = {ToId(}m.{MetadataIdColumn}{)ToId})
    ) AS WithoutStamp,
    (SELECT count(*) FROM BlobDeltaDeletionLog AS d WHERE d.TableName = @TableName AND d.Reason = 'Deleted') AS LoggedDeletions,
    (
        SELECT count(*) FROM BlobDeltaDeletionLog AS d WHERE d.TableName = @TableName AND d.DeletedOn > @RunStart
    ) AS FutureDeletions,
    (
        SELECT count(*) FROM BlobDeltaDeletionLog AS d WHERE d.TableName = @TableName AND d.DeletedOn > @Latest
    ) AS WithheldDeletions,
    (
        SELECT min(d.DeletionId) FROM BlobDeltaDeletionLog AS d WHERE d.TableName = @TableName AND d.DeletedOn > @Latest
    ) AS WithheldDeletion,
    (
        SELECT count(*) FROM Filtered AS f
        WHERE NOT EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {ToKey(}f.stream_id{)ToKey} AND {InScopeOrDeleted}
                AND {InWindow}
        )
    ) AS Filtered;

-- name: went_back
-- Rows of the slice before, of its 10,000 that were stamped last, whose stamp in the source is older now: a
-- source that was restored. One that moved to another business unit has its newest stamp there.
SELECT count(*)
FROM (
    SELECT {ToId(}t.{KeyColumn}{)ToId} AS stream_id, t.DeltaModifiedOn
    FROM {TargetTable} AS t
    WHERE t.DeltaStep <> 2 AND t.DeltaModifiedOn IS NOT NULL
    ORDER BY t.DeltaModifiedOn DESC
    LIMIT 10000
) AS n
WHERE n.DeltaModifiedOn > (
    SELECT max({ModifiedOn}) FROM {MetadataTable} AS m
    WHERE m.{MetadataIdColumn} = {ToKey(}n.stream_id{)ToKey}
);

-- name: newest
-- The greatest stamp before the run's start, of whatever scope: a row that moves to another business unit takes nothing back.
SELECT {ModifiedOn}
FROM {MetadataTable} AS m
WHERE {BeforeRunStart}
    -- Those of keys that are excluded may be anything.
    AND {ToId(}m.{MetadataIdColumn}{)ToId} IS NOT @ExcludedStreamId
    AND {ToId(}m.{MetadataIdColumn}{)ToId} NOT IN (SELECT e.stream_id FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName)
ORDER BY {ModifiedOn} DESC
LIMIT 1;

-- name: suspect_absent
-- Rule 21: keys of the window, and those of them that have no row. Keys that were asked for by name, or held
-- back, are no sign of anything; a deletion that was logged explains an absent row.
SELECT
    count(*),
    coalesce(sum(
        q.Place IS NULL
        AND NOT EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = {ToKey(}q.stream_id{)ToKey})
        AND NOT EXISTS (
            SELECT 1 FROM BlobDeltaDeletionLog AS d WHERE d.TableName = @TableName AND d.stream_id = q.stream_id
        )
    ), 0)
FROM BlobDeltaWindowQueue AS q
WHERE q.RunId = @RunId AND q.TableName = @TableName AND NOT q.IsPending AND NOT q.WasHeldBack;

-- name: suspect_orphan
-- Rule 21: children in the slice, and those of them whose parent the source lacks.
SELECT count(*), coalesce(sum(t.DeltaParentKey IS NULL), 0)
FROM {TargetTable} AS t
WHERE t.DeltaStep = 3 AND t.{ParentPathColumn} IS NOT NULL;

-- name: suspect_left
-- Rule 21: rows that a scope was handed, and those of them that are out of it by their metadata, as left_scope has it, or that
-- somebody logged to have left it: a log that was written under a wrong configuration explains nothing. Of a business unit
-- its runs keep what they handed out; all units were handed what is logged, and what is in scope. Ancestors without
-- their blobs are nobody's loss, and what was told before is not told anew.
WITH Logged AS (
    SELECT d.stream_id
    FROM {SliceSchema}.BlobDeltaDeletion AS d
    WHERE d.TableName = @TableName AND d.Reason = 'LeftScope'
        AND NOT EXISTS (
            SELECT 1 FROM BlobDeltaShippedKey AS k
            WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = d.stream_id AND NOT k.IsWhole
        )
        AND NOT EXISTS (
            SELECT 1 FROM BlobDeltaReportedDeletion AS t
            WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = d.stream_id
                AND NOT t.IsDeletion AND t.DeletedOn >= d.DeletedOn AND t.RunId <> @RunId
        )
),
Handed AS (
    SELECT k.stream_id
    FROM BlobDeltaShippedKey AS k
    WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.IsWhole
    UNION
    SELECT l.stream_id FROM Logged AS l
)
SELECT
    count(*) + CASE
        WHEN @BusinessUnitId IS NULL AND count(*) >= 20 THEN (
            SELECT count(DISTINCT m.{MetadataIdColumn}) FROM {MetadataTable} AS m
            WHERE {InScope} AND {ToId(}m.{MetadataIdColumn}{)ToId} NOT IN (SELECT l.stream_id FROM Logged AS l)
        )
        ELSE 0
    END,
    coalesce(sum(
        NOT EXISTS (
            SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}h.stream_id{)ToKey} AND {InScopeOrDeleted}
        )
        AND (
            EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}h.stream_id{)ToKey})
            OR h.stream_id IN (SELECT l.stream_id FROM Logged AS l)
        )
    ), 0)
FROM Handed AS h;

-- name: deletions
-- Rule 15: an entry is due until this scope has reported a deletion of its key that is as late or later; DeletedOn competes.
-- LoggedAt has no say, but that a run which goes back takes again what was logged since then. A key that left a
-- scope (rule 17) is told to that scope alone; on a tie the deletion outranks it. The runs of a business unit tell
-- deletions of what they have handed out, whatever unit the log names. What is dated too late is not told (rule 27).
INSERT INTO {SliceSchema}.BlobDeltaDeletion (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
SELECT @TableName, d.stream_id, d.DeletedOn, d.BusinessUnit, d.LoggedAt, d.Reason
FROM (
    SELECT
        l.*, row_number() OVER (PARTITION BY l.stream_id ORDER BY l.DeletedOn DESC, l.Reason, l.DeletionId DESC) AS Newest
    FROM BlobDeltaDeletionLog AS l
    WHERE l.TableName = @TableName AND l.DeletedOn <= @Latest
        AND CASE l.Reason
            WHEN 'LeftScope' THEN l.BusinessUnit IS @BusinessUnitId
            ELSE @BusinessUnitId IS NULL OR EXISTS (
                SELECT 1 FROM BlobDeltaShippedKey AS k
                WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = l.stream_id
            )
        END
        AND NOT EXISTS (
            SELECT 1 FROM BlobDeltaReportedDeletion AS t
            WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = l.stream_id
                AND t.IsDeletion = (l.Reason = 'Deleted') AND t.DeletedOn >= l.DeletedOn
                AND (@DeletionsFrom IS NULL OR l.LoggedAt < @DeletionsFrom)
        )
) AS d
WHERE d.Newest = 1;

-- name: suspect_standing
-- Rule 21: deletions that this slice tells, and those of them whose row stands in the source by no later stamp, in whatever
-- scope: its receivers would lose it. One that was stamped since has come again, and wins.
SELECT
    count(*),
    coalesce(sum(
        EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = {ToKey(}d.stream_id{)ToKey})
        AND NOT EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {ToKey(}d.stream_id{)ToKey} AND {ModifiedOn} > d.DeletedOn
        )
    ), 0)
FROM {SliceSchema}.BlobDeltaDeletion AS d
WHERE d.TableName = @TableName AND d.Reason = 'Deleted';

-- name: flagged
-- Rules 3, 4 and 5 of keys that are deleted by DeletedWhen: a tombstone for each whose stamp lies in the window, for those that the
-- last completed run held back, if they would be held back again, and for those that were asked for. What the log says of
-- such a key counts where it is later. An excluded key is told as little as its rows are.
INSERT INTO {SliceSchema}.BlobDeltaDeletion (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
WITH
Candidate (stream_id, WasHeldBack, IsPending) AS (
    SELECT stream_id, max(WasHeldBack), max(IsPending)
    FROM (
        SELECT {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id, 0 AS WasHeldBack, 0 AS IsPending
        FROM {MetadataTable} AS m
        WHERE {InWindow} AND {InScopeOrDeleted} AND {IsDeleted}
        UNION ALL
        SELECT h.stream_id, 1, 0
        FROM BlobDeltaHeldBackKey AS h
        WHERE h.RunId = @PreviousRunId AND h.TableName = @TableName
        UNION ALL
        SELECT p.stream_id, 0, 1
        FROM BlobDeltaPendingKey AS p
        WHERE p.TableName = @TableName AND p.Scope = @Scope
    )
    WHERE stream_id IS NOT @ExcludedStreamId
        AND stream_id NOT IN (SELECT e.stream_id FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName)
    GROUP BY stream_id
),
Flagged AS (
    SELECT c.*, max({ModifiedOn}) AS DeletedOn, {BusinessUnit} AS BusinessUnit
    FROM Candidate AS c
    CROSS JOIN {MetadataTable} AS m ON m.{MetadataIdColumn} = {ToKey(}c.stream_id{)ToKey}
    WHERE {InScopeOrDeleted} AND {IsDeleted}
    GROUP BY c.stream_id
)
SELECT @TableName, f.stream_id, f.DeletedOn, f.BusinessUnit, @Now, 'Deleted'
FROM Flagged AS f
WHERE
    CASE
        WHEN f.DeletedOn < @WindowEnd THEN f.DeletedOn >= @WindowStart OR f.IsPending OR f.WasHeldBack
        ELSE f.WasHeldBack AND f.DeletedOn < @RunStart
    END
ON CONFLICT (TableName, stream_id) DO UPDATE SET
    DeletedOn = excluded.DeletedOn, BusinessUnit = excluded.BusinessUnit, LoggedAt = excluded.LoggedAt, Reason = 'Deleted'
WHERE excluded.DeletedOn >= DeletedOn;

-- name: suspect_flagged
-- Rule 21: keys that this slice tells to be deleted by DeletedWhen, and that no run of the scope told before.
SELECT count(*)
FROM {SliceSchema}.BlobDeltaDeletion AS d
WHERE d.TableName = @TableName AND d.Reason = 'Deleted'
    AND EXISTS (
        SELECT 1 FROM {MetadataTable} AS m
        WHERE m.{MetadataIdColumn} = {ToKey(}d.stream_id{)ToKey} AND {InScopeOrDeleted} AND {IsDeleted}
    )
    AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaReportedDeletion AS t
        WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = d.stream_id
            AND t.IsDeletion AND t.DeletedOn >= d.DeletedOn AND t.RunId <> @RunId
    );

-- name: still_there
-- Rule 21: rows of the metadata in scope, at most so many.
SELECT count(*) FROM (SELECT 1 FROM {MetadataTable} AS m WHERE {InScope} LIMIT @Limit);

-- name: sample_absent
-- Rule 21: the keys that were stamped last, and those of them that have no row.
SELECT count(*), coalesce(sum(NOT EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = {ToKey(}k.stream_id{)ToKey})), 0)
FROM (
    SELECT {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id
    FROM {MetadataTable} AS m
    WHERE m.{MetadataIdColumn} IS NOT NULL AND {InScope}
    ORDER BY {ModifiedOn} DESC
    LIMIT @Limit
) AS k;

-- name: sample_orphan
-- Rule 21: rows of the source that have a parent path, and those of them whose parent is not there.
SELECT count(*), coalesce(sum(NOT EXISTS (SELECT 1 FROM {SourceTable} AS p WHERE p.{PathColumn} = c.ParentPath)), 0)
FROM (
    SELECT s.{ParentPathColumn} AS ParentPath
    FROM {SourceTable} AS s
    WHERE s.{ParentPathColumn} IS NOT NULL
    LIMIT @Limit
) AS c;
