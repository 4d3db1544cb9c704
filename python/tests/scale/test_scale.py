"""Requests for many bundles in one prefix: so many a bundle the first time, and then none for what did not change."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import blobdelta

if TYPE_CHECKING:
    from conftest import Program

pytest.importorskip("s3fs", reason="SKIPPED: s3fs is not installed")
sys.path.insert(0, str(Path(__file__).parent))
import lake as lakes

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "fixtures/bundles/v1/00010101T000000Z-01010101-1.bundle"
SOURCES, WEEKS = 8, 12


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[Any, dict[str, int], dict[str, Any]]]:
    lake = lakes.Lake(TEMPLATE, SOURCES, WEEKS)
    server, url = lakes.serve(lake)
    options = {"key": "test", "secret": "test", "endpoint_url": url, "client_kwargs": {"region_name": "us-east-1"}}
    yield lake, server.RequestHandlerClass.counts, options  # type: ignore[attr-defined]
    server.shutdown()


def test_what_did_not_change_is_not_asked_for_again(store: Any, tmp_path: Path) -> None:
    lake, counts, options = store
    place, count = "s3://deltas/weekly", SOURCES * WEEKS
    catalog = blobdelta.Catalog(tmp_path / "catalog.sqlite")

    def requests() -> tuple[int, int]:
        counts.clear()
        survey = blobdelta.chain(place, storage_options=options, catalog=catalog)
        assert len(survey.chains) == SOURCES and not survey.broken
        assert not any(chain.gaps or chain.broken_links or chain.begins_after for chain in survey.chains)
        return counts.get("list", 0), counts.get("get", 0) + counts.get("head", 0)

    listed, got = requests()
    # Marker, list of tag files, manifest; and a page lists a thousand names.
    assert got == 3 * count and listed <= 2 * count // 1000 + 2
    assert requests() == (listed, 0)
    last = max(lake.bundles, key=lambda name: lake.bundles[name][:2])
    lake.add(SOURCES - 1, WEEKS, lake.roots[last])
    assert requests()[1] == 3
    catalog.close()


def environment(options: dict[str, Any]) -> dict[str, str]:
    """The store's, for the program."""
    own = {"AWS_ENDPOINT_URL": options["endpoint_url"], "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    return {**os.environ, **own, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def test_a_ship_costs_the_same_beside_few_bundles_and_many(program: Program, tmp_path: Path, monkeypatch: Any) -> None:
    requests = {}
    for weeks in (WEEKS, 4 * WEEKS):
        lake = lakes.Lake(TEMPLATE, SOURCES, weeks)
        server, url = lakes.serve(lake)
        for name, value in environment({"endpoint_url": url}).items():
            monkeypatch.setenv(name, value)
        counts = server.RequestHandlerClass.counts  # type: ignore[attr-defined]
        newest = max(name for name, (source, _, _) in lake.bundles.items() if source == 0)
        bundle = lake.write(tmp_path, 0, weeks, lake.roots[newest])
        program.run("ship", bundle, "s3://deltas/weekly")
        requests[weeks] = dict(counts)
        assert lake.get(f"weekly/{bundle.name}.complete")
        server.shutdown()
    few, many = (requests[weeks] for weeks in (WEEKS, 4 * WEEKS))
    print(few, many)
    assert few == many, "what is there already costs nothing"
    # Those of the others that came after this source's last one are looked at: a list, marker, list of tag files, manifest.
    own = 3 * len(lake.files) + 12
    assert few["get"] + few.get("head", 0) <= 4 * SOURCES + own
