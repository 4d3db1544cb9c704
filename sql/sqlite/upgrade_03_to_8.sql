-- 03 from version 7 to 8: nobody has asked for rows without metadata.
ALTER TABLE BlobDeltaPendingKey ADD COLUMN WithoutMetadata INTEGER NOT NULL DEFAULT 0;
