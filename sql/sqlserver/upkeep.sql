-- name: edition_with_backup
SELECT CONVERT(int, SERVERPROPERTY('EngineEdition')) AS Edition
WHERE CONVERT(int, SERVERPROPERTY('EngineEdition')) IN (2, 3, 4, 8)
    AND DB_ID(N'msdb') IS NOT NULL AND OBJECT_ID(N'msdb.dbo.backupset') IS NOT NULL

-- name: backup_rights
SELECT
    HAS_PERMS_BY_NAME(QUOTENAME(@P1), N'DATABASE', N'BACKUP DATABASE') AS IsAllowed,
    CASE
        WHEN HAS_PERMS_BY_NAME(NULL, NULL, N'CREATE ANY DATABASE') = 1
            OR HAS_PERMS_BY_NAME(N'master', N'DATABASE', N'CREATE DATABASE') = 1 THEN 1
        ELSE 0
    END AS IsVerifier,
    QUOTENAME(SUSER_SNAME()) AS LoginName
WHERE DB_ID(@P1) IS NOT NULL

-- name: managed_keys
SELECT COUNT(*)
FROM sys.dm_database_encryption_keys AS k
WHERE k.encryption_state <> 0 AND k.encryptor_type = N'CERTIFICATE' AND k.database_id = DB_ID(@P1)

-- name: is_compressing
SELECT CASE
    WHEN CONVERT(int, SERVERPROPERTY('EngineEdition')) = 4 OR CONVERT(bigint, SERVERPROPERTY('EditionID')) = 1293598313 THEN 0
    ELSE 1
END AS IsCompressing

-- name: backup_size
SELECT TOP (1) CONVERT(bigint, backup_size), CONVERT(bigint, compressed_backup_size)
FROM msdb.dbo.backupset
WHERE database_name = @P1
ORDER BY backup_set_id DESC
