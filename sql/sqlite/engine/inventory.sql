-- The next keys of the metadata that are in scope, after @After, and what the source has of them.
WITH Page AS MATERIALIZED (
    SELECT m.{MetadataIdColumn} AS stream_id, max(m.{MetadataModifiedOnCol}) AS ModifiedOn
    FROM {MetadataTable} AS m
    WHERE m.{MetadataIdColumn} > coalesce(@After, x'') AND {InScope}
    GROUP BY m.{MetadataIdColumn}
    ORDER BY m.{MetadataIdColumn}
    LIMIT @Most
)
SELECT
    p.stream_id,
    p.ModifiedOn,
    s.{KeyColumn} IS NOT NULL,
    EXISTS (
        SELECT 1 FROM BlobDeltaPendingKey AS k
        WHERE k.TableName = @TableName AND k.Scope IN ('', @Scope) AND k.stream_id = p.stream_id
    ),
    p.stream_id IS @ExcludedStreamId
    OR EXISTS (SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = p.stream_id),
    {Path}
FROM Page AS p
LEFT JOIN {SourceTable} AS s ON s.{KeyColumn} = p.stream_id
ORDER BY p.stream_id;
