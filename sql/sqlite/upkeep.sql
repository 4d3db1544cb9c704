-- name: templates
SELECT TableName, ScriptName, ScriptText FROM BlobDeltaStepScript
UNION ALL SELECT TableName, QueueName, ScriptText FROM BlobDeltaQueuePopulationScript

-- name: has_index
-- An index that begins with the column ?3 and goes on with ?4, unless that is NULL; a primary key is one.
SELECT EXISTS (SELECT 1 FROM pragma_index_list(?1, ?2) AS l
    WHERE (SELECT i.name FROM pragma_index_info(l.name, ?2) AS i WHERE i.seqno = 0) = ?3 COLLATE NOCASE
        AND (?4 IS NULL OR (SELECT i.name FROM pragma_index_info(l.name, ?2) AS i WHERE i.seqno = 1) = ?4 COLLATE NOCASE))
    OR ?4 IS NULL AND EXISTS (SELECT 1 FROM pragma_table_info(?1, ?2) WHERE pk = 1 AND name = ?3 COLLATE NOCASE)
