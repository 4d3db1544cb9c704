-- 03 from version 5 to 6: how many rows may leave a unit at once, and how many logged deletions be of rows that stand.
ALTER TABLE BlobDeltaTableConfig
    ADD COLUMN AcceptedLeftPercent INTEGER NOT NULL DEFAULT 50 CHECK (AcceptedLeftPercent BETWEEN 0 AND 100);
ALTER TABLE BlobDeltaTableConfig
    ADD COLUMN AcceptedStandingPercent INTEGER NOT NULL DEFAULT 50 CHECK (AcceptedStandingPercent BETWEEN 0 AND 100);
