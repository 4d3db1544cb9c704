//! Keys that are short binaries: a whole way of those whose ends are zeros, and what is said of what is none.

use crate::scenarios::bundles::findings;
use crate::scenarios::deletions::reconciled;
use crate::scenarios::instance::Instance;
use crate::scenarios::read::id;
use crate::scenarios::triggers::carry_out;
use crate::scenarios::world::{A, World, config, into_copy, minute, name, unit};
use blobdelta::backend::{AuditTable, DeletionSource};
use blobdelta::error::{Kind, Result};
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::column::Column;
use blobdelta::model::id::Guid;
use blobdelta::model::key::KeyType;
use blobdelta::model::run::Status;
use blobdelta::model::slice::{Deletion, DeletionReason};
use blobdelta::model::sqltype::SqlType;
use blobdelta::monitor::Silent;
use blobdelta::reconcile::ReconcileOptions;
use blobdelta::replay::replay;
use std::collections::BTreeMap;

const KEY: SqlType = SqlType::Binary(5);

/// In their order. Each lies in the one before it.
const KEYS: [[u8; 5]; 7] = [
    [0; 5],
    [0, 0, 0, 0, 1],
    [0, 0, 1, 0, 0],
    [1, 0, 0, 0, 0],
    [1, 2, 3, 4, 5],
    [0x30, 0x78, 0x30, 0x31, 0],
    [0xFF; 5],
];

fn columns() -> [Column; 3] {
    [
        Column::new("Id", KEY, false),
        Column::new("ParentId", KEY, true),
        Column::new("Content", SqlType::VarBinary(None), true),
    ]
}

fn metadata(key: SqlType) -> [Column; 3] {
    [
        Column::new("AttachmentId", key, false),
        Column::new("ModifiedOn", SqlType::DateTime2(7), true),
        Column::new("BusinessUnit", SqlType::UniqueIdentifier, true),
    ]
}

fn id_of(key: &[u8]) -> Guid {
    id(Cell::Bytes(key)).unwrap()
}

/// A table of the keys, in which each lies in the one before it.
fn binaries(on: &Instance) -> World {
    let mut world = World::new(on);
    let mut table = config("Binaries");
    (table.key_column, table.metadata_id_column) = ("Id".into(), "AttachmentId".into());
    (table.path_column, table.parent_path_column) = (Some("Id".into()), Some("ParentId".into()));
    world.backend.create_table(&table.source, &columns(), "Id", &[&["ParentId"]]).unwrap();
    world.backend.create_table(&table.metadata, &metadata(KEY), "AttachmentId", &[&["ModifiedOn"]]).unwrap();
    let parents = std::iter::once(Cell::Null).chain(KEYS.iter().map(|key| Cell::Bytes(key)));
    let rows = KEYS.iter().zip(parents).map(|(key, parent)| vec![Cell::Bytes(key), parent, Cell::Bytes(b"x")]);
    world.backend.insert(&table.source, &columns(), &rows.collect::<Vec<_>>()).unwrap();
    let stamps = KEYS.iter().map(|key| vec![Cell::Bytes(key), Cell::DateTime(minute(10)), Cell::Guid(unit(A))]);
    world.backend.insert(&table.metadata, &metadata(KEY), &stamps.collect::<Vec<_>>()).unwrap();
    world.backend.remove_table(&world.table.name.clone(), true).unwrap();
    world.backend.save_table(&table).unwrap();
    world.table = world.backend.table(&table.name).unwrap();
    world
}

#[derive(Default)]
struct Found {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    row: [Option<Vec<u8>>; 2],
}

impl CellSink for Found {
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        self.row[column] = if let Cell::Bytes(key) = cell { Some(key.to_vec()) } else { None };
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        assert_eq!(self.rows.insert(self.row[0].take().unwrap(), self.row[1].take()), None);
        Ok(())
    }
}

pub fn rule_3_binaries_go_the_whole_way_with_the_zeros_at_their_ends(on: &Instance) {
    let mut world = binaries(on);
    assert_eq!(world.table.key_type, KeyType::Binary(5));
    let full = world.run(1000).bundles;
    assert_eq!(findings(&full[0]), [] as [String; 0]);
    world.backend.exclude_key(&world.table.name.clone(), id_of(&KEYS[2]), "poison").unwrap();
    let deletion = Deletion {
        key: id_of(&KEYS[6]),
        deleted_on: minute(1500),
        business_unit: None,
        reason: DeletionReason::Deleted,
    };
    let _ = world.backend.delete(&world.table.source, ("Id", deletion.key)).unwrap();
    let _ = world.backend.delete(&world.table.metadata, ("AttachmentId", deletion.key)).unwrap();
    world.backend.log_deletion(&world.table.name.clone(), &deletion).unwrap();
    let changed = [(&metadata(KEY)[1], Cell::DateTime(minute(1500)))];
    for key in [KEYS[3], KEYS[2]] {
        assert!(world.backend.update(&world.table.metadata, ("AttachmentId", id_of(&key)), &changed).unwrap());
    }
    let report = world.run(2000);
    let counts = report.tables[0].counts.as_ref().unwrap();
    assert_eq!((counts.roots + counts.children, counts.tombstones), (1, 1), "{report:?}");
    assert_eq!(findings(&report.bundles[0]), [] as [String; 0]);
    let reconciliation = reconciled(&mut world, &ReconcileOptions::default());
    assert!(
        reconciliation.is_good() && (reconciliation.excluded, reconciliation.equal) == (1, 5),
        "{reconciliation:?}"
    );
    let mut target = world.target();
    replay(&[full, report.bundles].concat(), &mut *target, &into_copy(), &Silent).unwrap();
    let parents = std::iter::once(None).chain(KEYS.iter().map(|key| Some(key.to_vec())));
    let due: BTreeMap<_, _> = KEYS.iter().map(|key| key.to_vec()).zip(parents).take(6).collect();
    let mut found = Found::default();
    let seen = [columns()[0].clone(), Column::new("DeltaParentKey", KEY, true)];
    target.scan(&name("Copy.dbo.Binaries"), &seen, "Id", &mut found).unwrap();
    assert_eq!(found.rows, due);
}

