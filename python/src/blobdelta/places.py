"""Where bundles are, by the names of files alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from .container import filesystem_of, is_url
from .errors import UsageError
from .layout import MARKER_SUFFIX, TAG_LIST, bundle_name_of_file

Places = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def find(
    places: Places,
    storage_options: dict[str, Any] | None = None,
    *,
    since: str | None = None,
    versions: dict[str, str] | None = None,
) -> list[str]:
    """The bundles that `places` mean: each a bundle, or a folder or URL that holds bundles, without its subfolders, by name.

    At a URL only what has a marker is there. Encrypted archives are among them: opening one says how. If a bundle is there as
    folder and as archive, the folder is taken. `since` (such as `20261122`) leaves out names before it: names begin with the start
    of the run. `versions` is filled with what the store says of the marker of each, if it says so. `UsageError` if one of the
    places is not there.
    """
    found = []
    for place in [places] if isinstance(places, (str, os.PathLike)) else places:
        found.extend(_at(os.fspath(place), storage_options or {}, versions))
    return [place for place in found if since is None or _name(place) >= since]


def find_versions(
    places: Places, storage_options: dict[str, Any] | None = None, *, since: str | None = None
) -> list[tuple[str, str | None]]:
    """The same, each with the version of its marker that the store gives in its listing; None for a path."""
    versions: dict[str, str] = {}
    found = find(places, storage_options, since=since, versions=versions)
    return [(place, versions.get(place)) for place in found]


def _name(place: str) -> str:
    return place.rstrip("/").rsplit("/", 1)[-1]


def _at(place: str, storage_options: dict[str, Any], versions: dict[str, str] | None) -> list[str]:
    if bundle_name_of_file(_name(place)) is not None:
        return [place]
    if is_url(place):
        return _at_url(place, storage_options, {} if versions is None else versions)
    if not os.path.exists(place):
        raise UsageError(f"{place}: there is no such folder or bundle")
    if os.path.isfile(place) or os.path.exists(os.path.join(place, TAG_LIST)):
        return [place]
    names = [one.name for one in os.scandir(place) if _is_bundle(one)]
    return [os.path.join(place, name) for name in _once(names)]


def is_folder_of_bundles(place: str) -> bool:
    """Whether a path is no bundle, and a folder that holds some."""
    if is_url(place) or not os.path.isdir(place) or os.path.exists(os.path.join(place, TAG_LIST)):
        return False
    return bundle_name_of_file(_name(place)) is None and any(_is_bundle(one) for one in os.scandir(place))


def _is_bundle(one: os.DirEntry[str]) -> bool:
    if one.name.startswith(".") or bundle_name_of_file(one.name) is None:
        return False
    return one.is_dir() if one.name.endswith(".bundle") else one.is_file()


def _at_url(place: str, storage_options: dict[str, Any], versions: dict[str, str]) -> list[str]:
    filesystem, path = filesystem_of(place, storage_options)
    # A listing that was kept from before would not have what came since.
    filesystem.invalidate_cache(path)
    try:
        listed = filesystem.ls(path, detail=True)
    except FileNotFoundError:
        raise UsageError(f"{place}: there is nothing") from None
    names = {}
    for about in listed:
        name = _name(about["name"])
        if name.endswith(MARKER_SUFFIX):
            names[name.removesuffix(MARKER_SUFFIX)] = about
    found = []
    for name in _once(name for name in names if bundle_name_of_file(name)):
        found.append(f"{place.rstrip('/')}/{name}")
        version = next((names[name][key] for key in ("ETag", "etag", "md5Hash", "content_settings") if names[name].get(key)), None)
        if version is not None:
            versions[found[-1]] = str(version)
    return found


def _once(names: Iterable[str]) -> list[str]:
    """One of each bundle, in the order of names."""
    best: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (name.endswith(".age"), name.endswith(".tar"), name)):
        bundle = bundle_name_of_file(name)
        if bundle is not None:
            best.setdefault(bundle, name)
    return [best[bundle] for bundle in sorted(best)]
