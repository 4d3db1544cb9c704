//! Rule 23, and targets that would keep rows out: refused before anything is written, by a plan as well, and nothing
//! is left of what was made.

use crate::made::{Made, Row, key};
use crate::replay::place::{Into, Place};
use blobdelta::backend::{Connection, Credentials, OpenOptions, Sandbox};
use blobdelta::error::{Error, Kind};
use blobdelta::model::id::Guid;
use blobdelta::monitor::Silent;
use blobdelta::replay::{ReplayOptions, plan, replay};
use std::path::{Path, PathBuf};

fn connection(into: &Into) -> Connection {
    let password = std::env::var("BLOBDELTA_PASSWORD").ok();
    Connection::parse(&into.at, &Credentials { password, access_token: None }).unwrap()
}

fn jobs(into: &Into) -> Box<dyn Sandbox> {
    connection(into).open_sandbox(&OpenOptions { create: true, ..OpenOptions::default() }).unwrap()
}

/// What a user would be told by a plan and by a replay: the same.
pub fn refused(into: &Into, bundles: &[PathBuf], options: &ReplayOptions) -> Error {
    let mut backend = into.open().unwrap();
    let planned = plan(bundles, &mut *backend, options, &Silent).unwrap_err();
    let error = replay(bundles, &mut *backend, options, &Silent).unwrap_err();
    assert_eq!(format!("{planned:?}"), format!("{error:?}"));
    error
}

pub fn attack_a_replay_into_the_source_is_refused_unless_it_is_meant(place: &Place) {
    let bundles = [Made::sample().write(place.folder())];
    let into = place.target("Into");
    let mut backend = jobs(&into);
    backend.deploy().unwrap();
    let (id, other) = match place.server {
        None => ("x'50505050505050505050505050505050'", "x'51515151515151515151515151515151'"),
        Some(_) => ("'50505050-5050-5050-5050-505050505050'", "NEWID()"),
    };
    let set = |backend: &mut dyn Sandbox, id: &str| {
        backend.execute_script(&format!("UPDATE BlobDeltaSource SET SourceId = {id}")).unwrap();
    };
    set(&mut *backend, id);
    let error = refused(&into, &bundles, &into.options(false));
    set(&mut *backend, other);
    assert!(error.kind() == Kind::Config && error.to_string().contains("comes from"), "{error:?}");
    assert!(error.what_to_do().unwrap().contains("--into-source"), "{error:?}");
    let target = crate::replay::target::spec(&into, "Files");
    assert!(into.open().unwrap().inspect_target(&target).unwrap().is_none(), "nothing was made");
    // A table that another source takes there.
    let database = &into.database;
    let configure = format!(
        "INSERT INTO BlobDeltaTableConfig (TableName, SourceDb, SourceTable, TargetDb, TargetTable, MetadataDb, MetadataTable)
         VALUES ('X.dbo.Y', 'X', 'Y', 'X_Delta', 'Y', '{}', 'FILES')",
        database.to_uppercase()
    );
    backend.execute_script(&configure).unwrap();
    let error = refused(&into, &bundles, &into.options(false));
    let meant = ReplayOptions { into_source: true, ..into.options(false) };
    let report = replay(&bundles, &mut *into.open().unwrap(), &meant, &Silent);
    backend.execute_script("DELETE FROM BlobDeltaTableConfig WHERE TableName = 'X.dbo.Y'").unwrap();
    assert!(error.kind() == Kind::Config && error.to_string().contains("configured"), "{error:?}");
    assert_eq!(report.unwrap().bundles[0].tables[0].written, 7);
    assert!(into.apply(&bundles, false).unwrap().bundles[0].was_applied_before());
}

fn spoiled(place: &Place) -> PathBuf {
    // Deletions come before rows, and stay once they are applied.
    let bundle = Made { tombstones: Vec::new(), ..Made::sample() }.write(place.folder());
    let part = bundle.join("data/t001-Files/part-00000.parquet");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    bundle
}

