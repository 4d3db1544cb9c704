-- The database `Meta` of an instance of one's own: when each row of Files.dbo.Attachment was changed, and whose it is.
--
--     sqlite3 mine/Meta.sqlite < examples/embedded/Meta.sql
--
-- A time has exactly 27 characters: YYYY-MM-DDTHH:MM:SS.fffffff. Here every row is a day old, so that the first run takes
-- it: a row younger than the safety buffer (four hours) waits for a later run.
CREATE TABLE "Attachment" (
    "Id"         "uniqueidentifier BLOB" NOT NULL PRIMARY KEY,
    "ModifiedOn" "datetime2(7) TEXT"     NULL,
    "Unit"       "uniqueidentifier BLOB" NULL
);
CREATE INDEX "IX_Attachment_ModifiedOn" ON "Attachment" ("ModifiedOn", "Id", "Unit");
CREATE INDEX "IX_Attachment_Id" ON "Attachment" ("Id", "ModifiedOn", "Unit");

INSERT INTO "Attachment"
SELECT column1, strftime('%Y-%m-%dT%H:%M:%S', 'now', '-1 day') || '.0000000', column2
FROM (VALUES
    (x'11111111111111111111111111111111', x'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'),
    (x'22222222222222222222222222222222', x'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'),
    (x'33333333333333333333333333333333', x'BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB')   -- a unit that is not in Units
);
