//! [`Slices`] on a server.
//!
//! Every call that reads a slice asks first, on the session's own connection, whether fence and
//! marker are still the caller's (`usp_BlobDelta_PassSlice`); so rows of a slice that was taken in
//! between are never handed out, whatever a stream still holds of it.

use super::engine::Engine;
use super::key_id::{self, key_value};
use super::large::{self, ValuePlace};
use super::marker::{self, placed};
use super::reading::Reading;
use super::sql::{Sql, SqlParameter, filled, quote, quoted};
use super::values::{RowFields, number_at};
use super::{config, content, page, template};
use crate::backend::content::{ComingValue, KnownValue};
use crate::backend::jobs::BundleRecord;
use crate::backend::slices::{PreviousBundle, Slices, TableReport, columns_json};
use crate::error::{Error, Result};
use crate::model::cell::CellSink;
use crate::model::clock::ServerTime;
use crate::model::column::{Column, DELTA_DEPTH};
use crate::model::id::{Guid, KeyOrder};
use crate::model::key::KeyType;
use crate::model::name::TableName;
use crate::model::run::{AbsentParent, Fence, Scope};
use crate::model::slice::{Deletion, DeletionReason, ReadLimits, SliceMarker, SlicePosition};
use crate::model::sqltype::SqlType;
use crate::model::table::{ChangedScript, TableConfig};
use crate::model::window::Window;
use crate::scripts::statement::statement;
use serde::de::DeserializeOwned;
use std::io::Write;

const SQL: &str = include_str!("../../../sql/sqlserver/slices.sql");
const SLICE_DELETIONS: &str = statement(SQL, "slice_deletions");
const TABLE_ERRORS: &str = statement(SQL, "table_errors");
const PREVIOUS_BUNDLE: &str = statement(SQL, "previous_bundle");
const TABLE_REPORT: &str = statement(SQL, "table_report");

