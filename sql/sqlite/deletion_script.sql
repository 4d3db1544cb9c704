-- name: audit_insert
-- For whoever has deletions in a table of audit records: printed, and not sent. Other programs have no functions of ours.
INSERT INTO BlobDeltaDeletionLog (TableName, stream_id, DeletedOn)
-- Logs the deletions that {Audit} has, the latest of each key. Call it before every run, in a connection whose main database is
-- BlobDeltaJobs.sqlite, and that has the other one attached: what is logged already is not logged again.
SELECT {Name}, r.stream_id, r.DeletedOn
FROM (
    SELECT {Id} AS stream_id, max({DeletedOn}) AS DeletedOn
    FROM {Audit} AS a
    WHERE a.{Key} IS NOT NULL AND {Condition}
    GROUP BY a.{Key}
) AS r
WHERE r.DeletedOn IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM BlobDeltaDeletionLog AS l
    WHERE l.TableName = {Name} AND l.stream_id = r.stream_id AND l.DeletedOn >= r.DeletedOn
);
