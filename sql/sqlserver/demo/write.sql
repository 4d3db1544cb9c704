-- A large value, written in pieces.
CREATE TABLE #Piece (v varbinary(max) NULL);
INSERT INTO #Piece (v) VALUES (0x);
UPDATE #Piece SET v.WRITE(0x00, NULL, 0);
DROP TABLE #Piece;
GO
USE BlobDeltaDemo;
CREATE TABLE dbo.Large (stream_id uniqueidentifier NOT NULL PRIMARY KEY, file_stream varbinary(max) NULL);
INSERT INTO dbo.Large (stream_id) VALUES ('11111111-1111-1111-1111-111111111111');
GO
SELECT CASE WHEN file_stream = CONVERT(varbinary(max), REPLICATE(CONVERT(varchar(max), 'x'), 5000000)) THEN CONCAT(DATALENGTH(file_stream), N' bytes') END
FROM BlobDeltaDemo.dbo.Large;
