//! What a table's part of a run is refused for before its lease is taken.

use super::options::RunOptions;
use crate::backend::Backend;
use crate::convert::ColumnPlan;
use crate::error::{Error, Kind, Result};
use crate::model::column::delta_columns;
use crate::model::drift::{self, SchemaChange};
use crate::model::key::KeyType;
use crate::model::name::check_length;
use crate::model::run::{Run, Scope};
use crate::model::sqltype::SqlType;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;

/// Whether this run may begin with a table, or go on with it. Gives what the slice has to follow of the source's columns
/// (rule 24).
///
/// # Errors
/// Config, for a column that no bundle could have (rule 19); Superseded; Database.
pub(super) fn check_table(
    backend: &mut dyn Backend,
    run: &Run,
    table: &TableConfig,
    options: &RunOptions,
) -> Result<Vec<SchemaChange>> {
    let mut wanted = table.slice_columns(&backend.source_columns(table)?);
    let changes = drift::changes(&backend.slice_columns(table)?, &wanted);
    for column in &wanted {
        let hint = "rename the column, or leave it out with ExcludedColumns (`table set`)";
        check_length(&column.name).map_err(|error| error.table(&table.name).column(&column.name).hint(hint))?;
    }
    if options.out.is_some() {
        let key = wanted.iter().find(|column| column.name == table.key_column);
        wanted.extend(delta_columns(key.map_or(SqlType::UniqueIdentifier, |key| key.sql_type)));
        ColumnPlan::rows(&wanted, &table.key_column)?;
    }
    if options.resume.is_some() {
        refuse_passed(backend, run, table)?;
    }
    refuse_unfit(backend, run.scope, run.from, table)?;
    Ok(changes)
}

/// Rule 3: a logged deletion whose key the key column can no longer have is in no bundle, so the run would fail when it has
/// copied everything. It is not passed over: a receiver whose column is wider still has the row.
pub(super) fn refuse_unfit(
    backend: &mut dyn Backend,
    scope: Scope,
    from: Option<Timestamp>,
    table: &TableConfig,
) -> Result<()> {
    // Keys of any other type are of another type where their column is another.
    let can_be_narrower = match table.key_type {
        KeyType::Integer => true,
        KeyType::UniqueIdentifier | KeyType::Binary(_) => false,
    };
    if !can_be_narrower || !table.include_deletions {
        return Ok(());
    }
    let columns = backend.source_columns(table)?;
    let Some(column) = columns.iter().find(|column| column.name == table.key_column) else { return Ok(()) };
    let again = from.map(|from| table.clock.not_after_utc(from));
    let Some((entry, id)) = backend.unfit_deletion(table, scope, again, column.sql_type)? else { return Ok(()) };
    let key = table.key_type.shown(id);
    let text = format!(
        "the entry {entry} of BlobDeltaDeletionLog is of the key {key}, which does not fit the key column: it is {}",
        column.sql_type
    );
    let delete = format!("DELETE FROM BlobDeltaDeletionLog WHERE DeletionId = {entry}");
    let hint = format!(
        "if receivers may have this row, give {} its wider type back until a run has shipped this deletion; if none has it, \
         in the job database: {delete}",
        column.name
    );
    Err(Error::config(text).table(&table.name).column(&column.name).key(key).hint(hint))
}

/// Rule 9: a run that a later one of its scope has passed has nothing left to take, and what it would hand out is
/// bounded by its own start (rule 27), which what has been handed out since is not.
fn refuse_passed(backend: &mut dyn Backend, run: &Run, table: &TableConfig) -> Result<()> {
    let reached = match run.scope {
        Scope::All => {
            let watermarks = backend.watermarks()?;
            watermarks.into_iter().find(|mark| mark.table == table.name).and_then(|mark| mark.last_high_water)
        }
        Scope::BusinessUnit(unit) => {
            let watermarks = backend.unit_watermarks()?;
            watermarks
                .into_iter()
                .find(|mark| mark.table == table.name && mark.unit == unit)
                .map(|mark| mark.last_high_water)
        }
    };
    let started = run.started_at.of(table.clock);
    match reached.filter(|reached| *reached > started) {
        None => Ok(()),
        Some(reached) => Err(Error::new(
            Kind::Superseded,
            format!("a later run has taken this table up to {reached}, and this one started at {started}"),
        )
        .hint("nothing of this run is left to copy; start a new run, with --from if it should cover time again")),
    }
}
