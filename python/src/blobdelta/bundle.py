"""[`Bundle`]: a bundle that was opened, and what may be read of it.

Nothing is parsed before its hash was checked. Opening goes from the root digest down: the list of tag files, each tag file by it,
then the manifest and the list of payload files. A part or large value is hashed when it is read.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from .blobs import ValueStream, inline_value, open_blob
from .container import Container, Entry, open_container
from .errors import Finding, UsageError, Wrong
from .frame import Frame, Trust, check_frame, read_head
from .layout import KnownReference, known_reference, reference_sha256
from .manifest import FileInfo, Manifest, TableInfo
from .manifest_check import known_manifest
from .names import table_id
from .parts import OpenPart, Part, checked_opener, dataset, roles_of
from .report import Report, error_of
from .signature import SignedBy
from .source import Source

Key = uuid.UUID | int | str | bytes


def said(key: Key) -> str:
    """Inside the package: a key as messages have it."""
    return f"0x{key.hex()}" if isinstance(key, bytes) else str(key)


class Bundle:
    """See the module's text. Make one with `blobdelta.open_bundle`."""

    def __init__(self, container: Container, frame: Frame, report: Report) -> None:
        self._container, self._frame, self._report = container, frame, report

    @property
    def place(self) -> str:
        """Its path or URL."""
        return self._container.place

    @property
    def root_sha256(self) -> str:
        """The hash of `tagmanifest-sha256.txt`, which identifies the bundle and all of its bytes."""
        return self._frame.root_sha256

    @property
    def manifest(self) -> Manifest:
        """Its manifest."""
        return self._frame.manifest

    @property
    def signed_by(self) -> SignedBy | None:
        """Who signed it, if that was asked for."""
        return self._report.signed_by

    @property
    def findings(self) -> list[Finding]:
        """What is worth knowing of it: findings that are only notices, such as tables that failed in its run."""
        return list(self._report.findings)

    @property
    def tables(self) -> list[Table]:
        """Its tables, in the order of the manifest."""
        return [Table(self, info) for info in self.manifest.tables]

    def table(self, name: str) -> Table:
        """A table by its configured name (`Db.schema.Table`, in any case), or by its last part if that names only one."""
        return Table(self, find_table(self.manifest.tables, name, self.place))

    def open(self, path: str) -> Any:
        """Inside the package: a file that the manifest names, unchecked."""
        return self._container.open(path)

    def __repr__(self) -> str:
        return f"<Bundle {self.place} root {self.root_sha256}>"


def find_table(tables: Iterable[TableInfo], name: str, place: str) -> TableInfo:
    """The one table of this name; `UsageError` if there is none, or the last part of a name is that of several."""
    tables = list(tables)
    try:
        wanted = table_id(name)
        found = [table for table in tables if table_id(table.name) == wanted]
    except Wrong:
        found = [table for table in tables if table_id(table.name)[2] == name.lower()]
    if len(found) == 1:
        return found[0]
    names = ", ".join(table.name for table in tables)
    what = "has no table" if not found else "has several tables"
    raise UsageError(f"{place} {what} {name}: name one of {names}")


class LeftOut(UsageError):
    """A value that a bundle leaves out, because an earlier bundle of its chain holds it."""

    def __init__(self, table: Table, column: str, sha256: str | None, known: KnownReference) -> None:
        self.column, self.sha256, self.known = column, sha256, known
        self.place = place = table.bundle.place
        root = known.root_sha256
        what = _leaves_out(place, column, root)
        super().__init__(f"{what}: name both to blobdelta.latest([…], {table.name!r}), and take its .blob(key)")


def not_here(table: str, column: str, root: str, place: str | None) -> UsageError:
    """Inside the package: a value that a bundle leaves out, and its holder is not among the places."""
    todo = "name that one too, or one that was compacted from it"
    lost = f"`blobdelta run --table {table} --from TIME --out FOLDER --whole`, with a time before the lost one's window"
    what = _leaves_out(place or "a bundle", column, root)
    return UsageError(f"{what}, which is not among the places: {todo}; if it is lost, ask the source for the values again: {lost}")


