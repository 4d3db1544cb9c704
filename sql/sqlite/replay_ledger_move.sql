-- Moves the ledger of one part from ?6 rows to ?4; changes nothing if it stands elsewhere.
INSERT INTO {Schema}.BlobDeltaReplayLedger (RootSha256, TableName, Part, Rows, Complete, AppliedAt)
SELECT ?1, ?2, ?3, ?4, ?5, ?7
WHERE ?6 = coalesce(
    (SELECT iif(l.Complete, -1, l.Rows) FROM {Schema}.BlobDeltaReplayLedger AS l
     WHERE l.RootSha256 = ?1 AND l.TableName = ?2 AND l.Part = ?3),
    0
)
ON CONFLICT (RootSha256, TableName, Part) DO UPDATE
SET Rows = excluded.Rows, Complete = excluded.Complete, AppliedAt = excluded.AppliedAt;
