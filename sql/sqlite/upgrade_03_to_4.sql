-- 03 from version 3 to 4: why a key is in the deletion log.
ALTER TABLE BlobDeltaDeletionLog
    ADD COLUMN Reason TEXT NOT NULL DEFAULT 'Deleted' CHECK (Reason IN ('Deleted', 'LeftScope'));
