"""What is read of good bundles: every cell as pyarrow has it in the file, and every value as `unpack` writes it."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import FIXTURES, ROOT, Program

import blobdelta
from blobdelta.sqltype import parse_type

LIST = json.loads((FIXTURES / "LIST.json").read_text())
TREE, TYPES = "00010101T000000Z-53430cc6-1.bundle", "20260101T164000Z-d9fbcb85-1.bundle"


@pytest.mark.parametrize("name", LIST)
def test_committed_bundles_read_as_listed(name: str) -> None:
    bundle = blobdelta.open_bundle(str(FIXTURES / name))
    assert bundle.root_sha256 == LIST[name]["root_sha256"]
    report = blobdelta.verify(str(FIXTURES / name), "deep")
    assert report.is_good and report.rows == LIST[name]["decoded_rows"]
    for table in bundle.tables:
        due = LIST[name]["tables"][table.name]
        assert (table.rows().count_rows(), table.tombstones().count_rows()) == (due["rows"], due["tombstones"])


@pytest.mark.parametrize("name", [name for name in LIST if name.endswith(".bundle")])
def test_every_cell_is_that_of_the_file(name: str) -> None:
    cells = 0
    for table in blobdelta.open_bundle(str(FIXTURES / name)).tables:
        for role, found in (("rows", table.rows()), ("tombstones", table.tombstones()), ("absent_parents", table.absent_parents())):
            files = [pq.read_table(FIXTURES / name / file.path, partitioning=None) for file in table.info.files_of(role)]
            if not files:
                assert found.count_rows() == 0
                continue
            due, mine = pa.concat_tables(files), found.to_table()
            assert mine.equals(due)
            cells += mine.num_rows * mine.num_columns
    assert cells > 100


def test_an_archive_reads_as_its_folder() -> None:
    name = "20260101T164000Z-b95128bb-1.bundle"
    folder, archive = (blobdelta.open_bundle(str(FIXTURES / one)) for one in (name, f"{name}.tar"))
    assert folder.root_sha256 == archive.root_sha256
    [one], [other] = folder.tables, archive.tables
    assert one.rows().to_table().equals(other.rows().to_table())


def values(table: blobdelta.Table, column: str) -> dict[object, str | None]:
    """The hash of each row's value, read as a stream."""
    found = {}
    for key in table.rows().to_table([table.info.key_column]).column(0).to_pylist():
        stream = table.blob(key, column)
        found[key] = None if stream is None else hashlib.sha256(stream.read()).hexdigest()
    return found


def test_values_are_those_that_unpack_writes(program: Program, tmp_path: Path) -> None:
    [table] = blobdelta.open_bundle(str(FIXTURES / TREE)).tables
    program.run("unpack", FIXTURES / TREE, "--out", tmp_path / "out")
    due = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "out").rglob("*") if path.is_file())
    [column] = [one.name for one in table.info.columns if one.sql_type.is_blob]
    found = [digest for digest in values(table, column).values() if digest is not None]
    files = program.json("unpack", FIXTURES / TREE, "--out", tmp_path / "again")
    assert files and set(due) <= set(found)
    rows = table.rows().to_table([column, "DeltaContentSha256", "DeltaBlobRef"])
    assert pc.sum(pc.is_valid(rows.column("DeltaBlobRef"))).as_py() > 0, "some lie in blob/"
    said = [digest.hex() for digest in rows.column("DeltaContentSha256").to_pylist() if digest]
    assert sorted(found) == sorted(said)


@pytest.mark.parametrize("column", ["varchar(max)", "nvarchar(max)", "text", "ntext", "xml", "varbinary(max)", "image"])
def test_values_of_every_large_type_are_streams(column: str) -> None:
    [table] = blobdelta.open_bundle(str(FIXTURES / TYPES)).tables
    rows = {row[table.info.key_column]: row for row in table.rows().to_table().to_pylist()}
    large = table.info.column(column)
    inline = referenced = 0
    for key, digest in values(table, column).items():
        value, reference = rows[key][column], rows[key][large.blob_ref]
        raw = value.encode() if isinstance(value, str) else value
        due = reference.removeprefix("blob/").removesuffix(".zst") if reference else raw and hashlib.sha256(raw).hexdigest()
        assert digest == (due if due != b"" else hashlib.sha256(b"").hexdigest())
        inline += digest is not None and reference is None
        referenced += reference is not None
    assert inline and referenced


def test_types_are_the_true_ones_and_pandas_rounds_nothing() -> None:
    pandas = pytest.importorskip("pandas")
    [table] = blobdelta.open_bundle(str(FIXTURES / TYPES)).tables
    rows = table.rows().to_table()
    frame = blobdelta.to_pandas(rows)
    assert rows.schema.field("stream_id").type == pa.uuid()
    assert rows.schema.field("decimal(38,38)").type == pa.decimal128(38, 38)
    for name in rows.column_names:
        assert isinstance(frame[name].dtype, pandas.ArrowDtype)
        assert pa.chunked_array(frame[name].array.__arrow_array__()).combine_chunks().equals(rows.column(name).combine_chunks())


def test_a_key_is_a_uuid_or_its_text_and_another_is_refused() -> None:
    table = blobdelta.open_bundle(str(FIXTURES / TREE)).table("files")
    key = table.rows().to_table(["stream_id"]).column(0)[0].as_py()
    assert isinstance(key, uuid.UUID)
    one, other = table.blob(key), table.blob(str(key))
    assert (one and one.read()) == (other and other.read())
    with pytest.raises(blobdelta.UsageError, match="no row with the key"):
        table.blob(uuid.UUID(int=0))
    with pytest.raises(blobdelta.UsageError, match="has no table"):
        blobdelta.open_bundle(str(FIXTURES / TREE)).table("other")


def test_only_the_columns_that_are_asked_for_are_decoded() -> None:
    [table] = blobdelta.open_bundle(str(FIXTURES / TYPES)).tables
    found = table.rows().to_table(["int"], filter=pc.field("int") > 0)
    assert found.column_names == ["int"] and 0 < found.num_rows < 19


def test_the_schema_of_the_package_is_that_of_the_format() -> None:
    mine = ROOT / "python/src/blobdelta/manifest.schema.json"
    assert mine.read_bytes() == (ROOT / "manifests/manifest.schema.json").read_bytes(), "copy manifests/manifest.schema.json"


def test_a_key_is_named_as_its_type_is_written() -> None:
    [table] = blobdelta.open_bundle(str(FIXTURES / TREE)).tables
    for sql_type, names, due in (
        ("binary(3)", (b"\x0a\x0b\x0c", "0x0A0B0C", "0a0b0c"), b"\x0a\x0b\x0c"),
        ("int", (7, "7"), 7),
        ("uniqueidentifier", (uuid.UUID(int=7), str(uuid.UUID(int=7))), uuid.UUID(int=7)),
    ):
        columns = [replace(one, sql_type=parse_type(sql_type)) if one == table.info.key else one for one in table.info.columns]
        other = blobdelta.Table(table.bundle, replace(table.info, columns=tuple(columns)))
        assert [other.key_scalar(name).as_py() for name in names] == [due] * len(names)
