-- name: is_deleted
-- Whether the key of a row of the metadata AS m is deleted by DeletedWhen, as the engine has it: by the row of this key, in
-- scope, whose stamp counts; of several with this stamp by one that is deleted.
COALESCE((
    SELECT TOP (1) CASE WHEN [{Condition}] THEN 1 ELSE 0 END AS IsDeleted FROM [{Metadata}] AS w
    WHERE w.[{Id}] = m.[{Id}] AND [{InScopeOrDeleted}] ORDER BY [{Stamp}] DESC, IsDeleted DESC
), 0) = 1

-- name: remains
-- What is left of the keys in #BlobDeltaStage: the source's row, its greatest stamp in whatever scope, whether the runs of
-- the scope @P2 know that they handed it out, by [{IsHanded}], and the latest that is logged, and that the next run of the
-- scope tells: of its deletion, and of its leaving, which [{OfScope}] names as the log does; and the latest leaving that was told. A run of a business unit
-- tells deletions of what it handed out alone; all units are not asked. Last come whether a key is deleted by DeletedWhen, by
-- which stamp, whether it was asked for, and whether it is never captured. @P1 is the configured table, @P3 the latest time that
-- a run would tell, @P4 the key that is never captured (the id of no key for none);
-- [{InScopeOrDeleted}] and [{IsDeleted}] are conditions on m.
SELECT
    k.n,
    CASE WHEN EXISTS (SELECT 1 FROM [{SourceTable}] AS s [{SourceHint}] WHERE s.[{KeyColumn}] = [{ToKey(}]k.k[{)ToKey}]) THEN 1 ELSE 0 END AS IsThere,
    (
        SELECT CONVERT(datetime2(7), MAX([{ModifiedOn}])) FROM [{MetadataTable}] AS m
        WHERE m.[{MetadataIdColumn}] = [{ToKey(}]k.k[{)ToKey}]
    ) AS ModifiedOn,
    CASE WHEN [{IsHanded}] THEN 1 ELSE 0 END AS IsHanded,
    (
        SELECT CONVERT(datetime2(7), MAX(d.DeletedOn)) FROM dbo.BlobDeltaDeletionLog AS d
        WHERE d.TableName = @P1 AND d.stream_id = k.k AND d.Reason = N'Deleted' AND d.DeletedOn <= @P3 AND [{IsHanded}]
            AND NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaReportedDeletion AS t
                WHERE t.TableName = @P1 AND t.Scope = @P2 AND t.stream_id = k.k AND t.IsDeletion = 1 AND t.DeletedOn >= d.DeletedOn
            )
    ) AS DeletedOn,
    (
        SELECT CONVERT(datetime2(7), MAX(d.DeletedOn)) FROM dbo.BlobDeltaDeletionLog AS d
        WHERE d.TableName = @P1 AND d.stream_id = k.k AND d.Reason = N'LeftScope' AND [{OfScope}] AND d.DeletedOn <= @P3
            AND NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaReportedDeletion AS t
                WHERE t.TableName = @P1 AND t.Scope = @P2 AND t.stream_id = k.k AND t.IsDeletion = 0 AND t.DeletedOn >= d.DeletedOn
            )
    ) AS LeftOn,
    (
        SELECT CONVERT(datetime2(7), MAX(t.DeletedOn)) FROM dbo.BlobDeltaReportedDeletion AS t
        WHERE t.TableName = @P1 AND t.Scope = @P2 AND t.stream_id = k.k AND t.IsDeletion = 0
    ) AS ReportedOn,
    CASE WHEN EXISTS (
        SELECT 1 FROM [{MetadataTable}] AS m WHERE m.[{MetadataIdColumn}] = [{ToKey(}]k.k[{)ToKey}] AND [{InScopeOrDeleted}] AND [{IsDeleted}]
    ) THEN 1 ELSE 0 END AS IsFlagged,
    (
        SELECT CONVERT(datetime2(7), MAX([{ModifiedOn}])) FROM [{MetadataTable}] AS m
        WHERE m.[{MetadataIdColumn}] = [{ToKey(}]k.k[{)ToKey}] AND [{InScopeOrDeleted}] AND [{IsDeleted}]
    ) AS FlaggedOn,
    CASE WHEN EXISTS (
        SELECT 1 FROM dbo.BlobDeltaPendingKey AS p WHERE p.TableName = @P1 AND p.Scope IN (N'', @P2) AND p.stream_id = k.k
    ) THEN 1 ELSE 0 END AS IsPending,
    CASE WHEN k.k = @P4 OR EXISTS (
        SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @P1 AND e.stream_id = k.k
    ) THEN 1 ELSE 0 END AS IsExcluded