impl Slices for Engine<'_> {
    fn slice_marker(&mut self, table: &TableConfig) -> Result<SliceMarker> {
        self.db.cursor = None;
        marker::marker(self.db, table)
    }

    fn slice_columns(&mut self, table: &TableConfig) -> Result<Vec<Column>> {
        if let Some(known) = self.state.known.columns.get(&table.target) {
            return Ok(known.clone());
        }
        let mut columns = self.state.known.columns_of_run(&mut self.db.client, &table.target, &[])?;
        table.spell(&mut columns);
        self.state.known.columns.insert(table.target.clone(), columns.clone());
        Ok(columns)
    }

    fn changed_scripts(&mut self, table: &TableConfig) -> Result<Vec<ChangedScript>> {
        template::scripts_of_others(self.db, table)
    }

    fn key_order(&mut self) -> Result<KeyOrder> {
        Ok(self.db.abilities()?.key_order)
    }

    fn read_slice(
        &mut self,
        fence: &Fence,
        after: Option<&SlicePosition>,
        limits: ReadLimits,
        sink: &mut dyn CellSink,
    ) -> Result<Option<SlicePosition>> {
        let config = marker::own_slice(self, fence)?;
        let columns = self.slice_columns(&config)?;
        let path = match &config.path_column {
            None => None,
            Some(name) => Some(path_column(&columns, name).map_err(|error| placed(error, fence))?),
        };
        let reading = Reading {
            doing: "read the slice",
            table: quoted(&config.target),
            fence: Some((fence.run_id, fence.epoch)),
            depth: Some(DELTA_DEPTH.to_owned()),
            path,
            key: config.key_column,
            key_type: config.key_type,
            is_by_text: false,
            columns,
            inline_bytes: limits.inline_bytes,
        };
        page::read_page(self.db, reading, after, limits, sink).map_err(|error| placed(error, fence))
    }

    fn read_large(&mut self, fence: &Fence, key: Guid, column: &str, out: &mut dyn Write) -> Result<u64> {
        let config = marker::own_slice(self, fence)?;
        let at = |error: Error| placed(error, fence).key(config.key_type.shown(key)).column(column);
        let columns = self.slice_columns(&config)?;
        let found = columns.iter().find(|found| found.name == column);
        let found = found.ok_or_else(|| at(Error::internal("the slice has no such column")))?;
        let place = ValuePlace::new(
            quoted(&config.target),
            (&config.key_column, key_value(config.key_type, key)),
            column,
            found.sql_type,
        );
        large::read(&mut self.db.client, &place, out).map_err(at)
    }

    fn read_deletions(&mut self, fence: &Fence, after: Option<Guid>, limit: u32) -> Result<Vec<Deletion>> {
        self.db.cursor = None;
        let config = marker::own_slice(self, fence)?;
        let (limit, db) = (limit.to_string(), quote(&config.target.db));
        let [key, last] = ["stream_id", "@P2"].map(|id| key_id::to_key(config.key_type, id));
        let after_key = if after.is_some() { format!("{key} > {last}") } else { "1 = 1".to_owned() };
        let text = key_id::with_keys(config.key_type, SLICE_DELETIONS);
        let sql = filled(&text, &[("Limit", limit.as_str()), ("Db", &db), ("After", &after_key)]);
        let sql = Sql::new(sql).with(&fence.table).with(after);
        let rows = self.db.client.unit(|client| client.rows("read the deletions", sql.clone()));
        rows.map_err(|error| placed(error, fence))?
            .iter()
            .map(|row| {
                let fields = RowFields::of(row);
                let (key, deleted_on) = (fields.must(0, RowFields::guid)?, fields.must(1, RowFields::time)?);
                let reason = fields.must(3, RowFields::text)?;
                let reason = DeletionReason::parse(reason)
                    .ok_or_else(|| Error::internal(format!("{reason:?} is no reason of a deletion")))?;
                Ok(Deletion { key, deleted_on, business_unit: fields.guid(2)?, reason })
            })
            .collect()
    }

    fn table_report(&mut self, run_id: Guid, table: &TableName) -> Result<TableReport> {
        self.db.cursor = None;
        report(self, run_id, table).map_err(|error| error.run(run_id).table(table))
    }

    fn table_errors(&mut self, run_id: Guid) -> Result<Vec<(TableName, String)>> {
        let sql = Sql::new(TABLE_ERRORS).with(run_id);
        self.db.list("read the failures of a run", &sql, |fields| {
            Ok((TableName::parse(fields.must(0, RowFields::text)?)?, fields.must(1, RowFields::text)?.to_owned()))
        })
    }

    fn absent_parents(&mut self, fence: &Fence, after: Option<Guid>, limit: u32) -> Result<Vec<AbsentParent>> {
        self.db.cursor = None;
        let config = marker::own_slice(self, fence)?;
        if !config.is_tree() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new("EXEC dbo.usp_BlobDelta_AbsentParents @RunId = ").bind(fence.run_id);
        sql = sql.then(", @TableName = ").bind(&fence.table).then(", @LeaseEpoch = ").bind(fence.epoch);
        sql = sql.then(", @Limit = ").bind(limit);
        if let Some(after) = after {
            sql = sql.then(", @After = ").bind(after);
        }
        let rows = self.db.client.unit(|client| client.rows("list absent parents", sql.clone()));
        rows.map_err(|error| placed(error, fence))?
            .iter()
            .map(|row| {
                let fields = RowFields::of(row);
                Ok(AbsentParent { child: fields.must(0, RowFields::guid)?, parent: fields.guid(1)? })
            })
            .collect()
    }

    fn previous_bundle(&mut self, table: &TableName, scope: Scope, run_id: Guid) -> Result<Option<PreviousBundle>> {
        // Of a bundle of this run its own, else the root of the scope's last.
        let sql = Sql::new(PREVIOUS_BUNDLE).with(run_id).with(table).with(scope.to_string());
        let found = self.db.client.unit(|client| client.row("read the bundles of a table", sql.clone()));
        let Some(row) = found.map_err(|error| error.table(table))? else { return Ok(None) };
        let fields = RowFields::of(&row);
        let Some(root) = fields.text(0)? else { return Ok(None) };
        PreviousBundle::read(root, fields.text(1)?).map(Some)
    }

    fn record_bundle(&mut self, records: &[(Fence, BundleRecord)], keep_leases: bool) -> Result<Vec<TableName>> {
        self.db.cursor = None;
        // RequireBundle changes.
        records.iter().for_each(|(fence, _)| drop(self.state.known.configs.remove(&fence.table)));
        self.db.disk().before_commit("record the bundle")?;
        self.db.client.transact("record the bundle", |client| {
            let (procedure, outputs) = ("dbo.usp_BlobDelta_RecordBundle", [("IsRequiredNow", "bit")]);
            let mut required = Vec::new();
            for (fence, record) in records {
                let mut inputs = inputs(fence, record)?;
                inputs.push(("KeepLease", keep_leases.into()));
                let recorded = client.call("record the bundle", procedure, inputs, &outputs);
                let row = recorded.map_err(|error| placed(error, fence))?;
                if row.is_some_and(|row| RowFields::of(&row).number(0).is_ok_and(|bit| bit == Some(1))) {
                    required.push(fence.table.clone());
                }
            }
            Ok(required)
        })
    }

    fn known_values(
        &mut self,
        fence: &Fence,
        scope: Scope,
        column: &str,
        keys: &[Guid],
    ) -> Result<Vec<Option<KnownValue>>> {
        content::known_values(self, (fence, scope), column, keys)
    }

    fn put_values_aside(&mut self, fence: &Fence, column: &str, values: &[ComingValue]) -> Result<()> {
        content::put_aside(self, fence, column, values)
    }

    fn clear_values_aside(&mut self, fence: &Fence) -> Result<()> {
        content::clear_aside(self, fence)
    }

    fn give_up(&mut self, fence: &Fence) -> Result<()> {
        self.db.cursor = None;
        let doing = "give up the slice";
        self.db.disk().before_commit(doing)?;
        let given_up = self.db.client.unit(|client| {
            let inputs = vec![
                ("RunId", fence.run_id.into()),
                ("TableName", (&fence.table).into()),
                ("LeaseEpoch", fence.epoch.into()),
            ];
            client.call(doing, "dbo.usp_BlobDelta_GiveUp", inputs, &[])
        });
        given_up.map(drop).map_err(|error| placed(error, fence))
    }
}

