//! Every statement that the program sends, collected from its own calls: for whoever holds them against a grammar.
//!
//! A server that answers anything takes them all, and `BLOBDELTA_STATEMENTS` names a folder for them. What a call
//! makes of such answers does not matter. That nothing is missing is shown by the sources: each piece of SQL in
//! them stands in a statement, so that a new one which no call here reaches is reported with its place.

use crate::tds::endpoint::Endpoint;
use crate::tds::plausible::{
    CATALOG, MARKED, ODD, OLD, catalog, clash, exact_time, indexes, keys_in_order, named_database, rights, servers,
    trigger, versions,
};
use crate::tds::reply::Reply;
use crate::tds::scripts::of_deletion_scripts;
use crate::tds::specs::{Nowhere, spec};
use crate::tds::{guess, literals};
use blobdelta::backend::{
    AdoptedBundle, AppliedBundle, BundleRecord, ComingValue, Evolve, Handed, KeyRequest, LedgerEntry, OpenOptions,
    PendingShipment, Retention, Sandbox, TableScan, TargetCompatibility, TargetSpec, TombstoneRow,
};
use blobdelta::error::Result;
use blobdelta::model::cell::{Cell, RowSource};
use blobdelta::model::column::Column;
use blobdelta::model::destination::{BundleForm, Destination, Seal};
use blobdelta::model::digest::Sha256;
use blobdelta::model::id::Guid;
use blobdelta::model::key::KeyType;
use blobdelta::model::name::TableName;
use blobdelta::model::run::{Fence, RunRequest, Scope, Status, Step};
use blobdelta::model::slice::{Deletion, DeletionReason, ReadLimits, SlicePosition};
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::table::TableConfig;
use blobdelta::model::time::Timestamp;
use blobdelta::model::version::Version;
use std::collections::BTreeSet;
use std::path::Path;

const LIMITS: ReadLimits = ReadLimits { bytes: 1, rows: 1, inline_bytes: 100 };
const FOLDER: &str = "BLOBDELTA_STATEMENTS";

/// A call or several, in a session of their own. What comes of them is not looked at.
type Calls = fn(&mut dyn Sandbox);

const ALL: [Calls; 15] = [
    of_setting_up,
    of_tables,
    of_runs,
    of_a_run,
    of_bundles,
    of_slices,
    of_inventory,
    of_upkeep,
    of_tables_by_hand,
    of_values,
    |session| replay(session, &target(&columns())),
    |session| replay(session, &target(&columns()[..1])),
    |session| replay(session, &TargetSpec { key_type: KeyType::Integer, ..target(&columns()) }),
    |session| replay(session, &TargetSpec { key_type: KeyType::Binary(8), ..target(&columns()) }),
    |session| tried(session.prepare_target(&TargetSpec { evolve: Evolve::Any, ..target(&more()) }, false)),
];

pub fn all_that_the_program_sends_can_be_collected_and_nothing_of_its_sql_is_missing() {
    let mut sent = BTreeSet::new();
    for columns in [&CATALOG[..], &MARKED[..], &OLD[..], &ODD[..]] {
        for is_new in [true, false] {
            for calls in ALL {
                sent.extend(collect(columns, is_new, calls));
            }
        }
    }
    let missing: Vec<String> = literals::chunks()
        .into_iter()
        .filter(|chunk| !sent.iter().any(|statement| statement.contains(&chunk.text)))
        .map(|chunk| format!("{}: {:?}", chunk.place, chunk.text))
        .collect();
    assert!(missing.is_empty(), "no call above sends\n{}", missing.join("\n"));
    if let Some(folder) = std::env::var_os(FOLDER) {
        for (nth, statement) in sent.iter().enumerate() {
            std::fs::write(Path::new(&folder).join(format!("sent-{nth:04}.sql")), statement).unwrap();
        }
    }
}

