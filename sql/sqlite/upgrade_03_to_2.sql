-- 03 from version 1 to 2: where a bundle is to be shipped, and when it was.
ALTER TABLE BlobDeltaBundle ADD COLUMN ShipTo TEXT NULL;
ALTER TABLE BlobDeltaBundle ADD COLUMN ShippedAt TEXT NULL;
