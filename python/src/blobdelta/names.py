"""Three-part names of tables. Two are one name if they differ only in the case of the letters A to Z."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from .errors import Wrong

_PART = re.compile(r"\[((?:[^\]]|\]\])*)\]|([^.\[\]]+)")
_MOST_UTF16_UNITS = 128
_LOWER = {ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def fold(name: str) -> str:
    """What names are compared by: the letters A to Z in lower case."""
    return name.translate(_LOWER)


@lru_cache(maxsize=4096)
def parse_table(text: str) -> tuple[str, str, str]:
    """Database, schema and table of `Db.schema.table`, where a part with a dot or bracket is in `[brackets]`, `]` doubled.

    `Wrong` if it is not a three-part name, or a part is empty, over 128 UTF-16 units, or has control characters.
    """
    parts: list[str] = []
    at = 0
    while (match := _PART.match(text, at)) is not None and len(parts) < 3:
        parts.append(match[1].replace("]]", "]") if match[2] is None else match[2])
        at = match.end()
        if at == len(text) and len(parts) == 3:
            for part in parts:
                _check_identifier(part)
            return parts[0], parts[1], parts[2]
        if text[at : at + 1] != ".":
            break
        at += 1
    raise Wrong(f"{text[:200]!r} is not a three-part name")


@lru_cache(maxsize=4096)
def table_id(text: str) -> tuple[str, str, str]:
    """What tables are compared by."""
    database, schema, table = parse_table(text)
    return fold(database), fold(schema), fold(table)


def check_length(name: str) -> None:
    """`Wrong` for a column's name that is empty, over 128 UTF-16 units, or has U+0000."""
    if not name or "\0" in name or len(name.encode("utf-16-le")) // 2 > _MOST_UTF16_UNITS:
        raise Wrong(f"the identifier {name[:80]!r} is empty, too long, or holds U+0000")


def _check_identifier(name: str) -> None:
    check_length(name)
    if any(unicodedata.category(char) == "Cc" for char in name):
        raise Wrong(f"the identifier {name[:80]!r} holds a control character")
