"""[`Report`]: what was verified of a bundle, and what was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .errors import BundleError, Finding, UnreadableError, Wrong
from .signature import SignedBy

_MOST_REPORTED = 100
_MOST_COUNTED = 10_000


class Hopeless(Exception):
    """So much is wrong that the rest was not looked at."""


@dataclass
class Report:
    """`findings` in the order of the checks; `more` counts those of a kind and file beyond the first hundred."""

    bundle: str
    root_sha256: str | None = None
    signed_by: SignedBy | None = None
    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    rows: int = 0
    more: int = 0
    _told: dict[tuple[str, str | None], int] = field(default_factory=dict, repr=False)

    @property
    def is_good(self) -> bool:
        """Whether the bundle may be used."""
        return all(finding.severity != "error" for finding in self.findings)

    def add(self, kind: str, file: str | None, detail: str, *, is_notice: bool = False) -> None:
        """Adds a finding, or counts it if there are many like it. `Hopeless` once 10,000 were counted."""
        alike = (kind, file)
        self._told[alike] = self._told.get(alike, 0) + 1
        if self._told[alike] <= _MOST_REPORTED and len(self.findings) < 100 * _MOST_REPORTED:
            self.findings.append(Finding(kind, file, detail, "notice" if is_notice else "error"))
            return
        self.more += 1
        if self.more >= _MOST_COUNTED:
            raise Hopeless

    def add_error(self, kind: str, file: str | None, error: Exception) -> None:
        """Adds what something below says: of a file that cannot be read, that is all that is known."""
        if isinstance(error, FileNotFoundError):
            self.add("missing_file", file, "this file is missing")
        elif isinstance(error, OSError):
            self.add("unreadable", file, str(error))
        else:
            own = error.kind if isinstance(error, Wrong) and error.kind else kind
            self.add(own, file, str(error))

    def blames(self, file: str) -> bool:
        """Whether anything is wrong with a file."""
        return any(finding.file == file and finding.severity == "error" for finding in self.findings)

    def require_good(self) -> None:
        """Raises the first finding that is an error."""
        for finding in self.findings:
            if finding.severity == "error":
                raise error_of(self.bundle, finding)

    def as_dict(self) -> dict[str, Any]:
        """The report with the names that `blobdelta verify --json` has for a bundle."""
        return {
            "bundle": self.bundle,
            "root_sha256": self.root_sha256,
            "good": self.is_good,
            "findings": [finding.as_dict() for finding in self.findings],
            "files": self.files,
            "bytes": self.bytes,
            "rows": self.rows,
            "more": self.more,
        }


def error_of(bundle: str, finding: Finding) -> BundleError:
    """The error of a finding."""
    return (UnreadableError if finding.kind == "unreadable" else BundleError)(bundle, finding)
