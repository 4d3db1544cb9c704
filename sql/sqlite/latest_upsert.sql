-- Rule 14.
INSERT INTO latest (Key, Modified, Tombstone, Started, Run, IsAncestor, Unit, Path, Content, ParentKey)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT (Key) DO UPDATE
SET Modified = excluded.Modified, Tombstone = excluded.Tombstone, Started = excluded.Started, Run = excluded.Run,
    IsAncestor = excluded.IsAncestor, Unit = excluded.Unit, Path = excluded.Path, Content = excluded.Content,
    ParentKey = excluded.ParentKey
WHERE (excluded.Modified, excluded.Tombstone = 2, excluded.Started, excluded.Run, excluded.Tombstone)
    > (Modified, Tombstone = 2, Started, Run, Tombstone);
