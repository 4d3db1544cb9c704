-- Which entries of BlobDeltaDeletionLog may go, of the table ?2: they were logged before ?3, and every scope that has to be
-- told of them was, by a run before its newest.
TableName = ?2 AND LoggedAt < ?3 AND NOT EXISTS (
    SELECT 1 FROM temp.PruneScope AS s
    WHERE s.TableName = ?2
        AND CASE Reason
            WHEN 'LeftScope' THEN s.BusinessUnitId IS BusinessUnit
            ELSE s.BusinessUnitId IS NULL OR EXISTS (
                SELECT 1 FROM BlobDeltaShippedKey AS k
                WHERE k.TableName = ?2 AND k.Scope = s.Scope
                    AND k.stream_id = BlobDeltaDeletionLog.stream_id
            )
        END
        AND NOT EXISTS (
            SELECT 1 FROM BlobDeltaToldDeletion AS t
            WHERE t.TableName = ?2 AND t.Scope = s.Scope AND t.stream_id = BlobDeltaDeletionLog.stream_id
                AND t.IsDeletion = (Reason = 'Deleted') AND t.DeletedOn >= BlobDeltaDeletionLog.DeletedOn
                AND t.RunId <> s.RunId
        )
)
