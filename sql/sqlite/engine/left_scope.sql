-- Rule 17: keys that a business unit's runs have handed out, and that are not in its scope any more, into
-- "#Left"; and those that somebody has logged as having left it. What stands in this slice is needed. An
-- ancestor that came without its blobs leaves as a whole row does, and holds nothing above it in its place. Of
-- what all units were handed, ancestors out of the scope alone are kept.
-- What is gone has not left: a row without metadata, an ancestor without a row. Its deletion has to be logged.
-- LeftOn is the greatest stamp that was handed out, no later one: it outranks what was, and nothing that comes.
-- A row that came before its window may come again by the next one, so it is asked for then.
-- IsPassed: whoever else has the row has it by no lesser stamp than what this scope is told of it by (which is a later one
-- than was handed out, where a run started later than this one), so that this outranks nothing there.
-- What was logged comes first: it was asked for by name, and comes once more without its blob where it stays, whatever this
-- scope was handed of it before, and may not have got.
INSERT OR IGNORE INTO "#Left" (stream_id, IsWhole, LeftOn, IsPassed)
SELECT
    d.stream_id, 1, d.DeletedOn,
    @BusinessUnitId IS NULL OR coalesce((
        SELECT max(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = d.stream_id
    ) >= d.DeletedOn, 0)
FROM {SliceSchema}.BlobDeltaDeletion AS d
WHERE d.TableName = @TableName AND d.Reason = 'LeftScope'
UNION ALL
SELECT
    k.stream_id, k.IsWhole, coalesce(k.ModifiedOn, '0001-01-01T00:00:00.0000000'),
    coalesce(CASE
        WHEN EXISTS (
            SELECT 1 FROM BlobDeltaRun AS own INNER JOIN BlobDeltaRun AS r ON r.RunStartedAt >= own.RunStartedAt
                AND r.RunStartedAt < strftime('%Y-%m-%dT%H:%M:%f', own.RunStartedAt, '+1 day')
            WHERE own.RunId = @RunId AND r.RunId <> own.RunId
        ) THEN (
            SELECT max(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = k.stream_id
        ) > coalesce(k.ModifiedOn, '0001-01-01T00:00:00.0000000')
        ELSE (
            SELECT max(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = k.stream_id
        ) >= coalesce(k.ModifiedOn, '0001-01-01T00:00:00.0000000')
    END, 0)
FROM BlobDeltaShippedKey AS k
WHERE k.TableName = @TableName AND k.Scope = @Scope AND (@BusinessUnitId IS NOT NULL OR NOT k.IsWhole)
    AND NOT (k.IsWhole AND coalesce(k.ModifiedOn >= @WindowEnd, 0))
    AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = k.stream_id AND {InScope})
    AND CASE
        WHEN k.IsWhole THEN EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = k.stream_id)
        ELSE EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = k.stream_id)
    END
    AND NOT EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = k.stream_id);
