-- The latest version of each key that bundles hold; times in ticks, NULL as -1.
CREATE TABLE holding (
    Key        BLOB NOT NULL PRIMARY KEY,
    Modified   INTEGER NOT NULL,
    Tombstone  INTEGER NOT NULL,
    Started    INTEGER NOT NULL,
    Run        BLOB NOT NULL,
    IsAncestor INTEGER NOT NULL,
    Unit       BLOB NULL,
    Path       BLOB NULL,
    Content    BLOB NULL,
    Seen       INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
BEGIN;
