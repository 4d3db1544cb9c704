//! What a replay never writes, whatever a manifest calls it: system databases, and databases and tables of our own.
//! The name that is asked for is held against this, and again the one that the instance has for what it leads to.

use crate::error::{Error, Result};
use crate::model::name::TableName;

/// Databases that are the server's own, or our job database.
const DATABASES: [&str; 7] =
    ["master", "tempdb", "model", "msdb", "distribution", "mssqlsystemresource", "BlobDeltaJobs"];
/// Schemas of a server's catalog.
const SCHEMAS: [&str; 2] = ["sys", "INFORMATION_SCHEMA"];
/// What the names of our tables, and of SQLite's, begin with; and of a server's temporary ones.
const PREFIXES: [&str; 3] = ["BlobDelta", "sqlite_", "#"];

/// Refuses a table that no bundle is ever replayed into, by its name.
///
/// # Errors
/// Config.
pub fn check_target(table: &TableName) -> Result<()> {
    let TableName { db, schema, table: name } = table;
    let is_one_of = |name: &str, of: &[&str]| of.iter().any(|known| known.eq_ignore_ascii_case(name));
    let begins = |with: &&str| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    // Servers compare names without the spaces at their end.
    let is_spaced = |part: &String| part.trim() != part;
    if is_one_of(db, &DATABASES) {
        Err(never(table, "a database of the server, or the job database", OTHER_DATABASE))
    } else if is_spaced(db) {
        Err(never(table, "a database whose name begins or ends with a space", OTHER_DATABASE))
    } else if [schema, name].into_iter().any(is_spaced) {
        Err(never(table, "a table whose name begins or ends with a space", ITS_NAME))
    } else if is_one_of(schema, &SCHEMAS) || PREFIXES.iter().any(begins) {
        Err(never(table, "a table of the server, or one that blobdelta keeps", ITS_NAME))
    } else {
        Ok(())
    }
}

pub(super) const OTHER_DATABASE: &str = "name another database with --database";
/// Where the name is the bundle's.
pub(super) const ITS_NAME: &str = "the bundle calls its table so: ask whoever made it, and `blobdelta inspect` it before anything else is done with it";

/// The refusal of a target.
pub(super) fn never(table: &TableName, what: &str, hint: &str) -> Error {
    Error::config(format!("this would be written into {what}, which no bundle is ever replayed into"))
        .table(table)
        .hint(hint)
}

/// What stands in a database beside tables that could be targets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside {
    /// The configuration of runs.
    pub(super) is_job_database: bool,
    /// Markers of slices.
    pub(super) is_slice_database: bool,
}

impl Inside {
    /// Refuses a database of ours under any name.
    ///
    /// # Errors
    /// Config.
    pub(super) fn check(self, table: &TableName) -> Result<()> {
        match (self.is_job_database, self.is_slice_database) {
            (true, _) => Err(never(table, "a job database", OTHER_DATABASE)),
            (_, true) => Err(never(table, "a database of slices", OTHER_DATABASE)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_or_the_server_s_is_never_a_target() {
        let never = [
            ["MASTER", "dbo", "T"],
            ["blobdeltajobs", "dbo", "T"],
            ["BlobDeltaJobs ", "dbo", "T"],
            ["Db", "dbo ", "T"],
            ["Db", "SYS", "objects"],
            ["Db", "dbo", "blobdeltaReplayLedger"],
            ["Db", "dbo", "BlobDelta"],
            ["Db", "dbo", "SQLITE_sequence"],
            ["Db", "dbo", "##all"],
        ];
        for [db, schema, table] in never {
            assert!(check_target(&TableName::new(db, schema, table).unwrap()).is_err(), "{db}.{schema}.{table}");
        }
        for [db, schema, table] in [["Masters", "dbo", "T"], ["Db", "dbo", "Blob"], ["Db", "dbo", "Überdelta"]] {
            check_target(&TableName::new(db, schema, table).unwrap()).unwrap();
        }
    }
}
