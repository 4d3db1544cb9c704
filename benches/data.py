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

    def plant_large(self, size):
        """A flat table with one value that is about as large as SQLite takes (1,000,000,000 bytes)."""
        value = os.urandom(1 << 20) * (size >> 20)
        keys = [os.urandom(16) for _ in range(100)]
        small = [(key, f"{nth}.bin", nth.to_bytes(4, "big"), None, key) for nth, key in enumerate(keys)]
        self.plant([(os.urandom(16), "large.bin", b"\1", None, value), *small])

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
