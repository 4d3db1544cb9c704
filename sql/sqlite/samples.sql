-- name: sample_units
-- Rule 21: of the rows that were stamped last, those with a business unit, if none of them is in its table.
SELECT CASE WHEN sum(r.IsKnown) = 0 THEN count(*) ELSE 0 END
FROM (
    SELECT EXISTS (
        SELECT 1 FROM {BusinessUnitTable} AS u WHERE u.{BusinessUnitIdColumn} = m.{MetadataBusinessUnitCol}
    ) AS IsKnown
    FROM {MetadataTable} AS m
    WHERE m.{MetadataBusinessUnitCol} IS NOT NULL
    ORDER BY {ModifiedOn} DESC
    LIMIT 1000
) AS r;

-- name: rows_without_metadata
SELECT count(*) FROM {SourceTable} AS s WHERE ({Blobs}) AND NOT EXISTS (
    SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = s.{KeyColumn})
