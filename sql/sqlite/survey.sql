-- name: odd_units
-- Business units that are no uniqueidentifier.
SELECT m.{MetadataBusinessUnitCol}, m.{MetadataIdColumn} FROM {MetadataTable} AS m
WHERE m.{MetadataBusinessUnitCol} IS NOT NULL AND (
    typeof(m.{MetadataBusinessUnitCol}) <> 'blob' OR octet_length(m.{MetadataBusinessUnitCol}) <> 16)

-- name: new_deletions
-- Logged deletions that no slice of the scope has reported.
SELECT DeletionId, stream_id, BusinessUnit, DeletedOn, LoggedAt FROM BlobDeltaDeletionLog AS l
WHERE TableName = ?1 AND NOT EXISTS (
    SELECT 1 FROM BlobDeltaReportedDeletion AS t
    WHERE t.TableName = ?1 AND t.Scope IN ('all', ?2) AND t.stream_id = l.stream_id
        AND t.IsDeletion = (l.Reason = 'Deleted') AND t.DeletedOn >= l.DeletedOn)
