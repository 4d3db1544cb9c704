"""What the tests share: the program itself, to hold the package against, and bundles that it made."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures/bundles/v1"


class Program:
    """The program `blobdelta`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def run(self, *args: object, codes: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run([self.path, *map(str, args)], capture_output=True, text=True, check=False)
        assert done.returncode in codes, f"{args}: {done.returncode}: {done.stderr}"
        return done.stdout

    def json(self, *args: object, codes: tuple[int, ...] = (0,)) -> Any:
        return json.loads(self.run(*args, "--json", codes=codes))

    def verify(self, place: object, *args: object) -> dict[str, Any]:
        return self.json("verify", "--deep", *args, place, codes=(0, 3, 5))["bundles"][0]


@pytest.fixture(scope="session")
def program() -> Program:
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = os.environ.get("BLOBDELTA_BIN") or shutil.which("blobdelta", path=target / "debug")
    if not path:
        pytest.skip("SKIPPED: there is no program blobdelta to hold this against: `cargo build`, or set BLOBDELTA_BIN")
    return Program(str(path))


@pytest.fixture(scope="session")
def weekly(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine bundles of two tables: a full load, and eight weeks of changes with deletions."""
    folder = tmp_path_factory.mktemp("weekly") / "demo"
    program.run("demo", "--weeks", 8, "--dir", folder)
    return folder / "bundles"


@pytest.fixture(scope="session")
def changed(program: Program, weekly: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same and one more week, before which columns of the source were added, widened and dropped."""
    source = moved(program, weekly.parent, tmp_path_factory.mktemp("changed") / "demo")
    with sqlite3.connect(source / "Gwent_LA_FileTable.sqlite") as files:
        declared = files.execute("SELECT sql FROM sqlite_master WHERE name = 'ReferralAttachment'").fetchone()[0]
        wider = declared.replace('is_temporary" "bit', 'is_temporary" "int').replace(
            'file_type" "nvarchar(255)', 'file_type" "nvarchar(400)'
        )
        files.execute("PRAGMA writable_schema = ON")
        files.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'ReferralAttachment'", [wider])
    with sqlite3.connect(source / "Gwent_LA_FileTable.sqlite") as files:
        files.execute('ALTER TABLE ReferralAttachment ADD COLUMN "note" "nvarchar(50) TEXT"')
        files.execute("ALTER TABLE ReferralAttachment DROP COLUMN is_offline")
        keys = files.execute("SELECT stream_id FROM ReferralAttachment ORDER BY stream_id LIMIT 7").fetchall()
        files.executemany("UPDATE ReferralAttachment SET note = 'new', is_temporary = 300 WHERE stream_id = ?", keys)
    captured(program, source, keys)
    return source.parent / "bundles"


@pytest.fixture(scope="session")
def two_values(program: Program, changed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same and one more week, before which a second column with blobs was added."""
    source = moved(program, changed.parent, tmp_path_factory.mktemp("two_values") / "demo")
    with sqlite3.connect(source / "Gwent_LA_FileTable.sqlite") as files:
        files.execute('ALTER TABLE ReferralAttachment ADD COLUMN "preview" "varbinary(max)"')
        keys = files.execute("SELECT stream_id FROM ReferralAttachment ORDER BY stream_id LIMIT 9").fetchall()
        files.executemany("UPDATE ReferralAttachment SET preview = zeroblob(20) WHERE stream_id = ?", keys[:6])
    captured(program, source, keys)
    return source.parent / "bundles"


def moved(program: Program, demo: Path, folder: Path) -> Path:
    """A copy of a demo that goes on by itself; gives the folder of its instance."""
    shutil.copytree(demo, folder)
    source = folder / "source"
    with sqlite3.connect(source / "BlobDeltaJobs.sqlite") as jobs:
        jobs.execute("UPDATE BlobDeltaBundle SET Folder = ?", [str((folder / "bundles").resolve())])
    program.run("deploy", "--moved", "--connection", f"sqlite:{source}")
    return source


def captured(program: Program, source: Path, keys: list[tuple[bytes]]) -> None:
    """Stamps rows of ReferralAttachment, and runs."""
    stamp = (datetime.now(UTC) - timedelta(hours=4, minutes=20)).strftime("%Y-%m-%dT%H:%M:%S.%f0")
    with sqlite3.connect(source / "AdvancedRBS_MetaData.sqlite") as metadata:
        metadata.executemany("UPDATE ReferralAttachment SET ModifiedOn = ? WHERE AttachmentId = ?", [(stamp, *key) for key in keys])
    # The name of a bundle has the second of its run, and tests take the order of names for that of the runs.
    time.sleep(1.1)
    program.run("run", "--connection", f"sqlite:{source}", "--out", source.parent / "bundles")


@pytest.fixture(scope="session")
def compacted(program: Program, changed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `compact` makes of the bundles of `changed`."""
    out = tmp_path_factory.mktemp("compacted")
    program.run("compact", changed, "--out", out)
    return next(out.iterdir())


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A session of Spark on two local cores."""
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        pytest.skip("SKIPPED: Spark needs Java, which is not installed")
    pytest.importorskip("pyspark", reason="SKIPPED: pyspark is not installed")
    from pyspark.sql import SparkSession  # noqa: PLC0415

    from blobdelta.spark import BlobdeltaSource  # noqa: PLC0415 (it needs pyspark)

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", "2")
    session = builder.config("spark.sql.python.filterPushdown.enabled", "true").getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    session.dataSource.register(BlobdeltaSource)
    yield session
    session.stop()