FROM #BlobDeltaStage AS k
ORDER BY k.n;

-- name: handed_to_unit
EXISTS (SELECT 1 FROM dbo.BlobDeltaShippedKey AS u WHERE u.TableName = @P1 AND u.Scope = @P2 AND u.stream_id = k.k)

-- name: parents
-- The parents of the rows in #BlobDeltaStage, as far as the source has them: whether each is in scope, its greatest stamp in
-- whatever scope, whether the next run of the scope @P3 brings it (it was asked for, was absent, or was reported as deleted), and
-- whether it is never captured. @P1 is the configured table, @P2 the key that is never captured (the id of no key for none); [{InScope}] is a
-- condition on m, [{Path}] an expression on p.
SELECT
    k.n,
    [{ToId(}]p.[{KeyColumn}][{)ToId}],
    CASE WHEN EXISTS (
        SELECT 1 FROM [{MetadataTable}] AS m WHERE m.[{MetadataIdColumn}] = p.[{KeyColumn}] AND [{InScope}]
    ) THEN 1 ELSE 0 END AS IsInScope,
    (
        SELECT CONVERT(datetime2(7), MAX([{ModifiedOn}])) FROM [{MetadataTable}] AS m
        WHERE m.[{MetadataIdColumn}] = p.[{KeyColumn}]
    ) AS ModifiedOn,
    CASE
        WHEN EXISTS (
            SELECT 1 FROM dbo.BlobDeltaPendingKey AS a
            WHERE a.TableName = @P1 AND a.Scope IN (N'', @P3) AND a.stream_id = [{ToId(}]p.[{KeyColumn}][{)ToId}]
        ) THEN 1
        WHEN EXISTS (
            SELECT 1 FROM dbo.BlobDeltaAbsentParent AS a
            WHERE a.TableName = @P1 AND a.Scope = @P3 AND a.stream_id = k.k AND a.RunId IS NULL
        ) THEN 1
        WHEN EXISTS (
            SELECT 1 FROM dbo.BlobDeltaReportedDeletion AS d
            WHERE d.TableName = @P1 AND d.Scope = @P3 AND d.stream_id = [{ToId(}]p.[{KeyColumn}][{)ToId}] AND d.IsDeletion = 1
                AND d.PassedByRunId IS NULL
        ) THEN 1
        ELSE 0
    END AS IsComing,
    CASE WHEN [{ToId(}]p.[{KeyColumn}][{)ToId}] = @P2 OR EXISTS (
        SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @P1 AND e.stream_id = [{ToId(}]p.[{KeyColumn}][{)ToId}]
    ) THEN 1 ELSE 0 END AS IsExcluded,
    [{Path}] AS Path
FROM #BlobDeltaStage AS k
INNER JOIN [{SourceTable}] AS c [{SourceHint}] ON c.[{KeyColumn}] = [{ToKey(}]k.k[{)ToKey}]
INNER JOIN [{SourceTable}] AS p [{SourceHint}] ON p.[{PathColumn}] = c.[{ParentPathColumn}]
ORDER BY k.n;

