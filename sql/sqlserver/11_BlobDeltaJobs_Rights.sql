-- 11: the role of the account that runs. Version 6.
--
-- BlobDeltaRunner may start, resume, pack and look at runs, ask for keys, exclude them and log deletions. It may not write what
-- says how a run is done: configuration, script templates, prepared scripts, the source's identity. Those are the deployer's:
-- whoever writes a template or a configuration has the next run carry it out under the rights of whoever starts it, and an
-- administrator's are wider than his own. The procedures write such tables for him (their owner is that of the tables).
--
-- Can be run again at any time. A member is added by ALTER ROLE BlobDeltaRunner ADD MEMBER …; rights in the sources and slices are
-- given there. A table of the job database stands in exactly one of the two lists below.
SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO
USE BlobDeltaJobs;
GO
-- A newer version is refused; NOEXEC keeps a client that goes on after an error from going on.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'11_BlobDeltaJobs_Rights.sql' AND Version > 6)
BEGIN
    RAISERROR (N'This job database was deployed by a newer version of 11_BlobDeltaJobs_Rights.sql. Use the newer script; this one changes nothing.', 16, 1);
    SET NOEXEC ON;
END;
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'05_BlobDeltaJobs_Engine.sql' AND Version >= 6)
BEGIN
    RAISERROR (N'The engine of this job database is missing, or older than this script. Run 05_BlobDeltaJobs_Engine.sql first; nothing was changed.', 16, 1);
    SET NOEXEC ON;
END;
GO
IF DATABASE_PRINCIPAL_ID(N'BlobDeltaRunner') IS NULL EXEC (N'CREATE ROLE BlobDeltaRunner');
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ListTables', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ListTables AS RETURN 0');
GO
-- Into #Kind of the caller: what a runner may write in the job database, and what is the deployer's.
ALTER PROCEDURE dbo.usp_BlobDelta_ListTables
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    -- Filled scripts and the program itself write these under the rights of the caller.
    INSERT INTO #Kind (Name, IsDeployers)
    SELECT N'BlobDeltaBusinessUnitWatermark', 0 UNION ALL SELECT N'BlobDeltaRunTable', 0 UNION ALL SELECT N'BlobDeltaWindowQueue', 0
    UNION ALL SELECT N'BlobDeltaHeldBackKey', 0 UNION ALL SELECT N'BlobDeltaPendingKey', 0 UNION ALL SELECT N'BlobDeltaExcludedKey', 0
    UNION ALL SELECT N'BlobDeltaMissingParentsQueue', 0 UNION ALL SELECT N'BlobDeltaDeletionLog', 0 UNION ALL SELECT N'BlobDeltaShippedKey', 0
    UNION ALL SELECT N'BlobDeltaAbsentParent', 0 UNION ALL SELECT N'BlobDeltaContentAside', 0
    UNION ALL SELECT N'BlobDeltaReportedDeletion', 0 UNION ALL SELECT N'BlobDeltaSharedPlace', 0;
    -- These alone the procedures write; and the first seven say how a run is done, or where.
    INSERT INTO #Kind (Name, IsDeployers)
    SELECT N'BlobDeltaTableConfig', 1 UNION ALL SELECT N'BlobDeltaStepScript', 1 UNION ALL SELECT N'BlobDeltaQueuePopulationScript', 1
    UNION ALL SELECT N'BlobDeltaRunScript', 1 UNION ALL SELECT N'BlobDeltaSource', 1 UNION ALL SELECT N'BlobDeltaKnownServer', 1
    UNION ALL SELECT N'BlobDeltaSchemaVersion', 1 UNION ALL SELECT N'BlobDeltaIndexMade', 1 UNION ALL SELECT N'BlobDeltaHighWatermark', 1
    UNION ALL SELECT N'BlobDeltaRun', 1 UNION ALL SELECT N'BlobDeltaRunStep', 1 UNION ALL SELECT N'BlobDeltaBundle', 1
    UNION ALL SELECT N'BlobDeltaWaivedShipment', 1 UNION ALL SELECT N'BlobDeltaKnownContent', 1
    UNION ALL SELECT N'BlobDeltaKeyType', 1;
