//! Keys of every type that they can have (the ids of `blobdelta::model::key`), and what is said of those of others.

use crate::scenarios::bundles::findings;
use crate::scenarios::deletions::reconciled;
use crate::scenarios::instance::Instance;
use crate::scenarios::read::id;
use crate::scenarios::world::{A, Keys, World, config, into_copy, minute, name, unit};
use blobdelta::backend::Sandbox;
use blobdelta::error::{Kind, Result};
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::column::Column;
use blobdelta::model::key::KeyType;
use blobdelta::model::name::TableName;
use blobdelta::model::run::Status;
use blobdelta::model::slice::{Deletion, DeletionReason};
use blobdelta::model::sqltype::SqlType;
use blobdelta::monitor::Silent;
use blobdelta::reconcile::ReconcileOptions;
use blobdelta::replay::replay;
use std::collections::BTreeMap;

const NUMBERS: [i64; 7] = [i64::MIN, -2_147_483_649, -2, 0, 42, 4_294_967_296, i64::MAX];

fn columns() -> [Column; 3] {
    columns_of(SqlType::BigInt)
}

fn columns_of(key: SqlType) -> [Column; 3] {
    [
        Column::new("Id", key, false),
        Column::new("ParentId", key, true),
        Column::new("Content", SqlType::VarBinary(None), true),
    ]
}

fn metadata() -> [Column; 3] {
    [
        Column::new("AttachmentId", SqlType::BigInt, false),
        Column::new("ModifiedOn", SqlType::DateTime2(7), true),
        Column::new("BusinessUnit", SqlType::UniqueIdentifier, true),
    ]
}

/// A table of numbers, in which each lies in the one before it.
fn numbers(on: &Instance) -> World {
    let mut world = World::new(on);
    let mut table = config("Numbers");
    (table.key_column, table.metadata_id_column) = ("Id".into(), "AttachmentId".into());
    (table.path_column, table.parent_path_column) = (Some("Id".into()), Some("ParentId".into()));
    world.backend.create_table(&table.source, &columns(), "Id", &[&["ParentId"]]).unwrap();
    world.backend.create_table(&table.metadata, &metadata(), "AttachmentId", &[&["ModifiedOn"]]).unwrap();
    let parents = std::iter::once(Cell::Null).chain(NUMBERS.into_iter().map(Cell::Int));
    let rows =
        NUMBERS.into_iter().zip(parents).map(|(number, parent)| vec![Cell::Int(number), parent, Cell::Bytes(b"x")]);
    world.backend.insert(&table.source, &columns(), &rows.collect::<Vec<_>>()).unwrap();
    let stamps = NUMBERS.map(|number| vec![Cell::Int(number), Cell::DateTime(minute(10)), Cell::Guid(unit(A))]);
    world.backend.insert(&table.metadata, &metadata(), &stamps).unwrap();
    world.backend.remove_table(&world.table.name.clone(), true).unwrap();
    world.backend.save_table(&table).unwrap();
    world.table = world.backend.table(&table.name).unwrap();
    world
}

#[derive(Default)]
struct Found {
    rows: BTreeMap<i64, Option<i64>>,
    row: [Option<i64>; 2],
}

impl CellSink for Found {
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        self.row[column] = if let Cell::Int(value) = cell { Some(value) } else { None };
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        assert_eq!(self.rows.insert(self.row[0].unwrap(), self.row[1]), None);
        Ok(())
    }
}

/// The keys of a table, each with its parent's.
fn found(session: &mut dyn Sandbox, table: &TableName) -> BTreeMap<i64, Option<i64>> {
    let columns = [columns()[0].clone(), Column::new("DeltaParentKey", SqlType::BigInt, true)];
    let mut found = Found::default();
    session.scan(table, &columns, "Id", &mut found).unwrap();
    found.rows
}

