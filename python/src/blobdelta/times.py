"""Times of manifests as ticks: 100 ns since 0001-01-01T00:00:00, the resolution of `datetime2`."""

from __future__ import annotations

import datetime
import re

from .errors import Wrong

TICKS_PER_SECOND = 10_000_000
TICKS_PER_HOUR = 3600 * TICKS_PER_SECOND
#: Ticks of 1970-01-01.
EPOCH_TICKS = 621_355_968_000_000_000
MAX_TICKS = 3_155_378_975_999_999_999

_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{7})(Z?)")


def parse_ticks(text: str, *, is_utc: bool) -> int:
    """Ticks of a time with seven fractional digits, with `Z` if `is_utc`; `Wrong` for any other form."""
    match = _TIME.fullmatch(text)
    if match is None or bool(match[8]) != is_utc:
        raise Wrong(f"{text[:40]!r} is not a time{' in UTC' if is_utc else ''} with seven digits")
    try:
        at = datetime.datetime.fromisoformat(text[:19])
    except ValueError:
        raise Wrong(f"{text[:40]!r} is not a time") from None
    since = at - datetime.datetime(1, 1, 1)
    return (since.days * 86_400 + since.seconds) * TICKS_PER_SECOND + int(match[7])


def show_ticks(ticks: int) -> str:
    """The time as manifests write it, without a zone."""
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    at = datetime.datetime(1, 1, 1) + datetime.timedelta(seconds=seconds)
    return f"{at.isoformat()}.{fraction:07}"


def now_ticks() -> int:
    """The time of this machine, UTC."""
    since = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.datetime(1, 1, 1)
    return (since.days * 86_400 + since.seconds) * TICKS_PER_SECOND + since.microseconds * 10
