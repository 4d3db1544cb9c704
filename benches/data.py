"""Instances to measure on: the files of an embedded one, and databases of a server."""

import json
import os
import random
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


SERVER_DATABASES = ["BenchFiles", "BenchMeta", "BenchFiles_Delta", "BenchCopy", "BlobDeltaJobs"]
SERVER_DOC = """CREATE TABLE dbo.{0} (
    stream_id uniqueidentifier NOT NULL PRIMARY KEY, name nvarchar(255) NOT NULL,
    path_locator varbinary(892) NOT NULL, parent_path_locator varbinary(892) NULL, file_stream varbinary(max) NULL);
CREATE UNIQUE INDEX IX_{0}_1 ON dbo.{0} (path_locator);
CREATE INDEX IX_{0}_2 ON dbo.{0} (parent_path_locator);"""
# Nineteen small columns and the key.
SERVER_SMALL = """CREATE TABLE dbo.Small (
    stream_id uniqueidentifier NOT NULL PRIMARY KEY, i1 int NOT NULL, i2 int NULL, i3 bigint NOT NULL, i4 smallint NOT NULL,
    i5 tinyint NOT NULL, b1 bit NOT NULL, f1 float NOT NULL, f2 float NULL, r1 real NOT NULL, d1 decimal(18, 4) NOT NULL,
    d2 decimal(9, 2) NULL, t1 datetime2(7) NOT NULL, t2 datetime NULL, t3 date NOT NULL, n1 nvarchar(50) NOT NULL,
    n2 nvarchar(20) NULL, n3 nvarchar(30) NOT NULL, g1 uniqueidentifier NOT NULL, v1 varbinary(16) NOT NULL);"""
SERVER_SMALL_ROWS = """SELECT NEWID(), n, CASE WHEN n % 7 > 0 THEN n END, CONVERT(bigint, n) * 1000003, n % 30000, n % 250, n % 2,
    n / 7.0, CASE WHEN n % 5 > 0 THEN n / 3.0 END, n / 9.0, CONVERT(decimal(18, 4), n) / 8, CASE WHEN n % 3 > 0 THEN CONVERT(decimal(9, 2), n) / 4 END,
    DATEADD(second, n, '2020-01-01'), CASE WHEN n % 11 > 0 THEN DATEADD(minute, n, '1990-01-01') END,
    DATEADD(day, n % 9000, '2000-01-01'), CONCAT(N'A name of a row, number ', n), CASE WHEN n % 4 > 0 THEN CONCAT(N'note ', n % 1000) END,
    CONCAT(N'kind ', n % 50), NEWID(), CONVERT(varbinary(16), n)"""


class Server:
    """Databases of a server that are this script's own; they go again with `drop`."""

    def __init__(self, connection, ours, baseline, folder):
        values = dict(part.split("=", 1) for part in connection.split(";") if part)
        values = {name.strip().lower(): value for name, value in values.items()}
        host, _, port = values["server"].removeprefix("tcp:").partition(",")
        self.address, self.user, self.password = f"{host}:{port or 1433}", values["user id"], values["password"]
        self.host, self.port = host, port or "1433"
        self.ours, self.folder = ours, folder
        self.login = [baseline, "sql", self.address, self.user, self.password]
        self.env = {"BLOBDELTA_CONNECTION": connection}
        self.drop()

    def sql(self, script, database="master"):
        """What the last batch gave; batches stand between lines that say GO."""
        file = self.folder / "script.sql"
        file.write_text(f"USE {database};\nGO\n{script}\n")
        done = subprocess.run([*self.login, file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(f"{script[:400]}\n{done.stderr}")
        return done.stdout

    def call(self, *args):
        done = subprocess.run([self.ours, *args], env={**os.environ, **self.env}, check=True, stdout=subprocess.PIPE)
        return done.stdout

    def drop(self):
        """Drops the databases; a job database that is anybody's but ours and the tests' is left alone."""
        own = "TableName NOT LIKE ''Bench%'' AND TableName NOT LIKE ''Src.dbo.%'' AND IsActive = 1"
        self.sql(f"""IF OBJECT_ID(N'BlobDeltaJobs.dbo.BlobDeltaTableConfig') IS NOT NULL EXEC (N'
            IF EXISTS (SELECT 1 FROM BlobDeltaJobs.dbo.BlobDeltaTableConfig WHERE {own})
                RAISERROR (N''BlobDeltaJobs has tables on this server that are not of a benchmark'', 16, 1)')""")
        self.sql("\nGO\n".join(f"IF DB_ID(N'{name}') IS NOT NULL DROP DATABASE {name};" for name in SERVER_DATABASES))

    def plant(self, name, table, columns, rows, count, settings=()):
        """A table of as many rows as asked for: `rows` is a SELECT list over the number `n` of a row."""
        if "Number" not in self.sql("SELECT name FROM sys.databases WHERE name = N'BenchFiles'") and not self.planted():
            self.call("deploy")
        self.sql(f"{table}\nGO\nINSERT INTO dbo.{name} ({columns}) {rows} FROM dbo.Number WHERE n < {count};", "BenchFiles")
        self.sql(f"""CREATE TABLE dbo.{name} (Id uniqueidentifier NOT NULL PRIMARY KEY, ModifiedOn datetime2(7) NULL);
            CREATE INDEX IX_{name}_1 ON dbo.{name} (ModifiedOn, Id);
            INSERT INTO dbo.{name} SELECT stream_id, '{STAMP[:-1]}' FROM BenchFiles.dbo.{name};""", "BenchMeta")
        self.call("table", "add", f"BenchFiles.dbo.{name}", "--metadata", f"BenchMeta.dbo.{name}", "MetadataIdColumn=Id",
                  "RequireBundle=0", *settings)