pub fn rule_3_integers_of_every_size_and_sign_go_the_whole_way(on: &Instance) {
    let mut world = numbers(on);
    assert_eq!(world.table.key_type, KeyType::Integer);
    let full = world.run(1000).bundles;
    assert_eq!(findings(&full[0]), [] as [String; 0]);
    let key = id(Cell::Int(-2)).unwrap();
    world.backend.exclude_key(&world.table.name.clone(), id(Cell::Int(0)).unwrap(), "poison").unwrap();
    let deletion = Deletion {
        key: id(Cell::Int(i64::MAX)).unwrap(),
        deleted_on: minute(1500),
        business_unit: None,
        reason: DeletionReason::Deleted,
    };
    let _ = world.backend.delete(&world.table.source, ("Id", deletion.key)).unwrap();
    let _ = world.backend.delete(&world.table.metadata, ("AttachmentId", deletion.key)).unwrap();
    world.backend.log_deletion(&world.table.name.clone(), &deletion).unwrap();
    let changed = [(&metadata()[1], Cell::DateTime(minute(1500)))];
    for changed_key in [key, id(Cell::Int(0)).unwrap()] {
        assert!(world.backend.update(&world.table.metadata, ("AttachmentId", changed_key), &changed).unwrap());
    }
    let delta = world.run(2000).bundles;
    assert_eq!(findings(&delta[0]), [] as [String; 0]);
    let report = reconciled(&mut world, &ReconcileOptions::default());
    assert!(report.is_good() && (report.excluded, report.equal) == (1, 5), "{report:?}");
    let mut target = world.target();
    let all = [full, delta].concat();
    replay(&all, &mut *target, &into_copy(), &Silent).unwrap();
    let due = NUMBERS.into_iter().zip(std::iter::once(None).chain(NUMBERS.into_iter().map(Some)));
    let due: BTreeMap<_, _> = due.filter(|(number, _)| *number != i64::MAX).collect();
    assert_eq!(found(&mut *target, &name("Copy.dbo.Numbers")), due);
}

pub fn rule_3_a_key_of_a_type_that_none_can_have_is_refused_with_those_that_can(on: &Instance) {
    let mut world = World::new(on);
    let mut table = config("Texts");
    let columns = [Column::new("stream_id", SqlType::NVarChar(Some(50)), false), columns()[2].clone()];
    world.backend.create_table(&table.source, &columns, "stream_id", &[]).unwrap();
    world.backend.create_table(&table.metadata, &metadata(), "AttachmentId", &[]).unwrap();
    (table.metadata_id_column, table.path_column, table.parent_path_column) = ("AttachmentId".into(), None, None);
    let error = world.backend.save_table(&table).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains("uniqueidentifier, bigint, int, smallint"), "{error}");
    // The metadata's are of the same kind.
    let mut docs = world.table.clone();
    docs.metadata = table.metadata;
    docs.metadata_id_column = "AttachmentId".into();
    assert_eq!(world.backend.save_table(&docs).unwrap_err().kind(), Kind::Config);
}

/// The key column becomes an `int`, as after every key that needs more was deleted.
fn narrow(world: &mut World) {
    let numbers = |sql_type| [Column::new("Id", sql_type, false), columns()[1].clone(), columns()[2].clone()];
    world.script("DROP TABLE Src.Numbers", "DROP TABLE Src.dbo.Numbers");
    world.backend.create_table(&world.table.source.clone(), &numbers(SqlType::Int), "Id", &[&["ParentId"]]).unwrap();
    world
        .backend
        .insert(&world.table.source, &numbers(SqlType::Int), &[vec![Cell::Int(42), Cell::Null, Cell::Bytes(b"x")]])
        .unwrap();
    for number in NUMBERS.into_iter().filter(|number| *number != 42) {
        let key = ("AttachmentId", id(Cell::Int(number)).unwrap());
        let _ = world.backend.delete(&world.table.metadata, key).unwrap();
    }
    world.restart();
    let _ = world.deploy();
}

