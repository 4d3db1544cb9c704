//! Unpacking: every row a file in its place, whatever its name; nothing outside of the folder,
//! nothing wrong left.

mod demo;
mod made;
mod refused;

use blobdelta::durable::Local;
use blobdelta::error::Result;
use blobdelta::model::id::Guid;
use blobdelta::monitor::Silent;
use blobdelta::unpack::{Filter, UnpackOptions, UnpackReport, original_name, unpack};
use made::{Content, Row, at, key, write};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The folder of the table.
const TABLE: &str = "Db.dbo.Files";

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("bundles")).unwrap();
        Self { dir }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn bundle(&self, run: u8, rows: &[Row], tombstones: &[(u8, i64)]) -> PathBuf {
        write(&self.dir.path().join("bundles"), run, rows, tombstones)
    }

    /// Unpacks, and gives what each key became.
    fn unpack(&self, bundles: &[PathBuf], options: &UnpackOptions) -> Result<(UnpackReport, BTreeMap<Guid, String>)> {
        let mut reported = BTreeMap::new();
        let report = unpack(bundles, options, &Local, &Silent, &mut |written| {
            let path = written.path.strip_prefix(TABLE).unwrap().to_str().unwrap().replace('\\', "/");
            assert_eq!(reported.insert(written.key.id(), path), None);
        })?;
        // Nothing but the bundles and the folder.
        let beside = std::fs::read_dir(self.dir.path()).unwrap().count();
        assert!(beside <= 2, "something was written outside of the folder");
        Ok((report, reported))
    }

    fn of(&self, rows: &[Row]) -> (UnpackReport, BTreeMap<Guid, String>) {
        let bundle = self.bundle(1, rows, &[]);
        self.unpack(&[bundle], &UnpackOptions::new(self.out())).unwrap()
    }

    fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.out().join(TABLE).join(path)).unwrap()
    }
}

/// Every file under a folder, by its path with `/`.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for path in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/");
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn rows_become_files_in_their_folders_with_their_times() {
    let place = Place::new();
    let mut large = Row::file(4, Some(2), "large.bin", b"");
    large.content = Content::Blob(vec![9; 300_000]);
    let (report, paths) = place.of(&[
        Row::folder(1, None, "Letters"),
        Row::folder(2, Some(1), "2026"),
        Row::file(3, Some(1), "a.txt", b"hello"),
        large,
        Row::file(5, None, "empty", b""),
        Row::folder(6, Some(2), "nothing in it"),
        Row { content: Content::Null, ..Row::file(7, None, "no value", b"") },
    ]);
    assert_eq!(paths[&key(3)], "Letters/a.txt");
    assert_eq!(place.read("Letters/a.txt"), b"hello");
    assert_eq!(place.read("Letters/2026/large.bin"), vec![9; 300_000]);
    assert_eq!(place.read("empty"), b"");
    let folder = place.out().join(TABLE);
    assert!(folder.join("Letters/2026/nothing in it").is_dir() && !folder.join("no value").exists());
    assert_eq!((report.files, report.folders, report.bytes), (3, 3, 300_005));
    assert_eq!((report.without_value, report.orphans, report.marked), (1, 0, 0));
    let modified = folder.join("Letters/a.txt").metadata().unwrap().modified().unwrap();
    let due = u64::try_from((at(10).ticks() - at(0).ticks()) / 10_000_000).unwrap() + 1_767_225_600;
    let found = modified.duration_since(UNIX_EPOCH).unwrap();
    assert_eq!((found.as_secs(), found.subsec_nanos() / 100), (due, 7));
}

#[test]
fn attack_hostile_and_reserved_names_and_collisions() {
    let place = Place::new();
    let names = [
        "../../evil",
        "..",
        ".",
        "CON",
        "nul.txt",
        "a/b\\c",
        "x:y",
        "dot.",
        "sp ",
        "_orphans",
        "%41",
        "\u{202e}cod.exe",
    ];
    let mut rows: Vec<Row> = (1..).zip(names).map(|(nth, name)| Row::file(nth, None, name, name.as_bytes())).collect();
    rows.push(Row::file(101, None, "Report.txt", b"1"));
    rows.push(Row::file(102, None, "REPORT.TXT", b"2"));
    rows.push(Row::file(103, None, "report.txt", b"3"));
    let (report, paths) = place.of(&rows);
    let due = [
        "..%2F..%2Fevil",
        ".%2E",
        "%2E",
        "%43ON",
        "%6Eul.txt",
        "a%2Fb%5Cc",
        "x%3Ay",
        "dot%2E",
        "sp%20",
        "_orphans (0a0a0a0a)",
        "%2541",
        "%E2%80%AEcod.exe",
    ];
    for ((nth, name), due) in (1..).zip(names).zip(due) {
        assert_eq!(paths[&key(nth)], due);
        assert_eq!(place.read(due), name.as_bytes());
    }
    assert_eq!(original_name("..%2F..%2Fevil").as_deref(), Some("../../evil"));
    let reports = [101, 102, 103].map(|nth| paths[&key(nth)].as_str());
    assert_eq!(reports, ["Report.txt", "REPORT (66666666).TXT", "report (67676767).txt"]);
    assert_eq!((report.files, report.marked), (15, 3));
}

