-- 03 from version 2 to 3: where the rows of queued keys were found (of those that wait already nobody knows),
-- and no index over keys.
ALTER TABLE BlobDeltaWindowQueue RENAME TO BlobDeltaWindowQueue_2;
CREATE TABLE BlobDeltaWindowQueue (
    RunId        BLOB NOT NULL,
    TableName    TEXT NOT NULL,
    Step         INTEGER NOT NULL CHECK (Step IN (1, 3)),
    Seq          INTEGER NOT NULL,
    stream_id    BLOB NOT NULL CHECK (length(stream_id) = 16),
    ModifiedOn   TEXT NULL,
    WasHeldBack  INTEGER NOT NULL DEFAULT 0,
    IsPending    INTEGER NOT NULL DEFAULT 0,
    State        TEXT NULL CHECK (State IN ('Copied', 'Gone', 'HeldBack')),
    Place        NULL,
    PRIMARY KEY (RunId, TableName, Step, Seq)
) WITHOUT ROWID;
INSERT INTO BlobDeltaWindowQueue (
    RunId, TableName, Step, Seq, stream_id, ModifiedOn, WasHeldBack, IsPending, State
)
SELECT RunId, TableName, Step, Seq, stream_id, ModifiedOn, WasHeldBack, IsPending, State
FROM BlobDeltaWindowQueue_2;
DROP TABLE BlobDeltaWindowQueue_2;
