//! [`Slices`] on a server.
//!
//! Every call that reads a slice asks first, on the session's own connection, whether fence and
//! marker are still the caller's (`usp_BlobDelta_PassSlice`); so rows of a slice that was taken in
//! between are never handed out, whatever a stream still holds of it.

use super::catalog;
use super::jobs::number_at;
use super::large::{self, Place};
use super::page::Reading;
use super::session::Session;
use super::sql::{Sql, Value, quote, quoted};
use super::values::Fields;
use crate::backend::jobs::BundleRecord;
use crate::backend::slices::{Slices, TableReport};
use crate::error::{Error, Result};
use crate::model::cell::CellSink;
use crate::model::clock::ServerTime;
use crate::model::column::{Column, DELTA_DEPTH};
use crate::model::digest::Sha256;
use crate::model::id::{Guid, KeyOrder};
use crate::model::name::TableName;
use crate::model::run::{AbsentParent, Fence, Scope};
use crate::model::slice::{Deletion, DeletionReason, ReadLimits, SliceMarker, SlicePosition, SliceState};
use crate::model::sqltype::SqlType;
use crate::model::table::{ChangedScript, TableConfig};
use crate::model::window::Window;
use serde::de::DeserializeOwned;
use std::io::Write;

impl Slices for Session {
    fn slice_marker(&mut self, table: &TableConfig) -> Result<SliceMarker> {
        self.cursor = None;
        self.marker(table)
    }

    fn slice_columns(&mut self, table: &TableConfig) -> Result<Vec<Column>> {
        if let Some(known) = self.columns.get(&table.target) {
            return Ok(known.clone());
        }
        let mut columns = self.columns_of_run(&table.target)?;
        let spelled = [Some(&table.key_column), table.path_column.as_ref(), table.parent_path_column.as_ref()];
        for name in spelled.into_iter().flatten() {
            if let Some(column) = columns.iter_mut().find(|column| column.name.eq_ignore_ascii_case(name)) {
                column.name.clone_from(name);
            }
        }
        self.columns.insert(table.target.clone(), columns.clone());
        Ok(columns)
    }

    fn changed_scripts(&mut self, table: &TableConfig) -> Result<Vec<ChangedScript>> {
        self.scripts_of_others(table)
    }

    fn key_order(&mut self) -> Result<KeyOrder> {
        Ok(self.abilities()?.key_order)
    }