#[test]
fn orphans_circles_and_endless_paths_have_a_place() {
    let place = Place::new();
    let long = "l".repeat(200);
    let mut rows = vec![
        Row::file(1, Some(99), "lost", b"1"),
        Row { has_parent_path: true, ..Row::file(2, None, "whose?", b"2") },
        Row::folder(3, Some(4), "three"),
        Row::folder(4, Some(3), "four"),
        Row::file(5, Some(4), "in a circle", b"5"),
    ];
    rows.extend((10..40).map(|nth| Row::folder(nth, (nth > 10).then(|| nth - 1), &long)));
    rows.push(Row::file(41, Some(39), "deep", b"41"));
    let (report, paths) = place.of(&rows);
    assert_eq!(paths[&key(1)], format!("_orphans/{}/lost", key(99)));
    assert_eq!(paths[&key(2)], "_orphans/unknown/whose?".replace('?', "%3F"));
    assert_eq!(paths[&key(5)], format!("_orphans/{}/four/in a circle", key(3)));
    assert_eq!(place.read(&paths[&key(5)]), b"5");
    assert!(paths[&key(41)].starts_with("_deep/") && paths[&key(41)].len() < 2200, "{}", paths[&key(41)]);
    assert_eq!(place.read(&paths[&key(41)]), b"41");
    assert_eq!((report.files, report.folders, report.orphans), (4, 32, 3));
}

/// The folder was deleted and made again under another key; what lies in it was not stamped.
#[test]
fn a_parent_whose_key_leads_nowhere_is_found_by_its_path() {
    let place = Place::new();
    let within = |path, row: Row| Row { parent_path: path, ..row };
    let one = place.bundle(
        1,
        &[
            Row { path: Some("/L"), ..Row::folder(1, None, "Letters") },
            within("/L", Row::file(2, Some(1), "a", b"a")),
            within("/L", Row { path: Some("/L/S"), ..Row::folder(3, Some(1), "Sub") }),
            within("/L/S", Row::file(4, Some(3), "b", b"b")),
            within("/nowhere", Row::file(7, Some(1), "c", b"c")),
        ],
        &[],
    );
    let again = |nth| Row { path: Some("/L"), modified: 50, ..Row::folder(nth, None, "Letters") };
    // What has that path no more is not the folder, whatever it had.
    let moved = Row { path: Some("/M"), modified: 60, ..Row::folder(5, None, "Moved") };
    let two = place.bundle(2, &[again(5), again(6)], &[(1, 40)]);
    let three = place.bundle(3, &[moved], &[]);
    let options = UnpackOptions { latest: true, ..UnpackOptions::new(place.out()) };
    let (report, paths) = place.unpack(&[one.clone(), two.clone(), three], &options).unwrap();
    assert_eq!([2, 4].map(|nth| paths[&key(nth)].clone()), ["Letters/a", "Letters/Sub/b"]);
    assert_eq!(paths[&key(7)], format!("_orphans/{}/c", key(1)));
    assert_eq!((report.by_path, report.orphans), (2, 1));
    std::fs::remove_dir_all(place.out()).unwrap();
    // Of two that have it nobody knows which.
    let (report, paths) = place.unpack(&[one, two], &options).unwrap();
    assert_eq!(paths[&key(2)], format!("_orphans/{}/a", key(1)));
    assert_eq!((report.by_path, report.orphans), (0, 3));
}

