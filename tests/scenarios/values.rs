//! Rules 19 and 20: a value that no bundle could carry, a stamp that is none, a key that is none, cost their
//! row or their table, by name, and the ways out that are told work.

use crate::scenarios::bundles::findings;
use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, World, key, minute, name, unit};
use blobdelta::backend::KeyState;
use blobdelta::bundle::Bundle;
use blobdelta::engine::RunReport;
use blobdelta::error::{Error, Kind};
use blobdelta::model::id::Guid;
use blobdelta::model::run::Status;

/// A column of each type, as an embedded instance declares it.
const TYPES: [(&str, &str); 31] = [
    ("bit", "INTEGER"),
    ("tinyint", "INTEGER"),
    ("smallint", "INTEGER"),
    ("int", "INTEGER"),
    ("bigint", "INTEGER"),
    ("real", "REAL"),
    ("float", "REAL"),
    ("decimal(5,2)", "TEXT"),
    ("money", "TEXT"),
    ("smallmoney", "TEXT"),
    ("char(3)", "TEXT"),
    ("varchar(5)", "TEXT"),
    ("varchar(max)", "TEXT"),
    ("nchar(3)", "TEXT"),
    ("nvarchar(5)", "TEXT"),
    ("nvarchar(max)", "TEXT"),
    ("xml", "TEXT"),
    ("binary(8)", "BLOB"),
    ("varbinary(16)", "BLOB"),
    ("varbinary(max)", "BLOB"),
    ("image", "BLOB"),
    ("rowversion", "BLOB"),
    ("uniqueidentifier", "BLOB"),
    ("date", "TEXT"),
    ("time(3)", "TEXT"),
    ("datetime2(7)", "TEXT"),
    ("datetime", "TEXT"),
    ("smalldatetime", "TEXT"),
    ("datetimeoffset(7)", "TEXT"),
    ("hierarchyid", "BLOB"),
    ("sql_variant", "TEXT"),
];

/// Values of each of SQLite's five kinds, at the edges of the types above.
const VALUES: [&str; 36] = [
    "NULL",
    "0",
    "1",
    "2",
    "-1",
    "256",
    "40000",
    "9223372036854775807",
    "0.5",
    "1e300",
    "9e999",
    "''",
    "'1'",
    "'abc'",
    "'abcdef'",
    "'äöü€x'",
    "'123.45'",
    "'1234.56'",
    "'1.234'",
    "'99999999999999999999'",
    "'2026-02-28'",
    "'2026-02-30'",
    "'12:34:56.7890000'",
    "'24:00:00.0000000'",
    "'2026-02-28T12:34:56.7890000'",
    "'2026-02-28T12:34:56.7890001'",
    "'2026-02-28T12:34:56.789000Z'",
    "'2026-02-30T12:34:56.7890000'",
    "'2026-02-28T12:34:56.7890000+01:00'",
    "'2026-02-28T12:34:56.7890000+15:00'",
    "'nvarchar(3):abc'",
    "CAST(x'ff6162' AS TEXT)",
    "'a' || char(0) || 'b'",
    "x''",
    "x'0102030405060708'",
    "x'0102030405060708090a0b0c0d0e0f10'",
];

/// Gives the table more columns; the slice is made anew with them.
fn widen(world: &mut World, columns: &[(String, String)]) {
    let added: Vec<String> = columns
        .iter()
        .map(|(name, declared)| format!("ALTER TABLE Src.Docs ADD COLUMN {name} \"{declared}\""))
        .collect();
    let script = format!("{}; DROP TABLE Src_Delta.Docs", added.join(";\n"));
    world.backend.execute_script(&script).unwrap();
    world.backend.save_table(&world.table.clone()).unwrap();
}

fn failure(report: &RunReport) -> &Error {
    assert_eq!(report.tables[0].status, Status::Failed);
    report.tables[0].error.as_ref().unwrap()
}

fn resume(world: &mut World, run: Guid) -> RunReport {
    let mut options = world.options();
    options.resume = Some(run);
    world.run_with(&options).unwrap()
}

fn set(world: &mut World, column: &str, value: &str, number: u32) {
    let sql = format!("UPDATE Src.Docs SET {column} = {value} WHERE stream_id = {}", world.keys.sqlite(number));
    world.backend.execute_script(&sql).unwrap();
}

