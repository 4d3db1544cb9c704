-- The latest version of each key that bundles hold; times in ticks, NULL as -1. Tombstone: 0 of a row, 1 of
-- one that left its scope, 2 of one that was deleted.
CREATE TABLE latest (
    Key        BLOB NOT NULL PRIMARY KEY,
    Modified   INTEGER NOT NULL,
    Tombstone  INTEGER NOT NULL,
    Started    INTEGER NOT NULL,
    Run        BLOB NOT NULL,
    IsAncestor INTEGER NOT NULL,
    Unit       BLOB NULL,
    Path       BLOB NULL,
    Content    BLOB NULL,
    ParentKey  BLOB NULL,
    Matched    INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
-- Keys that were looked at once.
CREATE TABLE visited (
    Key BLOB NOT NULL PRIMARY KEY
) WITHOUT ROWID;
BEGIN;
