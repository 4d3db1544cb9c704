"""One zstd frame and nothing else: what a value in `blob/` is (RFC 8878, section 3.1.1). Walks the blocks, inflates nothing."""

from __future__ import annotations

from .errors import Wrong
from .source import Source

_MAGIC = b"\x28\xb5\x2f\xfd"
_MAX_WINDOW_BYTES = 128 << 20
_RLE, _RESERVED = 1, 3


def check_single_frame(source: Source) -> None:
    """`Wrong` unless the source is one frame with a window of at most 128 MiB, and nothing stands behind it."""
    head = source.read_at(0, 18)
    if head[:4] != _MAGIC or len(head) < 6:
        raise Wrong("the value is no zstd frame")
    descriptor = head[4]
    is_single, has_checksum = bool(descriptor & 0x20), bool(descriptor & 0x04)
    at = 5
    if not is_single:
        exponent, mantissa = head[at] >> 3, head[at] & 7
        base = 1 << (10 + exponent)
        if base + base // 8 * mantissa > _MAX_WINDOW_BYTES:
            raise Wrong("the value needs a window of over 128 MiB")
        at += 1
    at += (0, 1, 2, 4)[descriptor & 3]
    size_bytes = (1 if is_single else 0, 2, 4, 8)[descriptor >> 6]
    if is_single:
        size = int.from_bytes(head[at : at + size_bytes], "little") + (256 if size_bytes == 2 else 0)
        if size > _MAX_WINDOW_BYTES:
            raise Wrong("the value needs a window of over 128 MiB")
    at += size_bytes
    is_last = False
    while not is_last:
        block = source.read_at(at, 3)
        if len(block) < 3:
            raise Wrong("the value is cut off")
        bits = int.from_bytes(block, "little")
        is_last, kind, size = bool(bits & 1), bits >> 1 & 3, bits >> 3
        if kind == _RESERVED:
            raise Wrong("the value has a block of no kind")
        at += 3 + (1 if kind == _RLE else size)
    if at + (4 if has_checksum else 0) != source.size:
        raise Wrong("the value is cut off, or something stands behind it")
