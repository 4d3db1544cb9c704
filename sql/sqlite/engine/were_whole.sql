-- Rule 17: of the ancestors of this slice, those that this scope's receivers have whole: they do again where it is given up.
UPDATE BlobDeltaMissingParentsQueue SET WasWhole = 1
WHERE RunId = @RunId AND TableName = @TableName AND EXISTS (
    SELECT 1 FROM BlobDeltaShippedKey AS k
    WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = BlobDeltaMissingParentsQueue.stream_id AND k.IsWhole
);
