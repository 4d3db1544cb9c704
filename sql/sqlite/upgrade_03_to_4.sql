-- 03 from version 3 to 4: why a key is in the deletion log; what is suspect, and what is accepted; by what the
-- next run sees whether the source went back.
ALTER TABLE BlobDeltaTableConfig
    ADD COLUMN AcceptedAbsentPercent INTEGER NOT NULL DEFAULT 50 CHECK (AcceptedAbsentPercent BETWEEN 0 AND 100);
ALTER TABLE BlobDeltaTableConfig
    ADD COLUMN AcceptedOrphanPercent INTEGER NOT NULL DEFAULT 50 CHECK (AcceptedOrphanPercent BETWEEN 0 AND 100);
ALTER TABLE BlobDeltaRunTable ADD COLUMN NewestModifiedOn TEXT NULL;
ALTER TABLE BlobDeltaDeletionLog
    ADD COLUMN Reason TEXT NOT NULL DEFAULT 'Deleted' CHECK (Reason IN ('Deleted', 'LeftScope'));
