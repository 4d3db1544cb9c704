-- Rule 17: what everybody asked for is asked for by this run's scope, and by every scope that has a watermark.
INSERT INTO BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt, WithoutMetadata)
SELECT p.TableName, s.Scope, p.stream_id, p.Reason, p.CreatedAt, p.WithoutMetadata
FROM BlobDeltaPendingKey AS p
CROSS JOIN (
    SELECT @Scope AS Scope
    UNION
    SELECT 'all' FROM BlobDeltaHighWatermark
    WHERE TableName = @TableName AND LastHighWaterModifiedOn IS NOT NULL
    UNION
    SELECT
        lower(
            substr(u.Hex, 1, 8) || '-' || substr(u.Hex, 9, 4) || '-' || substr(u.Hex, 13, 4) || '-'
            || substr(u.Hex, 17, 4) || '-' || substr(u.Hex, 21)
        )
    FROM (
        SELECT hex(BusinessUnitId) AS Hex FROM BlobDeltaBusinessUnitWatermark
        WHERE TableName = @TableName AND LastHighWaterModifiedOn IS NOT NULL
    ) AS u
) AS s
WHERE p.TableName = @TableName AND p.Scope = ''
ON CONFLICT (TableName, Scope, stream_id) DO UPDATE SET WithoutMetadata = max(WithoutMetadata, excluded.WithoutMetadata);
