-- Rule 2: what the server tells of transactions that are open, and a table for one to write to that nobody reads.
SELECT COUNT(*) FROM sys.dm_tran_database_transactions AS d
INNER JOIN sys.dm_tran_session_transactions AS s ON s.transaction_id = d.transaction_id
INNER JOIN sys.dm_tran_active_transactions AS a ON a.transaction_id = d.transaction_id;
GO
USE BlobDeltaDemo;
CREATE TABLE dbo.Unread (Id int NOT NULL PRIMARY KEY);
GO
SELECT CASE WHEN COUNT(*) = 0 THEN N'rolled back' END FROM BlobDeltaDemo.dbo.Unread;
