-- Rule 15: LoggedAt selects, DeletedOn competes. The lower bound is the last completed run's
-- start less the buffer, so that an entry that was committed late is not lost. A key that left a scope
-- (rule 17) is told to that scope alone; on a tie the deletion outranks it. The runs of a business unit tell
-- deletions of what they have handed out, whatever unit the log names.
INSERT INTO {SliceSchema}.BlobDeltaDeletion (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
SELECT @TableName, d.stream_id, d.DeletedOn, d.BusinessUnit, d.LoggedAt, d.Reason
FROM (
    SELECT
        l.*, row_number() OVER (PARTITION BY l.stream_id ORDER BY l.DeletedOn DESC, l.Reason, l.DeletionId DESC) AS Newest
    FROM BlobDeltaDeletionLog AS l
    WHERE l.TableName = @TableName AND l.LoggedAt >= @DeletionsFrom
        AND CASE l.Reason
            WHEN 'LeftScope' THEN l.BusinessUnit IS @BusinessUnitId
            ELSE @BusinessUnitId IS NULL OR EXISTS (
                SELECT 1 FROM BlobDeltaShippedKey AS k
                WHERE k.TableName = @TableName AND k.BusinessUnitId = @BusinessUnitId AND k.stream_id = l.stream_id
            )
        END
) AS d
WHERE d.Newest = 1;
