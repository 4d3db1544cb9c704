"""A bundle that is wrong in one way has the findings of `blobdelta verify --deep --json`: the same codes of the same files."""

from __future__ import annotations

import datetime
import hashlib
import os
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import FIXTURES, Program
from forge import (
    MANIFEST,
    PAYLOAD_LIST,
    TAG_LIST,
    Change,
    read_manifest,
    seal,
    seal_tags,
    with_cell,
    with_manifest,
    with_manifest_bytes,
    with_part,
    write_manifest,
)

import blobdelta

TREE = "00010101T000000Z-53430cc6-1.bundle"
TYPES = "20260101T164000Z-d9fbcb85-1.bundle"
PART, DELETES, ABSENT = "part-00000.parquet", "deletes-00000.parquet", "absent-parents-00000.parquet"


def flip(name: str, at: int = -20) -> Change:
    def change(bundle: Path) -> None:
        path = next(bundle.rglob(name))
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)

    return change


def append(name: str, data: bytes) -> Change:
    def change(bundle: Path) -> None:
        with next(bundle.rglob(name)).open("ab") as file:
            file.write(data)

    return change


def make(path: str, data: bytes = b"x") -> Change:
    def change(bundle: Path) -> None:
        (bundle / path).parent.mkdir(parents=True, exist_ok=True)
        (bundle / path).write_bytes(data)

    return change


def remove(name: str) -> Change:
    return lambda bundle: next(bundle.rglob(name)).unlink()


def link(name: str) -> Change:
    def change(bundle: Path) -> None:
        path = next(bundle.rglob(name))
        path.rename(bundle.parent / "elsewhere")
        path.symlink_to(bundle.parent / "elsewhere")

    return change


def link_folder(bundle: Path) -> None:
    (bundle / "data").rename(bundle.parent / "data")
    (bundle / "data").symlink_to(bundle.parent / "data")


def with_list(name: str, change: Callable[[str], str]) -> Change:
    def forge(bundle: Path) -> None:
        path = bundle / name
        path.write_text(change(path.read_text()))
        if name == PAYLOAD_LIST:
            seal_tags(bundle)

    return forge


def blob_with(change: Callable[[bytes], bytes]) -> Change:
    def forge(bundle: Path) -> None:
        path = next(bundle.rglob("*.zst"))
        path.write_bytes(change(path.read_bytes()))
        seal(bundle)

    return forge


def part_with(change: Callable[[bytes], bytes], name: str = PART) -> Change:
    """The bytes of a part are changed, and all hashes fit."""

    def forge(bundle: Path) -> None:
        path = next(bundle.rglob(name))
        path.write_bytes(change(path.read_bytes()))
        seal(bundle)

    return forge


def in_table(change: Callable[[Any], None]) -> Change:
    return with_manifest(lambda tree: change(tree["tables"][0]))


def set_in(place: str, value: Any) -> Change:
    *path, last = place.split(".")

    def change(tree: Any) -> None:
        for name in path:
            tree = tree[int(name) if name.isdigit() else name]
        tree[last] = value

    return with_manifest(change)


def of_files(change: Callable[[list[Any]], None]) -> Change:
    return in_table(lambda table: change(table["files"]))


def count(name: str, more: int, change: Change | None = None) -> Change:
    def forge(bundle: Path) -> None:
        if change:
            change(bundle)
        tree = read_manifest(bundle)
        tree["tables"][0]["counts"][name] += more
        write_manifest(bundle, tree)
        seal(bundle)

    return forge


def reversed_rows(table: pa.Table) -> pa.Table:
    return table.take(list(reversed(range(table.num_rows))))


def twice(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(table.num_rows - 1)])


def no_schema(bundle: Path) -> None:
    next((bundle / "schema").iterdir()).write_text("DROP TABLE x;\n")
    seal_tags(bundle)


def deep(data: bytes) -> bytes:
    return data.replace(b'"requires":[]', b'"more":' + b"[" * 20 + b"]" * 20 + b',"requires":[]')


