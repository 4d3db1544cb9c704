-- A look at the whole deployment.
USE BlobDeltaJobs;
EXEC dbo.usp_BlobDelta_Doctor;
GO
SELECT N'no error';
