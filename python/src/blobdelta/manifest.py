"""`manifest.json`: its fields, typed. Nothing of it is believed before `parse_manifest` has checked it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .layout import Role
from .sqltype import SqlType
from .times import TICKS_PER_HOUR

Tree = dict[str, Any]


@dataclass(frozen=True)
class FileInfo:
    """A file under `data/`. `rows` and `row_groups` are None for blobs, `content_bytes` (of the value) for parts."""

    path: str
    role: Role
    bytes: int
    sha256: str
    rows: int | None
    row_groups: int | None
    content_bytes: int | None


@dataclass(frozen=True)
class Column:
    """A column of a table, and the names of the fields beside it (None if it has no such field)."""

    name: str
    sql_type: SqlType
    nullable: bool
    computed: bool
    collation: str | None
    ticks: str | None = None
    offset: str | None = None
    content_sha256: str | None = None
    blob_ref: str | None = None
    is_key: bool = False

    @property
    def fields(self) -> list[str]:
        """The names of its fields in a part, its own first."""
        beside = (self.ticks, self.offset, self.content_sha256, self.blob_ref)
        return [self.name, *(name for name in beside if name is not None)]


@dataclass(frozen=True)
class Window:
    """What a bundle captured of a table: stamps in `[start, end)`, in ticks of `clock` (`utc` or `local`)."""

    start: int
    end: int
    clock: str

    def latest_of(self, run_started_at: int) -> int:
        """The latest time that anything can have that a run captured which began then (UTC): a day later, in `clock`."""
        return run_started_at + (24 if self.clock == "utc" else 24 + 14) * TICKS_PER_HOUR


@dataclass(frozen=True)
class KnownContent:
    """What a table leaves out because an earlier bundle of its chain holds it: how many values, and their bytes together."""

    root_sha256: str
    values: int
    bytes: int


@dataclass(frozen=True)
class TableInfo:
    """One table of a bundle. `tree` has every field of the manifest."""

    name: str
    folder: str
    scope: str
    previous: str | None
    source: str
    target: str
    key_column: str
    key_order: str
    path_column: str | None
    parent_path_column: str | None
    window: Window
    counts: dict[str, Any]
    columns: tuple[Column, ...]
    files: tuple[FileInfo, ...]
    schema_file: str
    missing_bundles: tuple[str, ...]
    missing_windows: tuple[tuple[int, int], ...]
    known_content: tuple[KnownContent, ...]
    tree: Tree = field(repr=False, compare=False)

    @property
    def data_path(self) -> str:
        """Its folder, from the bundle's on."""
        return f"data/{self.folder}"

    def files_of(self, role: Role) -> list[FileInfo]:
        """Its files of one role, in the order of their paths."""
        return [file for file in self.files if file.role == role]

    def column(self, name: str) -> Column:
        """A column by its exact name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def key(self) -> Column:
        """The column of the key."""
        return self.column(self.key_column)


@dataclass(frozen=True)
class Manifest:
    """The whole manifest. Times are ticks, UTC; `tree` has every field."""

    kind: str
    inputs: tuple[str, ...]
    run_id: str
    source_id: str
    started_at: int
    completed_at: int | None
    pack_number: int
    tables: tuple[TableInfo, ...]
    failed_tables: tuple[str, ...]
    tree: Tree = field(repr=False, compare=False)

    @property
    def is_compacted(self) -> bool:
        """Whether it was made from several bundles."""
        return self.kind == "compacted"

    @property
    def bundle_name(self) -> str:
        """The name that follows from the run."""
        started = self.tree["run"]["started_at"]
        compact = started[:19].replace("-", "").replace(":", "")
        return f"{compact}Z-{self.run_id[:8]}-{self.pack_number}.bundle"

    def file(self, path: str) -> FileInfo | None:
        """The entry of a path, in any table."""
        return self._files().get(path)

    def _files(self) -> dict[str, FileInfo]:
        found: dict[str, FileInfo] | None = self.__dict__.get("_by_path")
        if found is None:
            found = {file.path: file for table in self.tables for file in table.files}
            object.__setattr__(self, "_by_path", found)
        return found
