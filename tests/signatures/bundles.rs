//! Bundles that are signed as they are packed, and what `verify` says of them.

use super::Test;
use super::keys::{Agent, Keys, assert_success, run};
use crate::world::{Ended, World, tree};
use blobdelta::bundle::signature::NAMESPACE;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const TESTS: &[Test] = &[
    ("a_run_signs_and_verify_says_who", a_run_signs_and_verify_says_who),
    ("attack_a_bundle_that_is_not_vouched_for_is_refused", attack_a_bundle_that_is_not_vouched_for_is_refused),
    ("attack_nothing_is_parsed_after_a_bad_signature", attack_nothing_is_parsed_after_a_bad_signature),
    ("a_root_digest_from_elsewhere_is_held_against_a_bundle", a_root_digest_from_elsewhere_is_held_against_a_bundle),
    ("the_key_is_opened_before_anything_else", the_key_is_opened_before_anything_else),
    ("a_passphrase_or_an_agent_opens_the_key", a_passphrase_or_an_agent_opens_the_key),
    ("allowed_signers_that_cannot_be_understood_are_an_error", allowed_signers_that_cannot_be_understood_are_an_error),
    ("an_archive_carries_its_signature", an_archive_carries_its_signature),
];

/// A world with keys, and a file `allowed` that allows `key` as `me`.
pub struct Signing {
    pub world: World,
    pub keys: Keys,
}

impl Signing {
    pub fn new() -> Self {
        let signing = Self { world: World::new(), keys: Keys::new() };
        signing.allow(&signing.keys.line("", "key"));
        signing
    }

    pub fn allow(&self, file: &str) {
        fs::write(self.world.path("allowed"), file).unwrap();
    }

    pub fn key(&self, name: &str) -> String {
        self.keys.path(name).display().to_string()
    }

    /// Calls the binary without a terminal, an agent or a passphrase but these.
    pub fn call(&self, environment: &[(&str, &str)], args: &[&str]) -> Ended {
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(env!("CARGO_BIN_EXE_blobdelta")).args(args).current_dir(self.world.path(""));
        command.env_remove("BLOBDELTA_SIGN_PASSPHRASE").env("BLOBDELTA_CONNECTION", self.world.connection());
        let done = run(command.envs(environment.iter().copied()), b"");
        Ended {
            code: done.status.code().unwrap(),
            stdout: String::from_utf8(done.stdout).unwrap(),
            stderr: String::from_utf8(done.stderr).unwrap(),
        }
    }

    pub fn good(&self, args: &[&str]) -> Ended {
        let ended = self.call(&[], args);
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        ended
    }

    /// The one bundle that a command published.
    pub fn published(&self, args: &[&str]) -> PathBuf {
        let document = self.good(&[args, &["--json"]].concat()).json();
        assert_eq!(document["bundles"].as_array().unwrap().len(), 1, "{document}");
        PathBuf::from(document["bundles"][0].as_str().unwrap())
    }

    pub fn signed_run(&self) -> PathBuf {
        self.published(&["run", "--sign-key", &self.key("key"), "--out", &self.world.out()])
    }

    /// Exit code and the kinds of what is found, of a verification with these arguments.
    pub fn found(&self, bundle: &Path, args: &[&str]) -> (i32, Vec<String>, Value) {
        let bundle = bundle.display().to_string();
        let ended = self.call(&[], &[&["verify", &bundle, "--json"], args].concat());
        let document = ended.json()["bundles"][0].take();
        let kinds = document["findings"].as_array().unwrap().iter();
        let kinds = kinds.map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect();
        (ended.code, kinds, document)
    }

    pub fn assert_refused(&self, bundle: &Path, kind: &str) {
        let (code, kinds, document) = self.found(bundle, &["--signer", "allowed"]);
        assert_eq!((code, kinds.as_slice()), (3, &[kind.to_owned()][..]), "{document}");
        assert!(document["signed_by"].is_null(), "{document}");
    }
}

pub fn signature_of(bundle: &Path) -> PathBuf {
    bundle.join("tagmanifest-sha256.txt.sig")
}

fn a_run_signs_and_verify_says_who() {
    let signing = Signing::new();
    let bundle = signing.signed_run();
    let list = fs::read(bundle.join("tagmanifest-sha256.txt")).unwrap();
    let ours = fs::read(signature_of(&bundle)).unwrap();
    assert!(signing.keys.keygen_accepts(&ours, &signing.keys.line("", "key"), &list));
    for level in ["--quick", "--deep"] {
        let (code, kinds, document) = signing.found(&bundle, &["--signer", "allowed", level]);
        assert_eq!((code, kinds.len()), (0, 0), "{document}");
        assert_eq!(document["signed_by"]["principals"], "me");
        assert_eq!(document["signed_by"]["fingerprint"], signing.keys.signer("key").unwrap().fingerprint());
    }
    let text = signing.good(&["verify", &bundle.display().to_string(), "--signer", "allowed"]).stdout;
    assert!(text.contains("\n  signed by me, SHA256:"), "{text}");
    let (code, kinds, _) = signing.found(&bundle, &[]);
    assert_eq!((code, kinds), (0, vec!["signature_not_checked".to_owned()]));
    // Signed by hand instead, with the command of the manual.
    fs::remove_file(signature_of(&bundle)).unwrap();
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-Y", "sign", "-n", NAMESPACE, "-f", &signing.key("key"), "tagmanifest-sha256.txt"]);
    assert_success(&run(keygen.current_dir(&bundle), b""));
    assert_eq!(fs::read(signature_of(&bundle)).unwrap(), ours);
    assert_eq!(signing.found(&bundle, &["--signer", "allowed"]).0, 0);
}

