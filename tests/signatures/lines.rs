//! A file of allowed signers says here what it says to `ssh-keygen`.

use super::Test;
use super::keys::{Keys, MESSAGE, now, ours};
use blobdelta::bundle::signature::{AllowedSigners, SignatureRefusal, check};

pub const TESTS: &[Test] = &[
    ("a_line_says_what_it_says_to_ssh_keygen", a_line_says_what_it_says_to_ssh_keygen),
    ("the_reason_is_the_right_one", the_reason_is_the_right_one),
    ("the_time_that_counts_is_that_of_checking", the_time_that_counts_is_that_of_checking),
];

fn a_line_says_what_it_says_to_ssh_keygen() {
    let keys = Keys::new();
    keys.make("other", "ed25519", "");
    let signature = keys.signer("key").unwrap().sign(MESSAGE).unwrap();
    let key = keys.public("key");
    let options = [
        ("", true),
        ("namespaces=\"blobdelta-bundle-v1\"", true),
        ("namespaces=\"file,blobdelta-*\"", true),
        ("NAMESPACES=\"blob?elta-*-v1\"", true),
        ("namespaces=\"file\"", false),
        ("namespaces=\"*,!blobdelta*\"", false),
        ("namespaces=\"!file\"", false),
        ("namespaces=\"\"", false),
        ("namespaces=blobdelta-bundle-v1", false),
        ("namespaces=\"blobdelta-bundle-v1\",", false),
        ("namespaces=\"*\",namespaces=\"*\"", false),
        ("valid-after=\"20200101\"", true),
        ("valid-after=\"202001010000Z\",valid-before=\"99990101Z\"", true),
        ("valid-after=\"99990101\"", false),
        ("valid-before=\"20200101235959Z\"", false),
        ("valid-before=20991231", false),
        ("valid-before=\"2099-12-31\"", false),
        ("valid-before=\"20200101\",valid-after=\"20210101\"", false),
        ("cert-authority", false),
        ("cert-authority,namespaces=\"*\"", false),
        ("no-such-option", false),
    ];
    for (options, is_accepted) in options {
        let line = format!("me {options} {key} a comment\n");
        let own = AllowedSigners::parse(line.as_bytes()).map(|allowed| check(&signature, MESSAGE, &allowed, now()));
        assert_eq!(matches!(own, Ok(Ok(_))), is_accepted, "{line}: {own:?}");
        assert_eq!(keys.keygen_accepts(&signature, &line, MESSAGE), is_accepted, "{line}: what ssh-keygen says");
    }
    let files = [
        (format!("# me {key}\n"), false),
        (format!("\n \t\n  me\t{key}\r\n"), true),
        (format!("\"me\" {key}"), true),
        (format!("you,me,them {key}"), true),
        (keys.line("", "other"), false),
        (keys.line("", "other") + &keys.line("", "key"), true),
        (keys.line("valid-before=\"20200101\"", "key") + &keys.line("", "key"), true),
    ];
    for (file, is_accepted) in files {
        assert_eq!(ours(&signature, &file).is_ok(), is_accepted, "{file}");
        assert_eq!(keys.keygen_accepts(&signature, &file, MESSAGE), is_accepted, "{file}: what ssh-keygen says");
    }
}

fn the_reason_is_the_right_one() {
    let keys = Keys::new();
    keys.make("other", "ed25519", "");
    let signer = keys.signer("key").unwrap();
    let (signature, fingerprint) = (signer.sign(MESSAGE).unwrap(), signer.fingerprint());
    let by = |options: &str| ours(&signature, &keys.line(options, "key"));
    assert_eq!(ours(&signature, &keys.line("", "other")), Err(SignatureRefusal::NotAllowed(fingerprint.clone())));
    assert_eq!(by("cert-authority"), Err(SignatureRefusal::NotAllowed(fingerprint.clone())));
    assert_eq!(by("namespaces=\"file\""), Err(SignatureRefusal::NamespaceNotAllowed(fingerprint.clone())));
    let expired = SignatureRefusal::Expired(fingerprint.clone(), "2020-01-01T00:00:00Z".into());
    assert_eq!(by("valid-before=\"20200101Z\""), Err(expired));
    let early = SignatureRefusal::NotYetValid(fingerprint.clone(), "9999-01-01T00:00:00Z".into());
    assert_eq!(by("valid-after=\"99990101Z\""), Err(early));
    assert!(by("valid-before=\"20200101Z\"").unwrap_err().to_string().contains(&fingerprint));
}

fn the_time_that_counts_is_that_of_checking() {
    let keys = Keys::new();
    let signature = keys.signer("key").unwrap().sign(MESSAGE).unwrap();
    let line = keys.line("valid-after=\"20260101Z\",valid-before=\"20260102Z\"", "key");
    let allowed = AllowedSigners::parse(line.as_bytes()).unwrap();
    let (first, last) = (1_767_225_600, 1_767_312_000);
    for (at, is_accepted) in [(first - 1, false), (first, true), (last, true), (last + 1, false)] {
        assert_eq!(check(&signature, MESSAGE, &allowed, at).is_ok(), is_accepted, "{at}");
    }
}
