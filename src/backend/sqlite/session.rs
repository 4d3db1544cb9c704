//! One connection to an embedded instance.

use super::attached::{self, Attached};
use super::commit_group::CommitGroup;
use super::guarded::Guard;
use super::made::Made;
use super::parked::Parked;
use super::prepared::Prepared;
use super::resolved::spelled;
use super::types;
use crate::backend::connect::{OpenOptions, broken_off};
use crate::durable::{Disk, Refusal};
use crate::error::{Error, Kind, Result};
use crate::model::clock::{Clock, ServerTime};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::name::TableName;
use rusqlite::{CachedStatement, Connection, OpenFlags, Statement, ffi, limits::Limit};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The job database of every instance.
pub const JOB_DATABASE: &str = "BlobDeltaJobs";

/// Until a caller says another.
const DEFAULT_LEASE_SECONDS: u32 = 600;

/// The one schema of an embedded database.
pub(super) const SCHEMA: &str = "dbo";

/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// Steps of SQLite's machine after which it is asked whether to give up: some milliseconds.
const STEPS_BETWEEN: i32 = 100_000;

/// Begins a transaction that writes, and waits for whoever else does. Every process opens the same
/// main file, so its lock is enough; `BEGIN IMMEDIATE` would lock every attached file, and each
/// commit would then be one over several files, with twice the syncs. The pragma takes the lock and
/// does nothing else: no file of ours has automatic vacuum.
const BEGIN: &str = "BEGIN; PRAGMA main.incremental_vacuum(1);";
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
pub struct Session {
    pub(super) connection: Connection,
    pub(super) folder: PathBuf,
    pub(super) options: OpenOptions,
    pub(super) lease_seconds: u32,
    /// The run that this session resumed, and as which attempt of it.
    pub(super) resumed: Option<(Guid, u32)>,
    /// The run that the operator says is dead.
    pub(super) taken_over: Option<Guid>,
    pub(super) prepared: HashMap<TableName, Rc<Prepared>>,
    pub(super) commit_group: CommitGroup,
    pub(super) parked: RefCell<Parked>,
    pub(super) made: Made,
    /// What script templates may do.
    pub(super) guard: Guard,
    pub(super) attached: Vec<Attached>,
}

impl Session {
    /// Opens the instance in this folder, every database of it attached.
    ///
    /// # Errors
    /// Config, if the folder is no instance and may not be created; Database.
    pub fn open(folder: &Path, options: &OpenOptions) -> Result<Self> {
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
        let attached = vec![Attached::of(&options.main_database, &main)];
        let connection = open_connection(&main, page_bytes, options.give_up)?;
        let mut session = Self {
            connection,
            folder: folder.to_owned(),
            options: options.clone(),
            lease_seconds: DEFAULT_LEASE_SECONDS,
            resumed: None,
            taken_over: None,
            prepared: HashMap::new(),
            commit_group: CommitGroup::Off,
            parked: RefCell::default(),
            made,
            guard: Guard::default(),
            attached,
        };
        session
            .guard
            .clone()
            .install(&mut session.connection)
            .map_err(|error| failed("open the database", error).file(&main))?;
        session.attach_all()?;
        Ok(session)
    }

    /// A second connection to the same instance, with the main database alone.
    pub(super) fn open_main_alone(&self) -> Result<Connection> {
        open_connection(&file_of(&self.folder, &self.options.main_database)?, None, || false)
    }

