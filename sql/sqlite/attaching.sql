-- name: set_up_database
PRAGMA {Schema}.page_size = {PageBytes}; PRAGMA {Schema}.synchronous = FULL;
PRAGMA {Schema}.cache_size = -{CacheKib};