/// Every value in a column of every type: copied and packed and good, or refused by table, column and key,
/// and out of the way once its key is excluded. Nothing in between, and nothing stops for good.
pub fn rule_19_any_value_in_any_column_is_carried_or_refused_by_name(on: &Instance) {
    let mut world = World::new(on);
    let columns: Vec<_> = TYPES
        .iter()
        .enumerate()
        .map(|(nth, (sql_type, storage))| (format!("c{nth}"), format!("{sql_type} {storage}")))
        .collect();
    widen(&mut world, &columns);
    let mut number = 0;
    let mut columns_of = Vec::new();
    for nth in 0..TYPES.len() {
        // A third of all pairs, which has every type and every value: each that is refused costs a run.
        for (_, value) in VALUES.iter().enumerate().filter(|(at, _)| (at + nth) % 3 == 0) {
            number += 1;
            columns_of.push(format!("c{nth}"));
            world.put(number, None, b"x", 10, A);
            set(&mut world, &format!("c{nth}"), value, number);
        }
    }
    world.at(1000);
    let mut options = world.options();
    options.request.batch_size = Some(100);
    let mut report = world.run_with(&options).unwrap();
    options.resume = Some(report.run.id);
    let mut refused = 0;
    while report.tables[0].status == Status::Failed {
        let error = failure(&report);
        assert_eq!((error.kind(), report.bundles.len()), (Kind::Config, 0), "{error}");
        let place = error.place().clone();
        assert_eq!(place.table.as_deref(), Some("Src.dbo.Docs"), "{error}");
        let row = Guid::parse(place.key.as_deref().unwrap()).unwrap();
        let nth = u32::from_be_bytes(row.as_bytes()[12..].try_into().unwrap()) as usize - 1;
        assert_eq!(place.column.as_ref(), Some(&columns_of[nth]), "{error}");
        refused += 1;
        world.backend.exclude_key(&world.table.name.clone(), row, "no value of its type").unwrap();
        report = world.run_with(&options).unwrap();
    }
    let rows = report.tables[0].counts.as_ref().unwrap().rows();
    assert_eq!(u64::from(number), rows + refused);
    assert!(rows > 80 && refused > 130, "{rows} carried, {refused} refused");
    assert_eq!(findings(&report.bundles[0]), [] as [String; 0]);
    assert_eq!(report.tables[0].counts.as_ref().unwrap().excluded, refused);
}

/// Four ways out of a value that does not fit: mended or excluded, by a new run or by the same.
pub fn rule_19_the_ways_out_of_a_value_that_does_not_fit_work(on: &Instance) {
    for (mends, resumes) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut world = World::new(on);
        world.put(1, None, b"root", 10, A);
        world.put(2, Some(1), b"child", 20, A);
        world.put(3, Some(1), b"child", 20, A);
        set(&mut world, "name", "printf('%.300d', 7)", 2);
        let report = world.run(1000);
        let error = failure(&report);
        assert_eq!(error.place().column.as_deref(), Some("name"));
        assert_eq!(error.place().key, Some(world.keys.shown(2)));
        let way_out = format!("blobdelta key exclude Src.dbo.Docs {}", key(2));
        assert!(error.what_to_do().unwrap().contains(&way_out), "{error:?}");
        assert_eq!((world.mark().last_high_water, report.bundles.len()), (None, 0));
        match mends {
            true => set(&mut world, "name", "'short'", 2),
            false => world.backend.exclude_key(&world.table.name.clone(), key(2), "too long").unwrap(),
        }
        let report = if resumes { resume(&mut world, report.run.id) } else { world.run(1001) };
        assert_eq!(report.run.status, Status::Completed, "{mends} {resumes}");
        assert_eq!(world.numbers(), if mends { vec![1, 2, 3] } else { vec![1, 3] });
        assert_eq!(findings(&report.bundles[0]), [] as [String; 0]);
    }
}

/// An ancestor that no window names, of which only its key is copied under its child's run.
pub fn rule_19_a_missing_parent_is_held_against_its_types_too(on: &Instance) {
    let mut world = World::new(on);
    world.blob(1, None, b"no metadata");
    world.put(2, Some(1), b"child", 20, A);
    set(&mut world, "name", "x'00'", 1);
    let report = world.run(1000);
    assert_eq!(failure(&report).place().key, Some(world.keys.shown(1)));
    world.backend.exclude_key(&world.table.name.clone(), key(1), "a name of bytes").unwrap();
    let report = resume(&mut world, report.run.id);
    assert_eq!((report.run.status, world.numbers()), (Status::Completed, vec![2]));
    assert_eq!(findings(&report.bundles[0]), [] as [String; 0]);
}

