//! A small instance with a clock that stands still, and words for what happens to it.
//!
//! One tree table, `Src.dbo.Docs`, with its metadata in `Meta.dbo.Docs` and the units in scope
//! in `Src.dbo.Units`. Keys are small numbers, times are minutes.

use crate::scenarios::instance::{Instance, Place};
use crate::scenarios::read::{COLUMNS, Rows, SliceRow};
use crate::scenarios::session::Session;
use crate::scenarios::stamped::Stamped;
use blobdelta::backend::{DeployStep, WatermarkRecord};
use blobdelta::durable::{Disk, Faulty, Local};
use blobdelta::engine::{self, PackOptions, RunOptions, RunReport, Waiver};
use blobdelta::error::Result;
use blobdelta::model::cell::Cell;
use blobdelta::model::column::Column;
use blobdelta::model::id::Guid;
use blobdelta::model::key::KeyType;
use blobdelta::model::name::TableName;
use blobdelta::model::run::{Run, RunRequest, Scope};
use blobdelta::model::slice::{Deletion, DeletionReason};
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::table::TableConfig;
use blobdelta::model::time::{TICKS_PER_MINUTE, Timestamp};
use blobdelta::monitor::Silent;
use blobdelta::replay::ReplayOptions;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// In scope.
pub const A: u8 = 0xA;
/// In scope.
pub const B: u8 = 0xB;
/// Not in scope.
pub const X: u8 = 0xF;
/// The safety buffer of every table here.
pub const BUFFER: i64 = 240;

pub fn minute(minutes: i64) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus_ticks(minutes * TICKS_PER_MINUTE)
}

pub fn key(number: u32) -> Guid {
    let mut bytes = [0; 16];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Guid::from_bytes(bytes)
}

pub fn unit(letter: u8) -> Guid {
    Guid::from_bytes([letter; 16])
}

pub fn name(text: &str) -> TableName {
    TableName::parse(text).unwrap()
}

thread_local! {
    /// The keys of the worlds that this thread makes.
    static ASKED_FOR: std::cell::Cell<Keys> = const { std::cell::Cell::new(Keys::Guids) };
}

/// What the keys of a world's tables are, and by what a row finds its parent. A number has the same id, whatever its key is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// uniqueidentifier, and paths.
    #[default]
    Guids,
    /// int, the metadata's bigint, and paths.
    Integers,
    /// bigint, the metadata's int, and the parent's key.
    Parents,
    /// binary(16), and the parent's key.
    Binaries,
}

impl Keys {
    /// Runs a scenario whose worlds have keys of this kind.
    pub fn during(self, scenario: impl FnOnce()) {
        ASKED_FOR.set(self);
        scenario();
        ASKED_FOR.set(Self::Guids);
    }

    /// Whether a row finds its parent by the parent's key.
    pub fn is_by_parent(self) -> bool {
        matches!(self, Self::Parents | Self::Binaries)
    }

    fn types(self) -> (SqlType, SqlType) {
        match self {
            Self::Guids => (SqlType::UniqueIdentifier, SqlType::UniqueIdentifier),
            Self::Integers => (SqlType::Int, SqlType::BigInt),
            Self::Parents => (SqlType::BigInt, SqlType::Int),
            Self::Binaries => (SqlType::Binary(16), SqlType::Binary(16)),
        }
    }

