//! The databases of an embedded instance, open on one connection: what every statement goes through.
//!
//! Nothing here knows of runs, slices or targets. How statements are executed stands in `statements`, how they become
//! transactions in `transactions`, how databases are attached in `attaching`.

use super::attached::{self, Attached, AttachedFiles, file_of, spelled};
use super::commit_group::CommitGroup;
use super::errors::failed;
use super::guarded::Guard;
use super::key_id;
use super::made::Made;
use super::parked::Parked;
use super::sql::quote;
use crate::backend::connect::OpenOptions;
use crate::durable::Disk;
use crate::error::{Error, Result};
use crate::model::clock::{Clock, ServerTime};
use crate::model::name::TableName;
use rusqlite::{Connection, OpenFlags, limits::Limit};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The job database of every instance.
pub const JOB_DATABASE: &str = "BlobDeltaJobs";

/// The one schema of an embedded database.
pub(super) const SCHEMA: &str = "dbo";

/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// Steps of SQLite's machine after which it is asked whether to give up: some milliseconds.
const STEPS_BETWEEN: i32 = 100_000;

/// Pages that are kept of each database, in KiB. A run touches four: source, metadata, slice and
/// jobs. Keys are random, so with SQLite's own 2 MiB a table of a million rows is read from the
/// disk again and again.
pub(super) const CACHE_KIB: i64 = 32 * 1024;

/// Bytes of a page of a database that is made here, but for the job database, whose commits are small
/// and scattered. Large values lie in chains of pages, each read and written by a call of its own: 1 GiB
/// of values of 64 KiB was copied in 1.6 s with pages of 16 KiB, and in 2.3 s with SQLite's own 4 KiB.
pub(super) const PAGE_BYTES: u32 = 16 * 1024;

/// The most databases that SQLite can be built to attach (SQLITE_MAX_ATTACHED).
pub(super) const MAX_ATTACHED: i32 = 125;

/// See the module's text.
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) folder: PathBuf,
    pub(super) options: OpenOptions,
    pub(super) commit_group: CommitGroup,
    pub(super) parked: RefCell<Parked>,
    pub(super) made: Made,
    /// What script templates may do.
    pub(super) guard: Guard,
    pub(super) attached: AttachedFiles,
}

impl Database {
    /// Opens the instance in this folder, every database of it attached.
    ///
    /// # Errors
    /// Config, if the folder is no instance and may not be created; Database.
    pub(super) fn open(folder: &Path, options: &OpenOptions) -> Result<Self> {
        let mut made = Made { folder: options.create && !folder.is_dir(), ..Made::default() };
        if made.folder {
            match options.disk.create_dir(folder) {
                // Another session, which opens it too, was faster.
                Err(_) if folder.is_dir() => made.folder = false,
                done => done?,
            }
            // What SQLite makes durable in it is only as safe as its own name.
            let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
            options.disk.sync_dir(parent.unwrap_or(Path::new(".")))?;
        }
        let main_database = spelled(folder, &options.main_database);
        let options = &OpenOptions { main_database, ..options.clone() };
        let main = file_of(folder, &options.main_database)?;
        if !options.create && !main.is_file() {
            let text = format!("there is no database {} in this embedded instance", options.main_database);
            let hint = match options.main_database == JOB_DATABASE {
                true => "check the folder, or create it with deploy",
                false => "check the folder and the name; a replay creates it with --create",
            };
            return Err(Error::config(text).file(folder).hint(hint));
        }
        if !main.exists() {
            attached::make(&main)?;
            made.databases.push(options.main_database.clone());
        }
        let page_bytes = (options.main_database != JOB_DATABASE).then_some(PAGE_BYTES);
        let attached = AttachedFiles::of(Attached::of(&options.main_database, &main));
        let connection = open_connection(&main, page_bytes, options.give_up)?;
        let mut database = Self {
            connection,
            folder: folder.to_owned(),
            options: options.clone(),
            commit_group: CommitGroup::Off,
            parked: RefCell::default(),
            made,
            guard: Guard::default(),
            attached,
        };
        database
            .guard
            .clone()
            .install(&mut database.connection)
            .map_err(|error| failed("open the database", error).file(&main))?;
        database.attach_all()?;
        Ok(database)
    }

    /// A second connection to the same instance, with the main database alone.
    pub(super) fn open_main_alone(&self) -> Result<Connection> {
        open_connection(&file_of(&self.folder, &self.options.main_database)?, None, || false)
    }

    /// The quoted name of a table that is known to be there, or about to be made.
    pub(super) fn quoted(&self, table: &TableName) -> String {
        format!("{}.{}", self.schema_of(&table.db), quote(&table.table))
    }

    /// The schema under which SQLite knows a database: the first file opened is `main`.
    pub(super) fn schema_of(&self, db: &str) -> String {
        quote(self.schema_name(db))
    }

    /// The same, not quoted, for where a name is a value.
    pub(super) fn schema_name<'a>(&self, db: &'a str) -> &'a str {
        if db.eq_ignore_ascii_case(&self.options.main_database) { "main" } else { db }
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.options.disk
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.options.clock
    }

    pub(super) fn server_time(&self) -> ServerTime {
        self.options.clock.now()
    }
}

/// `page_bytes` are for a database that is not there yet; one that is keeps those it has.
fn open_connection(file: &Path, page_bytes: Option<u32>, give_up: fn() -> bool) -> Result<Connection> {
    // SQLite makes no file, of those that are attached neither: they are made for their user alone before.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(file, flags).and_then(|mut connection| {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let mut has_given_up = false;
        let is_to_end = move || {
            let is_now = !has_given_up && give_up();
            has_given_up |= is_now;
            is_now
        };
        connection.progress_handler(STEPS_BETWEEN, Some(is_to_end))?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, MAX_ATTACHED)?;
        connection.set_prepared_statement_cache_capacity(128);
        key_id::register(&connection)?;
        page_bytes.map_or(Ok(()), |bytes| connection.pragma_update(None, "page_size", bytes))?;
        connection.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = FILE; PRAGMA trusted_schema = OFF;",
        )?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        Ok(connection)
    });
    opened.map_err(|error| {
        failed("open the database", error)
            .file(file)
            .hint("the file must be a SQLite database that this account may write")
    })
}
