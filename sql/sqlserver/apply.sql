-- name: losers
-- Rule 14: drops the staged rows that lose against what the target has, @P1 being the target, as [schema].[table], and @P2 the
-- scope of the chain that they are of. With @P3 = 1 a row that stands is written again by the run that it is of. What stays in #BlobDeltaStage is written.
-- A deletion wins a tie, whatever the runs. Rule 17: a tombstone of a scope concerns rows of its own chain alone, and
-- wins a tie against earlier runs.
DELETE s
FROM #BlobDeltaStage AS s
WHERE EXISTS (
    SELECT 1 FROM dbo.BlobDeltaTombstone AS d
    WHERE d.TableName = @P1 AND d.stream_id = s.k AND d.Scope = N'' AND (s.vm IS NULL OR d.DeletedOn >= s.vm)
);
DELETE s
FROM #BlobDeltaStage AS s
INNER JOIN (
    SELECT d.stream_id AS k, d.DeletedOn AS vm, d.RunStartedAt AS vs, d.RunId AS vr
    FROM dbo.BlobDeltaTombstone AS d
    WHERE d.TableName = @P1 AND d.Scope = @P2
) AS n ON n.k = s.k
WHERE NOT [{StagedOutranksNoted}];
INSERT INTO dbo.BlobDeltaReplayRun (TableName, RunId, Scope)
SELECT DISTINCT @P1, s.vr, @P2
FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayRun AS r WHERE r.TableName = @P1 AND r.RunId = s.vr);
-- First within the chain,
DELETE s
FROM #BlobDeltaStage AS s
INNER JOIN [{Standing}] AS t ON t.k = [{ToKey(}]s.k[{)ToKey}]
WHERE NOT [{StagedOutranksStanding}] AND [{IsOfChain}] AND (@P3 = 0 OR t.vr IS NULL OR t.vr <> s.vr);
-- then, where the table receives several, between them.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayRun WHERE TableName = @P1 AND Scope <> @P2)
BEGIN
    DELETE s
    FROM #BlobDeltaStage AS s
    INNER JOIN [{Others}] AS o ON o.k = s.k
    WHERE o.Scope = @P2 AND NOT [{StagedOutranksOwn}];
    DELETE o
    FROM dbo.BlobDeltaReplayOther AS o
    INNER JOIN #BlobDeltaStage AS s ON s.k = o.stream_id
    WHERE o.TableName = @P1 AND o.Scope = @P2;
    -- What comes without its large values leaves the row to a chain that has the whole one by the same time,
    UPDATE t
    SET [{Modified}] = a.vm, [{Started}] = a.vs, [{Run}] = a.vr
    FROM [{Marks}] AS t
    INNER JOIN #BlobDeltaStage AS s ON t.[{MarkKey}] = [{MarkOfStaged}]
    INNER JOIN [{Others}] AS a ON a.k = s.k
    WHERE [{IsOfTable}] AND [{OtherOutranksStaged}]
      AND EXISTS (SELECT 1 FROM [{Standing}] AS t WHERE t.k = [{ToKey(}]s.k[{)ToKey}] AND [{IsOfChain}])
      AND NOT EXISTS (SELECT 1 FROM [{Others}] AS b WHERE b.k = a.k AND [{OtherOutranksOther}]);
    DELETE o
    FROM dbo.BlobDeltaReplayOther AS o
    INNER JOIN #BlobDeltaStage AS s ON o.stream_id = s.k
    WHERE o.TableName = @P1 AND EXISTS (SELECT 1 FROM [{Standing}] AS t WHERE t.k = [{ToKey(}]s.k[{)ToKey}] AND t.vr = o.RunId);
    -- and what loses against the row of another chain, or against one that came by another way, is noted beside it.
    INSERT INTO dbo.BlobDeltaReplayOther (TableName, stream_id, Scope, ModifiedOn, RunStartedAt, RunId, IsPart)
    SELECT @P1, s.k, @P2, s.vm, s.vs, s.vr, [{StagedIsPart}]
    FROM #BlobDeltaStage AS s
    INNER JOIN [{Standing}] AS t ON t.k = [{ToKey(}]s.k[{)ToKey}]
    WHERE NOT [{StagedOutranksOtherChain}] AND NOT [{IsOfChain}];
