"""Bundles that are wrong in one way each: changed copies of good ones, sealed again so that only that way is wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TAG_LIST, PAYLOAD_LIST, MANIFEST = "tagmanifest-sha256.txt", "manifest-sha256.txt", "manifest.json"
Change = Callable[[Path], None]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_manifest(bundle: Path) -> Any:
    return json.loads((bundle / MANIFEST).read_bytes())


def write_manifest(bundle: Path, tree: Any) -> None:
    text = json.dumps(tree, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
    (bundle / MANIFEST).write_text(text, "utf-8")


def seal(bundle: Path, *, keeps_manifest: bool = False) -> None:
    """Makes manifest and lists say the hashes and sizes of the files that are there."""
    tree = read_manifest(bundle) if not keeps_manifest else None
    for table in tree["tables"] if tree else []:
        for file in table["files"]:
            data = (bundle / file["path"]).read_bytes()
            file["bytes"], file["sha256"] = len(data), sha256(data)
    if tree:
        write_manifest(bundle, tree)
    payload = sorted(path for path in (bundle / "data").rglob("*") if path.is_file() and not path.is_symlink())
    (bundle / PAYLOAD_LIST).write_text(listed(bundle, payload))
    seal_tags(bundle)


def seal_tags(bundle: Path) -> None:
    """Makes the list of tag files say their hashes."""
    names = ["bag-info.txt", "bagit.txt", PAYLOAD_LIST, MANIFEST]
    tags = [bundle / name for name in names] + list((bundle / "schema").iterdir())
    (bundle / TAG_LIST).write_text(listed(bundle, tags))
    (bundle / f"{TAG_LIST}.sig").unlink(missing_ok=True)


def listed(bundle: Path, files: list[Path]) -> str:
    lines = {file.relative_to(bundle).as_posix(): sha256(file.read_bytes()) for file in files}
    return "".join(f"{lines[path]}  {path}\n" for path in sorted(lines, key=str.encode))


def with_manifest(change: Callable[[Any], None]) -> Change:
    """A change of the manifest's content; the lists fit it afterwards."""

    def forge(bundle: Path) -> None:
        tree = read_manifest(bundle)
        change(tree)
        write_manifest(bundle, tree)
        seal_tags(bundle)

    return forge


def with_manifest_bytes(change: Callable[[bytes], bytes]) -> Change:
    def forge(bundle: Path) -> None:
        path = bundle / MANIFEST
        path.write_bytes(change(path.read_bytes()))
        seal_tags(bundle)

    return forge


def with_part(name: str, change: Callable[[pa.Table], pa.Table], **options: Any) -> Change:
    """A change of the rows of the first table's part; manifest and lists fit it afterwards, and so do the numbers of rows."""

    def forge(bundle: Path) -> None:
        tree = read_manifest(bundle)
        file = next(one for one in tree["tables"][0]["files"] if one["path"].endswith(name))
        path = bundle / file["path"]
        table = change(pq.read_table(path, partitioning=None))
        write_part(path, table, **options)
        file["rows"], file["row_groups"] = table.num_rows, pq.read_metadata(path).num_row_groups
        write_manifest(bundle, tree)
        seal(bundle)

    return forge


def write_part(path: Path, table: pa.Table, **options: Any) -> None:
    """Writes a part in the form of the format, but for what the options say."""
    plain = {"use_dictionary": False, "write_statistics": False, "compression": "zstd", "data_page_version": "1.0"}
    pq.write_table(without_extensions(table), path, **{**plain, **options})
    if options.get("data_page_version", "1.0") != "1.0":
        return
    data = bytearray(path.read_bytes())
    metadata = pq.read_metadata(path)
    for group in range(metadata.num_row_groups):
        for nth in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(nth)
            at = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            end = at + chunk.total_compressed_size
            while at < end:
                at = without_statistics(data, at)
    path.write_bytes(data)


def without_extensions(table: pa.Table) -> pa.Table:
    """UUIDs as the program writes them: pyarrow says an empty `ARROW:extension:metadata` more."""
    for at, field in enumerate(table.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            storage = pa.chunked_array([chunk.storage for chunk in table.column(at).chunks], field.type.storage_type)
            metadata = {**(field.metadata or {}), b"ARROW:extension:name": b"arrow.uuid"}
            metadata.pop(b"PARQUET:field_id", None)
            table = table.set_column(at, pa.field(field.name, storage.type, field.nullable, metadata), storage)
        else:
            metadata = {name: value for name, value in (field.metadata or {}).items() if name != b"PARQUET:field_id"}
            table = table.set_column(at, field.with_metadata(metadata), table.column(at))
    return table


def without_statistics(data: bytearray, at: int) -> int:
    """pyarrow puts an empty struct of statistics into page headers, which the format has not. In its place, the compressed size is
    written with two bytes more than it needs, so nothing moves. Gives the end of the page."""
    start, fields = at, []
    while data[at] == 0x15:
        after = at + 1
        while data[after] & 0x80:
            after += 1
        fields.append(bytes(data[at + 1 : after + 1]))
        at = after + 1
    size = sum((byte & 0x7F) << 7 * nth for nth, byte in enumerate(fields[2])) >> 1
    if fields[0] != b"\0":
        header = bytes(data[at : at + 16])
        return at + header.index(b"\0\0") + 2 + size
    body = at
    end = data.index(b"\x15\x06\x15\x06\x1c", body) + 5
    if data[end] == 0:
        longer = fields[2][:-1] + bytes([fields[2][-1] | 0x80, 0x80, 0])
        numbers = [fields[0], fields[1], longer, *fields[3:]]
        header = b"".join(b"\x15" + number for number in numbers) + data[body : end - 1] + b"\0\0"
        data[start : end + 3] = header
        return end + 3 + size
    # Real statistics: their bytes are counted by the library.
    return len(data)


def with_cell(name: str, column: str, row: int, value: Any) -> Change:
    """One cell of a part is another value."""

    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(column)
        field = table.schema.field(at)
        kind = field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
        array = table.column(at).combine_chunks()
        values = (array.storage if isinstance(array, pa.ExtensionArray) else array).to_pylist()
        wide = pa.int32() if pa.types.is_date32(kind) else pa.int64()
        if pa.types.is_temporal(kind):
            values = array.cast(wide).to_pylist()
        values[row] = value
        changed = pa.array(values, wide).cast(kind) if pa.types.is_temporal(kind) else pa.array(values, kind)
        if isinstance(field.type, pa.BaseExtensionType):
            changed = pa.ExtensionArray.from_storage(field.type, changed)
        return table.set_column(at, field.with_nullable(True), changed)

    return with_part(name, change)