def masked(table: str, *policies: str) -> Any:
    column = {"column": "x", "domain": None, "mask": "null"}
    return {"original": "0" * 64, "policies": list(policies), "tables": [{"columns": [column], "table": table}]}


EPOCH = datetime.datetime(1970, 1, 1)
FILES: dict[str, tuple[str, Change]] = {
    "nothing": (TREE, lambda bundle: None),
    "flip_part": (TREE, flip(PART)),
    "flip_deletes": (TREE, flip(DELETES, 10)),
    "flip_blob": (TREE, flip("*.zst", 3)),
    "flip_manifest": (TREE, flip(MANIFEST)),
    "flip_schema": (TREE, flip("*.sql")),
    "flip_bag_info": (TREE, flip("bag-info.txt")),
    "flip_payload_list": (TREE, flip(PAYLOAD_LIST)),
    "flip_tag_list": (TREE, flip(TAG_LIST)),
    "longer_part": (TREE, append(PART, b"x")),
    "no_part": (TREE, remove(PART)),
    "no_blob": (TREE, remove("*.zst")),
    "no_manifest": (TREE, remove(MANIFEST)),
    "no_tag_list": (TREE, remove(TAG_LIST)),
    "no_payload_list": (TREE, remove(PAYLOAD_LIST)),
    "no_schema": (TREE, remove("*.sql")),
    "extra_file": (TREE, make("data/t001-Files/part-00001.parquet")),
    "extra_parquet": (TREE, make("other.parquet")),
    "extra_folder": (TREE, lambda bundle: (bundle / "data/empty").mkdir()),
    "deeper_extra": (TREE, make("data/t001-Files/blob/a/b")),
    "link": (TREE, link(PART)),
    "link_manifest": (TREE, link(MANIFEST)),
    "link_folder": (TREE, link_folder),
    "pipe": (TREE, lambda bundle: os.mkfifo(bundle / "data/pipe")),
    "other_name": (TREE, lambda bundle: None),
    "bagit": (TREE, lambda bundle: ((bundle / "bagit.txt").write_text("BagIt-Version: 0.97\n"), seal_tags(bundle))),
    "wrong_schema": (TREE, no_schema),
    "list_upper": (TREE, with_list(PAYLOAD_LIST, str.upper)),
    "list_one_blank": (TREE, with_list(PAYLOAD_LIST, lambda text: text.replace("  ", " "))),
    "list_crlf": (TREE, with_list(PAYLOAD_LIST, lambda text: text.replace("\n", "\r\n"))),
    "list_no_end": (TREE, with_list(PAYLOAD_LIST, str.rstrip)),
    "list_twice": (TREE, with_list(PAYLOAD_LIST, lambda text: text + text.splitlines()[-1] + "\n")),
    "list_unsorted": (
        TREE,
        with_list(PAYLOAD_LIST, lambda text: "".join(f"{line}\n" for line in reversed(text.splitlines()))),
    ),
    "list_less": (TREE, with_list(PAYLOAD_LIST, lambda text: "".join(text.splitlines(True)[:-1]))),
    "list_empty": (TREE, with_list(PAYLOAD_LIST, lambda text: "")),
    "list_path": (TREE, with_list(PAYLOAD_LIST, lambda text: text.replace("data/t001-Files/part", "data/../part"))),
    "list_null": (TREE, with_list(PAYLOAD_LIST, lambda text: text.replace("part-0", "part-0\0"))),
    "tag_list_path": (TREE, with_list(TAG_LIST, lambda text: text.replace("bagit.txt", "bagit.TXT"))),
    "tag_list_less": (TREE, with_list(TAG_LIST, lambda text: "".join(text.splitlines(True)[1:]))),
    "list_other_hash": (TREE, with_list(PAYLOAD_LIST, lambda text: "0" * 64 + text[64:])),
}
MANIFESTS: dict[str, tuple[str, Change]] = {
    "key_twice": (
        TREE,
        with_manifest_bytes(lambda data: data.replace(b'{"failed_tables":[]', b'{"failed_tables":[],"failed_tables":[]')),
    ),
    "blank": (TREE, with_manifest_bytes(lambda data: data.replace(b":", b": ", 1))),
    "no_line_feed": (TREE, with_manifest_bytes(bytes.rstrip)),
    "mark": (TREE, with_manifest_bytes(lambda data: b"\xef\xbb\xbf" + data)),
    "not_utf8": (TREE, with_manifest_bytes(lambda data: data.replace(b"Files", b"Fil\xff\xff", 1))),
    "escaped": (TREE, with_manifest_bytes(lambda data: data.replace(b'"delta"', b'"delt\\u0061"'))),
    "surrogate": (
        TREE,
        with_manifest_bytes(lambda data: data.replace(b'"requested_by":"', b'"requested_by":"\\ud800')),
    ),
    "float": (TREE, with_manifest_bytes(lambda data: data.replace(b'"pack_number":1', b'"pack_number":1.0'))),
    "minus_zero": (TREE, with_manifest_bytes(lambda data: data.replace(b'"future":0', b'"future":-0'))),
    "huge": (TREE, with_manifest_bytes(lambda data: data.replace(b'"future":0', b'"future":9007199254740992'))),
    "deep": (TREE, with_manifest_bytes(deep)),
    "very_deep": (TREE, with_manifest_bytes(lambda data: b"[" * 100_000)),
    "not_json": (TREE, with_manifest_bytes(lambda data: b"x")),
    "array": (TREE, with_manifest_bytes(lambda data: b"[]\n")),
    "major": (
        TREE,
        with_manifest_bytes(lambda data: data.replace(b"bundle/1", b"bundle/2").replace(b'"1.0"', b'"2.0"')),
    ),
    "major_only": (TREE, set_in("format", "https://blobdelta.dev/bundle/2")),
    "minor": (TREE, set_in("format_version", "1.9")),
    "minor_zero": (TREE, set_in("format_version", "1.01")),
    "version_text": (TREE, set_in("format_version", "x")),
    "other_format": (TREE, set_in("format", "https://example.org/1")),
    "requires": (TREE, set_in("requires", ["more"])),
    "unknown_field": (TREE, set_in("unknown", {"a": [1, None, True]})),
    "missing_field": (TREE, in_table(lambda table: table.pop("window"))),
    "null_field": (TREE, set_in("tables.0.window", None)),
    "kind": (TREE, set_in("kind", "compacted")),
    "inputs": (TREE, set_in("inputs", ["0" * 64])),
    "pack_zero": (TREE, set_in("run.pack_number", 0)),
    "guid_upper": (TREE, set_in("run.source_id", "A" * 8 + "-0000-0000-0000-" + "0" * 12)),
    "guid_line": (TREE, set_in("run.source_id", "a" * 8 + "-0000-0000-0000-" + "0" * 12 + "\n")),
    "month_13": (TREE, set_in("tables.0.window.start", "2026-13-01T00:00:00.0000000")),
    "no_zone": (TREE, set_in("run.started_at", "2026-01-01T00:00:00.0000000")),
    "other_run": (TREE, set_in("run.run_id", "0" * 8 + "-0000-0000-0000-" + "0" * 12)),
    "to_come": (TREE, set_in("run.started_at", "2999-01-01T00:00:00.0000000Z")),
    "window_turned": (TREE, set_in("tables.0.window.start", "0001-01-03T00:00:00.0000000")),
    "window_late": (TREE, set_in("tables.0.window.end", "9999-01-01T00:00:00.0000000")),
    "closed": (TREE, set_in("tables.0.window.interval", "[start,end]")),
    "lag": (TREE, in_table(lambda table: table["window"].update(lag_only=not table["window"]["lag_only"]))),
    "scope": (TREE, set_in("tables.0.scope", "ALL")),
    "table_name": (TREE, set_in("tables.0.name", "a.b")),
    "table_bracket": (TREE, set_in("tables.0.name", "a.b.[c")),
    "table_long": (TREE, set_in("tables.0.source", "a.b." + "c" * 129)),
    "folder": (TREE, set_in("tables.0.folder", "t002-Files")),
    "folder_zero": (TREE, set_in("tables.0.folder", "t000-Files")),
    "schema_file": (TREE, set_in("tables.0.schema_file", "schema/t002-Files.sql")),
    "two_tables": (TREE, with_manifest(lambda tree: tree["tables"].append(tree["tables"][0]))),
    "no_tables": (TREE, set_in("tables", [])),
    "key_gone": (TREE, set_in("tables.0.key_column", "nothing")),
    "key_text": (TREE, set_in("tables.0.key_column", "DeltaBusinessUnit")),
    "path_gone": (TREE, set_in("tables.0.path_column", "nothing")),
    "columns_case": (
        TREE,
        in_table(lambda table: table["columns"].append({**table["columns"][0], "name": table["columns"][0]["name"].swapcase()})),
    ),
    "column_long": (TREE, set_in("tables.0.columns.1.name", "x" * 129)),
    "column_type": (TREE, set_in("tables.0.columns.0.sql_type", "cursor")),
    "column_type_form": (
        TYPES,
        in_table(lambda table: [c.update(sql_type="decimal(9, 2)") for c in table["columns"] if c["sql_type"] == "decimal(9,2)"]),
    ),
    "column_precision": (
        TYPES,
        in_table(lambda table: [c.update(precision=8) for c in table["columns"] if c["sql_type"] == "decimal(9,2)"]),
    ),
    "collation": (
        TYPES,
        in_table(lambda table: [c.update(collation="x; DROP") for c in table["columns"] if c["collation"]]),
    ),
    "files_order": (TREE, of_files(lambda files: files.reverse())),
    "file_gone": (TREE, of_files(lambda files: files.pop())),
    "file_role": (TREE, of_files(lambda files: files[-1].update(role="tombstones"))),
    "file_rows_null": (TREE, of_files(lambda files: files[-1].update(rows=None))),
    "file_size": (TREE, of_files(lambda files: files[-1].update(bytes=5))),
    "file_hash": (TREE, of_files(lambda files: files[-1].update(sha256="0" * 64))),
    "file_gap": (TREE, of_files(lambda files: files[-1].update(path="data/t001-Files/part-00001.parquet"))),
    "file_path": (TREE, of_files(lambda files: files[-1].update(path="data/t001-Files/../part-00000.parquet"))),
    "count_rows": (TREE, set_in("tables.0.counts.roots", 99)),
    "count_negative": (TREE, set_in("tables.0.counts.gone", -1)),
    "count_tombstones": (TREE, set_in("tables.0.counts.tombstones", 99)),
    "row_groups": (TREE, of_files(lambda files: files[-1].update(row_groups=2))),
    "row_groups_many": (TREE, of_files(lambda files: files[-1].update(row_groups=1 << 40))),
    "failed_name": (TREE, set_in("failed_tables", [{"table": "x.y", "error": ""}])),
    "bool_for_int": (TREE, set_in("tables.0.counts.gone", True)),
    "masked": (TREE, set_in("masked", masked("Db.dbo.Files", "1" * 64))),
    "masked_other": (TREE, set_in("masked", masked("Db.dbo.Other", "1" * 64))),
    "masked_order": (TREE, set_in("masked", masked("db.DBO.files", "2" * 64, "1" * 64))),
    "masked_none": (TREE, set_in("masked", masked("Db.dbo.Files"))),
    "masked_name": (TREE, set_in("masked", masked("Files", "1" * 64))),
    "previous": (TREE, set_in("tables.0.previous", {"root_sha256": "x"})),
}
ROWS: dict[str, tuple[str, Change]] = {
    "rewritten": (TREE, with_part(PART, lambda table: table)),
    "rewritten_types": (TYPES, with_part(PART, lambda table: table)),
    "reversed": (TREE, with_part(PART, reversed_rows)),
    "row_twice": (TREE, count("roots", 1, with_part(PART, twice))),
    "row_gone": (TREE, count("children", -1, with_part(PART, lambda table: table.slice(0, table.num_rows - 1)))),
    "deletes_reversed": (TREE, with_part(DELETES, reversed_rows)),
    "deletes_twice": (TREE, count("tombstones", 1, with_part(DELETES, twice))),
    "absent_reversed": (TREE, with_part(ABSENT, reversed_rows)),
    "absent_none": (TREE, with_part(ABSENT, lambda table: table.slice(0, 0))),
    "absent_other": (TREE, with_cell(ABSENT, "ChildKey", 0, bytes(16))),
    "step": (TREE, with_cell(PART, "DeltaStep", 1, 9)),
    "step_null": (TREE, with_cell(PART, "DeltaStep", 1, None)),
    "depth": (TREE, with_cell(PART, "DeltaDepth", -1, 0)),
    "early": (TREE, with_cell(PART, "DeltaEarly", 0, True)),
    "stamp_off": (TREE, with_cell(PART, "DeltaModifiedOn__ticks", 0, 5)),
    "stamp_null": (TREE, with_cell(PART, "DeltaModifiedOn__ticks", 0, None)),
    "run": (TREE, with_cell(PART, "DeltaRunId", 0, bytes(16))),
    "started_null": (TREE, with_cell(PART, "DeltaRunStartedAt__ticks", 0, None)),
    "reason": (TREE, with_cell(DELETES, "DeltaReason", 0, "Lost")),
    "reason_null": (TREE, with_cell(DELETES, "DeltaReason", 0, None)),
    "content": (TREE, with_cell(PART, "DeltaContentSha256", 2, bytes(32))),
    "content_null": (TREE, with_cell(PART, "DeltaContentSha256", 2, None)),
    "reference": (TREE, with_cell(PART, "DeltaBlobRef", 1, "blob/" + "0" * 64 + ".zst")),
    "reference_path": (TREE, with_cell(PART, "DeltaBlobRef", 1, "../../manifest.json")),
    "key_null": (TREE, with_cell(PART, "stream_id", 1, None)),
    "parent": (TREE, with_cell(PART, "DeltaParentKey", -1, bytes(range(16)))),
    "less_columns": (TREE, with_part(PART, lambda table: table.drop_columns(["DeltaEarly"]))),
    "other_order": (TREE, with_part(PART, lambda table: table.select(list(reversed(table.column_names))))),
    "more_columns": (
        TREE,
        with_part(PART, lambda table: table.append_column("more", pa.nulls(table.num_rows, pa.int64()))),
    ),
    "says_more": (TREE, with_part(PART, lambda table: table.replace_schema_metadata({"x": "y"}))),
    "sql_type": (
        TREE,
        with_part(
            PART,
            lambda table: table.set_column(0, table.field(0).with_metadata({"blobdelta.sql_type": "int"}), table.column(0)),
        ),
    ),
    "snappy": (TREE, with_part(PART, lambda table: table, compression="snappy")),
    "dictionary": (TREE, with_part(PART, lambda table: table, use_dictionary=True)),
    "statistics": (TREE, with_part(PART, lambda table: table, write_statistics=True)),
    "pages_v2": (TREE, with_part(PART, lambda table: table, data_page_version="2.0")),
    "checksums": (TREE, with_part(PART, lambda table: table, write_page_checksum=True)),
    "groups": (TREE, with_part(PART, lambda table: table, row_group_size=2)),
    "not_parquet": (TREE, part_with(lambda data: b"hello")),
    "no_magic": (TREE, part_with(lambda data: data[:-1])),
    "garbled_footer": (TREE, part_with(lambda data: data[:-40] + bytes(32) + data[-8:])),
    "garbled_page": (TREE, part_with(lambda data: data[:4] + b"\xff" * 8 + data[12:])),
    "garbled_value": (TREE, part_with(lambda data: data[:40] + bytes([data[40] ^ 0x55]) + data[41:])),
    "blob_other": (TREE, blob_with(lambda data: data + b"x")),
    "blob_frame_behind": (TREE, blob_with(lambda data: data + b"\x50\x2a\x4d\x18\0\0\0\0")),
    "blob_cut": (TREE, blob_with(lambda data: data[:-3])),
    "blob_not_zstd": (TREE, blob_with(lambda data: b"hello")),
    "blob_short": (
        TREE,
        of_files(lambda files: [file.update(content_bytes=1) for file in files if file["role"] == "blob"]),
    ),
    "time_scale": (TYPES, with_cell(PART, "time(3)", 1, 1)),
    "date_early": (TYPES, with_cell(PART, "date", 1, -800_000)),
    "datetime2_0": (TYPES, with_cell(PART, "datetime2(0)", 1, 1)),
    "datetime_late": (TYPES, with_cell(PART, "datetime", 1, 1 << 60)),
    "offset": (TYPES, with_cell(PART, "datetimeoffset(0)__offset", 1, 841)),
    "offset_null": (TYPES, with_cell(PART, "datetimeoffset(7)__offset", 1, None)),
    "text_long": (TYPES, with_cell(PART, "varchar(20)", 1, "x" * 21)),
    "text_wide": (TYPES, with_cell(PART, "nvarchar(20)", 1, "\U0001f600" * 11)),
    "text_fits": (TYPES, with_cell(PART, "nvarchar(20)", 1, "\U0001f600" * 10)),
    "char_fits": (TYPES, with_cell(PART, "varchar(20)", 1, "\u00e4" * 20)),
    "bytes_long": (TYPES, with_cell(PART, "binary(16)", 1, bytes(17))),
    "rowversion": (TYPES, with_cell(PART, "rowversion", 1, bytes(7))),
    "hierarchyid": (TYPES, with_cell(PART, "hierarchyid", 1, bytes(893))),
    "smallmoney": (TYPES, with_cell(PART, "smallmoney", 1, Decimal("214748.3648"))),
    "money_least": (TYPES, with_cell(PART, "money", 1, Decimal("-922337203685477.5808"))),
    "money_more": (TYPES, with_cell(PART, "money", 1, Decimal("922337203685477.5808"))),
    "variant": (TYPES, with_cell(PART, "sql_variant", 1, "cursor:1")),
    "variant_no_colon": (TYPES, with_cell(PART, "sql_variant", 1, "int")),
    "nan": (TYPES, with_cell(PART, "float", 1, float("nan"))),
    "large_and_reference": (TYPES, with_cell(PART, "varchar(max)", 1, "x")),
    "int_key": (TREE, in_table(lambda table: table["columns"][0].update(sql_type="bigint"))),
    "unit": (TREE, set_in("tables.0.scope", "0" * 8 + "-0000-0000-0000-" + "0" * 12)),
}
DELTA, HOLDER = "00010101T000000Z-01010101-1.bundle", "1" * 64