fn attack_a_bundle_that_is_not_vouched_for_is_refused() {
    let signing = Signing::new();
    let keys = &signing.keys;
    keys.make("other", "ed25519", "");
    let bundle = signing.signed_run();
    let (file, good) = (signature_of(&bundle), fs::read(signature_of(&bundle)).unwrap());
    for (line, kind) in [
        (keys.line("", "other"), "signer_not_allowed"),
        (keys.line("namespaces=\"file\"", "key"), "signer_not_allowed"),
        (keys.line("cert-authority", "key"), "signer_not_allowed"),
        (String::new(), "signer_not_allowed"),
        (keys.line("valid-before=\"20200101\"", "key"), "signer_expired"),
        (keys.line("valid-after=\"99990101\"", "key"), "signer_expired"),
    ] {
        signing.allow(&line);
        signing.assert_refused(&bundle, kind);
    }
    signing.allow(&keys.line("", "key"));
    let list = fs::read(bundle.join("tagmanifest-sha256.txt")).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    for (signature, kind) in [
        (keys.keygen_sign("key", "file", &[], &list), "wrong_namespace"),
        (keys.keygen_sign("other", NAMESPACE, &[], &list), "signer_not_allowed"),
        (keys.keygen_sign("key", NAMESPACE, &[], b"another bundle's list"), "bad_signature"),
        (text.replace('\n', "\r\n").into_bytes(), "bad_signature"),
        (text.trim_end().into(), "bad_signature"),
        (format!("\n{text}").into_bytes(), "bad_signature"),
        (Vec::new(), "bad_signature"),
        (vec![b'x'; 70_000], "bad_signature"),
    ] {
        fs::write(&file, signature).unwrap();
        signing.assert_refused(&bundle, kind);
    }
    // One that is too large is refused even where nobody asks.
    assert_eq!(signing.found(&bundle, &[]).0, 3);
    fs::remove_file(&file).unwrap();
    signing.assert_refused(&bundle, "not_signed");
    assert_eq!(signing.found(&bundle, &[]).0, 0);
    fs::write(&file, good).unwrap();
    assert_eq!(signing.found(&bundle, &["--signer", "allowed"]).0, 0);
}

fn attack_nothing_is_parsed_after_a_bad_signature() {
    let signing = Signing::new();
    let bundle = signing.signed_run();
    fs::write(bundle.join("manifest.json"), "no manifest").unwrap();
    let (code, kinds, _) = signing.found(&bundle, &["--signer", "allowed"]);
    assert_eq!((code, kinds), (3, vec!["changed_tag_file".to_owned()]));
    fs::write(bundle.join("tagmanifest-sha256.txt"), "no list").unwrap();
    signing.assert_refused(&bundle, "bad_signature");
    // Nor where it is not verified, but used.
    let path = bundle.display().to_string();
    let ended = signing.call(&[], &["unpack", &path, "--out", "files", "--signer", "allowed"]);
    assert!(ended.code == 3 && ended.stderr.contains("tagmanifest-sha256.txt.sig"), "{ended:?}");
    let (code, kinds, _) = signing.found(&bundle, &["--root-sha256", &"0".repeat(64)]);
    assert_eq!((code, kinds), (3, vec!["signature_not_checked".to_owned(), "wrong_root".to_owned()]));
}

fn a_root_digest_from_elsewhere_is_held_against_a_bundle() {
    let signing = Signing::new();
    let bundle = signing.signed_run();
    let (_, _, document) = signing.found(&bundle, &[]);
    let root = document["root_sha256"].as_str().unwrap().to_owned();
    assert_eq!(signing.found(&bundle, &["--root-sha256", &root]).0, 0);
    let (code, kinds, _) = signing.found(&bundle, &["--signer", "allowed", "--root-sha256", &"0".repeat(64)]);
    assert_eq!((code, kinds), (3, vec!["wrong_root".to_owned()]));
    let path = bundle.display().to_string();
    for args in
        [&["verify", &path, "--root-sha256", &root.to_uppercase()][..], &["verify", &path, "--root-sha256", "12"]]
    {
        let ended = signing.call(&[], args);
        assert_eq!(ended.code, 2, "{ended:?}");
    }
}

