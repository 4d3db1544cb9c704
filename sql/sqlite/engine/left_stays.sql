-- Rules 7 and 17: what left a scope stays at its receivers while one of its children does; one level a turn. What the
-- receivers of all units have is not kept, so that there any child counts that has not left. One that is excluded is handed to
-- nobody, and holds what lies above the rows below it.
-- CROSS JOIN keeps SQLite to this order of tables: from the keys that left down to their children.
UPDATE "#Left" SET Stays = 1 WHERE NOT Stays AND stream_id IN (
    SELECT l.stream_id
    FROM "#Left" AS l
    CROSS JOIN {SourceTable} AS p ON p.{KeyColumn} = l.stream_id
    CROSS JOIN {SourceTable} AS c ON c.{ParentPathColumn} = p.{PathColumn}
    WHERE NOT l.Stays AND c.{KeyColumn} NOT IN (SELECT o.stream_id FROM "#Left" AS o WHERE NOT o.Stays)
        AND (@BusinessUnitId IS NULL OR EXISTS (
            SELECT 1 FROM BlobDeltaShippedKey AS k
            WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = c.{KeyColumn}
        ) OR c.{KeyColumn} IS @ExcludedStreamId OR EXISTS (
            SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = c.{KeyColumn}
        ))
);
