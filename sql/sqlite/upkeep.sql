-- name: templates
SELECT TableName, ScriptName, ScriptText FROM BlobDeltaStepScript
UNION ALL SELECT TableName, QueueName, ScriptText FROM BlobDeltaQueuePopulationScript

-- name: has_index
SELECT EXISTS (SELECT 1 FROM pragma_index_list(?1, ?2) AS l
    WHERE (SELECT i.name FROM pragma_index_info(l.name, ?2) AS i WHERE i.seqno = 0) = ?3 COLLATE NOCASE)
    OR EXISTS (SELECT 1 FROM pragma_table_info(?1, ?2) WHERE pk = 1 AND name = ?3 COLLATE NOCASE)
