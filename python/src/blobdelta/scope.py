"""For which sources and tables a signer may speak: the file of `blobdelta verify --signer-scope`.

A line is `WHO SOURCE TABLES`: a key's fingerprint or a principal; a source id or `*`; names of tables with `*` for any part.
Whoever has no line speaks for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from .errors import UsageError, Wrong
from .names import fold, parse_table
from .signature import SignedBy

_MAX_BYTES = 1 << 20
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_Pattern = tuple[str, str, str]


class SignerScope:
    """See the module's text. `UsageError` for a line that cannot be understood, which is named."""

    def __init__(self, text: str) -> None:
        if len(text.encode()) > _MAX_BYTES:
            raise UsageError("a file of what signers may speak for is over 1 MiB")
        self._lines: list[tuple[str, str, list[_Pattern]]] = []
        for nth, line in enumerate(text.splitlines(), start=1):
            if line.strip() and not line.strip().startswith("#"):
                try:
                    self._lines.append(_parse_line(line.strip()))
                except (Wrong, ValueError) as error:
                    raise UsageError(f"line {nth} cannot be understood: {error}") from None

    @classmethod
    def of_file(cls, path: str | Path) -> SignerScope:
        """Reads the file."""
        return cls(Path(path).read_text("utf-8"))

    def check(self, signed_by: SignedBy, source_id: str, tables: Iterable[str]) -> None:
        """`Wrong` of kind `signer_out_of_scope` for the first table that the signer may not speak for."""
        who = {signed_by.fingerprint, *signed_by.principals.split(",")}
        theirs = [line for line in self._lines if line[0] in who and line[1] in ("*", source_id)]
        if not theirs:
            raise Wrong(f"{signed_by.fingerprint} may not speak for the source {source_id}", "signer_out_of_scope")
        patterns = [pattern for line in theirs for pattern in line[2]]
        for table in tables:
            parts = [fold(part) for part in parse_table(table)]
            if not any(all(want in ("*", part) for want, part in zip(one, parts, strict=True)) for one in patterns):
                what = f"{signed_by.fingerprint} may not speak for the table {table} of the source {source_id}"
                raise Wrong(what, "signer_out_of_scope")


def _parse_line(line: str) -> tuple[str, str, list[_Pattern]]:
    who, source, tables = line.split(None, 2)
    source = source.lower()
    if source != "*" and not _GUID.fullmatch(source):
        raise ValueError(f"{source[:60]!r} is neither * nor a source id")
    return who, source, [_pattern(table.strip()) for table in tables.split(",")]


def _pattern(text: str) -> _Pattern:
    if text == "*":
        return "*", "*", "*"
    database, schema, table = parse_table(text)
    return fold(database), fold(schema), fold(table)
