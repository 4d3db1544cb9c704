-- What stands under each key, an entry a line: its row (Kind 0) and the scope of it, its deletion (1), the scopes that
-- it left (2), and what other chains have of it (3); versions in ticks; IsPart says of
-- rows whether they have no large value. A key without entries is not known.
CREATE TABLE planned (
    Key      BLOB NOT NULL,
    Kind     INTEGER NOT NULL,
    Scope    TEXT NOT NULL,
    Modified INTEGER NULL,
    Started  INTEGER NOT NULL,
    Run      BLOB NOT NULL,
    IsPart   INTEGER NOT NULL,
    PRIMARY KEY (Key, Kind, Scope)
) WITHOUT ROWID;
BEGIN;
