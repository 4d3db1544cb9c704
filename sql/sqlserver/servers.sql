-- name: servers
-- Where the job database stands, and the servers that it knows, a row each.
SELECT RTRIM(h.Here + N' ' + h.Guid), RTRIM(k.ServerIdentity + N' ' + k.DatabaseGuid),
    CASE WHEN k.ServerIdentity = h.Here AND (k.DatabaseGuid = h.Guid OR k.DatabaseGuid = N'' OR h.Guid = N'') THEN 1 ELSE 0 END
FROM (SELECT dbo.ufn_BlobDelta_ServerIdentity() AS Here, dbo.ufn_BlobDelta_DatabaseGuid() AS Guid) AS h
LEFT JOIN dbo.BlobDeltaKnownServer AS k ON 1 = 1
ORDER BY k.FirstSeenAt, k.ServerIdentity
