//! What a bundle may not do to a target by what it calls things: rows of others, tables of ours, databases of the server.

use crate::made::{Made, Row, key};
use crate::replay::place::{Into, Place};
use crate::replay::refused::refused;
use blobdelta::backend::{OpenOptions, Sandbox};
use blobdelta::bundle::Manifest;
use blobdelta::error::Kind;
use blobdelta::model::name::TableName;
use blobdelta::monitor::Silent;
use blobdelta::replay::{ReplayOptions, SourceTable, check, replay};
use std::path::PathBuf;

/// A bundle of one row under the key 1, later than those of lesser runs.
fn bundle(place: &Place, run: u8, spoil: fn(&mut Manifest)) -> PathBuf {
    let mut made = Made::new(run, i64::from(run) * 1000, (0, 100));
    (made.rows, made.spoil) = (vec![Row::root(1, Some(i64::from(run)), &[run])], spoil);
    made.write(place.folder())
}

fn another_source(manifest: &mut Manifest) {
    manifest.run.source_id = key(0x51);
}

fn another_name(manifest: &mut Manifest) {
    manifest.tables[0].name = TableName::parse("Any.dbo.Thing").unwrap();
}

fn another_database(manifest: &mut Manifest) {
    let other = TableName::parse("Other.dbo.FILES").unwrap();
    (manifest.tables[0].name, manifest.tables[0].source) = (other.clone(), other);
}

/// A bundle that would write over rows of another is refused, also where gaps are allowed; and what the refusal says to
/// type is enough.
fn is_kept_apart(place: &Place, spoil: fn(&mut Manifest), says: &str) {
    let (own, strange) = (bundle(place, 1, |_| {}), bundle(place, 9, spoil));
    let into = place.target("Into");
    let both = [own.clone(), strange.clone()];
    let error = refused(&into, &both, &into.options(true));
    assert!(error.kind() == Kind::Config && error.to_string().contains(says), "{error:?}");
    into.apply(&[own], false).unwrap();
    let strange = [strange];
    let error = refused(&into, &strange, &into.options(true));
    assert!(error.kind() == Kind::Config && error.to_string().contains(says), "{error:?}");
    assert_eq!(into.existing()[&key(1)].as_deref(), Some(&[1][..]));
    let typed = error.what_to_do().unwrap().split_once("--also-from ").unwrap().1.to_owned();
    let also_from = vec![SourceTable::parse(&typed).unwrap()];
    let options = ReplayOptions { also_from, ..into.options(false) };
    let report = replay(&strange, &mut *into.open().unwrap(), &options, &Silent).unwrap();
    assert!(
        report.bundles[0].tables[0].reported.iter().any(|reported| reported.contains("as was allowed")),
        "{report:?}"
    );
    assert_eq!(into.existing()[&key(1)].as_deref(), Some(&[9][..]));
    // It belongs there from now on, and both compete in one ledger.
    assert!(into.apply(&both, false).unwrap().bundles.iter().all(|bundle| bundle.was_applied_before()));
    let found = check(&both, &mut *into.open().unwrap(), &into.options(false), &Silent).unwrap();
    assert_eq!((found.equal, found.outranked, found.findings.len()), (1, 1, 0));
}

pub fn attack_a_second_source_does_not_write_over_the_first_one_s_rows(place: &Place) {
    is_kept_apart(place, another_source, "another source");
}

pub fn attack_another_name_for_the_same_source_table_is_no_other_target(place: &Place) {
    is_kept_apart(place, another_name, "another table of its source");
}

pub fn attack_two_source_tables_that_lead_to_one_target_are_told_apart(place: &Place) {
    is_kept_apart(place, another_database, "another table of its source");
}

pub fn attack_deletions_of_another_source_remove_nothing(place: &Place) {
    let own = bundle(place, 1, |_| {});
    let mut made = Made::new(9, 9000, (0, 100));
    (made.tombstones, made.spoil) = (vec![(key(1), 99)], another_source);
    let strange = made.write(place.folder());
    let into = place.target("Into");
    into.apply(&[own], false).unwrap();
    assert_eq!(refused(&into, &[strange], &into.options(true)).kind(), Kind::Config);
    assert_eq!(into.existing().len(), 1);
}

pub fn attack_a_gap_behind_an_allowed_source_is_still_a_gap(place: &Place) {
    let own = bundle(place, 1, |_| {});
    let strange = bundle(place, 9, |manifest| {
        another_source(manifest);
        let root_sha256 = blobdelta::model::digest::Sha256::of(b"never seen");
        manifest.tables[0].previous = Some(blobdelta::bundle::manifest::Previous { root_sha256 });
    });
    let into = place.target("Into");
    into.apply(&[own], false).unwrap();
    let also_from = vec![SourceTable::parse(&format!("{}/Db.dbo.Files", key(0x51))).unwrap()];
    let options = ReplayOptions { also_from, ..into.options(false) };
    assert_eq!(refused(&into, &[strange], &options).kind(), Kind::ChainGap);
    assert_eq!(into.existing()[&key(1)].as_deref(), Some(&[1][..]));
}

fn named(db: &str, schema: &str, table: &str) -> TableName {
    TableName { db: db.into(), schema: schema.into(), table: table.into() }
}

