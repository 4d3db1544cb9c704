"""A file of allowed signers. A line that is skipped would change whom its owner trusts, so each is understood, or an error."""

from __future__ import annotations

import base64
import datetime
import re
import struct
from dataclasses import dataclass
from fnmatch import translate

from .errors import UsageError

_MAX_BYTES = 1 << 20
_ED25519 = "ssh-ed25519"
_OTHER_TYPES = frozenset(
    [
        "ssh-rsa",
        "ssh-dss",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "ssh-ed25519-cert-v01@openssh.com",
        "ssh-rsa-cert-v01@openssh.com",
        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "ecdsa-sha2-nistp384-cert-v01@openssh.com",
        "ecdsa-sha2-nistp521-cert-v01@openssh.com",
        "sk-ssh-ed25519-cert-v01@openssh.com",
        "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    ]
)
_OPTION = re.compile(r'(?P<name>[A-Za-z0-9-]+)(?:="(?P<value>(?:\\"|[^"])*)")?(?P<after>[, \t])')
_TIME = re.compile(r"([0-9]{8})([0-9]{4}(?:[0-9]{2})?)?(Z?)")


@dataclass(frozen=True)
class AllowedSigner:
    """A line. Times are seconds since 1970, UTC, and belong to the validity."""

    principals: str
    key: bytes
    namespaces: str | None = None
    valid_after: float | None = None
    valid_before: float | None = None


def parse_signers(data: bytes) -> list[AllowedSigner]:
    """The lines that allow an Ed25519 key; `UsageError` for a line that cannot be understood."""
    if len(data) > _MAX_BYTES:
        raise UsageError("a file of allowed signers is over 1 MiB")
    found = []
    for nth, line in enumerate(data.split(b"\n"), start=1):
        try:
            signer = _parse_line(line.decode("utf-8").removesuffix("\r"))
        except ValueError as error:
            raise UsageError(f"line {nth} of the allowed signers cannot be understood: {error}") from None
        if signer is not None:
            found.append(signer)
    return found


def _parse_line(line: str) -> AllowedSigner | None:
    if any(ord(char) < 32 and char != "\t" for char in line):
        raise ValueError("there is a control character in it")
    line = line.strip(" \t")
    if not line or line.startswith("#"):
        return None
    if line.startswith('"'):
        principals, _, rest = line[1:].partition('"')
    else:
        principals, rest = _word(line)
    if not principals or '"' in principals:
        raise ValueError("its principals are empty, or have a quote in the middle")
    rest = rest.lstrip(" \t")
    options: dict[str, str] = {}
    is_authority = False
    if not _is_key_type(_word(rest)[0]):
        options, is_authority, rest = _options(rest)
    kind, rest = _word(rest)
    blob = _word(rest)[0]
    if not _is_key_type(kind) or not blob:
        raise ValueError("there is no key in it, or one of a type that OpenSSH does not have")
    raw = base64.b64decode(blob, validate=True)
    if kind != _ED25519:
        return None
    header = struct.pack(">I", len(_ED25519)) + _ED25519.encode() + struct.pack(">I", 32)
    if len(raw) != len(header) + 32 or not raw.startswith(header):
        raise ValueError("its key cannot be read")
    after, before = (_seconds(options.get(name)) for name in ("valid-after", "valid-before"))
    if after is not None and before is not None and before <= after:
        raise ValueError("its valid-before does not lie after its valid-after")
    if is_authority:
        return None
    return AllowedSigner(principals, raw[-32:], options.get("namespaces"), after, before)


def _word(text: str) -> tuple[str, str]:
    parts = re.split(r"[ \t]+", text, maxsplit=1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def _is_key_type(word: str) -> bool:
    return word == _ED25519 or word in _OTHER_TYPES


def _options(text: str) -> tuple[dict[str, str], bool, str]:
    options: dict[str, str] = {}
    is_authority = False
    while (match := _OPTION.match(text)) is not None:
        name, value = match["name"].lower(), match["value"]
        if name == "cert-authority" and value is None:
            is_authority = True
        elif name in ("namespaces", "valid-after", "valid-before") and value is not None and name not in options:
            options[name] = value.replace('\\"', '"')
        else:
            break
        text = text[match.end() :]
        if match["after"] != ",":
            return options, is_authority, text.lstrip(" \t")
    raise ValueError("an option in it is not known, comes twice, or is not followed by a comma or a blank")


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    if match is None or not text.isascii():
        raise ValueError("a time has the form YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, and maybe a Z")
    digits = match[1] + (match[2] or "").ljust(6, "0")
    at = datetime.datetime.strptime(digits, "%Y%m%d%H%M%S")
    return at.replace(tzinfo=datetime.UTC).timestamp() if match[3] else at.astimezone().timestamp()


def is_in_list(text: str, patterns: str) -> bool:
    """A pattern list of ssh_config(5): one pattern matches, and none with `!` does."""
    found = False
    for pattern in patterns.split(","):
        is_negated = pattern.startswith("!")
        # Only `*` and `?` are special there.
        matcher = translate(pattern.removeprefix("!").replace("[", "[[]"))
        if re.fullmatch(matcher, text) is not None:
            if is_negated:
                return False
            found = True
    return found
