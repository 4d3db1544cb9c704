-- Rule 15: what this slice says was deleted, or left, its scope has been told.
INSERT OR IGNORE INTO BlobDeltaToldDeletion (TableName, Scope, stream_id, IsDeletion, DeletedOn, RunId)
SELECT @TableName, @Scope, d.stream_id, d.Reason = 'Deleted', d.DeletedOn, @RunId
FROM {SliceSchema}.BlobDeltaDeletion AS d
WHERE d.TableName = @TableName;
