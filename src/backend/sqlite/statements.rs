//! Statements: each is where a test can have it refused.

use super::database::Database;
use super::errors::{failed, failed_sql};
use crate::durable::InjectedRefusal;
use crate::error::Result;
use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Statement, ffi};

impl Database {
    /// A statement of which nothing is asked; it names itself in an error.
    pub(super) fn execute_plain(&self, sql: &str) -> Result<()> {
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
            InjectedRefusal::Busy => ffi::SQLITE_BUSY,
            InjectedRefusal::Io => ffi::SQLITE_IOERR,
            InjectedRefusal::Full => ffi::SQLITE_FULL,
        };
        if refusal != InjectedRefusal::Busy && !self.connection.is_autocommit() {
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

    /// Whether triggers see what is done.
    pub(super) fn set_triggers(&self, on: bool) -> Result<()> {
        let set = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, on);
        set.map(drop).map_err(|error| failed("switch triggers", error))
    }
}
