"""Where the files of a bundle lie (a folder, an archive, objects of a store), behind one way of listing and opening them."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from . import archive as archives
from .errors import UsageError, Wrong
from .layout import MARKER_SUFFIX, bundle_name_of_file, is_bundle_name, is_encrypted, is_sha256
from .source import FileSource, ObjectSource, ReadAhead, Source

_MAX_DEPTH = 6
_MAX_ENTRIES = 1_000_000
_AGE = b"age-encryption.org/v1\n"


@dataclass(frozen=True)
class Entry:
    """Something in a bundle: `other` is a link, pipe or device."""

    path: str
    kind: Literal["file", "folder", "other"]
    bytes: int = 0


class Container(ABC):
    """The files of one bundle."""

    #: Its path or URL, as messages name it.
    place: str
    #: The bundle that it is by its own name; None if it has another name, which a folder may have.
    claimed_name: str | None = None
    #: The root digest in the marker beside it, at a destination.
    marker: str | None = None
    #: In an archive, the time of its files: seconds since 1970.
    modified: int | None = None

    @abstractmethod
    def entries(self) -> list[Entry]:
        """Everything in it, in the order of paths. Links are listed, not followed. OSError; `Wrong` if it is too deep."""

    def read_small(self, path: str, most: int) -> bytes:
        """A whole file, if it has at most `most` bytes; else that many and more. Errors are those of `open`."""
        source = self.open(path)
        try:
            found = source.read_at(0, min(source.size, most + 1))
            if len(found) != min(source.size, most + 1):
                raise OSError(f"the file ends at {len(found)}, where it had {source.size} bytes")
            return found
        finally:
            source.close()

    @abstractmethod
    def open(self, path: str) -> Source:
        """A file whose path the grammar of paths let through. FileNotFoundError; OSError, also for a link."""


class FolderContainer(Container):
    """A folder, reached from a descriptor that is held, without following a link beneath it."""

    def __init__(self, path: str, place: str | None = None) -> None:
        self.place = place or path
        name = os.path.basename(os.path.normpath(path))
        self.claimed_name = name if is_bundle_name(name) else None
        self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def __del__(self) -> None:
        if getattr(self, "_root", -1) >= 0:
            os.close(self._root)

    def entries(self) -> list[Entry]:
        found: list[Entry] = []
        self._list(self._root, "", 1, found)
        return sorted(found, key=lambda entry: entry.path.encode("utf-8", "surrogateescape"))

    def _list(self, folder: int, prefix: str, depth: int, found: list[Entry]) -> None:
        if depth > _MAX_DEPTH:
            raise Wrong("the folder is deeper than any bundle", "extra_file", prefix)
        with os.scandir(folder) as listed:
            for one in listed:
                if len(found) >= _MAX_ENTRIES:
                    raise Wrong("the folder has more files than any bundle", "extra_file", prefix or None)
                path = prefix + one.name
                about = one.stat(follow_symlinks=False)
                if stat.S_ISDIR(about.st_mode):
                    found.append(Entry(path, "folder"))
                    inner = os.open(one.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                    try:
                        self._list(inner, f"{path}/", depth + 1, found)
                    finally:
                        os.close(inner)
                else:
                    is_file = stat.S_ISREG(about.st_mode)
                    found.append(Entry(path, "file" if is_file else "other", about.st_size if is_file else 0))

    def open(self, path: str) -> Source:
        *folders, name = path.split("/")
        at = os.dup(self._root)
        try:
            for folder in folders:
                inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = inner
            # A pipe does not make it wait.
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
        finally:
            os.close(at)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(f"{path} is no regular file")
        return FileSource(descriptor)


class ArchiveContainer(Container):
    """An archive, whose headers were all read."""

    def __init__(self, place: str, source: Source) -> None:
        self.place = place
        start = source.read_at(0, 32)
        if start.startswith(_AGE):
            raise encrypted(place)
        if (what := archives.what_else(start)) is not None:
            raise UsageError(f"{place}: this is {what}, and no bundle: unpack it, and name the bundle that was in it")
        self._archive = archives.open_archive(ReadAhead(source) if source.is_remote else source)
        self.claimed_name, self.modified = self._archive.name, self._archive.modified

    def entries(self) -> list[Entry]:
        members = self._archive.members
        return [Entry(path, "file", members[path].size) for path in sorted(members, key=str.encode)]

    def open(self, path: str) -> Source:
        if (found := self._archive.members.get(path)) is None:
            raise FileNotFoundError(path)
        return found


class ObjectsContainer(Container):
    """The objects of a bundle under a prefix of a store."""

    def __init__(self, place: str, filesystem: Any, path: str) -> None:
        self.place, self._filesystem, self._path = place, filesystem, path.rstrip("/")
        self.claimed_name = self._path.rsplit("/", 1)[-1]
        self._sizes: dict[str, int] | None = None

    def _objects(self) -> dict[str, int]:
        if self._sizes is None:
            found = self._filesystem.find(self._path, detail=True)
            prefix = f"{self._path}/"
            sizes = {
                name[len(prefix) :]: int(about["size"])
                for name, about in found.items()
                if name.startswith(prefix) and about.get("type", "file") == "file"
            }
            if len(sizes) > _MAX_ENTRIES:
                raise Wrong("there are more objects than any bundle has", "extra_file")
            self._sizes = sizes
        return self._sizes

    def entries(self) -> list[Entry]:
        sizes = self._objects()
        return [Entry(path, "file", sizes[path]) for path in sorted(sizes, key=str.encode)]

    def open(self, path: str) -> Source:
        size = self._sizes.get(path) if self._sizes is not None else self._size(path)
        if size is None:
            raise FileNotFoundError(f"{self._path}/{path}")
        return ObjectSource(self._filesystem, f"{self._path}/{path}", size)

    def read_small(self, path: str, most: int) -> bytes:
        if self._sizes is not None:
            return super().read_small(path, most)
        # One request.
        found: bytes = self._filesystem.cat_file(f"{self._path}/{path}", start=0, end=most + 1)
        return found

    def _size(self, path: str) -> int:
        return int(self._filesystem.info(f"{self._path}/{path}")["size"])


def encrypted(place: str) -> UsageError:
    """The refusal of an encrypted archive, with the command that opens it."""
    plain = place.removesuffix(".age")
    return UsageError(
        f"{place}: this archive is encrypted; open it with `age --decrypt -i IDENTITY -o {plain} {place}`, or fetch it with "
        "`blobdelta receive --identity IDENTITY`"
    )


def open_container(place: str, storage_options: dict[str, Any] | None = None) -> Container:
    """What a path or URL of one bundle names. Beside a URL a marker has to be.

    `UsageError` if there is nothing, no marker, or an encrypted archive; `Wrong` for an archive in another form; OSError.
    """
    if is_encrypted(place):
        raise encrypted(place)
    if is_url(place):
        return _open_url(place, storage_options or {})
    try:
        about = os.stat(place)
    except FileNotFoundError:
        raise UsageError(f"{place}: there is no such bundle: name a folder or archive that is one") from None
    if stat.S_ISDIR(about.st_mode):
        return FolderContainer(place)
    if not stat.S_ISREG(about.st_mode):
        raise UsageError(f"{place}: this is neither a folder nor a file")
    return ArchiveContainer(place, FileSource(os.open(place, os.O_RDONLY)))


def is_url(place: str) -> bool:
    """Whether a place is a URL of fsspec, and not a path."""
    return "://" in place


def _open_url(place: str, storage_options: dict[str, Any]) -> Container:
    filesystem, path = filesystem_of(place, storage_options)
    name = path.rstrip("/").rsplit("/", 1)[-1]
    if bundle_name_of_file(name) is None:
        raise UsageError(f"{place}: this is not the URL of a bundle: its name has to end in .bundle or .bundle.tar")
    marker = read_marker(filesystem, path.rstrip("/"), place)
    container: Container
    if name.endswith(".tar"):
        size = int(filesystem.info(path)["size"])
        container = ArchiveContainer(place, ObjectSource(filesystem, path, size))
    elif _is_local(filesystem):
        container = FolderContainer(path, place)
    else:
        container = ObjectsContainer(place, filesystem, path)
    container.marker = marker
    return container


def filesystem_of(place: str, storage_options: dict[str, Any]) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    import fsspec  # noqa: PLC0415 (only where there is a URL)

    found: tuple[Any, str] = fsspec.core.url_to_fs(place, **storage_options)
    return found


def _is_local(filesystem: Any) -> bool:
    protocol = filesystem.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def read_marker(filesystem: Any, path: str, place: str) -> str:
    """The root digest in the marker beside a bundle; `UsageError` if there is none, `Wrong` for one in another form."""
    try:
        found: bytes = filesystem.cat_file(path + MARKER_SUFFIX, start=0, end=66)
    except FileNotFoundError:
        what = "there is no such bundle: there is no marker beside this name; ship it again, or wait for it"
        raise UsageError(f"{place}: {what}") from None
    text = found.decode("ascii", "replace")
    if not text.endswith("\n") or not is_sha256(text[:-1]):
        raise Wrong("the marker beside it is not a root digest and a line feed", "wrong_root")
    return text[:-1]
