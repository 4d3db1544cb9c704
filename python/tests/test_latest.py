"""The latest rows: as `compact` has them, by the package, DuckDB and Polars; chains as `chain` shows them; gaps; wrong parts."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import FIXTURES, ROOT, Program
from forge import with_cell

import blobdelta
from blobdelta import _latest as latest
from blobdelta.errors import Wrong
from blobdelta.plan import plain as column
from blobdelta.sqltype import parse_type
from blobdelta.union import union

NOT_COMPARED = {"DeltaDepth", "DeltaBundle"}
TABLES = ("ReferralAttachment", "ClientAttachment")


def plain(value: Any) -> Any:
    return value.bytes if isinstance(value, uuid.UUID) else value


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    rows = [{name: plain(value) for name, value in row.items() if name not in NOT_COMPARED} for row in table.to_pylist()]
    return sorted(rows, key=lambda row: row["stream_id"])


def by_package(places: Path, table: str) -> list[dict[str, Any]]:
    with blobdelta.latest(str(places), table) as found:
        return rows_of(found.to_table([*found.fields, "file_stream"]))


def by_duckdb(places: Path, table: str) -> list[dict[str, Any]]:
    engine = pytest.importorskip("duckdb")
    with engine.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        blobdelta.duckdb(connection, str(places), blobs=True)
        found = connection.sql(f'SELECT * FROM "{table}_latest"').to_arrow_table()
        keys = [field.name for field in found.schema if field.type == pa.uuid() or field.name.endswith("Key")]
        rows = found.to_pylist()
        for row in rows:
            row.update({name: uuid.UUID(row[name]) for name in keys if isinstance(row[name], str)})
            row.update(
                {
                    name: uuid.UUID(row[name])
                    for name in ("stream_id", "DeltaBusinessUnit", "DeltaRunId")
                    if isinstance(row[name], str)
                }
            )
        return sorted(
            [{name: plain(value) for name, value in row.items() if name not in NOT_COMPARED} for row in rows],
            key=lambda row: row["stream_id"],
        )


def by_polars(places: Path, table: str) -> list[dict[str, Any]]:
    pytest.importorskip("polars")
    rows = blobdelta.polars(str(places), table, blobs=True).collect().to_dicts()
    return sorted(
        [{name: value for name, value in row.items() if name not in NOT_COMPARED} for row in rows], key=lambda row: row["stream_id"]
    )


ENGINES: dict[str, Callable[[Path, str], list[dict[str, Any]]]] = {"package": by_package, "duckdb": by_duckdb, "polars": by_polars}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("table", TABLES)
def test_the_latest_rows_are_those_of_compact(engine: str, table: str, changed: Path, compacted: Path) -> None:
    due = rows_of(blobdelta.open_bundle(str(compacted)).table(table).rows().to_table())
    found = ENGINES[engine](changed, table)
    assert len(found) > 10
    for mine, theirs in zip(found, due, strict=True):
        assert {name: mine[name] for name in theirs} == theirs
    if table == "ReferralAttachment":
        assert {"note", "is_offline"} <= set(found[0]), "columns that were added and dropped"
        assert sum(row["note"] == "new" for row in found) == sum(row["is_temporary"] == 300 for row in found) > 3


@pytest.mark.parametrize("engine", ENGINES)
def test_the_latest_rows_go_across_a_second_column_with_blobs(
    engine: str, program: Program, two_values: Path, tmp_path: Path
) -> None:
    program.run("compact", two_values, "--out", tmp_path)
    found = ENGINES[engine](two_values, "ReferralAttachment")
    [compacted] = tmp_path.iterdir()
    due = rows_of(blobdelta.open_bundle(str(compacted)).table("ReferralAttachment").rows().to_table())
    for mine, theirs in zip(found, due, strict=True):
        assert mine == {name: value for name, value in theirs.items() if name in mine}
    assert {"DeltaContentSha256_file_stream", "DeltaContentSha256_preview", "DeltaBlobRef_preview"} <= set(found[0])
    assert sum(row["DeltaContentSha256_preview"] is not None for row in found) > 3


def test_the_values_of_the_latest_rows_are_streams(changed: Path, compacted: Path) -> None:
    one = blobdelta.open_bundle(str(compacted)).table("ReferralAttachment")
    with blobdelta.latest(str(changed), "ReferralAttachment") as found:
        for key in found.to_table(["stream_id"]).column(0).to_pylist():
            mine, due = found.blob(key), one.blob(key)
            assert (mine and mine.read()) == (due and due.read())
        deleted = one.tombstones().to_table(["stream_id"]).column(0)[0].as_py()
        with pytest.raises(blobdelta.UsageError, match="deleted"):
            found.blob(deleted)


def test_values_that_bundles_leave_out_are_taken_from_those_that_hold_them(program: Program, tmp_path: Path) -> None:
    program.run("demo", "--weeks", 6, "--omit-known-content", "--dir", tmp_path / "demo")
    bundles, table = tmp_path / "demo/bundles", "ReferralAttachment"
    with blobdelta.latest(str(bundles), table) as found:
        rows = found.to_table(["stream_id", "file_stream", "DeltaContentSha256", "DeltaBlobRef"]).to_pylist()
        for row in rows:
            value = found.blob(row["stream_id"])
            assert (value and hashlib.sha256(value.read()).digest()) == row["DeltaContentSha256"]
        left_out = [row for row in rows if (row["DeltaBlobRef"] or "").startswith("known/")]
        assert left_out
        for row in rows:
            if (value := row["file_stream"]) is not None:
                assert hashlib.sha256(value).digest() == row["DeltaContentSha256"]
        filled = {row["stream_id"].bytes: row["file_stream"] for row in left_out if row["file_stream"] is not None}
        assert filled and found.blob(next(iter(filled))) is not None, "the bytes of a UUID are a key"
        with pytest.raises(blobdelta.UsageError, match="its 16 bytes"):
            found.blob(b"123")
    for engine in (by_polars, by_duckdb):
        values = {row["stream_id"]: row["file_stream"] for row in engine(bundles, table)}
        assert {key: values[key] for key in filled} == filled
    polars = pytest.importorskip("polars")
    every = blobdelta.polars(str(bundles), table, "rows", blobs=True).filter(polars.col("DeltaBlobRef").str.starts_with("known/"))
    assert every.collect()["file_stream"].drop_nulls().len() >= len(filled)
    key = left_out[0]["stream_id"]
    shutil.rmtree(sorted(bundles.iterdir())[0])
    refused = pytest.raises(blobdelta.UsageError, match="leaves out the value of file_stream, and the bundle with the root digest")
    with blobdelta.latest(str(bundles), table, allow_gap=True) as found, refused:
        found.blob(key)
    for read in (
        lambda: found_table(bundles, table),
        lambda: blobdelta.polars(str(bundles), table, blobs=True, allow_gap=True).collect(),
        lambda: with_duckdb(bundles, table),
    ):
        with pytest.raises(Exception, match="which is not among the places"):
            read()


def found_table(places: Path, table: str) -> pa.Table:
    with blobdelta.latest(str(places), table, allow_gap=True) as found:
        return found.to_table(["file_stream"])


def with_duckdb(places: Path, table: str) -> Any:
    with pytest.importorskip("duckdb").connect() as connection:
        blobdelta.duckdb(connection, str(places), blobs=True, allow_gap=True)
        assert connection.sql(f'SELECT count(name) FROM "{table}_latest"').limit(1).fetchall()[0][0] > 0
        return connection.sql(f'SELECT file_stream FROM "{table}_latest"').fetchall()


def test_verify_takes_one_bundle(weekly: Path) -> None:
    with pytest.raises(blobdelta.UsageError, match="takes one bundle"):
        blobdelta.verify(str(weekly))


@pytest.mark.parametrize("removed", [[], [0], [3], [3, 4], [8], [0, 1, 2, 3, 4, 5, 6, 7]])
def test_chains_and_gaps_are_those_of_the_program(removed: list[int], weekly: Path, program: Program, tmp_path: Path) -> None:
    names = [path.name for path in sorted(weekly.iterdir())]
    for nth, name in enumerate(names):
        if nth not in removed:
            shutil.copytree(weekly / name, tmp_path / name)
    due = program.json("chain", tmp_path, codes=(0, 3, 5))["chains"]
    found = blobdelta.chain(str(tmp_path)).chains
    assert [(one.table, one.begins_after, len(one.members)) for one in found] == [
        (one["table"], one["begins_after"], len(one["bundles"])) for one in due
    ]
    for mine, theirs in zip(found, due, strict=True):
        assert [(gap.start, gap.end) for gap in mine.gaps] == [
            (gap["start"].removesuffix("Z"), gap["end"].removesuffix("Z")) for gap in theirs["gaps"]
        ]
        assert [link[0] for link in mine.broken_links] == [link["kind"] for link in theirs["misfits"]]
    has_gap = any(nth < 8 for nth in removed)
    for engine in (lambda: blobdelta.latest(str(tmp_path), "ClientAttachment"), lambda: by_polars(tmp_path, "ClientAttachment")):
        if has_gap:
            with pytest.raises(blobdelta.ChainError, match="missing before this one"):
                engine()
        else:
            engine()
    if has_gap:
        blobdelta.latest(str(tmp_path), "ClientAttachment", allow_gap=True).close()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_flipped_byte_fails_every_engine(engine: str, weekly: Path, tmp_path: Path) -> None:
    bundles = tmp_path / "bundles"
    shutil.copytree(weekly, bundles)
    part = next(sorted(bundles.iterdir())[2].glob("data/*-ReferralAttachment/part-*.parquet"))
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    with pytest.raises(Exception, match="changed_payload_file") as caught:
        ENGINES[engine](bundles, "ReferralAttachment")
    assert part.name in str(caught.value) and part.parents[2].name in str(caught.value) and "sha256" in str(caught.value)


def test_a_later_stamp_than_any_can_be_is_refused(tmp_path: Path) -> None:
    name = "00010101T000000Z-53430cc6-1.bundle"
    shutil.copytree(FIXTURES / name, tmp_path / name)
    with_cell("part-00000.parquet", "DeltaModifiedOn__ticks", 0, 3_000_000_000_000_000_000)(tmp_path / name)
    with pytest.raises(blobdelta.BundleError) as caught:
        blobdelta.latest(str(tmp_path / name), "Files")
    assert caught.value.finding.kind == "in_the_future"


def test_several_tables_or_none_are_not_guessed(weekly: Path, tmp_path: Path) -> None:
    with pytest.raises(blobdelta.UsageError, match="name one table of"):
        blobdelta.latest(str(weekly))
    with pytest.raises(blobdelta.UsageError, match="name one table of"):
        blobdelta.latest(str(weekly), "Other")
    with pytest.raises(blobdelta.UsageError, match="no bundle"):
        blobdelta.chain(str(tmp_path))


def test_bundles_there_twice_or_as_archive_count_once(weekly: Path, program: Program, tmp_path: Path) -> None:
    due = by_package(weekly, "ClientAttachment")
    shutil.copytree(weekly, tmp_path / "a")
    first = sorted((tmp_path / "a").iterdir())[0]
    program.run("archive", first, "--out", tmp_path / "a")
    assert by_package(tmp_path / "a", "ClientAttachment") == due
    shutil.rmtree(first)
    assert by_package(tmp_path / "a", "ClientAttachment") == due


def test_the_table_of_promotions_is_that_of_the_program() -> None:
    text = (ROOT / "src/model/drift.rs").read_text()
    body = text[text.index("fn numbers_and_texts_that_grow") : text.index("fn a_type_that_would_cut")]
    pairs = [tuple(re.sub(r",\s*", ",", one) for one in pair) for pair in re.findall(r'\("([^"]+)", "([^"]+)"\)', body)]
    assert len(pairs) > 15
    wider, other = pairs[:-4], pairs[-4:]
    for wide, narrow in wider:
        assert parse_type(wide).promotes(parse_type(narrow)) and not parse_type(narrow).promotes(parse_type(wide)), (wide, narrow)
    for one, two in other:
        assert not parse_type(one).promotes(parse_type(two)) and not parse_type(two).promotes(parse_type(one)), (one, two)


def test_columns_of_two_types_that_do_not_hold_each_other_are_refused() -> None:
    shapes = [[column("N", parse_type("int"))], [column("n", parse_type("date"))]]
    with pytest.raises(Wrong, match="neither takes every value"):
        union(shapes)


def by_the_rules(rows: list[tuple[Any, ...]]) -> dict[bytes, Any]:
    """Section 5 of FORMAT.md, of (chain, key, stamp, reason or None, started, run)."""
    best: dict[tuple[int, bytes], tuple[Any, ...]] = {}
    chains = {row[0] for row in rows}
    for chain, key, stamp, reason, started, run in rows:
        rank = (stamp is not None, stamp or 0, reason == "Deleted", started, run, reason is not None)
        for one in chains if reason == "Deleted" else [chain]:
            if (one, key) not in best or best[one, key][0] < rank:
                best[one, key] = (rank, reason)
    found: dict[bytes, Any] = {}
    for (_, key), (rank, reason) in best.items():
        if reason is None:
            found[key] = max(found.get(key, ()), (rank[1] if rank[0] else -1, rank[3], rank[4]))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_winner_is_that_of_the_rules(seed: int) -> None:
    """The statements of `latest`, over random versions of several chains with many ties."""

    dice = random.Random(seed)
    database = sqlite3.connect("", isolation_level=None)
    database.executescript(latest._VERSIONS)
    rows = []
    for nth in range(3000):
        chain, key, stamp = dice.randrange(3), bytes([dice.randrange(250)]) * 16, dice.choice([None, 1, 2, 3])
        reason = dice.choice([*[None] * 12, "Deleted", *["LeftScope"] * 3])
        started, run = dice.randrange(3), bytes([dice.randrange(3)]) * 16
        rows.append((chain, key, stamp, reason, started, run))
        version = (-1 if stamp is None else stamp, reason == "Deleted", started, run, reason is not None, nth, nth)
        competes = range(3) if reason == "Deleted" else [chain]
        database.executemany(latest._UPSERT, [(key, one, *version) for one in competes])
    found = {}
    for part, _ in database.execute(latest._WINNERS):
        chain, key, stamp, reason, started, run = rows[part]
        assert reason is None and key not in found
        found[key] = (-1 if stamp is None else stamp, started, run)
    assert found == by_the_rules(rows) and 20 < len(found) < 250
