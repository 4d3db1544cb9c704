-- The database `Files` of an instance of one's own: a table with a tree, and the table of business units.
--
--     mkdir mine && sqlite3 mine/Files.sqlite < examples/embedded/Files.sql
--
-- A declared type is the T-SQL type and then SQLite's, in one pair of quotes. The first says what the column holds, the
-- second keeps SQLite from changing it.
CREATE TABLE "Attachment" (
    "stream_id"           "uniqueidentifier BLOB" NOT NULL PRIMARY KEY,  -- 16 bytes, in the order of their text
    "name"                "nvarchar(255) TEXT"    NOT NULL,
    "path_locator"        "varbinary(892) BLOB"   NOT NULL,              -- any bytes, one value a row
    "parent_path_locator" "varbinary(892) BLOB"   NULL,                  -- the parent's path_locator; NULL at the top
    "is_directory"        "bit INTEGER"           NOT NULL,
    "price"               "decimal(9,2) TEXT"     NULL,                  -- text with every digit of the scale
    "file_stream"         "varbinary(max) BLOB"   NULL
);
CREATE INDEX "IX_Attachment_path" ON "Attachment" ("path_locator", "parent_path_locator", "stream_id");

INSERT INTO "Attachment" VALUES
    (x'11111111111111111111111111111111', 'Letters',  x'01',   NULL,  1, NULL,   NULL),
    (x'22222222222222222222222222222222', 'hello.txt', x'0101', x'01', 0, '1.50', CAST('Hello' AS BLOB)),
    (x'33333333333333333333333333333333', 'other.txt', x'02',   NULL,  0, NULL,   CAST('Of another unit' AS BLOB));

CREATE TABLE "Units" (
    "Id"   "uniqueidentifier BLOB" NOT NULL PRIMARY KEY,
    "Name" "nvarchar(100) TEXT"    NOT NULL
);
INSERT INTO "Units" VALUES (x'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'North');
