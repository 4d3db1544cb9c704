-- name: null_in_required
SELECT b.stream_id FROM temp."#Batch" AS b CROSS JOIN {SourceTable} AS s
    ON s.{PlaceColumn} = b.Place WHERE s.{Name} IS NULL ORDER BY b.Seq LIMIT 1
