-- Rules 15 and 17: a run that goes back tells again what left its scope by runs that started since. What has come back is
-- taken out again when the slice completes.
INSERT OR IGNORE INTO {SliceSchema}.BlobDeltaDeletion (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
SELECT @TableName, t.stream_id, max(t.DeletedOn), @BusinessUnitId, max(r.RunStartedAt), 'LeftScope'
FROM BlobDeltaToldDeletion AS t
INNER JOIN BlobDeltaRun AS r ON r.RunId = t.RunId
WHERE t.TableName = @TableName AND t.Scope = @Scope AND NOT t.IsDeletion AND r.RunStartedAt >= @DeletionsFrom
GROUP BY t.stream_id;
