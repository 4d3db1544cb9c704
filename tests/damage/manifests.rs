//! manifest.json in another form than its one, or with content that cannot be, its hash redone.

use crate::damage::bundle::{Copy, MANIFEST, expect};
use blobdelta::verify::FindingKind::{self, BadManifest, ListsDisagree, UnknownFormat, WrongSize};

fn with(class: &str, what: &str, due: &[FindingKind], change: impl Fn(String) -> Vec<u8>) {
    let change = |copy: &Copy| {
        let text = String::from_utf8(copy.read(MANIFEST)).unwrap();
        let changed = change(text.clone());
        assert_ne!(changed, text.into_bytes(), "{what}");
        copy.write(MANIFEST, changed);
        copy.mend_tags();
    };
    expect(class, what, false, change, due);
}

/// A replacement that takes place.
fn replaced(text: &str, from: &str, to: &str) -> Vec<u8> {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

pub fn other_forms() {
    let class = "a manifest in another form";
    let bad = |what: &str, change: &dyn Fn(String) -> Vec<u8>| with(class, what, &[BadManifest], change);
    let swap = |from: &'static str, to: &'static str| move |text: String| replaced(&text, from, to);
    bad("a key twice", &swap("\"kind\":", "\"kind\":\"delta\",\"kind\":"));
    bad("a key twice, by an escape", &swap("\"kind\":", "\"kind\":\"delta\",\"k\\u0069nd\":"));
    bad("keys in another order", &swap("{\"failed_tables\":[],", "{\"zz\":1,\"failed_tables\":[],"));
    bad("white space", &swap("\"kind\":", "\"kind\": "));
    bad("a float", &swap("\"pack_number\":1", "\"pack_number\":1.0"));
    bad("an exponent", &swap("\"pack_number\":1", "\"pack_number\":1e0"));
    bad("2^53", &swap("\"children\":0", "\"children\":9007199254740992"));
    bad("2^53 + 1", &swap("\"children\":0", "\"children\":9007199254740993"));
    bad("a negative count", &swap("\"children\":0", "\"children\":-1"));
    bad("minus zero", &swap("\"children\":0", "\"children\":-0"));
    bad("a null that cannot be", &swap("\"kind\":\"delta\"", "\"kind\":null"));
    bad("another kind", &swap("\"kind\":\"delta\"", "\"kind\":\"full\""));
    bad("a GUID behind a blank", &swap("\"source_id\":\"", "\"source_id\":\" "));
    bad("no table", &|text| {
        let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        manifest["tables"] = serde_json::json!([]);
        format!("{manifest}\n").into_bytes()
    });
    bad("not JSON", &|_| b"{".to_vec());
    bad("nothing", &|_| Vec::new());
    bad("no LF at the end", &|text| text.trim_end().as_bytes().to_vec());
    bad("two LF at the end", &|text| format!("{text}\n").into_bytes());
    bad("a byte order mark", &|text| format!("\u{feff}{text}").into_bytes());
    bad("not UTF-8", &|text| {
        let mut bytes = text.into_bytes();
        let at = bytes.iter().position(|byte| *byte == b'd').unwrap();
        bytes[at] = 0xC0;
        bytes
    });
    let nested = |open: &str, close: &str, depth: usize| {
        let value = format!("{}{}", open.repeat(depth), close.repeat(depth));
        move |text: String| replaced(&text, "{\"failed_tables\":", &format!("{{\"a\":{value},\"failed_tables\":"))
    };
    bad("arrays 200 deep", &nested("[", "]", 200));
    bad("arrays a million deep", &nested("[", "]", 1_000_000));
    bad("an array 17 deep", &nested("[", "]", 17));
    let huge = |text: String| {
        let filler = "x".repeat(65 << 20);
        replaced(&text, "{\"failed_tables\":", &format!("{{\"a\":\"{filler}\",\"failed_tables\":"))
    };
    with(class, "65 MiB", &[WrongSize], huge);
    for (what, from, to) in [
        ("a newer major", "\"format_version\":\"1.0\"", "\"format_version\":\"2.0\""),
        ("a requirement", "\"requires\":[]", "\"requires\":[\"a new thing\"]"),
    ] {
        with("a manifest of another format", what, &[UnknownFormat], |text| replaced(&text, from, to));
    }
}

pub fn of_another_bundle() {
    let class = "a manifest that contradicts itself or the lists";
    let bad = |what: &str, due: &[FindingKind], from: &'static str, to: &'static str| {
        with(class, what, due, |text| replaced(&text, from, to));
    };
    bad("rows that are not those of the counts", &[BadManifest], "\"roots\":6", "\"roots\":7");
    bad("a size of another file", &[WrongSize], "\"bytes\":", "\"bytes\":1");
    bad(
        "a hash of another file",
        &[ListsDisagree],
        "\"sha256\":\"",
        "\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"x\":\"",
    );
    bad("a folder outside", &[BadManifest], "\"folder\":\"t001-Types\"", "\"folder\":\"../t001-Types\"");
    bad("a schema file outside", &[BadManifest], "schema/t001-Types.sql", "schema/../t001-Types.sql");
    bad("a type that is none", &[BadManifest], "\"sql_type\":\"bit\"", "\"sql_type\":\"boat\"");
    bad("a window that ends before it starts", &[BadManifest], "\"start\":\"0001", "\"start\":\"9001");
    bad("a closed window", &[BadManifest], "[start,end)", "[start,end]");
    bad("a key that is no column", &[BadManifest], "\"key_column\":\"stream_id\"", "\"key_column\":\"stream_ix\"");
    bad("two tables of one name", &[BadManifest], "\"tables\":[", "\"tables\":[{},");
}