/// Any text that a nvarchar(255) holds.
fn any_name() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec!["..", "/", "\\", "CON", "aux.", "%", "\u{0}", " ", "é", "ſ", "日", ":", "."]);
    let parts =
        prop::collection::vec(prop_oneof![odd.prop_map(str::to_owned), any::<char>().prop_map(String::from)], 0..120);
    parts.prop_map(|parts| parts.concat()).prop_filter("too long", |name| name.encode_utf16().count() <= 255)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_name_is_written_inside_and_reads_back(names in prop::collection::vec(any_name(), 1..20), folders in 0_u8..4) {
        let place = Place::new();
        let row = |nth: u8, name: &String| {
            let parent = (nth > 0 && folders > 0).then(|| (nth - 1) % folders).filter(|parent| *parent < nth);
            match nth < folders {
                true => Row::folder(nth, parent, name),
                false => Row::file(nth, parent, name, &[nth]),
            }
        };
        let rows: Vec<Row> = (0..).zip(&names).map(|(nth, name)| row(nth, name)).collect();
        let (report, paths) = place.of(&rows);
        prop_assert_eq!(report.files + report.folders, names.len() as u64);
        let whole = files(&place.out().join(TABLE));
        prop_assert_eq!(whole.len() as u64, report.files);
        let folded: BTreeSet<String> = paths.values().map(|path| path.to_uppercase().to_lowercase()).collect();
        prop_assert_eq!(folded.len(), names.len(), "names that differ in case alone");
        for (nth, name) in (0..).zip(&names) {
            let path = &paths[&key(nth)];
            let last = path.rsplit('/').next().unwrap();
            prop_assert!(last.len() <= 255);
            if nth >= folders {
                prop_assert_eq!(&whole[path], &vec![nth]);
            }
            // The name reads back, but for the key that tells it apart, and what was too long.
            if let Some(read) = original_name(last) {
                let unmarked = read.replace(&format!(" ({})", key(nth).short()), "").replace(&format!(" ({})", key(nth)), "");
                prop_assert_eq!(unmarked, name.clone());
            } else {
                prop_assert!(last.contains("%~") && name.len() > 60, "{last:?} of {name:?}");
            }
        }
    }
}

#[test]
fn the_latest_of_several_bundles_counts_and_a_tombstone_beats_what_came_before() {
    let place = Place::new();
    let new = |row: Row| Row { modified: 50, ..row };
    let one = place.bundle(
        1,
        &[
            Row::folder(1, None, "Old"),
            Row::file(2, Some(1), "a", b"old"),
            Row::file(3, Some(1), "gone", b"x"),
            Row::file(4, Some(1), "back", b"x"),
            Row::folder(5, None, "deleted folder"),
            Row::file(6, Some(5), "left", b"6"),
        ],
        &[],
    );
    let two = place.bundle(
        2,
        &[
            new(Row::folder(1, None, "New")),
            new(Row::file(2, Some(1), "a", b"new")),
            new(Row::file(4, Some(1), "back", b"y")),
        ],
        &[(3, 10), (4, 49), (5, 60)],
    );
    let options = UnpackOptions { latest: true, ..UnpackOptions::new(place.out()) };
    for (nth, bundles) in [[one.clone(), two.clone()], [two.clone(), one.clone()]].iter().enumerate() {
        // Few keys in memory: the rest in a file.
        let options = UnpackOptions { keys_in_memory: if nth == 0 { 2 } else { 1000 }, ..options.clone() };
        let (report, _) = place.unpack(bundles, &options).unwrap();
        let found = files(&place.out().join(TABLE));
        let orphan = format!("_orphans/{}/left", key(5));
        let due = [("New/a", &b"new"[..]), ("New/back", b"y"), (&orphan, b"6")];
        assert_eq!(found, due.map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).into(), "order {nth}");
        assert_eq!((report.files, report.folders, report.orphans), (3, 1, 1));
        std::fs::remove_dir_all(place.out()).unwrap();
    }
    // The same bundle twice is one; and one without --latest is what it holds.
    place.unpack(&[two.clone(), two], &options).unwrap();
    assert_eq!(files(&place.out()).len(), 2);
}

#[test]
fn one_key_and_conditions_take_what_they_say() {
    let place = Place::new();
    let rows = [
        Row::folder(1, None, "Invoices"),
        Row::file(2, Some(1), "Invoice 1.pdf", b"2"),
        Row::file(3, Some(1), "letter.pdf", b"3"),
        Row::file(4, None, "INVOICE 2.txt", b"4"),
    ];
    let bundle = [place.bundle(1, &rows, &[])];
    let options = UnpackOptions::new(place.out());
    let with = |filters: &[&str], key| UnpackOptions {
        filters: filters.iter().map(|text| Filter::parse(text).unwrap()).collect(),
        key,
        ..options.clone()
    };
    let take = |options: UnpackOptions| {
        let taken = place.unpack(&bundle, &options).unwrap().1;
        std::fs::remove_dir_all(place.out()).unwrap();
        taken.into_values().collect::<Vec<_>>()
    };
    assert_eq!(take(with(&[], Some(key(3).to_string()))), ["Invoices/letter.pdf"]);
    assert_eq!(take(with(&["name~invoice"], None)), ["Invoices", "Invoices/Invoice 1.pdf", "INVOICE 2.txt"]);
    assert_eq!(take(with(&["name~invoice", "name~.PDF"], None)), ["Invoices/Invoice 1.pdf"]);
}