pub fn rule_3_what_somebody_writes_of_binaries_is_an_id_or_named(on: &Instance) {
    let mut world = binaries(on);
    let _ = world.run(1000);
    let gone = id_of(&KEYS[6]);
    let _ = world.backend.delete(&world.table.source, ("Id", gone)).unwrap();
    let _ = world.backend.delete(&world.table.metadata, ("AttachmentId", gone)).unwrap();
    let (log, now) = ("INSERT INTO {}BlobDeltaDeletionLog (TableName, stream_id, DeletedOn, LoggedAt)", minute(1100));
    let row = |id: &str| format!("VALUES ('Src.dbo.Binaries', {id}, '{now}', '{now}')");
    world.script(
        &format!("{} {}", log.replace("{}", ""), row("x'6f1c2a345b6d4e8f9a0b1c2d3e4f5061'")),
        &format!("{} {}", log.replace("{}", "dbo."), row("'6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061'")),
    );
    let report = world.run(2000);
    assert_eq!(report.run.status, Status::Failed);
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.to_string().contains("BlobDeltaDeletionLog") && error.to_string().contains("binary(5)"), "{error}");
    let mend = "UPDATE {}BlobDeltaDeletionLog SET stream_id = ";
    world.script(
        &format!("{}x'ffffffff00ff00000000000000000000'", mend.replace("{}", "")),
        &format!("{}dbo.ufn_BlobDelta_KeyId(N'binary(5)', N'0xFFFFFFFFFF')", mend.replace("{}", "dbo.")),
    );
    let report = world.run(2001);
    assert_eq!(report.tables[0].counts.as_ref().map(|counts| counts.tombstones), Some(1), "{report:?}");
    what_an_audit_table_has_is_logged_by_its_ids(on);
}

/// Of an audit table the printed statement does the same.
fn what_an_audit_table_has_is_logged_by_its_ids(on: &Instance) {
    let mut world = binaries(on);
    let _ = world.run(1000);
    let columns = [
        Column::new("Id", SqlType::BigInt, false),
        Column::new("RowKey", KEY, true),
        Column::new("At", SqlType::DateTime2(7), true),
    ];
    let audit = AuditTable {
        table: name("Src.dbo.Audit"),
        key_column: "RowKey".into(),
        deleted_on_column: "At".into(),
        when: None,
    };
    world.backend.create_table(&audit.table, &columns, "Id", &[]).unwrap();
    for (nth, key) in (1..).zip(&KEYS[4..]) {
        let row = vec![Cell::Int(nth), Cell::Bytes(key), Cell::DateTime(minute(1100))];
        world.backend.insert(&audit.table, &columns, &[row]).unwrap();
        let _ = world.backend.delete(&world.table.source, ("Id", id_of(key))).unwrap();
        let _ = world.backend.delete(&world.table.metadata, ("AttachmentId", id_of(key))).unwrap();
    }
    let table = world.table.clone();
    let sql = world.backend.deletion_script(&table, &DeletionSource::Audit(audit)).unwrap();
    carry_out(&mut world, &sql);
    let report = world.run(2000);
    assert_eq!(report.tables[0].counts.as_ref().map(|counts| counts.tombstones), Some(3), "{report:?}");
    let fence = world.backend.take_lease(report.run.id, &table.name, 60).unwrap();
    let told = world.backend.read_deletions(&fence, None, 100).unwrap();
    world.backend.release_leases(&[fence]).unwrap();
    assert_eq!(
        told.iter().map(|one| one.key).collect::<Vec<_>>(),
        KEYS[4..].iter().map(|key| id_of(key)).collect::<Vec<_>>()
    );
}

pub fn rule_3_a_binary_of_another_length_than_its_key_column_is_no_key(on: &Instance) {
    let mut world = binaries(on);
    // The metadata's are of the same length: a server pads what it compares, and shows other keys than the source has.
    let mut other = world.table.clone();
    other.metadata = name("Meta.dbo.Longer");
    let of_other = metadata(SqlType::Binary(6));
    world.backend.create_table(&other.metadata, &of_other, "AttachmentId", &[]).unwrap();
    let error = world.backend.save_table(&other).unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("binary(6)"), "{error}");
    // No id has the room.
    let mut longer = config("Longest");
    (longer.path_column, longer.parent_path_column, longer.metadata_id_column) = (None, None, "AttachmentId".into());
    let wide = [Column::new("stream_id", SqlType::Binary(17), false), columns()[2].clone()];
    world.backend.create_table(&longer.source, &wide, "stream_id", &[]).unwrap();
    world.backend.create_table(&longer.metadata, &metadata(SqlType::Binary(17)), "AttachmentId", &[]).unwrap();
    let error = world.backend.save_table(&longer).unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("binary of 1 to 16 bytes"), "{error}");
    // A server pads what is written; SQLite takes anything, and the table fails by it.
    if world.is_embedded() {
        world.script("UPDATE Src.Binaries SET Id = x'01' WHERE Id = x'0102030405'", "");
        let report = world.run(1000);
        let error = report.tables[0].error.as_ref().unwrap();
        assert!(error.to_string().contains("is no binary(5)") && error.what_to_do().is_some(), "{error}");
    }
}
