-- name: changed_scripts
-- The scripts that a run of one table (@P1) carries out: its own, or else the shared ones.
SELECT s.ScriptName, s.TableName, s.ScriptText
FROM BlobDeltaJobs.dbo.BlobDeltaStepScript AS s
WHERE s.TableName = @P1 OR (s.TableName IS NULL AND NOT EXISTS (
    SELECT 1 FROM BlobDeltaJobs.dbo.BlobDeltaStepScript AS o WHERE o.TableName = @P1 AND o.StepNumber = s.StepNumber
))
UNION ALL
SELECT q.QueueName, q.TableName, q.ScriptText
FROM BlobDeltaJobs.dbo.BlobDeltaQueuePopulationScript AS q
WHERE q.TableName = @P1 OR (q.TableName IS NULL AND NOT EXISTS (
    SELECT 1 FROM BlobDeltaJobs.dbo.BlobDeltaQueuePopulationScript AS o WHERE o.TableName = @P1 AND o.QueueName = q.QueueName
));

-- name: shared_templates
SELECT ScriptName, ScriptText FROM dbo.BlobDeltaStepScript WHERE TableName IS NULL
UNION ALL SELECT QueueName, ScriptText FROM dbo.BlobDeltaQueuePopulationScript WHERE TableName IS NULL