-- name: whole
-- What no window and no scan of keys finds, of the whole table @P1; @P2 is now, in the table's clock.
SELECT
    (
        SELECT COUNT_BIG(*) FROM [{SourceTable}] AS s [{SourceHint}]
        WHERE NOT EXISTS (SELECT 1 FROM [{MetadataTable}] AS m WHERE m.[{MetadataIdColumn}] = s.[{KeyColumn}])
    ) AS WithoutMetadata,
    (SELECT COUNT_BIG(*) FROM dbo.BlobDeltaDeletionLog AS d WHERE d.TableName = @P1 AND d.Reason = N'Deleted') AS LoggedDeletions,
    (SELECT COUNT_BIG(*) FROM dbo.BlobDeltaDeletionLog AS d WHERE d.TableName = @P1 AND d.DeletedOn > @P2) AS FutureDeletions
OPTION (RECOMPILE);

-- name: inventory
-- The next @P1 keys of the metadata that are in scope, and what the source has of them. @P2 is the
-- configured table, @P3 the key that is never captured (the id of no key for none), @P4 whose runs are meant; [{After}]
-- and [{InScope}] are conditions on m, [{Path}] an expression on s.
SELECT
    k.stream_id,
    k.ModifiedOn,
    CASE WHEN s.[{KeyColumn}] IS NULL THEN 0 ELSE 1 END AS IsThere,
    CASE WHEN EXISTS (
        SELECT 1 FROM dbo.BlobDeltaPendingKey AS p
        WHERE p.TableName = @P2 AND p.Scope IN (N'', @P4) AND p.stream_id = k.stream_id
    ) THEN 1 ELSE 0 END AS IsPending,
    CASE WHEN k.stream_id = @P3 OR EXISTS (
        SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @P2 AND e.stream_id = k.stream_id
    ) THEN 1 ELSE 0 END AS IsExcluded,
    [{Path}] AS Path
FROM (
    SELECT TOP (@P1) [{ToId(}]m.[{MetadataIdColumn}][{)ToId}] AS stream_id, CONVERT(datetime2(7), MAX([{ModifiedOn}])) AS ModifiedOn
    FROM [{MetadataTable}] AS m
    WHERE [{After}] AND [{InScope}]
    GROUP BY m.[{MetadataIdColumn}]
    ORDER BY m.[{MetadataIdColumn}]
) AS k
LEFT JOIN [{SourceTable}] AS s [{SourceHint}] ON s.[{KeyColumn}] = [{ToKey(}]k.stream_id[{)ToKey}]
ORDER BY [{ToKey(}]k.stream_id[{)ToKey}];

-- name: unfit_deletion
-- The first entry of the deletion log that a run of the scope [{Scope}] tells of the table [{Table}], as the script Deletions has it, and
-- whose key is no integer from [{Least}] to [{Most}]. [{Unit}] is its business unit; what was logged since [{Again}] is told again.
SELECT TOP (1) l.DeletionId, l.stream_id
FROM dbo.BlobDeltaDeletionLog AS l
WHERE l.TableName = [{Table}]
    AND (
        (l.Reason = N'LeftScope' AND (l.BusinessUnit = [{Unit}] OR ([{Unit}] IS NULL AND l.BusinessUnit IS NULL)))
        OR (l.Reason = N'Deleted' AND ([{Unit}] IS NULL OR EXISTS (
            SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
            WHERE k.TableName = [{Table}] AND k.Scope = [{Scope}] AND k.stream_id = l.stream_id
        )))
    )
    AND LEFT(CONVERT(nvarchar(36), l.stream_id), 18) = N'00000000-0000-0000'
    AND ([{ToKey(}]l.stream_id[{)ToKey}] < [{Least}] OR [{ToKey(}]l.stream_id[{)ToKey}] > [{Most}])
    AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaReportedDeletion AS t
        WHERE t.TableName = [{Table}] AND t.Scope = [{Scope}] AND t.stream_id = l.stream_id
            AND t.IsDeletion = CASE l.Reason WHEN N'Deleted' THEN 1 ELSE 0 END AND t.DeletedOn >= l.DeletedOn
            AND ([{Again}] IS NULL OR l.LoggedAt < [{Again}])
    )
ORDER BY l.DeletionId
OPTION (RECOMPILE);