def _leaves_out(place: str, column: str, root: str) -> str:
    return f"{place}: this bundle leaves out the value of {column}, and the bundle with the root digest {root} holds it"


class Table:
    """One table of a bundle."""

    def __init__(self, bundle: Bundle, info: TableInfo) -> None:
        self.bundle, self.info = bundle, info

    @property
    def name(self) -> str:
        """Its configured name."""
        return self.info.name

    def rows(self) -> ds.Dataset:
        """Its rows as a lazy Arrow dataset. The schema is that of FORMAT.md, section 4: decimals, UUIDs (`arrow.uuid`), and times
        as they are. A part is hashed when its rows are asked for; `BundleError` if it is wrong.

        A large value is in its column if it is within the inline limit, else `blob_ref` names it: see `blob`.
        """
        return self._dataset("rows")

    def tombstones(self) -> ds.Dataset:
        """Its deletions, likewise."""
        return self._dataset("tombstones")

    def absent_parents(self) -> ds.Dataset:
        """Parents of its rows that are not in the bundle, likewise."""
        return self._dataset("absent_parents")

    def _dataset(self, role: Any) -> ds.Dataset:
        return dataset(roles_of(self.info)[role], {file.path: (file, self.open_part) for file in self.info.files_of(role)})

    @property
    def open_part(self) -> OpenPart:
        """Inside the package: opens a part of the table."""
        return checked_opener(self.bundle.place, self.info, self.bundle.open)

    def parts(self, role: Any) -> Iterable[Part]:
        """Inside the package: the parts of a role, one open at a time."""
        for file in self.info.files_of(role):
            with self.open_part(file) as part:
                yield part

    def blob(self, key: Key, column: str | None = None) -> ValueStream | None:
        """The large value of a row, as a stream that is hashed while it is read; None if it is NULL.

        `column` may be left out if the table has only one column with large values. `UsageError` if there is no such row or
        column, and for a value that the bundle leaves out because an earlier one holds it: `Latest.blob` finds that. All parts
        are hashed until the row is found; of the row alone the value is decoded.
        """
        large = self._large(column)
        wanted = self.key_scalar(key)
        names = [name for name in (self.info.key_column, large.name, large.content_sha256, large.blob_ref) if name]
        for part in self.parts("rows"):
            for batch in part.batches([self.info.key_column]):
                if wanted in batch.column(0):
                    break
            else:
                continue
            for batch in part.batches(names):
                keys = batch.column(0)
                for row in range(batch.num_rows):
                    if keys[row] == wanted:
                        return self._value(part.file, [batch.column(name)[row] for name in names], large)
        raise UsageError(f"{self.bundle.place}: {self.name} has no row with the key {said(key)}")

    def _large(self, column: str | None) -> Any:
        found = [one for one in self.info.columns if one.sql_type.is_large and column in (None, one.name)]
        if len(found) != 1:
            names = ", ".join(one.name for one in self.info.columns if one.sql_type.is_large)
            raise UsageError(f"{self.name}: name one column with large values: {names or 'there is none'}")
        return found[0]

    def key_scalar(self, key: Key) -> pa.Scalar:
        """Inside the package: a key as a value of the key column."""
        kind = self.info.key.sql_type.arrow
        value: Any = key
        if self.info.key.sql_type.name == "uniqueidentifier":
            return pa.array([_uuid_bytes(key)], kind.storage_type).cast(kind)[0]
        if self.info.key.sql_type.name == "binary":
            return pa.scalar(key if isinstance(key, bytes) else bytes.fromhex(str(key).removeprefix("0x")), kind)
        return pa.scalar(int(value), kind)

    def _value(self, file: FileInfo, cells: Sequence[pa.Scalar], large: Any) -> ValueStream | None:
        value, reference = cells[1], cells[-1].as_py()
        said = cells[2].as_py().hex() if large.content_sha256 and cells[2].is_valid else None
        known = known_reference(reference) if reference and large.content_sha256 else None
        if known is not None:
            raise LeftOut(self, large.name, said, known)
        if reference is None:
            if not value.is_valid:
                return None
            raw = value.as_buffer().to_pybytes()
            return inline_value(self.bundle.place, file.path, raw, said)
        named = reference_sha256(reference)
        blob = self.bundle.manifest.file(f"{self.info.data_path}/{reference}") if named else None
        if blob is None or blob.role != "blob":
            detail = f"a row names {reference[:80]!r}, which is not in the bundle"
            raise error_of(self.bundle.place, Finding("bad_blob", file.path, detail))
        if said is not None and said != named:
            detail = f"column {large.name}: the hash that is said is {said}, that of the value {named}"
            raise error_of(self.bundle.place, Finding("wrong_content_hash", file.path, detail))
        return self.open_value(blob)

    def open_value(self, blob: FileInfo) -> ValueStream:
        """Inside the package: a file in `blob/` as the value in it; `BundleError` if it is wrong."""
        place = self.bundle.place
        try:
            return open_blob(place, self.bundle.open, blob)
        except FileNotFoundError:
            raise error_of(place, Finding("missing_file", blob.path, "a list of the bundle names it")) from None
        except OSError as error:
            raise error_of(place, Finding("unreadable", blob.path, str(error))) from error
        except Wrong as wrong:
            raise error_of(place, Finding(wrong.kind or "bad_blob", blob.path, str(wrong))) from None

    def __repr__(self) -> str:
        return f"<Table {self.name} of {self.bundle.place}>"


