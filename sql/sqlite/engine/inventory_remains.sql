-- What is left of the key ?2 of the table ?1: its row, its greatest stamp in whatever scope, and what was logged of its
-- deletion, and of its leaving the scope of ?3.
SELECT
    EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = ?2),
    (SELECT max(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = ?2),
    (
        SELECT max(d.DeletedOn) FROM BlobDeltaDeletionLog AS d
        WHERE d.TableName = ?1 AND d.stream_id = ?2 AND d.Reason = 'Deleted'
    ),
    (
        SELECT max(d.DeletedOn) FROM BlobDeltaDeletionLog AS d
        WHERE d.TableName = ?1 AND d.stream_id = ?2 AND d.Reason = 'LeftScope' AND d.BusinessUnit IS ?3
    );