/// On a server whose tables have these columns; `is_new`: that has nothing of ours yet, and not all of its language.
fn collect(columns: &[(&str, &str, i64)], is_new: bool, calls: Calls) -> Vec<String> {
    let endpoint = Endpoint::start();
    endpoint.guesses(guess::reply);
    endpoint.answers("c.is_nullable, c.is_computed, c.collation_name", [catalog(columns)]);
    endpoint.answers("i.is_unique = 1 AND i.has_filter = 0", [indexes()]);
    endpoint.answers("OBJECT_ID(N'dbo.BlobDeltaReplayBundle')", [Reply::number(i64::from(!is_new))]);
    endpoint.answers("sys.foreign_keys AS f", [trigger()]);
    endpoint.answers("SELECT TOP (1) s.k FROM #BlobDeltaStage AS s", [Reply::done(0)]);
    endpoint.answers("sys.objects WHERE type IN ('U', 'V')", [Reply::number(0)]);
    if is_new && columns.len() == MARKED.len() {
        // The target's database is not there until it is made.
        let found = [1, 0, 0, 1].map(Reply::number);
        endpoint.answers("SELECT CASE WHEN DB_ID(", found);
    }
    endpoint.answers("ORDER BY k.g", [keys_in_order()]);
    endpoint.answers("COUNT_BIG(*) FROM #BlobDeltaStage", [Reply::number(2)]);
    endpoint.answers("SELECT Script, Version", [versions()]);
    endpoint.answers("'2026-01-01T00:00:00.1234567'", [exact_time()]);
    endpoint.answers("DB_NAME(DB_ID(", [named_database()]);
    endpoint.answers("AS Edition", [Reply::number(8)]);
    endpoint.answers("AS IsVerifier", [rights()]);
    endpoint.answers("BlobDeltaKnownServer AS", [servers()]);
    endpoint.answers("SELECT TOP (1) s.k, s.vm", [clash(), Reply::done(0)]);
    if is_new {
        endpoint.answers("v.WRITE(0x00", [Reply::error(102, 15, "Incorrect syntax near '('.")]);
        endpoint.answers("FROM [Copy].sys.objects AS o", [Reply::done(0)]);
        endpoint.answers("SET Reason = ", [Reply::done(0)]);
        endpoint.answers("UPDATE dbo.BlobDeltaTableConfig SET", [Reply::done(0)]);
        endpoint.answers("usp_BlobDelta_FailTable", [Reply::error(1105, 17, "The log is full.")]);
    }
    let options = OpenOptions { create: true, connections: if is_new { 2 } else { 1 }, ..OpenOptions::default() };
    if let Ok(mut session) = endpoint.connection().open_sandbox(&options) {
        calls(&mut *session);
    }
    endpoint.statements()
}

fn name(text: &str) -> TableName {
    TableName::parse(text).unwrap()
}

fn files() -> TableName {
    name("S.dbo.Files")
}

fn config() -> TableConfig {
    TableConfig {
        metadata_business_unit_column: Some("BusinessUnit".into()),
        business_unit_table: Some(name("S.dbo.Units")),
        business_unit_id_column: Some("BusinessUnitId".into()),
        initial_baseline: Some(now()),
        ..TableConfig::new(files(), name("M.dbo.Files"))
    }
}

fn key() -> Guid {
    Guid::from_bytes([7; 16])
}

/// As many as are said to be staged.
fn keys() -> [Guid; 2] {
    [Guid::from_bytes([1; 16]), Guid::from_bytes([2; 16])]
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T18:00:00.0000000").unwrap()
}

fn root() -> Sha256 {
    Sha256::of(b"root")
}

fn fence() -> Fence {
    Fence { table: files(), run_id: key(), epoch: 1 }
}

fn unit() -> Scope {
    Scope::BusinessUnit(key())
}

/// What was sent is all that counts.
fn tried<T>(_: Result<T>) {}

fn of_setting_up(session: &mut dyn Sandbox) {
    tried(session.now());
    tried(session.deploy());
    tried(session.check_deployed());
    tried(session.servers());
    tried(session.add_server());
    tried(session.become_own_source());
    tried(session.create_database("New"));
    tried(session.add_server());
    tried(session.become_own_source());
}

fn of_tables(session: &mut dyn Sandbox) {
    tried(session.tables());
    tried(session.table(&files()));
    tried(session.save_table(&config()));
    tried(session.save_table(&TableConfig::new(name("X.dbo.Files"), name("X.dbo.Files"))));
    tried(session.source_columns(&config()));
    tried(session.refresh_slice(&config()));
    tried(session.pend_key(&files(), key(), &KeyRequest::of(None, "asked for")));
    tried(session.exclude_key(&files(), key(), "unreadable"));
    tried(session.include_key(&files(), key()));
    tried(session.named_keys(&files(), None, 10));
    tried(session.unknown_names());
    tried(session.place_records());
    tried(session.share_place("s3://everybody/weekly", unit()));
    tried(session.waive_shipments(key()));
    let reason = DeletionReason::Deleted;
    let deletion = Deletion { key: key(), deleted_on: now(), business_unit: None, reason };
    tried(session.log_deletion(&files(), &deletion));
}

