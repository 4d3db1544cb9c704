"""Canonical JSON: one byte form for one content (manifests/FORMAT.md, section 3)."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from .errors import Wrong
from .layout import MAX_TAG_BYTES

MAX_DEPTH = 16
MAX_INTEGER = (1 << 53) - 1
#: Arrays and objects that no manifest has more of: the shortest of them have over 24 bytes each. An empty one takes up to
#: 64 bytes of memory, so without this bound 64 MiB of `[],` would take 2 GiB.
_BYTES_A_CONTAINER = 24
_FEW_CONTAINERS = 1000
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]')


def parse(data: bytes) -> Any:
    """The content of canonical JSON; `Wrong` for bytes of any other form.

    Takes at most 64 MiB and 16 levels; integers within 2^53-1; no floats; no key twice. Memory: up to 16 times the bytes.
    """
    if len(data) > MAX_TAG_BYTES:
        raise _bad("it is over 64 MiB long")
    _check_containers(data)
    try:
        text = data.decode("utf-8")
        tree = json.loads(text, object_pairs_hook=_object, parse_int=_integer, parse_float=_no_float, parse_constant=_no_float)
        _check_depth(tree)
        again = dump(tree)
    except Wrong:
        raise
    except RecursionError:
        raise _bad(f"it is over {MAX_DEPTH} levels deep") from None
    except ValueError as error:
        raise _bad(str(error)[:200]) from None
    if again != data:
        raise _bad("its keys are not sorted, or it is not in the one form that a content has")
    return tree


def dump(tree: Any) -> bytes:
    """The canonical bytes of a content."""
    return json.dumps(tree, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8") + b"\n"


def _check_containers(data: bytes) -> None:
    most = _FEW_CONTAINERS + len(data) // _BYTES_A_CONTAINER
    if data.count(b"[") + data.count(b"{") <= most:
        return
    # Some may stand in texts.
    containers = sum(1 for token in _TOKENS.finditer(data) if token[0][:1] != b'"')
    if containers > most:
        raise _bad("it has more arrays and objects than any manifest of its length")


def _check_depth(tree: Any) -> None:
    level, depth = [tree], 0
    while level := [one for one in level if isinstance(one, (dict, list))]:
        depth += 1
        if depth > MAX_DEPTH:
            raise _bad(f"it is over {MAX_DEPTH} levels deep")
        level = [child for one in level for child in (one.values() if isinstance(one, dict) else one)]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _bad("a key comes twice")
    return found


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MAX_INTEGER:
        raise _bad(f"the integer {text[:40]} is beyond 2^53-1")
    return int(text)


def _no_float(text: str) -> NoReturn:
    raise _bad(f"{text[:40]} is not an integer")


def _bad(why: str) -> Wrong:
    return Wrong(f"the manifest is not canonical JSON: {why}")
