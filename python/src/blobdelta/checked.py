"""[`CheckedFile`]: a payload file whose bytes were hashed, and are those that are read afterwards.

A file is hashed and then parsed. If somebody changes it in between, the parser must not see that. So either all of it is in
memory (small files), or it was copied into a temporary file that has no name (remote ones), or each block of it is remembered by
a keyed hash, and every later read is held against that.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import IO

from .errors import Wrong
from .source import Source

#: Files up to so many bytes are held in memory while they are read.
IN_MEMORY_BYTES = 16 << 20
#: Bytes that are hashed at a time.
BLOCK_BYTES = 1 << 20
_KEPT_BLOCKS = 8


def hash_source(source: Source, take: Callable[[bytes], object] | None = None) -> str:
    """The SHA-256 of all of a source; `take` gets each block. Memory: one block. OSError if it is cut."""
    hasher = hashlib.sha256()
    for block in blocks_of(source):
        hasher.update(block)
        if take is not None:
            take(block)
    return hasher.hexdigest()


def blocks_of(source: Source) -> Iterator[bytes]:
    """A source in blocks."""
    for at in range(0, source.size, BLOCK_BYTES):
        length = min(BLOCK_BYTES, source.size - at)
        block = source.read_at(at, length)
        if len(block) != length:
            raise OSError(f"the file ends at {at + len(block)}, where it had {source.size} bytes")
        yield block


def check(source: Source, size: int, sha256: str) -> Source:
    """What can be read of a file that has to have this size and hash: nothing but the bytes that were hashed.

    `Wrong` of kind `wrong_size` or `changed_payload_file`; OSError if it cannot be read.
    """
    if source.size != size:
        raise Wrong(f"{source.size} bytes, where the manifest says {size}", "wrong_size")
    if size <= IN_MEMORY_BYTES:
        return _checked(source, sha256, Memory(size))
    return _checked(source, sha256, Copy(size) if source.is_remote else Pins(source))


class Kept(Source):
    """Takes the blocks of a file while they are hashed, and gives them back afterwards."""

    def add(self, block: bytes) -> None:
        """Takes the next block."""
        raise NotImplementedError


def _checked(source: Source, sha256: str, kept: Kept) -> Source:
    if hash_source(source, kept.add) != sha256:
        raise Wrong("this file's bytes were changed: its hash is not the one of the bundle's lists", "changed_payload_file")
    return kept


class Memory(Kept):
    """All bytes, in memory."""

    def __init__(self, size: int) -> None:
        self.size, self._bytes = size, bytearray()

    def add(self, block: bytes) -> None:
        self._bytes += block

    def read_at(self, offset: int, length: int) -> bytes:
        return bytes(self._bytes[offset : offset + length])


class Copy(Kept):
    """All bytes, in a temporary file without a name."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as this object)
        self._lock = threading.Lock()

    def add(self, block: bytes) -> None:
        self._file.write(block)

    def read_at(self, offset: int, length: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            return self._file.read(min(length, max(self.size - offset, 0)))

    def close(self) -> None:
        self._file.close()


class Pins(Kept):
    """The file itself, and a keyed hash of each of its blocks. A block that is another one later is an OSError."""

    def __init__(self, source: Source) -> None:
        self.size, self._source = source.size, source
        self._key = secrets.token_bytes(32)
        self._hashes: list[bytes] = []
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def _hash(self, block: bytes) -> bytes:
        return hashlib.blake2b(block, digest_size=16, key=self._key).digest()

    def add(self, block: bytes) -> None:
        self._hashes.append(self._hash(block))

    def read_at(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        first, last = offset // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        if first == last:
            return self._block(first)[offset - first * BLOCK_BYTES : end - first * BLOCK_BYTES]
        whole = b"".join(self._block(nth) for nth in range(first, last + 1))
        return whole[offset - first * BLOCK_BYTES : end - first * BLOCK_BYTES]

    def _block(self, nth: int) -> bytes:
        with self._lock:
            if (found := self._kept.get(nth)) is not None:
                self._kept.move_to_end(nth)
                return found
        at = nth * BLOCK_BYTES
        block = self._source.read_at(at, min(BLOCK_BYTES, self.size - at))
        if self._hash(block) != self._hashes[nth]:
            raise OSError("the file was changed while it was read")
        with self._lock:
            self._kept[nth] = block
            while len(self._kept) > _KEPT_BLOCKS:
                self._kept.popitem(last=False)
        return block

    def close(self) -> None:
        self._source.close()


class SourceFile(io.RawIOBase):
    """A source as a file object that is read only; for libraries that want one."""

    def __init__(self, source: Source) -> None:
        self._source, self._at = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._source.size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        """Bytes of the file."""
        return self._source.size

    def read(self, size: int = -1) -> bytes:
        length = self._source.size - self._at if size is None or size < 0 else size
        found = self._source.read_at(self._at, length)
        self._at += len(found)
        return found

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        found = self.read(len(view))
        view[: len(found)] = found
        return len(found)