def leaves_out(
    *listed: tuple[str, int, int], reference: str = f"known/{HOLDER}/7", cells: dict[str, Any] | None = None, **tree: Any
) -> Change:
    """A bundle in which a row leaves its value out; `listed` is what the manifest says of that."""

    def forge(bundle: Path) -> None:
        for column, value in {"file_stream": None, "DeltaBlobRef": reference, **(cells or {})}.items():
            if value != "kept":
                with_cell(PART, column, 2, value)(bundle)
        changed = read_manifest(bundle)
        known = [{"root_sha256": root, "values": values, "bytes": size} for root, values, size in listed]
        changed["tables"][0] |= {"previous": {"root_sha256": HOLDER}, **({"known_content": known} if known else {})}
        changed["requires"] = tree.pop("requires", ["known-content"])
        changed["tables"][0] |= tree
        write_manifest(bundle, changed)
        seal(bundle)

    return forge


KNOWN: dict[str, tuple[str, Change]] = {
    "known": (DELTA, leaves_out((HOLDER, 1, 7))),
    "known_and_there": (DELTA, leaves_out((HOLDER, 1, 7), cells={"file_stream": b"value"})),
    "known_no_hash": (DELTA, leaves_out((HOLDER, 1, 7), cells={"DeltaContentSha256": None})),
    "known_empty": (DELTA, leaves_out((HOLDER, 1, 7), cells={"DeltaContentSha256": hashlib.sha256(b"").digest()})),
    "known_not_listed": (DELTA, leaves_out(("2" * 64, 1, 7))),
    "known_values": (DELTA, leaves_out((HOLDER, 2, 7))),
    "known_bytes": (DELTA, leaves_out((HOLDER, 1, 8))),
    "known_nothing": (DELTA, leaves_out((HOLDER, 1, 7), reference=f"known/{HOLDER}/0")),
    "known_zeros": (DELTA, leaves_out((HOLDER, 1, 7), reference=f"known/{HOLDER}/07")),
    "known_long": (DELTA, leaves_out((HOLDER, 1, 7), reference=f"known/{HOLDER}/{1 << 64}")),
    "known_not_required": (DELTA, leaves_out((HOLDER, 1, 7), requires=[])),
    "known_also_required": (DELTA, leaves_out((HOLDER, 1, 7), requires=["known-content", "more"])),
    "known_required_alone": (DELTA, leaves_out()),
    "known_unsorted": (DELTA, leaves_out(("2" * 64, 1, 7), (HOLDER, 1, 7))),
    "known_twice": (DELTA, leaves_out((HOLDER, 1, 7), (HOLDER, 1, 7))),
    "known_first": (DELTA, leaves_out((HOLDER, 1, 7), previous=None)),
    "known_short": (DELTA, leaves_out((HOLDER, 9, 7))),
}
CASES = {**FILES, **MANIFESTS, **ROWS, **KNOWN}
#: What is no damage: if the way in which these are forged were wrong, every other case of its kind would say nothing.
GOOD = [
    "nothing",
    "masked",
    "minor",
    "unknown_field",
    "rewritten",
    "rewritten_types",
    "groups",
    "checksums",
    "text_fits",
    "char_fits",
    "money_least",
    "nan",
    "known",
]


