-- Rules 7 and 17: what left a business unit stays at its receivers while one of its children does; one level a turn.
-- CROSS JOIN keeps SQLite to this order of tables: from the keys that left down to their children.
DELETE FROM "#Left" WHERE stream_id IN (
    SELECT l.stream_id
    FROM "#Left" AS l
    CROSS JOIN {SourceTable} AS p ON p.{KeyColumn} = l.stream_id
    CROSS JOIN {SourceTable} AS c ON c.{ParentPathColumn} = p.{PathColumn}
    WHERE c.{KeyColumn} NOT IN (SELECT o.stream_id FROM "#Left" AS o)
        AND EXISTS (
            SELECT 1 FROM BlobDeltaShippedKey AS k
            WHERE k.TableName = @TableName AND k.BusinessUnitId = @BusinessUnitId AND k.stream_id = c.{KeyColumn}
        )
);
