"""Which time bundles cover: chains, their gaps, and links that do not fit; as `blobdelta chain` shows them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from . import canonical
from .bundle import Bundle, known_bundle, open_bundle
from .catalog import Catalog
from .errors import BundleError, ChainError, UsageError
from .frame import Trust
from .links import Judgement, Link, in_order, judge
from .manifest import TableInfo
from .places import Places, find_versions
from .times import show_ticks

#: Bundles whose heads are read at once: what takes long is to wait for a store.
_READERS = 16


@dataclass(frozen=True)
class Member:
    """A bundle of a chain, and its table."""

    bundle: Bundle
    table: TableInfo
    link: Link


@dataclass(frozen=True)
class Gap:
    """A time that no bundle here covers: `[start, end)` in the clock of the chain, with seven digits; before which bundle."""

    start: str
    end: str
    before: str


@dataclass
class Chain:
    """The bundles of one source, table and scope, in order."""

    table: str
    scope: str
    source_id: str
    members: list[Member]
    gaps: list[Gap]
    #: Links that do not fit: kind (see `links.Judgement`), bundle, and the root digest that it is about.
    broken_links: list[tuple[str, str, str]]
    #: The root digest that the first bundle here follows; None if it is the first of its chain.
    begins_after: str | None
    #: Bundles before the first were left out because that was asked for (`since`).
    is_cut: bool = False

    @property
    def missing(self) -> list[str]:
        """What is missing before the last bundle, in words; empty if nothing is."""
        words = {
            "previous_is_missing": "a bundle of this chain is missing before this one",
            "made_without": "this bundle was compacted without one of its chain",
            "circle": "its links lead in a circle",
        }
        found = [f"{place}: {words[kind]}: root digest {root}" for kind, place, root in self.broken_links if kind in words]
        if self.begins_after is not None and not self.is_cut:
            what = "a bundle of this chain is missing before this one, the first that is here"
            found.insert(0, f"{self.members[0].bundle.place}: {what}: root digest {self.begins_after}")
        return found + [f"{gap.before}: nothing covers the time from {gap.start} to {gap.end}" for gap in self.gaps]


@dataclass
class Survey:
    """Chains by table and scope, and bundles that could not be opened, with the reason."""

    chains: list[Chain] = field(default_factory=list)
    broken: list[tuple[str, BundleError]] = field(default_factory=list)

    def require_whole(self) -> None:
        """`ChainError` if anything is missing in a chain; the first bundle that is broken, if one is."""
        for _, error in self.broken:
            raise error
        problems = [f"{chain.table}, scope {chain.scope}: {text}" for chain in self.chains for text in chain.missing]
        if problems:
            raise ChainError(problems)


def chain(
    places: Places,
    *,
    trust: Trust | None = None,
    storage_options: dict[str, Any] | None = None,
    since: str | None = None,
    catalog: Catalog | None = None,
) -> Survey:
    """Reads the heads of all bundles (two files of each), and puts them in order. A bundle that is there twice counts once.

    With a `catalog`, bundles at a URL are read only once; it is left aside if `trust` asks for anything. Memory: the manifests.
    `UsageError` if there is no bundle.
    """
    survey = Survey()
    bundles: list[Bundle] = []
    heads = catalog if trust in (None, Trust()) else None
    for place, found in _heads(find_versions(places, storage_options, since=since), heads, trust, storage_options):
        if isinstance(found, Bundle):
            bundles.append(found)
        else:
            survey.broken.append((place, found))
    if not bundles and not survey.broken:
        raise UsageError("there is no bundle: name a folder that holds folders that end in .bundle, or archives of them")
    survey.chains = chains_of(bundles)
    for one in survey.chains:
        one.is_cut = since is not None
    return survey


def _heads(
    places: list[tuple[str, str | None]], catalog: Catalog | None, trust: Trust | None, storage_options: dict[str, Any] | None
) -> list[tuple[str, Bundle | BundleError]]:
    """Bundles of which only the heads are known: those of the catalog, and others read by some threads side by side."""
    known = {place: catalog.get(place, version) for place, version in places if version} if catalog else {}

    def head(place: str) -> Bundle | BundleError:
        if (one := known.get(place)) is not None:
            return known_bundle(place, *one, storage_options)
        try:
            return open_bundle(place, trust=trust, storage_options=storage_options, head_only=True)
        except BundleError as error:
            return error

    with ThreadPoolExecutor(_READERS) as readers:
        found = list(zip((place for place, _ in places), readers.map(head, (place for place, _ in places)), strict=True))
    if catalog is not None:
        versions = dict(places)
        fresh = ((place, versions[place], one) for place, one in found if known.get(place) is None and isinstance(one, Bundle))
        catalog.put_all(
            (place, version, one.root_sha256, canonical.dump(one.manifest.tree)) for place, version, one in fresh if version
        )
    return found


def chains_of(bundles: list[Bundle]) -> list[Chain]:
    """The chains of bundles that are open."""
    by_id: dict[Any, list[Member]] = {}
    known = set()
    for bundle in bundles:
        if bundle.root_sha256 in known:
            continue
        known.add(bundle.root_sha256)
        for table in bundle.manifest.tables:
            link = Link.of(bundle.root_sha256, bundle.manifest, table)
            by_id.setdefault(link.chain, []).append(Member(bundle, table, link))
    return [_chain(by_id[chain_id]) for chain_id in sorted(by_id)]


def _chain(members: list[Member]) -> Chain:
    order, circle = in_order([member.link for member in members])
    ordered = [members[nth] for nth in order]
    found: Judgement = judge([member.link for member in ordered])
    place = [member.bundle.place for member in ordered]
    broken = [("circle", members[nth].bundle.place, members[nth].link.root) for nth in sorted(circle)]
    broken += [(kind, place[nth], root) for nth, kind, root in found.faults if kind != "not_the_start"]
    first = ordered[0]
    return Chain(
        table=first.table.name,
        scope=first.table.scope,
        source_id=first.bundle.manifest.source_id,
        members=ordered,
        gaps=[Gap(show_ticks(start), show_ticks(end), place[nth]) for start, end, nth in found.gaps],
        broken_links=broken,
        begins_after=next((root for _, kind, root in found.faults if kind == "not_the_start"), None),
    )
