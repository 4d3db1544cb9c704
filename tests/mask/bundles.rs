//! One masked bundle.

use super::rich::{self, PRIVATE, masked, masked_by};
use crate::made::{Content, Made, Row};
use crate::world::tree;
use blobdelta::bundle::{Bundle, FileRole};
use blobdelta::error::Kind;
use blobdelta::mask::MaskSecret;
use blobdelta::model::cell::{Cell, RowSource};
use blobdelta::monitor::Silent;
use blobdelta::rows::{PartColumns, TableRows};
use blobdelta::verify::{VerifyLevel, verify};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// A policy for the tables of `Made`.
pub const OF_MADE: &str = "version = 1\n[tables.\"Db.dbo.Files\"]\nfile_stream = \"noise\"\n";

/// All rows of a bundle by key, each value as text; a large one by its bytes.
pub fn rows(path: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let bundle = Bundle::open(path).unwrap();
    let mut found = BTreeMap::new();
    for table in &bundle.manifest().tables {
        let source = TableRows { bundle: &bundle, table };
        let columns = PartColumns::all(table, FileRole::Rows).unwrap();
        let each = source.each(FileRole::Rows, &columns, &Silent, |mut batch| {
            for large in batch.large_refs()? {
                let bytes = bundle.read_blob(source.blob_file(&large.reference)?, 1 << 30, &Silent)?;
                batch.supply(&large, bytes)?;
            }
            for row in 0..batch.rows() {
                let mut values = BTreeMap::new();
                for (nth, column) in batch.plan().columns().iter().enumerate() {
                    let mut text = String::new();
                    match batch.cell(row, nth)? {
                        Cell::Bytes(bytes) => _ = write!(text, "b:{}", String::from_utf8_lossy(bytes)),
                        cell => _ = write!(text, "{cell:?}"),
                    }
                    values.insert(column.name.clone(), text);
                }
                found.insert(batch.key(row)?.to_string(), values);
            }
            Ok(())
        });
        each.unwrap();
    }
    found
}

fn good(path: &Path) {
    let report = verify(path, VerifyLevel::Deep, &Silent).unwrap();
    assert!(report.is_good(), "{report:#?}");
}

pub fn rule_29_nothing_of_the_masked_columns_is_left() {
    let letter = "Joan Example is allergic to penicillin. ".repeat(100);
    let (world, original) = rich::bundle(letter.as_bytes(), &[]);
    let done = masked(&[&original], rich::POLICY, &world.path("masked")).unwrap();
    let path = done[0].published.path();
    good(path);
    let shown = format!("{:?}", rows(path));
    let before = format!("{:?}", rows(&original));
    for private in PRIVATE {
        assert!(before.contains(private), "{private}");
        assert!(!shown.contains(private), "{private}: {shown}");
        for (file, bytes) in tree(path) {
            let holds = bytes.windows(private.len()).any(|window| window == private.as_bytes());
            assert!(!holds, "{private} in {}", file.display());
        }
    }
    let manifest = Bundle::open(path).unwrap().manifest().clone();
    let info = manifest.masked.unwrap();
    assert_eq!(info.tables[0].columns.len(), 18);
    let text = std::fs::read_to_string(path.join("manifest.json")).unwrap();
    let root = Bundle::open(&original).unwrap().root_sha256().to_string();
    assert!(!text.contains(&root) && !text.contains(rich::SECRET));
}

pub fn what_is_null_or_empty_stays_so_and_sizes_follow() {
    let (world, original) = rich::bundle(b"A letter of thirty-odd bytes ...", &[]);
    let done = masked(&[&original], rich::POLICY, &world.path("masked")).unwrap();
    let (before, after) = (rows(&original), rows(done[0].published.path()));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "keys stay");
    for (key, before) in &before {
        let after = &after[key];
        for (column, was) in before {
            let is = &after[column];
            match (column.as_str(), was.as_str()) {
                ("other", _) => assert_eq!(is, "Null"),
                ("remark", was) => assert_eq!(is == "Null", was == "Null"),
                (_, "Null" | "Text(\"\")" | "b:") => assert_eq!(is, was, "{column}"),
                ("size", "Int(0)") => assert_eq!(is, "Int(0)"),
                ("size", _) => assert_eq!(is, &format!("Int({})", after["file_stream"].len() - 2)),
                ("file_type", _) => assert_eq!(is, "Text(\"txt\")"),
                (column, _) if column.starts_with("Delta") || column.contains("path") => assert_eq!(is, was),
                ("stream_id" | "is_directory", _) => assert_eq!(is, was),
                _ => assert_ne!(is, was, "{column}"),
            }
        }
    }
    // The same name in two columns of one domain, and in one row of it and another.
    let names = |column: &str| after.values().map(|row| row[column].clone()).collect::<Vec<_>>();
    assert_eq!(names("client")[0], names("worker")[2]);
}

