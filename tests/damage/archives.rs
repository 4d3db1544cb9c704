//! Archives: members that no bundle has, bombs, and lengths that lie. Checksums of headers fit.

use crate::damage::bundle::{fixture, found};
use crate::damage::tally;
use blobdelta::verify::FindingKind::BadArchive;
use std::fs;

const BLOCK: usize = 512;

/// A field of a header: where it begins, and what is to stand there.
type Field = (usize, &'static [u8]);

/// The archive with fields of the nth header changed, and its checksum made to fit.
fn patched(nth: usize, fields: &[Field]) -> Vec<u8> {
    let mut bytes = archive();
    let at = headers(&bytes)[nth];
    let header = &mut bytes[at..at + BLOCK];
    fields.iter().for_each(|(from, field)| header[*from..from + field.len()].copy_from_slice(field));
    set_checksum(header);
    bytes
}

fn set_checksum(header: &mut [u8]) {
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn archive() -> Vec<u8> {
    fs::read(fixture("-1.bundle.tar")).unwrap()
}

/// Where the headers stand.
fn headers(bytes: &[u8]) -> Vec<usize> {
    let (mut found, mut at) = (Vec::new(), 0);
    while bytes[at] != 0 {
        found.push(at);
        let size = std::str::from_utf8(&bytes[at + 124..at + 135]).unwrap();
        at += BLOCK + usize::from_str_radix(size, 8).unwrap().next_multiple_of(BLOCK);
    }
    found
}

fn expect(class: &str, what: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive");
    fs::write(&path, bytes).unwrap();
    let found = found(&path, true);
    tally(class, !found.is_empty());
    assert_eq!(found, [BadArchive].into(), "{class}: {what}");
}

pub fn members() {
    let class = "an archive with a member of another kind";
    let count = headers(&archive()).len();
    let changes: [(&str, &[Field]); 16] = [
        ("a hard link", &[(156, b"1")]),
        ("a symlink", &[(156, b"2"), (157, b"/etc/passwd")]),
        ("a character device", &[(156, b"3")]),
        ("a block device", &[(156, b"4")]),
        ("a folder", &[(156, b"5")]),
        ("a pipe", &[(156, b"6")]),
        ("a sparse file", &[(156, b"S")]),
        ("a pax header", &[(156, b"x")]),
        ("a global pax header", &[(156, b"g")]),
        ("a long name", &[(156, b"L")]),
        ("old tar", &[(156, b"\0")]),
        ("GNU tar", &[(257, b"ustar  \0")]),
        ("set-user-id", &[(100, b"0004755\0")]),
        ("another owner", &[(108, b"0001750\0")]),
        ("a size in base 256", &[(124, b"\x80\0\0\0\0\0\0\0\0\0\x04\0")]),
        ("another time", &[(136, b"00000000001\0")]),
    ];
    for (what, fields) in changes {
        for nth in [0, 1, count / 2, count - 1] {
            expect(class, what, &patched(nth, fields));
        }
    }
    let class = "an archive with a member of another path";
    let mut bytes = archive();
    let at = headers(&bytes)[count - 1];
    for path in ["../../../../tmp/evil", "/tmp/evil", "C:\\evil", "evil", "tagmanifest-sha256.txt"] {
        bytes[at..at + 100].fill(0);
        bytes[at + 345..at + 500].fill(0);
        bytes[at..at + path.len()].copy_from_slice(path.as_bytes());
        set_checksum(&mut bytes[at..at + BLOCK]);
        expect(class, path, &bytes);
    }
    let all = headers(&archive());
    let good = archive();
    let (first, second) = (&good[all[0]..all[1]], &good[all[1]..all[2]]);
    expect(class, "a member twice", &[first, &good].concat());
    expect(class, "another order", &[second, first, &good[all[2]..]].concat());
    let name_at = all[1];
    let mut other = good.clone();
    other[name_at..name_at + 4].copy_from_slice(b"2027");
    set_checksum(&mut other[name_at..name_at + BLOCK]);
    expect(class, "a member of another bundle", &other);
}

pub fn lengths() {
    let class = "an archive of another length";
    let good = archive();
    let mut cuts: Vec<usize> = (0..good.len()).step_by(BLOCK / 2).collect();
    cuts.push(good.len() - 1);
    cuts.iter().for_each(|length| expect(class, "cut off", &good[..*length]));
    for more in [1, 512, 1024, 10_240] {
        expect(class, "extended", &[good.as_slice(), &vec![0; more]].concat());
    }
    expect(class, "two archives", &[good.as_slice(), &good].concat());
    // Eight gigabytes in half a kilobyte.
    for nth in 0..headers(&good).len() {
        expect("a tar bomb: sizes that are not there", "8 GiB", &patched(nth, &[(124, b"77777777777\0")]));
    }
}
