//! Keys that sign, and keys that must not.

use super::Test;
use super::keys::{Agent, Keys, MESSAGE, ours, run};
use blobdelta::bundle::signature::{NAMESPACE, Signer};
use blobdelta::error::{Error, Kind};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

pub const TESTS: &[Test] = &[
    ("an_encrypted_key_asks_for_its_passphrase", an_encrypted_key_asks_for_its_passphrase),
    ("an_agent_signs_for_a_public_key", an_agent_signs_for_a_public_key),
    ("an_agent_that_cannot_sign_is_reported", an_agent_that_cannot_sign_is_reported),
    ("a_hostile_agent_is_refused", a_hostile_agent_is_refused),
    ("a_key_that_others_may_read_is_refused", a_key_that_others_may_read_is_refused),
    ("a_key_of_another_type_is_refused", a_key_of_another_type_is_refused),
    ("what_is_no_key_is_refused", what_is_no_key_is_refused),
    ("nothing_secret_is_printed", nothing_secret_is_printed),
];

fn never() -> blobdelta::error::Result<String> {
    Err(Error::usage("a passphrase was asked for"))
}

fn an_encrypted_key_asks_for_its_passphrase() {
    let keys = Keys::new();
    let path = keys.make("locked", "ed25519", "a long Passphrase ä");
    let signer = Signer::open(&path, None, &mut || Ok("a long Passphrase ä".into())).unwrap();
    let signature = signer.sign(MESSAGE).unwrap();
    assert!(ours(&signature, &keys.line("", "locked")).is_ok());
    assert!(keys.keygen_accepts(&signature, &keys.line("", "locked"), MESSAGE));
    for wrong in ["", "another"] {
        let error = Signer::open(&path, None, &mut || Ok(wrong.into())).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains("passphrase"), "{error}");
    }
    let reported = Signer::open(&path, None, &mut || Err(Error::usage("nobody is there to ask"))).unwrap_err();
    assert!(reported.to_string().contains("nobody is there to ask"), "{reported}");
}

fn an_agent_signs_for_a_public_key() {
    let keys = Keys::new();
    keys.make("another", "ed25519", "");
    let agent = Agent::start(keys.folder.path());
    agent.add(&keys.path("another"));
    agent.add(&keys.path("key"));
    let moved = keys.path("moved.pub");
    fs::copy(keys.path("key.pub"), &moved).unwrap();
    let signer = Signer::open(&moved, Some(&agent.socket), &mut never).unwrap();
    let signature = signer.sign(MESSAGE).unwrap();
    assert_eq!(signature, keys.signer("key").unwrap().sign(MESSAGE).unwrap());
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-Y", "sign", "-n", NAMESPACE, "-f"]).arg(&moved).env("SSH_AUTH_SOCK", &agent.socket);
    assert_eq!(signature, run(&mut keygen, MESSAGE).stdout);
}

fn an_agent_that_cannot_sign_is_reported() {
    let keys = Keys::new();
    let public = keys.path("key.pub");
    let without = Signer::open(&public, None, &mut never).unwrap_err();
    assert!(without.to_string().contains("SSH_AUTH_SOCK"), "{without}");
    let nobody = Signer::open(&public, Some(&keys.path("nobody")), &mut never).unwrap_err();
    assert_eq!(nobody.kind(), Kind::Io, "{nobody}");
    let agent = Agent::start(keys.folder.path());
    let empty = Signer::open(&public, Some(&agent.socket), &mut never).unwrap_err();
    assert!(empty.to_string().contains("ssh-add"), "{empty}");
    agent.add(&keys.path("key"));
    let signer = Signer::open(&public, Some(&agent.socket), &mut never).unwrap();
    let mut remove = Command::new("ssh-add");
    assert!(run(remove.args(["-q", "-D"]).env("SSH_AUTH_SOCK", &agent.socket), b"").status.success());
    let gone = signer.sign(MESSAGE).unwrap_err();
    assert!(gone.to_string().contains("did not sign"), "{gone}");
}

