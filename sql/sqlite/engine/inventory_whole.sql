-- What no window and no scan of keys finds, of the whole table ?1; ?2 is now, in the table's clock.
SELECT
    (
        SELECT count(*) FROM {SourceTable} AS s
        WHERE NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = s.{KeyColumn})
    ),
    (SELECT count(*) FROM BlobDeltaDeletionLog AS d WHERE d.TableName = ?1 AND d.Reason = 'Deleted'),
    (SELECT count(*) FROM BlobDeltaDeletionLog AS d WHERE d.TableName = ?1 AND d.DeletedOn > ?2);
