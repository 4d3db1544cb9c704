-- Every version of every key of one table, out of the bundles that are compacted: where it stands
-- (input, tombstones or rows, deletions or what left its scope, the how-manieth row), its version by rule 14, and its place in the tree.
CREATE TABLE version (
    input     INTEGER NOT NULL,
    tombstone INTEGER NOT NULL,
    deleted   INTEGER NOT NULL,
    place     INTEGER NOT NULL,
    key       BLOB    NOT NULL,
    sort      BLOB    NOT NULL,
    modified  INTEGER,
    started   INTEGER NOT NULL,
    run       BLOB    NOT NULL,
    parent    BLOB,
    has_path  INTEGER NOT NULL,
    depth     INTEGER NOT NULL
);
