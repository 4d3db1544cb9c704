-- 03 from version 6 to 7: what was handed out is kept by scope, and of ancestors what a slice that is given up has to take
-- back. A job database of before version 4 has neither of the first two tables.
CREATE TABLE IF NOT EXISTS BlobDeltaToldDeletion (
    TableName  TEXT COLLATE NOCASE NOT NULL,
    Scope      TEXT NOT NULL,
    stream_id  BLOB NOT NULL,
    IsDeletion INTEGER NOT NULL,
    DeletedOn  TEXT NOT NULL,
    RunId      BLOB NOT NULL,
    PRIMARY KEY (TableName, Scope, stream_id, IsDeletion, DeletedOn)
) WITHOUT ROWID;
ALTER TABLE BlobDeltaToldDeletion ADD COLUMN PassedByRunId BLOB NULL;
CREATE TABLE IF NOT EXISTS BlobDeltaShippedKey (
    TableName      TEXT COLLATE NOCASE NOT NULL,
    BusinessUnitId BLOB NOT NULL,
    stream_id      BLOB NOT NULL,
    ModifiedOn     TEXT NULL,
    IsWhole        INTEGER NOT NULL,
    PRIMARY KEY (TableName, BusinessUnitId, stream_id)
) WITHOUT ROWID;
ALTER TABLE BlobDeltaShippedKey RENAME TO BlobDeltaShippedKey_5;
CREATE TABLE BlobDeltaShippedKey (
    TableName  TEXT COLLATE NOCASE NOT NULL,
    Scope      TEXT NOT NULL,
    stream_id  BLOB NOT NULL,
    ModifiedOn TEXT NULL,
    IsWhole    INTEGER NOT NULL,
    PRIMARY KEY (TableName, Scope, stream_id)
) WITHOUT ROWID;
INSERT INTO BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
SELECT
    k.TableName,
    lower(
        substr(k.Hex, 1, 8) || '-' || substr(k.Hex, 9, 4) || '-' || substr(k.Hex, 13, 4) || '-'
        || substr(k.Hex, 17, 4) || '-' || substr(k.Hex, 21)
    ),
    k.stream_id,
    k.ModifiedOn,
    k.IsWhole
FROM (SELECT s.*, hex(s.BusinessUnitId) AS Hex FROM BlobDeltaShippedKey_5 AS s) AS k;
DROP TABLE BlobDeltaShippedKey_5;
ALTER TABLE BlobDeltaMissingParentsQueue ADD COLUMN IsPending INTEGER NOT NULL DEFAULT 0;
ALTER TABLE BlobDeltaMissingParentsQueue ADD COLUMN WasWhole INTEGER NOT NULL DEFAULT 0;
