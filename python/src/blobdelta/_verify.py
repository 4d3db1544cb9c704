"""Verifying a bundle: every check of manifests/FORMAT.md, with the findings and codes of `blobdelta verify --json`."""

from __future__ import annotations

from typing import Any, Literal

from .blobs import open_blob
from .checked import BLOCK_BYTES, hash_source
from .closure import Closure
from .container import Container, open_container
from .errors import BundleError, UsageError, Wrong
from .frame import Frame, Trust, check_frame
from .layout import Role
from .manifest import FileInfo, TableInfo
from .parts import Part, roles_of
from .places import is_folder_of_bundles
from .plan import DEPTH, PARENT_KEY
from .report import Hopeless, Report
from .rows import RowChecks, TombstoneChecks

Level = Literal["quick", "default", "deep"]


def verify(
    place: str, level: Level = "default", *, trust: Trust | None = None, storage_options: dict[str, Any] | None = None
) -> Report:
    """Verifies one bundle. What is wrong with it is in the report, never an exception.

    `quick`: the set of files, sizes, hashes of tag files, the manifest. `default`: all hashes, footers, row counts. `deep`: every
    row. Memory does not grow with the number of rows. `UsageError` if there is no such bundle, or it is a folder of
    them; OSError if it cannot be listed.
    """
    place = str(place)
    report = Report(place)
    if is_folder_of_bundles(place):
        raise UsageError(
            f"{place}: verify takes one bundle, and this is a folder of them: call it for each of blobdelta.find(place)"
        )
    try:
        container = open_container(place, storage_options)
    except Wrong as wrong:
        report.add_error("bad_archive", wrong.file, wrong)
        return report
    try:
        frame = check_frame(container, trust or Trust(), report)
        if frame is not None and level != "quick":
            _Verification(container, frame, report).payload(is_deep=level == "deep")
    except Hopeless:
        pass
    return report


class _Verification:
    def __init__(self, container: Container, frame: Frame, report: Report) -> None:
        self.container, self.frame, self.report = container, frame, report

    def payload(self, *, is_deep: bool) -> None:
        for table in self.frame.manifest.tables:
            try:
                roles_of(table)
            except Wrong as wrong:
                self.report.add_error("bad_manifest", table.data_path, wrong)
            for file in table.files:
                if not self.report.blames(file.path):
                    self._file(table, file)
        if not is_deep:
            return
        for table in self.frame.manifest.tables:
            # A table with a broken file would give a finding for every row that is not there.
            blamed = (table.data_path, *(file.path for file in table.files))
            if not any(self.report.blames(path) for path in blamed) and self._rows(table):
                self._closure(table)

    def _file(self, table: TableInfo, file: FileInfo) -> None:
        """Hashes a file, and looks at the footer and page headers of a part."""
        try:
            if file.role == "blob":
                self._hash(file)
            else:
                Part(self.container.open(file.path), table, file).close()
            self.report.bytes += file.bytes
        except (OSError, Wrong) as error:
            if not (isinstance(error, Wrong) and error.kind == "bad_manifest"):
                self.report.add_error("changed_payload_file", file.path, error)

    def _hash(self, file: FileInfo) -> None:
        source = self.container.open(file.path)
        try:
            if source.size != file.bytes:
                raise Wrong(f"{source.size} bytes, where the manifest says {file.bytes}", "wrong_size")
            if hash_source(source) != file.sha256:
                raise Wrong("its hash is not the one of the bundle's lists")
        finally:
            source.close()

    def _rows(self, table: TableInfo) -> bool:
        """Looks at all rows. Whether they could be read to the end."""
        blobs = {file.path.removeprefix(f"{table.data_path}/") for file in table.files_of("blob")}
        for file in table.files_of("blob"):
            self._value(file)
        rows = RowChecks(self.frame.manifest, table, self.report, blobs)
        is_whole = self._read(table, "rows", rows.batch)
        if is_whole:
            rows.finish()
        self._read(table, "tombstones", TombstoneChecks(self.frame.manifest, table, self.report).batch)
        return is_whole

    def _value(self, file: FileInfo) -> None:
        """Inflates a value, and holds it against its name."""
        try:
            with open_blob(self.report.bundle, self.container.open, file) as value:
                while value.read(BLOCK_BYTES):
                    pass
        except BundleError as error:
            self.report.add("bad_blob", file.path, error.finding.detail)
        except (OSError, Wrong) as error:
            self.report.add_error("bad_blob", file.path, error)

    def _closure(self, table: TableInfo) -> None:
        closure = Closure(table, self.report)
        names = [table.key_column, DEPTH, PARENT_KEY, *filter(None, [table.parent_path_column])]
        if not self._read(table, "absent_parents", closure.absent):
            return
        for file in table.files_of("rows"):
            with Part(self.container.open(file.path), table, file) as part:
                for batch in part.batches(list(dict.fromkeys(names))):
                    if not closure.rows(batch, file.path):
                        return
        closure.finish()

    def _read(self, table: TableInfo, role: Role, take: Any) -> bool:
        is_whole = True
        for file in table.files_of(role):
            try:
                with Part(self.container.open(file.path), table, file) as part:
                    for batch in part.batches():
                        take(batch, file.path)
            except (OSError, Wrong) as error:
                self.report.add_error("bad_part", file.path, error)
                is_whole = False
        return is_whole
