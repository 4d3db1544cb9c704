"""Instances to measure on: the files of an embedded one, and databases of a server."""

import json
import multiprocessing
import os
import random
import re
import sqlite3
import subprocess
from pathlib import Path

STAMP = "2026-01-01T00:00:00.0000000"
DOC = """CREATE TABLE Doc (
    stream_id "uniqueidentifier BLOB" NOT NULL PRIMARY KEY, name "nvarchar(255) TEXT" NOT NULL,
    path_locator "varbinary(892) BLOB" NOT NULL, parent_path_locator "varbinary(892) BLOB" NULL,
    file_stream "varbinary(max) BLOB" NULL);
CREATE INDEX IX_Doc_1 ON Doc (path_locator, parent_path_locator, stream_id);
CREATE INDEX IX_Doc_2 ON Doc (parent_path_locator);"""
META = """CREATE TABLE {0} (Id "uniqueidentifier BLOB" NOT NULL PRIMARY KEY, ModifiedOn "datetime2(7) TEXT" NULL);
CREATE INDEX IX_{0}_1 ON {0} (ModifiedOn, Id);"""


class Texts:
    """Words in an order that compresses about as text does."""

    def __init__(self):
        self.random = random.Random(7)
        letters = "etaoinshrdlucmfwypvbgk"
        self.words = ["".join(self.random.choices(letters, k=self.random.randint(2, 10))) for _ in range(20_000)]

    def take(self, size):
        text = " ".join(self.random.choices(self.words, k=size // 5))
        return text.encode()[:size]


class Instance:
    """A folder of SQLite files, deployed and with tables planted by this script."""

    def __init__(self, folder, ours):
        self.folder, self.ours = folder, ours
        self.env = {"BLOBDELTA_CONNECTION": f"sqlite:{folder}"}
        folder.mkdir()

    def call(self, *args):
        env = {**os.environ, **self.env}
        done = subprocess.run([self.ours, *args], env=env, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return done.stdout

    def file(self, database):
        connection = sqlite3.connect(self.folder / f"{database}.sqlite")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = OFF")
        return connection

    def empty(self, database):
        """Leaves nothing of a database but an empty table."""
        (self.folder / f"{database}.sqlite").unlink()
        self.file(database).executescript(DOC)

    def add_table(self, name, *settings):
        self.call("table", "add", f"Files.dbo.{name}", "--metadata", f"Meta.dbo.{name}", "MetadataIdColumn=Id", *settings)

    def plant(self, rows, settings=()):
        """Rows as they stand in the table, of a generator."""
        self.call("deploy")
        files, meta = self.file("Files"), self.file("Meta")
        files.executescript(DOC)
        meta.executescript(META.format("Doc"))
        for row in rows:
            files.execute("INSERT INTO Doc VALUES (?, ?, ?, ?, ?)", row)
            meta.execute("INSERT INTO Doc VALUES (?, ?)", (row[0], STAMP))
        files.commit()
        meta.commit()
        self.add_table("Doc", *settings)

    def plant_blobs(self, rows, size, random):
        """A flat table; texts are written into one file as well, which is returned."""
        raw = self.folder.parent / "raw"
        texts = Texts()
        with raw.open("wb") as out:

            def row(nth):
                value = os.urandom(size) if random else texts.take(size)
                if not random:
                    out.write(value)
                key = os.urandom(16)
                return (key, f"{nth}.bin", nth.to_bytes(4, "big"), None, value)

            self.plant(map(row, range(rows)))
        return raw

    def plant_tree(self, rows):
        """Folders of a hundred small files each."""

        def row(nth):
            folder, place = divmod(nth, 101)
            path = folder.to_bytes(4, "big")
            if place == 0:
                return (os.urandom(16), f"folder {folder}", path, None, None)
            return (os.urandom(16), f"{nth}.txt", path + place.to_bytes(1, "big"), path, b"%d" % nth)

        self.plant(map(row, range(rows)))

    def apart(self, plant, *args):
        """Plants by a process of its own: whatever this one has held once, Linux counts as held by the children
        that it starts."""
        planting = multiprocessing.Process(target=plant, args=args)
        planting.start()
        planting.join()
        if planting.exitcode:
            raise RuntimeError("the rows were not planted")

    def plant_large(self, baseline, size):
        """A flat table with one large value, which the SQLite of Python may not take."""
        rows = [(os.urandom(16), f"{nth}.bin", nth.to_bytes(4, "big"), None, os.urandom(16)) for nth in range(101)]
        self.plant(rows)
        subprocess.run([baseline, "enlarge", self.folder / "Files.sqlite", str(size)], check=True)

    def plant_idle(self, tables):
        self.call("deploy")
        files, meta = self.file("Files"), self.file("Meta")
        for nth in range(tables):
            files.executescript(DOC.replace("Doc", f"Doc{nth}"))
            meta.executescript(META.format(f"Doc{nth}"))
        files.commit()
        meta.commit()
        for nth in range(tables):
            self.add_table(f"Doc{nth}")
        # The first run takes what there is.
        self.call("run", "--out", str(self.out()))

    def out(self):
        """A folder for the bundles of this instance."""
        folder = self.folder.with_name(self.folder.name + "-bundles")
        folder.mkdir(exist_ok=True)
        return folder

    def extract(self):
        """Fills the slice; gives the RunId."""
        self.call("table", "set", "Files.dbo.Doc", "RequireBundle=0")
        return json.loads(self.call("run", "--no-bundle", "--json"))["run"]["RunId"]

    def pack(self, run):
        self.call("pack", "--run", run, "--out", str(self.out()))
        return next(self.out().glob("*.bundle"))

    def slope(self, run):
        """Seconds a row in the last tenth of the batches by those in the first."""
        jobs = self.file("BlobDeltaJobs")
        ask = """SELECT RowsProcessed, (julianday(BatchCompletedAt) - julianday(BatchStartedAt)) * 86400
                 FROM BlobDeltaRunStep WHERE RunId = ? AND RowsProcessed > 0 ORDER BY StepNumber, BatchNumber"""
        run = bytes.fromhex(run.replace("-", ""))
        batches = jobs.execute(ask, (run,)).fetchall()
        tenth = len(batches) // 10
        pace = lambda some: sum(seconds for _, seconds in some) / sum(rows for rows, _ in some)  # noqa: E731
        return pace(batches[-tenth:]) / pace(batches[:tenth])


SERVER_DATABASES = ["BenchFiles", "BenchMeta", "BenchFiles_Delta", "BenchCopy"]
# Tables of the job database by table.
OF_TABLES = ["Bundle", "DeletionLog", "ExcludedKey", "HeldBackKey", "MissingParentsQueue", "PendingKey", "RunScript", "RunStep",
             "RunTable", "WindowQueue", "HighWatermark", "TableConfig"]
SERVER_DOC = """CREATE TABLE dbo.{0} (
    stream_id uniqueidentifier NOT NULL PRIMARY KEY, name nvarchar(255) NOT NULL,
    path_locator varbinary(892) NOT NULL, parent_path_locator varbinary(892) NULL, file_stream varbinary(max) NULL);
CREATE UNIQUE INDEX IX_{0}_1 ON dbo.{0} (path_locator);
CREATE INDEX IX_{0}_2 ON dbo.{0} (parent_path_locator);"""
# Values are taken in turns from a few hundred, far enough apart that no compression finds them again.
SERVER_BLOBS = """SELECT NEWID(), CONCAT(N'file ', r.n), CONVERT(varbinary(4), r.n), NULL, p.v
FROM dbo.Number AS r INNER JOIN dbo.Pool AS p ON p.n = r.n % 256"""
# Folders of a hundred small files each.
SERVER_TREE = """SELECT NEWID(), CONCAT(N'file ', r.n),
    CASE WHEN r.n % 101 = 0 THEN CONVERT(varbinary(4), r.n / 101) ELSE CONVERT(varbinary(5), CONVERT(bigint, r.n / 101) * 256 + r.n % 101) END,
    CASE WHEN r.n % 101 > 0 THEN CONVERT(varbinary(4), r.n / 101) END, CASE WHEN r.n % 101 > 0 THEN CONVERT(varbinary(16), r.n) END
FROM dbo.Number AS r"""
# Nineteen small columns and the key.
SERVER_SMALL = """CREATE TABLE dbo.Small (
    stream_id uniqueidentifier NOT NULL PRIMARY KEY, i1 int NOT NULL, i2 int NULL, i3 bigint NOT NULL, i4 smallint NOT NULL,
    i5 tinyint NOT NULL, b1 bit NOT NULL, f1 float NOT NULL, f2 float NULL, r1 real NOT NULL, d1 decimal(18, 4) NOT NULL,
    d2 decimal(9, 2) NULL, t1 datetime2(7) NOT NULL, t2 datetime NULL, t3 date NOT NULL, n1 nvarchar(50) NOT NULL,
    n2 nvarchar(20) NULL, n3 nvarchar(30) NOT NULL, g1 uniqueidentifier NOT NULL, v1 varbinary(16) NOT NULL);"""
SERVER_SMALL_ROWS = """SELECT NEWID(), r.n, CASE WHEN r.n % 7 > 0 THEN r.n END, CONVERT(bigint, r.n) * 1000003, r.n % 30000, r.n % 250,
    r.n % 2, r.n / 7.0, CASE WHEN r.n % 5 > 0 THEN r.n / 3.0 END, r.n / 9.0, CONVERT(decimal(18, 4), r.n) / 8,
    CASE WHEN r.n % 3 > 0 THEN CONVERT(decimal(9, 2), r.n) / 4 END, DATEADD(second, r.n, '2020-01-01'),
    CASE WHEN r.n % 11 > 0 THEN DATEADD(minute, r.n, '1990-01-01') END, DATEADD(day, r.n % 9000, '2000-01-01'),
    CONCAT(N'A name of a row, number ', r.n), CASE WHEN r.n % 4 > 0 THEN CONCAT(N'note ', r.n % 1000) END,
    CONCAT(N'kind ', r.n % 50), NEWID(), CONVERT(varbinary(16), r.n)
FROM dbo.Number AS r"""
SMALL_COLUMNS = "i1 i2 i3 i4 i5 b1 f1 f2 r1 d1 d2 t1 t2 t3 n1 n2 n3 g1 v1".split()


class Server:
    """Databases of a server that are this script's own, and its tables in the job database there."""

    def __init__(self, connection, ours, baseline, folder):
        values = dict(part.split("=", 1) for part in connection.split(";") if part)
        values = {name.strip().lower(): value for name, value in values.items()}
        self.host, _, port = values["server"].removeprefix("tcp:").partition(",")
        self.port, self.user, self.password = port or "1433", values["user id"], values["password"]
        self.ours, self.baseline, self.folder = ours, baseline, folder
        self.login = [f"{self.host}:{self.port}", self.user, self.password]
        self.env = {"BLOBDELTA_CONNECTION": connection}
        folder.mkdir()
        # The scenarios stop the clock of a server; deploying starts it.
        self.sql("""IF OBJECT_ID(N'BlobDeltaJobs.dbo.ScenarioClock') IS NOT NULL EXEC (N'USE BlobDeltaJobs;
            IF OBJECT_ID(N''dbo.ufn_BlobDelta_UtcNow'') IS NOT NULL DROP FUNCTION dbo.ufn_BlobDelta_UtcNow;
            IF OBJECT_ID(N''dbo.ufn_BlobDelta_LocalNow'') IS NOT NULL DROP FUNCTION dbo.ufn_BlobDelta_LocalNow;
            USE master;')""")
        self.call("deploy")
        self.empty()
        self.sql("""CREATE TABLE dbo.Number (n int NOT NULL PRIMARY KEY);
            INSERT INTO dbo.Number VALUES (0);
            DECLARE @c int = 1;
            WHILE @c < 1048576 BEGIN INSERT INTO dbo.Number SELECT n + @c FROM dbo.Number; SET @c = @c * 2; END;""", "BenchFiles")

    def sql(self, script, database="master"):
        """What the last batch gave; batches stand between lines that say GO."""
        file = self.folder / "script.sql"
        file.write_text(f"USE {database};\nGO\n{script}\n")
        done = subprocess.run([self.baseline, "sql", *self.login, file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(f"{script[:400]}\n{done.stderr}")
        return done.stdout

    def call(self, *args):
        env = {**os.environ, **self.env}
        return subprocess.run([self.ours, *args], env=env, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout

    def empty(self):
        """Leaves nothing of a benchmark behind but the databases, so that what was granted on them stays; a job
        database with active tables of anybody but a benchmark and the tests is left alone."""
        own = "(TableName LIKE N'BenchFiles.dbo.%' OR TableName LIKE N'Src.dbo.%')"
        self.sql(f"""IF EXISTS (SELECT 1 FROM dbo.BlobDeltaTableConfig WHERE IsActive = 1 AND NOT {own})
            RAISERROR (N'BlobDeltaJobs has tables on this server that are not of a benchmark', 16, 1);""", "BlobDeltaJobs")
        self.sql("\nGO\n".join(f"DELETE FROM dbo.BlobDelta{name} WHERE {own};" for name in OF_TABLES), "BlobDeltaJobs")
        drop = """DECLARE @Name nvarchar(128), @Sql nvarchar(400);
            SET @Name = (SELECT MIN(name) FROM sys.tables);
            WHILE @Name IS NOT NULL
            BEGIN
                SET @Sql = N'DROP TABLE dbo.' + QUOTENAME(@Name);
                EXEC (@Sql);
                SET @Name = (SELECT MIN(name) FROM sys.tables WHERE name > @Name);
            END;"""
        for database in SERVER_DATABASES:
            self.sql(f"IF DB_ID(N'{database}') IS NULL CREATE DATABASE {database};")
            self.sql(drop, database)

    def plant(self, name, table, rows, count, *settings):
        """A configured table of as many rows as asked for; `rows` is a SELECT over the numbers `r.n`."""
        self.sql(f"{table}\nGO\nINSERT INTO dbo.{name} {rows} WHERE r.n < {count};", "BenchFiles")
        self.sql(f"""CREATE TABLE dbo.{name} (Id uniqueidentifier NOT NULL PRIMARY KEY, ModifiedOn datetime2(7) NULL);
            CREATE INDEX IX_{name}_1 ON dbo.{name} (ModifiedOn, Id);
            INSERT INTO dbo.{name} SELECT stream_id, '{STAMP[:19]}' FROM BenchFiles.dbo.{name};""", "BenchMeta")
        self.call("table", "add", f"BenchFiles.dbo.{name}", "--metadata", f"BenchMeta.dbo.{name}", "MetadataIdColumn=Id",
                  "RequireBundle=0", *settings)

    def plant_blobs(self, rows, size):
        values = "\nGO\n".join(f"INSERT INTO dbo.Pool VALUES ({nth}, 0x{os.urandom(size).hex()});" for nth in range(256))
        self.sql(f"CREATE TABLE dbo.Pool (n int NOT NULL PRIMARY KEY, v varbinary(max) NOT NULL);\nGO\n{values}", "BenchFiles")
        self.plant("Doc", SERVER_DOC.format("Doc"), SERVER_BLOBS, rows, "ParentPathColumn=")

    def plant_small(self, rows):
        self.plant("Small", SERVER_SMALL, SERVER_SMALL_ROWS, rows, "PathColumn=", "ParentPathColumn=")

    def plant_tree(self, rows):
        self.plant("Tree", SERVER_DOC.format("Tree"), SERVER_TREE, rows)

    def plant_idle(self, tables):
        for nth in range(tables):
            self.plant(f"Idle{nth}", SERVER_DOC.format(f"Idle{nth}"), SERVER_TREE, 0)
        self.call("run", "--no-bundle")

    def extract(self, name, batch_size):
        done = self.call("run", "--no-bundle", "--json", "--table", f"BenchFiles.dbo.{name}", "--batch-size", str(batch_size))
        return json.loads(done)["run"]["RunId"]

    def count(self, table):
        """Rows of a table beside the slices."""
        return int(re.search(r"Some\((\d+)\)", self.sql(f"SELECT COUNT(*) FROM dbo.{table};", "BenchFiles_Delta"))[1])

    def program(self, name, text):
        """The command that runs a script."""
        file = self.folder / f"{name}.sql"
        file.write_text(text)
        return [self.baseline, "sql", *self.login, file]

    def run(self, command):
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def pack_again(self, run):
        """A slice that is packed already can be packed once more."""
        return self.program("pack-again", f"""DELETE FROM BlobDeltaJobs.dbo.BlobDeltaBundle WHERE RunId = '{run}';
            UPDATE BlobDeltaJobs.dbo.BlobDeltaRunTable SET PackNumber = NULL WHERE RunId = '{run}';
            UPDATE BenchFiles_Delta.dbo.BlobDeltaSlice SET State = N'Complete' WHERE RunId = '{run}';""")

    def slope(self, run):
        """As that of an embedded instance."""
        ask = f"""SELECT CONVERT(int, RowsProcessed), DATEDIFF(microsecond, BatchStartedAt, BatchCompletedAt) FROM BlobDeltaJobs.dbo.BlobDeltaRunStep
            WHERE RunId = '{run}' AND RowsProcessed > 0 ORDER BY StepNumber, BatchNumber"""
        numbers = [list(map(int, re.findall(r"\d+", re.sub(r"I\d\d", "", line)))) for line in self.sql(ask).splitlines()]
        tenth = max(1, len(numbers) // 10)
        pace = lambda some: sum(took for _, took in some) / sum(rows for rows, _ in some)  # noqa: E731
        return pace(numbers[-tenth:]) / pace(numbers[:tenth])