    /// The quoted name of a table, checked against the catalog.
    pub(super) fn resolve(&self, table: &TableName) -> Result<String> {
        let hint =
            "correct it with `table set`, or create it; a slice table that was dropped is made again by `deploy`";
        let missing = |what: String| Err(Error::config(what).hint(hint));
        if !self.has_database(&table.db) {
            return missing(format!("there is no database {:?} (for {table})", table.db));
        }
        if !table.schema.eq_ignore_ascii_case(SCHEMA) {
            return missing(format!(
                "an embedded database has the schema dbo alone, not {:?} (for {table})",
                table.schema
            ));
        }
        let found: bool = self.query_one(
            &format!(
                "SELECT EXISTS (SELECT * FROM {}.sqlite_master WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE)",
                self.schema_of(&table.db)
            ),
            [&table.table],
        )?;
        if !found {
            return missing(format!("there is no table {table}"));
        }
        Ok(self.quoted(table))
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

    /// The columns of a table that [`Session::resolve`] knows.
    pub(super) fn table_columns(&self, table: &TableName) -> Result<Vec<Column>> {
        self.resolve(table)?;
        let sql = "SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1, ?2) ORDER BY cid";
        let mut statement = self.cached(sql).map_err(|error| failed("read the catalog", error))?;
        let rows = statement
            .query_map([table.table.as_str(), self.schema_name(&table.db)], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, bool>(2)?,
                    row.get::<_, i64>(3)?,
                    row.get::<_, i64>(4)?,
                ))
            })
            .map_err(|error| failed("read the catalog", error))?;
        let mut columns = Vec::new();
        for row in rows {
            let (name, declared, not_null, key, hidden) = row.map_err(|error| failed("read the catalog", error))?;
            let sql_type = types::parse_declared(&declared).map_err(|error| error.table(table).column(&name))?;
            let nullable = !not_null && key == 0;
            columns.push(Column { name, sql_type, nullable, computed: hidden >= 2, collation: None });
        }
        Ok(columns)
    }

    /// Runs `work` in one transaction that locks the instance for writing; commits if it
    /// succeeds, and rolls back if it fails. `what` names it for the disk and for errors.
    pub(super) fn transact<T>(&mut self, what: &str, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.commit_group(what)?;
        self.open_transaction()?;
        let done = work(self).and_then(|value| {
            self.commit(what)?;
            Ok(value)
        });
        if done.is_err() {
            self.roll_back();
        }
        done
    }

    pub(super) fn open_transaction(&self) -> Result<()> {
        self.check_files()?;
        self.execute_plain(BEGIN)
    }

    pub(super) fn commit(&self, what: &str) -> Result<()> {
        self.check_files()?;
        self.disk().before_commit(what)?;
        self.execute_plain("COMMIT")
    }

    pub(super) fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            // A rollback that fails leaves the connection unusable; the next statement says so.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn execute_plain(&self, sql: &str) -> Result<()> {
        self.execute_batch(sql).map_err(|error| failed(sql, error))
    }

    /// Statements without parameters, or a script.
    pub(super) fn execute_batch(&self, sql: &str) -> rusqlite::Result<()> {
        self.inject_fault(sql)?;
        self.connection.execute_batch(sql)
    }

    /// A statement that is executed once, and kept for the next time.
    pub(super) fn cached(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.inject_fault(sql)?;
        self.connection.prepare_cached(sql)
    }

    /// A statement that is executed many times.
    pub(super) fn prepare(&self, sql: &str) -> rusqlite::Result<Statement<'_>> {
        self.inject_fault(sql)?;
        self.connection.prepare(sql)
    }

    /// Refuses a statement as a test wants it refused.
    fn inject_fault(&self, sql: &str) -> rusqlite::Result<()> {
        let Err(refusal) = self.disk().before_statement(sql) else { return Ok(()) };
        let code = match refusal {
            Refusal::Busy => ffi::SQLITE_BUSY,
            Refusal::Io => ffi::SQLITE_IOERR,
            Refusal::Full => ffi::SQLITE_FULL,
        };
        if refusal != Refusal::Busy && !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("injected".to_owned())))
    }

    /// Runs one statement; returns the rows that it changed.
    pub(super) fn execute(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<u64> {
        let mut statement = self.cached(sql).map_err(|error| failed_sql(sql, error))?;
        let changed = statement.execute(parameters).map_err(|error| failed_sql(sql, error))?;
        Ok(changed as u64)
    }

    /// The first column of the only row.
    pub(super) fn query_one<T: rusqlite::types::FromSql>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<T> {
        self.query_row(sql, parameters, |row| row.get(0))
    }

    /// The only row.
    pub(super) fn query_row<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let mut statement = self.cached(sql).map_err(|error| failed_sql(sql, error))?;
        statement.query_row(parameters, read).map_err(|error| failed_sql(sql, error))
    }

    /// The row, if there is one.
    pub(super) fn query_optional<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        use rusqlite::OptionalExtension as _;
        let mut statement = self.cached(sql).map_err(|error| failed_sql(sql, error))?;
        statement.query_row(parameters, read).optional().map_err(|error| failed_sql(sql, error))
    }

    /// All rows; for results that are small by design.
    pub(super) fn query_all<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.cached(sql).map_err(|error| failed_sql(sql, error))?;
        let rows = statement.query_map(parameters, read).map_err(|error| failed_sql(sql, error))?;
        rows.collect::<rusqlite::Result<_>>().map_err(|error| failed_sql(sql, error))
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

pub(super) fn file_of(folder: &Path, database: &str) -> Result<PathBuf> {
    crate::model::name::check_identifier(database)?;
    if database.contains(['/', '\\', ':']) || database.starts_with('.') {
        let text = format!("the database name {database:?} cannot be the name of a file");
        return Err(
            Error::config(text).hint("an embedded instance needs names without slashes, colons and leading dots")
        );
    }
    if ["main", "temp"].iter().any(|reserved| database.eq_ignore_ascii_case(reserved)) {
        return Err(
            Error::config(format!("SQLite reserves the database name {database:?}")).hint("choose another name")
        );
    }
    Ok(folder.join(format!("{database}.sqlite")))
}

/// Quotes one identifier for SQLite. The only place where that is done.
pub(super) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A failure of SQLite; `doing` is an infinitive.
pub(super) fn failed(doing: &str, error: rusqlite::Error) -> Error {
    let hint = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            "another process has held the instance for a minute; find it, then run again"
        }
        Some(rusqlite::ErrorCode::OperationInterrupted) => return broken_off(doing),
        Some(rusqlite::ErrorCode::TooBig) => {
            return Error::config(format!("cannot {doing}: a row does not fit into SQLite"))
                .caused_by(error)
                .hint("an embedded instance holds rows up to 2,147,483,647 bytes, or what its SQLite was built for");
        }
        Some(rusqlite::ErrorCode::ReadOnly) => {
            "this account may not write the instance's files: mend its rights or how the disk is mounted, then run again"
        }
        Some(rusqlite::ErrorCode::DiskFull) => "free some space, then go on with --resume",
        _ => return Error::new(Kind::Database, format!("cannot {doing}")).caused_by(error),
    };
    Error::new(Kind::Database, format!("cannot {doing}")).caused_by(error).hint(hint)
}

fn failed_sql(sql: &str, error: rusqlite::Error) -> Error {
    let verb: Vec<&str> = sql.split_whitespace().filter(|word| !word.starts_with("--")).take(6).collect();
    failed(&format!("execute \"{} …\"", verb.join(" ")), error)
}
