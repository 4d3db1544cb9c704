//! Known content: what the job database of a server remembers of the values of a chain.

use super::client::Client;
use super::engine::Engine;
use super::existing::digest;
use super::marker::{self, placed};
use super::sql::{Sql, filled, quote};
use super::staging::{self, Carried, STAGE, StagedRow};
use super::values::RowFields;
use crate::backend::compatibility::oldest_version;
use crate::backend::content::{ComingValue, KnownValue};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::run::{Fence, Scope};
use crate::model::sqltype::SqlType;
use crate::model::version::Version;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/content.sql");
const KNOWN: &str = statement(SQL, "known");
const PUT_ASIDE: &str = statement(SQL, "put_aside");

/// See [`Slices::known_values`](crate::backend::Slices::known_values).
pub(super) fn known_values(
    engine: &mut Engine<'_>,
    (fence, scope): (&Fence, Scope),
    column: &str,
    keys: &[Guid],
) -> Result<Vec<Option<KnownValue>>> {
    let config = marker::own_slice(engine, fence)?;
    let mut known = vec![None; keys.len()];
    if keys.is_empty() {
        return Ok(known);
    }
    let sql = Sql::new(filled(KNOWN, &[("Db", &quote(&config.target.db))]));
    let sql = sql.with(&fence.table).with(scope.to_string()).with(column.to_owned());
    let asked = staging::ask_of_keys(engine.db, "look up known content", keys, sql, |key, fields| {
        let value = KnownValue {
            sha256: digest(fields.bytes(1)?.unwrap_or_default())?,
            root_sha256: digest(fields.bytes(2)?.unwrap_or_default())?,
            modified_on: fields.must(3, RowFields::time)?,
            run_started_at: fields.must(4, RowFields::time)?,
            run_id: fields.must(5, RowFields::guid)?,
        };
        let at = keys.iter().position(|asked| *asked == key);
        at.into_iter().for_each(|at| known[at] = Some(value));
        Ok(())
    });
    asked.map_err(|error| placed(error, fence))?;
    Ok(known)
}

/// See [`Slices::put_values_aside`](crate::backend::Slices::put_values_aside).
pub(super) fn put_aside(engine: &mut Engine<'_>, fence: &Fence, column: &str, values: &[ComingValue]) -> Result<()> {
    if values.is_empty() {
        return Ok(());
    }
    marker::own_slice(engine, fence)?;
    let doing = "put content aside";
    let digest = |name| Column::new(name, SqlType::VarBinary(Some(32)), true);
    let carried = Carried { columns: vec![(0, digest("Sha256")), (1, digest("RootSha256"))], ..Carried::of_ids() };
    let version = |value: &ComingValue| Version { modified_on: Some(value.modified_on), ..oldest_version() };
    let staged = |(row, value): (usize, &ComingValue)| StagedRow { row, key: value.key, version: version(value) };
    let staged: Vec<StagedRow> = values.iter().enumerate().map(staged).collect();
    let put = engine.db.client.transact(doing, |client: &mut Client| {
        client.batch(doing, &carried.create())?;
        carried.load(client, &Digests(values), &staged)?;
        client.execute(doing, Sql::new(PUT_ASIDE).with(&fence.table).with(column.to_owned()))?;
        client.batch(doing, &format!("DROP TABLE {STAGE}"))
    });
    put.map_err(|error| placed(error, fence))
}

/// See [`Slices::clear_values_aside`](crate::backend::Slices::clear_values_aside).
pub(super) fn clear_aside(engine: &mut Engine<'_>, fence: &Fence) -> Result<()> {
    marker::own_slice(engine, fence)?;
    let sql = Sql::new("DELETE FROM dbo.BlobDeltaContentAside WHERE TableName = ").bind(&fence.table);
    let cleared = engine.db.client.unit(|client| client.execute("begin to put content aside", sql.clone()));
    cleared.map(drop).map_err(|error| placed(error, fence))
}

/// Hash and bundle of values, as they are staged.
struct Digests<'v>(&'v [ComingValue]);

impl RowSource for Digests<'_> {
    fn rows(&self) -> usize {
        self.0.len()
    }

    fn cell(&self, row: usize, column: usize) -> Result<Cell<'_>> {
        let value = self.0.get(row).ok_or_else(|| Error::internal("a value that was not put aside was staged"))?;
        let digest = if column == 0 { &value.sha256 } else { &value.root_sha256 };
        Ok(digest.as_ref().map_or(Cell::Null, |digest| Cell::Bytes(digest.as_bytes())))
    }
}
