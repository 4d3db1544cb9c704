//! An instance to break things on: one tree table of some rows, deployed and configured once and
//! copied for each trial; and what must hold after whatever happened to it.

use crate::faults::work::files;
use blobdelta::backend::{Connection, OpenOptions, Sandbox};
use blobdelta::error::Result;
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::column::Column;
use blobdelta::model::digest::Sha256;
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::time::TICKS_PER_MINUTE;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

const TABLE: &str = "Src.dbo.Docs";
const ROWS: u8 = 59;
/// A staging folder of another source, which lies beside our bundles and is none of our business.
pub const FOREIGN: &str = ".20200101T000000Z-deadbeef-1.bundle.staging-0123456789abcdef";

pub struct Site {
    dir: tempfile::TempDir,
}

fn key(nth: u8) -> Guid {
    Guid::from_bytes([nth; 16])
}

fn source_columns() -> Vec<Column> {
    vec![
        Column::new("stream_id", SqlType::UniqueIdentifier, false),
        Column::new("file_stream", SqlType::VarBinary(None), true),
        Column::new("path_locator", SqlType::VarBinary(Some(892)), false),
        Column::new("parent_path_locator", SqlType::VarBinary(Some(892)), true),
    ]
}

fn metadata_columns() -> Vec<Column> {
    vec![Column::new("Id", SqlType::UniqueIdentifier, false), Column::new("ModifiedOn", SqlType::DateTime2(7), true)]
}

fn open(folder: &Path) -> Box<dyn Sandbox> {
    let options = OpenOptions { create: true, ..OpenOptions::default() };
    Connection::Embedded(folder.to_owned()).open_sandbox(&options).unwrap()
}

/// In memory where there is such a place: what is tested is order, not the disk.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).unwrap()
}

fn template() -> &'static Path {
    static TEMPLATE: OnceLock<Site> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let site = Site { dir: scratch() };
        std::fs::create_dir_all(site.path("out").join(FOREIGN)).unwrap();
        std::fs::write(site.path("out").join(FOREIGN).join("bagit.txt"), "of another").unwrap();
        let mut backend = open(&site.path("source"));
        let source = TableName::parse(TABLE).unwrap();
        let metadata = TableName { db: "Meta".into(), ..source.clone() };
        backend.create_database("Src").unwrap();
        backend.create_database("Meta").unwrap();
        let tree: &[&str] = &["path_locator", "parent_path_locator", "stream_id"];
        backend.create_table(&source, &source_columns(), "stream_id", &[tree]).unwrap();
        backend.create_table(&metadata, &metadata_columns(), "Id", &[&["ModifiedOn", "Id"]]).unwrap();
        drop(backend);
        for nth in 1..=ROWS {
            // Every tenth row is a folder without metadata, and the nine after it lie in it.
            let folder = nth / 10 * 10;
            site.put(
                nth,
                (folder > 0 && folder != nth).then_some(folder),
                &[nth; 3000],
                (nth % 10 != 0).then_some(nth),
            );
        }
        site.good(&["deploy"]);
        site.good(&["table", "add", TABLE, "--metadata", "Meta.dbo.Docs", "MetadataIdColumn=Id"]);
        site
    });
    TEMPLATE.get().unwrap().dir.path()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(path, to).unwrap();
        }
    }
}

impl Site {
    /// As it is after `table add`.
    pub fn new() -> Self {
        let site = Self { dir: scratch() };
        copy(template(), site.dir.path());
        site.moved()
    }

    /// The same, with everything that was done to it.
    pub fn copied(&self) -> Self {
        let site = Self { dir: scratch() };
        copy(self.dir.path(), site.dir.path());
        site.moved()
    }

    /// Another folder is another server, which the job database has to be told.
    fn moved(self) -> Self {
        self.report_moved();
        self
    }

    /// The same of a folder that was put there anew.
    pub fn report_moved(&self) {
        open(&self.path("source")).add_server().unwrap();
    }