/// What `usp_BlobDelta_RecordBundle` takes.
fn inputs<'a>(fence: &'a Fence, record: &'a BundleRecord) -> Result<Vec<(&'static str, SqlParameter<'a>)>> {
    Ok(vec![
        ("RunId", fence.run_id.into()),
        ("TableName", (&fence.table).into()),
        ("LeaseEpoch", fence.epoch.into()),
        ("PackNumber", record.pack_number.into()),
        ("Scope", record.scope.to_string().into()),
        ("RootSha256", record.root_sha256.to_string().into()),
        ("PreviousRootSha256", record.previous_root_sha256.map(|root| root.to_string()).into()),
        ("Name", (&record.name).into()),
        ("Folder", (&record.folder).into()),
        ("PublishedAt", record.published_at.into()),
        ("ShipTo", record.ship_to.as_ref().into()),
        ("Columns", columns_json(&record.columns)?.into()),
        ("KnownRoot", record.remembers_content.then_some(&record.root_sha256.as_bytes()[..]).into()),
    ])
}

/// The path by which rows are ordered: of a type whose order is that of its bytes, or of keys.
fn path_column(columns: &[Column], name: &str) -> Result<Column> {
    let found = columns.iter().find(|column| column.name == name);
    let column = found.ok_or_else(|| Error::config("the slice table lacks the path column").column(name))?;
    match column.sql_type {
        SqlType::HierarchyId | SqlType::VarBinary(Some(_)) | SqlType::Binary(_) => Ok(column.clone()),
        sql_type if KeyType::of(sql_type).is_some() => Ok(column.clone()),
        other => Err(Error::config(format!("rows cannot be ordered by a path of the type {other}"))
            .column(name)
            .hint("a path is a hierarchyid, varbinary, binary, uniqueidentifier or integer")),
    }
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| Error::config("a row of BlobDeltaRunTable holds broken JSON").caused_by(error))
}

/// Where nobody had a transaction open, the run's start is what transactions reach back to.
fn report(engine: &mut Engine<'_>, run_id: Guid, table: &TableName) -> Result<TableReport> {
    let clock = config::config(engine, table)?.clock;
    let sql = Sql::new(TABLE_REPORT).with(run_id).with(table);
    let row = engine.db.client.unit(|client| client.row("read a table run", sql.clone()))?;
    let row = row.ok_or_else(|| Error::usage("this table run was not completed").hint("go on with --resume"))?;
    let fields = RowFields::of(&row);
    let started = ServerTime { utc: fields.must(11, RowFields::time)?, local: fields.must(12, RowFields::time)? };
    let has_looked = fields.must(9, RowFields::number)? == 0;
    let floor = has_looked.then_some(fields.time(10)?.unwrap_or(started.of(clock)));
    Ok(TableReport {
        table: table.clone(),
        window: Window { start: fields.must(0, RowFields::time)?, end: fields.must(1, RowFields::time)?, clock },
        goal: fields.must(13, RowFields::time)?,
        buffer_minutes: number_at(&fields, 2)?,
        active_transaction_floor: floor,
        scope: fields.guid(7)?.into(),
        watermark_before: fields.time(3)?,
        watermark_after: fields.must(4, RowFields::time)?,
        counts: from_json(fields.must(5, RowFields::text)?)?,
        new_business_units: fields.text(6)?.map_or(Ok(Vec::new()), from_json)?,
        completed_at: fields.must(8, RowFields::time)?,
    })
}
