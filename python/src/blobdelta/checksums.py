"""The lists of hashes of a bundle: `<64 lower-case hexadecimal digits>  <path>` and LF, sorted by path."""

from __future__ import annotations

from collections.abc import Callable

from .errors import Wrong
from .layout import MAX_TAG_BYTES, is_sha256


def parse_list(data: bytes, check: Callable[[str], None]) -> dict[str, str]:
    """The hashes by path, in the order of paths. `check` raises `Wrong` for a path that the list must not name.

    `Wrong` for a line of any other form, an order that does not ascend, or over 64 MiB.
    """
    if len(data) > MAX_TAG_BYTES:
        raise Wrong("the list of hashes is over 64 MiB long")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Wrong("the list of hashes is not UTF-8") from None
    if not text:
        return {}
    if not text.endswith("\n"):
        raise Wrong("the last line of the list of hashes does not end")
    found: dict[str, str] = {}
    last = b""
    for nth, line in enumerate(text[:-1].split("\n"), start=1):
        digest, between, path = line.partition("  ")
        if not between or not is_sha256(digest):
            raise Wrong(f'line {nth} of the list of hashes is not "<hash>  <path>"')
        check(path)
        if path.encode() <= last:
            raise Wrong(f"line {nth} of the list of hashes is not in the order of paths, or comes twice")
        last = path.encode()
        found[path] = digest
    return found