fn of_runs(session: &mut dyn Sandbox) {
    tried(session.recent_runs(10));
    tried(session.run_tables(key()).and(session.run_steps(key())));
    tried(session.watermarks().and(session.unit_watermarks()));
    tried(session.pending().and(session.missing_parents(key())));
    tried(session.bundles(key()));
    tried(session.unshipped());
    tried(session.add_pending_shipment(key(), 1, "file:///out"));
    let unshipped = PendingShipment {
        run_id: key(),
        pack_number: 1,
        root_sha256: root(),
        name: "b".into(),
        folder: "f".into(),
        ship_to: "file:///out".into(),
    };
    tried(session.record_shipped(&unshipped));
}

fn of_a_run(session: &mut dyn Sandbox) {
    let request = |scope, from| RunRequest {
        requested_by: "test".into(),
        table: Some(files()),
        scope,
        batch_size: None,
        max_dop: 2,
        from,
        until: from,
        continues: from.map(|_| key()),
    };
    for request in [request(Scope::All, None), request(unit(), Some(now()))] {
        tried(session.plan_table(&request, &config()));
        tried(session.start_run(&request, None));
    }
    let Ok(run) = session.resume_run(key()) else { return };
    tried(session.take_lease(key(), &files(), 60));
    tried(session.lease_keeper().and_then(|mut keeper| keeper.renew(&fence(), 60)));
    tried(session.start_table(&run, &TableConfig::new(files(), name("M.dbo.Files")), 60));
    if let Ok(table_run) = session.start_table(&run, &config(), 60) {
        tried(session.run_batch(&table_run, Step::Roots, 500));
        tried(session.queue_missing_parents(&table_run));
        tried(session.finish_table(&table_run, false));
    }
    tried(session.fail_table(&run, &files(), Some(&fence()), Status::Failed, "why"));
    tried(session.finish_run(&run, Status::Completed, Some("done")));
    tried(session.release_leases(&[fence()]));
}

fn of_bundles(session: &mut dyn Sandbox) {
    let seal = Seal { signed_by: None, encrypted_to: BTreeSet::new() };
    let reported = Destination { out_folder: "/out".into(), ship_to: None, form: BundleForm::Folder, seal };
    tried(session.record_destination(key(), &reported));
    let record = BundleRecord {
        remembers_content: false,
        columns: Vec::new(),
        run_id: key(),
        table: files(),
        pack_number: 1,
        scope: Scope::All,
        root_sha256: root(),
        previous_root_sha256: Some(root()),
        name: "b".into(),
        folder: "f".into(),
        published_at: now(),
        ship_to: None,
        shipped_at: None,
    };
    tried(session.record_bundle(&[(fence(), record)], false));
    tried(session.previous_bundle(&files(), unit(), key()));
    tried(session.chain_records(&files(), unit()));
    let adopted = AdoptedBundle {
        columns: Vec::new(),
        run_id: key(),
        run_type: "AllTables".into(),
        requested_by: "test".into(),
        run_started_at: now(),
        business_unit: Some(key()),
        pack_number: 1,
        root_sha256: root(),
        previous_root_sha256: Some(root()),
        name: "b".into(),
        folder: "f".into(),
        watermark: now(),
    };
    tried(session.adopt_bundles(&files(), unit(), &[adopted]));
    let version = Version { modified_on: Some(now()), tombstone: None, run_started_at: now(), run_id: key() };
    // As many as the endpoint says of every bulk load.
    let keys = [(key(), version), (Guid::from_bytes([9; 16]), version)];
    tried(session.adopt_keys(&files(), unit(), Handed::Whole, &keys));
    let two = [key(), Guid::from_bytes([9; 16])];
    let coming = two.map(|key| ComingValue { key, modified_on: now(), sha256: None, root_sha256: None });
    tried(session.clear_values_aside(&fence()));
    tried(session.put_values_aside(&fence(), "file_stream", &coming));
    tried(session.known_values(&fence(), unit(), "file_stream", &two));
    tried(session.give_up(&fence()));
    tried(session.table_report(key(), &files()));
    tried(session.table_errors(key()));
}

