-- Rule 15: LoggedAt selects, DeletedOn competes. The lower bound is the last completed run's
-- start less the buffer, so that an entry that was committed late is not lost.
INSERT INTO {SliceSchema}.BlobDeltaDeletion (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt)
SELECT d.TableName, d.stream_id, max(d.DeletedOn), d.BusinessUnit, d.LoggedAt
FROM BlobDeltaDeletionLog AS d
WHERE d.TableName = @TableName AND d.LoggedAt >= @DeletionsFrom
    AND (@BusinessUnitId IS NULL OR d.BusinessUnit IS NULL OR d.BusinessUnit = @BusinessUnitId)
GROUP BY d.stream_id;