def what(findings: list[dict[str, Any]]) -> set[tuple[str, str | None, str]]:
    return {(finding["kind"], finding["file"], finding["severity"]) for finding in findings}


@pytest.mark.parametrize("name", CASES)
def test_the_findings_are_those_of_the_program(name: str, program: Program, tmp_path: Path) -> None:
    source, change = CASES[name]
    bundle = tmp_path / (source if name != "other_name" else "20260101T164000Z-00000000-1.bundle")
    shutil.copytree(FIXTURES / source, bundle)
    change(bundle)
    due = program.verify(bundle)
    found = blobdelta.verify(str(bundle), "deep").as_dict()
    assert what(found["findings"]) == what(due["findings"])
    assert due["good"] or name not in GOOD
    assert (found["good"], found["root_sha256"]) == (due["good"], due["root_sha256"])
    if due["good"]:
        assert (found["files"], found["bytes"], found["rows"]) == (due["files"], due["bytes"], due["rows"])
    else:
        # What cannot be decoded though its hash is right, a dataset says in Arrow's own words.
        with pytest.raises((blobdelta.BlobdeltaError, pa.ArrowException, OSError)):
            use_all(bundle)


def use_all(bundle: Path) -> None:
    """What somebody does who reads a bundle and looks at no cell: deep findings are theirs to ask for."""
    opened = blobdelta.open_bundle(str(bundle))
    for table in opened.tables:
        table.rows().to_table()
        table.tombstones().to_table()
        for file in table.info.files_of("blob"):
            table.open_value(file).read()
    blobdelta.verify(str(bundle), "deep").require_good()
