-- Rule 15: an entry is due until this scope has told a deletion of its key that is as late or later; DeletedOn competes.
-- LoggedAt has no say, but that a run which goes back takes again what was logged since then. A key that left a
-- scope (rule 17) is told to that scope alone; on a tie the deletion outranks it. The runs of a business unit tell
-- deletions of what they have handed out, whatever unit the log names. What is dated too late is not told (rule 27).
INSERT INTO {SliceSchema}.BlobDeltaDeletion (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
SELECT @TableName, d.stream_id, d.DeletedOn, d.BusinessUnit, d.LoggedAt, d.Reason
FROM (
    SELECT
        l.*, row_number() OVER (PARTITION BY l.stream_id ORDER BY l.DeletedOn DESC, l.Reason, l.DeletionId DESC) AS Newest
    FROM BlobDeltaDeletionLog AS l
    WHERE l.TableName = @TableName AND l.DeletedOn <= @Latest
        AND CASE l.Reason
            WHEN 'LeftScope' THEN l.BusinessUnit IS @BusinessUnitId
            ELSE @BusinessUnitId IS NULL OR EXISTS (
                SELECT 1 FROM BlobDeltaShippedKey AS k
                WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = l.stream_id
            )
        END
        AND NOT EXISTS (
            SELECT 1 FROM BlobDeltaToldDeletion AS t
            WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = l.stream_id
                AND t.IsDeletion = (l.Reason = 'Deleted') AND t.DeletedOn >= l.DeletedOn
                AND (@DeletionsFrom IS NULL OR l.LoggedAt < @DeletionsFrom)
        )
) AS d
WHERE d.Newest = 1;
