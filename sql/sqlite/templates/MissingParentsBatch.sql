-- Step 2: ancestors of a batch, whatever their metadata. One of another business unit comes
-- without its blobs, and without ModifiedOn, so that the whole row wins wherever it comes from;
-- one whose ModifiedOn lies in the future comes without it, so that a correction wins.
-- CROSS JOIN keeps SQLite to this order of tables: from the batch, as it was taken, to the source, by the
-- place where its row was found within this transaction.
INSERT INTO {TargetTable} (
    {TargetColumns}, DeltaModifiedOn, DeltaBusinessUnit, DeltaStep, DeltaDepth, DeltaParentKey, DeltaEarly
)
WITH
InScopeRows AS MATERIALIZED (
    SELECT
        b.stream_id,
        b.Place,
        b.Depth,
        b.ParentKey,
        count(m.{MetadataIdColumn}) AS MetadataRows,
        max({ModifiedOn}) AS ModifiedOn,
        {BusinessUnit} AS BusinessUnit
    FROM "#Batch" AS b
    LEFT JOIN {MetadataTable} AS m ON m.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey} AND {InScope}
    GROUP BY b.Seq
),
Fresh AS MATERIALIZED (
    SELECT
        r.*,
        r.MetadataRows = 0 AND (
            @BusinessUnitId IS NOT NULL
            OR EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}r.stream_id{)ToKey})
        ) AS IsForeign
    FROM InScopeRows AS r
)
SELECT
    {AncestorColumns},
    CASE WHEN f.ModifiedOn <= @RunStart THEN f.ModifiedOn END,
    f.BusinessUnit, 2, f.Depth, {ToKey(}f.ParentKey{)ToKey}, 0
FROM Fresh AS f
CROSS JOIN {SourceTable} AS s ON s.{PlaceColumn} = f.Place
WHERE true
-- What the slice has already. A statement that asked the slice for it would be kept in a temporary
-- table, every blob of it, before its first row is written.
ON CONFLICT ({KeyColumn}) DO NOTHING;