END;
DELETE s
FROM #BlobDeltaStage AS s
INNER JOIN [{Standing}] AS t ON t.k = [{ToKey(}]s.k[{)ToKey}]
WHERE NOT [{StagedOutranksOtherChain}] AND NOT [{IsOfChain}];

-- name: replaced
-- Rule 17: before the rows in #BlobDeltaStage are written over what stands: the version of a row of another chain
-- stays with that chain. @P1 is the target, as [schema].[table], @P2 the scope of the rows that come.
INSERT INTO dbo.BlobDeltaReplayOther (TableName, stream_id, Scope, ModifiedOn, RunStartedAt, RunId, IsPart)
SELECT @P1, s.k, r.Scope, t.vm, t.vs, t.vr, t.vp
FROM #BlobDeltaStage AS s
INNER JOIN [{Standing}] AS t ON t.k = [{ToKey(}]s.k[{)ToKey}]
INNER JOIN dbo.BlobDeltaReplayRun AS r ON r.TableName = @P1 AND r.RunId = t.vr AND r.Scope <> @P2;

-- name: tombstones
-- Rules 14 and 15: removes the rows that staged deletions beat, of whatever chain, says how many, and keeps the
-- tombstones that are later than those kept before. @P1 is the target, as [schema].[table].
DECLARE @removed bigint;
DELETE t
FROM [{Target}] AS t
INNER JOIN #BlobDeltaStage AS s ON t.[{Key}] = [{ToKey(}]s.k[{)ToKey}]
WHERE EXISTS (SELECT 1 FROM [{Standing}] AS v WHERE v.k = [{ToKey(}]s.k[{)ToKey}] AND (v.vm IS NULL OR s.vm >= v.vm));
SET @removed = @@ROWCOUNT;
DELETE m
FROM dbo.BlobDeltaReplayRow AS m
INNER JOIN #BlobDeltaStage AS s ON m.stream_id = s.k
WHERE m.TableName = @P1 AND NOT EXISTS (SELECT 1 FROM [{Target}] AS t WHERE t.[{Key}] = [{ToKey(}]s.k[{)ToKey}]);
DELETE o
FROM dbo.BlobDeltaReplayOther AS o
INNER JOIN #BlobDeltaStage AS s ON o.stream_id = s.k
WHERE o.TableName = @P1 AND (o.ModifiedOn IS NULL OR s.vm >= o.ModifiedOn);
DELETE d
FROM dbo.BlobDeltaTombstone AS d
INNER JOIN #BlobDeltaStage AS s ON d.stream_id = s.k
WHERE d.TableName = @P1 AND d.Scope = N''
  AND EXISTS (
    SELECT 1 FROM (SELECT d.DeletedOn AS vm, d.RunStartedAt AS vs, d.RunId AS vr) AS n WHERE [{StagedOutranksNoted}]
  );
INSERT INTO dbo.BlobDeltaTombstone (TableName, stream_id, Scope, Reason, DeletedOn, RunStartedAt, RunId)
SELECT @P1, s.k, N'', N'Deleted', s.vm, s.vs, s.vr
FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaTombstone AS d WHERE d.TableName = @P1 AND d.stream_id = s.k AND d.Scope = N''
);
SELECT @removed AS Removed;

-- name: leavings
-- Rule 17: keys in #BlobDeltaStage left the scope @P2. Keeps the tombstones that are later than those kept before,
-- and removes the rows that they beat and the chain of this scope wrote, unless another chain has them too: such a row
-- stays with that chain's version, and without its large values where that chain has it without them. Says how many rows were removed. @P1 is the target, as [schema].[table].
DECLARE @removed bigint;
DELETE d
FROM dbo.BlobDeltaTombstone AS d
INNER JOIN #BlobDeltaStage AS s ON d.stream_id = s.k
WHERE d.TableName = @P1 AND d.Scope = @P2
  AND EXISTS (
    SELECT 1 FROM (SELECT d.DeletedOn AS vm, d.RunStartedAt AS vs, d.RunId AS vr) AS n WHERE [{StagedOutranksNoted}]
  );
