-- name: chunk_of_characters
-- A chunk of @P2 characters from @P1 on. They are counted whole, so that it can be cut before it is converted.
SELECT CONVERT(nvarchar(max), SUBSTRING([{Column}], @P1, @P2)), @P2
FROM [{Table}]
WHERE [{Key}] = @P3

-- name: chunk_of_units
-- A chunk of @P2 units from @P1 on, or of @P4, one less, where the last one (@P3) is the first half of a pair. Units, not
-- characters: a collation with supplementary characters would count those.
SELECT SUBSTRING(q.v, @P1, q.n), q.n
FROM (
    SELECT p.v, CASE WHEN UNICODE(SUBSTRING(p.v, @P3, 1)) BETWEEN 55296 AND 56319 THEN @P4 ELSE @P2 END AS n
    FROM (
        SELECT [{Value}] COLLATE Latin1_General_100_BIN2 AS v FROM [{Table}] WHERE [{Key}] = @P5
    ) AS p
) AS q

-- name: chunk_of_bytes
SELECT SUBSTRING([{Value}], @P1, @P2), @P2
FROM [{Table}]
WHERE [{Key}] = @P3
