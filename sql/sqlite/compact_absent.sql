-- Rows whose parent is not here, in the order of their keys: ?1 the last one's, ?2 how many.
SELECT child.key, child.parent, child.sort
FROM latest AS child
WHERE child.sort > ?1
  AND (child.parent IS NOT NULL OR child.has_path = 1)
  AND NOT EXISTS (SELECT 1 FROM latest AS parent WHERE parent.key = child.parent)
ORDER BY child.sort
LIMIT ?2
