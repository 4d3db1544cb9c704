//! One signature has one armour, and fits one list.

use super::Test;
use super::keys::{Keys, MESSAGE, now, ours};
use blobdelta::bundle::signature::{AllowedSigners, MAX_SIGNATURE_BYTES, NAMESPACE, SignatureRefusal, check};

pub const TESTS: &[Test] = &[
    ("either_program_accepts_the_others_signature", either_program_accepts_the_others_signature),
    ("every_flipped_bit_is_refused", every_flipped_bit_is_refused),
    ("another_armour_of_the_same_signature_is_refused", another_armour_of_the_same_signature_is_refused),
    ("fields_that_nothing_signs_are_fixed", fields_that_nothing_signs_are_fixed),
    ("what_is_no_signature_of_ours_is_refused", what_is_no_signature_of_ours_is_refused),
];

fn either_program_accepts_the_others_signature() {
    let keys = Keys::new();
    let signer = keys.signer("key").unwrap();
    let allowed = keys.line("", "key");
    for message in [MESSAGE, b"", &[0xff; 100_000]] {
        let own = signer.sign(message).unwrap();
        assert_eq!(own, keys.keygen_sign("key", NAMESPACE, &[], message), "not the bytes that ssh-keygen writes");
        assert!(keys.keygen_accepts(&own, &allowed, message));
        assert!(!keys.keygen_accepts(&own, &allowed, b"another"));
    }
    let signed_by = ours(&signer.sign(MESSAGE).unwrap(), &allowed).unwrap();
    assert_eq!((signed_by.principals.as_str(), signed_by.fingerprint), ("me", signer.fingerprint()));
    assert!(signer.fingerprint().starts_with("SHA256:"));
}

fn every_flipped_bit_is_refused() {
    let keys = Keys::new();
    let signature = keys.signer("key").unwrap().sign(MESSAGE).unwrap();
    let allowed = AllowedSigners::parse(keys.line("", "key").as_bytes()).unwrap();
    assert!(check(&signature, MESSAGE, &allowed, now()).is_ok());
    for bit in 0..signature.len() * 8 {
        let mut flipped = signature.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(
            check(&flipped, MESSAGE, &allowed, now()).is_err(),
            "bit {bit} of {}",
            String::from_utf8_lossy(&flipped)
        );
    }
    for length in 0..signature.len() {
        assert!(check(&signature[..length], MESSAGE, &allowed, now()).is_err(), "cut to {length}");
    }
}

fn another_armour_of_the_same_signature_is_refused() {
    let keys = Keys::new();
    let text = String::from_utf8(keys.keygen_sign("key", NAMESPACE, &[], MESSAGE)).unwrap();
    let allowed = keys.line("", "key");
    let body = text.trim_end();
    let (head, tail) = (body.lines().next().unwrap(), body.lines().last().unwrap());
    let base64: String = body.lines().filter(|line| !line.starts_with('-')).collect();
    let wrapped = |width: usize| {
        let lines = base64.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap());
        format!("{head}\n{}\n{tail}\n", lines.collect::<Vec<_>>().join("\n"))
    };
    assert_eq!(wrapped(70), text);
    let others = [
        text.replace('\n', "\r\n"),
        body.to_owned(),
        format!("\n{text}"),
        format!(" {text}"),
        format!("{text}\n"),
        format!("{text}{text}"),
        format!("{text}x"),
        format!("before\n{text}"),
        wrapped(64),
        wrapped(76),
        wrapped(1 << 20),
        text.replacen("\nU1N", "\n\nU1N", 1),
        text.replacen("\nU1N", "\n U1N", 1),
        text.replacen(tail, &format!("={tail}"), 1),
    ];
    for other in others {
        let refusal = ours(other.as_bytes(), &allowed).unwrap_err();
        assert!(
            matches!(refusal, SignatureRefusal::NotCanonical | SignatureRefusal::Unreadable(_)),
            "{other:?}: {refusal:?}"
        );
    }
    // `ssh-keygen` takes some of these: a signature is no identity.
    assert!(keys.keygen_accepts(wrapped(64).as_bytes(), &allowed, MESSAGE));
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn dearmour(text: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(text).unwrap();
    let digits: Vec<u8> = text.lines().filter(|line| !line.starts_with('-')).flat_map(str::bytes).collect();
    let mut bytes = Vec::new();
    for four in digits.chunks(4) {
        let value = |byte: &u8| DIGITS.iter().position(|digit| digit == byte);
        let bits = four.iter().fold(0, |bits, byte| bits << 6 | value(byte).unwrap_or(0));
        let padding = four.iter().filter(|byte| **byte == b'=').count();
        bytes.extend(&u32::try_from(bits).unwrap().to_be_bytes()[1..4 - padding]);
    }
    bytes
}

