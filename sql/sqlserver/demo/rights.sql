-- The rights of the account that runs, as the page for the administrator has them.
USE BlobDeltaJobs;
CREATE USER BlobDeltaDemo;
ALTER ROLE BlobDeltaRunner ADD MEMBER BlobDeltaDemo;
GO
USE BlobDeltaDemo;
CREATE USER BlobDeltaDemo;
GRANT SELECT ON SCHEMA::dbo TO BlobDeltaDemo;
GRANT VIEW DEFINITION TO BlobDeltaDemo;
GO
USE BlobDeltaDemo_Delta;
CREATE USER BlobDeltaDemo;
GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::dbo TO BlobDeltaDemo;