    /// The key of a number.
    pub fn cell(self, number: u32) -> Cell<'static> {
        match self {
            Self::Guids => Cell::Guid(key(number)),
            Self::Integers | Self::Parents => Cell::Int(number.into()),
            Self::Binaries => Cell::Bytes(Box::leak(Box::new(*key(number).as_bytes()))),
        }
    }

    /// The key of a number in SQL of the embedded instance.
    pub fn sqlite(self, number: u32) -> String {
        match self {
            Self::Guids | Self::Binaries => format!("x'{number:032x}'"),
            Self::Integers | Self::Parents => number.to_string(),
        }
    }

    /// The key of a number, as people see it.
    pub fn shown(self, number: u32) -> String {
        KeyType::of(self.types().0).unwrap().shown(key(number)).to_string()
    }

    /// The key of a number in T-SQL.
    pub fn tsql(self, number: u32) -> String {
        match self {
            Self::Guids => format!("'{}'", key(number)),
            Self::Integers | Self::Parents => number.to_string(),
            Self::Binaries => format!("0x{number:032x}"),
        }
    }

    pub fn source_columns(self) -> Vec<Column> {
        let mut columns = vec![
            Column::new("stream_id", self.types().0, false),
            Column::new("file_stream", SqlType::VarBinary(None), true),
            Column::new("name", SqlType::NVarChar(Some(255)), false),
        ];
        match self.is_by_parent() {
            true => columns.push(Column::new("parent_id", self.types().0, true)),
            false => columns.extend([
                Column::new("path_locator", SqlType::VarBinary(Some(892)), false),
                Column::new("parent_path_locator", SqlType::VarBinary(Some(892)), true),
            ]),
        }
        columns
    }

    fn metadata_columns(self, stamped: Stamped) -> Vec<Column> {
        let ids = [("RowId", SqlType::UniqueIdentifier), ("Id", self.types().1)];
        let ids = ids.into_iter().map(|(name, sql_type)| Column::new(name, sql_type, false));
        let unit = Column::new("BusinessUnit", SqlType::UniqueIdentifier, true);
        ids.chain(stamped.columns()).chain([unit]).collect()
    }

    fn configure(self, config: &mut TableConfig) {
        config.key_type = KeyType::of(self.types().0).unwrap();
        if self.is_by_parent() {
            (config.path_column, config.parent_path_column) = (Some("stream_id".into()), Some("parent_id".into()));
        }
    }
}

pub struct World {
    pub keys: Keys,
    pub stamped: Stamped,
    pub dir: tempfile::TempDir,
    pub disk: Arc<dyn Disk>,
    pub backend: Session,
    pub table: TableConfig,
    pub place: Place,
    /// Of each table by its name.
    paths: BTreeMap<(String, u32), Vec<u8>>,
}

/// A folder that goes with the test; in memory where there is such a place, because a thousand
/// small transactions wait for the disk and nothing else.
fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).unwrap()
}

pub fn source_columns() -> Vec<Column> {
    Keys::Guids.source_columns()
}

pub fn config(table: &str) -> TableConfig {
    let mut config = TableConfig::new(name(&format!("Src.dbo.{table}")), name(&format!("Meta.dbo.{table}")));
    config.metadata_id_column = "Id".into();
    config.metadata_business_unit_column = Some("BusinessUnit".into());
    config.business_unit_table = Some(name("Src.dbo.Units"));
    config.business_unit_id_column = Some("Id".into());
    config
}

impl World {
    pub fn new(on: &Instance) -> Self {
        Self::of(on, ASKED_FOR.get())
    }

    /// Whose tables have keys of this kind.
    pub fn of(on: &Instance, keys: Keys) -> Self {
        let dir = scratch();
        std::fs::create_dir(dir.path().join("out")).unwrap();
        let place = Place::new(on, dir.path());
        let backend = place.open(None);
        let (stamped, disk) = (Stamped::asked_for(), Arc::new(Local));
        let mut world =
            Self { keys, stamped, dir, disk, backend, table: config("Docs"), place, paths: BTreeMap::new() };
        world.table = world.config("Docs");
        world.at(0);
        let units = [Column::new("Id", SqlType::UniqueIdentifier, false)];
        world.backend.create_table(&name("Src.dbo.Units"), &units, "Id", &[]).unwrap();
        world.unit_in_scope(A);
        world.unit_in_scope(B);
        world.add_table("Docs");
        world
    }

    /// The configuration of a table.
    pub fn config(&self, table: &str) -> TableConfig {
        let mut config = config(table);
        self.keys.configure(&mut config);
        self.stamped.configure(&mut config);
        config
    }

    pub fn add_table(&mut self, table: &str) {
        let config = self.config(table);
        let by_path: [&[&str]; 1] = [&["path_locator", "parent_path_locator", "stream_id"]];
        let by_parent: [&[&str]; 1] = [&["parent_id", "stream_id"]];
        let indexes = if self.keys.is_by_parent() { by_parent } else { by_path };
        self.backend.create_table(&config.source, &self.keys.source_columns(), "stream_id", &indexes).unwrap();
        let columns = self.keys.metadata_columns(self.stamped);
        let stamps: Vec<String> = self.stamped.columns().into_iter().map(|column| column.name).collect();
        let stamps: Vec<&str> = stamps.iter().map(String::as_str).collect();
        let (by_stamp, by_id) = ([stamps.as_slice(), &["Id"]].concat(), [&["Id"], stamps.as_slice()].concat());
        let indexes = [by_stamp.as_slice(), &by_id];
        self.backend.create_table(&config.metadata, &columns, "RowId", &indexes).unwrap();
        self.backend.save_table(&config).unwrap();
    }

