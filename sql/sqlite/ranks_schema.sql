-- What stands under each key: the row's rank and the tombstone's, in ticks. RowRun and
-- TombstoneRun are NULL where there is none.
CREATE TABLE rank (
    Key               BLOB NOT NULL PRIMARY KEY,
    RowModified       INTEGER NULL,
    RowStarted        INTEGER NULL,
    RowRun            BLOB NULL,
    TombstoneModified INTEGER NULL,
    TombstoneStarted  INTEGER NULL,
    TombstoneRun      BLOB NULL
) WITHOUT ROWID;
BEGIN;
