"""A look at a part before it is decoded: what its footer and the headers of its pages claim.

A library makes room for what a page header says, and a page of some kilobytes may say two gigabytes. So every header is held
against the bounds of the format (manifests/FORMAT.md, section 4) first. Nothing is inflated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .checked import SourceFile
from .errors import Wrong
from .source import Source

_MIB = 1 << 20
MAX_PAGE_BYTES = 34 * _MIB
MAX_ROW_GROUP_BYTES = 64 * _MIB + MAX_PAGE_BYTES
MAX_PART_BYTES = 1024 * _MIB + MAX_ROW_GROUP_BYTES
_MAX_DICTIONARY_BYTES = 2 * _MIB
_MAX_WIDTH_BYTES = 32
_MIN_ROW_BYTES = 4
_MAX_HEADER_BYTES = 128
_MAX_CHUNKS = 32_768
_FIRST_PAGE = 4
_TAIL_BYTES = 8
_FOOTER_BYTES, _COLUMN_BYTES, _CHUNK_BYTES = 64 << 10, 8 << 10, 1 << 10
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8
_BOOLS, _I32, _STRUCT = (1, 2), 5, 12
_WIDTHS = {"INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}


def read_footer(part: Source, columns: int, row_groups: int) -> pq.FileMetaData:
    """The footer of a part that may have so many columns at most, and has so many row groups; `Wrong` otherwise."""
    none = Wrong("this part is not Parquet: it has no footer")
    tail_at = part.size - _TAIL_BYTES
    if tail_at < _FIRST_PAGE:
        raise none
    tail = part.read_at(tail_at, _TAIL_BYTES)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length > tail_at - _FIRST_PAGE:
        raise none
    if row_groups * columns > _MAX_CHUNKS:
        raise Wrong(f"the manifest says {row_groups} row groups, too many for {columns} columns")
    most = (_CHUNK_BYTES * row_groups + _COLUMN_BYTES) * columns + _FOOTER_BYTES
    if length > most:
        raise Wrong(f"the footer has {length} bytes, where {most} are the most for its columns")
    try:
        # Lists in a footer are no longer than this, whatever it says: nothing is reserved for more.
        opened = pq.ParquetFile(
            pa.PythonFile(SourceFile(part), mode="r"),
            thrift_string_size_limit=most,
            thrift_container_size_limit=max(row_groups, columns + 1, 1) + 16,
        )
        metadata: pq.FileMetaData = opened.metadata
        opened.close()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Wrong(f"this part cannot be read as Parquet: {str(error)[:200]}") from None
    if metadata.serialized_size != length:
        raise Wrong(f"the footer has {length} bytes, of which {metadata.serialized_size} can be read")
    if metadata.num_columns > columns:
        raise Wrong(f"the part has {metadata.num_columns} columns, where those of the manifest make {columns}")
    if metadata.num_row_groups != row_groups:
        raise Wrong(f"the part has {metadata.num_row_groups} row groups, the manifest says {row_groups}")
    return metadata


def check_pages(part: Source, metadata: pq.FileMetaData) -> list[int]:
    """Holds all page headers of a part against their bounds and the footer. Gives what each row group inflates to, in bytes."""
    at, rows, sizes = _FIRST_PAGE, 0, []
    for nth in range(metadata.num_row_groups):
        group = metadata.row_group(nth)
        if group.num_columns != metadata.num_columns:
            raise Wrong("a row group does not have all columns")
        size = 0
        for column in range(group.num_columns):
            inflated, at = _check_chunk(part, metadata.schema.column(column), group.column(column), group.num_rows, at)
            size += inflated
        if size > MAX_ROW_GROUP_BYTES:
            raise Wrong(f"row group {nth} inflates to {size} bytes, over {MAX_ROW_GROUP_BYTES}")
        if not 1 <= group.num_rows <= size // _MIN_ROW_BYTES:
            raise Wrong(f"row group {nth} has {group.num_rows} rows, and keys for {size // _MIN_ROW_BYTES} at most")
        rows += group.num_rows
        sizes.append(size)
    if sum(sizes) > MAX_PART_BYTES:
        raise Wrong(f"the part inflates to {sum(sizes)} bytes, over {MAX_PART_BYTES}")
    if rows != metadata.num_rows:
        raise Wrong(f"the row groups have {rows} rows, the footer says another number")
    return sizes


def _check_chunk(part: Source, schema: Any, chunk: Any, rows: int, at: int) -> tuple[int, int]:
    """The bytes that a column's chunk inflates to, and where it ends."""
    name = chunk.path_in_schema[:128]
    offset = chunk.dictionary_page_offset if chunk.has_dictionary_page else None
    start = offset if offset else chunk.data_page_offset
    end = at + chunk.total_compressed_size
    if start != at:
        raise Wrong(f"the pages of a column do not follow those before them, column {name}")
    if chunk.total_compressed_size < 0 or end > part.size - _TAIL_BYTES:
        raise Wrong(f"the pages of a column leave the part, column {name}")
    if chunk.compression not in ("ZSTD", "UNCOMPRESSED"):
        raise Wrong(f"a column is compressed, and not with zstd, column {name}")
    width = schema.length if chunk.physical_type == "FIXED_LEN_BYTE_ARRAY" else _WIDTHS.get(chunk.physical_type, 0)
    if chunk.physical_type == "FIXED_LEN_BYTE_ARRAY" and not 1 <= width <= _MAX_WIDTH_BYTES:
        raise Wrong(f"a column's values are wider than any of the format, column {name}")
    if chunk.num_values != rows:
        raise Wrong(f"a column does not have as many values as its row group has rows, column {name}")
    try:
        return _read_pages(part, (at, end), chunk.compression == "UNCOMPRESSED", width, rows), end
    except Wrong as wrong:
        raise Wrong(f"{wrong}, column {name}") from None


