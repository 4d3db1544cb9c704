"""Spark on two local cores: the latest rows as `compact` has them, the same frame by a shuffle, filters, wrong parts."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest
from conftest import Program

import blobdelta

pytest.importorskip("pyspark", reason="SKIPPED: pyspark is not installed")
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from test_examples import check

from blobdelta.spark import latest

NOT_COMPARED = {"DeltaDepth", "DeltaBundle", "DeltaScope"}


def read(spark: SparkSession, places: Path, **options: str) -> DataFrame:
    return spark.read.format("blobdelta").options(**{"table": "ReferralAttachment", **options}).load(str(places))


def plain(value: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return str(value)
    return bytes(value) if isinstance(value, bytearray) else value


def naive(value: Any) -> Any:
    return value.replace(tzinfo=None) if getattr(value, "tzinfo", None) else value


def rows_of(frame: DataFrame) -> list[dict[str, Any]]:
    rows = [row.asDict() for row in frame.collect()]
    found = [{name: plain(value) for name, value in row.items() if name not in NOT_COMPARED} for row in rows]
    return sorted(found, key=lambda row: row["stream_id"])


def compare(found: list[dict[str, Any]], compacted: Path) -> None:
    due = blobdelta.open_bundle(str(compacted)).table("ReferralAttachment").rows().to_table().to_pylist()
    due = sorted(due, key=lambda row: str(row["stream_id"]))
    assert len(found) == len(due) > 10
    for mine, theirs in zip(found, due, strict=True):
        # A time with a zone comes in that of the session.
        assert mine == {name: naive(plain(value)) for name, value in theirs.items() if name in mine}


def test_the_latest_rows_are_those_of_compact(spark: SparkSession, changed: Path, compacted: Path) -> None:
    frame = read(spark, changed, mode="latest")
    found = rows_of(frame)
    compare(found, compacted)
    assert "file_stream" not in frame.columns and {"note", "is_offline", "DeltaBundle"} <= set(frame.columns)
    assert any(row["note"] == "new" for row in found)
    assert frame.rdd.getNumPartitions() > 1


def test_the_latest_rows_go_across_a_second_column_with_blobs(
    spark: SparkSession, program: Program, two_values: Path, tmp_path: Path
) -> None:
    program.run("compact", two_values, "--out", tmp_path)
    frame = read(spark, two_values, mode="latest")
    compare(rows_of(frame), next(tmp_path.iterdir()))
    assert frame.where("DeltaContentSha256_preview IS NOT NULL").count() > 3
    assert "DeltaContentSha256_file_stream" in frame.columns


def test_the_query_of_the_examples_goes_across_changes_of_columns(program: Program, two_values: Path, tmp_path: Path) -> None:
    check(program, two_values, tmp_path, "spark")


def test_the_latest_rows_by_a_shuffle_are_the_same(spark: SparkSession, changed: Path, compacted: Path) -> None:
    compare(rows_of(latest(read(spark, changed, mode="changes"), "stream_id")), compacted)


def test_values_come_only_if_they_are_named(spark: SparkSession, changed: Path, compacted: Path) -> None:
    frame = read(spark, changed, mode="latest", columns="stream_id, file_stream, DeltaContentSha256")
    assert frame.columns == ["stream_id", "file_stream", "DeltaContentSha256", "DeltaScope", "DeltaBundle"]
    assert frame.where("file_stream IS NOT NULL AND unhex(sha2(file_stream, 256)) <> DeltaContentSha256").count() == 0
    compare(rows_of(frame), compacted)


def test_rows_tombstones_and_filters(spark: SparkSession, changed: Path) -> None:
    with blobdelta.latest(str(changed), "ReferralAttachment") as every:
        rows = sum(part.file.rows or 0 for part in every._rows.parts)
        tombstones = sum(part.file.rows or 0 for part in every._tombstones.parts)
    frame = read(spark, changed)
    assert (frame.count(), read(spark, changed, mode="tombstones").count()) == (rows, tombstones)
    assert read(spark, changed, mode="changes").where("DeltaReason IS NOT NULL").count() == tombstones > 3
    key = frame.select("stream_id").first()[0]
    due = [row["stream_id"] for row in frame.collect()]
    assert frame.where(f.col("stream_id") == key).count() == due.count(key)
    assert frame.where(f.col("stream_id").isin(due[:3])).count() == sum(due.count(one) for one in set(due[:3]))
    stamp = frame.agg(f.expr("percentile_approx(DeltaModifiedOn__ticks, 0.5)")).first()[0]
    assert 0 < frame.where(f"DeltaModifiedOn__ticks > {stamp}").count() < rows
    newest = sorted(path.name for path in changed.iterdir())[-1]
    assert {row[0] for row in read(spark, changed, since=newest[:16]).select("DeltaBundle").collect()} == {str(changed / newest)}


def test_every_type_is_read(spark: SparkSession) -> None:
    place = Path(__file__).parents[3] / "fixtures/bundles/v1/20260101T164000Z-d9fbcb85-1.bundle"
    [table] = blobdelta.open_bundle(str(place)).tables
    rows = {str(row["stream_id"]): row for row in table.rows().to_table().to_pylist()}
    frame = read(spark, place, table="Types")
    # Python's own times, in which pyspark gives rows, have no year 0, where that of a zone lies.
    frame = frame.select([f"`{name}`" for name, kind in frame.dtypes if kind != "timestamp"])
    found = {row["stream_id"]: row for row in frame.collect()}
    assert set(found) == set(rows)
    for key, row in found.items():
        ticks = rows[key]["time(7)"]
        due = ticks and ((ticks.hour * 60 + ticks.minute) * 60 + ticks.second) * 1_000_000 + ticks.microsecond
        assert row["time(7)"] == due and (due is None or row["time(7)__ticks"] // 10 == due)
        for name in ("decimal(38,10)", "bigint", "nvarchar(20)", "tinyint", "date", "datetime2(7)", "datetime2(7)__ticks", "money"):
            assert row[name] == rows[key][name], name


def test_a_flipped_byte_fails_the_task_with_bundle_part_and_digest(spark: SparkSession, weekly: Path, tmp_path: Path) -> None:
    bundles = tmp_path / "bundles"
    shutil.copytree(weekly, bundles)
    part = next(sorted(bundles.iterdir())[2].glob("data/*-ReferralAttachment/part-*.parquet"))
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    with pytest.raises(Exception, match="changed_payload_file") as caught:
        read(spark, bundles).collect()
    for said in (part.parents[2].name, f"{part.parent.name}/{part.name}", "(sha256 "):
        assert said in str(caught.value)
    with pytest.raises(Exception, match="changed_payload_file"):
        read(spark, bundles, verify="deep").collect()


def test_a_gap_and_an_encrypted_archive_are_refused(spark: SparkSession, weekly: Path, tmp_path: Path) -> None:
    shutil.copytree(weekly, tmp_path / "bundles")
    shutil.rmtree(sorted((tmp_path / "bundles").iterdir())[3])
    with pytest.raises(Exception, match="missing before this one"):
        read(spark, tmp_path / "bundles", mode="latest").collect()
    assert read(spark, tmp_path / "bundles", mode="latest", allowGap="true").count() > 10
    (tmp_path / "bundles" / "20260101T164000Z-b95128bb-1.bundle.tar.age").write_bytes(b"age-encryption.org/v1\n")
    with pytest.raises(Exception, match="age --decrypt"):
        read(spark, tmp_path / "bundles").collect()