pub fn large_values_are_masked_in_pieces() {
    let letter = "Joan Example, äöü, penicillin 🙂 ".repeat(60_000);
    let (world, original) = rich::bundle(letter.as_bytes(), &["--inline-mib", "1"]);
    let policy = rich::POLICY.replace("notes = \"words\"", "notes = \"token\"");
    let done = masked(&[&original], &policy, &world.path("masked")).unwrap();
    good(done[0].published.path());
    let large = rows(done[0].published.path());
    let value = &large.values().next().unwrap()["file_stream"];
    assert_eq!(value.len() - 2, letter.len());
    assert!(!value.contains("Joan") && value.contains("masked"));
    let kept = rich::POLICY.replace("{ mask = \"placeholder\", extension = \"file_type\" }", "\"keep\"");
    let done = masked(&[&original], &kept, &world.path("kept")).unwrap();
    assert_eq!(rows(done[0].published.path()).values().next().unwrap()["file_stream"], format!("b:{letter}"));
    // A text in blob/ is masked as one in its row is, letter by letter or by its hash.
    let (other, inline) = rich::bundle(letter.as_bytes(), &[]);
    for (nth, policy) in ["words", "token"].into_iter().zip([rich::POLICY, &policy]) {
        let of = |world: &crate::world::World, original: &Path| {
            let out = world.path(nth);
            let done = masked(&[original], policy, &out).unwrap();
            rows(done[0].published.path()).values().next().unwrap()["notes"].clone()
        };
        let notes = of(&world, &original);
        assert!(notes == of(&other, &inline) && !notes.contains("Joan"));
    }
    let made = Made {
        rows: vec![Row { content: Content::Blob(vec![7; 300_000]), ..Row::root(1, Some(150), b"") }],
        ..Made::new(1, 1000, (100, 500))
    };
    std::fs::create_dir(world.path("made")).unwrap();
    let original = made.write(&world.path("made"));
    let done = masked(&[&original], OF_MADE, &world.path("noise")).unwrap();
    good(done[0].published.path());
    let noise = only(&done[0].published.path().join("data/t001-Files/blob"));
    let size = noise.metadata().unwrap().len();
    assert!(size > 290_000, "noise is not compressible: {size}");
}

pub fn the_same_bundle_gives_the_same_bytes_and_another_secret_others() {
    let (world, original) = rich::bundle(b"A letter.", &[]);
    let root = |out: &str| masked(&[&original], rich::POLICY, &world.path(out)).unwrap()[0].published.root_sha256();
    assert_eq!(root("one"), root("two"));
    let rows_of = (1..100).map(|nth| Row::root(nth, Some(150), &[nth; 3000]));
    let made = Made { rows: rows_of.collect(), ..Made::new(1, 1000, (100, 500)) };
    std::fs::create_dir(world.path("made")).unwrap();
    let made = made.write(&world.path("made"));
    let on = |threads: usize| {
        let out = world.path(&threads.to_string());
        rich::masked_on(threads, &[&made], (OF_MADE, &rich::secret()), &out).unwrap()[0].published.root_sha256()
    };
    assert_eq!(on(1), on(5), "cores do not show");
    let other = MaskSecret::parse(&rich::SECRET.replace("5f", "6f")).unwrap();
    let other = masked_by(&[&original], rich::POLICY, &other, &world.path("three")).unwrap();
    let (one, other) = (rows(&only(&world.path("one"))), rows(other[0].published.path()));
    for column in ["name", "client", "mail", "number", "notes", "case", "scan"] {
        let of = |rows: &BTreeMap<String, BTreeMap<String, String>>| rows.values().next().unwrap()[column].clone();
        assert_ne!(of(&one), of(&other), "{column}");
    }
}

fn only(folder: &Path) -> std::path::PathBuf {
    std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

pub fn a_damaged_bundle_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let original = Made::sample().write(folder.path());
    for (file, bytes) in tree(&original).into_iter().filter(|(file, _)| file.starts_with("data")) {
        let at = original.join(&file);
        let mut changed = bytes.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(&at, &changed).unwrap();
        let out = folder.path().join("masked");
        let error = masked(&[&original], OF_MADE, &out).unwrap_err();
        assert_eq!(error.kind(), Kind::Verification, "{}: {error}", file.display());
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0, "{}", file.display());
        std::fs::write(&at, &bytes).unwrap();
    }
    let mut lying = Made::sample();
    lying.row(1).content = Content::WrongHash(b"one".to_vec());
    let lying = lying.write(&folder.path().join("masked"));
    let error = masked(&[&lying], OF_MADE, &folder.path().join("other")).unwrap_err();
    assert_eq!(error.kind(), Kind::Verification, "{error}");
}

pub fn what_a_manifest_says_of_people_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut made = Made::sample();
    made.spoil = |manifest| {
        manifest.run.requested_by = "CLINIC\\joan.example".to_owned();
        manifest.failed_tables.push(blobdelta::bundle::manifest::FailedTable {
            table: blobdelta::model::name::TableName::parse("Db.dbo.Other").unwrap(),
            error: "a value of Joan Example does not fit its column".to_owned(),
        });
    };
    let original = made.write(folder.path());
    let done = masked(&[&original], OF_MADE, &folder.path().join("masked")).unwrap();
    for (file, bytes) in tree(done[0].published.path()) {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(!text.contains("joan"), "{}", file.display());
    }
    let (was, is) = (Bundle::open(&original).unwrap(), Bundle::open(done[0].published.path()).unwrap());
    let (was, is) = (was.manifest(), is.manifest());
    assert_ne!((was.run.source_id, was.run.run_id), (is.run.source_id, is.run.run_id));
    assert_eq!((was.run.started_at, &was.tables[0].window), (is.run.started_at, &is.tables[0].window));
    assert_eq!(was.tables[0].counts, is.tables[0].counts);
}
