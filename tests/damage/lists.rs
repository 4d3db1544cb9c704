//! Lists of hashes, in another form than their one, by somebody who makes the other hashes fit.

use crate::damage::bundle::{Copy, PAYLOAD_LIST, SIGNATURE, TAG_LIST, expect, line};
use blobdelta::verify::FindingKind::{BadList, BadSignature, ListsDisagree};
use std::fs;

fn text(copy: &Copy, list: &str) -> String {
    String::from_utf8(copy.read(list)).unwrap()
}

/// Tries a change of each list; no signature is asked for, as it would be found first.
fn both(what: &str, change: impl Fn(String) -> String) {
    let class = "a list of hashes in another form";
    let of_tags = |copy: &Copy| copy.write(TAG_LIST, change(text(copy, TAG_LIST)));
    expect(class, &format!("{what}, tag files"), false, of_tags, &[BadList]);
    expect(class, &format!("{what}, tag files, signed"), true, of_tags, &[BadSignature]);
    let of_payload = |copy: &Copy| {
        copy.write(PAYLOAD_LIST, change(text(copy, PAYLOAD_LIST)));
        copy.mend_tags();
    };
    expect(class, &format!("{what}, payload"), false, of_payload, &[BadList]);
}

pub fn other_forms() {
    both("upper-case digits", |text| {
        text.chars().map(|c| if c.is_ascii_hexdigit() { c.to_ascii_uppercase() } else { c }).collect()
    });
    both("CRLF", |text| text.replace('\n', "\r\n"));
    both("a line twice", |text| {
        let first = text.lines().next().unwrap();
        format!("{first}\n{text}")
    });
    both("backwards", |text| text.lines().rev().map(|line| format!("{line}\n")).collect());
    both("one space", |text| text.replace("  ", " "));
    both("binary mode", |text| text.replace("  ", " *"));
    both("no end", |text| text.trim_end().to_owned());
    both("an empty line", |text| format!("{text}\n"));
    both("a byte order mark", |text| format!("\u{feff}{text}"));
    both("a comment", |text| format!("# {text}"));
    both("a NUL", |text| text.replacen("  ", "\0 ", 1));
    let not_utf8 = |copy: &Copy| copy.change(TAG_LIST, |bytes| bytes[70] = 0xFF);
    expect("a list of hashes in another form", "not UTF-8", false, not_utf8, &[BadList]);
}

pub fn other_paths() {
    let class = "a list of hashes with another path";
    let hostile = [
        "../../etc/passwd",
        "/etc/passwd",
        "data/../x",
        "data/./t001-Types/part-00000.parquet",
        "C:\\x",
        "C:/x",
        "\\\\host\\x",
        "data\\t001-Types\\part-00000.parquet",
        "data//x",
        "con",
        "data/t001-Types/nul",
        "data/t001-Types/part-00000.parquet ",
        "data/t001-Types/part-00000.parquet.",
        "DATA/t001-Types/part-00000.parquet",
        "data/T001-Types/part-00000.parquet",
        "data/t001-Types/Part-00000.parquet",
        "data/t001-Types/part-00000.parquet:x",
        "data/t001-Types/blob/../x.zst",
        "data/t001-Types/%2e%2e/x",
        "data/t001-Types/p\u{430}rt-00000.parquet",
        "~/x",
        "fetch.txt",
        TAG_LIST,
        SIGNATURE,
        "",
    ];
    for path in hostile {
        for list in [TAG_LIST, PAYLOAD_LIST] {
            let add = |copy: &Copy| {
                let mut lines: Vec<String> = text(copy, list).split_inclusive('\n').map(str::to_owned).collect();
                lines.push(line(path, b"x"));
                lines.sort_by(|a, b| a[66..].cmp(&b[66..]));
                copy.write(list, lines.concat());
                if list == PAYLOAD_LIST {
                    copy.mend_tags();
                }
            };
            expect(class, &format!("{path:?} in {list}"), false, add, &[BadList]);
        }
    }
    // Nothing of it was made.
    assert!(!std::path::Path::new("/x").exists());
    let drop_line = |copy: &Copy| {
        let kept: String = text(copy, PAYLOAD_LIST).split_inclusive('\n').skip(1).collect();
        let dropped = text(copy, PAYLOAD_LIST).lines().next().unwrap()[66..].to_owned();
        fs::remove_file(copy.path.join(dropped)).unwrap();
        copy.write(PAYLOAD_LIST, kept);
        copy.mend_tags();
    };
    expect(class, "a file that the manifest alone names", false, drop_line, &[ListsDisagree]);
}
