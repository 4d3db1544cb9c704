//! What is printed for whoever administers the tables of a source, and fills the deletion log; rule 15.

use crate::scenarios::deletions::number;
use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, World, key, minute, name, unit};
use blobdelta::backend::{AuditTable, DeletionSource};
use blobdelta::error::{Kind, Result};
use blobdelta::model::cell::Cell;
use blobdelta::model::column::Column;
use blobdelta::model::sqltype::SqlType;

/// Later than the clock of the machine, which is that of a trigger: nothing is told that is dated later than its run.
const LATER: i64 = 10_000_000;

fn script(world: &mut World, from: &DeletionSource) -> Result<String> {
    let table = world.table.clone();
    world.backend.deletion_script(&table, from)
}

/// What the slice that stands tells to be deleted.
fn told(world: &mut World) -> Vec<u32> {
    let last = world.backend.recent_runs(1).unwrap().remove(0);
    let fence = world.backend.take_lease(last.id, &world.table.name.clone(), 60).unwrap();
    let all = world.backend.read_deletions(&fence, None, 100).unwrap();
    world.backend.release_leases(&[fence]).unwrap();
    all.into_iter().map(|one| number(one.key)).collect()
}

/// Carries a script out as an administrator would, and goes back to the job database.
pub fn carry_out(world: &mut World, sql: &str) {
    world.backend.execute_script(sql).unwrap();
    if !world.is_embedded() {
        world.backend.execute_script("USE BlobDeltaJobs").unwrap();
    }
}

fn log(world: &mut World) -> Vec<String> {
    let mut found = Vec::new();
    for row in 1..=9 {
        let sql = format!(
            "SELECT CONCAT(LOWER(CONVERT(nvarchar(36), stream_id)), N' ', LOWER(CONVERT(nvarchar(36), BusinessUnit)), N' ', Reason)
             FROM (SELECT stream_id, BusinessUnit, Reason, ROW_NUMBER() OVER (ORDER BY DeletionId) AS Nth FROM dbo.BlobDeltaDeletionLog) AS l
             WHERE Nth = {row}"
        );
        found.extend(world.backend.ask(&sql).unwrap());
    }
    found.sort();
    found
}

fn entry(number: u32, letter: u8) -> String {
    format!("{} {} Deleted", key(number), unit(letter))
}

/// Deletes rows by one statement.
fn delete(world: &mut World, table: &str, column: &str, values: &[String]) {
    let sql = format!("DELETE FROM {table} WHERE {column} IN ({})", values.join(", "));
    world.backend.execute_script(&sql).unwrap();
}

pub fn rule_15_a_trigger_on_the_source_logs_every_row_that_is_deleted(on: &Instance) {
    let mut world = World::new(on);
    for (number, letter) in [(1, A), (2, B), (3, A)] {
        world.put(number, None, b"x", 10, letter);
    }
    world.blob(4, None, b"without metadata");
    world.run(1000);
    let sql = script(&mut world, &DeletionSource::Source).unwrap();
    assert!(sql.contains("TRUNCATE") && sql.contains("INSERT on"), "{sql}");
    carry_out(&mut world, &sql);
    let keys: Vec<String> = [1, 2, 4].map(|number| world.keys.tsql(number)).into();
    // What comes, by one statement or another, is no deletion.
    world.put(5, None, b"x", 5000, A);
    world.backend.execute_script("INSERT INTO Src.dbo.Units (Id) SELECT Id FROM Src.dbo.Units WHERE 1 = 0").unwrap();
    assert_eq!(log(&mut world), [] as [&str; 0]);
    delete(&mut world, "Src.dbo.Docs", "stream_id", &keys);
    delete(&mut world, "Src.dbo.Docs", "stream_id", &keys);
    let without = format!("{}  Deleted", key(4));
    assert_eq!(log(&mut world), [entry(1, A), entry(2, B), without]);
    world.run(LATER);
    assert_eq!((told(&mut world), world.numbers()), (vec![1, 2, 4], vec![5]));
}

