-- Rule 6: keys with a metadata row in the window that no run of this scope takes. A key that has
-- another row in scope is taken, and not counted as out of scope, without business unit or left out by the table's
-- filter; one that the filter leaves out counts as that where its unit is in scope. An excluded key is counted as nothing else.
-- Stamps in the future, missing ones and logged deletions are counted over the whole table.
-- Each count begins at what it counts, which is rare, and not at the keys of the window.
WITH
Outside AS (
    SELECT m.{MetadataIdColumn} AS stream_id, max({BusinessUnit} IS NOT NULL) AS HasBusinessUnit
    FROM {MetadataTable} AS m
    WHERE @BusinessUnitId IS NULL AND {MetadataFilter} AND NOT {InScope}
        AND m.{MetadataModifiedOnCol} >= @WindowStart AND m.{MetadataModifiedOnCol} < @WindowEnd
    GROUP BY m.{MetadataIdColumn}
),
Untaken AS (
    SELECT o.HasBusinessUnit
    FROM Outside AS o
    WHERE NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS m
        WHERE m.{MetadataIdColumn} IS o.stream_id AND {InScope}
            AND m.{MetadataModifiedOnCol} >= @WindowStart AND m.{MetadataModifiedOnCol} < @WindowEnd
    )
),
Excluded AS (
    SELECT @ExcludedStreamId AS stream_id
    UNION
    SELECT e.stream_id FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName
),
Filtered AS (
    SELECT DISTINCT m.{MetadataIdColumn} AS stream_id
    FROM {MetadataTable} AS m
    WHERE m.{MetadataModifiedOnCol} >= @WindowStart AND m.{MetadataModifiedOnCol} < @WindowEnd
        AND {InUnits} AND NOT coalesce({MetadataFilter}, 0)
        AND NOT EXISTS (SELECT 1 FROM Excluded AS x WHERE x.stream_id = m.{MetadataIdColumn})
),
Future AS (
    SELECT DISTINCT m.{MetadataIdColumn} AS stream_id
    FROM {MetadataTable} AS m
    WHERE m.{MetadataModifiedOnCol} >= @RunStart AND {InScope}
        AND NOT EXISTS (SELECT 1 FROM Excluded AS x WHERE x.stream_id = m.{MetadataIdColumn})
)
SELECT
    (SELECT coalesce(sum(u.HasBusinessUnit), 0) FROM Untaken AS u) AS OutOfScope,
    (SELECT coalesce(sum(NOT u.HasBusinessUnit), 0) FROM Untaken AS u) AS WithoutBusinessUnit,
    (
        SELECT count(*) FROM Excluded AS x
        WHERE EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = x.stream_id AND {InScope}
                AND m.{MetadataModifiedOnCol} >= @WindowStart AND m.{MetadataModifiedOnCol} < @WindowEnd
        )
    ) AS Excluded,
    (SELECT count(*) FROM Future AS f) AS Future,
    (
        SELECT count(*) FROM {MetadataTable} AS m
        WHERE m.{MetadataModifiedOnCol} IS NULL AND {InScope}
            AND NOT EXISTS (SELECT 1 FROM Excluded AS x WHERE x.stream_id = m.{MetadataIdColumn})
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
            WHERE m.{MetadataIdColumn} = f.stream_id AND {InScope}
                AND m.{MetadataModifiedOnCol} >= @WindowStart AND m.{MetadataModifiedOnCol} < @WindowEnd
        )
    ) AS Filtered;
