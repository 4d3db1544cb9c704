//! Which table a replay writes, whatever name leads there: other cases of letters, links to files of other names.

use super::session::{JOB_DATABASE, SCHEMA, Session, file_of};
use crate::backend::check_target;
use crate::backend::resolved::{ITS_NAME, Inside, never};
use crate::durable::has_other_names;
use crate::error::{Error, Result};
use crate::model::name::TableName;
use std::path::{Path, PathBuf};

impl Session {
    /// See [`Target::resolve_target`](crate::backend::Target::resolve_target).
    pub(super) fn resolved(&self, table: &TableName) -> Result<TableName> {
        let asked = in_one_schema(table)?;
        check_target(table)?;
        check_target(&asked)?;
        if !self.has_database(&asked.db) {
            return Ok(asked);
        }
        let found = TableName { db: self.first_of_file(&asked.db)?, ..asked };
        check_target(&found)?;
        self.check_names(&found)?;
        self.inside(&found.db)?.check(&found)?;
        let what =
            "SELECT name, type FROM pragma_table_list WHERE schema = ?1 COLLATE NOCASE AND name = ?2 COLLATE NOCASE";
        let of = (self.schema_name(&found.db), &found.table);
        let there = self.query_optional(what, of, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        match there {
            None => Ok(found),
            Some((name, kind)) if kind == "table" => TableName::new(&found.db, SCHEMA, &name),
            Some((_, kind)) => Err(never(&found, &format!("a {kind}"), ITS_NAME)),
        }
    }

    /// A file with a second name may be anybody's database, and SQLite keeps its journal beside one of its names alone
    /// (<https://www.sqlite.org/howtocorrupt.html#multiple_links_to_the_same_file>).
    fn check_names(&self, table: &TableName) -> Result<()> {
        let file = file_of(&self.folder, &table.db)?;
        if !has_other_names(&file) {
            return Ok(());
        }
        Err(Error::config(
            "the file of this database has other names (hard links), so it may be another one's database",
        )
        .table(table)
        .file(&file)
        .hint("replay into a database of its own; a copy has one name: cp it, and remove the link"))
    }

    /// The first of the attached databases that are one file with this one.
    fn first_of_file(&self, db: &str) -> Result<String> {
        let real = |name: &str| -> Result<PathBuf> {
            let file = file_of(&self.folder, name)?;
            Ok(file.canonicalize().unwrap_or(file))
        };
        let file = real(db)?;
        let is_ours = file.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case(JOB_DATABASE));
        if is_ours {
            return Ok(JOB_DATABASE.to_owned());
        }
        for known in self.databases() {
            if known.eq_ignore_ascii_case(db) || real(known)? == file {
                return Ok(known.to_owned());
            }
        }
        Ok(db.to_owned())
    }

    fn inside(&self, db: &str) -> Result<Inside> {
        let schema = self.schema_of(db);
        let sql = format!(
            "SELECT coalesce(max(name IN ('BlobDeltaTableConfig', 'BlobDeltaSource')), 0), coalesce(max(name = 'BlobDeltaSlice'), 0)
             FROM {schema}.sqlite_master WHERE type = 'table'"
        );
        self.query_row(&sql, [], |row| Ok(Inside { is_job_database: row.get(0)?, is_slice_database: row.get(1)? }))
    }
}

/// There is one schema: what is in another has its name before that of the table.
fn in_one_schema(table: &TableName) -> Result<TableName> {
    match table.schema.eq_ignore_ascii_case(SCHEMA) {
        true => TableName::new(&table.db, SCHEMA, &table.table),
        false => TableName::new(&table.db, SCHEMA, &format!("{}.{}", table.schema, table.table)),
    }
}

/// The database of this folder that differs from a name in the case of letters alone, where none has that name.
pub(super) fn spelled(folder: &Path, database: &str) -> String {
    let is_there = |name: &str| folder.join(format!("{name}.sqlite")).exists();
    let names = || {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.file_name().into_string().ok()?.strip_suffix(".sqlite")?.to_owned()))
    };
    match is_there(database) {
        true => database.to_owned(),
        false => {
            names().filter(|name| name.eq_ignore_ascii_case(database)).min().unwrap_or_else(|| database.to_owned())
        }
    }
}
