"""The order of bundles, and what is missing between them (manifests/FORMAT.md, section 5, "Chains").

Manifests may lie: a circle of links is found, and no work here grows faster than the links and what they name, sorted.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from .manifest import Manifest, TableInfo
from .names import table_id

ChainId = tuple[tuple[str, str, str], str, str]


@dataclass(frozen=True)
class Link:
    """One table of one bundle, as far as its place in a chain goes. Times are ticks."""

    chain: ChainId
    root: str
    previous: str | None
    inputs: tuple[str, ...]
    start: int
    end: int
    clock: str
    missing_bundles: tuple[str, ...]
    missing_windows: tuple[tuple[int, int], ...]
    #: Start of the run, RunId, number of the pack: what orders bundles where no link does.
    run_order: tuple[int, str, int]

    @classmethod
    def of(cls, root: str, manifest: Manifest, table: TableInfo) -> Link:
        """The link of a table of a bundle."""
        return cls(
            chain=(table_id(table.name), table.scope, manifest.source_id),
            root=root,
            previous=table.previous,
            inputs=manifest.inputs,
            start=table.window.start,
            end=table.window.end,
            clock=table.window.clock,
            missing_bundles=table.missing_bundles,
            missing_windows=table.missing_windows,
            run_order=(manifest.started_at, manifest.run_id, manifest.pack_number),
        )

    def covered(self) -> list[tuple[int, int]]:
        """The time that it covers: its window, but for what it was compacted without."""
        covered, at = [], self.start
        for start, end in sorted(self.missing_windows):
            if start > at:
                covered.append((at, min(start, self.end)))
            at = max(at, end)
        if at < self.end or not covered:
            covered.append((min(at, self.end), self.end))
        return covered


def in_order(links: Sequence[Link]) -> tuple[list[int], set[int]]:
    """The places of links in order: each after the one that it follows, or after a compacted one that has its place, else by
    their runs. And the places of those whose links lead in a circle, which come last."""
    own: dict[tuple[ChainId, str], int] = {}
    within: dict[tuple[ChainId, str], int] = {}
    for nth, link in enumerate(links):
        own.setdefault((link.chain, link.root), nth)
        for root in link.inputs:
            holder = within.setdefault((link.chain, root), nth)
            if (link.run_order, link.root) < (links[holder].run_order, links[holder].root):
                within[link.chain, root] = nth
    followers: list[list[int]] = [[] for _ in links]
    ready: list[tuple[tuple[int, str, int], str, int]] = []
    for nth, link in enumerate(links):
        place = (link.chain, link.previous or "")
        before = own.get(place, within.get(place)) if link.previous else None
        if before is None:
            ready.append((link.run_order, link.root, nth))
        else:
            followers[before].append(nth)
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        nth = heapq.heappop(ready)[2]
        order.append(nth)
        for follower in followers[nth]:
            heapq.heappush(ready, (links[follower].run_order, links[follower].root, follower))
    placed = set(order)
    circle = sorted(set(range(len(links))) - placed, key=lambda nth: (links[nth].run_order, links[nth].root, nth))
    return order + circle, set(circle)


@dataclass
class Judgement:
    """What is to be said of one chain. Faults are of a place in the order: kind, and the root digest or place it is about.

    Kinds: `not_the_start`, `previous_is_missing`, `made_without`, `second_start`, `fork`, `another_clock`. Gaps and overlaps are in
    ticks; a gap comes with the place of the link before which it ends.
    """

    faults: list[tuple[int, str, str]] = field(default_factory=list)
    gaps: list[tuple[int, int, int]] = field(default_factory=list)
    overlaps: list[tuple[int, int]] = field(default_factory=list)


def judge(links: Sequence[Link]) -> Judgement:
    """Judges the links of one chain, which are in order."""
    found = Judgement()
    _judge_windows(links, found)
    _judge_links(links, found)
    return found


def _judge_windows(links: Sequence[Link], found: Judgement) -> None:
    windows = sorted((start, end, nth) for nth, link in enumerate(links) for start, end in link.covered())
    reached: int | None = None
    for start, end, nth in windows:
        if reached is not None and reached < start:
            if found.gaps and found.gaps[-1][1] == reached:
                # A window that takes no time does not make two gaps of one.
                found.gaps[-1] = (found.gaps[-1][0], start, nth)
            else:
                found.gaps.append((reached, start, nth))
        elif reached is not None and start < min(end, reached):
            found.overlaps.append((start, min(end, reached)))
        reached = end if reached is None else max(reached, end)


def _judge_links(links: Sequence[Link], found: Judgement) -> None:
    within = {root for link in links for root in link.inputs}
    known = within | {link.root for link in links}
    followed: dict[str, int] = {}
    for nth, link in enumerate(links):
        is_within = link.root in within
        if nth and links[nth - 1].clock != link.clock:
            found.faults.append((nth, "another_clock", link.clock))
        if link.previous is not None and link.previous not in known and not is_within:
            found.faults.append((nth, "previous_is_missing" if nth else "not_the_start", link.previous))
        elif link.previous is None and nth and not is_within and not link.inputs:
            found.faults.append((nth, "second_start", link.root))
        found.faults.extend((nth, "made_without", root) for root in link.missing_bundles if root not in known)
        if link.previous is not None and not link.inputs:
            if link.previous in followed:
                found.faults.append((nth, "fork", links[followed[link.previous]].root))
            else:
                followed[link.previous] = nth
