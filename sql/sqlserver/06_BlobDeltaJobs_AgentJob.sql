-- 06: a weekly job of SQL Server Agent. Version 2.
--
-- Can be run again at any time: it makes the job where it is missing, and leaves one that is there as
-- it is, schedule and steps alike. Where there is no SQL Server Agent it does nothing and says so; on
-- Express its tables are there, and nothing that would run a job. To
-- get the job back as it is here: EXEC msdb.dbo.sp_delete_job @job_name = N'BlobDelta weekly', then
-- this script. The job belongs to @Owner, set below; EXEC msdb.dbo.sp_update_job gives it to another, and
-- names an operator to be told when it fails.
--
-- A table that fails fails alone, and the call of step 1 ends well; so step 2 looks at the run and
-- fails if the run did, which is what an operator of the Agent is told about.
SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO
-- Set this: the login that the job belongs to, one with the rights of docs/dba.md. NULL is the login
-- that runs this script; a job of a person's login stops with that login.
DECLARE @Owner nvarchar(128) = NULL, @Message nvarchar(2000);
IF @Owner IS NOT NULL AND SUSER_ID(@Owner) IS NULL
BEGIN
    SET @Message = REPLACE(CONCAT(N'there is no login ', @Owner, N'; set @Owner at the top of this script, nothing was done'), N'%', N'%%');
    THROW 51000, @Message, 1;
END;
IF CONVERT(int, SERVERPROPERTY(N'EngineEdition')) = 4
    PRINT N'This server is an Express edition, which runs no jobs: nothing was done. Let the scheduler of the system call sqlcmd or blobdelta.';
ELSE IF OBJECT_ID(N'msdb.dbo.sp_add_job') IS NULL
    PRINT N'This server has no SQL Server Agent (msdb.dbo.sp_add_job), or this login may not see it: nothing was done.';
ELSE IF EXISTS (SELECT 1 FROM msdb.dbo.sysjobs WHERE name = N'BlobDelta weekly')
    PRINT N'The job BlobDelta weekly is there already: nothing was changed.';
ELSE
BEGIN
    BEGIN TRY
        BEGIN TRANSACTION;
        EXEC msdb.dbo.sp_add_job
            @job_name = N'BlobDelta weekly',
            @description = N'Fills the slices of all active tables of BlobDeltaJobs with what changed since the last run.',
            @owner_login_name = @Owner,
            @notify_level_eventlog = 2;
        EXEC msdb.dbo.sp_add_jobstep
            @job_name = N'BlobDelta weekly',
            @step_id = 1,
            @step_name = N'Run',
            @subsystem = N'TSQL',
            @database_name = N'BlobDeltaJobs',
            @command = N'EXEC dbo.usp_BlobDelta_RunOperator @Mode = N''AllTables'', @TableName = NULL, @BatchSize = 500, @MaxDOP = 2, @BusinessUnitId = NULL',
            @on_success_action = 3,
            @on_fail_action = 2;
        EXEC msdb.dbo.sp_add_jobstep
            @job_name = N'BlobDelta weekly',
            @step_id = 2,
            @step_name = N'Fail if the run did',
            @subsystem = N'TSQL',
            @database_name = N'BlobDeltaJobs',
            @command = N'DECLARE @Status nvarchar(20), @Message nvarchar(2000);
SELECT TOP (1) @Status = Status, @Message = LEFT(ErrorMessage, 1000) FROM dbo.BlobDeltaRun
WHERE RunType = N''AllTables'' AND BusinessUnitId IS NULL ORDER BY RunStartedAt DESC;
IF @Status IS NULL OR @Status <> N''Completed''
BEGIN
    SET @Message = REPLACE(CONCAT(N''the last run is '', COALESCE(@Status, N''not there''), N'': '', @Message, N''; BlobDeltaRunStep names the tables''), N''%'', N''%%'');
    THROW 50000, @Message, 1;
END;',
            @on_success_action = 1,
            @on_fail_action = 2;
        -- Sundays at 18:00 by the server's clock.
        EXEC msdb.dbo.sp_add_jobschedule
            @job_name = N'BlobDelta weekly',
            @name = N'BlobDelta weekly',
            @freq_type = 8,
            @freq_interval = 1,
            @freq_recurrence_factor = 1,
            @active_start_time = 180000;
        EXEC msdb.dbo.sp_add_jobserver @job_name = N'BlobDelta weekly';
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
END;
GO
