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
            SELECT 1 FROM BlobDeltaToldDeletion AS t
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
            WHERE {InScope} AND m.{MetadataIdColumn} NOT IN (SELECT l.stream_id FROM Logged AS l)
        )
        ELSE 0
    END,
    coalesce(sum(
        NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = h.stream_id AND {InScope})
        AND (
            EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = h.stream_id)
            OR h.stream_id IN (SELECT l.stream_id FROM Logged AS l)
        )
    ), 0)
FROM Handed AS h;
