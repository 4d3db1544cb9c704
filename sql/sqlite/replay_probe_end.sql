ROLLBACK TO replay_probe;
RELEASE replay_probe;
PRAGMA recursive_triggers = OFF;
