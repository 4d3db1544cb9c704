-- Rule 14: whether the version [{A}] outranks [{B}], both rows or both tombstones. Of two of one time that with the lesser
-- part wins: [{APart}] and [{BPart}] are 1 for a row without its large values where two chains compete, and 0 within a chain.
-- A version without a run came by another way, and is older than any that has one. RunIds are compared as text: the
-- order of their type is another one. Never unknown, because what asks may ask for NOT.
(
    CASE
        WHEN [{A}].vm > [{B}].vm THEN 1
        WHEN [{A}].vm IS NOT NULL AND [{B}].vm IS NULL THEN 1
        WHEN [{A}].vm < [{B}].vm OR ([{A}].vm IS NULL AND [{B}].vm IS NOT NULL) THEN 0
        WHEN [{APart}] <> [{BPart}] THEN [{BPart}] - [{APart}]
        WHEN ISNULL([{A}].vs, '0001-01-01') > ISNULL([{B}].vs, '0001-01-01') THEN 1
        WHEN ISNULL([{A}].vs, '0001-01-01') = ISNULL([{B}].vs, '0001-01-01')
            AND ISNULL(CONVERT(char(36), [{A}].vr), '00000000-0000-0000-0000-000000000000')
                > ISNULL(CONVERT(char(36), [{B}].vr), '00000000-0000-0000-0000-000000000000') COLLATE Latin1_General_BIN2 THEN 1
        ELSE 0
    END = 1
)
