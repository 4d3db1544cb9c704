"""`<name>.bundle.tar`: the one form that the archive of a bundle has (manifests/FORMAT.md, section 7)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import Wrong
from .layout import SIGNATURE, TAG_LIST, check_tag_path, is_bundle_name, parse_payload_path
from .source import SliceSource, Source

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_MAX_NUMBER = 0o77_777_777_777
_MAX_MEMBERS = 1_000_000
_OCTAL = re.compile(rb"[0-7]{11}")
#: What files that are not archives of bundles begin with.
_OTHERS = {
    b"PK\x03\x04": "a zip file",
    b"PK\x05\x06": "an empty zip file",
    b"\x1f\x8b": "a file that gzip compressed",
    b"7z\xbc\xaf\x27\x1c": "a 7z file",
    b"\x28\xb5\x2f\xfd": "a file that zstd compressed",
    b"\xfd7zXZ\x00": "a file that xz compressed",
    b"Rar!\x1a\x07": "a rar file",
}


@dataclass(frozen=True)
class Archive:
    """What an archive holds: `name` is that of the bundle, `modified` in seconds since 1970, files by path."""

    name: str
    modified: int
    members: dict[str, SliceSource]


def what_else(start: bytes) -> str | None:
    """What a file is instead, by its first bytes, if it is a known other kind of archive."""
    return next((what for begins, what in _OTHERS.items() if start.startswith(begins)), None)


def open_archive(source: Source) -> Archive:
    """Reads all headers of an archive; `Wrong` of kind `bad_archive` for any other form."""
    name, prefix, modified = "", "", 0
    members: dict[str, SliceSource] = {}
    last: tuple[int, bytes] | None = None
    at = 0
    while True:
        block = _read(source, at, _BLOCK)
        if block == _ZEROS:
            if _read(source, at + _BLOCK, _BLOCK) != _ZEROS or at + 2 * _BLOCK != source.size:
                raise _bad(at, "does not end where its end is marked")
            if not members:
                raise _bad(at, "is empty")
            return Archive(name, modified, members)
        path, size, time = _header(block, at)
        if last is None:
            prefix, modified = path.removesuffix(TAG_LIST), time
            name = prefix.removesuffix("/")
            if not path.endswith(f"/{TAG_LIST}") or not is_bundle_name(name):
                raise _bad(at, "does not begin with the list of tag files of a bundle")
        if not path.startswith(prefix):
            raise _bad(at, "holds two bundles")
        path = path.removeprefix(prefix)
        order = _order(path)
        if last is not None and last >= order:
            raise _bad(at, "does not hold its files in their order", path)
        if time != modified:
            raise _bad(at, "has files of several times", path)
        if len(members) >= _MAX_MEMBERS:
            raise _bad(at, "has more files than any bundle")
        start, padding = at + _BLOCK, -size % _BLOCK
        if start + size + padding > source.size:
            raise _bad(at, "is cut off", path)
        if padding and _read(source, start + size, padding) != bytes(padding):
            raise _bad(start + size, "has something between its files", path)
        members[path], last = SliceSource(source, start, size), order
        at = start + size + padding


def _order(path: str) -> tuple[int, bytes]:
    if path in (TAG_LIST, SIGNATURE):
        return (TAG_LIST, SIGNATURE).index(path), b""
    try:
        check_tag_path(path)
        return 2, path.encode()
    except Wrong:
        try:
            parse_payload_path(path)
        except Wrong as wrong:
            raise Wrong(str(wrong), "bad_archive") from None
        return 3, path.encode()


def _header(block: bytes, at: int) -> tuple[str, int, int]:
    """Path, size and time of a header, if it is byte for byte the one that they make."""
    name, prefix = block[:100].split(b"\0", 1)[0], block[345:500].split(b"\0", 1)[0]
    size, time = block[124:135], block[136:147]
    if _OCTAL.fullmatch(size) and _OCTAL.fullmatch(time):
        try:
            path = (prefix + b"/" + name if prefix else name).decode("utf-8")
        except UnicodeDecodeError:
            path = ""
        if path and encode_header(path, int(size, 8), int(time, 8)) == block:
            return path, int(size, 8), int(time, 8)
    raise _bad(at, "has a header that no bundle's archive has")


def encode_header(path: str, size: int, modified: int) -> bytes | None:
    """The one header of a file; None if ustar cannot hold it."""
    name, prefix = path.encode(), b""
    if len(name) > 100:
        prefix, _, name = name.rpartition(b"/")
    if not name or len(name) > 100 or len(prefix) > 155 or max(size, modified) > _MAX_NUMBER:
        return None
    block = bytearray(_BLOCK)
    numbers = (b"%011o\0" % size, b"%011o\0" % modified)
    fields = {0: name, 100: b"0000644\0", 108: b"0000000\0", 116: b"0000000\0", 124: numbers[0], 136: numbers[1]}
    fields |= {148: b" " * 8, 156: b"0", 257: b"ustar\x0000", 329: b"0000000\0", 337: b"0000000\0", 345: prefix}
    for offset, value in fields.items():
        block[offset : offset + len(value)] = value
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _read(source: Source, at: int, length: int) -> bytes:
    if at + length > source.size:
        raise _bad(at, "is cut off")
    found = source.read_at(at, length)
    if len(found) != length:
        raise _bad(at, "is cut off")
    return found


def _bad(at: int, what: str, file: str | None = None) -> Wrong:
    return Wrong(f"the archive {what} (at byte {at})", "bad_archive", file)
