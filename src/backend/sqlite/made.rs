//! What a replay made in an embedded instance, and takes back if it fails; and whose instance it is.

use super::config;
use super::session::{JOB_DATABASE, Session, failed, file_of, quote};
use crate::backend::{JobDatabase, TargetSpec};
use crate::error::{Error, Result};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

/// What this session made since it was opened, or since a replay ended well.
#[derive(Default)]
pub(super) struct Made {
    /// Whether the folder was.
    pub(super) folder: bool,
    pub(super) databases: Vec<String>,
    pub(super) tables: Vec<TargetSpec>,
    /// Tables of a ledger, quoted, and of which target; those that stood before are somebody's.
    pub(super) ledgers: Vec<(TargetSpec, Vec<String>)>,
}

impl Session {
    /// Removes what was made, where nothing has come into it. The main database is gone then, and the session of
    /// no more use.
    pub(super) fn take_back(&mut self) -> Result<()> {
        let made = std::mem::take(&mut self.made);
        self.roll_back();
        for spec in &made.tables {
            if !self.has_anything_of(spec)? {
                let drop = format!("DROP TABLE {}", self.quoted(&spec.target));
                self.transact("remove a table that nothing came into", |session| session.execute(&drop, []))?;
            }
        }
        for (_, ledger) in &made.ledgers {
            let mut is_used = false;
            for table in ledger {
                is_used |= self.query_one::<bool>(&format!("SELECT EXISTS (SELECT * FROM {table})"), [])?;
            }
            if !is_used {
                self.transact("remove a ledger that nothing came into", |session| {
                    ledger.iter().try_for_each(|table| session.execute(&format!("DROP TABLE {table}"), []).map(drop))
                })?;
            }
        }
        for database in made.databases.iter().rev() {
            self.remove_database(database)?;
        }
        match made.folder && std::fs::read_dir(&self.folder).is_ok_and(|mut entries| entries.next().is_none()) {
            true => self.disk().remove_dir(&self.folder),
            false => Ok(()),
        }
    }

    /// Whether rows of a table are there, or were noted.
    fn has_anything_of(&self, spec: &TargetSpec) -> Result<bool> {
        let noted = "SELECT EXISTS (SELECT * FROM {Schema}.BlobDeltaReplayLedger WHERE TableName = ?1)
                     OR EXISTS (SELECT * FROM {Schema}.BlobDeltaReplayBundle WHERE TableName = ?1)";
        let rows = format!("SELECT EXISTS (SELECT * FROM {})", self.quoted(&spec.target));
        Ok(self.query_one(&rows, [])? || self.query_one(&self.in_schema(spec, noted), [spec.here()])?)
    }

    /// Removes the file of a database that holds nothing, under the lock of those who write it: whoever has it open and
    /// waits for that is told before it commits ([`Session::check_files`]).
    fn remove_database(&mut self, name: &str) -> Result<()> {
        let (schema, file) = (self.schema_of(name), file_of(&self.folder, name)?);
        let lock = format!("BEGIN; PRAGMA {schema}.incremental_vacuum(1);");
        self.connection.execute_batch(&lock).map_err(|error| failed("take back a database", error))?;
        let is_used = format!("SELECT EXISTS (SELECT * FROM {schema}.sqlite_master)");
        if !self.is_in_place(name) || self.query_one(&is_used, [])? {
            self.roll_back();
            return Ok(());
        }
        // Where files that are open cannot be removed, it is closed first, and stays if somebody else has it open.
        let removed = if cfg!(unix) { self.disk().remove_file(&file) } else { Ok(()) };
        self.roll_back();
        removed?;
        if schema == quote("main") {
            let none = Connection::open_in_memory().map_err(|error| failed("leave a database", error))?;
            drop(std::mem::replace(&mut self.connection, none));
        } else {
            self.connection.flush_prepared_statement_cache();
            let detach = format!("DETACH DATABASE {schema}");
            self.connection.execute_batch(&detach).map_err(|error| failed("leave a database", error))?;
        }
        self.forget_database(name);
        if cfg!(unix) { Ok(()) } else { self.disk().remove_file(&file) }
    }

    /// The job databases of this folder, and of the one in which the file of a database really lies.
    pub(super) fn job_databases_of(&self, database: &str) -> Result<Vec<JobDatabase>> {
        let mut folders = vec![self.folder.clone()];
        if let Ok(file) = file_of(&self.folder, database)?.canonicalize() {
            folders.extend(file.parent().map(Path::to_owned));
        }
        let real = |folder: &PathBuf| folder.canonicalize().unwrap_or_else(|_| folder.clone());
        let mut folders: Vec<PathBuf> = folders.iter().map(real).collect();
        folders.dedup();
        let files = folders.iter().map(|folder| file_of(folder, JOB_DATABASE)).collect::<Result<Vec<_>>>()?;
        files.iter().filter(|file| file.is_file()).map(|file| read(file)).collect()
    }
}

/// Whose instance a job database is, and what it takes.
fn read(file: &Path) -> Result<JobDatabase> {
    let read = || -> rusqlite::Result<JobDatabase> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        let is_deployed = "SELECT count(*) = 2 FROM sqlite_master
                           WHERE name IN ('BlobDeltaSource', 'BlobDeltaTableConfig')";
        if !connection.query_row(is_deployed, [], |row| row.get(0))? {
            return Ok(JobDatabase::default());
        }
        let source_id = connection.query_row("SELECT SourceId FROM BlobDeltaSource", [], |row| row.get(0))?;
        let mut statement = connection.prepare(config::NAMED_TABLES)?;
        let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?;
        Ok(JobDatabase { source_id: Some(source_id), tables: rows.collect::<rusqlite::Result<_>>()?, is_hidden: false })
    };
    read().map_err(|error| {
        Error::config(
            "cannot tell whether this is the instance that the bundles come from: its job database cannot be read",
        )
        .file(file)
        .caused_by(error)
        .hint("mend its rights, or say with --into-source that this is meant")
    })
}
