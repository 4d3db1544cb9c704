-- 03 from version 3 to 4: why a key is in the deletion log; what is suspect, and what is accepted; by what the
-- next run sees whether the source went back; pending keys are of a scope, and those that wait already are asked
-- for by everybody.
ALTER TABLE BlobDeltaTableConfig
    ADD COLUMN AcceptedAbsentPercent INTEGER NOT NULL DEFAULT 50 CHECK (AcceptedAbsentPercent BETWEEN 0 AND 100);
ALTER TABLE BlobDeltaTableConfig
    ADD COLUMN AcceptedOrphanPercent INTEGER NOT NULL DEFAULT 50 CHECK (AcceptedOrphanPercent BETWEEN 0 AND 100);
-- Who is at a run; and what it was told of its bundle: nobody knows of those that were.
ALTER TABLE BlobDeltaRun ADD COLUMN Attempt INTEGER NOT NULL DEFAULT 1;
ALTER TABLE BlobDeltaRun ADD COLUMN OutFolder TEXT NULL;
ALTER TABLE BlobDeltaRun ADD COLUMN ShipTo TEXT NULL;
ALTER TABLE BlobDeltaRun ADD COLUMN SignedBy TEXT NULL;
ALTER TABLE BlobDeltaRun ADD COLUMN EncryptedTo TEXT NULL;
ALTER TABLE BlobDeltaRun ADD COLUMN BundleForm TEXT NULL CHECK (BundleForm IN ('Folder', 'Archive'));
ALTER TABLE BlobDeltaRunTable ADD COLUMN NewestModifiedOn TEXT NULL;
ALTER TABLE BlobDeltaDeletionLog
    ADD COLUMN Reason TEXT NOT NULL DEFAULT 'Deleted' CHECK (Reason IN ('Deleted', 'LeftScope'));
ALTER TABLE BlobDeltaTableConfig ADD COLUMN MetadataFilter TEXT NULL;
ALTER TABLE BlobDeltaBusinessUnitWatermark ADD COLUMN LastRunCompletedAt TEXT NULL;
ALTER TABLE BlobDeltaPendingKey RENAME TO BlobDeltaPendingKey_3;
CREATE TABLE BlobDeltaPendingKey (
    TableName TEXT COLLATE NOCASE NOT NULL,
    Scope     TEXT NOT NULL DEFAULT '',
    stream_id BLOB NOT NULL CHECK (length(stream_id) = 16),
    Reason    TEXT NOT NULL,
    CreatedAt TEXT NOT NULL,
    PRIMARY KEY (TableName, Scope, stream_id)
) WITHOUT ROWID;
INSERT INTO BlobDeltaPendingKey (TableName, stream_id, Reason, CreatedAt)
SELECT TableName, stream_id, Reason, CreatedAt FROM BlobDeltaPendingKey_3;
DROP TABLE BlobDeltaPendingKey_3;
