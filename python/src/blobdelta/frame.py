"""The frame of a bundle: signature, lists of hashes, the exact set of files, tag files, manifest, sizes.

Looks at everything that it still can after a finding, and parses nothing whose hash is wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from . import layout
from .checksums import parse_list
from .container import Container, Entry
from .errors import Wrong
from .layout import BAG_INFO_TXT, BAGIT_TXT, MANIFEST_JSON, PAYLOAD_LIST, SIGNATURE, TAG_LIST
from .manifest import Manifest
from .manifest_check import parse_manifest
from .report import Report
from .schema_sql import makes
from .scope import SignerScope
from .signature import AllowedSigners
from .times import EPOCH_TICKS, TICKS_PER_HOUR, TICKS_PER_SECOND, now_ticks, show_ticks

_BAGIT_VERSION = b"BagIt-Version: 1.0\n"


@dataclass(frozen=True)
class Trust:
    """What is asked of bundles. By default nothing.

    `signers`: it has to be signed by one of these; `scope`: and whoever signed may speak for its source and tables; `roots`: its
    root digest has to be one of these; `allows_future`: its run may start later than now and a day.
    """

    signers: AllowedSigners | None = None
    scope: SignerScope | None = None
    roots: frozenset[str] | None = None
    allows_future: bool = False


@dataclass(frozen=True)
class Frame:
    """What is known of a bundle whose frame is sound."""

    root_sha256: str
    manifest: Manifest
    tags: dict[str, str]
    payload: dict[str, str]


def read_tag(container: Container, path: str, most: int = layout.MAX_TAG_BYTES) -> bytes:
    """A small file, whole; `Wrong` of kind `wrong_size` if it is larger than `most` bytes."""
    found = container.read_small(path, most)
    if len(found) > most:
        raise Wrong(f"this file has over {most} bytes", "wrong_size")
    return found


def check_frame(container: Container, trust: Trust, report: Report) -> Frame | None:
    """The frame, with what is wrong in the report; None if the bundle cannot be opened. OSError if it cannot be listed."""
    try:
        entries = container.entries()
    except Wrong as wrong:
        report.add_error("extra_file", wrong.file, wrong)
        return None
    walk = _FrameCheck(container, report, entries)
    if (tag_list := walk.read(TAG_LIST, "not_a_bundle")) is None:
        return None
    report.root_sha256 = hashlib.sha256(tag_list).hexdigest()
    if not _is_trusted(container, trust, tag_list, walk.files.get(SIGNATURE), report):
        return None
    if (tags := walk.parse(tag_list, TAG_LIST, layout.check_tag_path)) is None:
        return None
    sound = walk.tag_files(tags)
    listed = sound.get(PAYLOAD_LIST)
    payload = None if listed is None else walk.parse(listed, PAYLOAD_LIST, layout.check_payload_path)
    if payload is None:
        return None
    walk.file_set(entries, tags, payload)
    manifest = walk.manifest(sound.get(MANIFEST_JSON))
    if manifest is None or not check_claims(container, manifest, trust, report):
        return None
    walk.agree(manifest, tags, payload)
    walk.sizes(manifest)
    walk.schemas(manifest, tags)
    if any(_is_fatal(finding.kind, finding.file) for finding in report.findings):
        return None
    return Frame(report.root_sha256, manifest, tags, payload)


def read_head(container: Container, trust: Trust, report: Report) -> Frame | None:
    """Less of the frame, for who follows chains and reads no payload: signature, list of tag files, manifest. Two files."""
    walk = _FrameCheck(container, report, [])
    try:
        tag_list = read_tag(container, TAG_LIST)
        report.root_sha256 = hashlib.sha256(tag_list).hexdigest()
        signature = len(_signature(container) or b"") if trust.signers else None
        if not _is_trusted(container, trust, tag_list, signature or None, report):
            return None
        tags = walk.parse(tag_list, TAG_LIST, layout.check_tag_path)
        if tags is None or MANIFEST_JSON not in tags:
            return None
        data = read_tag(container, MANIFEST_JSON)
    except (OSError, Wrong) as error:
        report.add_error("not_a_bundle", TAG_LIST, error)
        return None
    if hashlib.sha256(data).hexdigest() != tags[MANIFEST_JSON]:
        report.add("changed_tag_file", MANIFEST_JSON, "its hash is not the one of the list")
        return None
    manifest = walk.manifest(data)
    if manifest is None or not check_claims(container, manifest, trust, report) or not report.is_good:
        return None
    return Frame(report.root_sha256, manifest, tags, {})


def _signature(container: Container) -> bytes | None:
    try:
        return read_tag(container, SIGNATURE, layout.MAX_SIGNATURE_BYTES)
    except FileNotFoundError:
        return None


def _is_fatal(kind: str, file: str | None) -> bool:
    if kind in ("missing_file", "wrong_size", "unreadable"):
        # Without a payload file the others can still be looked at; without a tag file nothing.
        return file is None or not file.startswith("data/")
    return kind in ("lists_disagree", "wrong_schema", "bad_declaration", "changed_tag_file", "wrong_name")


def _is_trusted(container: Container, trust: Trust, tag_list: bytes, signature_size: int | None, report: Report) -> bool:
    root = hashlib.sha256(tag_list).hexdigest()
    found: list[tuple[str, str, str]] = []
    if container.marker is not None and container.marker != root:
        detail = f"the marker beside the bundle says the root digest {container.marker}, and the bundle's is {root}"
        found.append(("wrong_root", TAG_LIST, detail))
    if (refusal := _refusal(container, trust, tag_list, signature_size, report)) is not None:
        found.append(refusal)
    for kind, file, detail in found:
        report.add(kind, file, detail)
    return not found


def _refusal(
    container: Container, trust: Trust, tag_list: bytes, signature_size: int | None, report: Report
) -> tuple[str, str, str] | None:
    if signature_size is not None and signature_size > layout.MAX_SIGNATURE_BYTES:
        return "bad_signature", SIGNATURE, f"the signature has {signature_size} bytes, and none has over 64 KiB"
    try:
        signature = None if signature_size is None else read_tag(container, SIGNATURE, layout.MAX_SIGNATURE_BYTES)
    except (OSError, Wrong) as error:
        return "unreadable", SIGNATURE, str(error)
    if trust.signers is None and signature is not None:
        detail = "check it with signers=AllowedSigners.of_file(FILE), or with ssh-keygen -Y verify"
        report.add("signature_not_checked", SIGNATURE, detail, is_notice=True)
    root = hashlib.sha256(tag_list).hexdigest()
    if trust.roots is not None and root not in trust.roots:
        return "wrong_root", TAG_LIST, f"its root digest is {root}, which is none of those that were asked for"
    if trust.signers is None:
        return None
    if signature is None:
        return "not_signed", SIGNATURE, "a signature was asked for, and there is none"
    try:
        report.signed_by = trust.signers.check(signature, tag_list)
    except Wrong as wrong:
        return wrong.kind or "bad_signature", SIGNATURE, str(wrong)
    return None


def check_claims(container: Container, manifest: Manifest, trust: Trust, report: Report) -> bool:
    """What the manifest says of its run, against who signed, the clock and the bundle's name. Whether it may be looked into."""
    if trust.scope is not None:
        named = [name for table in manifest.tables for name in (table.name, table.source)]
        try:
            if report.signed_by is None:
                raise Wrong("a signature was asked for, and there is none", "not_signed")
            trust.scope.check(report.signed_by, manifest.source_id, [*named, *manifest.failed_tables])
        except Wrong as wrong:
            report.add_error("signer_out_of_scope", SIGNATURE, wrong)
            return False
    latest = now_ticks() + 24 * TICKS_PER_HOUR
    if not trust.allows_future and max(manifest.started_at, manifest.completed_at or 0) > latest:
        detail = f"this bundle says that its run began at {show_ticks(manifest.started_at)}, which is still to come"
        report.add("in_the_future", MANIFEST_JSON, detail)
        return False
    name, own = container.claimed_name, manifest.bundle_name
    if name is not None and name != own:
        report.add("wrong_name", None, f"this bundle is called {name}, and its manifest is that of {own}")
    seconds = max((manifest.started_at - EPOCH_TICKS) // TICKS_PER_SECOND, 0)
    if container.modified is not None and container.modified != seconds:
        report.add("wrong_name", None, "the time of the archive's files is not that of the run")
    if manifest.failed_tables:
        listed = ", ".join(manifest.failed_tables)
        detail = f"tables failed in the run of this bundle, and what changed in them is not here: {listed}"
        report.add("failed_tables", None, detail, is_notice=True)
    return True


class _FrameCheck:
    def __init__(self, container: Container, report: Report, entries: Iterable[Entry]) -> None:
        self.container, self.report = container, report
        self.files: dict[str, int] = {}
        for entry in entries:
            if entry.kind == "file":
                self.files[entry.path] = entry.bytes
            elif entry.kind == "other":
                report.add("link_or_special_file", entry.path, "a bundle holds regular files and folders alone")
        report.files = len(self.files)

    def read(self, path: str, absent: str) -> bytes | None:
        """A tag file; one that is not there is a finding of kind `absent`."""
        if path not in self.files:
            self.report.add(absent, path, "this file is missing")
            return None
        try:
            return read_tag(self.container, path)
        except (OSError, Wrong) as error:
            self.report.add_error("unreadable", path, error)
            return None

    def parse(self, data: bytes, name: str, check: Callable[[str], None]) -> dict[str, str] | None:
        """A list of hashes."""
        try:
            return parse_list(data, check)
        except Wrong as wrong:
            self.report.add_error("bad_list", name, wrong)
            return None

    def tag_files(self, tags: dict[str, str]) -> dict[str, bytes]:
        """The tag files whose bytes are those of the list, without those under `schema/`."""
        for needed in (BAGIT_TXT, BAG_INFO_TXT, PAYLOAD_LIST, MANIFEST_JSON):
            if needed not in tags:
                self.report.add("bad_declaration", needed, f"{TAG_LIST} does not name this file")
        sound = {}
        for path, due in tags.items():
            if (data := self.read(path, "missing_file")) is None:
                continue
            self.report.bytes += len(data)
            if hashlib.sha256(data).hexdigest() != due:
                self.report.add("changed_tag_file", path, "its hash is not the one of the list")
            elif path == BAGIT_TXT and not data.startswith(_BAGIT_VERSION):
                self.report.add("bad_declaration", path, "not the declaration of BagIt 1.0")
            elif path == BAGIT_TXT and data != layout.BAGIT_DECLARATION:
                self.report.add("bad_manifest", path, "this is not the declaration of BagIt 1.0")
            elif not layout.is_schema(path):
                sound[path] = data
        return sound

    def file_set(self, entries: list[Entry], tags: dict[str, str], payload: dict[str, str]) -> None:
        """Files and folders that no list names, and payload files that are not there."""
        known = {*tags, *payload, TAG_LIST, SIGNATURE}
        folders = {path[:at] for path in known for at, char in enumerate(path) if char == "/"}
        for entry in entries:
            if entry.kind != "other" and entry.path not in (folders if entry.kind == "folder" else known):
                self.report.add("extra_file", entry.path, "no list of the bundle names it")
        for path in payload:
            if path not in self.files:
                self.report.add("missing_file", path, "a list of the bundle names it")

    def manifest(self, data: bytes | None) -> Manifest | None:
        """The manifest, of which the hash is right."""
        try:
            return None if data is None else parse_manifest(data)
        except Wrong as wrong:
            self.report.add_error("bad_manifest", MANIFEST_JSON, wrong)
            return None

    def agree(self, manifest: Manifest, tags: dict[str, str], payload: dict[str, str]) -> None:
        """Whether the manifest and the lists name the same files with the same hashes."""
        named = {file.path: file.sha256 for table in manifest.tables for file in table.files}
        for path in sorted({*named, *payload}):
            if named.get(path) != payload.get(path):
                self.report.add("lists_disagree", path, f"{MANIFEST_JSON} and {PAYLOAD_LIST} do not say the same of it")
        schemas = {table.schema_file for table in manifest.tables}
        for path in sorted(schemas ^ {path for path in tags if layout.is_schema(path)}):
            self.report.add("lists_disagree", path, f"{MANIFEST_JSON} and {TAG_LIST} do not say the same of it")

    def sizes(self, manifest: Manifest) -> None:
        """Payload files that are not of the manifest's size."""
        for table in manifest.tables:
            for file in table.files:
                if (found := self.files.get(file.path)) is not None and found != file.bytes:
                    self.report.add("wrong_size", file.path, f"{found} bytes, where the manifest says {file.bytes}")

    def schemas(self, manifest: Manifest, tags: dict[str, str]) -> None:
        """Texts in `schema/` that make another table, or do more."""
        for table in manifest.tables:
            path = table.schema_file
            if path not in self.files or self.report.blames(path) or (text := self.read(path, "missing_file")) is None:
                continue
            try:
                if hashlib.sha256(text).hexdigest() != tags.get(path):
                    self.report.add("changed_tag_file", path, "its hash is not the one of the list")
                elif not makes(text, table):
                    detail = "this is not the statement that makes the table of the manifest: do not run it"
                    self.report.add("wrong_schema", path, detail)
            except Wrong as wrong:
                self.report.add_error("wrong_schema", path, wrong)
