-- What every slice database holds beside its slice tables: the marker rows (rule 9) and the
-- deletions of each slice (rule 15). {Schema} is the attached database.

CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaSlice (
    TargetTable  sysname TEXT NOT NULL PRIMARY KEY,
    TableName    nvarchar(400) TEXT NOT NULL,
    SourceId     uniqueidentifier BLOB NOT NULL,
    RunId        uniqueidentifier BLOB NULL,
    RunStartedAt datetime2(7) TEXT NULL,
    WindowStart  datetime2(7) TEXT NULL,
    WindowEnd    datetime2(7) TEXT NULL,
    Scope        nvarchar(36) TEXT NOT NULL DEFAULT 'all',
    State        nvarchar(10) TEXT NOT NULL CHECK (State IN ('Empty', 'Filling', 'Complete', 'Packed'))
);

CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaDeletion (
    TableName    nvarchar(400) TEXT NOT NULL,
    stream_id    uniqueidentifier BLOB NOT NULL,
    DeletedOn    datetime2(7) TEXT NOT NULL,
    BusinessUnit uniqueidentifier BLOB NULL,
    LoggedAt     datetime2(7) TEXT NOT NULL,
    PRIMARY KEY (TableName, stream_id)
) WITHOUT ROWID;