INSERT INTO dbo.BlobDeltaTombstone (TableName, stream_id, Scope, Reason, DeletedOn, RunStartedAt, RunId)
SELECT @P1, s.k, @P2, N'LeftScope', s.vm, s.vs, s.vr
FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaTombstone AS d WHERE d.TableName = @P1 AND d.stream_id = s.k AND d.Scope = @P2
);
DELETE o
FROM dbo.BlobDeltaReplayOther AS o
INNER JOIN #BlobDeltaStage AS s ON o.stream_id = s.k
WHERE o.TableName = @P1 AND o.Scope = @P2
  AND NOT EXISTS (
    SELECT 1 FROM (SELECT o.ModifiedOn AS vm, o.RunStartedAt AS vs, o.RunId AS vr) AS n WHERE [{NotedOutranksStaged}]
  );
-- What stays staged are the keys of rows that lose.
DELETE s
FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (
    SELECT 1
    FROM [{Standing}] AS v
    INNER JOIN dbo.BlobDeltaReplayRun AS r ON r.TableName = @P1 AND r.RunId = v.vr AND r.Scope = @P2
    WHERE v.k = [{ToKey(}]s.k[{)ToKey}] AND NOT [{StandingOutranksStaged}]
);
DELETE t
FROM [{Target}] AS t
INNER JOIN #BlobDeltaStage AS s ON t.[{Key}] = [{ToKey(}]s.k[{)ToKey}]
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayOther AS o WHERE o.TableName = @P1 AND o.stream_id = s.k);
SET @removed = @@ROWCOUNT;
DELETE m
FROM dbo.BlobDeltaReplayRow AS m
INNER JOIN #BlobDeltaStage AS s ON m.stream_id = s.k
WHERE m.TableName = @P1 AND NOT EXISTS (SELECT 1 FROM [{Target}] AS t WHERE t.[{Key}] = [{ToKey(}]s.k[{)ToKey}]);
[{Strip}]
UPDATE t
SET [{Modified}] = a.vm, [{Started}] = a.vs, [{Run}] = a.vr
FROM [{Marks}] AS t
INNER JOIN #BlobDeltaStage AS s ON t.[{MarkKey}] = [{MarkOfStaged}]
INNER JOIN [{Others}] AS a ON a.k = s.k
WHERE [{IsOfTable}] AND NOT EXISTS (SELECT 1 FROM [{Others}] AS b WHERE b.k = a.k AND [{OtherOutranksOther}]);
-- The chain whose the row is now is no other one.
DELETE o
FROM dbo.BlobDeltaReplayOther AS o
INNER JOIN #BlobDeltaStage AS s ON o.stream_id = s.k
WHERE o.TableName = @P1 AND EXISTS (SELECT 1 FROM [{Standing}] AS v WHERE v.k = [{ToKey(}]s.k[{)ToKey}] AND v.vr = o.RunId);
SELECT @removed AS Removed;

-- name: ignored_versions
-- A row that was written, and is not there; or is there with another version.
SELECT TOP (1) s.k FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (SELECT 1 FROM [{Target}] AS t WHERE t.[{Key}] = [{ToKey(}]s.k[{)ToKey}] AND t.DeltaRunId = s.vr)

-- name: ignored
-- A row that was written, and is not there.
SELECT TOP (1) s.k FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (SELECT 1 FROM [{Target}] AS t WHERE t.[{Key}] = [{ToKey(}]s.k[{)ToKey}])

-- name: take_turn
DECLARE @r int;
EXEC @r = sp_getapplock @Resource = @P1, @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 60000;
SELECT @r AS Result;

-- name: version_columns
-- Rule 14: keeps the versions of the rows that were written from #BlobDeltaStage, for a table (@P1)
-- that has no columns for them.
DELETE m
FROM dbo.BlobDeltaReplayRow AS m
INNER JOIN #BlobDeltaStage AS s ON m.stream_id = s.k
WHERE m.TableName = @P1;
INSERT INTO dbo.BlobDeltaReplayRow (TableName, stream_id, ModifiedOn, RunStartedAt, RunId)
SELECT @P1, s.k, s.vm, s.vs, s.vr
FROM #BlobDeltaStage AS s;