pub fn a_replay_that_fails_leaves_nothing_that_it_made(place: &Place) {
    let bundle = [spoiled(place)];
    let name = Guid::random().short();
    let into = match place.server {
        None => place.target(&name),
        Some(_) => Into { database: format!("Replay_{name}"), ..place.target("Into") },
    };
    let is_there = |database: &str| match &place.server {
        None => Path::new(into.at.trim_start_matches("sqlite:")).join(format!("{database}.sqlite")).exists(),
        Some(_) => {
            connection(&into).open(&OpenOptions { main_database: database.into(), ..OpenOptions::default() }).is_ok()
        }
    };
    assert_eq!(into.apply(&bundle, false).unwrap_err().kind(), Kind::Verification);
    assert!(!is_there(&into.database));
    assert!(place.server.is_some() || !Path::new(into.at.trim_start_matches("sqlite:")).exists());
    // In a database that stands, and a second one.
    let other = if place.server.is_some() { format!("Replay_{name}_2") } else { "Other".into() };
    let stands = place.target("Stands");
    let spec = crate::replay::target::spec(&stands, "Files");
    let mut backend = stands.open().unwrap();
    backend.execute_script("CREATE TABLE Standing (id int NOT NULL PRIMARY KEY)").unwrap();
    let options = ReplayOptions { database: Some(other.clone()), ..stands.options(false) };
    for options in [stands.options(false), options] {
        replay(&bundle, &mut *backend, &options, &Silent).unwrap_err();
    }
    assert!(backend.inspect_target(&spec).unwrap().is_none());
    let count = match place.server {
        None => {
            "CREATE TABLE Left AS SELECT CASE count(*) WHEN 1 THEN 1 ELSE abs(-9223372036854775808) END AS x FROM sqlite_master WHERE type = 'table'"
        }
        Some(_) => {
            "IF OBJECT_ID(N'dbo.BlobDeltaReplayLedger') IS NOT NULL OR OBJECT_ID(N'dbo.BlobDeltaTombstone') IS NOT NULL THROW 51000, 'left', 1"
        }
    };
    backend.execute_script(count).unwrap();
    drop(backend);
    assert!(!is_there(&other));
    // What stood stays as it was, and what came into it stays too.
    let good = Made::new(9, 9000, (0, 500)).write(place.folder());
    stands.apply(std::slice::from_ref(&good), false).unwrap();
    stands.apply(&bundle, false).unwrap_err();
    assert!(stands.apply(&[good], false).unwrap().bundles[0].was_applied_before());
}

/// Columns of a target, an addition, what is run after it, and what is said.
type ExistingVersions = (&'static str, &'static str, &'static str);

const EMBEDDED: &[ExistingVersions] = &[
    (", \"note\" \"nvarchar(20) TEXT\" NOT NULL", "", "note"),
    (", FOREIGN KEY (\"path_locator\") REFERENCES Standing(id)", "CREATE TABLE Standing (id PRIMARY KEY)", "Standing"),
    ("", "CREATE TABLE Standing (id REFERENCES Files(stream_id))", "Standing"),
    ("", "CREATE TRIGGER stays BEFORE INSERT ON \"Files\" BEGIN SELECT RAISE(ABORT, 'no'); END", "stays"),
    ("", "CREATE TRIGGER stays AFTER DELETE ON \"Files\" BEGIN SELECT raise ( rollback, 'no' ); END", "stays"),
];

const ON_SERVER: &[ExistingVersions] = &[
    (", note nvarchar(20) NOT NULL", "", "note"),
    (", FOREIGN KEY (stream_id) REFERENCES dbo.Standing(id)", "", "Standing"),
    ("", "CREATE TABLE dbo.Standing (id uniqueidentifier REFERENCES dbo.Files(stream_id))", "Standing"),
    ("", "CREATE TRIGGER stays ON dbo.Files INSTEAD OF INSERT AS SELECT 1 AS Kept", "stays"),
    ("", "CREATE TRIGGER stays ON dbo.Files AFTER UPDATE, DELETE AS THROW 51000, 'no', 1", "stays"),
];

fn stand(place: &Place, into: &Into, more: &str, after: &str) {
    let mut backend = into.open().unwrap();
    backend.create_database(&into.database).unwrap();
    let table = match place.server {
        None => format!(
            "CREATE TABLE \"Files\" (\"stream_id\" \"uniqueidentifier BLOB\" NOT NULL PRIMARY KEY,
             \"path_locator\" \"varbinary(892) BLOB\" NOT NULL, \"parent_path_locator\" \"varbinary(892) BLOB\",
             \"file_stream\" \"varbinary(max) BLOB\"{more})"
        ),
        Some(_) => format!(
            "CREATE TABLE dbo.Files (stream_id uniqueidentifier NOT NULL PRIMARY KEY, path_locator varbinary(892) NOT NULL,
             parent_path_locator varbinary(892) NULL, file_stream varbinary(max) NULL{more})"
        ),
    };
    if more.contains("REFERENCES dbo.Standing") {
        backend.execute_script("CREATE TABLE dbo.Standing (id uniqueidentifier NOT NULL PRIMARY KEY)").unwrap();
    }
    backend.execute_script(&table).unwrap();
    if !after.is_empty() {
        backend.execute_script(after).unwrap();
    }
}

/// A target of this name; on a server, what leads to and from its table goes first.
fn emptied(place: &Place, name: &str) -> Into {
    if place.server.is_some() {
        let into = Into { at: place.server.clone().unwrap(), database: format!("Replay_{name}") };
        let drop = "IF OBJECT_ID(N'dbo.Files') IS NOT NULL AND OBJECT_ID(N'dbo.Standing') IS NOT NULL
            BEGIN
                IF EXISTS (SELECT 1 FROM sys.foreign_keys WHERE parent_object_id = OBJECT_ID(N'dbo.Standing')) DROP TABLE dbo.Standing;
                ELSE DROP TABLE dbo.Files;
            END";
        into.open().unwrap().execute_script(drop).unwrap();
    }
    place.target(name)
}

