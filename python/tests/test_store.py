"""Bundles at a URL: markers, stores that lie, stores that cut a read; and files that change between hashing and parsing."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import fsspec
import pytest
from conftest import FIXTURES
from fsspec.implementations.memory import MemoryFileSystem

import blobdelta
from blobdelta import checked
from blobdelta.source import FileSource, ObjectSource

TREE = "00010101T000000Z-53430cc6-1.bundle"
TAR = "20260101T164000Z-b95128bb-1.bundle.tar"


class Store(MemoryFileSystem):
    """A store in memory that counts what is asked of it, and answers as a test wants."""

    protocol = "teststore"
    store: dict[str, Any] = {}  # noqa: RUF012 (as the class above has it)
    pseudo_dirs: list[str] = [""]  # noqa: RUF012
    asked: list[str] = []  # noqa: RUF012
    cut: str | None = None
    swapped: dict[str, bytes] = {}  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(path.replace("teststore://", "memory://") if isinstance(path, str) else path)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        self.asked.append(path)
        found: bytes = super().cat_file(path, start=start, end=end, **options)
        if self.cut and path.endswith(self.cut):
            return found[: len(found) // 2]
        return found


fsspec.register_implementation("teststore", Store, clobber=True)


@pytest.fixture
def store() -> Store:
    Store.store.clear()
    Store.pseudo_dirs[:] = [""]
    Store.asked.clear()
    Store.cut = None
    return fsspec.filesystem("teststore", skip_instance_cache=True)


def ship(store: Store, name: str = TREE) -> str:
    """Puts a committed bundle and its marker where a ship would."""
    source = FIXTURES / name
    for path in [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]:
        store.pipe_file(f"/weekly/{path.relative_to(FIXTURES).as_posix()}", path.read_bytes())
    store.pipe_file(f"/weekly/{name}.complete", f"{root_of(name)}\n".encode())
    return f"teststore://weekly/{name}"


def root_of(name: str) -> str:
    return blobdelta.open_bundle(str(FIXTURES / name)).root_sha256


@pytest.mark.parametrize("name", [TREE, TAR])
def test_a_bundle_at_a_url_reads_as_the_local_one(store: Store, name: str) -> None:
    url = ship(store, name)
    [mine], [due] = blobdelta.open_bundle(url).tables, blobdelta.open_bundle(str(FIXTURES / name)).tables
    assert mine.rows().to_table().equals(due.rows().to_table())
    report = blobdelta.verify(url, "deep")
    assert report.is_good and report.rows
    assert blobdelta.find("teststore://weekly") == [url]


def test_without_its_marker_a_bundle_is_not_there(store: Store) -> None:
    url = ship(store)
    store.rm_file(f"/weekly/{TREE}.complete")
    assert blobdelta.find("teststore://weekly") == []
    with pytest.raises(blobdelta.UsageError, match="no marker"):
        blobdelta.open_bundle(url)


@pytest.mark.parametrize("marker", [b"0" * 64 + b"\n", b"0" * 64, b"", b"x\n", b"0" * 64 + b"\n\n"])
def test_a_wrong_marker_is_a_wrong_root(store: Store, marker: bytes) -> None:
    url = ship(store)
    store.pipe_file(f"/weekly/{TREE}.complete", marker)
    with pytest.raises(blobdelta.BundleError) as caught:
        blobdelta.open_bundle(url)
    assert caught.value.finding.kind == "wrong_root"


@pytest.mark.parametrize("cut", ["tagmanifest-sha256.txt", "manifest.json", "part-00000.parquet", "deletes-00000.parquet", ".zst"])
def test_a_store_that_cuts_a_read_says_nothing_of_the_bundle(store: Store, cut: str) -> None:
    url = ship(store)
    Store.cut = cut
    found = blobdelta.verify(url, "deep").findings
    assert {finding.kind for finding in found} == {"unreadable"} and found[0].file and found[0].file.endswith(cut)
    if cut == "part-00000.parquet":
        with pytest.raises(blobdelta.UnreadableError):
            blobdelta.open_bundle(url).tables[0].rows().to_table()


@pytest.mark.parametrize("cut", [1, 511, 2000, -512, -1])
def test_a_cut_archive_is_bad(store: Store, cut: int) -> None:
    url = ship(store, TAR)
    store.pipe_file(f"/weekly/{TAR}", (FIXTURES / TAR).read_bytes()[:cut])
    found = blobdelta.verify(url).findings
    assert [finding.kind for finding in found] == ["bad_archive"]


def test_a_part_is_fetched_once(store: Store) -> None:
    [table] = blobdelta.open_bundle(ship(store)).tables
    Store.asked.clear()
    table.rows().to_table()
    assert len([path for path in Store.asked if path.endswith("part-00000.parquet")]) == 1


def test_other_names_are_passed_by(store: Store) -> None:
    ship(store)
    for name in ("x.parquet", ".hidden.bundle.complete", "y.bundle.complete", f"{TREE}.shipping", "sub/a"):
        store.pipe_file(f"/weekly/{name}", b"x")
    assert blobdelta.find("teststore://weekly") == [f"teststore://weekly/{TREE}"]


def test_a_folder_with_foreign_parquet_files_gives_only_bundles(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / TREE, tmp_path / TREE)
    shutil.copy(next((FIXTURES / TREE).rglob("*.parquet")), tmp_path / "part-00000.parquet")
    (tmp_path / "x.bundle").mkdir()
    assert blobdelta.find(str(tmp_path)) == [str(tmp_path / TREE)]


def test_an_encrypted_archive_says_what_opens_it(tmp_path: Path) -> None:
    path = tmp_path / f"{TAR}.age"
    path.write_bytes(b"age-encryption.org/v1\n-> X25519 x\n")
    assert blobdelta.find(str(tmp_path)) == [str(path)]
    with pytest.raises(blobdelta.UsageError, match="age --decrypt"):
        blobdelta.open_bundle(str(path))
    path.rename(tmp_path / TAR)
    with pytest.raises(blobdelta.UsageError, match="age --decrypt"):
        blobdelta.open_bundle(str(tmp_path / TAR))


def test_a_file_that_is_replaced_after_it_was_hashed_is_not_parsed(tmp_path: Path) -> None:
    bundle = tmp_path / TREE
    shutil.copytree(FIXTURES / TREE, bundle)
    [table] = blobdelta.open_bundle(str(bundle)).tables
    [file] = table.info.files_of("rows")
    due = table.rows().to_table()
    part = table.open_part(file)
    (bundle / file.path).unlink()
    (bundle / file.path).symlink_to("/dev/zero")
    assert sum(batch.num_rows for batch in part.batches()) == due.num_rows
    with pytest.raises(blobdelta.UnreadableError):
        table.rows().to_table()


@pytest.mark.parametrize("is_remote", [False, True])
def test_bytes_that_change_after_they_were_hashed_are_not_read(tmp_path: Path, is_remote: bool, store: Store) -> None:
    data = bytes(range(256)) * (8 << 12)
    path = tmp_path / "large"
    path.write_bytes(data)
    store.pipe_file("/large", data)
    source = ObjectSource(store, "/large", len(data)) if is_remote else FileSource(os.open(path, os.O_RDONLY))
    digest = hashlib.sha256(data).hexdigest()
    size, checked.IN_MEMORY_BYTES = checked.IN_MEMORY_BYTES, 0
    try:
        found = checked.check(source, len(data), digest)
    finally:
        checked.IN_MEMORY_BYTES = size
    assert found.read_at(5 << 20, 3 << 20) == data[5 << 20 : 8 << 20] and found.read_at(len(data) - 3, 9) == data[-3:]
    with path.open("r+b") as file:
        file.seek(2 << 20)
        file.write(b"changed")
    store.pipe_file("/large", data[::-1])
    if is_remote:
        assert found.read_at(2 << 20, 9) == data[2 << 20 :][:9]
    else:
        with pytest.raises(OSError, match="changed while it was read"):
            found.read_at(2 << 20, 9)