    fn read_slice(
        &mut self,
        fence: &Fence,
        after: Option<&SlicePosition>,
        limits: ReadLimits,
        sink: &mut dyn CellSink,
    ) -> Result<Option<SlicePosition>> {
        let config = self.own_slice(fence)?;
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
            is_by_text: false,
            columns,
            inline_bytes: limits.inline_bytes,
        };
        self.read_page(reading, after, limits, sink).map_err(|error| placed(error, fence))
    }

    fn read_large(&mut self, fence: &Fence, key: Guid, column: &str, out: &mut dyn Write) -> Result<u64> {
        let at = |error: Error| placed(error, fence).key(key).column(column);
        let config = self.own_slice(fence)?;
        let columns = self.slice_columns(&config)?;
        let found = columns.iter().find(|found| found.name == column);
        let found = found.ok_or_else(|| at(Error::internal("the slice has no such column")))?;
        let place = Place::new(quoted(&config.target), (&config.key_column, key), column, found.sql_type);
        large::read(&mut self.client, &place, out).map_err(at)
    }

    fn read_deletions(&mut self, fence: &Fence, after: Option<Guid>, limit: u32) -> Result<Vec<Deletion>> {
        self.cursor = None;
        let config = self.own_slice(fence)?;
        let sql = Sql::new(format!(
            "SELECT TOP ({limit}) stream_id, DeletedOn, BusinessUnit, Reason FROM {}.dbo.BlobDeltaDeletion WHERE TableName = ",
            quote(&config.target.db)
        ));
        let sql = behind_key(sql.bind(&fence.table), after).then(" ORDER BY stream_id");
        let rows = self.client.unit(|client| client.rows("read the deletions", sql.clone()));
        rows.map_err(|error| placed(error, fence))?
            .iter()
            .map(|row| {
                let fields = Fields::of(row);
                let (key, deleted_on) = (fields.must(0, Fields::guid)?, fields.must(1, Fields::time)?);
                let reason = fields.must(3, Fields::text)?;
                let reason = DeletionReason::parse(reason)
                    .ok_or_else(|| Error::internal(format!("{reason:?} is no reason of a deletion")))?;
                Ok(Deletion { key, deleted_on, business_unit: fields.guid(2)?, reason })
            })
            .collect()
    }

    fn table_report(&mut self, run_id: Guid, table: &TableName) -> Result<TableReport> {
        self.cursor = None;
        self.report(run_id, table).map_err(|error| error.run(run_id).table(table))
    }

    fn table_errors(&mut self, run_id: Guid) -> Result<Vec<(TableName, String)>> {
        let sql = "SELECT TableName, LastError FROM dbo.BlobDeltaRunTable WHERE LastError IS NOT NULL AND RunId = ";
        self.list("read the failures of a run", sql, run_id, " ORDER BY TableName", |fields| {
            Ok((TableName::parse(fields.must(0, Fields::text)?)?, fields.must(1, Fields::text)?.to_owned()))
        })
    }

    fn absent_parents(&mut self, fence: &Fence, after: Option<Guid>, limit: u32) -> Result<Vec<AbsentParent>> {
        self.cursor = None;
        let config = self.own_slice(fence)?;
        if !config.is_tree() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new("EXEC dbo.usp_BlobDelta_AbsentParents @RunId = ").bind(fence.run_id);
        sql = sql.then(", @TableName = ").bind(&fence.table).then(", @LeaseEpoch = ").bind(fence.epoch);
        sql = sql.then(", @Limit = ").bind(limit);
        if let Some(after) = after {
            sql = sql.then(", @After = ").bind(after);
        }
        let rows = self.client.unit(|client| client.rows("list absent parents", sql.clone()));
        rows.map_err(|error| placed(error, fence))?
            .iter()
            .map(|row| {
                let fields = Fields::of(row);
                Ok(AbsentParent { child: fields.must(0, Fields::guid)?, parent: fields.guid(1)? })
            })
            .collect()
    }

    fn previous_root(&mut self, table: &TableName, scope: Scope, run_id: Guid) -> Result<Option<Sha256>> {
        // Of a bundle of this run its own, else the root of the scope's last.
        let own = "SELECT TOP (1) k.Root FROM (SELECT 0 AS Nr, BundleId, PreviousRootSha256 AS Root FROM dbo.BlobDeltaBundle WHERE RunId = ";
        let last = " UNION ALL SELECT 1, BundleId, RootSha256 FROM dbo.BlobDeltaBundle WHERE TableName = ";
        let sql = Sql::new(own).bind(run_id).then(" AND TableName = ").bind(table).then(last).bind(table);
        let sql = sql.then(" AND Scope = ").bind(scope.to_string()).then(") AS k ORDER BY k.Nr, k.BundleId DESC");
        let found = self.client.unit(|client| client.row("read the bundles of a table", sql.clone()));
        let Some(row) = found.map_err(|error| error.table(table))? else { return Ok(None) };
        Fields::of(&row).text(0)?.map(Sha256::parse).transpose()
    }

    fn record_bundle(&mut self, records: &[(Fence, BundleRecord)], keep_leases: bool) -> Result<Vec<TableName>> {
        self.cursor = None;
        // RequireBundle changes.
        records.iter().for_each(|(fence, _)| drop(self.known.remove(&fence.table)));
        self.disk().before_commit("record the bundle")?;
        self.client.transact("record the bundle", |client| {
            let (procedure, outputs) = ("dbo.usp_BlobDelta_RecordBundle", [("IsRequiredNow", "bit")]);
            let mut required = Vec::new();
            for (fence, record) in records {
                let mut inputs = inputs(fence, record);
                inputs.push(("KeepLease", keep_leases.into()));
                let recorded = client.call("record the bundle", procedure, inputs, &outputs);
                let row = recorded.map_err(|error| placed(error, fence))?;
                if row.is_some_and(|row| Fields::of(&row).number(0).is_ok_and(|bit| bit == Some(1))) {
                    required.push(fence.table.clone());
                }
            }
            Ok(required)
        })
    }

    fn give_up(&mut self, fence: &Fence) -> Result<()> {
        self.cursor = None;
        let doing = "give up the slice";
        self.disk().before_commit(doing)?;
        let given_up = self.client.unit(|client| {
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

fn placed(error: Error, fence: &Fence) -> Error {
    error.run(fence.run_id).table(&fence.table)
}

/// What `usp_BlobDelta_RecordBundle` takes.
fn inputs<'a>(fence: &'a Fence, record: &'a BundleRecord) -> Vec<(&'static str, Value<'a>)> {
    vec![
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
    ]
}

fn behind_key(sql: Sql<'_>, after: Option<Guid>) -> Sql<'_> {
    match after {
        Some(after) => sql.then(" AND stream_id > ").bind(after),
        None => sql,
    }
}

/// The path by which rows are ordered: of a type whose order is that of its bytes, or of keys.
fn path_column(columns: &[Column], name: &str) -> Result<Column> {
    let found = columns.iter().find(|column| column.name == name);
    let column = found.ok_or_else(|| Error::config("the slice table lacks the path column").column(name))?;
    match column.sql_type {
        SqlType::HierarchyId | SqlType::VarBinary(Some(_)) | SqlType::Binary(_) | SqlType::UniqueIdentifier => {
            Ok(column.clone())
        }
        other => Err(Error::config(format!("rows cannot be ordered by a path of the type {other}"))
            .column(name)
            .hint("a path is a hierarchyid, varbinary, binary or uniqueidentifier")),
    }
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| Error::config("a row of BlobDeltaRunTable holds broken JSON").caused_by(error))
}

impl Session {
    /// Rules 8 and 9: fence and marker are the caller's, and the slice is complete. Asked for each page, so it is
    /// one statement; the procedure, which renews the lease as well, says what is wrong where one is.
    fn own_slice(&mut self, fence: &Fence) -> Result<TableConfig> {
        let config = self.config(&fence.table)?;
        let sql = Sql::new("SELECT COUNT(*) FROM dbo.BlobDeltaHighWatermark AS h, ")
            .then(&quote(&config.target.db))
            .then(
                ".dbo.BlobDeltaSlice AS s WHERE h.IsRunning = 1 AND s.State IN (N'Complete', N'Packed') AND s.RunId = ",
            )
            .bind(fence.run_id)
            .then(" AND s.TargetTable = ")
            .bind(&config.target.table)
            .then(" AND h.LeaseRunId = @P1 AND h.TableName = ")
            .bind(&fence.table)
            .then(" AND h.LeaseEpoch = ")
            .bind(fence.epoch);
        let asked = self.client.unit(|client| client.row("check the lease and the slice", sql.clone()));
        if let Ok(Some(row)) = &asked
            && Fields::of(row).number(0)? == Some(1)
        {
            return Ok(config);
        }
        let passed = self.client.unit(|client| {
            let inputs = vec![
                ("RunId", fence.run_id.into()),
                ("TableName", (&fence.table).into()),
                ("LeaseEpoch", fence.epoch.into()),
            ];
            client.call("check the lease and the slice", "dbo.usp_BlobDelta_PassSlice", inputs, &[])
        });
        if let Err(error) = passed {
            self.cursor = None;
            return Err(placed(error, fence));
        }
        Ok(config)
    }

    /// The marker row; without one a table may be anybody's.
    fn marker(&mut self, table: &TableConfig) -> Result<SliceMarker> {
        let unmarked = |hint: &str| {
            Error::config(format!("the slice table {} has no marker row, so nothing was deleted from it", table.target))
                .table(&table.name)
                .hint(hint)
        };
        let markers = TableName::new(&table.target.db, "dbo", "BlobDeltaSlice")?;
        let sql = format!("SELECT RunId, WindowStart, WindowEnd, Scope, State FROM {}", quoted(&markers));
        let sql = Sql::new(sql).then(" WHERE TargetTable = ").bind(&table.target.table);
        let sql = sql.then(" AND OBJECT_ID(").bind(quoted(&table.target)).then(") IS NOT NULL");
        // Asked for at once, because there nearly always is one; the catalog says why where there is none.
        let asked = self.client.unit(|client| client.row("read the marker row", sql.clone()));
        let row = match asked {
            Ok(Some(row)) => row,
            asked => {
                catalog::resolve(&mut self.client, &table.target).map_err(|error| error.table(&table.name))?;
                if !catalog::has_table(&mut self.client, &markers)? {
                    return Err(unmarked("run deploy, which marks empty slices"));
                }
                asked?.ok_or_else(|| unmarked("if its rows can go, empty the table, then run deploy"))?
            }
        };
        let fields = Fields::of(&row);
        let state = SliceState::parse(fields.must(4, Fields::text)?);
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
            state: state.ok_or_else(|| unmarked("its state is not one that is known"))?,
        })
    }

    /// Where nobody had a transaction open, the run's start is what transactions reach back to.
    fn report(&mut self, run_id: Guid, table: &TableName) -> Result<TableReport> {
        let clock = self.config(table)?.clock;
        let sql = Sql::new(
            "SELECT t.WindowStart, t.WindowEnd, t.BufferMinutes, t.WatermarkBefore, t.WatermarkAfter, t.Counts,
                 t.NewBusinessUnits, r.BusinessUnitId, t.CompletedAt, t.LagOnly, t.ActiveTransactionFloor,
                 r.RunStartedAt, r.RunStartedAtLocal
             FROM dbo.BlobDeltaRunTable AS t INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
             WHERE t.Status = N'Completed' AND t.RunId = ",
        )
        .bind(run_id)
        .then(" AND t.TableName = ")
        .bind(table);
        let row = self.client.unit(|client| client.row("read a table run", sql.clone()))?;
        let row = row.ok_or_else(|| Error::usage("this table run was not completed").hint("go on with --resume"))?;
        let fields = Fields::of(&row);
        let started = ServerTime { utc: fields.must(11, Fields::time)?, local: fields.must(12, Fields::time)? };
        let has_looked = fields.must(9, Fields::number)? == 0;
        let floor = has_looked.then_some(fields.time(10)?.unwrap_or(started.of(clock)));
        Ok(TableReport {
            table: table.clone(),
            window: Window { start: fields.must(0, Fields::time)?, end: fields.must(1, Fields::time)?, clock },
            buffer_minutes: number_at(&fields, 2)?,
            active_transaction_floor: floor,
            scope: fields.guid(7)?.into(),
            watermark_before: fields.time(3)?,
            watermark_after: fields.must(4, Fields::time)?,
            counts: from_json(fields.must(5, Fields::text)?)?,
            new_business_units: fields.text(6)?.map_or(Ok(Vec::new()), from_json)?,
            completed_at: fields.must(8, Fields::time)?,
        })
    }
}
