"""The signature of a bundle: SSHSIG by an Ed25519 key, in the one form that `ssh-keygen` writes (FORMAT.md, section 8).

The form, the namespace and the validity of the key are checked here. That the signature fits is checked by `cryptography` if it
is installed, and else by `ssh-keygen -Y check-novalidate`.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError, Wrong
from .layout import MAX_SIGNATURE_BYTES
from .signers import AllowedSigner, is_in_list, parse_signers

NAMESPACE = "blobdelta-bundle-v1"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----\n", "-----END SSH SIGNATURE-----\n"
_LINE = 70
_KEY_TYPE = b"ssh-ed25519"


@dataclass(frozen=True)
class SignedBy:
    """Who signed: the principals of the line that allows the key, and the key's fingerprint as `ssh-keygen -l` prints it."""

    principals: str
    fingerprint: str


class AllowedSigners:
    """Who may sign: a file in the format of ssh-keygen(1), section ALLOWED SIGNERS.

    `UsageError` for a file over 1 MiB, or with a line that cannot be understood, which is named.
    """

    def __init__(self, text: bytes) -> None:
        self._signers = parse_signers(text)

    @classmethod
    def of_file(cls, path: str | Path) -> AllowedSigners:
        """Reads the file."""
        return cls(Path(path).read_bytes())

    def check(self, signature: bytes, signed: bytes, now: float | None = None) -> SignedBy:
        """Who signed these bytes; `Wrong`, with the kind of the finding, if nobody did who may."""
        public, namespace, raw = _decode(signature)
        if namespace != NAMESPACE.encode():
            raise Wrong(f"made for the namespace {namespace[:80]!r}, and a bundle's is {NAMESPACE!r}", "wrong_namespace")
        if not _fits(public, raw, signature, signed):
            raise Wrong("the signature is not one of these bytes", "bad_signature")
        digest = hashlib.sha256(_public_blob(public)).digest()
        fingerprint = "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
        lines = [signer for signer in self._signers if signer.key == public]
        return SignedBy(_allowed(lines, fingerprint, time.time() if now is None else now), fingerprint)


def _allowed(lines: Iterable[AllowedSigner], fingerprint: str, now: float) -> str:
    """The principals of the first line that allows the key now; the last reason of the others otherwise."""
    why = Wrong(f"signed by {fingerprint}, whom the file of allowed signers does not name", "signer_not_allowed")
    is_known = False
    for line in lines:
        if line.namespaces is not None and not is_in_list(NAMESPACE, line.namespaces):
            if not is_known:
                why = Wrong(f"signed by {fingerprint}, who may not sign for {NAMESPACE!r}", "signer_not_allowed")
        elif line.valid_after is not None and now < line.valid_after:
            why, is_known = Wrong(f"signed by {fingerprint}, which is valid only later", "signer_expired"), True
        elif line.valid_before is not None and now > line.valid_before:
            why, is_known = Wrong(f"signed by {fingerprint}, which was valid until earlier", "signer_expired"), True
        else:
            return line.principals
    raise why


def _string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _public_blob(public: bytes) -> bytes:
    return _string(_KEY_TYPE) + _string(public)


def _armour(public: bytes, namespace: bytes, raw: bytes) -> bytes:
    blob = b"SSHSIG" + struct.pack(">I", 1) + _string(_public_blob(public)) + _string(namespace) + _string(b"")
    blob += _string(b"sha512") + _string(_string(_KEY_TYPE) + _string(raw))
    text = base64.b64encode(blob).decode()
    lines = "".join(f"{text[at : at + _LINE]}\n" for at in range(0, len(text), _LINE))
    return f"{_BEGIN}{lines}{_END}".encode()


def _decode(signature: bytes) -> tuple[bytes, bytes, bytes]:
    """Key, namespace and signature, if the file is byte for byte the one that they make."""
    bad = Wrong("not in the one form in which ssh-keygen writes a signature by an Ed25519 key", "bad_signature")
    if len(signature) > MAX_SIGNATURE_BYTES:
        raise Wrong("the signature is over 64 KiB", "bad_signature")
    try:
        text = signature.decode("ascii")
        blob = base64.b64decode(text.removeprefix(_BEGIN).removesuffix(_END).replace("\n", ""), validate=True)
        fields = _Fields(blob)
        if fields.take(6) != b"SSHSIG" or fields.take(4) != b"\0\0\0\1":
            raise bad
        key, namespace, _reserved, _hash, inner = (fields.string() for _ in range(5))
        public = _Fields(key)
        raw = _Fields(inner)
        if public.string() != _KEY_TYPE or raw.string() != _KEY_TYPE:
            raise Wrong("it was made by a key of another type than ssh-ed25519", "bad_signature")
        found = public.string(), namespace, raw.string()
    except (ValueError, struct.error):
        raise bad from None
    if len(found[0]) != 32 or len(found[2]) != 64 or _armour(*found) != signature:
        raise bad
    return found


class _Fields:
    def __init__(self, blob: bytes) -> None:
        self._blob = blob

    def take(self, length: int) -> bytes:
        if length > len(self._blob):
            raise ValueError("cut off")
        found, self._blob = self._blob[:length], self._blob[length:]
        return found

    def string(self) -> bytes:
        return self.take(struct.unpack(">I", self.take(4))[0])


def _fits(public: bytes, raw: bytes, armour: bytes, signed: bytes) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 (an extra)
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    except ImportError:
        return _ssh_keygen(armour, signed)
    message = b"SSHSIG" + _string(NAMESPACE.encode()) + _string(b"") + _string(b"sha512")
    message += _string(hashlib.sha512(signed).digest())
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(raw, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _ssh_keygen(armour: bytes, signed: bytes) -> bool:
    """`check-novalidate` says whether the signature fits the key that is in it; who may sign is decided here."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise UsageError("a signature is to be checked: install ssh-keygen, or `pip install blobdelta[signatures]`")
    with tempfile.NamedTemporaryFile(suffix=".sig") as file:
        file.write(armour)
        file.flush()
        command = [program, "-Y", "check-novalidate", "-n", NAMESPACE, "-s", file.name]
        return subprocess.run(command, input=signed, capture_output=True, check=False).returncode == 0