pub fn rule_19_a_null_that_the_slice_does_not_take_names_its_row(on: &Instance) {
    let mut world = World::new(on);
    world
        .backend
        .execute_script(
            "DROP TABLE Src.Docs; CREATE TABLE Src.Docs (stream_id \"uniqueidentifier BLOB\" UNIQUE,
        file_stream \"varbinary(max) BLOB\", name \"nvarchar(255) TEXT\" NOT NULL, path_locator \"varbinary(892) BLOB\",
        parent_path_locator \"varbinary(892) BLOB\")",
        )
        .unwrap();
    world.put(1, None, b"x", 10, A);
    world.put(2, None, b"x", 10, A);
    set(&mut world, "path_locator", "NULL", 2);
    let report = world.run(1000);
    let error = failure(&report);
    assert_eq!(error.place().key, Some(world.keys.shown(2)), "{error}");
    assert_eq!(error.place().column.as_deref(), Some("path_locator"));
}

pub fn rule_20_a_stamp_that_is_none_names_its_key_and_fails_the_table(on: &Instance) {
    for odd in [
        "'2026-01-01T00:10:00.123456Z'",
        "'2026-01-01T00:10:00.12345+1'",
        "'2026-13-01T00:10:00.0000000'",
        "'2026-02-30T00:10:00.0000000'",
        "'2026-01-01T24:00:00.0000000'",
        "'0000-01-01T00:10:00.0000000'",
        "'10000-01-01T00:10:00.000000'",
        "' 2026-01-01T00:10:00.000000'",
        "'2026-01-01 00:10:00.0000000'",
        "'2026-01-01T00:10:00'",
        "'2026-01-01T00:10:00.000000' || char(0)",
        "''",
        "0",
        "2461042.5",
        "CAST('2026-01-01T00:10:00.0000000' AS BLOB)",
    ] {
        let mut world = World::new(on);
        world.put(1, None, b"x", 10, A);
        world.put(2, None, b"x", 10, A);
        let sql = format!("UPDATE Meta.Docs SET ModifiedOn = {odd} WHERE Id = {}", world.keys.sqlite(2));
        world.backend.execute_script(&sql).unwrap();
        let report = world.run(1000);
        let error = failure(&report);
        assert!(error.to_string().contains("is no time of the form"), "{odd}: {error}");
        assert_eq!(error.place().key, Some(world.keys.shown(2)), "{odd}: {error}");
        assert_eq!(world.mark().last_high_water, None);
        world.backend.exclude_key(&world.table.name.clone(), key(2), "no stamp").unwrap();
        assert_eq!(world.run(1001).run.status, Status::Completed, "{odd}");
    }
}

pub fn rule_20_a_key_of_the_metadata_that_is_none_fails_the_table(on: &Instance) {
    for odd in [format!("'{}'", key(2)), "x'0102'".to_owned(), "7".to_owned()] {
        let mut world = World::new(on);
        world.put(1, None, b"x", 10, A);
        world.put(2, None, b"x", 10, A);
        world
            .backend
            .execute_script(&format!("UPDATE Meta.Docs SET Id = {odd} WHERE Id = {}", world.keys.sqlite(2)))
            .unwrap();
        let report = world.run(1000);
        let error = failure(&report);
        assert!(error.to_string().contains("of the metadata is no uniqueidentifier"), "{error}");
        assert_eq!(error.place().column.as_deref(), Some("Id"));
        assert_eq!(world.mark().last_high_water, None);
    }
}

pub fn rule_20_business_units_and_logged_deletions_are_values_too(on: &Instance) {
    let of_unit = unit(A).to_string();
    for (sql, says) in [
        (format!("UPDATE Meta.Docs SET BusinessUnit = '{of_unit}'"), "the business unit"),
        (format!("INSERT INTO Src.Units (Id) VALUES ('{of_unit}')"), "the business unit"),
        (
            "UPDATE BlobDeltaDeletionLog SET LoggedAt = '2026-01-01T00:10:00.123456Z'".to_owned(),
            "the entry 1 of BlobDeltaDeletionLog",
        ),
        (
            "UPDATE BlobDeltaDeletionLog SET DeletedOn = '2026-02-30T00:10:00.0000000'".to_owned(),
            "the entry 1 of BlobDeltaDeletionLog",
        ),
    ] {
        let mut world = World::new(on);
        world.put(1, None, b"x", 10, A);
        world.log_deletion(9, 20);
        world.backend.execute_script(&sql).unwrap();
        let report = world.run(1000);
        assert!(failure(&report).to_string().contains(says), "{}", failure(&report));
        assert_eq!(world.mark().last_high_water, None);
    }
    let mut world = World::new(on);
    let sql =
        "UPDATE BlobDeltaTableConfig SET InitialBaseline = '2026-01-01T00:10:00.123456Z' WHERE TableName LIKE 'Src%'";
    world.backend.execute_script(sql).unwrap();
    let error = world.run_with(&world.options()).unwrap_err();
    assert_eq!(error.place().column.as_deref(), Some("InitialBaseline"), "{error}");
    assert_eq!(error.place().table.as_deref(), Some("Src.dbo.Docs"), "{error}");
}

