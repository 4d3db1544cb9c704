"""T-SQL types: what columns of a bundle are, which Arrow type each is, and which type takes the values of which."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from .errors import Wrong

_DECLARATION = re.compile(r"([a-z0-9_]+)(?:\(([0-9]+|max)(?:,([0-9]+))?\))?")
_PLAIN = frozenset(
    [
        "bit",
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "real",
        "float",
        "money",
        "smallmoney",
        "text",
        "ntext",
        "xml",
        "image",
        "rowversion",
        "uniqueidentifier",
        "date",
        "datetime",
        "smalldatetime",
        "hierarchyid",
        "geography",
        "geometry",
        "sql_variant",
    ]
)
#: Types with a length, and the greatest; whether they may be `max`.
_SIZED = {
    "char": (8000, False),
    "varchar": (8000, True),
    "nchar": (4000, False),
    "nvarchar": (4000, True),
    "binary": (8000, False),
    "varbinary": (8000, True),
}
_SCALED = frozenset(("time", "datetime2", "datetimeoffset"))
_INTEGERS = {"tinyint": pa.uint8(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64()}
_INTEGER_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
_TEXTS = frozenset(("char", "varchar", "nchar", "nvarchar", "text", "ntext", "xml", "sql_variant"))
_BINARIES = frozenset(("binary", "varbinary", "image", "rowversion", "hierarchyid", "geography", "geometry"))
_HIERARCHYID_BYTES = 892
_KEY_BYTES = 16


@dataclass(frozen=True)
class SqlType:
    """A T-SQL type. `length` is in the unit of the declaration, None for `max` (or for a type without one)."""

    name: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None

    def __str__(self) -> str:
        if self.name in _SIZED:
            return f"{self.name}({'max' if self.length is None else self.length})"
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        return f"{self.name}({self.scale})" if self.name in _SCALED else self.name

    @property
    def key_kind(self) -> str | None:
        """What keys of this type are: integers of every size are the same, binaries of two lengths are not. None: no key has it."""
        if self.name in _INTEGERS:
            return "integer"
        is_key = self.name == "uniqueidentifier" or (self.name == "binary" and (self.length or 0) <= _KEY_BYTES)
        return str(self) if is_key else None

    @property
    def is_blob(self) -> bool:
        """Whether the column has a content hash beside it."""
        return self.name == "image" or (self.name == "varbinary" and self.length is None)

    @property
    def is_large(self) -> bool:
        """Whether a value may lie in `blob/`."""
        is_max = self.name in ("varchar", "nvarchar") and self.length is None
        return self.is_blob or is_max or self.name in ("text", "ntext", "xml")

    @property
    def is_text(self) -> bool:
        """Whether values are texts in Arrow."""
        return self.name in _TEXTS

    @property
    def is_binary(self) -> bool:
        """Whether values are bytes of any number in Arrow."""
        return self.name in _BINARIES

    @property
    def facets(self) -> tuple[int | None, int | None, int | None]:
        """Length (-1 for `max`), precision and scale, as manifests say them."""
        length = (-1 if self.length is None else self.length) if self.name in _SIZED else None
        return length, self.precision, self.scale

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of a value."""
        name = self.name
        if name in _INTEGERS:
            return _INTEGERS[name]
        if name in _TEXTS:
            return pa.string()
        if name in _BINARIES:
            return pa.binary()
        if name == "decimal":
            return pa.decimal128(self.precision, self.scale)
        fixed = {
            "bit": pa.bool_(),
            "real": pa.float32(),
            "float": pa.float64(),
            "money": pa.decimal128(19, 4),
            "smallmoney": pa.decimal128(10, 4),
            "uniqueidentifier": pa.uuid(),
            "date": pa.date32(),
            "time": pa.time64("ns"),
            "datetimeoffset": pa.timestamp("us", tz="UTC"),
        }
        return fixed.get(name, pa.timestamp("us"))

    @property
    def arrow_name(self) -> str:
        """The Arrow type as manifests spell it."""
        return "fixed_size_binary[16]" if self.name == "uniqueidentifier" else str(self.arrow)

    def takes(self, coming: SqlType) -> bool:
        """Whether a column of this type takes every value of another type as it is stored."""
        mine, other = self.name, coming.name
        if mine == other:
            if mine in ("varchar", "nvarchar", "varbinary"):
                return self.length is None or (coming.length is not None and self.length >= coming.length)
            if mine in ("datetime2", "datetimeoffset"):
                return _scale(self) >= _scale(coming)
            return self == coming
        if mine in _INTEGERS and other in _INTEGERS:
            return _INTEGER_DIGITS[mine] > _INTEGER_DIGITS[other]
        if mine == "varbinary":
            is_max = self.length is None
            return (other == "hierarchyid" and (is_max or (self.length or 0) >= _HIERARCHYID_BYTES)) or (
                is_max and other in ("geography", "geometry")
            )
        return mine == "binary" and self.length == 8 and other == "rowversion"

    def promotes(self, coming: SqlType) -> bool:
        """Whether of every value of another type one of this type can be made that says the same.

        The table is that of `SqlType::promotes` in the Rust crate: a union of the columns of several bundles goes by it.
        """
        if self.takes(coming):
            return True
        mine, other, is_max = self.name, coming.name, self.length is None
        if mine == "decimal":
            return self._holds_digits(coming)
        if mine == "time" and other == "time":
            return _scale(self) >= _scale(coming)
        wider: dict[str, frozenset[str]] = {
            **{name: frozenset(("bit",)) for name in _INTEGERS},
            "float": frozenset(("real", "tinyint", "smallint", "int")),
            "money": frozenset(("smallmoney",)),
            "datetime2": frozenset(("smalldatetime",)),
        }
        if other in wider.get(mine, ()):
            return True
        if is_max and (mine, other) in _MAX_TAKES:
            return other != "varchar" or coming.length is None or self.name == "nvarchar"
        if (mine, other) in _SIZED_TAKES and coming.length is not None:
            return is_max or (self.length or 0) >= coming.length
        return False

    def _holds_digits(self, coming: SqlType) -> bool:
        whole = (self.precision or 0) - _scale(self)
        if coming.name == "decimal":
            return _scale(self) >= _scale(coming) and whole >= (coming.precision or 0) - _scale(coming)
        digits = _INTEGER_DIGITS.get(coming.name)
        return digits is not None and whole >= digits


