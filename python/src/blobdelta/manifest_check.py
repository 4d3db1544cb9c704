"""Reading a manifest of which the hash was checked: canonical form, version, schema, and whether it agrees with itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any

import fastjsonschema

from . import canonical, names
from .errors import Wrong
from .layout import Role, is_folder, parse_payload_path
from .manifest import Column, FileInfo, KnownContent, Manifest, TableInfo, Tree, Window
from .plan import with_companions
from .sqltype import parse_type
from .times import parse_ticks

MAJOR = 1
_FORMAT_BASE = "https://blobdelta.dev/bundle/"
_MOST_INPUTS_OF_TABLES = 1_000_000
_MOST_RULES = 100
_KNOWN_CONTENT = "known-content"


def parse_manifest(data: bytes) -> Manifest:
    """The manifest, if it is one of format 1 that agrees with itself.

    `Wrong` otherwise; its kind is `unknown_format` for another version, or for a requirement that this package does not know.
    """
    tree = canonical.parse(data)
    _check_version(tree)
    try:
        _validator()(tree)
    except fastjsonschema.JsonSchemaValueException as error:
        raise Wrong(f"the manifest does not have the fields it should: {str(error)[:200]}") from None
    manifest = _manifest(tree)
    _check_content(manifest)
    return manifest


def known_manifest(data: bytes) -> Manifest:
    """A manifest that `parse_manifest` took before: nothing is checked again."""
    return _manifest(json.loads(data))


@cache
def _validator() -> Callable[[Any], Any]:
    text = resources.files(__package__).joinpath("manifest.schema.json").read_text("utf-8")
    compiled: Callable[[Any], Any] = fastjsonschema.compile(json.loads(text))
    return compiled


def _check_version(tree: Any) -> None:
    if not isinstance(tree, dict):
        raise Wrong("the manifest is not an object")
    version, form, requires = tree.get("format_version"), tree.get("format"), tree.get("requires")
    parts = version.split(".") if isinstance(version, str) else []
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) <= 5]
    is_version = len(parts) == len(numbers) == 2 and [str(number) for number in numbers] == parts
    is_version = is_version and max(numbers) <= 0xFFFF
    if is_version and numbers[0] != MAJOR:
        needed = f"use a blobdelta that reads format version {numbers[0]}"
        raise Wrong(f"this bundle is of format version {version}, and this package reads {MAJOR}.x: {needed}", "unknown_format")
    unknown = [entry for entry in requires if entry != _KNOWN_CONTENT] if isinstance(requires, list) else []
    if unknown:
        text = f"this bundle requires {str(unknown[0])[:80]!r}, which this package does not know"
        raise Wrong(f"{text}: use a blobdelta that reads format version {str(version)[:20]} with it", "unknown_format")
    if not isinstance(form, str) or not form.startswith(_FORMAT_BASE):
        raise Wrong(f"this is not the manifest of a bundle: its format is {str(form)[:80]!r}")
    if not is_version:
        raise Wrong(f"{str(version)[:40]!r} is not a format version such as 1.0")
    if form != f"{_FORMAT_BASE}{MAJOR}":
        raise Wrong(f"format {form[:80]!r} and format_version {version} contradict each other")


def _manifest(tree: Tree) -> Manifest:
    run = tree["run"]
    completed = run["completed_at"]
    for failed in tree["failed_tables"]:
        names.parse_table(failed["table"])
    if len(tree["rules"]["latest_by_modified_on"]["order"]) > _MOST_RULES:
        raise Wrong("the rules have too many lines")
    return Manifest(
        kind=tree["kind"],
        inputs=tuple(tree["inputs"]),
        run_id=run["run_id"],
        source_id=run["source_id"],
        started_at=parse_ticks(run["started_at"], is_utc=True),
        completed_at=None if completed is None else parse_ticks(completed, is_utc=True),
        pack_number=run["pack_number"],
        tables=tuple(_table(table) for table in tree["tables"]),
        failed_tables=tuple(failed["table"] for failed in tree["failed_tables"]),
        tree=tree,
    )


def _table(tree: Tree) -> TableInfo:
    missing = tree.get("missing", {"bundles": [], "windows": []})
    window = tree["window"]
    start, end = (parse_ticks(window[name], is_utc=False) for name in ("start", "end"))
    since = tree["counts"].get("pending_since")
    if since is not None:
        parse_ticks(since, is_utc=True)
    return TableInfo(
        name=tree["name"],
        folder=tree["folder"],
        scope=tree["scope"],
        previous=tree["previous"] and tree["previous"]["root_sha256"],
        source=tree["source"],
        target=tree["target"],
        key_column=tree["key_column"],
        key_order=tree["key_order"],
        path_column=tree["path_column"],
        parent_path_column=tree["parent_path_column"],
        window=Window(start, end, window["clock"]),
        counts=tree["counts"],
        columns=tuple(with_companions(_column(column) for column in tree["columns"])),
        files=tuple(FileInfo(**{name: file[name] for name in FileInfo.__dataclass_fields__}) for file in tree["files"]),
        schema_file=tree["schema_file"],
        missing_bundles=tuple(missing["bundles"]),
        missing_windows=tuple(
            (parse_ticks(one["start"], is_utc=False), parse_ticks(one["end"], is_utc=False)) for one in missing["windows"]
        ),
        known_content=tuple(
            KnownContent(**{name: one[name] for name in KnownContent.__dataclass_fields__}) for one in tree.get("known_content", ())
        ),
        tree=tree,
    )


def _column(tree: Tree) -> Column:
    names.check_length(tree["name"])
    sql_type = parse_type(tree["sql_type"])
    if (tree["length"], tree["precision"], tree["scale"]) != sql_type.facets:
        raise Wrong(f"length, precision and scale are not those of sql_type, column {tree['name'][:128]}")
    return Column(
        name=tree["name"],
        sql_type=sql_type,
        nullable=tree["nullable"],
        computed=tree["computed"],
        collation=tree["collation"],
    )


def _check_content(manifest: Manifest) -> None:
    inputs = manifest.inputs
    if manifest.is_compacted != bool(inputs):
        raise Wrong("kind and inputs contradict each other")
    if len(inputs) * len(manifest.tables) > _MOST_INPUTS_OF_TABLES:
        raise Wrong("it lists more bundles that were compacted into it, table by table, than any has")
    if any(a >= b for a, b in pairwise(inputs)):
        raise Wrong("the inputs do not ascend")
    if manifest.is_compacted and manifest.run_id != _compacted_run_id(inputs):
        raise Wrong("the run id of this compacted bundle does not follow from its inputs")
    _check_masked(manifest)
    is_required = _KNOWN_CONTENT in manifest.tree["requires"]
    if is_required != any(table.known_content for table in manifest.tables):
        raise Wrong("requires and known_content contradict each other")
    if is_required and manifest.is_compacted:
        raise Wrong("a compacted bundle leaves out no content, and this one says that it does")
    if not manifest.tables:
        raise Wrong("it lists no table")
    if any(a.folder >= b.folder for a, b in pairwise(manifest.tables)):
        raise Wrong("the tables are not in the order of their folders")
    known = set()
    for table in manifest.tables:
        identity = names.table_id(table.name)
        if identity in known:
            raise Wrong(f"the table {table.name} comes twice")
        known.add(identity)
        try:
            _check_table(manifest, table)
        except Wrong as wrong:
            raise Wrong(f"{wrong}, table {table.name}", wrong.kind) from None


def _check_masked(manifest: Manifest) -> None:
    masked = manifest.tree.get("masked")
    if masked is None:
        return
    policies = masked["policies"]
    if any(a >= b for a, b in pairwise(policies)):
        raise Wrong("the policies that it was masked by do not ascend")
    there = {names.table_id(table.name) for table in manifest.tables}
    for table in masked["tables"]:
        if names.table_id(table["table"]) not in there:
            raise Wrong(f"it says that the table {table['table'][:200]} was masked, which it does not have")


def _compacted_run_id(inputs: tuple[str, ...]) -> str:
    digest = bytearray(hashlib.sha256(b"".join(map(bytes.fromhex, inputs))).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _check_table(manifest: Manifest, table: TableInfo) -> None:
    if not is_folder(table.folder) or table.schema_file != f"schema/{table.folder}.sql":
        raise Wrong("schema_file is not the one of the table's folder")
    for name in (table.source, table.target, table.tree["metadata"]):
        names.parse_table(name)
    window = table.tree["window"]
    if table.window.start > table.window.end:
        raise Wrong("the window is not an interval [start,end)")
    if window["lag_only"] == (window["active_transaction_floor"] is not None):
        raise Wrong("lag_only and active_transaction_floor contradict each other")
    latest = table.window.latest_of(manifest.started_at)
    for name in ("start", "end", "active_transaction_floor", "watermark_before", "watermark_after"):
        if window[name] is not None and parse_ticks(window[name], is_utc=False) > latest:
            raise Wrong(f"window.{name} is later than the start of the run and a day")
    _check_columns(table)
    _check_files(table)
    _check_counts(table)
    _check_known_content(table)


def _check_known_content(table: TableInfo) -> None:
    known = table.known_content
    if any(a.root_sha256 >= b.root_sha256 for a, b in pairwise(known)):
        raise Wrong("the root digests of known_content do not ascend")
    if any(one.values == 0 or one.bytes < one.values for one in known):
        raise Wrong("known_content names a bundle of which nothing is left out, or values without a byte")
    if known and table.previous is None:
        raise Wrong("it leaves out content that earlier bundles hold, and says that there are none")
    if known and not any(column.content_sha256 for column in table.columns):
        raise Wrong("it leaves out content, and has no column with content hashes")


def _check_columns(table: TableInfo) -> None:
    seen = set()
    for column in table.columns:
        if column.name.lower() in seen:
            raise Wrong(f"two columns have names that differ in case alone, or not at all: {column.name}")
        seen.add(column.name.lower())
    exact = {column.name: column for column in table.columns}
    for name in (table.key_column, table.path_column, table.parent_path_column):
        if name is not None and name not in exact:
            raise Wrong(f"the table has no column {name[:128]}")
    key = exact[table.key_column].sql_type
    if key.key_kind is None:
        raise Wrong(f"the key is a {key}")
    parent = exact.get("DeltaParentKey")
    if parent is not None and parent.sql_type.key_kind != key.key_kind:
        raise Wrong(f"the keys of parents are {parent.sql_type}, and those of rows {key}")


def _check_files(table: TableInfo) -> None:
    due: dict[Role, int] = {"rows": 0, "tombstones": 0, "absent_parents": 0}
    if any(a.path >= b.path for a, b in pairwise(table.files)):
        raise Wrong("the files are not in the order of their paths")
    for file in table.files:
        path = parse_payload_path(file.path)
        if path.folder != table.folder:
            raise Wrong(f"the file {file.path} is not in the table's folder")
        is_part = path.role != "blob"
        present = (file.rows is not None, file.row_groups is not None, file.content_bytes is None)
        if path.role != file.role or any(one != is_part for one in present):
            raise Wrong(f"role, rows, row_groups and content_bytes are not those of a file named {file.path}")
        if is_part:
            if path.number != due[path.role]:
                raise Wrong(f"a part before {file.path} is missing")
            due[path.role] += 1
    if due["rows"] == 0:
        raise Wrong("the table has no part with rows, not even an empty one")


def _check_counts(table: TableInfo) -> None:
    counts = table.counts
    rows = counts["roots"] + counts["missing_parents"] + counts["children"]
    due: tuple[tuple[Role, int], ...] = (("rows", rows), ("tombstones", counts["tombstones"]))
    for role, said in due:
        found = sum(file.rows or 0 for file in table.files_of(role))
        if found != said:
            raise Wrong(f"the files have {found} {role} where the counts say {said}")