pub fn rule_3_a_logged_deletion_of_a_key_that_the_column_cannot_have_any_more_is_named_and_wedges_nothing(
    on: &Instance,
) {
    let mut world = numbers(on);
    let first = world.run(1000);
    assert_eq!(first.run.status, Status::Completed, "{:?}", first.tables[0].error);
    narrow(&mut world);
    let report = reconciled(&mut world, &ReconcileOptions { log_deletions: true, ..ReconcileOptions::default() });
    assert_eq!((report.deletions, report.unfit), (2, 4), "{report:?}");
    let report = world.run(2000);
    assert_eq!(report.tables[0].status, Status::Completed, "{report:?}");
    assert_eq!(report.tables[0].counts.as_ref().map(|counts| counts.tombstones), Some(2));
    // What others wrote of such a key is refused before anything is copied, and what is to be done is done.
    let wide = Deletion {
        key: id(Cell::Int(i64::MAX)).unwrap(),
        deleted_on: minute(2100),
        business_unit: None,
        reason: DeletionReason::Deleted,
    };
    world.backend.log_deletion(&world.table.name.clone(), &wide).unwrap();
    let report = world.run(3000);
    let error = report.tables[0].error.as_ref().unwrap();
    let hint = error.what_to_do().unwrap().to_owned();
    assert!(error.kind() == Kind::Config && error.to_string().contains("9223372036854775807"), "{error}");
    let (_, statement) = hint.split_once("DELETE FROM ").unwrap();
    // Those of a unit are told what they were handed, and so is nobody here.
    assert_eq!(world.run_unit(3100, A).tables[0].error.as_ref().map(ToString::to_string), None);
    world.script(&format!("DELETE FROM {statement}"), &format!("DELETE FROM dbo.{statement}"));
    assert_eq!(world.run(3200).run.status, Status::Completed);
}

pub fn rule_3_a_column_that_is_named_in_another_case_is_the_same_column(on: &Instance) {
    let mut world = numbers(on);
    let mut table = world.table.clone();
    (table.key_column, table.path_column, table.parent_path_column) =
        ("ID".into(), Some("id".into()), Some("PARENTID".into()));
    (table.metadata_id_column, table.metadata_modified_on_column) = ("attachmentid".into(), "MODIFIEDON".into());
    world.backend.save_table(&table).unwrap();
    world.table = world.backend.table(&table.name).unwrap();
    let report = world.run(1000);
    assert_eq!(report.run.status, Status::Completed, "{:?}", report.tables[0].error);
    assert_eq!(findings(&report.bundles[0]), [] as [String; 0]);
    // Whoever writes the row by hand is understood too, and the chain goes on.
    let mend = "BlobDeltaTableConfig SET KeyColumn = 'iD', PathColumn = 'Id', ParentPathColumn = 'parentId'";
    world.script(&format!("UPDATE {mend}"), &format!("UPDATE dbo.{mend}"));
    world.restart();
    world.table = world.backend.table(&table.name).unwrap();
    let changed = [(&metadata()[1], Cell::DateTime(minute(1500)))];
    let key = ("AttachmentId", id(Cell::Int(42)).unwrap());
    assert!(world.backend.update(&world.table.metadata, key, &changed).unwrap());
    let again = world.run(2000);
    assert_eq!(again.run.status, Status::Completed, "{:?}", again.tables[0].error);
    assert!(again.tables[0].schema_changes.is_empty(), "{again:?}");
    let reconciliation = reconciled(&mut world, &ReconcileOptions::default());
    assert!(reconciliation.is_good() && reconciliation.equal == NUMBERS.len() as u64, "{reconciliation:?}");
    let mut target = world.target();
    let replayed = replay(&[report.bundles, again.bundles].concat(), &mut *target, &into_copy(), &Silent).unwrap();
    let written: Vec<u64> = replayed.bundles.iter().map(|bundle| bundle.tables[0].written).collect();
    assert_eq!(written[0], NUMBERS.len() as u64, "{replayed:?}");
    assert!(written[1] > 0, "{replayed:?}");
}

