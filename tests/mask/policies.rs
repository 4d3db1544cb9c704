//! Policies against bundles.

use super::bundles::rows;
use super::rich::{self, POLICY, masked};
use blobdelta::bundle::Bundle;
use blobdelta::error::Kind;
use blobdelta::mask::init;

pub fn what_a_policy_does_not_name_is_refused_with_the_lines_to_add() {
    let (world, original) = rich::bundle(b"A letter.", &[]);
    let out = world.path("masked");
    let policy = POLICY.replace("client = { mask = \"person\", domain = \"person\" }\n", "").replace("visits =", "x =");
    let policy = policy.replace("x = { mask = \"number\", within = 3 }\n", "");
    let error = masked(&[&original], &policy, &out).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    let lines = error.lines_to_copy();
    for line in ["\"client\" = \"token\"", "\"visits\" = \"null\""] {
        assert!(lines.iter().any(|found| found == line), "{lines:?}");
    }
    // What the hint says to add works.
    assert_eq!(masked(&[&original], &format!("{policy}{}\n", lines.join("\n")), &out).unwrap().len(), 1);
}

pub fn a_policy_that_does_not_fit_is_refused_before_anything_is_written() {
    let (world, original) = rich::bundle(b"A letter.", &[]);
    let out = world.path("masked");
    let changed = |from: &str, to: &str| {
        assert!(POLICY.contains(from), "{from}");
        let error = masked(&[&original], &POLICY.replace(from, to), &out).unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "{error}");
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
        error.to_string()
    };
    for (from, to, due) in [
        ("name = \"file_name\"", "name = { mask = \"date_shift\", days = 3 }", "is for a date"),
        ("born = { mask = \"date_shift\", days = 40 }", "born = \"token\"", "is for a text"),
        ("other = \"null\"", "other = \"null\"\nanother = \"null\"", "no bundle has"),
        ("number = \"token\"", "number = { mask = \"token\", domain = \"person\" }", "is used for"),
        ("seen = { mask = \"date_shift\", days = 40 }", "seen = { mask = \"date_shift\", days = 41 }", "is used for"),
        ("name = \"file_name\"", "name = \"file_name\"\nstream_id = \"null\"", "is the key"),
        ("name = \"file_name\"", "name = \"file_name\"\npath_locator = \"noise\"", "is a path"),
        ("name = \"file_name\"", "name = \"file_name\"\nDeltaStep = \"null\"", "our own"),
        (
            "value = \"masked\"",
            "value = \"a text that is much longer than the column takes, by far more than a bit\"",
            "no value of",
        ),
        ("column = \"file_stream\"", "column = \"nothing\"", "not there"),
        ("column = \"file_stream\"", "column = \"notes\"", "not a varbinary"),
        ("within = \"2.5\"", "within = \"2.555\"", "no number above 0"),
        ("file_type = \"extension\"", "file_type = \"email\"", "32 characters"),
    ] {
        let error = changed(from, to);
        assert!(error.contains(due), "{error}");
    }
    let absent =
        POLICY.replace("other = \"null\"", "other = \"null\"\nanother = { mask = \"null\", may_be_absent = true }");
    assert_eq!(masked(&[&original], &absent, &out).unwrap().len(), 1);
    let error = masked(&[done(&out).as_path()], POLICY, &out).unwrap_err();
    assert!(error.to_string().contains("masked already"), "{error}");
}

pub fn a_section_of_a_table_that_no_bundle_has_is_refused() {
    let (world, original) = rich::bundle(b"A letter.", &[]);
    let out = world.path("masked");
    let with = |line: &str| format!("{POLICY}\n[tables.\"Src.dbo.Leters\"]\n{line}\nname = \"null\"\n");
    let error = masked(&[&original], &with(""), &out).unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("no bundle has"), "{error}");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
    assert_eq!(masked(&[&original], &with("may_be_absent = true"), &out).unwrap().len(), 1);
}

pub fn a_date_that_is_the_stamp_does_not_tell_the_other_dates() {
    let (world, original) = rich::stamped("2026-03-04T05:06:07", b"A letter.", &[]);
    let out = world.path("masked");
    let error = masked(&[&original], POLICY, &out).unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("DeltaModifiedOn"), "{error}");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
    let seen = "seen = { mask = \"date_shift\", days = 40";
    let apart = POLICY.replace(seen, &format!("{seen}, domain = \"changed\""));
    assert_eq!(masked(&[&original], &apart, &out).unwrap().len(), 1);
}

fn done(out: &std::path::Path) -> std::path::PathBuf {
    std::fs::read_dir(out).unwrap().next().unwrap().unwrap().path()
}

pub fn the_first_policy_masks_every_column() {
    let (world, original) = rich::bundle(b"A letter of Joan Example.", &[]);
    let policy = init(Bundle::open(&original).unwrap().manifest());
    let done = masked(&[&original], &policy, &world.path("masked")).unwrap();
    let shown = format!("{:?}", rows(done[0].published.path()));
    for private in rich::PRIVATE {
        assert!(!shown.contains(private), "{private}\n{policy}\n{shown}");
    }
    assert!(!policy.contains("keep\""), "{policy}");
}
