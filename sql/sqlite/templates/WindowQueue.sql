-- Rules 3, 4 and 5: queues each key of the window once, with the greatest ModifiedOn among its
-- in-scope metadata rows; keys that the last completed run held back, if they would be held
-- back again; and pending keys.
INSERT INTO BlobDeltaWindowQueue (RunId, TableName, Step, Seq, stream_id, ModifiedOn, WasHeldBack, IsPending)
WITH
Candidate (stream_id, IsPending) AS (
    SELECT stream_id, max(IsPending)
    FROM (
        SELECT m.{MetadataIdColumn} AS stream_id, 0 AS IsPending
        FROM {MetadataTable} AS m
        WHERE m.{MetadataModifiedOnCol} >= @WindowStart AND m.{MetadataModifiedOnCol} < @WindowEnd AND {InScope}
        UNION ALL
        SELECT h.stream_id, 0
        FROM BlobDeltaHeldBackKey AS h
        WHERE h.RunId = @PreviousRunId AND h.TableName = @TableName
        UNION ALL
        SELECT p.stream_id, 1
        FROM BlobDeltaPendingKey AS p
        WHERE p.TableName = @TableName
    )
    GROUP BY stream_id
),
Fresh AS (
    SELECT
        c.stream_id,
        c.IsPending,
        count(m.{MetadataIdColumn}) AS MetadataRows,
        max(m.{MetadataModifiedOnCol}) AS ModifiedOn,
        EXISTS (
            SELECT 1 FROM BlobDeltaHeldBackKey AS h
            WHERE h.RunId = @PreviousRunId AND h.TableName = @TableName AND h.stream_id = c.stream_id
        ) AS WasHeldBack
    FROM Candidate AS c
    LEFT JOIN {MetadataTable} AS m ON m.{MetadataIdColumn} = c.stream_id AND {InScope}
    GROUP BY c.stream_id
)
SELECT
    @RunId,
    @TableName,
    CASE WHEN s.{KeyColumn} IS NULL OR {ParentPath} IS NULL THEN 1 ELSE 3 END AS Step,
    row_number() OVER (ORDER BY f.stream_id) AS Seq,
    f.stream_id,
    f.ModifiedOn,
    f.WasHeldBack,
    f.IsPending
FROM Fresh AS f
LEFT JOIN {SourceTable} AS s ON s.{KeyColumn} = f.stream_id
WHERE (f.MetadataRows > 0 OR (f.IsPending AND @BusinessUnitId IS NULL))
    AND (
        (f.ModifiedOn >= @WindowStart AND f.ModifiedOn < @WindowEnd)
        OR (f.IsPending AND (f.ModifiedOn IS NULL OR f.ModifiedOn < @WindowEnd))
        OR (f.WasHeldBack AND f.ModifiedOn >= @WindowEnd AND f.ModifiedOn < @RunStart)
    )
    AND (@ExcludedStreamId IS NULL OR f.stream_id <> @ExcludedStreamId)
    AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = f.stream_id
    );