pub fn rule_3_what_somebody_writes_of_integers_is_an_id_or_named(on: &Instance) {
    let mut world = World::of(on, Keys::Integers);
    world.put(42, None, b"x", 10, A);
    let _ = world.run(1000);
    world.remove(42);
    let (log, now) = ("INSERT INTO {}BlobDeltaDeletionLog (TableName, stream_id, DeletedOn, LoggedAt)", minute(1100));
    let sqlite =
        |stream_id: &str| format!("{} VALUES ('Src.dbo.Docs', {stream_id}, '{now}', '{now}')", log.replace("{}", ""));
    let tsql = |stream_id: &str| {
        format!("{} VALUES (N'Src.dbo.Docs', {stream_id}, '{now}', '{now}')", log.replace("{}", "dbo."))
    };
    world.script(&sqlite("x'6f1c2a345b6d4e8f9a0b1c2d3e4f5061'"), &tsql("'6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061'"));
    let report = world.run(2000);
    assert_eq!(report.run.status, Status::Failed);
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.to_string().contains("BlobDeltaDeletionLog"), "{error}");
    // A server's error has what to do in itself.
    assert!(
        error.what_to_do().is_some() || error.to_string().contains("write it as dbo.ufn_BlobDelta_KeyId"),
        "{error}"
    );
    let mend = "UPDATE {}BlobDeltaDeletionLog SET stream_id = ";
    world.script(
        &format!("{}unhex(printf('%032x', 42))", mend.replace("{}", "")),
        &format!("{}dbo.ufn_BlobDelta_KeyId(N'integer', 42)", mend.replace("{}", "dbo.")),
    );
    let report = world.run(2001);
    assert_eq!(report.tables[0].counts.as_ref().map(|counts| counts.tombstones), Some(1), "{report:?}");
}

/// The numbers of the slice that a run fills, which copies every row of the source anew.
fn run_anew(world: &mut World, at: i64) -> Vec<i64> {
    let changed = [(&metadata()[1], Cell::DateTime(minute(at - 500)))];
    for number in NUMBERS {
        let key = ("AttachmentId", id(Cell::Int(number)).unwrap());
        assert!(world.backend.update(&world.table.metadata.clone(), key, &changed).unwrap());
    }
    world.restart();
    let report = world.run(at);
    for table in &report.tables {
        assert_eq!(table.status, Status::Completed, "{report:?}");
    }
    assert_eq!(findings(report.bundles.last().unwrap()), [] as [String; 0]);
    let target = world.table.target.clone();
    found(&mut *world.backend, &target).into_keys().collect()
}

