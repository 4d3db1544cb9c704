"""What the bytes of a bundle are read from: files that are held open, ranges of a store's objects, pieces of an archive."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from typing import Any


class Source(ABC):
    """Something of a fixed size that can be read at any offset, by several readers at once."""

    #: Bytes, as they were when it was opened.
    size: int

    @abstractmethod
    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly the bytes from `offset` on; fewer only at the end. OSError if they cannot be read."""

    @property
    def is_remote(self) -> bool:
        """Whether reading twice is dear."""
        return False

    def close(self) -> None:  # noqa: B027 (most hold nothing)
        """Lets go of what is held."""


class FileSource(Source):
    """A regular file, by a descriptor that this object owns: a file that takes its name later is not read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        blocks = []
        while length > 0 and (block := os.pread(self._descriptor, length, offset)):
            blocks.append(block)
            offset += len(block)
            length -= len(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


class ObjectSource(Source):
    """An object of a store, read by ranges. An answer that is too short is an OSError, because a store that cuts a read
    says nothing of what the bundle holds."""

    def __init__(self, filesystem: Any, path: str, size: int) -> None:
        self._filesystem, self._path, self.size = filesystem, path, size

    def read_at(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        found: bytes = self._filesystem.cat_file(self._path, start=offset, end=offset + length)
        if len(found) != length:
            raise OSError(f"{self._path}: the store gave {len(found)} of {length} bytes at {offset}")
        return found

    @property
    def is_remote(self) -> bool:
        return True


class SliceSource(Source):
    """A piece of another source: a file in an archive."""

    def __init__(self, whole: Source, start: int, size: int) -> None:
        self._whole, self._start, self.size = whole, start, size

    def read_at(self, offset: int, length: int) -> bytes:
        return self._whole.read_at(self._start + offset, min(length, max(self.size - offset, 0)))

    @property
    def is_remote(self) -> bool:
        return self._whole.is_remote


class ReadAhead(Source):
    """A remote source that fetches some more than it is asked for, for what reads on in small steps. Keeps one block."""

    _BLOCK_BYTES = 64 << 10

    def __init__(self, whole: Source) -> None:
        self._whole, self.size = whole, whole.size
        self._lock = threading.Lock()
        self._start, self._block = 0, b""

    def read_at(self, offset: int, length: int) -> bytes:
        if length >= self._BLOCK_BYTES:
            return self._whole.read_at(offset, length)
        with self._lock:
            end = min(offset + length, self.size)
            if not (self._start <= offset and end <= self._start + len(self._block)):
                self._start, self._block = offset, self._whole.read_at(offset, self._BLOCK_BYTES)
            return self._block[offset - self._start : end - self._start]

    @property
    def is_remote(self) -> bool:
        return self._whole.is_remote
