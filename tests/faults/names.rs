//! Hostile names, as databases, schemas, tables, columns, business units and files: each works from
//! configuration to replay and unpacking, or is refused by name; and a table that stands beside them
//! still stands.

use crate::faults::ground::{Embedded, Ground, OnServer};
use crate::faults::{is_full, tally};
use blobdelta::backend::Sandbox;
use blobdelta::durable::Local;
use blobdelta::engine::{PackOptions, RunOptions, run};
use blobdelta::error::{Error, Kind, Result};
use blobdelta::model::cell::Cell;
use blobdelta::model::column::Column;
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::model::run::{RunRequest, Scope, Status};
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::table::TableConfig;
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use blobdelta::replay::{ReplayOptions, replay};
use blobdelta::unpack::{UnpackOptions, unpack};
use blobdelta::verify::{VerifyLevel, verify};
use std::collections::BTreeSet;
use std::path::Path;

/// Where a name stands.
const PLACES: [&str; 12] = [
    "database",
    "schema",
    "table",
    "key column",
    "blob column",
    "ModifiedOn column",
    "path column",
    "parent path column",
    "unit column",
    "table of units",
    "column of units",
    "file",
];

fn names() -> Vec<String> {
    let plain = [
        "a]b",
        "]]",
        "[x]",
        "a\"b",
        "\"\"",
        "a'b",
        "'); DROP TABLE Canary;--",
        "x;--",
        "/*",
        "a b",
        " lead",
        "trail ",
        "tab\tname",
        "new\nline",
        "carriage\r",
        "nul\0x",
        "\u{1b}[2J",
        "..",
        "../up",
        "a/b",
        "a\\b",
        "a.b",
        "c:d",
        "%s%n",
        "{SourceTable}",
        "{",
        "}",
        "@BatchSize",
        "$(x)",
        "`id`",
        "-x",
        "select",
        "NULL",
        "main",
        "temp",
        "sqlite_master",
        "名前",
        "é",
        "e\u{301}",
        "😀",
        "\u{202E}abc",
        "\u{200B}",
        "\u{FEFF}x",
        "?1",
        "#Batch",
        "",
    ];
    let long = ["n".repeat(128), "n".repeat(129), "😀".repeat(64), "😀".repeat(65), "]".repeat(128)];
    let more = ["[{Key}]", "\u{200F}\u{5E9}\u{5DC}\u{5D5}\u{5DD}", "GO"].map(str::to_owned);
    plain.iter().map(ToString::to_string).chain(long).chain(more).collect()
}

pub fn hostile_names() {
    let (works, tried) = campaign(&mut Embedded::default(), 23, "");
    assert!(works * 4 > tried * 3, "{works} of {tried} names work");
}

/// The same on a server.
pub fn hostile_names_on_a_server() {
    let (works, tried) = campaign(&mut OnServer::new(), 40, ", on a server");
    assert!(works * 3 > tried, "{works} of {tried} names work");
}

/// Every name, or one of so many, at every place; how many work, of how many.
fn campaign(ground: &mut dyn Ground, slice_step: usize, class: &str) -> (u32, u32) {
    let names = names();
    assert!(names.len() * PLACES.len() >= 200);
    let step = if is_full() { 1 } else { slice_step };
    let (mut works, mut tried) = (0, 0);
    for (name, place) in names.iter().step_by(step).flat_map(|name| PLACES.map(|place| (name, place))) {
        ground.begin(name, place);
        let done = run_work(ground, name, place);
        assert_eq!(ground.canaries(), [1, 1], "{name:?} as {place}");
        ground.end();
        let ending = match &done {
            Ok(rows) => {
                assert_eq!(*rows, 1, "{name:?} as {place}");
                "works"
            }
            Err(error) => refusal(ground, error, name, place),
        };
        // An instance that has one schema refuses every other by its name.
        if place == "schema" && !ground.has_schemas() {
            assert!(done.is_err(), "{name:?} as {place}");
        } else {
            tried += 1;
            works += u32::from(done.is_ok());
        }
        tally(&format!("a hostile name that {ending}{class}"), (0, 0));
    }
    (works, tried)
}

/// It was refused by us, by its name, or its instance takes it from nobody.
fn refusal(ground: &mut dyn Ground, error: &Error, name: &str, place: &str) -> &'static str {
    let text = error.to_string();
    let forms = [name.to_owned(), name.escape_debug().to_string(), name.replace(']', "]]")];
    let is_named = forms.iter().any(|form| text.contains(form));
    if matches!(error.kind(), Kind::Config | Kind::Usage) && is_named {
        return "is refused";
    }
    let is_reported = matches!(error.kind(), Kind::Config | Kind::Usage | Kind::Database);
    assert!(is_reported && !ground.takes(name, place), "{name:?} as {place}: {error:?}");
    "its instance takes from nobody"
}

