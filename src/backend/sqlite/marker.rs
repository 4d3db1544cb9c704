//! Rule 9: the marker row of a slice says whose it is.

use super::catalog;
use super::database::Database;
use crate::error::{Error, Kind, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Fence;
use crate::model::slice::{SliceMarker, SliceState};
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::model::window::Window;

/// Rule 9, within a transaction: the slice is still this run's, and in this state.
pub(super) fn own_slice(db: &Database, table: &TableConfig, fence: &Fence, states: &[SliceState]) -> Result<()> {
    let marker = marker(db, table)?;
    if marker.run_id == Some(fence.run_id) && states.contains(&marker.state) {
        return Ok(());
    }
    let holder = marker.run_id.map_or("no run".into(), |run| format!("run {run}"));
    Err(Error::new(
        Kind::Superseded,
        format!("the slice is {} and holds {holder}; nothing was written", marker.state.as_str()),
    )
    .run(fence.run_id)
    .table(&table.name)
    .hint("a run whose slice was taken is never resumed or packed: start a new run"))
}

/// The marker row; without one a table may be anybody's.
pub(super) fn marker(db: &Database, table: &TableConfig) -> Result<SliceMarker> {
    let without_marker = |hint: &str| {
        Error::config(format!("the slice table {} has no marker row, so nothing was deleted from it", table.target))
            .table(&table.name)
            .hint(hint)
    };
    catalog::resolve(db, &table.target).map_err(|error| error.table(&table.name))?;
    let marker_table = TableName::new(&table.target.db, "dbo", "BlobDeltaSlice")?;
    let Ok(markers) = catalog::resolve(db, &marker_table) else {
        return Err(without_marker("run deploy, which marks empty slices"));
    };
    let read = db.query_optional(
        &format!("SELECT RunId, WindowStart, WindowEnd, Scope, State FROM {markers} WHERE TargetTable = ?1"),
        [&table.target.table],
        |row| {
            let window: (Option<Timestamp>, Option<Timestamp>) = (row.get(1)?, row.get(2)?);
            Ok((row.get::<_, Option<Guid>>(0)?, window, row.get::<_, String>(3)?, row.get::<_, String>(4)?))
        },
    )?;
    let Some((run_id, window, scope, state)) = read else {
        return Err(without_marker("if its rows can go, empty the table, then run deploy"));
    };
    let state = SliceState::parse(&state).ok_or_else(|| without_marker("its state is not one that is known"))?;
    let scope = if scope == "all" { None } else { Some(Guid::parse(&scope)?) };
    let window = match window {
        (Some(start), Some(end)) => Some(Window { start, end, clock: table.clock }),
        _ => None,
    };
    Ok(SliceMarker { target: table.target.clone(), run_id, window, scope: scope.into(), state })
}