fn of_slices(session: &mut dyn Sandbox) {
    tried(session.slice_marker(&config()));
    tried(session.slice_columns(&config()));
    tried(session.key_order());
    tried(session.changed_scripts(&config()));
    tried(session.read_slice(&fence(), None, LIMITS, &mut Nowhere));
    let after = SlicePosition { depth: 1, path: vec![0x58], key: key() };
    tried(session.read_slice(&fence(), Some(&after), LIMITS, &mut Nowhere));
    for column in ["file_stream", "name", "code", "doc"] {
        tried(session.read_large(&fence(), key(), column, &mut std::io::sink()));
    }
    for after in [None, Some(key())] {
        tried(session.read_deletions(&fence(), after, 100));
        tried(session.absent_parents(&fence(), after, 100));
    }
}

fn of_inventory(session: &mut dyn Sandbox) {
    for (scope, after) in [(None, None), (Some(key()), Some(key()))] {
        tried(session.inventory(&config(), scope, now(), after, 100));
        tried(session.inventory(&TableConfig::new(files(), name("M.dbo.Files")), None, now(), after, 100));
    }
    tried(session.reached(&files(), unit()));
    tried(session.has_unit(&[config()], key()));
    tried(session.units());
    for scope in [Scope::All, Scope::BusinessUnit(key())] {
        tried(session.remains(&config(), scope, now(), &keys()));
        tried(session.parents(&config(), scope, now(), &keys()));
    }
    let mut by_day = TableConfig { safety_buffer_minutes: 1_440, ..config() };
    (by_day.metadata_modified_on_column, by_day.metadata_created_on_column) = ("there".into(), Some("day".into()));
    tried(session.inventory(&by_day, None, now(), None, 100));
    tried(session.whole_table(&config(), now()));
    let flagged = TableConfig { deleted_when: Some("there IS NOT NULL".into()), ..config() };
    tried(session.inventory(&flagged, None, now(), None, 100));
    tried(session.remains(&flagged, unit(), now(), &keys()));
    let of_integers = TableConfig { key_type: KeyType::Integer, ..config() };
    tried(session.unfit_deletion(&of_integers, unit(), Some(now()), SqlType::Int));
    let columns = [Column::new("file_stream", SqlType::VarBinary(None), true)];
    tried(session.source_content(&config(), &columns, &keys()));
}

fn of_upkeep(session: &mut dyn Sandbox) {
    tried(session.doctor());
    tried(session.look_at_data(&config()));
    tried(session.check_backup(&["S_Delta".into()], "https://account.blob.core.windows.net/slices"));
    for path in ["D:\\slice.bak", "https://account.blob.core.windows.net/slices/slice.bak"] {
        tried(session.backup(&[fence()], "S_Delta", path, &mut |_| {}));
    }
    for (keep_runs, keep_days) in [(Some(10), None), (None, Some(30))] {
        tried(session.prune(&Retention { keep_runs, keep_days }, true));
    }
    of_deletion_scripts(session, &config());
}