/// An agent that gives these answers, one a connection.
fn fake_agent(socket: &Path, answers: Vec<Vec<u8>>) -> std::thread::JoinHandle<()> {
    use std::io::{Read as _, Write as _};
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let mut request = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
            stream.read_exact(&mut request).unwrap();
            // Who refuses a length does not read on.
            let _ = stream.write_all(&answer);
        }
    })
}

fn packet(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 1).unwrap().to_be_bytes();
    [&length[..], &[kind], content].concat()
}

fn a_hostile_agent_is_refused() {
    let keys = Keys::new();
    let answers = vec![
        Vec::new(),
        vec![0, 0],
        vec![0; 4],
        vec![0xff; 5],
        packet(12, &[]),
        packet(12, &[0xff; 4]),
        packet(12, &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]),
        packet(5, &[]),
        packet(14, &[0; 4]),
    ];
    let socket = keys.path("fake");
    let count = answers.len();
    let thread = fake_agent(&socket, answers);
    for at in 0..count {
        assert!(Signer::open(&keys.path("key.pub"), Some(&socket), &mut never).is_err(), "answer {at}");
    }
    thread.join().unwrap();
    // It has the key, and gives another's signature, a short one, none.
    let blob = ssh_key::PublicKey::from_openssh(&keys.public("key")).unwrap().to_bytes().unwrap();
    let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let list = packet(12, &[&1_u32.to_be_bytes()[..], &string(&blob), &string(b"comment")].concat());
    let signature = |length: usize| packet(14, &string(&[string(b"ssh-ed25519"), string(&vec![7; length])].concat()));
    for (at, answer) in [signature(64), signature(63), packet(14, &[]), packet(6, &[])].into_iter().enumerate() {
        let socket = keys.path(&format!("fake-{at}"));
        let thread = fake_agent(&socket, vec![list.clone(), answer]);
        let signer = Signer::open(&keys.path("key.pub"), Some(&socket), &mut never).unwrap();
        assert!(signer.sign(MESSAGE).is_err(), "signature {at}");
        thread.join().unwrap();
    }
}

fn a_key_that_others_may_read_is_refused() {
    let keys = Keys::new();
    for (mode, is_used) in [(0o400, true), (0o600, true), (0o640, false), (0o604, false), (0o610, false)] {
        fs::set_permissions(keys.path("key"), fs::Permissions::from_mode(mode)).unwrap();
        let opened = keys.signer("key");
        assert_eq!(opened.is_ok(), is_used, "{mode:o}");
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-Y", "sign", "-n", NAMESPACE, "-f"]).arg(keys.path("key"));
        assert_eq!(run(&mut keygen, MESSAGE).status.success(), is_used, "{mode:o}: what ssh-keygen says");
        if let Err(error) = opened {
            let text = error.to_string();
            assert!(text.contains(&format!("chmod 600 {}", keys.path("key").display())), "{text}");
        }
    }
}

fn a_key_of_another_type_is_refused() {
    let keys = Keys::new();
    let agent = Agent::start(keys.folder.path());
    for key_type in ["rsa", "ecdsa"] {
        let private = keys.make(key_type, key_type, "");
        agent.add(&private);
        for path in [private.clone(), private.with_extension("pub")] {
            let error = Signer::open(&path, Some(&agent.socket), &mut never).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.to_string().contains("ed25519"), "{error}");
        }
    }
}

fn what_is_no_key_is_refused() {
    let keys = Keys::new();
    let path = keys.path("no-key");
    let pem = fs::read_to_string(keys.path("key")).unwrap();
    let large = "x".repeat(70_000);
    for text in ["", "x", "ssh-ed25519", "-----BEGIN PRIVATE KEY-----", &pem[..pem.len() / 2], &large] {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = Signer::open(&path, None, &mut never).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{error}");
        assert!(error.to_string().contains("no-key"), "{error}");
    }
    assert_eq!(keys.signer("nowhere").unwrap_err().kind(), Kind::Io);
}

fn nothing_secret_is_printed() {
    let keys = Keys::new();
    let signer = keys.signer("key").unwrap();
    assert_eq!(format!("{signer:?}"), format!("Signer({})", signer.fingerprint()));
}
