-- name: probe
-- Which rows of {Target} a statement with OR REPLACE would remove. Undone by probe_end.
SAVEPOINT replay_probe;
-- Rows that are replaced meet the triggers of a DELETE only so.
PRAGMA recursive_triggers = ON;
CREATE TEMP TABLE replay_gone (key BLOB);
CREATE TEMP TRIGGER replay_gone_rows AFTER DELETE ON {Target}
BEGIN
    INSERT INTO replay_gone (key) VALUES ({Id});
END;

-- name: probe_end
ROLLBACK TO replay_probe;
RELEASE replay_probe;
PRAGMA recursive_triggers = OFF;
