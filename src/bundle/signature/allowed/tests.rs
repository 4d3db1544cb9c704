//! Lines of allowed signers, also hostile ones.

use super::*;
use crate::bundle::signature::NAMESPACE;
use proptest::prelude::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAx";
/// 2026-06-01T00:00:00Z
const NOW: i64 = 1_780_272_000;

fn key(text: &str) -> KeyData {
    PublicKey::from_openssh(text).unwrap().key_data().clone()
}

fn verdict(file: &str) -> Verdict {
    AllowedSigners::parse(file.as_bytes()).unwrap().look_up(&key(KEY), NAMESPACE, NOW)
}

fn allowed(principals: &str) -> Verdict {
    Verdict::Allowed(principals.to_owned())
}

fn refused(file: &[u8]) -> String {
    AllowedSigners::parse(file).unwrap_err().to_string()
}

#[test]
fn a_line_names_principals_and_a_key() {
    for (line, principals) in [
        (format!("a@b {KEY}"), "a@b"),
        (format!("a@b,*@c  {KEY} a comment, with \"anything\"\r"), "a@b,*@c"),
        (format!("# comment\n\n \t\n\ta@b\t{}\n", KEY.replace(' ', "\t")), "a@b"),
        (format!("\"a@b,c d\" {KEY}"), "a@b,c d"),
    ] {
        assert_eq!(verdict(&line), allowed(principals), "{line:?}");
    }
    assert_eq!(verdict(&format!("a@b {OTHER}")), Verdict::Unknown);
    assert_eq!(verdict(""), Verdict::Unknown);
    assert_eq!(verdict(&format!("x {OTHER}\na@b {KEY}\nc@d {KEY}")), allowed("a@b"));
}

#[test]
fn namespaces_are_a_pattern_list() {
    for (list, covers) in [
        ("blobdelta-bundle-v1", true),
        ("file,blobdelta-*", true),
        ("blobdelta-bundle-v?", true),
        ("*", true),
        ("**-**-v1", true),
        ("*,!blobdelta-bundle-v1", false),
        ("!file", false),
        ("!blobdelta*,blobdelta-bundle-v1", false),
        ("file", false),
        ("", false),
        ("blobdelta-bundle-v1?", false),
        ("BLOBDELTA-BUNDLE-V1", false),
        ("blobdelta-bundle", false),
        (" blobdelta-bundle-v1", false),
    ] {
        let due = if covers { allowed("a") } else { Verdict::OtherNamespaces };
        assert_eq!(verdict(&format!("a NameSpaces=\"{list}\" {KEY}")), due, "{list}");
    }
    assert_eq!(verdict(&format!("a namespaces=\"file\" {KEY}\nb {KEY}")), allowed("b"));
}

#[test]
fn a_validity_has_its_ends() {
    for (options, due) in [
        ("valid-after=\"20260601Z\",valid-before=\"20260602Z\"", allowed("a")),
        ("valid-before=\"20260601Z\"", allowed("a")),
        ("valid-before=\"20260531235959Z\"", Verdict::Expired("2026-05-31T23:59:59Z".into())),
        ("valid-after=\"202606010001Z\"", Verdict::NotYetValid("2026-06-01T00:01:00Z".into())),
        ("valid-after=\"20250101\",namespaces=\"*\"", allowed("a")),
    ] {
        assert_eq!(verdict(&format!("a {options} {KEY}")), due, "{options}");
    }
    let expired = format!("a valid-before=\"20200101Z\" {KEY}\n");
    assert_eq!(verdict(&format!("{expired}b {KEY}")), allowed("b"));
    let reported = Verdict::Expired("2020-01-01T00:00:00Z".into());
    assert_eq!(verdict(&format!("{expired}b namespaces=\"x\" {KEY}")), reported);
}

#[test]
fn authorities_and_other_types_allow_nothing() {
    assert_eq!(verdict(&format!("* cert-authority {KEY}")), Verdict::Unknown);
    assert_eq!(verdict(&format!("* Cert-Authority,namespaces=\"*\" {KEY}")), Verdict::Unknown);
    assert_eq!(verdict("a ssh-rsa AAAAB3NzaC1yc2E= x"), Verdict::Unknown);
    assert_eq!(verdict("a ecdsa-sha2-nistp256 AAAA"), Verdict::Unknown);
}

#[test]
fn a_line_that_is_not_understood_is_named() {
    let cases = [
        "a@b",
        "a@b ",
        "a@b ssh-ed25519",
        "a@b ssh-ed25519 AAAA",
        "a@b ssh-ed25519 !!!!",
        "a@b ssh-ed448 AAAA",
        "a@b ssh-rsa AA!A",
        "a@b KEY-without-type",
        &KEY[12..],
        KEY,
        &format!("\"a@b {KEY}"),
        &format!("\"\" {KEY}"),
        &format!("a\"b\" {KEY}"),
        &format!("a@b {KEY}AAAA"),
        &format!("a@b unknown {KEY}"),
        &format!("a@b no-touch-required {KEY}"),
        &format!("a@b namespaces {KEY}"),
        &format!("a@b namespaces=file {KEY}"),
        &format!("a@b namespaces=\"file {KEY}"),
        &format!("a@b namespaces=\"file\"x {KEY}"),
        &format!("a@b namespaces=\"file\", {KEY}"),
        &format!("a@b ,namespaces=\"file\" {KEY}"),
        &format!("a@b namespaces=\"file\",namespaces=\"x\" {KEY}"),
        &format!("a@b cert-authorityx {KEY}"),
        &format!("a@b valid-before=\"tomorrow\" {KEY}"),
        &format!("a@b valid-before=\"20260101Z\",valid-before=\"20270101Z\" {KEY}"),
        &format!("a@b valid-after=\"20260101Z\",valid-before=\"20260101Z\" {KEY}"),
        &format!("a@b\0 {KEY}"),
        &format!("a@b {KEY} \u{1b}[2J"),
    ];
    for case in cases {
        let text = refused(format!("# one\nx {OTHER}\n{case}\n").as_bytes());
        assert!(text.contains("line 3 "), "{case:?}: {text}");
    }
    assert!(refused(b"\xff").contains("line 1 "));
    assert!(refused(&vec![b'\n'; (1 << 20) + 1]).contains("1 MiB"));
    assert!(AllowedSigners::parse(&vec![b'\n'; 1 << 20]).is_ok());
}

#[test]
fn a_pattern_of_stars_ends() {
    let list = format!("{}b", "*a".repeat(100_000));
    assert!(!matches("a".repeat(40).as_bytes(), list.as_bytes()));
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(line in "([a-z@*,!\"#= \\\\]|namespaces=|valid-before=|ssh-ed25519|2026|[\t-~])*") {
        let _ = AllowedSigners::parse(line.as_bytes());
        let _ = AllowedSigners::parse(format!("a {line} {KEY}").as_bytes());
    }

    #[test]
    fn patterns_are_those_of_a_plain_model(text in "[ab]{0,8}", pattern in "[ab*?]{0,8}") {
        fn model(text: &[u8], pattern: &[u8]) -> bool {
            match (pattern.split_first(), text.split_first()) {
                (None, left) => left.is_none(),
                (Some((b'*', rest)), left) => {
                    model(text, rest) || left.is_some_and(|(_, text)| model(text, pattern))
                }
                (Some((byte, rest)), Some((first, text))) => (*byte == b'?' || byte == first) && model(text, rest),
                (Some(_), None) => false,
            }
        }
        prop_assert_eq!(matches(text.as_bytes(), pattern.as_bytes()), model(text.as_bytes(), pattern.as_bytes()));
    }
}
