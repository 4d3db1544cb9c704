//! Rules 8 and 9: whose a slice is.

use super::database::Database;
use super::engine::Engine;
use super::sql::{Sql, filled, quote, quoted};
use super::values::RowFields;
use super::{catalog, config};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Fence;
use crate::model::slice::{SliceMarker, SliceState};
use crate::model::table::TableConfig;
use crate::model::window::Window;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/marker.sql");
const IS_OWN_SLICE: &str = statement(SQL, "is_own_slice");
const MARKER: &str = statement(SQL, "marker");

/// Rules 8 and 9: fence and marker are the caller's, and the slice is complete. Asked for each page, so it is
/// one statement; the procedure, which renews the lease as well, says what is wrong where one is.
pub(super) fn own_slice(engine: &mut Engine<'_>, fence: &Fence) -> Result<TableConfig> {
    let config = config::config(engine, &fence.table)?;
    let sql = Sql::new(filled(IS_OWN_SLICE, &[("Db", &quote(&config.target.db))]));
    let sql = sql.with(fence.run_id).with(&config.target.table).with(&fence.table).with(fence.epoch);
    let asked = engine.db.client.unit(|client| client.row("check the lease and the slice", sql.clone()));
    if let Ok(Some(row)) = &asked
        && RowFields::of(row).number(0)? == Some(1)
    {
        return Ok(config);
    }
    let passed = engine.db.client.unit(|client| {
        let inputs = vec![
            ("RunId", fence.run_id.into()),
            ("TableName", (&fence.table).into()),
            ("LeaseEpoch", fence.epoch.into()),
        ];
        client.call("check the lease and the slice", "dbo.usp_BlobDelta_PassSlice", inputs, &[])
    });
    if let Err(error) = passed {
        engine.db.cursor = None;
        return Err(placed(error, fence));
    }
    Ok(config)
}

/// The marker row; without one a table may be anybody's.
pub(super) fn marker(db: &mut Database, table: &TableConfig) -> Result<SliceMarker> {
    let without_marker = |hint: &str| {
        Error::config(format!("the slice table {} has no marker row, so nothing was deleted from it", table.target))
            .table(&table.name)
            .hint(hint)
    };
    let markers = TableName::new(&table.target.db, "dbo", "BlobDeltaSlice")?;
    let sql = Sql::new(filled(MARKER, &[("Markers", &quoted(&markers))]));
    let sql = sql.with(&table.target.table).with(quoted(&table.target));
    // Asked for at once, because there nearly always is one; the catalog says why where there is none.
    let asked = db.client.unit(|client| client.row("read the marker row", sql.clone()));
    let row = match asked {
        Ok(Some(row)) => row,
        asked => {
            catalog::resolve(&mut db.client, &table.target).map_err(|error| error.table(&table.name))?;
            if !catalog::has_table(&mut db.client, &markers)? {
                return Err(without_marker("run deploy, which marks empty slices"));
            }
            asked?.ok_or_else(|| without_marker("if its rows can go, empty the table, then run deploy"))?
        }
    };
    let fields = RowFields::of(&row);
    let state = SliceState::parse(fields.must(4, RowFields::text)?);
    let scope = fields.text(3)?.filter(|scope| *scope != "all").map(Guid::parse).transpose()?;
    let window = match (fields.time(1)?, fields.time(2)?) {
        (Some(start), Some(end)) => Some(Window { start, end, clock: table.clock }),
        _ => None,
    };
    Ok(SliceMarker {
        target: table.target.clone(),
        run_id: fields.guid(0)?,
        window,
        scope: scope.into(),
        state: state.ok_or_else(|| without_marker("its state is not one that is known"))?,
    })
}

/// An error of a slice that is read under a fence.
pub(super) fn placed(error: Error, fence: &Fence) -> Error {
    error.run(fence.run_id).table(&fence.table)
}
