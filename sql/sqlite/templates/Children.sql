-- Step 3: the children of a batch, and what lost its parent since it was queued.
-- ModifiedOn is read again in this very statement: the stamp that a row carries is the stamp of
-- the bytes beside it.
-- CROSS JOIN keeps SQLite to this order of tables: from the batch, as it was taken, to the source, by the
-- place where its row was found within this transaction.
INSERT INTO {TargetTable} (
    {TargetColumns}, DeltaModifiedOn, DeltaBusinessUnit, DeltaStep, DeltaDepth, DeltaParentKey, DeltaEarly
)
WITH Fresh AS (
    SELECT
        b.stream_id,
        b.Place,
        b.WasHeldBack,
        b.WithoutMetadata,
        b.Depth,
        b.ParentKey,
        count(m.{MetadataIdColumn}) AS MetadataRows,
        max({ModifiedOn}) AS ModifiedOn,
        {BusinessUnit} AS BusinessUnit
    FROM "#Batch" AS b
    LEFT JOIN {MetadataTable} AS m ON m.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey} AND {InScope}
    GROUP BY b.Seq
)
SELECT
    {SourceColumns}, f.ModifiedOn, f.BusinessUnit, 3, f.Depth, {ToKey(}f.ParentKey{)ToKey}, coalesce(f.ModifiedOn >= @WindowEnd, 0)
FROM Fresh AS f
CROSS JOIN {SourceTable} AS s ON s.{PlaceColumn} = f.Place
WHERE (f.MetadataRows > 0 OR (f.WithoutMetadata AND NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}f.stream_id{)ToKey}
    )))
    AND (f.ModifiedOn IS NULL OR f.ModifiedOn < @WindowEnd OR (f.WasHeldBack AND f.ModifiedOn < @Latest))
-- What the slice has already. A statement that asked the slice for it would be kept in a temporary
-- table, every blob of it, before its first row is written.
ON CONFLICT ({KeyColumn}) DO NOTHING;
