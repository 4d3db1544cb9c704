//! The files of an embedded instance that one connection has open, and whether they are still there.

use super::session::{CACHE_KIB, MAX_ATTACHED, PAGE_BYTES, Session, failed, file_of, quote};
use crate::durable::{file_number, make_private};
use crate::error::{Error, Kind, Result};
use rusqlite::limits::Limit;
use std::path::{Path, PathBuf};

/// A database that is open.
pub(super) struct Attached {
    name: String,
    file: PathBuf,
    number: Option<(u64, u64)>,
}

impl Attached {
    /// To be called before SQLite opens the file: whatever comes in its place in between is another one, too.
    pub(super) fn of(name: &str, file: &Path) -> Self {
        Self { name: name.to_owned(), file: file.to_owned(), number: file_number(file) }
    }

    fn is_in_place(&self) -> bool {
        file_number(&self.file) == self.number
    }
}

/// Makes the file of a database, empty, for its user alone. None is made where a link leads that somebody put here.
///
/// # Errors
/// Config, for such a link; Io.
pub(super) fn make(file: &Path) -> Result<()> {
    if file.is_symlink() {
        return Err(Error::config(
            "a link that leads to no file stands in the place of a database; nothing was made there",
        )
        .file(file)
        .hint("see who put it there, and remove it, or make the database that it is to lead to"));
    }
    make_private(file)
}

impl Session {
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
        let pragmas = format!(
            "PRAGMA {schema}.page_size = {PAGE_BYTES}; PRAGMA {schema}.synchronous = FULL;
             PRAGMA {schema}.cache_size = -{CACHE_KIB};"
        );
        self.connection.execute_batch(&pragmas).map_err(|error| failed("set up a database", error).file(&file))?;
        self.attached.push(attached);
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

    /// The same for one that is not attached any more.
    pub(super) fn forget_database(&mut self, name: &str) {
        self.attached.retain(|known| !known.name.eq_ignore_ascii_case(name));
    }

    /// The attached databases, the main one first.
    pub(super) fn databases(&self) -> impl Iterator<Item = &str> {
        self.attached.iter().map(|known| known.name.as_str())
    }

    /// Whether this database is attached; names compare without case, as in SQLite.
    pub(super) fn has_database(&self, name: &str) -> bool {
        self.attached.iter().any(|known| known.name.eq_ignore_ascii_case(name))
    }

    /// Whether a database's name still leads to the file that is open.
    pub(super) fn is_in_place(&self, name: &str) -> bool {
        self.attached.iter().find(|known| known.name.eq_ignore_ascii_case(name)).is_some_and(Attached::is_in_place)
    }

    /// What is written into a file that somebody removed or replaced meanwhile would be lost without a word. A replay
    /// that takes back the empty file that it made does so under the lock that whoever writes waits for.
    ///
    /// # Errors
    /// Database.
    pub(super) fn check_files(&self) -> Result<()> {
        let Some(gone) = self.attached.iter().find(|known| !known.is_in_place()) else { return Ok(()) };
        let text = format!("the file of the database {} was removed or replaced while it was open", gone.name);
        Err(Error::new(Kind::Database, text).file(&gone.file).hint(
            "nothing was written into it; another command that failed may have taken back what it had made: repeat this one",
        ))
    }
}
