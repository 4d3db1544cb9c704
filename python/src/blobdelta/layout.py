"""Names and paths of a bundle. A path has one of a few shapes, so none that passes can leave the bundle's folder."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from .errors import Wrong

BAGIT_TXT = "bagit.txt"
BAGIT_DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
BAG_INFO_TXT = "bag-info.txt"
MANIFEST_JSON = "manifest.json"
PAYLOAD_LIST = "manifest-sha256.txt"
TAG_LIST = "tagmanifest-sha256.txt"
SIGNATURE = "tagmanifest-sha256.txt.sig"
MARKER_SUFFIX = ".complete"
#: The most bytes of a list of hashes, of a manifest, and of any other tag file.
MAX_TAG_BYTES = 64 << 20
MAX_SIGNATURE_BYTES = 64 << 10

Role = Literal["rows", "tombstones", "absent_parents", "blob"]

_FOLDER = r"t(?P<number>[0-9]{3}|[1-9][0-9]{3,5})-[A-Za-z0-9_-]{1,40}"
_FOLDER_RE = re.compile(_FOLDER)
_SCHEMA_RE = re.compile(rf"schema/(?P<folder>{_FOLDER})\.sql")
_PAYLOAD_RE = re.compile(
    rf"data/(?P<folder>{_FOLDER})/(?:(?P<kind>part|deletes|absent-parents)-(?P<part>[0-9]{{5}})\.parquet"
    r"|blob/(?P<sha256>[0-9a-f]{64})\.zst)"
)
_NAME_RE = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}-[1-9][0-9]{0,9}\.bundle")
_SHA256_RE = re.compile(r"[0-9a-f]{64}")
_REFERENCE_RE = re.compile(r"blob/([0-9a-f]{64})\.zst")
_KNOWN_RE = re.compile(r"known/([0-9a-f]{64})/([1-9][0-9]{0,19})")
_ROLES: dict[str, Role] = {"part": "rows", "deletes": "tombstones", "absent-parents": "absent_parents"}
_FIXED = (BAGIT_TXT, BAG_INFO_TXT, MANIFEST_JSON, PAYLOAD_LIST)


class PayloadPath(NamedTuple):
    """What a path under `data/` says: `number` counts parts of a role from 0; `sha256` is that of a blob's content."""

    folder: str
    role: Role
    number: int | None
    sha256: str | None


def is_sha256(text: str) -> bool:
    """Whether a text is a SHA-256 as bundles write it: 64 lower-case hexadecimal digits."""
    return _SHA256_RE.fullmatch(text) is not None


def is_folder(text: str) -> bool:
    """Whether a text is the name of a table's folder, such as `t001-Files`."""
    match = _FOLDER_RE.fullmatch(text)
    return match is not None and int(match["number"]) > 0


def parse_payload_path(text: str) -> PayloadPath:
    """The parts of a path under `data/`; `Wrong` for any other shape."""
    match = _PAYLOAD_RE.fullmatch(text)
    if match is None or int(match["number"]) == 0:
        raise hostile(text)
    if match["sha256"]:
        return PayloadPath(match["folder"], "blob", None, match["sha256"])
    return PayloadPath(match["folder"], _ROLES[match["kind"]], int(match["part"]), None)


def check_payload_path(text: str) -> None:
    """`Wrong` unless `manifest-sha256.txt` may name this path."""
    parse_payload_path(text)


def check_tag_path(text: str) -> None:
    """`Wrong` unless `tagmanifest-sha256.txt` may name this path."""
    match = _SCHEMA_RE.fullmatch(text)
    if text not in _FIXED and (match is None or int(match["number"]) == 0):
        raise hostile(text)


def is_schema(path: str) -> bool:
    """Whether a path lies under `schema/`."""
    return path.startswith("schema/")


def reference_sha256(reference: str) -> str | None:
    """The hash in a row's reference to a large value, `blob/<sha256>.zst`; None if it is no reference."""
    match = _REFERENCE_RE.fullmatch(reference)
    return match[1] if match else None


class KnownReference(NamedTuple):
    """What a row says of a value that its bundle leaves out: the root digest of the bundle that holds it, and its length."""

    root_sha256: str
    bytes: int


def known_reference(reference: str) -> KnownReference | None:
    """The reference that `known/<root digest>/<bytes>` is; None if it is no such one."""
    match = _KNOWN_RE.fullmatch(reference)
    return KnownReference(match[1], int(match[2])) if match and int(match[2]) < 1 << 64 else None


def hostile(text: str) -> Wrong:
    """The refusal of a path."""
    return Wrong(f"{text[:200]!r} is not a path that a bundle can have")


def is_bundle_name(text: str) -> bool:
    """Whether a text is the name of a bundle's folder, such as `20261122T180000Z-1b4e28ba-1.bundle`."""
    return _NAME_RE.fullmatch(text) is not None and int(text[:-7].rsplit("-", 1)[1]) <= 0xFFFF_FFFF


def bundle_name_of_file(name: str) -> str | None:
    """The bundle that a folder or file is by its name: `<name>`, `<name>.tar` or `<name>.tar.age`; else None."""
    if name.endswith(".tar.age"):
        name = name[: -len(".age")]
    name = name.removesuffix(".tar")
    return name if is_bundle_name(name) else None


def is_encrypted(name: str) -> bool:
    """Whether a file is an encrypted archive, by its name."""
    return name.endswith(".age")
