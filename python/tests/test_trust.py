"""Signatures, root digests and scopes: as `blobdelta verify` with the same files, by `cryptography` and by ssh-keygen alone."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from conftest import FIXTURES, Program

import blobdelta
from blobdelta import AllowedSigners, SignerScope, Trust

SIGNED = "20260101T164000Z-b95128bb-1.bundle"
UNSIGNED = "20260101T164000Z-d9fbcb85-1.bundle"
LINE = (FIXTURES / "allowed_signers").read_text()
KEY = LINE.split("ssh-ed25519")[1].split()[0]
OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"
SIGNERS = {
    "allowed": LINE,
    "nobody": "",
    "another": f"x ssh-ed25519 {OTHER}\n",
    "namespace": f'x namespaces="blobdelta-*" ssh-ed25519 {KEY}\n',
    "other_namespace": f'x namespaces="git" ssh-ed25519 {KEY}\n',
    "negated": f'x namespaces="*,!blobdelta-bundle-v1" ssh-ed25519 {KEY}\n',
    "expired": f'x valid-before="20200101Z" ssh-ed25519 {KEY}\n',
    "later": f'x valid-after="29990101Z" ssh-ed25519 {KEY}\n',
    "authority": f"x cert-authority ssh-ed25519 {KEY}\n",
    "second_line": f'# x\n\nx valid-before="20200101Z" ssh-ed25519 {KEY}\n"a,b" ssh-ed25519 {KEY} comment\n',
    "rsa": f"x ssh-rsa AAAA\ny ssh-ed25519 {KEY}\n",
}
REFUSED = {
    "no_key": "x\n",
    "option": f'x colour="red" ssh-ed25519 {KEY}\n',
    "unquoted": f"x namespaces=git ssh-ed25519 {KEY}\n",
    "twice": f'x namespaces="a",namespaces="b" ssh-ed25519 {KEY}\n',
    "short": "x ssh-ed25519 AAAA\n",
    "time": f'x valid-before="2020" ssh-ed25519 {KEY}\n',
    "turned": f'x valid-after="20210101Z",valid-before="20200101Z" ssh-ed25519 {KEY}\n',
    "control": f"x ssh-ed25519 {KEY}\x07\n",
}


def kinds(findings: list[dict[str, object]]) -> list[tuple[object, object]]:
    return [(finding["kind"], finding["file"]) for finding in findings]


@pytest.fixture(params=["cryptography", "ssh-keygen"])
def checker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "ssh-keygen":
        if not shutil.which("ssh-keygen"):
            pytest.skip("SKIPPED: ssh-keygen is not installed")
        monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    else:
        pytest.importorskip("cryptography")


@pytest.mark.usefixtures("checker")
@pytest.mark.parametrize("name", SIGNERS)
@pytest.mark.parametrize("bundle", [SIGNED, f"{SIGNED}.tar", UNSIGNED])
def test_signers_are_judged_as_the_program_does(name: str, bundle: str, program: Program, tmp_path: Path) -> None:
    signers = tmp_path / "signers"
    signers.write_text(SIGNERS[name])
    due = program.verify(FIXTURES / bundle, "--signer", signers)
    found = blobdelta.verify(str(FIXTURES / bundle), "deep", trust=Trust(signers=AllowedSigners.of_file(signers)))
    assert kinds(found.as_dict()["findings"]) == kinds(due["findings"])
    if due["signed_by"]:
        assert found.signed_by and found.signed_by.fingerprint in str(due["signed_by"])


@pytest.mark.parametrize("name", REFUSED)
def test_a_line_that_is_not_understood_is_an_error(name: str, program: Program, tmp_path: Path) -> None:
    signers = tmp_path / "signers"
    signers.write_text(REFUSED[name])
    program.run("verify", FIXTURES / SIGNED, "--signer", signers, codes=(2,))
    with pytest.raises(blobdelta.UsageError, match="line 1 of the allowed signers"):
        AllowedSigners.of_file(signers)


@pytest.mark.usefixtures("checker")
@pytest.mark.parametrize("change", ["flip", "crlf", "longer", "other_lines", "list", "huge", "empty"])
def test_a_changed_signature_is_bad(change: str, program: Program, tmp_path: Path) -> None:
    bundle = tmp_path / SIGNED
    shutil.copytree(FIXTURES / SIGNED, bundle)
    path = bundle / "tagmanifest-sha256.txt.sig"
    text = path.read_text()
    changed = {
        "flip": text.replace(text[200], "B" if text[200] != "B" else "C", 1),
        "crlf": text.replace("\n", "\r\n"),
        "longer": text + "\n",
        "other_lines": text.replace("\n", "", 2).replace("-----", "-----\n", 2),
        "list": text,
        "huge": text * 400,
        "empty": "",
    }
    path.write_bytes(changed[change].encode())
    if change == "list":
        with (bundle / "tagmanifest-sha256.txt").open("a") as file:
            file.write("x")
    signers = FIXTURES / "allowed_signers"
    due = program.verify(bundle, "--signer", signers)
    found = blobdelta.verify(str(bundle), trust=Trust(signers=AllowedSigners.of_file(signers)))
    assert kinds(found.as_dict()["findings"]) == kinds(due["findings"])
    assert not found.is_good


@pytest.mark.parametrize("roots", [["0" * 64], "own", ["0" * 64, "own"]])
def test_root_digests_that_are_asked_for(roots: list[str], program: Program) -> None:
    own = blobdelta.open_bundle(str(FIXTURES / UNSIGNED)).root_sha256
    asked = [own if root == "own" else root for root in ([roots] if isinstance(roots, str) else roots)]
    due = program.verify(FIXTURES / UNSIGNED, *[word for root in asked for word in ("--root-sha256", root)])
    found = blobdelta.verify(str(FIXTURES / UNSIGNED), trust=Trust(roots=frozenset(asked)))
    assert kinds(found.as_dict()["findings"]) == kinds(due["findings"])


@pytest.mark.parametrize(
    "line", ["* *", "* Src.dbo.*", "* src.DBO.types", "* Other.dbo.Types", "00000000-0000-0000-0000-000000000000 *", ""]
)
def test_a_signer_speaks_only_for_its_tables(line: str, program: Program, tmp_path: Path) -> None:
    scope, signers = tmp_path / "scope", FIXTURES / "allowed_signers"
    scope.write_text(f"# who\n{LINE.split()[0]} {line}\n" if line else "")
    due = program.verify(FIXTURES / SIGNED, "--signer", signers, "--signer-scope", scope)
    trust = Trust(signers=AllowedSigners.of_file(signers), scope=SignerScope.of_file(scope))
    found = blobdelta.verify(str(FIXTURES / SIGNED), "deep", trust=trust)
    assert kinds(found.as_dict()["findings"]) == kinds(due["findings"])
    if not due["good"]:
        with pytest.raises(blobdelta.BundleError):
            blobdelta.open_bundle(str(FIXTURES / SIGNED), trust=trust, head_only=True)
