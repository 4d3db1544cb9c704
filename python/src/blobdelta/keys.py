"""Keys and paths as what decides the order of rows (manifests/FORMAT.md, section 4, "Order")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from .manifest import TableInfo
from .sqltype import SqlType

_SQLSERVER = (10, 11, 12, 13, 14, 15, 8, 9, 7, 6, 5, 4, 3, 2, 1, 0)


def plain(array: pa.Array) -> list[Any]:
    """Values as Python's, UUIDs as their 16 bytes."""
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    found: list[Any] = storage.to_pylist()
    return found


def sort_key(table: TableInfo) -> Callable[[Any], Any]:
    """What keys are compared by: bytes of UUIDs in the table's order, or integers."""
    if table.key.sql_type.name == "uniqueidentifier" and table.key_order == "sqlserver":
        return lambda key: bytes(key[at] for at in _SQLSERVER)
    return lambda key: key


def path_key(table: TableInfo) -> Callable[[Any], bytes]:
    """What paths are compared by: bytes; of NULL none."""
    of_key = sort_key(table)
    is_uuid = table.path_column is not None and table.column(table.path_column).sql_type.name == "uniqueidentifier"

    def bytes_of(path: Any) -> bytes:
        if path is None:
            return b""
        if isinstance(path, int):
            return ((path + (1 << 63)) & ((1 << 64) - 1)).to_bytes(8, "big")
        if isinstance(path, str):
            return path.encode()
        found: bytes = of_key(path) if is_uuid else path
        return found

    return bytes_of


def shown(key: Any, sql_type: SqlType | None = None) -> str:
    """A key of this type for people; without a type, a UUID."""
    if isinstance(key, bytes) and sql_type is not None and sql_type.name == "binary":
        return f"0x{key.hex()}"
    if isinstance(key, bytes) and len(key) == 16:
        text = key.hex()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    return str(key)