/// The refusal of a target by what it is called.
fn never(backend: &mut dyn Sandbox, table: TableName) {
    let error = backend.resolve_target(table.clone()).unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("ever replayed into"), "{table}: {error:?}");
}

pub fn attack_tables_and_databases_of_ours_and_of_the_server_are_never_targets(place: &Place) {
    let into = place.target("Into");
    let mut backend = into.open().unwrap();
    let jobs = into.open_with(OpenOptions { create: true, ..OpenOptions::default() });
    jobs.unwrap().execute_script("CREATE TABLE Standing (id int NOT NULL PRIMARY KEY)").unwrap();
    for db in ["BlobDeltaJobs", "BLOBDELTAJOBS", "blobdeltajobs ", "master", "Model", "msdb", "TempDB", " master"] {
        never(&mut *backend, named(db, "dbo", "Files"));
    }
    for table in
        ["BlobDeltaReplayLedger", "blobdeltatombstone", "BlobDeltaAnything", "sqlite_master", "#Files", "Files "]
    {
        never(&mut *backend, named(&into.database, "dbo", table));
    }
    for schema in ["sys", "INFORMATION_SCHEMA", "dbo "] {
        never(&mut *backend, named(&into.database, schema, "Files"));
    }
}

pub fn attack_a_view_is_no_target(place: &Place) {
    let into = place.target("Into");
    let mut backend = into.open().unwrap();
    backend.execute_script("CREATE TABLE Standing (id int NOT NULL PRIMARY KEY)").unwrap();
    if place.server.is_some() {
        backend.execute_script("IF OBJECT_ID(N'dbo.Seen') IS NOT NULL DROP VIEW dbo.Seen").unwrap();
    }
    backend.execute_script("CREATE VIEW Seen AS SELECT id FROM Standing").unwrap();
    never(&mut *backend, named(&into.database, "dbo", "SEEN"));
    backend.execute_script("DROP VIEW Seen").unwrap();
    assert_eq!(backend.resolve_target(named(&into.database, "dbo", "Seen")).unwrap().table, "Seen");
}

pub fn attack_databases_of_ours_are_no_targets_under_another_name(place: &Place) {
    let into = place.target("Into");
    let mut backend = into.open().unwrap();
    for ours in ["BlobDeltaSlice", "BlobDeltaTableConfig"] {
        backend.execute_script(&format!("CREATE TABLE {ours} (id int NOT NULL PRIMARY KEY)")).unwrap();
        never(&mut *backend, named(&into.database, "dbo", "Files"));
        backend.execute_script(&format!("DROP TABLE {ours}")).unwrap();
    }
    backend.resolve_target(named(&into.database, "dbo", "Files")).unwrap();
}

/// What leads to one file, or to one table, by several names.
pub fn attack_no_spelling_and_no_link_makes_two_targets_of_one(place: &Place) {
    let into = place.target("Into");
    drop(into.open().unwrap());
    let folder = std::path::Path::new(into.at.trim_start_matches("sqlite:"));
    std::os::unix::fs::symlink("Db.sqlite", folder.join("Linked.sqlite")).unwrap();
    drop(Into { database: "BlobDeltaJobs".into(), ..into.clone() }.open().unwrap());
    std::os::unix::fs::symlink("BlobDeltaJobs.sqlite", folder.join("Innocent.sqlite")).unwrap();
    let mut backend = into.open().unwrap();
    backend.execute_script("CREATE TABLE Files (id int NOT NULL PRIMARY KEY)").unwrap();
    for (db, schema, table) in [("Linked", "dbo", "files"), ("dB", "DBO", "FILES"), ("Db", "dbo", "Files")] {
        let found = backend.resolve_target(named(db, schema, table)).unwrap();
        assert_eq!((found.db.as_str(), found.schema.as_str(), found.table.as_str()), ("Db", "dbo", "Files"));
    }
    never(&mut *backend, named("Innocent", "dbo", "Files"));
    // A session whose main database is named in other letters opens the one that stands.
    drop(Into { database: "DB".into(), ..into.clone() }.open().unwrap());
    assert!(!folder.join("DB.sqlite").exists());
    // A hard link says of neither name whose the file is.
    std::fs::hard_link(folder.join("Db.sqlite"), folder.join("Hard.sqlite")).unwrap();
    let mut backend = into.open().unwrap();
    for db in ["Db", "Hard"] {
        let error = backend.resolve_target(named(db, "dbo", "Files")).unwrap_err();
        assert!(error.kind() == Kind::Config && error.to_string().contains("hard links"), "{db}: {error}");
    }
}

/// A link that leads to no file yet, in the place of a database: SQLite would make it where the link leads.
pub fn attack_a_link_makes_no_database_elsewhere(place: &Place) {
    let into = place.target("Into");
    drop(into.open().unwrap());
    let (folder, outside) =
        (std::path::Path::new(into.at.trim_start_matches("sqlite:")), place.folder().join("outside"));
    for name in ["First", "Other"] {
        let link = folder.join(format!("{name}.sqlite"));
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        let error = Into { database: "First".into(), ..into.clone() }.open().map(drop).unwrap_err();
        assert!(error.kind() == Kind::Config && error.to_string().contains("leads to no file"), "{error}");
        assert!(!outside.exists() && link.is_symlink(), "{name}");
        std::fs::remove_file(link).unwrap();
    }
}