/// A source that keeps its keys apart by nothing but good will.
fn without_constraints(world: &mut World) {
    let columns =
        "name nvarchar(255) NOT NULL, path_locator varbinary(892) NOT NULL, parent_path_locator varbinary(892) NULL";
    let tsql = format!(
        "USE Src; DROP TABLE dbo.Docs; CREATE TABLE dbo.Docs (stream_id uniqueidentifier NULL, file_stream varbinary(max) NULL,
         {columns}); CREATE INDEX IX_Docs_Key ON dbo.Docs (stream_id); USE BlobDeltaJobs"
    );
    world.script(
        "DROP TABLE Src.Docs; CREATE TABLE Src.Docs (stream_id \"uniqueidentifier BLOB\",
         file_stream \"varbinary(max) BLOB\", name \"nvarchar(255) TEXT\" NOT NULL,
         path_locator \"varbinary(892) BLOB\" NOT NULL, parent_path_locator \"varbinary(892) BLOB\")",
        &tsql,
    );
}

fn again(world: &mut World, key: &str) {
    let insert = |table: &str| {
        format!(
            "INSERT INTO {table} (stream_id, file_stream, name, path_locator, parent_path_locator)
             SELECT {key}, file_stream, name, path_locator, parent_path_locator FROM {table} AS o
             WHERE o.name = 'file 1' AND o.stream_id IS NOT NULL"
        )
    };
    world.script(&insert("Src.Docs"), &insert("Src.dbo.Docs"));
}

pub fn rule_20_two_rows_of_one_key_fail_the_table_by_that_key(on: &Instance) {
    let mut world = World::new(on);
    without_constraints(&mut world);
    world.put(1, None, b"x", 10, A);
    world.put(2, None, b"x", 10, A);
    again(&mut world, "stream_id");
    let report = world.run(1000);
    let error = failure(&report);
    assert!(error.to_string().contains("two rows of the source have this key"), "{error}");
    assert!(error.to_string().contains(&key(1).to_string()), "{error}");
    assert_eq!(world.mark().last_high_water, None);
}

pub fn rule_20_rows_without_a_key_are_reported(on: &Instance) {
    let mut world = World::new(on);
    without_constraints(&mut world);
    world.put(1, None, b"x", 10, A);
    again(&mut world, "NULL");
    again(&mut world, "NULL");
    let report = world.run(1000);
    assert_eq!(report.tables[0].counts.as_ref().unwrap().without_key, 2);
    assert_eq!(world.numbers(), [1]);
    let bundle = Bundle::open(&report.bundles[0]).unwrap();
    assert_eq!(bundle.manifest().tables[0].counts.without_key, 2);
    assert_eq!(findings(&report.bundles[0]), [] as [String; 0]);
}

pub fn rule_6_an_exclusion_that_is_taken_back_brings_the_row(on: &Instance) {
    let mut world = World::new(on);
    let table = name("Src.dbo.Docs");
    world.put(1, None, b"x", 10, A);
    world.put(2, None, b"y", 10, A);
    world.backend.exclude_key(&table, key(2), "unreadable").unwrap();
    world.run(1000);
    assert_eq!(world.numbers(), [1]);
    let named = world.backend.named_keys(&table, None, 10).unwrap();
    assert_eq!((named.len(), named[0].key, named[0].state), (1, key(2), KeyState::Excluded));
    assert!(world.backend.include_key(&table, key(2)).unwrap());
    assert_eq!(world.backend.named_keys(&table, None, 10).unwrap()[0].state, KeyState::Pending);
    world.run(2000);
    assert_eq!(world.numbers(), [2], "though its stamp {} lies before the window", minute(10));
    assert!(world.backend.named_keys(&table, None, 10).unwrap().is_empty());
    assert!(!world.backend.include_key(&table, key(2)).unwrap());
    assert!(world.backend.named_keys(&table, None, 10).unwrap().is_empty(), "nothing was taken back");
}
