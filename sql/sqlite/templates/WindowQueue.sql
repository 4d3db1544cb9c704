-- Rules 3, 4 and 5: queues each key of the window once, with the greatest ModifiedOn among its
-- in-scope metadata rows; keys that the last completed run held back, if they would be held
-- back again; and pending keys of this scope whose rows have come. A run over all units takes one that no
-- metadata names where that was asked for.
-- Every stamp from the window's start on is read, those behind its end too, so that the greatest is
-- known without looking each key up again.
-- The keys are numbered in parts of 100,000: the parts follow each other in the order of the keys, the
-- keys of one in the order in which the source stores its rows. By a part, the indexes over keys, which
-- are random, are gone through from end to end, a piece that stays in memory at a time; in a part, the
-- rows are, and siblings, which were stored together, find their parents together.
INSERT INTO BlobDeltaWindowQueue (RunId, TableName, Step, Seq, stream_id, ModifiedOn, WasHeldBack, IsPending, Place)
WITH
Candidate (stream_id, ModifiedOn, WasHeldBack, IsPending) AS (
    SELECT stream_id, max(ModifiedOn), max(WasHeldBack), max(IsPending)
    FROM (
        SELECT
            {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id,
            {ModifiedOn} AS ModifiedOn,
            0 AS WasHeldBack,
            0 AS IsPending
        FROM {MetadataTable} AS m
        WHERE {FromWindowStart} AND {InScope}
        UNION ALL
        SELECT h.stream_id, NULL, 1, 0
        FROM BlobDeltaHeldBackKey AS h
        WHERE h.RunId = @PreviousRunId AND h.TableName = @TableName
        UNION ALL
        SELECT
            p.stream_id,
            (
                SELECT max({ModifiedOn}) FROM {MetadataTable} AS m
                WHERE m.{MetadataIdColumn} = {ToKey(}p.stream_id{)ToKey} AND {InScope}
            ),
            0,
            1
        FROM BlobDeltaPendingKey AS p
        WHERE p.TableName = @TableName AND p.Scope = @Scope
            AND EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = {ToKey(}p.stream_id{)ToKey})
            AND (
                EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}p.stream_id{)ToKey} AND {InScope})
                OR (p.WithoutMetadata AND @BusinessUnitId IS NULL AND NOT EXISTS (
                    SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}p.stream_id{)ToKey}
                ))
            )
    )
    GROUP BY stream_id
),
Chosen AS (
    SELECT c.*, (row_number() OVER () - 1) / 100000 AS Part
    FROM Candidate AS c
    WHERE
        CASE
            WHEN c.ModifiedOn IS NULL THEN c.IsPending
            WHEN c.ModifiedOn < @WindowEnd THEN c.ModifiedOn >= @WindowStart OR c.IsPending
            ELSE c.WasHeldBack AND c.ModifiedOn < @RunStart
        END
        AND c.stream_id IS NOT @ExcludedStreamId
        AND c.stream_id NOT IN (SELECT e.stream_id FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName)
),
Placed AS (
    SELECT c.*, s.{PlaceColumn} AS Place
    FROM Chosen AS c
    LEFT JOIN {SourceTable} AS s ON s.{KeyColumn} = {ToKey(}c.stream_id{)ToKey}
    ORDER BY c.Part, s.{PlaceColumn}
)
SELECT
    @RunId,
    @TableName,
    CASE
        WHEN EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{PlaceColumn} = c.Place AND {ParentPath} IS NOT NULL) THEN 3
        ELSE 1
    END AS Step,
    row_number() OVER () AS Seq,
    c.stream_id,
    c.ModifiedOn,
    c.WasHeldBack,
    c.IsPending,
    c.Place
-- From this alone: SQLite forgets the order of what is joined. With a LIMIT it would keep it, in a tree on the
-- disk that it writes a page of for every other row, where this is sorted in runs.
FROM Placed AS c;