-- name: outranks
-- Rule 14: whether the version [{A}] outranks [{B}], both rows or both tombstones. Of two of one time that with the lesser
-- part wins: [{APart}] and [{BPart}] are 1 for a row without its large values where two chains compete, and 0 within a chain.
-- A version without a run came by another way, and is older than any that has one. RunIds are compared as text: the
-- order of their type is another one. Never unknown, because what asks may ask for NOT.
(
    CASE
        WHEN [{A}].vm > [{B}].vm THEN 1
        WHEN [{A}].vm IS NOT NULL AND [{B}].vm IS NULL THEN 1
        WHEN [{A}].vm < [{B}].vm OR ([{A}].vm IS NULL AND [{B}].vm IS NOT NULL) THEN 0
        WHEN [{APart}] <> [{BPart}] THEN [{BPart}] - [{APart}]
        WHEN ISNULL([{A}].vs, '0001-01-01') > ISNULL([{B}].vs, '0001-01-01') THEN 1
        WHEN ISNULL([{A}].vs, '0001-01-01') = ISNULL([{B}].vs, '0001-01-01')
            AND ISNULL(CONVERT(char(36), [{A}].vr), '00000000-0000-0000-0000-000000000000')
                > ISNULL(CONVERT(char(36), [{B}].vr), '00000000-0000-0000-0000-000000000000') COLLATE Latin1_General_BIN2 THEN 1
        ELSE 0
    END = 1
)

-- name: strip
-- Takes the large values from rows that stand by a version of a chain that has them without.
UPDATE t SET [{Nulls}] FROM [{Target}] AS t INNER JOIN #BlobDeltaStage AS s ON t.[{Key}] = [{ToKey(}]s.k[{)ToKey}]
INNER JOIN [{Others}] AS a ON a.k = s.k
WHERE a.vp = 1 AND NOT EXISTS (SELECT 1 FROM [{Others}] AS b WHERE b.k = a.k AND [{OtherOutranksOther}]);

-- name: others
-- What other chains than the row's have.
(
    SELECT
        o.stream_id AS k, o.Scope, o.ModifiedOn AS vm, o.RunStartedAt AS vs, o.RunId AS vr, CONVERT(int, o.IsPart) AS vp
    FROM dbo.BlobDeltaReplayOther AS o
    WHERE o.TableName = @P1
)

-- name: is_of_chain
-- Whether the row `t` was written by the chain that comes.
EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayRun AS r WHERE r.TableName = @P1 AND r.RunId = t.vr AND r.Scope = @P2)

-- name: update_rows
-- For write_rows.
UPDATE t SET [{Values}] FROM [{Target}] AS t INNER JOIN #BlobDeltaStage AS s ON t.[{Key}] = [{ToKey(}]s.k[{)ToKey}];
SET @written = @@ROWCOUNT

-- name: write_rows
-- Writes what is staged, and says how many rows that are.
DECLARE @written bigint;
[{Update}];
INSERT INTO [{Target}] ([{Names}])
SELECT [{Values}] FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (SELECT 1 FROM [{Target}] AS t WHERE t.[{Key}] = [{ToKey(}]s.k[{)ToKey}])
ORDER BY s.n;
SET @written = @written + @@ROWCOUNT;
SELECT @written AS Written;

-- name: lost_in_column
-- For lost_characters.
WHEN RTRIM(CONVERT(nvarchar(max), t.[{Column}])) COLLATE Latin1_General_BIN2 <> RTRIM(s.c[{Nth}]) COLLATE Latin1_General_BIN2
THEN [{Nth}]

-- name: lost_characters
-- The first row whose text is not what came.
SELECT TOP (1) f.nth, f.k FROM (SELECT CASE [{Whens}] END AS nth, s.k FROM [{Target}] AS t
INNER JOIN #BlobDeltaStage AS s ON t.[{Key}] = [{ToKey(}]s.k[{)ToKey}]) AS f WHERE f.nth IS NOT NULL
