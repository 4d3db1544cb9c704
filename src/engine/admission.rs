//! Which tables a run takes, and what it is refused for, before anything is written; what a table's part of it is refused for
//! before its lease is taken.

use super::options::RunOptions;
use crate::backend::{Backend, PackState};
use crate::convert::ColumnPlan;
use crate::error::{Error, Kind, Result};
use crate::model::column::delta_columns;
use crate::model::drift::{self, SchemaChange};
use crate::model::id::Guid;
use crate::model::key::KeyType;
use crate::model::name::{TableName, check_length};
use crate::model::run::{Run, RunRequest, Scope};
use crate::model::sqltype::SqlType;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;

/// `--from` sets windows back, and `--until` their ends; a time that is yet to come means another one.
pub(super) fn check_times(backend: &mut dyn Backend, request: &RunRequest, tables: &[TableConfig]) -> Result<()> {
    let given = [
        ("--from", request.from, "name the time from which on changes are to be taken once more"),
        ("--until", request.until, "leave it out to take all that there is"),
    ];
    let now = if request.from.or(request.until).is_some() { backend.now()? } else { return Ok(()) };
    for (option, at, hint) in given {
        let Some(at) = at else { continue };
        if let Some(table) = tables.iter().find(|table| at > now.of(table.clock)) {
            let text = format!("{option} {at} lies in the future: it is {} now", now.of(table.clock));
            let hint = format!("{hint}; each table reads it in its own clock");
            return Err(Error::usage(text).table(&table.name).hint(hint));
        }
    }
    Ok(())
}

/// The tables that a request means, and those that are left out because they have no business units.
///
/// # Errors
/// Config; Database.
pub(super) fn requested_tables(
    backend: &mut dyn Backend,
    request: &RunRequest,
) -> Result<(Vec<TableConfig>, Vec<TableConfig>)> {
    let (mut chosen, left_out) = chosen_tables(backend, request.table.as_ref(), request.scope)?;
    if let Some(before) = request.continues {
        let before = backend.run(before)?;
        let open = open_windows(backend, &before)?;
        chosen.retain(|table| open.contains(&table.name));
    }
    Ok((chosen, left_out))
}

/// The tables of a run whose windows `MaxWindow` cut, and that no run of its scope has taken since.
///
/// # Errors
/// Database.
pub(super) fn open_windows(backend: &mut dyn Backend, run: &Run) -> Result<Vec<TableName>> {
    let last: Vec<(TableName, Option<Guid>)> = match run.scope {
        Scope::All => backend.watermarks()?.into_iter().map(|mark| (mark.table, mark.last_run_id)).collect(),
        Scope::BusinessUnit(unit) => {
            let marks = backend.unit_watermarks()?.into_iter().filter(|mark| mark.unit == unit);
            marks.map(|mark| (mark.table, mark.last_run_id)).collect()
        }
    };
    let mut open = Vec::new();
    for (table, state) in backend.run_tables(run.id)? {
        let is_done = !matches!(state, PackState::NotCompleted | PackState::GivenUp);
        if is_done && last.contains(&(table.clone(), Some(run.id))) {
            let report = backend.table_report(run.id, &table)?;
            open.extend((report.window.end < report.goal).then_some(table));
        }
    }
    Ok(open)
}

/// The tables of a run, and those that are left out because they have no business units.
pub(super) fn chosen_tables(
    backend: &mut dyn Backend,
    name: Option<&TableName>,
    scope: Scope,
) -> Result<(Vec<TableConfig>, Vec<TableConfig>)> {
    match name {
        Some(name) => Ok((vec![backend.table(name)?], Vec::new())),
        None => {
            let active = backend.tables()?.into_iter().filter(|table| table.is_active);
            Ok(active.partition(|table| table.has_scope(scope)))
        }
    }
}

/// Rule 10: once a table's slices go into bundles, they always do.
pub(super) fn refuse_without_bundle(tables: &[TableConfig]) -> Result<()> {
    match tables.iter().find(|table| table.requires_bundle()) {
        None => Ok(()),
        Some(table) => Err(Error::usage("this table requires a bundle of every run, so it cannot run without one")
            .table(&table.name)
            .hint("name a folder with --out, or set RequireBundle to 0 with `table set`")),
    }
}

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
