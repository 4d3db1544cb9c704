"""What can go wrong, and the findings of a verification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["notice", "error"]

#: The codes of findings, as `blobdelta verify --json` has them under `kind`.
KINDS = frozenset(
    [
        "not_a_bundle",
        "bad_archive",
        "wrong_name",
        "bad_declaration",
        "bad_list",
        "link_or_special_file",
        "extra_file",
        "missing_file",
        "wrong_size",
        "changed_tag_file",
        "changed_payload_file",
        "unknown_format",
        "bad_manifest",
        "failed_tables",
        "lists_disagree",
        "wrong_schema",
        "unreadable",
        "signature_not_checked",
        "not_signed",
        "bad_signature",
        "wrong_namespace",
        "signer_not_allowed",
        "signer_expired",
        "signer_out_of_scope",
        "wrong_root",
        "bad_part",
        "bad_row",
        "wrong_content_hash",
        "bad_blob",
        "bad_known_content",
        "unused_blob",
        "out_of_order",
        "duplicate_key",
        "outside_window",
        "wrong_count",
        "wrong_run",
        "wrong_unit",
        "in_the_future",
        "missing_parent",
        "wrong_depth",
        "wrong_absent_parent",
    ]
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a bundle.

    `kind` is one of `KINDS`; `file` is a path from the bundle's folder on; `detail` is for people.
    A bundle with a finding of severity `error` must not be used.
    """

    kind: str
    file: str | None
    detail: str
    severity: Severity = "error"

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind

    def as_dict(self) -> dict[str, str | None]:
        """The finding as `blobdelta verify --json` prints it."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.kind}: {self.file or '(the bundle)'}: {self.detail}"


class BlobdeltaError(Exception):
    """Any error of this package."""


class UsageError(BlobdeltaError):
    """What was asked for is not there, or cannot be done as it was asked for."""


class BundleError(BlobdeltaError):
    """A bundle is wrong: do not use it. `finding` says in which way."""

    def __init__(self, bundle: str, finding: Finding) -> None:
        super().__init__(f"{bundle}: {finding}")
        self.bundle = bundle
        self.finding = finding

    def __reduce__(self) -> tuple[type[BundleError], tuple[str, Finding]]:
        # Spark sends errors from one process to another.
        return type(self), (self.bundle, self.finding)


class UnreadableError(BundleError):
    """Something could not be read (a disk, a network, a right). It says nothing of what the bundle holds: try again."""


class ChainError(BlobdeltaError):
    """A chain has a gap, or its links do not fit."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)

    def __reduce__(self) -> tuple[type[ChainError], tuple[list[str]]]:
        return type(self), (self.problems,)


class Wrong(Exception):
    """Inside the package: why something is refused. Whoever knows the bundle and file makes a `Finding` of it."""

    def __init__(self, detail: str, kind: str | None = None, file: str | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.file = file
