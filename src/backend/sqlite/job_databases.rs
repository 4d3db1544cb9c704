//! Whose instance the database of a replay stands in.

use super::attached::file_of;
use super::config;
use super::database::{Database, JOB_DATABASE};
use crate::backend::JobDatabase;
use crate::error::{Error, Result};
use crate::scripts::statement::statement;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

const SQL: &str = include_str!("../../../sql/sqlite/job_databases.sql");
const IS_DEPLOYED: &str = statement(SQL, "is_deployed");

/// The job databases of this folder, and of the one in which the file of a database really lies.
pub(super) fn job_databases_of(db: &Database, database: &str) -> Result<Vec<JobDatabase>> {
    let mut folders = vec![db.folder.clone()];
    if let Ok(file) = file_of(&db.folder, database)?.canonicalize() {
        folders.extend(file.parent().map(Path::to_owned));
    }
    let real = |folder: &PathBuf| folder.canonicalize().unwrap_or_else(|_| folder.clone());
    let mut folders: Vec<PathBuf> = folders.iter().map(real).collect();
    folders.dedup();
    let files = folders.iter().map(|folder| file_of(folder, JOB_DATABASE)).collect::<Result<Vec<_>>>()?;
    files.iter().filter(|file| file.is_file()).map(|file| read(file)).collect()
}

/// Whose instance a job database is, and what it takes.
fn read(file: &Path) -> Result<JobDatabase> {
    let read = || -> rusqlite::Result<JobDatabase> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        if !connection.query_row(IS_DEPLOYED, [], |row| row.get(0))? {
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
        .hint("correct its rights, or add --into-source if you want this")
    })
}