_MAX_TAKES = frozenset(
    (
        ("nvarchar", "ntext"),
        ("nvarchar", "text"),
        ("nvarchar", "varchar"),
        ("varchar", "text"),
        ("varbinary", "image"),
    )
)
_SIZED_TAKES = frozenset(
    (
        ("nvarchar", "varchar"),
        ("nvarchar", "char"),
        ("nvarchar", "nchar"),
        ("varchar", "char"),
        ("varbinary", "binary"),
    )
)


def _scale(of: SqlType) -> int:
    return of.scale or 0


@lru_cache(maxsize=1024)
def parse_type(declaration: str) -> SqlType:
    """The type of a declaration in the one form that manifests have; `Wrong` for one that no bundle carries."""
    match = _DECLARATION.fullmatch(declaration)
    found = _parsed(match[1], match[2], match[3]) if match else None
    if found is None or str(found) != declaration:
        raise Wrong(f"{declaration[:60]!r} is not a T-SQL type that a bundle carries")
    return found


def _parsed(name: str, first: str | None, second: str | None) -> SqlType | None:
    if name in _PLAIN:
        return SqlType(name) if first is None else None
    if first is None:
        return None
    if name in _SIZED:
        most, may_be_max = _SIZED[name]
        if first == "max":
            return SqlType(name) if may_be_max and second is None else None
        return SqlType(name, length=int(first)) if 1 <= int(first) <= most and second is None else None
    if first == "max":
        return None
    if name in _SCALED:
        return SqlType(name, scale=int(first)) if int(first) <= 7 and second is None else None
    if name == "decimal" and second is not None and 1 <= int(first) <= 38 and int(second) <= int(first):
        return SqlType(name, precision=int(first), scale=int(second))
    return None