    pub fn unit_in_scope(&mut self, letter: u8) {
        let columns = [Column::new("Id", SqlType::UniqueIdentifier, false)];
        self.backend.insert(&name("Src.dbo.Units"), &columns, &[vec![Cell::Guid(unit(letter))]]).unwrap();
    }

    /// A second session on the same instance, as another process would have it.
    pub fn another(&self) -> Session {
        self.place.open(None)
    }

    /// Ends the session and takes another one, whose disk and database fail like this.
    pub fn fail_with(&mut self, disk: &Faulty) {
        self.disk = Arc::new(disk.clone());
        self.backend = self.place.open(Some(&self.disk));
    }

    /// The process that failed has died; another one begins.
    pub fn restart(&mut self) {
        self.disk = Arc::new(Local);
        self.backend = self.another();
    }

    /// A session on another instance of the same kind, whose database `Copy` is the target of replays.
    pub fn target(&self) -> Session {
        self.place.target()
    }

    pub fn deploy(&mut self) -> Vec<DeployStep> {
        let steps = self.backend.deploy().unwrap();
        self.stop_clock();
        steps
    }

    /// After a deployment, which brings a server's own clock back.
    pub fn stop_clock(&mut self) {
        self.place.stop_clock();
    }

    /// Statements in the instance's own dialect.
    pub fn script(&mut self, sqlite: &str, tsql: &str) {
        self.backend.execute_script(if self.place.is_embedded() { sqlite } else { tsql }).unwrap();
    }

    pub fn is_embedded(&self) -> bool {
        self.place.is_embedded()
    }

    pub fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    pub fn at(&mut self, minutes: i64) {
        self.place.set_clock(minute(minutes));
    }

    /// How many minutes local time is ahead of UTC.
    pub fn local_time_is_ahead_by(&mut self, minutes: i64) {
        self.place.set_offset(minutes);
    }

    /// The smallest step of a datetime2(7) that the instance keeps apart, in ticks of 100 ns.
    pub fn finest_ticks(&self) -> i64 {
        self.place.finest_ticks()
    }

    /// Where a row of the source lies, or lay last.
    pub fn path_of(&self, number: u32) -> Option<Vec<u8>> {
        self.paths.get(&(self.table.source.table.clone(), number)).cloned()
    }

    /// A row of the source without metadata.
    pub fn blob(&mut self, number: u32, parent: Option<u32>, bytes: &[u8]) {
        self.named(number, parent, &format!("file {number}"), bytes);
    }

    /// The same, by another name than every row has.
    pub fn named(&mut self, number: u32, parent: Option<u32>, text: &str, bytes: &[u8]) {
        let above = parent.map(|parent| self.path_of(parent).unwrap_or_else(|| vec![0xEE; 4]));
        let path = [above.clone().unwrap_or_default(), number.to_be_bytes().to_vec()].concat();
        self.at_path(number, (path, above, parent), text, bytes);
    }

    /// A folder at the top goes from the source, and another one takes its path.
    pub fn replace(&mut self, old: u32, new: u32) {
        self.remove(old);
        let path = self.path_of(old).unwrap();
        self.at_path(new, (path, None, None), &format!("file {new}"), b"folder");
    }

    fn at_path(
        &mut self,
        number: u32,
        (path, above, parent): (Vec<u8>, Option<Vec<u8>>, Option<u32>),
        text: &str,
        bytes: &[u8],
    ) {
        self.paths.insert((self.table.source.table.clone(), number), path.clone());
        let mut row = vec![self.keys.cell(number), Cell::Bytes(bytes), Cell::Text(text)];
        match self.keys.is_by_parent() {
            true => row.push(parent.map_or(Cell::Null, |parent| self.keys.cell(parent))),
            false => row.extend([Cell::Bytes(&path), above.as_deref().map_or(Cell::Null, Cell::Bytes)]),
        }
        let _ = self.backend.delete(&self.table.source, ("stream_id", key(number))).unwrap();
        self.backend.insert(&self.table.source, &self.keys.source_columns(), &[row]).unwrap();
    }