END;
GO
GRANT SELECT ON SCHEMA::dbo TO BlobDeltaRunner;
GO
DECLARE @Name nvarchar(128), @Sql nvarchar(400);
CREATE TABLE #Kind (Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, IsDeployers bit NOT NULL);
EXEC dbo.usp_BlobDelta_ListTables;
SET @Name = (SELECT MIN(Name) FROM #Kind WHERE IsDeployers = 0 AND OBJECT_ID(N'dbo.' + Name) IS NOT NULL);
WHILE @Name IS NOT NULL
BEGIN
    SET @Sql = N'GRANT INSERT, UPDATE, DELETE ON dbo.' + QUOTENAME(@Name) + N' TO BlobDeltaRunner';
    EXEC (@Sql);
    SET @Name = (SELECT MIN(Name) FROM #Kind WHERE IsDeployers = 0 AND OBJECT_ID(N'dbo.' + Name) IS NOT NULL AND Name > @Name);
END;
DROP TABLE #Kind;
-- The doors of a run. What they call is not granted: it would write for its caller whatever that one hands it. Left out are those of
-- the deployer: usp_BlobDelta_MakeSlice, usp_BlobDelta_RefreshSlice, usp_BlobDelta_ResolveTableConfig, usp_BlobDelta_Prune,
-- usp_BlobDelta_AddServer and usp_BlobDelta_BecomeOwnSource.
CREATE TABLE #Door (Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY);
INSERT INTO #Door (Name)
SELECT N'ufn_BlobDelta_UtcNow' UNION ALL SELECT N'ufn_BlobDelta_LocalNow' UNION ALL SELECT N'ufn_BlobDelta_TableName'
UNION ALL SELECT N'ufn_BlobDelta_ServerIdentity' UNION ALL SELECT N'ufn_BlobDelta_DatabaseGuid'
UNION ALL SELECT N'usp_BlobDelta_RunOperator' UNION ALL SELECT N'usp_BlobDelta_Run' UNION ALL SELECT N'usp_BlobDelta_StartRun'
UNION ALL SELECT N'usp_BlobDelta_ResumeRun' UNION ALL SELECT N'usp_BlobDelta_FinishRun' UNION ALL SELECT N'usp_BlobDelta_PlanTable'
UNION ALL SELECT N'usp_BlobDelta_StartTable' UNION ALL SELECT N'usp_BlobDelta_QueueMissingParents' UNION ALL SELECT N'usp_BlobDelta_RunBatch'
UNION ALL SELECT N'usp_BlobDelta_FinishTable' UNION ALL SELECT N'usp_BlobDelta_FailTable' UNION ALL SELECT N'usp_BlobDelta_TakeLease'
UNION ALL SELECT N'usp_BlobDelta_RenewLease' UNION ALL SELECT N'usp_BlobDelta_ReleaseLease' UNION ALL SELECT N'usp_BlobDelta_PassSlice'
UNION ALL SELECT N'usp_BlobDelta_AbsentParents' UNION ALL SELECT N'usp_BlobDelta_RecordBundle' UNION ALL SELECT N'usp_BlobDelta_OweShipment'
UNION ALL SELECT N'usp_BlobDelta_WaiveShipments' UNION ALL SELECT N'usp_BlobDelta_RecordDestination' UNION ALL SELECT N'usp_BlobDelta_RecordShipment' UNION ALL SELECT N'usp_BlobDelta_ScriptAtWork' UNION ALL SELECT N'usp_BlobDelta_GiveUp'
UNION ALL SELECT N'usp_BlobDelta_Doctor' UNION ALL SELECT N'usp_BlobDelta_LookAtSamples';
SET @Name = (SELECT MIN(Name) FROM #Door WHERE OBJECT_ID(N'dbo.' + Name) IS NOT NULL);
WHILE @Name IS NOT NULL
BEGIN
    SET @Sql = N'GRANT EXECUTE ON dbo.' + QUOTENAME(@Name) + N' TO BlobDeltaRunner';
    EXEC (@Sql);
    SET @Name = (SELECT MIN(Name) FROM #Door WHERE OBJECT_ID(N'dbo.' + Name) IS NOT NULL AND Name > @Name);
END;
DROP TABLE #Door;
GO
UPDATE dbo.BlobDeltaSchemaVersion SET Version = 6, Sha256 = N'', AppliedAt = SYSUTCDATETIME()
WHERE Script = N'11_BlobDeltaJobs_Rights.sql' AND Version <= 6;
INSERT INTO dbo.BlobDeltaSchemaVersion (Script, Version)
SELECT N'11_BlobDeltaJobs_Rights.sql', 6
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'11_BlobDeltaJobs_Rights.sql');
GO
SET NOEXEC OFF;
GO
