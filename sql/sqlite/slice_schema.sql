-- What every slice database holds beside its slice tables: the marker rows (rule 9) and the
-- deletions of each slice (rule 15), keys that left its scope (rule 17) among them. {Schema} is the attached database.

CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaSlice (
    TargetTable  TEXT COLLATE NOCASE NOT NULL PRIMARY KEY,
    TableName    TEXT COLLATE NOCASE NOT NULL,
    SourceId     BLOB NOT NULL,
    RunId        BLOB NULL,
    RunStartedAt TEXT NULL,
    WindowStart  TEXT NULL,
    WindowEnd    TEXT NULL,
    Scope        TEXT NOT NULL DEFAULT 'all',
    State        TEXT NOT NULL CHECK (State IN ('Empty', 'Filling', 'Complete', 'Packed'))
);

CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaDeletion (
    TableName    TEXT COLLATE NOCASE NOT NULL,
    stream_id    BLOB NOT NULL,
    DeletedOn    TEXT NOT NULL,
    BusinessUnit BLOB NULL,
    LoggedAt     TEXT NOT NULL,
    Reason       TEXT NOT NULL DEFAULT 'Deleted' CHECK (Reason IN ('Deleted', 'LeftScope')),
    PRIMARY KEY (TableName, stream_id)
) WITHOUT ROWID;
