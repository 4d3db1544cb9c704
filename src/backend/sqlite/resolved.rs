//! Which table a replay writes, whatever name leads there: other cases of letters, links to files of other names.

use super::attached::file_of;
use super::database::{Database, JOB_DATABASE, SCHEMA};
use super::sql::filled;
use crate::backend::check_target;
use crate::backend::resolved::{ITS_NAME, Inside, never};
use crate::durable::has_other_names;
use crate::error::{Error, Result};
use crate::model::name::TableName;
use crate::scripts::statement::statement;
use std::path::PathBuf;

const SQL: &str = include_str!("../../../sql/sqlite/resolved.sql");
const INSIDE: &str = statement(SQL, "inside");

/// See [`Target::resolve_target`](crate::backend::Target::resolve_target).
pub(super) fn resolve_target(db: &Database, table: &TableName) -> Result<TableName> {
    let asked = in_one_schema(table)?;
    check_target(table)?;
    check_target(&asked)?;
    if !db.has_database(&asked.db) {
        return Ok(asked);
    }
    let found = TableName { db: first_of_file(db, &asked.db)?, ..asked };
    check_target(&found)?;
    check_names(db, &found)?;
    inside(db, &found.db)?.check(&found)?;
    let what = "SELECT name, type FROM pragma_table_list WHERE schema = ?1 COLLATE NOCASE AND name = ?2 COLLATE NOCASE";
    let of = (db.schema_name(&found.db), &found.table);
    let there = db.query_optional(what, of, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    match there {
        None => Ok(found),
        Some((name, kind)) if kind == "table" => TableName::new(&found.db, SCHEMA, &name),
        Some((_, kind)) => Err(never(&found, &format!("a {kind}"), ITS_NAME)),
    }
}

/// A file with a second name may be anybody's database, and SQLite keeps its journal beside one of its names alone
/// (<https://www.sqlite.org/howtocorrupt.html#multiple_links_to_the_same_file>).
fn check_names(db: &Database, table: &TableName) -> Result<()> {
    let file = file_of(&db.folder, &table.db)?;
    if !has_other_names(&file) {
        return Ok(());
    }
    Err(Error::config("the file of this database has other names (hard links), so it may be another one's database")
        .table(table)
        .file(&file)
        .hint("replay into a database of its own; a copy has one name: cp it, and remove the link"))
}

/// The first of the attached databases that are one file with this one.
fn first_of_file(db: &Database, database: &str) -> Result<String> {
    let real = |name: &str| -> Result<PathBuf> {
        let file = file_of(&db.folder, name)?;
        Ok(file.canonicalize().unwrap_or(file))
    };
    let file = real(database)?;
    let is_ours = file.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case(JOB_DATABASE));
    if is_ours {
        return Ok(JOB_DATABASE.to_owned());
    }
    for known in db.databases() {
        if known.eq_ignore_ascii_case(database) || real(known)? == file {
            return Ok(known.to_owned());
        }
    }
    Ok(database.to_owned())
}

fn inside(db: &Database, database: &str) -> Result<Inside> {
    let schema = db.schema_of(database);
    let sql = filled(INSIDE, &[("Schema", &schema)]);
    db.query_row(&sql, [], |row| Ok(Inside { is_job_database: row.get(0)?, is_slice_database: row.get(1)? }))
}

/// There is one schema: what is in another has its name before that of the table.
fn in_one_schema(table: &TableName) -> Result<TableName> {
    match table.schema.eq_ignore_ascii_case(SCHEMA) {
        true => TableName::new(&table.db, SCHEMA, &table.table),
        false => TableName::new(&table.db, SCHEMA, &format!("{}.{}", table.schema, table.table)),
    }
}