    /// After a full load, with changes that the next run takes.
    pub fn loaded() -> Self {
        let site = Self::new();
        site.good(&["run", "--out", "out"]);
        for nth in [3, 13, 23, 33, 43] {
            site.put(nth, None, &[nth + 100; 2000], Some(nth));
        }
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A row of the source; stamped so many minutes before the watermark that a run gives now, and
    /// after the one that an earlier run gave.
    fn put(&self, nth: u8, parent: Option<u8>, bytes: &[u8], stamp: Option<u8>) {
        let mut backend = open(&self.path("source"));
        let source = TableName::parse(TABLE).unwrap();
        let metadata = TableName { db: "Meta".into(), ..source.clone() };
        let path: Vec<u8> = parent.into_iter().chain([nth]).collect();
        let above = parent.map(|parent| vec![parent]);
        let row = vec![
            Cell::Guid(key(nth)),
            Cell::Bytes(bytes),
            Cell::Bytes(&path),
            above.as_deref().map_or(Cell::Null, Cell::Bytes),
        ];
        let _ = backend.delete(&source, ("stream_id", key(nth))).unwrap();
        backend.insert(&source, &source_columns(), &[row]).unwrap();
        let _ = backend.delete(&metadata, ("Id", key(nth))).unwrap();
        if let Some(stamp) = stamp {
            // Within the buffer of the last window, so that the next one reaches back to it.
            let at = blobdelta::model::clock::Clock::now(&blobdelta::model::clock::SystemClock).utc;
            let at = at.plus_ticks(-(241 + i64::from(stamp)) * TICKS_PER_MINUTE);
            let row = vec![Cell::Guid(key(nth)), Cell::DateTime(at)];
            backend.insert(&metadata, &metadata_columns(), &[row]).unwrap();
        }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
        command.args(args).current_dir(self.dir.path()).env("BLOBDELTA_CONNECTION", "sqlite:source");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn call(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub fn good(&self, args: &[&str]) -> String {
        let ended = self.call(args);
        assert!(ended.status.success(), "{args:?}: {ended:?}");
        String::from_utf8(ended.stdout).unwrap()
    }

    /// Gives every row of the metadata, as it is now, one business unit, and the table that unit in
    /// scope.
    pub fn in_one_unit(&self, unit: &str) {
        let bytes = unit.replace('-', "");
        let script = format!(
            "ALTER TABLE Meta.Docs ADD COLUMN BusinessUnit \"uniqueidentifier BLOB\";
             UPDATE Meta.Docs SET BusinessUnit = x'{bytes}';
             CREATE TABLE Src.Units (Id \"uniqueidentifier BLOB\" NOT NULL PRIMARY KEY);
             INSERT INTO Src.Units (Id) VALUES (x'{bytes}');"
        );
        open(&self.path("source")).execute_script(&script).unwrap();
        let units = ["MetadataBusinessUnitCol=BusinessUnit", "BusinessUnit=Src.dbo.Units", "BusinessUnitIdColumn=Id"];
        self.good(&[&["table", "set", TABLE], &units[..]].concat());
    }

    /// Lets the time go by that a dead run's lease lives.
    pub fn expire_leases(&self) {
        assert!(self.try_expire_leases().is_some(), "somebody holds the instance");
    }

    /// The same, unless somebody is in the middle of a transaction. Says how many there were.
    pub fn try_expire_leases(&self) -> Option<usize> {
        let sql = "UPDATE BlobDeltaHighWatermark SET RunLeaseExpiresAt = '2000-01-01T00:00:00.0000000' WHERE IsRunning";
        let connection = rusqlite::Connection::open(self.path("source/BlobDeltaJobs.sqlite")).unwrap();
        connection.busy_timeout(std::time::Duration::from_millis(50)).unwrap();
        connection.execute(sql, []).ok()
    }

    /// A statement on the job database.
    pub fn script(&self, sql: &str) {
        open(&self.path("source")).execute_script(sql).unwrap();
    }

    /// Moves a folder into another one, and leaves a link.
    pub fn move_into(&self, name: &str, folder: &str) {
        let to = self.path(folder).join(name);
        copy(&self.path(name), &to);
        std::fs::remove_dir_all(self.path(name)).unwrap();
        std::os::unix::fs::symlink(to, self.path(name)).unwrap();
    }

    /// A run that completes its slice and packs nothing, as the procedures of a server do.
    pub fn unpacked_run(&self) {
        let mut backend = open(&self.path("source"));
        let request = blobdelta::model::run::RunRequest {
            requested_by: "a test".into(),
            table: None,
            scope: blobdelta::model::run::Scope::All,
            batch_size: None,
            max_dop: 1,
            from: None,
            until: None,
            continues: None,
        };
        let options = blobdelta::engine::RunOptions {
            request,
            resume: None,
            take_over: None,
            out: None,
            backup_slice: None,
            pack: blobdelta::engine::PackOptions::default(),
            lease_seconds: 600,
        };
        let relaxed = "UPDATE BlobDeltaTableConfig SET RequireBundle = 0";
        backend.execute_script(relaxed).unwrap();
        let disk = blobdelta::durable::Local;
        blobdelta::engine::run(&mut *backend, &options, &disk, &blobdelta::monitor::Silent).unwrap();
        backend.execute_script("UPDATE BlobDeltaTableConfig SET RequireBundle = 1").unwrap();
    }

    pub fn last_run(&self) -> String {
        open(&self.path("source")).recent_runs(1).unwrap()[0].id.to_string()
    }

    /// The names of bundles that the job database knows.
    pub fn recorded_bundles(&self) -> Vec<String> {
        let mut backend = open(&self.path("source"));
        let runs = backend.recent_runs(100).unwrap();
        let of_runs = runs.into_iter().flat_map(|run| backend.bundles(run.id).unwrap());
        of_runs.map(|record| record.name).collect()
    }

    /// Folders and archives.
    pub fn bundles(&self, folder: &str) -> Vec<String> {
        let names = self.names(folder).into_iter().filter(|name| is_bundle(name));
        names.map(|name| format!("{folder}/{name}")).collect()
    }

    /// What lies in a folder and is no bundle, and no strangers' either.
    pub fn litter(&self, folder: &str) -> Vec<String> {
        self.names(folder).into_iter().filter(|name| !is_bundle(name) && name != FOREIGN).collect()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Every bundle is whole; all of them replayed give the source: rows lost, rows that are too many.
    pub fn lost_and_extra(&self) -> (u64, u64) {
        let bundles = self.bundles("out");
        let all: Vec<&str> = bundles.iter().map(String::as_str).collect();
        self.good(&[&["verify", "--deep"], &all[..]].concat());
        self.good(&[&["replay", "--into", "sqlite:checked", "--create"], &all[..]].concat());
        let lost = self.compare("checked");
        std::fs::remove_dir_all(self.path("checked")).unwrap();
        lost
    }

    /// The same of a target that stands.
    pub fn compare(&self, target: &str) -> (u64, u64) {
        let (due, found) = (rows(&self.path("source")), rows(&self.path(target)));
        let lost = due.iter().filter(|(key, hash)| found.get(key) != Some(hash)).count();
        (lost as u64, found.keys().filter(|key| !due.contains_key(key)).count() as u64)
    }

    /// The same of values that were unpacked: each row's is another, and lies in a file of its own.
    pub fn compare_files(&self, folder: &str) -> (u64, u64) {
        let hashed = |bytes: &Vec<u8>| Sha256::of(Sha256::of(bytes).to_string().as_bytes());
        let found: Vec<Sha256> = files(&self.path(folder)).values().map(hashed).collect();
        let due = scanned(&self.path("source"), &source_columns()[..2]);
        let due: Vec<Sha256> = due.into_values().collect();
        let missing = |of: &[Sha256], among: &[Sha256]| of.iter().filter(|one| !among.contains(one)).count() as u64;
        (missing(&due, &found), missing(&found, &due).max(found.len().saturating_sub(due.len()) as u64))
    }
}

fn is_bundle(name: &str) -> bool {
    !name.starts_with('.') && (name.ends_with(".bundle") || name.ends_with(".bundle.tar"))
}

fn rows(instance: &Path) -> BTreeMap<Guid, Sha256> {
    scanned(instance, &source_columns())
}

fn scanned(instance: &Path, columns: &[Column]) -> BTreeMap<Guid, Sha256> {
    let options = OpenOptions { main_database: "Src".into(), ..OpenOptions::default() };
    let mut backend = Connection::Embedded(instance.to_owned()).open_sandbox(&options).unwrap();
    let mut seen = Seen::default();
    backend.scan(&TableName::parse(TABLE).unwrap(), columns, "stream_id", &mut seen).unwrap();
    seen.rows
}

#[derive(Default)]
struct Seen {
    key: Option<Guid>,
    text: String,
    rows: BTreeMap<Guid, Sha256>,
}

impl CellSink for Seen {
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        match cell {
            Cell::Guid(key) if column == 0 => self.key = Some(key),
            Cell::Bytes(bytes) => self.text.push_str(&Sha256::of(bytes).to_string()),
            other => self.text.push_str(&format!("{other:?}")),
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        let hash = Sha256::of(std::mem::take(&mut self.text).as_bytes());
        self.rows.insert(self.key.take().unwrap(), hash);
        Ok(())
    }
}
