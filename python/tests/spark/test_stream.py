"""Streams of Spark: each bundle once, whenever it comes, also after a kill; a Delta table that ends as `compact` has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import blobdelta

pytest.importorskip("pyspark", reason="SKIPPED: pyspark is not installed")
from pyspark.sql import SparkSession
from test_spark import compare, plain

from blobdelta.spark import BlobdeltaSource, BlobdeltaStream

EXAMPLE = Path(__file__).parents[3] / "examples/spark_delta.py"


def follow(bundles: Path, delta: Path, notes: Path, *dies: int) -> int:
    command = [sys.executable, Path(__file__).with_name("killed.py"), EXAMPLE, bundles, "ReferralAttachment", delta, notes, *dies]
    environ = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    return subprocess.run([str(part) for part in command], env=environ, check=False, capture_output=True).returncode


def test_a_delta_table_follows_the_bundles_each_once_across_a_kill_a_late_bundle_and_a_change_of_columns(
    changed: Path, compacted: Path, tmp_path: Path
) -> None:
    pytest.importorskip("deltalake")
    every = sorted(changed.iterdir())
    bundles, delta, notes = tmp_path / "bundles", tmp_path / "delta", tmp_path / "notes"
    late = every[3]
    for one in every[:-1]:
        if one != late:
            shutil.copytree(one, bundles / one.name)
    assert follow(bundles, delta, notes, 2) < 0
    for one in (late, every[-1]):
        shutil.copytree(one, bundles / one.name)
    assert follow(bundles, delta, notes) == 0

    batches = [json.loads(line) for line in notes.read_text("utf-8").splitlines()]
    assert batches[1] == batches[2], "the batch that was killed comes again, as it was"
    applied = [name for batch in (batches[:2] + batches[3:]) for name in batch]
    assert sorted(applied) == [one.name for one in every]
    assert late.name not in applied[:6]

    rows = pq.read_table(f"{delta}.current").to_pylist()
    found = [
        {name: plain(value) for name, value in row.items() if name not in ("DeltaBundle", "DeltaScope", "DeltaDepth")}
        for row in rows
    ]
    compare(sorted(found, key=lambda row: row["stream_id"]), compacted)
    assert {"note", "is_offline"} <= set(found[0]) and any(row["note"] == "new" for row in found)


class Stream:
    """A query that notes which bundles come, in which batch."""

    def __init__(self, spark: SparkSession, bundles: Path, checkpoint: Path, **options: str) -> None:
        self.found: list[list[str]] = []
        options = {"table": "ReferralAttachment", "mode": "changes", **options}
        frame = spark.readStream.format("blobdelta").options(**options).load(str(bundles)).select("DeltaBundle")
        self.writer = frame.writeStream.foreachBatch(self._note).option("checkpointLocation", str(checkpoint))

    def _note(self, batch: Any, _: int) -> None:
        self.found.append(sorted(Path(row[0]).name for row in batch.distinct().collect()))

    def run(self) -> list[list[str]]:
        self.found.clear()
        query = self.writer.trigger(availableNow=True).start()
        query.awaitTermination()
        return list(self.found)


def test_what_was_compacted_from_bundles_that_were_read_is_passed_over(
    spark: SparkSession, changed: Path, compacted: Path, tmp_path: Path
) -> None:
    bundles, every = tmp_path / "bundles", [one.name for one in sorted(changed.iterdir())]
    shutil.copytree(changed, bundles)
    checkpoint = tmp_path / "checkpoint"
    assert Stream(spark, bundles, checkpoint).run() == [every]
    for name in every[1:]:
        shutil.rmtree(bundles / name)
    shutil.copytree(compacted, bundles / compacted.name)
    assert [batch for batch in Stream(spark, bundles, checkpoint).run() if batch] == []
    # Whoever begins now reads what is there.
    assert Stream(spark, bundles, tmp_path / "other").run() == [sorted([every[0], compacted.name])]


def test_a_stream_says_what_it_does_not_read(spark: SparkSession, weekly: Path, changed: Path, tmp_path: Path) -> None:
    bundles, checkpoint = tmp_path / "bundles", tmp_path / "checkpoint"
    shutil.copytree(weekly, bundles)
    with pytest.raises(Exception, match="a stream has no latest rows"):
        Stream(spark, bundles, checkpoint, mode="latest").run()
    every = sorted(bundles.iterdir())
    kept = shutil.move(every[4], tmp_path)
    with pytest.raises(Exception, match="missing before this one"):
        Stream(spark, bundles, checkpoint).run()
    shutil.move(kept, bundles)
    # The columns change between the start of a query and its first batch.
    begun = Stream(spark, bundles, checkpoint)
    assert begun.run() == [[one.name for one in every]]
    newest = sorted(changed.iterdir())[-1]
    shutil.copytree(newest, bundles / newest.name)
    with pytest.raises(Exception, match=r"not those that this query began with \(.*note"):
        begun.run()
    assert Stream(spark, bundles, checkpoint).run() == [[newest.name]]
    with pytest.raises(Exception, match="this checkpoint is of a stream of the mode changes"):
        Stream(spark, bundles, checkpoint, mode="rows").run()


def planned(place: object, **options: str) -> BlobdeltaStream:
    """A stream as Spark's driver has it, without Spark."""
    source = BlobdeltaSource({"path": str(place), "table": "ReferralAttachment", "mode": "changes", **options})
    return source.streamReader(source.schema())


def bundles_of(stream: BlobdeltaStream, start: dict[str, str], end: dict[str, str]) -> list[str]:
    return sorted({Path(task.about["place"]).name for task in stream.partitions(start, end)})


def test_a_bundle_that_was_pruned_before_its_batch_was_done_is_read_from_where_it_was_compacted_into(
    changed: Path, compacted: Path, tmp_path: Path
) -> None:
    bundles, every = tmp_path / "bundles", [one.name for one in sorted(changed.iterdir())]
    shutil.copytree(changed, bundles)
    stream = planned(bundles)
    start = stream.initialOffset()
    end = stream.latestOffset(start)
    assert bundles_of(planned(bundles), start, end) == every
    for name in every[3:]:
        shutil.rmtree(bundles / name)
    with pytest.raises(blobdelta.UsageError, match="put it back"):
        planned(bundles).partitions(start, end)
    shutil.copytree(compacted, bundles / compacted.name)
    assert bundles_of(planned(bundles), start, end) == sorted([*every[:3], compacted.name])
    # And then it is no news.
    after = planned(bundles).latestOffset(end)
    assert after != end and bundles_of(planned(bundles), end, after) == []


def test_a_bundle_without_its_marker_is_not_there(weekly: Path, tmp_path: Path) -> None:
    every = sorted(weekly.iterdir())
    for one in every:
        shutil.copytree(one, tmp_path / one.name)
        root = blobdelta.open_bundle(str(one)).root_sha256
        (tmp_path / f"{one.name}.complete").write_text(f"{root}\n")
    marker = tmp_path / f"{every[-1].name}.complete"
    marker.rename(tmp_path / "kept")
    stream = planned(f"file://{tmp_path}")
    start = stream.initialOffset()
    early = stream.latestOffset(start)
    assert stream.latestOffset(early) == early
    assert len(early["bundles"]) == 16 * (len(every) - 1)
    (tmp_path / "kept").rename(marker)
    assert bundles_of(stream, early, stream.latestOffset(early)) == [every[-1].name]