fn armour(bytes: &[u8]) -> String {
    let mut base64 = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(*three.get(at).unwrap_or(&0)));
        for digit in 0..4 {
            let is_padding = digit > three.len();
            base64.push(if is_padding { '=' } else { char::from(DIGITS[bits >> (18 - 6 * digit) & 63]) });
        }
    }
    let lines: Vec<&str> = base64.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
}

fn fields_that_nothing_signs_are_fixed() {
    let keys = Keys::new();
    let signature = keys.keygen_sign("key", NAMESPACE, &[], MESSAGE);
    let allowed = keys.line("", "key");
    let bytes = dearmour(&signature);
    assert_eq!(armour(&bytes).as_bytes(), signature);
    // PROTOCOL.sshsig: magic (6), version (4), public key (4 + 51), namespace (4 + 19), reserved.
    let reserved = 6 + 4 + 4 + 51 + 4 + NAMESPACE.len();
    assert_eq!(&bytes[reserved..reserved + 4], &[0; 4]);
    let mut with_reserved = bytes.clone();
    with_reserved.splice(reserved..reserved + 4, [0, 0, 0, 2, b'h', b'i']);
    // `ssh-keygen` does not look at it: the reason for the comparison of all bytes.
    assert!(keys.keygen_accepts(armour(&with_reserved).as_bytes(), &allowed, MESSAGE));
    let mut version_0 = bytes.clone();
    version_0[9] = 0;
    let mut longer = bytes;
    longer.push(0);
    for (what, changed) in [("reserved", with_reserved), ("version", version_0), ("more", longer)] {
        let refusal = ours(armour(&changed).as_bytes(), &allowed).unwrap_err();
        assert!(
            matches!(refusal, SignatureRefusal::NotCanonical | SignatureRefusal::Unreadable(_)),
            "{what}: {refusal:?}"
        );
    }
    let sha256 = keys.keygen_sign("key", NAMESPACE, &["-O", "hashalg=sha256"], MESSAGE);
    assert_eq!(ours(&sha256, &allowed), Err(SignatureRefusal::NotCanonical));
}

fn what_is_no_signature_of_ours_is_refused() {
    let keys = Keys::new();
    let allowed = keys.line("", "key");
    let namespace = keys.keygen_sign("key", "file", &[], MESSAGE);
    assert_eq!(ours(&namespace, &allowed), Err(SignatureRefusal::OtherNamespace("file".into())));
    assert_eq!(
        ours(&keys.signer("key").unwrap().sign(b"another").unwrap(), &allowed),
        Err(SignatureRefusal::DoesNotFit)
    );
    for key_type in ["rsa", "ecdsa"] {
        keys.make(key_type, key_type, "");
        let signature = keys.keygen_sign(key_type, NAMESPACE, &[], MESSAGE);
        let both = format!("{allowed}{}", keys.line("", key_type));
        let refusal = ours(&signature, &both).unwrap_err();
        assert!(matches!(&refusal, SignatureRefusal::Unreadable(why) if why.contains("ssh-ed25519")), "{refusal:?}");
    }
    let large = vec![b'\n'; usize::try_from(MAX_SIGNATURE_BYTES).unwrap() + 1];
    for bytes in [&b""[..], b"\0", b"\xff\xfe", b"-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n", &large]
    {
        assert!(matches!(ours(bytes, &allowed), Err(SignatureRefusal::Unreadable(_))));
    }
}
