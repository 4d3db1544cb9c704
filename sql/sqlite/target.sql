-- name: ledger_read
-- What was applied of one bundle to one table.
SELECT Part, Rows, Complete, AppliedAt
FROM {Schema}.BlobDeltaReplayLedger
WHERE RootSha256 = ?1 AND TableName = ?2
ORDER BY Part;

-- name: bundle_read
SELECT SourceId, Scope, RootSha256, WindowStart, WindowEnd, Gap, WithinRootSha256, PreviousRootSha256, IsOtherSource,
    SourceTable, Columns
FROM {Schema}.BlobDeltaReplayBundle
WHERE TableName = ?1
ORDER BY WindowStart, RootSha256;

-- name: bundle_note
-- What was noted before stays; a bundle that had come in another gets its own window, and one that another was compacted
-- without (its Gap says so) has come.
INSERT INTO {Schema}.BlobDeltaReplayBundle
    (TableName, RootSha256, SourceId, Scope, WindowStart, WindowEnd, Gap, WithinRootSha256, NotedAt,
     PreviousRootSha256, IsOtherSource, SourceTable, Columns)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
ON CONFLICT (TableName, RootSha256) DO UPDATE
SET WindowStart = excluded.WindowStart, WindowEnd = excluded.WindowEnd, Gap = excluded.Gap,
    WithinRootSha256 = excluded.WithinRootSha256, NotedAt = excluded.NotedAt,
    PreviousRootSha256 = excluded.PreviousRootSha256, IsOtherSource = excluded.IsOtherSource, Columns = excluded.Columns
WHERE WindowEnd IS NULL AND (excluded.WindowEnd IS NOT NULL OR (Gap IS NOT NULL AND excluded.Gap IS NULL));
