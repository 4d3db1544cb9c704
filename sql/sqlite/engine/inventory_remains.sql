-- What is left of the key ?2 of the table ?1: its row, its greatest stamp in whatever scope, whether the runs of the scope
-- know that they handed it out, and the latest that is logged, and that the next run of the scope tells: of its deletion,
-- and of its leaving; and the latest leaving that was told. A run of the business unit ?3 tells deletions of what it handed out alone; all units are not asked.
-- ?4 is the scope as text, ?5 the latest time that a run would tell.
SELECT
    EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = ?2),
    (SELECT max(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = ?2),
    ?3 IS NULL OR EXISTS (
        SELECT 1 FROM BlobDeltaShippedKey AS k WHERE k.TableName = ?1 AND k.Scope = ?4 AND k.stream_id = ?2
    ),
    (
        SELECT max(d.DeletedOn) FROM BlobDeltaDeletionLog AS d
        WHERE d.TableName = ?1 AND d.stream_id = ?2 AND d.Reason = 'Deleted' AND d.DeletedOn <= ?5
            AND (?3 IS NULL OR EXISTS (
                SELECT 1 FROM BlobDeltaShippedKey AS k
                WHERE k.TableName = ?1 AND k.Scope = ?4 AND k.stream_id = ?2
            ))
            AND NOT EXISTS (
                SELECT 1 FROM BlobDeltaToldDeletion AS t
                WHERE t.TableName = ?1 AND t.Scope = ?4 AND t.stream_id = ?2 AND t.IsDeletion = 1 AND t.DeletedOn >= d.DeletedOn
            )
    ),
    (
        SELECT max(d.DeletedOn) FROM BlobDeltaDeletionLog AS d
        WHERE d.TableName = ?1 AND d.stream_id = ?2 AND d.Reason = 'LeftScope' AND d.BusinessUnit IS ?3 AND d.DeletedOn <= ?5
            AND NOT EXISTS (
                SELECT 1 FROM BlobDeltaToldDeletion AS t
                WHERE t.TableName = ?1 AND t.Scope = ?4 AND t.stream_id = ?2 AND t.IsDeletion = 0 AND t.DeletedOn >= d.DeletedOn
            )
    ),
    (
        SELECT max(t.DeletedOn) FROM BlobDeltaToldDeletion AS t
        WHERE t.TableName = ?1 AND t.Scope = ?4 AND t.stream_id = ?2 AND t.IsDeletion = 0
    );