fn of_tables_by_hand(session: &mut dyn Sandbox) {
    let all = columns();
    let table = name("Copy.other.Docs");
    tried(session.create_table(&table, &all, "stream_id", &[&["path_locator"]]));
    let row = rows();
    let cells = |nth: usize| (0..all.len()).map(|at| row.cell(nth, at).unwrap()).collect::<Vec<_>>();
    tried(session.insert(&table, &all, &[cells(0), cells(1)]));
    let values: Vec<(&Column, Cell<'_>)> = all.iter().zip(cells(0)).skip(1).collect();
    tried(session.update(&table, ("stream_id", key()), &values));
    tried(session.delete(&table, ("stream_id", key())));
    tried(session.columns(&table));
    tried(session.scan(&table, &all, "stream_id", &mut Nowhere));
    let (scan, limits) = (TableScan { table: &table, columns: &all, key: "stream_id" }, LIMITS);
    tried(session.scan_page(scan, Some(key()), limits, &mut Nowhere));
    tried(session.execute_script("SELECT 1;\nGO\nSELECT 2;"));
}

fn of_values(session: &mut dyn Sandbox) {
    let table = name("Copy.dbo.Docs");
    for (column, sql_type) in [("file_stream", SqlType::VarBinary(None)), ("name", SqlType::NVarChar(None))] {
        tried(session.read_value(&table, ("stream_id", key()), column, &mut std::io::sink()));
        let bytes = vec![b'x'; 600_000];
        let column = Column::new(column, sql_type, true);
        tried(session.write_value(&table, ("stream_id", key()), &column, 600_000, &mut &bytes[..]));
    }
}

fn more() -> Vec<Column> {
    [columns(), vec![Column::new("added", SqlType::Int, true)]].concat()
}

/// A column of each type, after those of a tree.
fn columns() -> Vec<Column> {
    use SqlType as T;
    let of = [
        ("stream_id", T::UniqueIdentifier),
        ("path_locator", T::HierarchyId),
        ("file_stream", T::VarBinary(None)),
        ("any", T::Variant),
        ("name", T::NVarChar(Some(255))),
        ("code", T::VarChar(Some(20))),
        ("price", T::Money),
        ("count", T::Int),
        ("share", T::Float),
        ("weight", T::Decimal { precision: 9, scale: 2 }),
        ("flag", T::Bit),
        ("day", T::Date),
        ("hour", T::Time(7)),
        ("at", T::DateTime2(7)),
        ("there", T::DateTimeOffset(7)),
        ("doc", T::Xml),
        ("memo", T::NText),
        ("letters", T::Text),
        ("picture", T::Image),
        ("place", T::Geography),
        ("stamp", T::RowVersion),
        ("fixed", T::Binary(4)),
        ("word", T::NChar(4)),
    ];
    of.iter()
        .map(|(name, sql_type)| Column {
            collation: Some("Latin1_General_CI_AS".into()),
            ..Column::new(name, *sql_type, true)
        })
        .collect()
}

/// Two rows with variants of several base types, one with values that do not go by bulk load.
struct Rows(Vec<Column>, Vec<u8>);

fn rows() -> Rows {
    Rows(columns(), vec![b'x'; 70_000])
}

impl RowSource for Rows {
    fn rows(&self) -> usize {
        2
    }

    fn cell(&self, row: usize, column: usize) -> Result<Cell<'_>> {
        let column = &self.0[column];
        Ok(match (column.name.as_str(), row) {
            ("stream_id", row) => Cell::Guid(Guid::from_bytes([row as u8 + 1; 16])),
            ("path_locator", _) => Cell::Bytes(&[0x58]),
            ("any", 0) => Cell::Text("money:1.0000"),
            ("any", _) => Cell::Text("varbinary(2):0x0102"),
            ("file_stream", 0) => Cell::Large(600_000),
            ("file_stream", _) => Cell::Bytes(&self.1),
            ("price", _) => Cell::Decimal(10_000),
            _ => Cell::Null,
        })
    }

    fn large(&self, _: usize, _: usize) -> Result<Box<dyn std::io::Read + '_>> {
        Ok(Box::new(std::io::repeat(b'x')))
    }
}

fn target(columns: &[Column]) -> TargetSpec {
    let flat = spec("Files", columns);
    TargetSpec { table: files(), path_column: Some("path_locator".into()), displace: true, ..flat }
}

fn replay(session: &mut dyn Sandbox, spec: &TargetSpec) {
    let version = Version { modified_on: Some(now()), tombstone: None, run_started_at: now(), run_id: key() };
    let entry = LedgerEntry {
        root_sha256: root(),
        part: "data/t001-files/part-00000.parquet".into(),
        rows: 2,
        complete: true,
        passed_by: 0,
        applied_at: now(),
    };
    let compatibility = TargetCompatibility::default();
    let keys = keys();
    tried(session.resolve_target(spec.target.clone()));
    tried(session.inspect_target(spec));
    tried(session.prepare_target(spec, true));
    tried(session.ledger(spec, root()));
    tried(session.forget_applied(spec, root()));
    tried(session.apply_rows(spec, &rows(), &keys, &[version; 2], &entry));
    for reason in [DeletionReason::Deleted, DeletionReason::LeftScope] {
        let tombstones =
            keys.map(|key| TombstoneRow { key, version: Version { tombstone: Some(reason), ..version }, reason });
        tried(session.apply_tombstones(spec, &tombstones, &entry));
    }
    tried(session.applied_bundles(spec));
    let bundle = AppliedBundle {
        columns: Vec::new(),
        source_id: key(),
        table: files(),
        scope: "all".into(),
        root_sha256: root(),
        window: Some((now(), now())),
        gap: None,
        within: None,
        previous: None,
        is_other_source: false,
    };
    tried(session.note_bundles(spec, &[bundle]));
    tried(session.note_gap(spec, root(), Some("a week")));
    tried(session.job_databases("Copy"));
    tried(session.existing(spec, &compatibility, &keys));
    tried(session.existing_content(spec, &compatibility, &[0], &keys));
    tried(session.read_content(spec, 0, key(), &mut std::io::sink()));
    tried(session.take_back_targets());
}