/// From nothing to a replayed copy; gives the rows that it has.
fn run_work(ground: &mut dyn Ground, name: &str, place: &str) -> Result<u64> {
    let called = |here: &str, else_: &str| if place == here { name.to_owned() } else { else_.to_owned() };
    let folder = ground.folder().to_owned();
    configure(ground.source(), &called)?;
    let bundles = taken(ground.source(), &folder)?;
    for bundle in &bundles {
        let report = verify(bundle, VerifyLevel::Deep, &Silent)?;
        assert!(report.is_good(), "{name:?} as {place}: {report:?}");
    }
    // What the value of a large column is called is asked for by name, unless it is the usual one.
    let mut options = UnpackOptions::new(folder.join("files"));
    options.blob_column = Some(called("blob column", "file_stream"));
    let mut files = Vec::new();
    unpack(&bundles, &options, &Local, &Silent, &mut |written| files.push(options.out.join(written.path)))?;
    let read: Vec<_> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert_eq!(read, [b"seven"], "{name:?} as {place}: {files:?}");
    let beside = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let beside: BTreeSet<_> = beside.filter(|found| found != "source").collect();
    assert!(beside.iter().eq(["files", "out"]), "{name:?} as {place}: {beside:?}");
    let options =
        ReplayOptions { database: Some("Copy".into()), create: true, into_source: true, ..ReplayOptions::default() };
    let report = replay(&bundles, ground.target(), &options, &Silent)?;
    Ok(report.bundles.iter().flat_map(|bundle| &bundle.tables).map(|table| table.written).sum())
}

/// The table in which one thing is called by the name, with one row.
fn configure(backend: &mut dyn Sandbox, called: &dyn Fn(&str, &str) -> String) -> Result<()> {
    let table = TableName::new(&called("database", "Src"), &called("schema", "dbo"), &called("table", "Docs"))?;
    backend.create_database(&table.db)?;
    let path = SqlType::VarBinary(Some(892));
    let columns = [
        Column::new(&called("key column", "stream_id"), SqlType::UniqueIdentifier, false),
        Column::new(&called("blob column", "file_stream"), SqlType::VarBinary(None), true),
        Column::new(&called("ModifiedOn column", "ModifiedOn"), SqlType::DateTime2(7), true),
        Column::new(&called("path column", "path_locator"), path, false),
        Column::new(&called("parent path column", "parent_path_locator"), path, true),
        Column::new(&called("unit column", "BusinessUnit"), SqlType::UniqueIdentifier, true),
        Column::new("name", SqlType::NVarChar(Some(255)), false),
    ];
    backend.create_table(&table, &columns, &columns[0].name, &[])?;
    let (key, unit, file) = (Guid::from_bytes([7; 16]), Guid::from_bytes([8; 16]), called("file", "seven"));
    let stamp = Cell::DateTime(Timestamp::MIN);
    let row = [Cell::Guid(key), Cell::Bytes(b"seven"), stamp, Cell::Bytes(&[7]), Cell::Null, Cell::Guid(unit)];
    backend.insert(&table, &columns, &[row.into_iter().chain([Cell::Text(&file)]).collect()])?;
    let units = TableName::new("Src", "dbo", &called("table of units", "Units"))?;
    let id = Column::new(&called("column of units", "Id"), SqlType::UniqueIdentifier, false);
    backend.create_table(&units, std::slice::from_ref(&id), &id.name, &[])?;
    backend.insert(&units, std::slice::from_ref(&id), &[vec![Cell::Guid(unit)]])?;
    let mut config = TableConfig::new(table.clone(), table);
    config.key_column.clone_from(&columns[0].name);
    config.metadata_id_column.clone_from(&columns[0].name);
    config.metadata_modified_on_column.clone_from(&columns[2].name);
    config.path_column = Some(columns[3].name.clone());
    config.parent_path_column = Some(columns[4].name.clone());
    config.metadata_business_unit_column = Some(columns[5].name.clone());
    config.business_unit_table = Some(units);
    config.business_unit_id_column = Some(id.name);
    backend.save_table(&config)
}

fn taken(backend: &mut dyn Sandbox, folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let out = folder.join("out");
    std::fs::create_dir(&out).unwrap();
    let request = RunRequest {
        requested_by: "a test".into(),
        table: None,
        scope: Scope::All,
        batch_size: Some(10),
        max_dop: 1,
        from: None,
        until: None,
        continues: None,
    };
    let options = RunOptions {
        request,
        resume: None,
        take_over: None,
        out: Some(out),
        backup_slice: None,
        pack: PackOptions::default(),
        lease_seconds: 600,
    };
    let mut report = run(backend, &options, &Local, &Silent)?;
    if let Some(error) = report.tables.iter_mut().find_map(|table| table.error.take()) {
        return Err(error);
    }
    assert_eq!(report.run.status, Status::Completed, "{:?}", report.run);
    Ok(report.bundles)
}
