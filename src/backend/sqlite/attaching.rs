//! Attaching databases: every one of the folder, and those that are made.

use super::attached::{Attached, file_of, make};
use super::database::{CACHE_KIB, Database, MAX_ATTACHED, PAGE_BYTES};
use super::errors::failed;
use super::sql::{filled, quote};
use crate::error::{Error, Kind, Result};
use crate::scripts::statement::statement;
use rusqlite::Connection;
use rusqlite::limits::Limit;

const SQL: &str = include_str!("../../../sql/sqlite/attaching.sql");
const SET_UP_DATABASE: &str = statement(SQL, "set_up_database");

impl Database {
    /// Attaches every database of the folder beside the main one.
    pub(super) fn attach_all(&mut self) -> Result<()> {
        let entries = std::fs::read_dir(&self.folder).map_err(|error| Error::io("read", &self.folder, error))?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|file| file.strip_suffix(".sqlite").map(str::to_owned))
            .filter(|name| *name != self.options.main_database)
            .collect();
        names.sort();
        for name in names {
            self.attach(&name)?;
        }
        Ok(())
    }

    /// Attaches a database, creating its file if it is not there. Does nothing if it is attached.
    pub(super) fn attach(&mut self, name: &str) -> Result<()> {
        if self.has_database(name) {
            return Ok(());
        }
        // SQLite attaches nothing within a transaction.
        self.commit_group("attach a database")?;
        let file = file_of(&self.folder, name)?;
        let path = file.to_str().ok_or_else(|| Error::config("the folder's name is not Unicode").file(&file))?;
        let is_new = !file.exists();
        if is_new {
            make(&file)?;
        }
        let attached = Attached::of(name, &file);
        let attach = format!("ATTACH DATABASE ?1 AS {}", quote(name));
        self.connection.execute(&attach, [path]).map_err(|error| {
            let most = self.connection.limit(Limit::SQLITE_LIMIT_ATTACHED).unwrap_or(MAX_ATTACHED) + 1;
            failed("attach a database", error).file(&file).hint(format!(
                "a folder of databases, each a SQLite file, holds at most {most} with the SQLite that this program was built with"
            ))
        })?;
        let schema = quote(name);
        let pragmas = filled(
            SET_UP_DATABASE,
            &[("Schema", &schema), ("PageBytes", &PAGE_BYTES.to_string()), ("CacheKib", &CACHE_KIB.to_string())],
        );
        self.connection.execute_batch(&pragmas).map_err(|error| failed("set up a database", error).file(&file))?;
        self.attached.add(attached);
        if is_new {
            self.made.databases.push(name.to_owned());
        }
        Ok(())
    }

    /// A transaction of several databases is whole after a loss of power only where each has a rollback journal
    /// (<https://www.sqlite.org/lang_attach.html>), so what a run writes gets one. What it only reads keeps the
    /// mode that it has.
    pub(super) fn settle_journal(&self, db: &str) -> Result<()> {
        let schema = self.schema_of(db);
        let mode: String = self.query_one(&format!("PRAGMA {schema}.journal_mode"), [])?;
        if !mode.eq_ignore_ascii_case("wal") {
            return Ok(());
        }
        let mode: String = self.query_one(&format!("PRAGMA {schema}.journal_mode = DELETE"), [])?;
        if mode.eq_ignore_ascii_case("delete") {
            return Ok(());
        }
        Err(Error::new(
            Kind::Database,
            format!("the database {db} is in WAL mode, in which a run cannot write it safely"),
        )
        .hint(format!("close what else has it open, and set it back: PRAGMA journal_mode = DELETE in {db}.sqlite")))
    }

    /// Removes the file of a database that holds nothing, under the lock of those who write it: whoever has it open and
    /// waits for that is told before it commits ([`Database::check_files`]).
    pub(super) fn remove_database(&mut self, name: &str) -> Result<()> {
        let (schema, file) = (self.schema_of(name), file_of(&self.folder, name)?);
        let lock = format!("BEGIN; PRAGMA {schema}.incremental_vacuum(1);");
        self.connection.execute_batch(&lock).map_err(|error| failed("take back a database", error))?;
        let is_used = format!("SELECT EXISTS (SELECT * FROM {schema}.sqlite_master)");
        if !self.attached.is_in_place(name) || self.query_one(&is_used, [])? {
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
        self.attached.forget(name);
        if cfg!(unix) { Ok(()) } else { self.disk().remove_file(&file) }
    }
    /// The attached databases, the main one first.
    pub(super) fn databases(&self) -> impl Iterator<Item = &str> {
        self.attached.names()
    }

    /// Whether this database is attached; names compare without case, as in SQLite.
    pub(super) fn has_database(&self, name: &str) -> bool {
        self.attached.has(name)
    }

    /// What is written into a file that somebody removed or replaced meanwhile would be lost without a word.
    ///
    /// # Errors
    /// Database.
    pub(super) fn check_files(&self) -> Result<()> {
        self.attached.check()
    }
}
