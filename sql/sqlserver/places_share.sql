INSERT INTO dbo.BlobDeltaSharedPlace (Place, Scope)
SELECT @Place, @Scope
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSharedPlace WHERE Place = @Place AND Scope = @Scope)
