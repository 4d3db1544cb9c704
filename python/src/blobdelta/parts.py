"""Parts: Parquet files whose hash was checked, whose pages keep the bounds of the format, and whose columns are the manifest's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from .checked import SourceFile, check
from .errors import Finding, Wrong
from .layout import Role
from .manifest import FileInfo, TableInfo
from .pages import check_pages, read_footer
from .plan import check_schema, columns_of, schema_of
from .report import error_of
from .source import Source

#: What a batch of rows has in memory, about.
BATCH_BYTES = 4 << 20
_MOST_ROWS = 8192
_SPARE_FIELDS = 8


class Part:
    """A part that was checked, and can be read. Close it, or use it in a `with`."""

    def __init__(self, source: Source, table: TableInfo, file: FileInfo) -> None:
        """Takes a file of which nothing is known yet.

        `Wrong` of kind `wrong_size`, `changed_payload_file` or `bad_part`; OSError if it cannot be read.
        """
        self.file = file
        self._source = check(source, file.bytes, file.sha256)
        try:
            self.schema = schema_of(columns_of(table, file.role))
        except Wrong as wrong:
            raise Wrong(str(wrong), "bad_manifest", table.data_path) from None
        try:
            self.metadata = read_footer(self._source, len(self.schema) + _SPARE_FIELDS, file.row_groups or 0)
            self._group_bytes = check_pages(self._source, self.metadata)
            if (self.metadata.num_rows, self.metadata.num_row_groups) != (file.rows, file.row_groups):
                raise Wrong(f"the footer says {self.metadata.num_rows} rows, the manifest {file.rows}")
            self._parquet = pq.ParquetFile(self.open(), metadata=self.metadata)
            check_schema(self._parquet.schema_arrow, self.schema)
        except Wrong as wrong:
            raise Wrong(str(wrong), wrong.kind or "bad_part", file.path) from None
        except (pa.ArrowException, OSError, ValueError) as error:
            if "was changed while it was read" in str(error):
                raise
            raise Wrong(f"this part cannot be read as Parquet: {str(error)[:200]}", "bad_part", file.path) from None

    def open(self) -> pa.PythonFile:
        """The bytes that were hashed, as a file of Arrow."""
        return pa.PythonFile(SourceFile(self._source), mode="r")

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All rows in batches of about 4 MiB, in the order of the file; `Wrong` of kind `bad_part` if they cannot be decoded.

        Memory: one batch, and the pages that it comes out of (at most 98 MiB of one row group).
        """
        narrow = sum(_width(field.type) for field in self.schema)
        for nth, size in enumerate(self._group_bytes):
            rows = self.metadata.row_group(nth).num_rows
            batch_rows = max(1, min(_MOST_ROWS, BATCH_BYTES // max(size // rows, narrow, 1)))
            found = 0
            try:
                for batch in self._parquet.iter_batches(
                    batch_rows, row_groups=[nth], columns=None if columns is None else list(columns), use_threads=False
                ):
                    found += batch.num_rows
                    yield batch
            except (pa.ArrowException, OSError, ValueError) as error:
                if isinstance(error, OSError) and "was changed while it was read" in str(error):
                    raise
                raise Wrong(f"this part cannot be decoded: {str(error)[:200]}", "bad_part", self.file.path) from None
            if found != rows:
                raise Wrong(f"row group {nth} has {found} rows, its footer says {rows}", "bad_part", self.file.path)

    def close(self) -> None:
        """Lets go of the file."""
        if hasattr(self, "_parquet"):
            self._parquet.close()
        self._source.close()

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _width(kind: pa.DataType) -> int:
    try:
        return max(int(kind.bit_width) // 8, 1)
    except ValueError:
        return 4


OpenPart = Callable[[FileInfo], Part]


def dataset(schema: pa.Schema, parts: Mapping[str, tuple[FileInfo, OpenPart]]) -> ds.Dataset:
    """A lazy dataset over parts of one schema, by any names. Each is opened, and so checked, when its rows are asked for."""
    filesystem = pafs.PyFileSystem(_CheckedFiles(parts))
    form = ds.ParquetFileFormat()
    fragments = [form.make_fragment(name, filesystem=filesystem) for name in parts]
    return ds.FileSystemDataset(fragments, schema, form, filesystem)


class _CheckedFiles(pafs.FileSystemHandler):  # type: ignore[misc]
    """A file system in which a file exists only after it was checked."""

    def __init__(self, parts: Mapping[str, tuple[FileInfo, OpenPart]]) -> None:
        self._parts = parts

    def open_input_file(self, path: str) -> pa.PythonFile:
        file, open_part = self._parts[path]
        return open_part(file).open()

    def open_input_stream(self, path: str) -> pa.PythonFile:
        return self.open_input_file(path)

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        return [pafs.FileInfo(path, pafs.FileType.File, size=self._parts[path][0].bytes) for path in paths]

    def get_type_name(self) -> str:
        return "blobdelta"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info_selector(self, selector: Any) -> list[pafs.FileInfo]:
        raise NotImplementedError

    def _refuse(self, *_: object, **__: object) -> Any:
        raise NotImplementedError("bundles are not written")

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = delete_file = _refuse
    move = copy_file = open_output_stream = open_append_stream = _refuse


def checked_opener(bundle: str, table: TableInfo, opened: Callable[[str], Source]) -> OpenPart:
    """Opens parts of a table; what is wrong is a `BundleError` of the bundle."""

    def open_part(file: FileInfo) -> Part:
        try:
            return Part(opened(file.path), table, file)
        except FileNotFoundError:
            raise error_of(bundle, Finding("missing_file", file.path, "a list of the bundle names it")) from None
        except OSError as error:
            raise error_of(bundle, Finding("unreadable", file.path, str(error))) from error
        except Wrong as wrong:
            detail = f"{wrong} (sha256 {file.sha256})"
            raise error_of(bundle, Finding(wrong.kind or "bad_part", wrong.file or file.path, detail)) from None

    return open_part


def roles_of(table: TableInfo) -> dict[Role, pa.Schema]:
    """The schema of each kind of part of a table."""
    roles: tuple[Role, ...] = ("rows", "tombstones", "absent_parents")
    return {role: schema_of(columns_of(table, role)) for role in roles}