fn the_key_is_opened_before_anything_else() {
    let signing = Signing::new();
    let key = signing.keys.make("locked", "ed25519", "passphrase").display().to_string();
    let nowhere = ("BLOBDELTA_CONNECTION", "sqlite:/there/is/no/such/folder");
    let out = signing.world.out();
    for (environment, reported) in [
        (vec![nowhere], "BLOBDELTA_SIGN_PASSPHRASE"),
        (vec![nowhere, ("BLOBDELTA_SIGN_PASSPHRASE", "wrong")], "passphrase does not open"),
    ] {
        for args in [
            &["run", "--sign-key", &key, "--out", &out][..],
            &["pack", "--run", "6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061", "--sign-key", &key, "--out", &out],
        ] {
            let ended = signing.call(&environment, args);
            assert_eq!(ended.code, 2, "{ended:?}");
            assert!(ended.stderr.contains(reported), "{ended:?}");
        }
    }
    let public = format!("{}.pub", signing.key("key"));
    let ended = signing.call(&[nowhere], &["run", "--sign-key", &public, "--out", &out]);
    assert!(ended.code == 2 && ended.stderr.contains("SSH_AUTH_SOCK"), "{ended:?}");
    let ended = signing.call(&[], &["run", "--sign-key", &signing.key("key"), "--no-bundle"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(tree(&signing.world.path("out")).is_empty());
}

fn a_passphrase_or_an_agent_opens_the_key() {
    let signing = Signing::new();
    let locked = signing.keys.make("locked", "ed25519", "a passphrase").display().to_string();
    signing.allow(&(signing.keys.line("", "locked") + &signing.keys.line("", "key")));
    let out = signing.world.out();
    let passphrase = ("BLOBDELTA_SIGN_PASSPHRASE", "a passphrase");
    let ended = signing.call(&[passphrase], &["run", "--sign-key", &locked, "--out", &out, "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let document = ended.json();
    let bundle = PathBuf::from(document["bundles"][0].as_str().unwrap());
    assert_eq!(signing.found(&bundle, &["--signer", "allowed"]).0, 0);
    let agent = Agent::start(signing.keys.folder.path());
    agent.add(&signing.keys.path("key"));
    let (socket, public) = (agent.socket.display().to_string(), format!("{}.pub", signing.key("key")));
    let elsewhere = signing.world.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let run_id = document["run"]["RunId"].as_str().unwrap();
    let args = ["pack", "--run", run_id, "--sign-key", &public, "--out", elsewhere.to_str().unwrap()];
    let ended = signing.call(&[("SSH_AUTH_SOCK", &socket)], &args);
    assert_eq!(ended.code, 0, "{ended:?}");
    let bundle = elsewhere.join(bundle.file_name().unwrap());
    let (_, _, document) = signing.found(&bundle, &["--signer", "allowed"]);
    assert_eq!(document["signed_by"]["fingerprint"], signing.keys.signer("key").unwrap().fingerprint());
}

fn allowed_signers_that_cannot_be_understood_are_an_error() {
    let signing = Signing::new();
    let bundle = signing.signed_run().display().to_string();
    signing.allow(&format!("# fine\n{}me no-key\n", signing.keys.line("", "key")));
    let ended = signing.call(&[], &["verify", &bundle, "--signer", "allowed"]);
    assert!(ended.code == 2 && ended.stderr.contains("line 3 "), "{ended:?}");
    fs::write(signing.world.path("allowed"), vec![b'\n'; (1 << 20) + 1]).unwrap();
    let ended = signing.call(&[], &["verify", &bundle, "--signer", "allowed"]);
    assert!(ended.code == 2 && ended.stderr.contains("1 MiB"), "{ended:?}");
    let ended = signing.call(&[], &["verify", &bundle, "--signer", "nowhere"]);
    assert!(ended.code == 1 && ended.stderr.contains("nowhere"), "{ended:?}");
}

fn an_archive_carries_its_signature() {
    let signing = Signing::new();
    let out = signing.world.out();
    let archive = signing.published(&["run", "--sign-key", &signing.key("key"), "--archive", "--out", &out]);
    assert!(archive.display().to_string().ends_with(".bundle.tar"));
    assert_eq!(signing.found(&archive, &["--signer", "allowed", "--deep"]).0, 0);
    signing.good(&["extract", &archive.display().to_string(), "--out", &out]);
    let folder = archive.with_extension("");
    assert_eq!(signing.found(&folder, &["--signer", "allowed", "--deep"]).0, 0);
    signing.allow("");
    signing.assert_refused(&archive, "signer_not_allowed");
    fs::remove_file(signature_of(&folder)).unwrap();
    fs::remove_file(&archive).unwrap();
    signing.good(&["archive", &folder.display().to_string()]);
    signing.assert_refused(&archive, "not_signed");
}
