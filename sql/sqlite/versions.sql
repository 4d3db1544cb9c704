-- name: schema
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

-- name: settle
-- The row that wins, of each key where no tombstone does (rule 14). Versions that are alike in all
-- of it are one version that came twice.
CREATE TABLE latest AS
SELECT key, sort, parent, has_path, depth, input, place
FROM (
    SELECT *, row_number() OVER (
        PARTITION BY key
        ORDER BY modified IS NULL, modified DESC, deleted DESC, started DESC, run DESC, tombstone DESC, input DESC
    ) AS nth
    FROM version
)
WHERE nth = 1 AND tombstone = 0;
CREATE UNIQUE INDEX latest_key ON latest (key);
CREATE INDEX latest_parent ON latest (parent);

-- A folder that was moved stands deeper or higher than its descendants say, which were not stamped:
-- depths are counted anew from the rows whose parent is not here.
CREATE TABLE placed (key BLOB PRIMARY KEY, depth INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO placed
WITH RECURSIVE tree (key, depth) AS (
    SELECT child.key, child.depth
    FROM latest AS child
    WHERE child.parent IS NULL OR NOT EXISTS (SELECT 1 FROM latest AS parent WHERE parent.key = child.parent)
    UNION ALL
    SELECT child.key, tree.depth + 1
    FROM tree
    JOIN latest AS child ON child.parent = tree.key
)
SELECT key, depth FROM tree;

-- What is kept of each input, by how far its depth is shifted: rows of one shift stand in the order of
-- their input.
CREATE TABLE chosen (
    input     INTEGER NOT NULL,
    tombstone INTEGER NOT NULL,
    shift     INTEGER NOT NULL,
    place     INTEGER NOT NULL,
    PRIMARY KEY (input, tombstone, shift, place)
) WITHOUT ROWID;
INSERT INTO chosen (input, tombstone, shift, place)
SELECT latest.input, 0, placed.depth - latest.depth, latest.place
FROM latest
JOIN placed ON placed.key = latest.key;
INSERT INTO chosen (input, tombstone, shift, place)
SELECT input, 1, 0, place
FROM (
    SELECT *, row_number() OVER (
        PARTITION BY key ORDER BY modified DESC, deleted DESC, started DESC, run DESC, input DESC
    ) AS nth
    FROM version
    WHERE tombstone = 1
)
WHERE nth = 1;

-- name: places
SELECT place FROM chosen
WHERE input = ?1 AND tombstone = ?2 AND shift = ?3 AND place >= ?4
ORDER BY place LIMIT ?5

-- name: absent
-- Rows whose parent is not here, in the order of their keys: ?1 the last one's, ?2 how many.
SELECT child.key, child.parent, child.sort
FROM latest AS child
WHERE child.sort > ?1
  AND (child.parent IS NOT NULL OR child.has_path = 1)
  AND NOT EXISTS (SELECT 1 FROM latest AS parent WHERE parent.key = child.parent)
ORDER BY child.sort
LIMIT ?2
