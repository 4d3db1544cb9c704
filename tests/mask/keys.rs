//! Masked keys and paths: rows stand in another order, and the tree stays.

use super::bundles::rows;
use super::proof::proof_with;
use super::rich::{masked, secret};
use crate::made::{Made, key};
use crate::world::{World, tree};
use blobdelta::bundle::Bundle;
use blobdelta::error::Kind;
use blobdelta::mask::{MaskCheck, MaskSecret};
use blobdelta::model::cell::Cell;
use blobdelta::model::column::Column;
use blobdelta::model::name::TableName;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use blobdelta::verify::{VerifyLevel, verify};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// For the tables of `Made`: the value is kept, so that it tells which row became which.
pub const REKEYED: &str = "version = 1\n[tables.\"Db.dbo.Files\"]\nstream_id = \"rekey\"\nfile_stream = \"keep\"\n";

fn good(path: &Path) {
    let report = verify(path, VerifyLevel::Deep, &Silent).unwrap();
    assert!(report.is_good(), "{report:#?}");
}

pub fn rule_29_masked_keys_are_one_to_one_and_the_tree_stays() {
    let folder = tempfile::tempdir().unwrap();
    let original = Made::sample().write(folder.path());
    let done = masked(&[&original], REKEYED, &folder.path().join("masked")).unwrap();
    let path = done[0].published.path();
    good(path);
    let (before, after) = (rows(&original), rows(path));
    assert_eq!(before.len(), after.len());
    let became: BTreeMap<String, String> = before
        .iter()
        .filter(|(_, row)| row["file_stream"] != "Null" && row["DeltaEarly"] == "Bool(false)")
        .map(|(key, row)| {
            let same =
                |other: &BTreeMap<String, String>| ["file_stream", "path_locator"].map(|name| other[name] == row[name]);
            let (masked, _) = after.iter().find(|(_, other)| same(other) == [true; 2]).unwrap();
            assert_ne!(key, masked);
            (format!("Guid({key})"), format!("Guid({masked})"))
        })
        .collect();
    for (key, row) in &before {
        let Some(masked) = became.get(&format!("Guid({key})")) else { continue };
        let masked = &after[masked.trim_start_matches("Guid(").trim_end_matches(')')];
        if let Some(parent) = became.get(&row["DeltaParentKey"]) {
            assert_eq!(&masked["DeltaParentKey"], parent);
        }
        assert_eq!(row["path_locator"], masked["path_locator"]);
    }
    let proven = proof_with(path, &original, Some(&secret()));
    assert!(proven.is_good() && proven.counts[MaskCheck::Keys as usize].0 > 10, "{proven:#?}");
    let left = tree(path).into_values().any(|bytes| (1..10).any(|nth| bytes.windows(16).any(|at| at == [nth; 16])));
    assert!(!left, "a key of the original is left");
}

pub fn the_proof_of_masked_keys_needs_their_secret() {
    let folder = tempfile::tempdir().unwrap();
    let original = Made::sample().write(folder.path());
    let done = masked(&[&original], REKEYED, &folder.path().join("masked")).unwrap();
    let other = MaskSecret::parse(&super::rich::SECRET.replace("5f", "6f")).unwrap();
    for secret in [None, Some(&other)] {
        let open = |path: &Path| Bundle::open(path).unwrap();
        let pair = (&open(done[0].published.path()), &open(&original));
        let error = blobdelta::mask::check(pair, secret, Default::default(), &Silent).unwrap_err();
        assert!(error.kind() == Kind::Usage && error.to_string().contains("only the secret"), "{error}");
    }
}

pub fn a_key_that_became_another_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let original = Made::sample().write(&at("original"));
    let done = masked(&[&original], REKEYED, &at("masked")).unwrap();
    let changed: [fn(&mut Made); 4] = [
        |made| made.row(5).key = key(15),
        |made| made.row(7).parent = Some(key(1)),
        |made| made.tombstones[1].0 = key(22),
        |made| made.absent[0].1 = Some(key(99)),
    ];
    for (nth, change) in changed.into_iter().enumerate() {
        let mut made = Made::sample();
        change(&mut made);
        made.sort();
        let other = made.write(&at(&nth.to_string()));
        let found = proof_with(done[0].published.path(), &other, Some(&secret()));
        assert!(
            found.counts[MaskCheck::Keys as usize].1 > 0 || found.counts[MaskCheck::Nulls as usize].1 > 0,
            "{nth}: {found:#?}"
        );
    }
}

pub fn a_key_is_not_masked_from_the_second_week_on() {
    let folder = tempfile::tempdir().unwrap();
    let originals = super::chains::weeks(&folder.path().join("in"), 2);
    let out = folder.path().join("masked");
    let kept = REKEYED.replace("stream_id = \"rekey\"", "stream_id = \"keep\"");
    for (first, second) in [(kept.as_str(), REKEYED), (REKEYED, kept.as_str())] {
        let out = out.with_extension(first.len().to_string());
        let _ = masked(&[&originals[0]], first, &out).unwrap();
        let error = masked(&[&originals[1]], second, &out).unwrap_err();
        assert!(error.kind() == Kind::Config && error.to_string().contains("before this one has"), "{error}");
    }
}

/// A table with its columns, the settings of its key and paths, and its rows.
type Seeded<'s> = (&'s str, Vec<Column>, &'s [&'s str], Vec<Vec<Cell<'s>>>);