def _uuid_bytes(key: Key) -> bytes:
    if isinstance(key, bytes) and len(key) == 16:
        return key
    try:
        return (key if isinstance(key, uuid.UUID) else uuid.UUID(str(key))).bytes
    except ValueError:
        raise UsageError(f"{said(key)} is no key: give a uuid.UUID, its text, or its 16 bytes in the order of the text") from None


def open_bundle(
    place: str, *, trust: Trust | None = None, storage_options: dict[str, Any] | None = None, head_only: bool = False
) -> Bundle:
    """Opens a folder, a `.tar`, or a URL of one of them (any scheme of fsspec; its marker has to be beside it).

    Everything but the payload is checked; payload is hashed when it is read. `head_only` reads only the list of tag files and the
    manifest: for chains of many bundles. `BundleError` with the first finding; `UsageError` if there is no such bundle.
    """
    place = str(place)
    report = Report(place)
    try:
        container = open_container(place, storage_options)
        frame = (read_head if head_only else check_frame)(container, trust or Trust(), report)
    except Wrong as wrong:
        raise error_of(place, Finding(wrong.kind or "bad_archive", wrong.file, str(wrong))) from None
    except OSError as error:
        raise error_of(place, Finding("unreadable", None, str(error))) from error
    report.require_good()
    assert frame is not None
    return Bundle(container, frame, report)


class _Later(Container):
    """A bundle that is opened only when something of it is read."""

    def __init__(self, place: str, storage_options: dict[str, Any] | None) -> None:
        self.place, self._storage_options = place, storage_options
        self._opened: Container | None = None

    def _container(self) -> Container:
        if self._opened is None:
            self._opened = open_container(self.place, self._storage_options)
        return self._opened

    def entries(self) -> list[Entry]:
        return self._container().entries()

    def open(self, path: str) -> Source:
        return self._container().open(path)


def known_bundle(place: str, root_sha256: str, manifest: bytes, storage_options: dict[str, Any] | None) -> Bundle:
    """Inside the package: a bundle of which root digest and manifest were checked before."""
    frame = Frame(root_sha256, known_manifest(manifest), {}, {})
    return Bundle(_Later(place, storage_options), frame, Report(place, root_sha256))