pub fn rule_15_a_trigger_on_the_metadata_logs_each_key_whose_last_row_is_deleted(on: &Instance) {
    let mut world = World::new(on);
    for (number, letter) in [(1, A), (2, B), (3, A)] {
        world.put(number, None, b"x", 10, letter);
    }
    world.stamp_as(11, 1, Some(minute(20)), Some(B));
    world.stamp_as(13, 3, Some(minute(20)), Some(B));
    world.run(1000);
    let sql = script(&mut world, &DeletionSource::Metadata).unwrap();
    carry_out(&mut world, &sql);
    let rows = |numbers: &[u32]| numbers.iter().map(|number| format!("'{}'", key(*number))).collect::<Vec<_>>();
    // Another row of the key stays.
    delete(&mut world, "Meta.dbo.Docs", "RowId", &rows(&[3]));
    assert_eq!(log(&mut world), [] as [&str; 0]);
    delete(&mut world, "Meta.dbo.Docs", "RowId", &rows(&[1, 11, 2]));
    assert_eq!(log(&mut world), [entry(1, B), entry(2, B)], "of two rows of a key the later one says the unit");
    for number in [1, 2] {
        world.lose(number);
    }
    world.run(LATER);
    assert_eq!(told(&mut world), [1, 2]);
}

pub fn rule_15_what_an_audit_table_has_is_logged_once(on: &Instance) {
    let mut world = World::new(on);
    for number in 1..4 {
        world.put(number, None, b"x", 10, A);
    }
    world.run(1000);
    let key_type = world.keys.source_columns()[0].sql_type;
    let columns = [
        Column::new("Id", SqlType::BigInt, false),
        Column::new("RowKey", key_type, true),
        Column::new("At", SqlType::DateTime2(7), true),
        Column::new("Action", SqlType::NVarChar(Some(10)), true),
    ];
    let table = name("Src.dbo.Audit");
    world.backend.create_table(&table, &columns, "Id", &[]).unwrap();
    let record = |world: &mut World, id: i64, row: Option<u32>, at: Option<i64>, action: &str| {
        let row = row.map_or(Cell::Null, |row| world.keys.cell(row));
        let at = at.map_or(Cell::Null, |at| Cell::DateTime(minute(at)));
        world.backend.insert(&table, &columns, &[vec![Cell::Int(id), row, at, Cell::Text(action)]]).unwrap();
    };
    for (id, row, at, action) in [
        (1, Some(1), Some(1100), "it's gone"),
        (2, Some(2), Some(1100), "renamed"),
        (3, None, Some(1100), "it's gone"),
        (4, Some(3), None, "it's gone"),
        (5, Some(1), Some(1200), "it's gone"),
    ] {
        record(&mut world, id, row, at, action);
    }
    let audit = AuditTable {
        table: table.clone(),
        key_column: "rowkey".into(),
        deleted_on_column: "at".into(),
        when: Some("action='it''s gone'".into()),
    };
    let from = DeletionSource::Audit(audit.clone());
    let sql = script(&mut world, &from).unwrap();
    for number in [1, 3] {
        world.remove(number);
    }
    for _ in 0..2 {
        carry_out(&mut world, &sql);
    }
    let report = world.run(2000);
    assert_eq!(report.tables[0].counts.as_ref().unwrap().logged_deletions, 1);
    assert_eq!(told(&mut world), [1]);
    record(&mut world, 6, Some(3), Some(1300), "it's gone");
    carry_out(&mut world, &sql);
    world.run(3000);
    assert_eq!(told(&mut world), [3]);
    for (wrong, says) in [
        (AuditTable { key_column: "At".into(), ..audit.clone() }, "--key"),
        (AuditTable { key_column: "Nowhere".into(), ..audit.clone() }, "Nowhere"),
        (AuditTable { deleted_on_column: "Action".into(), ..audit.clone() }, "--deleted-on"),
        (AuditTable { when: Some("Nowhere=1".into()), ..audit.clone() }, "--when"),
        (AuditTable { table: name("Src.dbo.Nowhere"), ..audit.clone() }, "Nowhere"),
    ] {
        let error = script(&mut world, &DeletionSource::Audit(wrong)).unwrap_err();
        let text = format!("{error} {}", error.what_to_do().unwrap_or_default());
        assert!(error.kind() == Kind::Config && text.contains(says), "{says}: {text}");
    }
    if world.is_embedded() {
        for from in [DeletionSource::Source, DeletionSource::Metadata] {
            let error = script(&mut world, &from).unwrap_err();
            assert!(error.what_to_do().unwrap().contains("--audit"), "{error}");
        }
    }
}