pub fn rule_24_another_column_may_become_the_key(on: &Instance) {
    let mut world = numbers(on);
    let docs = world.config("Docs");
    world.backend.save_table(&docs).unwrap();
    world.script(
        "ALTER TABLE Src.Numbers ADD RowNo bigint NOT NULL DEFAULT 0",
        "ALTER TABLE Src.dbo.Numbers ADD RowNo bigint NOT NULL DEFAULT 0",
    );
    world.script("UPDATE Src.Numbers SET RowNo = Id", "UPDATE Src.dbo.Numbers SET RowNo = Id");
    let (right, mut wrong) = (world.table.clone(), world.table.clone());
    wrong.key_column = "RowNo".into();
    wrong.path_column = None;
    wrong.parent_path_column = None;
    world.restart();
    // Before a run, and after one; the columns are alike but for their names.
    for at in [1000, 3000] {
        world.backend.save_table(&wrong).unwrap();
        world.backend.save_table(&right).unwrap();
        assert_eq!(run_anew(&mut world, at), NUMBERS);
        world.backend.save_table(&wrong).unwrap();
        assert_eq!(run_anew(&mut world, at + 1000), NUMBERS);
    }
    // What stays of a table that is removed is no slice of the one that is added.
    world.backend.remove_table(&wrong.name, true).unwrap();
    world.backend.save_table(&right).unwrap();
    assert_eq!(run_anew(&mut world, 5000), NUMBERS);
    // By hand: of the embedded instance the table alone fails, and what it says to do works.
    world.script("UPDATE BlobDeltaTableConfig SET KeyColumn = 'RowNo', PathColumn = NULL, ParentPathColumn = NULL WHERE TableName = 'Src.dbo.Numbers'", "SELECT 1");
    world.restart();
    let report = world.run(6000);
    if world.is_embedded() {
        let failed: Vec<_> = report.tables.iter().filter(|table| table.status == Status::Failed).collect();
        let error = failed[0].error.as_ref().unwrap();
        assert_eq!((failed.len(), &failed[0].table), (1, &wrong.name), "{report:?}");
        assert!(error.what_to_do().is_some_and(|to_do| to_do.contains("blobdelta deploy")), "{error}");
        let _ = world.deploy();
        assert_eq!(run_anew(&mut world, 7000), NUMBERS);
    }
}

pub fn rule_24_keys_of_a_receiver_grow_with_those_of_the_source(on: &Instance) {
    let mut world = numbers(on);
    let source = world.table.source.clone();
    let made = |world: &mut World, key: SqlType, rows: &[[Cell<'static>; 2]]| {
        world.script("DROP TABLE Src.Numbers", "DROP TABLE Src.dbo.Numbers");
        world.backend.create_table(&source, &columns_of(key), "Id", &[&["ParentId"]]).unwrap();
        let rows: Vec<_> = rows.iter().map(|[key, parent]| vec![*key, *parent, Cell::Bytes(b"x")]).collect();
        world.backend.insert(&source, &columns_of(key), &rows).unwrap();
        world.restart();
    };
    let small = [[Cell::Int(0), Cell::Null], [Cell::Int(42), Cell::Int(0)]];
    made(&mut world, SqlType::Int, &small);
    let table = world.table.clone();
    world.backend.save_table(&table).unwrap();
    let mut bundles = world.run(1000).bundles;
    replay(&bundles, &mut *world.target(), &into_copy(), &Silent).unwrap();
    let large = [[Cell::Int(i64::MAX), Cell::Int(42)]];
    made(&mut world, SqlType::BigInt, &[&small[..], &large].concat());
    let changed = [(&metadata()[1], Cell::DateTime(minute(1500)))];
    let key = ("AttachmentId", id(Cell::Int(i64::MAX)).unwrap());
    assert!(world.backend.update(&world.table.metadata.clone(), key, &changed).unwrap());
    let mut report = world.run(2000);
    if !world.is_embedded() {
        // The key of a slice is its primary key there, which no run alters.
        let error = report.tables[0].error.as_ref().unwrap();
        assert!(error.to_string().contains("blobdelta deploy"), "{error}");
        let _ = world.deploy();
        report = world.run(2100);
    }
    assert_eq!(report.tables[0].status, Status::Completed, "{report:?}");
    bundles.extend(report.bundles);
    let replayed = replay(&bundles, &mut *world.target(), &into_copy(), &Silent);
    if !world.is_embedded() {
        let refused = replayed.unwrap_err();
        assert!(refused.to_string().contains("the target's key is int, and bigint comes"), "{refused}");
        assert!(refused.what_to_do().is_some_and(|to_do| to_do.contains("another database")), "{refused}");
        return;
    }
    let _ = replayed.unwrap();
    let due = BTreeMap::from([(0, None), (42, Some(0)), (i64::MAX, Some(42))]);
    assert_eq!(found(&mut *world.target(), &name("Copy.dbo.Numbers")), due);
}
