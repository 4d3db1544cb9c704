"""Large values: a stream that is hashed while it is read, and whose end is an error if it is not the value that it should be."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

import pyarrow as pa

from .checked import SourceFile, check
from .errors import Finding, Wrong
from .layout import reference_sha256
from .manifest import FileInfo
from .report import error_of
from .source import Source
from .zstd import check_single_frame


class ValueStream(io.RawIOBase):
    """A value, byte by byte. Read it to its end: only then is it known that it is the one that its hash names.

    The last read raises `BundleError` otherwise, and so does one that gives more bytes than the manifest says.
    """

    def __init__(self, raw: pa.NativeFile, size: int, sha256: str | None, place: tuple[str, str, str]) -> None:
        self._raw, self._left = raw, size
        #: Of the whole value; None if nothing says it.
        self.sha256 = sha256
        self._hasher = hashlib.sha256()
        self._bundle, self._file, self._kind = place
        #: Of the whole value, in bytes.
        self.size = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if not len(view):
            return 0
        try:
            found = self._raw.read(len(view))
        except (OSError, pa.ArrowException) as error:
            raise self._wrong(f"this value cannot be read: {error}") from error
        self._left -= len(found)
        if self._left < 0:
            raise self._wrong("the value is longer than the manifest says")
        self._hasher.update(found)
        if not found:
            self._end()
        view[: len(found)] = found
        return len(found)

    def _end(self) -> None:
        if self._left:
            raise self._wrong("the value is shorter than the manifest says")
        if self.sha256 is not None and self._hasher.hexdigest() != self.sha256:
            raise self._wrong("the value is not the one that its hash names")

    def _wrong(self, detail: str) -> Exception:
        return error_of(self._bundle, Finding(self._kind, self._file, detail))

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


def open_blob(bundle: str, opened: Callable[[str], Source], file: FileInfo) -> ValueStream:
    """A value in `blob/`: the file is hashed first, and then inflated while it is read.

    `Wrong` or OSError if it is not the file of the manifest. Memory: one block, and the window of at most 128 MiB.
    """
    source = check(opened(file.path), file.bytes, file.sha256)
    try:
        check_single_frame(source)
    except Wrong as wrong:
        raise Wrong(str(wrong), "bad_blob", file.path) from None
    name = reference_sha256(file.path.split("/", 2)[2])
    raw = pa.CompressedInputStream(pa.PythonFile(SourceFile(source), mode="r"), "zstd")
    return ValueStream(raw, file.content_bytes or 0, name, (bundle, file.path, "bad_blob"))


def inline_value(bundle: str, file: str, value: bytes, sha256: str | None) -> ValueStream:
    """A value that lies in its row."""
    raw = pa.BufferReader(value)
    return ValueStream(raw, len(value), sha256, (bundle, file, "wrong_content_hash"))