    /// A metadata row of its own identity; a second one for the same key may stand beside it.
    pub fn stamp_as(&mut self, row: u32, number: u32, modified: Option<Timestamp>, letter: Option<u8>) {
        let columns = self.keys.metadata_columns(self.stamped);
        let mut cells = vec![Cell::Guid(key(row)), self.keys.cell(number)];
        cells.extend(self.stamped.cells(row, modified));
        cells.push(letter.map_or(Cell::Null, |letter| Cell::Guid(unit(letter))));
        let _ = self.backend.delete(&self.table.metadata, ("RowId", key(row))).unwrap();
        self.backend.insert(&self.table.metadata, &columns, &[cells]).unwrap();
    }

    pub fn stamp(&mut self, number: u32, modified: i64, letter: u8) {
        self.stamp_as(number, number, Some(minute(modified)), Some(letter));
    }

    /// A whole row: blob and metadata.
    pub fn put(&mut self, number: u32, parent: Option<u32>, bytes: &[u8], modified: i64, letter: u8) {
        self.blob(number, parent, bytes);
        self.stamp(number, modified, letter);
    }

    /// Its row goes from the source, and its metadata stays.
    pub fn lose(&mut self, number: u32) {
        let _ = self.backend.delete(&self.table.source, ("stream_id", key(number))).unwrap();
    }

    /// Its metadata goes, and its row stays.
    pub fn withdraw(&mut self, number: u32) {
        let _ = self.backend.delete(&self.table.metadata, ("RowId", key(number))).unwrap();
    }

    pub fn remove(&mut self, number: u32) {
        self.lose(number);
        self.withdraw(number);
    }

    pub fn log_deletion(&mut self, number: u32, deleted: i64) {
        let deletion = Deletion {
            key: key(number),
            deleted_on: minute(deleted),
            business_unit: None,
            reason: DeletionReason::Deleted,
        };
        self.backend.log_deletion(&self.table.name, &deletion).unwrap();
    }

    pub fn options(&self) -> RunOptions {
        let request = RunRequest {
            requested_by: "scenario".into(),
            table: None,
            scope: Scope::All,
            batch_size: Some(2),
            max_dop: 2,
            from: None,
            until: None,
            continues: None,
        };
        RunOptions {
            request,
            resume: None,
            take_over: None,
            out: Some(self.out()),
            backup_slice: None,
            // One folder for all units: no receiver reads in it.
            pack: PackOptions { waive: Waiver { place: true, ..Waiver::default() }, ..PackOptions::default() },
            lease_seconds: 600,
        }
    }

    /// The header of a run over all units.
    pub fn start_run(&mut self) -> Run {
        let request = self.options().request;
        self.backend.start_run(&request, None).unwrap()
    }

    pub fn run_with(&mut self, options: &RunOptions) -> Result<RunReport> {
        engine::run(&mut *self.backend, options, &*Arc::clone(&self.disk), &Silent)
    }

    /// A run over all units at this minute, with a bundle; its one table must succeed.
    pub fn run(&mut self, at: i64) -> RunReport {
        self.at(at);
        self.run_with(&self.options()).unwrap()
    }

    pub fn run_unit(&mut self, at: i64, letter: u8) -> RunReport {
        self.at(at);
        let mut options = self.options();
        options.request.scope = Scope::BusinessUnit(unit(letter));
        self.run_with(&options).unwrap()
    }

    /// The watermark and the lease of the table.
    pub fn mark(&mut self) -> WatermarkRecord {
        let watermarks = self.backend.watermarks().unwrap();
        watermarks.into_iter().find(|mark| mark.table == self.table.name).unwrap()
    }

    pub fn slice(&mut self) -> BTreeMap<Guid, SliceRow> {
        let all = self.backend.columns(&self.table.target).unwrap();
        let columns: Vec<Column> =
            COLUMNS.iter().map(|name| all.iter().find(|column| column.name == *name).unwrap().clone()).collect();
        let mut rows = Rows::default();
        self.backend.scan(&self.table.target, &columns, "stream_id", &mut rows).unwrap();
        rows.done
    }

    /// The numbers of the keys in the slice.
    pub fn numbers(&mut self) -> Vec<u32> {
        let number = |key: &Guid| u32::from_be_bytes(key.as_bytes()[12..].try_into().unwrap());
        self.slice().keys().map(number).collect()
    }
}

/// A replay of all bundles into a database of its own.
pub fn into_copy() -> ReplayOptions {
    ReplayOptions {
        database: Some("Copy".into()),
        create: true,
        allow_gap: true,
        into_source: true,
        ..ReplayOptions::default()
    }
}
