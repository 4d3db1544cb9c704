-- name: schema
-- Values under keys, for as long as the connection is open. Nothing is ever committed.
CREATE TABLE held (
    Key   BLOB NOT NULL PRIMARY KEY,
    Value BLOB NOT NULL
) WITHOUT ROWID;
BEGIN;
