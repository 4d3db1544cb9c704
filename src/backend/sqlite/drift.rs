//! Rule 24: a slice follows the columns of its source.

use super::database::Database;
use super::lease::Lease;
use super::{catalog, config, marker, unique};
use crate::error::{Error, Result};
use crate::model::column::{Column, DELTA_PARENT_KEY, is_delta};
use crate::model::destination::pack_command;
use crate::model::drift::{self, SchemaChange};
use crate::model::run::Fence;
use crate::model::slice::SliceState;
use crate::model::table::TableConfig;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/drift.sql");
const IS_AT_WORK: &str = statement(SQL, "is_at_work");

/// What the source's columns are, and what the slice's are not.
pub(super) fn slice_drift(db: &Database, table: &TableConfig) -> Result<Vec<SchemaChange>> {
    let source = config::check_config(db, table)?;
    let slice = catalog::slice_columns(db, table).map_err(|error| error.table(&table.name))?;
    Ok(drift::changes(&slice, &table.slice_columns(&source)))
}

/// Makes the slice table anew, from the source's columns as they are now. It holds nothing that is still needed.
pub(super) fn adapt_slice(db: &mut Database, lease: Lease, fence: &Fence, table: &TableConfig) -> Result<()> {
    let source = config::check_config(db, table)?;
    db.transact("have the slice follow its source", |db| {
        lease.check_fence(db, fence)?;
        remake(db, table, &source)
    })
}

/// The rows of one slice have one shape, from the first that is copied to the last.
pub(super) fn check_no_drift(db: &Database, table: &TableConfig) -> Result<()> {
    match slice_drift(db, table)?.as_slice() {
        [] => Ok(()),
        changes => Err(drift::while_it_ran(changes).table(&table.name)),
    }
}

/// Has a slice follow its source whose rows are in a bundle, or that has none, and that no run works on.
pub(super) fn refresh(db: &mut Database, table: &TableConfig) -> Result<()> {
    let source = config::check_config(db, table)?;
    if slice_drift(db, table)?.is_empty() && !lacks_place(db, table, &source)? {
        return Ok(());
    }
    db.transact("refresh the slice", |db| empty_and_remake(db, table, &source))
}

/// Whether a slice of ours lacks the key or a path of its table, because another column of the source is that now, or has keys of
/// another type. The key of a slice is the column that its unique index is over.
pub(super) fn lacks_place(db: &Database, table: &TableConfig, source: &[Column]) -> Result<bool> {
    let slice = catalog::slice_columns(db, table)?;
    let is_ours = slice.iter().any(|column| is_delta(&column.name));
    let needed = [Some(&table.key_column), table.path_column.as_ref(), table.parent_path_column.as_ref()];
    let is_there = |name: &String| slice.iter().any(|column| column.name == *name);
    let of =
        |columns: &[Column], name: &str| columns.iter().find(|column| column.name == name).map(|found| found.sql_type);
    let key = of(source, &table.key_column);
    let has_keys = [&table.key_column, DELTA_PARENT_KEY].into_iter().all(|name| of(&slice, name) == key)
        && unique::is_unique(db, &table.target, &table.key_column)?;
    Ok(is_ours && !(has_keys && needed.into_iter().flatten().all(is_there)))
}

/// Makes a slice table anew that holds nothing that is still needed. Within a transaction.
pub(super) fn empty_and_remake(db: &Database, table: &TableConfig, source: &[Column]) -> Result<()> {
    let marker = marker::marker(db, table)?;
    if let Some(run) = marker.run_id.filter(|_| marker.state == SliceState::Complete) {
        let text = format!("the slice of run {run} is in no bundle yet");
        return Err(Error::config(text).hint(format!("pack it first: {}", pack_command(run, None))));
    }
    if db.query_one(IS_AT_WORK, (&table.name, db.server_time().utc))? {
        return Err(Error::config("a run is at work on this table")
            .hint("wait for it to end, or for the lease of one that died to expire: `blobdelta status` says when"));
    }
    let schema = db.schema_of(&table.target.db);
    let empty = format!("UPDATE {schema}.BlobDeltaSlice SET State = 'Empty', RunId = NULL WHERE TargetTable = ?1");
    db.execute(&empty, [&table.target.table])?;
    remake(db, table, source)
}

fn remake(db: &Database, table: &TableConfig, source: &[Column]) -> Result<()> {
    db.execute(&format!("DROP TABLE {}", catalog::resolve(db, &table.target)?), [])?;
    config::create_slice_table(db, table, source)
}