/// The bundle of the first run of an instance with these tables. The first column is the key.
fn bundle(tables: &[Seeded<'_>]) -> (World, PathBuf) {
    let world = World::bare();
    let mut backend = world.backend();
    backend.create_database("Src").unwrap();
    backend.create_database("Meta").unwrap();
    for (name, columns, _, rows) in tables {
        let source = TableName::parse(name).unwrap();
        let metadata = TableName { db: "Meta".into(), ..source.clone() };
        let stamps =
            [Column::new("Id", columns[0].sql_type, false), Column::new("ModifiedOn", SqlType::DateTime2(7), true)];
        backend.create_table(&source, columns, &columns[0].name, &[]).unwrap();
        backend.create_table(&metadata, &stamps, "Id", &[&["ModifiedOn"]]).unwrap();
        let at = Cell::DateTime(Timestamp::parse("2020-05-01").unwrap());
        backend.insert(&source, columns, rows).unwrap();
        backend.insert(&metadata, &stamps, &rows.iter().map(|row| vec![row[0], at]).collect::<Vec<_>>()).unwrap();
    }
    drop(backend);
    world.good(&["deploy"]);
    for (name, columns, settings, _) in tables {
        let metadata = name.replace("Src.", "Meta.");
        let key = format!("KeyColumn={}", columns[0].name);
        let add = ["table", "add", name, "--metadata", &metadata, "MetadataIdColumn=Id", &key];
        world.good(&[&add[..], settings].concat());
    }
    let path = world.bundle();
    (world, path)
}

const BYTES: SqlType = SqlType::VarBinary(None);

pub fn integers_are_masked_in_their_tree_and_where_other_tables_refer_to_them() {
    const NUMBERS: [(i64, Option<i64>, &[u8]); 6] = [
        (1, None, b"one"),
        (2, Some(1), b"two"),
        (3, Some(2), b"three"),
        (-5, None, b"five"),
        (40, Some(99), b"x"),
        (7, Some(-5), b"y"),
    ];
    let numbers = NUMBERS
        .map(|(id, parent, bytes)| vec![Cell::Int(id), parent.map_or(Cell::Null, Cell::Int), Cell::Bytes(bytes)]);
    let notes = NUMBERS.map(|(id, _, bytes)| vec![Cell::Int(id + 100), Cell::Int(id), Cell::Bytes(bytes)]);
    let number = |name: &str, nullable| Column::new(name, SqlType::Int, nullable);
    let (world, original) = bundle(&[
        (
            "Src.dbo.Numbers",
            vec![number("Id", false), number("ParentId", true), Column::new("bytes", BYTES, true)],
            &["PathColumn=Id", "ParentPathColumn=ParentId"],
            numbers.to_vec(),
        ),
        (
            "Src.dbo.Notes",
            vec![number("Id", false), number("NumberId", true), Column::new("bytes", BYTES, true)],
            &["PathColumn=", "ParentPathColumn="],
            notes.to_vec(),
        ),
    ]);
    let rekey = "{ mask = \"rekey\", domain = \"number\" }";
    let policy = format!(
        "version = 1\n[tables.\"Src.dbo.Numbers\"]\nId = {rekey}\nParentId = {rekey}\nbytes = \"keep\"\n\
         [tables.\"Src.dbo.Notes\"]\nId = \"rekey\"\nNumberId = {rekey}\nbytes = \"keep\"\n"
    );
    let done = masked(&[&original], &policy, &world.path("masked")).unwrap();
    let path = done[0].published.path();
    good(path);
    let proven = proof_with(path, &original, Some(&secret()));
    assert!(proven.is_good(), "{proven:#?}");
    let after: Vec<_> = rows(path).into_values().collect();
    let of = |name: &str, bytes: &str| {
        let found = after.iter().find(|row| row["bytes"] == format!("b:{bytes}") && row.contains_key(name));
        found.unwrap_or_else(|| panic!("{name} of {bytes}: {after:?}"))[if name == "ParentId" { "Id" } else { name }]
            .clone()
    };
    for (id, _, bytes) in NUMBERS {
        let bytes = String::from_utf8_lossy(bytes);
        let masked = of("ParentId", &bytes);
        assert_eq!(masked, of("NumberId", &bytes), "a reference has the mask of what it refers to");
        assert!(masked != format!("Int({id})") && masked.contains('-') == (id < 0), "{id}: {masked}");
    }
    let parent = |bytes: &str| after.iter().find(|row| row["bytes"] == *bytes && row.contains_key("ParentId")).unwrap();
    assert_eq!(parent("b:three")["ParentId"], of("ParentId", "two"));
    assert_eq!(parent("b:y")["DeltaParentKey"], of("ParentId", "five"));
    let into = format!("sqlite:{}", world.path("target").display());
    let replayed = world.call_on("", &["replay", &path.display().to_string(), "--into", &into, "--create"]);
    assert_eq!(replayed.code, 0, "{replayed:?}");
    // Without one domain the tree would fall apart.
    let apart = policy.replacen(rekey, "\"rekey\"", 1);
    let error = masked(&[&original], &apart, &world.path("masked")).unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("two ends of one tree"), "{error}");
}

pub fn a_path_is_kept_unless_it_can_be_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let original = Made::sample().write(folder.path());
    let out = folder.path().join("masked");
    for mask in ["rekey", "noise"] {
        let policy = format!("{REKEYED}path_locator = \"{mask}\"\n");
        let error = masked(&[&original], &policy, &out).unwrap_err();
        assert!(error.kind() == Kind::Config && error.to_string().contains("is a path"), "{error}");
        assert_eq!(error.what_to_do(), Some("use keep"));
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
    }
}