def _read_pages(part: Source, span: tuple[int, int], is_plain: bool, width: int, rows: int) -> int:
    at, end = span
    values, inflated, has_dictionary = 0, 0, False
    while at < end:
        header = _PageHeader.read(part.read_at(at, min(end - at, _MAX_HEADER_BYTES)))
        if header is None:
            raise Wrong(f"the page at byte {at} has no header of the format")
        after = at + header.length + header.compressed
        if header.compressed < 0 or header.uncompressed < 0 or after > end:
            raise Wrong("a page leaves its column")
        if is_plain and header.compressed != header.uncompressed:
            raise Wrong(f"the page at byte {at} is not compressed, and has two sizes")
        inflated += header.uncompressed
        if header.kind == _DICTIONARY_PAGE:
            _check_dictionary(header, width, at == span[0])
            has_dictionary = True
        else:
            if header.uncompressed > MAX_PAGE_BYTES:
                raise Wrong(f"a page inflates to {header.uncompressed} bytes, over {MAX_PAGE_BYTES}")
            if header.encoding != _PLAIN and not (header.encoding == _RLE_DICTIONARY and has_dictionary):
                raise Wrong(f"a page has encoding {header.encoding}, which the format has not")
            if header.values <= 0:
                raise Wrong("a page has no values")
            values += header.values
        at = after
    if values != rows:
        raise Wrong(f"the pages have {values} values, not {rows}")
    return inflated


def _check_dictionary(header: _PageHeader, width: int, is_first: bool) -> None:
    """Only columns of a fixed width may have one: of others, few bytes could stand for many."""
    if width == 0:
        raise Wrong("a column has a dictionary, which its type must not")
    fits = header.values * width == header.uncompressed <= _MAX_DICTIONARY_BYTES
    if not is_first or not fits or header.encoding != _PLAIN:
        raise Wrong("a dictionary is not one of the format")


@dataclass
class _PageHeader:
    kind: int
    uncompressed: int
    compressed: int
    values: int
    encoding: int
    #: Of the header itself, in bytes.
    length: int

    @classmethod
    def read(cls, data: bytes) -> _PageHeader | None:
        """A header of the fields that the format has; None for any other."""
        reader = _Thrift(data)
        sizes: dict[int, int] = {1: -1, 2: -1, 3: -1}
        body: tuple[int, int] | None = None
        try:
            while (field := reader.field()) is not None:
                identity, kind = field
                if kind == _I32 and identity in (1, 2, 3, 4):
                    sizes[identity] = reader.signed()
                elif kind == _STRUCT and body is None and (identity, sizes[1]) in ((5, _DATA_PAGE), (7, _DICTIONARY_PAGE)):
                    body = reader.page_body(is_data=identity == 5)
                else:
                    return None
        except (IndexError, ValueError):
            return None
        if body is None:
            return None
        return cls(sizes[1], sizes[2], sizes[3], body[0], body[1], reader.at)


class _Thrift:
    """As much of Thrift's compact protocol as page headers take. IndexError or ValueError: this is none."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at, self._last = data, 0, 0

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def signed(self) -> int:
        """A zigzag varint of at most 32 bits."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                number = (value >> 1) ^ -(value & 1)
                if not -(1 << 31) <= number < 1 << 31:
                    break
                return number
        raise ValueError("not an integer of 32 bits")

    def field(self) -> tuple[int, int] | None:
        """The identity and type of the next field of the struct; None at its end."""
        head = self._byte()
        if head == 0:
            return None
        self._last = self.signed() if head >> 4 == 0 else self._last + (head >> 4)
        return self._last, head & 0x0F

    def page_body(self, *, is_data: bool) -> tuple[int, int]:
        """Number of values and encoding of a data page or a dictionary."""
        outer, self._last = self._last, 0
        values = encoding = -1
        while (field := self.field()) is not None:
            identity, kind = field
            if kind == _I32 and identity == 1:
                values = self.signed()
            elif kind == _I32 and identity == 2:
                encoding = self.signed()
            elif is_data and kind == _I32 and identity in (3, 4) and self.signed() == _RLE:
                pass  # Levels.
            elif not is_data and kind in _BOOLS and identity == 3:
                pass  # Whether it is sorted.
            else:
                raise ValueError("a field that the format has not")
        self._last = outer
        return values, encoding