pub fn a_plan_and_a_replay_refuse_what_would_keep_rows_out(place: &Place) {
    let bundles = [Made::sample().write(place.folder())];
    let cases = if place.server.is_some() { ON_SERVER } else { EMBEDDED };
    for (nth, (more, after, said)) in cases.iter().enumerate() {
        let into = emptied(place, &if place.server.is_some() { "Into".to_owned() } else { format!("Into{nth}") });
        stand(place, &into, more, after);
        let options = ReplayOptions { create: false, ..into.options(false) };
        let error = refused(&into, &bundles, &options);
        let reported = format!("{error} {:?}", error.place());
        assert!(
            error.kind() == Kind::Config && reported.to_lowercase().contains(&said.to_lowercase()),
            "{more}{after}: {reported}"
        );
        let spec = blobdelta::backend::TargetSpec {
            table: crate::made::table_name(),
            ..crate::replay::target::spec(&into, "Files")
        };
        assert_eq!(into.open().unwrap().applied_bundles(&spec).unwrap(), [], "{more}{after}");
        assert!(into.existing().is_empty(), "{more}{after}");
    }
    emptied(place, "Into");
}

pub fn columns_that_a_server_counts_are_refused_and_those_that_it_computes_skipped(place: &Place) {
    let mut made = Made::sample();
    made.spoil = |manifest| manifest.tables[0].source.table = "Texts".into();
    let bundles = [made.write(place.folder())];
    let into = emptied(place, "Into");
    let sql = "CREATE TABLE dbo.Texts (stream_id uniqueidentifier NOT NULL PRIMARY KEY, path_locator varbinary(892) NOT NULL,
        parent_path_locator varbinary(892) NULL, file_stream varbinary(max) NULL, DeltaDepth int IDENTITY(1,1) NOT NULL)";
    let mut backend = into.open().unwrap();
    backend.execute_script(sql).unwrap();
    let error = refused(&into, &bundles, &into.options(false));
    assert_eq!(
        (error.kind(), error.place().column.as_deref().map(str::to_lowercase)),
        (Kind::Config, Some("deltadepth".into()))
    );
    let computed = sql.replace("int IDENTITY(1,1) NOT NULL", "AS CONVERT(int, 7)");
    backend.execute_script(&format!("DROP TABLE dbo.Texts; {computed}")).unwrap();
    let report = replay(&bundles, &mut *into.open().unwrap(), &into.options(false), &Silent).unwrap();
    assert!(report.bundles[0].tables[0].skipped.contains(&"DeltaDepth".to_owned()), "{report:?}");
}

pub fn a_row_that_a_trigger_ignores_is_not_counted_but_named(place: &Place) {
    let mut made = Made::new(1, 1000, (0, 500));
    made.rows = vec![Row::root(1, Some(10), b"one"), Row::root(2, Some(20), b"two")];
    let into = emptied(place, "Into");
    let trigger = match place.server {
        None => {
            "CREATE TRIGGER hides BEFORE INSERT ON \"Files\" WHEN new.stream_id = x'02020202020202020202020202020202'
             BEGIN SELECT RAISE(IGNORE); END"
        }
        Some(_) => {
            "CREATE TRIGGER hides ON dbo.Files AFTER INSERT AS
             DELETE FROM dbo.Files WHERE stream_id = '02020202-0202-0202-0202-020202020202'"
        }
    };
    stand(place, &into, "", trigger);
    let options = ReplayOptions { create: false, ..into.options(false) };
    let error = replay(&[made.write(place.folder())], &mut *into.open().unwrap(), &options, &Silent).unwrap_err();
    assert_eq!((error.kind(), error.place().key.clone()), (Kind::Config, Some(key(2).to_string())), "{error:?}");
    assert!(into.existing().is_empty(), "the batch is undone");
}

pub fn a_table_of_another_schema_has_its_place(place: &Place) {
    let made = |run: u8, spoil: fn(&mut blobdelta::bundle::Manifest)| {
        let mut made = Made { spoil, ..Made::new(run, i64::from(run) * 1000, (0, 500)) };
        made.rows = vec![Row::root(run, Some(10), &[run])];
        made.write(place.folder())
    };
    let other = made(1, |manifest| {
        manifest.tables[0].source.schema = "sales".into();
        manifest.tables[0].name.schema = "sales".into();
    });
    let bundles = [other, made(2, |_| {})];
    let into = emptied(place, "Into");
    if place.server.is_some() {
        let drop = "IF OBJECT_ID(N'sales.Files') IS NOT NULL DROP TABLE sales.Files";
        into.open().unwrap().execute_script(drop).unwrap();
    }
    let report = into.apply(&bundles, false).unwrap();
    let targets: Vec<String> = report.bundles.iter().map(|bundle| bundle.tables[0].target.to_string()).collect();
    let database = &into.database;
    let due = if place.server.is_some() { "sales.Files" } else { "dbo.[sales.Files]" };
    assert_eq!(targets, [format!("{database}.{due}"), format!("{database}.dbo.Files")]);
    assert_eq!(into.existing().into_keys().collect::<Vec<_>>(), [key(2)]);
    assert!(into.apply(&bundles, false).unwrap().bundles.iter().all(|bundle| bundle.was_applied_before()));
}
