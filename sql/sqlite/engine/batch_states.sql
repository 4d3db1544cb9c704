-- How each key of the batch ended: Copied; HeldBack (re-stamped to the window's end or later; one that was held back
-- before, to a day after the run's start or later, rule 27);
-- Moved (it is a child now, and step 3 takes it); Absent (metadata in scope, but no such row in
-- the source); Gone (neither, or out of scope now). NULL: the template left it out, which is an
-- error of the template.
UPDATE "#Batch" AS b SET State = CASE
    WHEN EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = b.stream_id) THEN 'Copied'
    WHEN (
        SELECT max(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m
        WHERE m.{MetadataIdColumn} = b.stream_id AND {InScope}
    ) >= iif(b.WasHeldBack, @Latest, @WindowEnd) THEN 'HeldBack'
    WHEN NOT EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = b.stream_id) THEN
        CASE
            WHEN EXISTS (
                SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = b.stream_id AND {InScope}
            ) THEN 'Absent'
            ELSE 'Gone'
        END
    WHEN NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = b.stream_id AND {InScope}
    ) AND NOT (b.WithoutMetadata AND NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = b.stream_id
    )) THEN 'Gone'
    WHEN @Step = 1 AND EXISTS (
        SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = b.stream_id AND {ParentPath} IS NOT NULL
    ) THEN 'Moved'
END;
