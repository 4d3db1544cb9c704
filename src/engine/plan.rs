//! What a run would do, and what it would be refused for; nothing is changed.

use super::admission::{check_times, chosen_tables, refuse_unfit, refuse_without_bundle};
use super::place::check_out;
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::model::drift::{self, SchemaDrift};
use crate::model::id::Guid;
use crate::model::run::{RunRequest, Scope, Selection, TablePlan};
use crate::model::table::TableConfig;
use std::path::Path;

/// What a run started now would do. Changes nothing.
///
/// # Errors
/// Config or Usage.
pub fn plan(backend: &mut dyn Backend, request: &RunRequest) -> Result<Vec<TablePlan>> {
    backend.check_deployed()?;
    let (chosen, _) = chosen_tables(backend, request.table.as_ref(), request.scope)?;
    check_times(backend, request, &chosen)?;
    chosen.iter().map(|table| plan_table(backend, request, table)).collect()
}

fn plan_table(backend: &mut dyn Backend, request: &RunRequest, table: &TableConfig) -> Result<TablePlan> {
    let wanted = table.slice_columns(&backend.source_columns(table)?);
    let schema_changes = drift::changes(&backend.slice_columns(table)?, &wanted);
    let planned = backend.plan_table(request, table)?;
    let is_refused = table.schema_drift == SchemaDrift::Refuse && !schema_changes.is_empty();
    let refused = is_refused.then(|| drift::refused(&schema_changes).to_string());
    let refused = planned.refused.or(refused);
    let unfit = refuse_unfit(backend, request.scope, request.from, table).err().map(|error| error.to_string());
    Ok(TablePlan { refused: refused.or(unfit), schema_changes, ..planned })
}

/// What a run would be refused for before it begins, but for how its bundle is sealed. Reads no rows, and changes nothing.
///
/// # Errors
/// Config or Database, if the tables cannot be read.
pub fn would_be_refused(
    backend: &mut dyn Backend,
    selection: &Selection,
    out: Option<&Path>,
    without_bundle: bool,
) -> Result<Vec<Error>> {
    backend.check_deployed()?;
    let (tables, _) = chosen_tables(backend, selection.table.as_ref(), selection.scope)?;
    let unit = match selection.scope {
        Scope::BusinessUnit(unit) if !backend.has_unit(&tables, unit)? => Err(unknown_unit(&tables, unit)),
        _ => Ok(()),
    };
    let place = match out {
        Some(out) => check_out(out),
        None if without_bundle => refuse_without_bundle(&tables),
        None => Ok(()),
    };
    Ok([backend.check_server(), place, unit].into_iter().filter_map(Result::err).collect())
}

fn unknown_unit(tables: &[TableConfig], unit: Guid) -> Error {
    match tables.is_empty() {
        true => Error::config(format!("no active table has business units, so no run for {unit}"))
            .hint("set MetadataBusinessUnitCol of the tables that have, with `table set`"),
        false => Error::config(format!("no table of this run has the business unit {unit} in its scope"))
            .hint("look the unit up in the table of business units"),
    }
}
