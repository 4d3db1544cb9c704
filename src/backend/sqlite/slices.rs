//! [`Slices`] on the embedded instance.

use super::database::Database;
use super::engine::Engine;
use super::errors::failed;
use super::key_id::{self, KeyValue, RowKey};
use super::sql::{from_json, quote};
use super::{catalog, content, give_up, large, lease, marker, template, types};
use crate::backend::content::{ComingValue, KnownValue};
use crate::backend::jobs::BundleRecord;
use crate::backend::slices::{PreviousBundle, Slices, TableReport, columns_json};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, CellSink};
use crate::model::column::Column;
use crate::model::id::{Guid, KeyOrder};
use crate::model::key::KeyType;
use crate::model::name::TableName;
use crate::model::run::{AbsentParent, Fence, Scope};
use crate::model::slice::{Deletion, ReadLimits, SliceMarker, SlicePosition, SliceState};
use crate::model::table::{ChangedScript, TableConfig};
use crate::model::time::Timestamp;
use crate::model::window::Window;
use crate::scripts::statement::statement;
use rusqlite::types::{Value, ValueRef};
use std::io::Write;

const SQL: &str = include_str!("../../../sql/sqlite/slices.sql");
const SLICE_DELETIONS: &str = statement(SQL, "slice_deletions");
const TABLE_REPORT: &str = statement(SQL, "table_report");
const TABLE_ERRORS: &str = statement(SQL, "table_errors");
const ABSENT_PARENTS: &str = statement(SQL, "absent_parents");
const PREVIOUS_BUNDLE: &str = statement(SQL, "previous_bundle");
const INSERT_BUNDLE: &str = statement(SQL, "insert_bundle");

const READABLE: [SliceState; 2] = [SliceState::Complete, SliceState::Packed];

impl Slices for Engine<'_> {
    fn slice_marker(&mut self, table: &TableConfig) -> Result<SliceMarker> {
        marker::marker(self.db, table)
    }

    fn slice_columns(&mut self, table: &TableConfig) -> Result<Vec<Column>> {
        catalog::slice_columns(self.db, table)
    }

    fn changed_scripts(&mut self, table: &TableConfig) -> Result<Vec<ChangedScript>> {
        template::scripts_of_others(self.db, table)
    }

    fn key_order(&mut self) -> Result<KeyOrder> {
        Ok(KeyOrder::Rfc)
    }

    fn read_slice(
        &mut self,
        fence: &Fence,
        after: Option<&SlicePosition>,
        limits: ReadLimits,
        sink: &mut dyn CellSink,
    ) -> Result<Option<SlicePosition>> {
        let prepared = self.state.prepared.of(self.db, &fence.table)?;
        marker::own_slice(self.db, &prepared.config, fence, &READABLE)?;
        let columns = catalog::slice_columns(self.db, &prepared.config)?;
        let sql = page_sql(&prepared.config, &prepared.target()?, &columns, after.is_some());
        let key_type = prepared.config.key_type;
        let broken = |error| failed("read the slice", error).table(&fence.table);
        let mut statement = self.db.cached(&sql).map_err(broken)?;
        let inline = i64::try_from(limits.inline_bytes).unwrap_or(i64::MAX);
        statement.raw_bind_parameter(1, inline).map_err(broken)?;
        statement.raw_bind_parameter(2, limits.rows).map_err(broken)?;
        if let Some(after) = after {
            statement.raw_bind_parameter(3, after.depth).map_err(broken)?;
            statement.raw_bind_parameter(4, KeyValue(key_type, after.key)).map_err(broken)?;
            if prepared.config.path_column.is_some() {
                statement.raw_bind_parameter(5, path_value(&columns, &prepared.config, &after.path)).map_err(broken)?;
            }
        }
        let mut rows = statement.raw_query();
        let (mut last, mut bytes) = (None, 0);
        while let Some(row) = rows.next().map_err(broken)? {
            let position = SlicePosition {
                depth: row.get(0).map_err(broken)?,
                path: path_bytes(row.get_ref(1).map_err(broken)?),
                key: read_key(row, 2, key_type).map_err(broken)?,
            };
            bytes += give_row(row, &columns, sink)
                .map_err(|error| error.table(&fence.table).key(key_type.shown(position.key)))?;
            last = Some(position);
            if bytes >= limits.bytes {
                break;
            }
        }
        Ok(last)
    }

    fn read_large(&mut self, fence: &Fence, key: Guid, column: &str, out: &mut dyn Write) -> Result<u64> {
        let prepared = self.state.prepared.of(self.db, &fence.table)?;
        marker::own_slice(self.db, &prepared.config, fence, &READABLE)?;
        let config = &prepared.config;
        let key = RowKey::new(&config.key_column, config.key_type, key);
        large::copy_value(self.db, &config.target, key, column, out).map_err(|error| error.table(&fence.table))
    }

    fn read_deletions(&mut self, fence: &Fence, after: Option<Guid>, limit: u32) -> Result<Vec<Deletion>> {
        let prepared = self.state.prepared.of(self.db, &fence.table)?;
        marker::own_slice(self.db, &prepared.config, fence, &READABLE)?;
        let sql = prepared.placeholders.fill("read the deletions of a slice", SLICE_DELETIONS)?;
        self.db.query_all(&sql, (&fence.table, after_key(after), limit), |row| {
            Ok(Deletion { key: row.get(0)?, deleted_on: row.get(1)?, business_unit: row.get(2)?, reason: row.get(3)? })
        })
    }

    fn table_report(&mut self, run_id: Guid, table: &TableName) -> Result<TableReport> {
        let clock = self.state.prepared.of(self.db, table)?.config.clock;
        let found = self.db.query_optional(TABLE_REPORT, (run_id, table), |row| {
            let times: (Timestamp, Timestamp, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let watermarks: (Option<Timestamp>, Timestamp) = (row.get(3)?, row.get(4)?);
            let texts: (String, String) = (row.get(5)?, row.get(6)?);
            let ends: (Option<Guid>, Timestamp, Timestamp) = (row.get(7)?, row.get(8)?, row.get(9)?);
            Ok((times, watermarks, texts, ends))
        })?;
        let Some(((start, end, buffer_minutes), watermarks, texts, ends)) = found else {
            return Err(Error::usage("this table run was not completed")
                .run(run_id)
                .table(table)
                .hint("go on with --resume"));
        };
        Ok(TableReport {
            table: table.clone(),
            window: Window { start, end, clock },
            goal: ends.2,
            buffer_minutes,
            active_transaction_floor: None,
            scope: ends.0.into(),
            watermark_before: watermarks.0,
            watermark_after: watermarks.1,
            counts: from_json(&texts.0)?,
            new_business_units: from_json(&texts.1)?,
            completed_at: ends.1,
        })
    }

    fn table_errors(&mut self, run_id: Guid) -> Result<Vec<(TableName, String)>> {
        self.db.query_all(TABLE_ERRORS, [run_id], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn absent_parents(&mut self, fence: &Fence, after: Option<Guid>, limit: u32) -> Result<Vec<AbsentParent>> {
        let prepared = self.state.prepared.of(self.db, &fence.table)?;
        if !prepared.config.is_tree() {
            return Ok(Vec::new());
        }
        marker::own_slice(self.db, &prepared.config, fence, &READABLE)?;
        let sql = prepared.placeholders.fill("absent_parents", ABSENT_PARENTS)?;
        let parameters = vec![("@After", Value::Blob(after_key(after))), ("@Limit", Value::Integer(limit.into()))];
        let mut statement = template::prepare_script(self.db, "absent_parents", &sql, &parameters)?;
        let mut rows = statement.raw_query();
        let broken = |error| failed("list absent parents", error).table(&fence.table);
        let mut absent = Vec::new();
        while let Some(row) = rows.next().map_err(broken)? {
            absent.push(AbsentParent { child: row.get(0).map_err(broken)?, parent: row.get(1).map_err(broken)? });
        }
        Ok(absent)
    }

    fn previous_bundle(&mut self, table: &TableName, scope: Scope, run_id: Guid) -> Result<Option<PreviousBundle>> {
        // Of a bundle of this run its own, else the root of the scope's last.
        let found: Option<(Option<String>, Option<String>)> =
            self.db.query_optional(PREVIOUS_BUNDLE, (run_id, table, scope.to_string()), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let Some((Some(root), columns)) = found else { return Ok(None) };
        PreviousBundle::read(&root, columns.as_deref()).map(Some)
    }

    fn record_bundle(&mut self, records: &[(Fence, BundleRecord)], keep_leases: bool) -> Result<Vec<TableName>> {
        let prepared: Vec<_> =
            records.iter().map(|(fence, _)| self.state.prepared.of(self.db, &fence.table)).collect::<Result<_>>()?;
        let lease = self.state.lease;
        self.db.transact("record the bundle", |db| {
            let mut required = Vec::new();
            for ((fence, record), prepared) in records.iter().zip(&prepared) {
                lease.check_fence(db, fence)?;
                marker::own_slice(db, &prepared.config, fence, &[SliceState::Complete])?;
                required.extend(record_table(db, &prepared.config, record)?);
                if !keep_leases {
                    lease::release(db, fence)?;
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
        give_up::give_slice_up(self, fence)
    }
}

/// Gives the table if its `RequireBundle` was set by this.
fn record_table(db: &Database, table: &TableConfig, record: &BundleRecord) -> Result<Option<TableName>> {
    db.execute(
        INSERT_BUNDLE,
        (
            record.run_id,
            &record.table,
            record.pack_number,
            record.scope.to_string(),
            record.root_sha256.to_string(),
            record.previous_root_sha256.map(|root| root.to_string()),
            &record.name,
            &record.folder,
            record.published_at,
            &record.ship_to,
            columns_json(&record.columns)?,
        ),
    )?;
    db.execute(
        "UPDATE BlobDeltaRunTable SET PackNumber = ?3 WHERE RunId = ?1 AND TableName = ?2",
        (record.run_id, &record.table, record.pack_number),
    )?;
    content::settle(db, record)?;
    let schema = db.schema_of(&table.target.db);
    let packed = format!("UPDATE {schema}.BlobDeltaSlice SET State = 'Packed' WHERE TargetTable = ?1");
    db.execute(&packed, [&table.target.table])?;
    let require = "UPDATE BlobDeltaTableConfig SET RequireBundle = 1 WHERE TableName = ?1 AND RequireBundle IS NULL";
    let required = db.execute(require, [&table.name])?;
    Ok((required > 0).then(|| table.name.clone()))
}

/// No key is less than this, and SQLite holds an empty blob to be less than every other.
/// The id of a row's key.
fn read_key(row: &rusqlite::Row<'_>, at: usize, key_type: KeyType) -> rusqlite::Result<Guid> {
    let key = row.get_ref(at)?;
    let wrong = || rusqlite::Error::InvalidColumnType(at, "the key".to_owned(), key.data_type());
    key_id::id_of(key_type, key).ok_or_else(wrong)
}

/// A path as a position has it: of a tree by integers the eight bytes of one.
fn path_bytes(path: ValueRef<'_>) -> Vec<u8> {
    match path {
        ValueRef::Integer(path) => path.to_be_bytes().to_vec(),
        path => path.as_blob().unwrap_or_default().to_vec(),
    }
}

/// A path of [`path_bytes`] as the slice has it.
fn path_value(columns: &[Column], config: &TableConfig, path: &[u8]) -> Value {
    let column = columns.iter().find(|column| Some(&column.name) == config.path_column.as_ref());
    let of_keys = column.and_then(|column| KeyType::of(column.sql_type));
    match (of_keys, path.try_into().map(i64::from_be_bytes)) {
        (Some(KeyType::Integer), Ok(path)) => Value::Integer(path),
        (Some(KeyType::Integer), Err(_)) | (Some(KeyType::UniqueIdentifier | KeyType::Binary(_)) | None, _) => {
            Value::Blob(path.to_vec())
        }
    }
}

fn after_key(after: Option<Guid>) -> Vec<u8> {
    after.map_or_else(Vec::new, |key| key.as_bytes().to_vec())
}

/// One page in the order of rule 13. A large column gives its bytes, and itself up to the limit.
fn page_sql(table: &TableConfig, target: &str, columns: &[Column], has_after: bool) -> String {
    let key = quote(&table.key_column);
    let path = table.path_column.as_deref().map(quote);
    let mut cells = Vec::new();
    for column in columns {
        let name = quote(&column.name);
        if column.sql_type.is_large() {
            cells.push(format!("octet_length(t.{name})"));
            cells.push(format!("CASE WHEN octet_length(t.{name}) <= ?1 THEN t.{name} END"));
        } else {
            cells.push(format!("t.{name}"));
        }
    }
    let (order, bound) = match &path {
        Some(path) => (format!("t.DeltaDepth, t.{path}, t.{key}"), "?3, ?5, ?4"),
        None => (format!("t.DeltaDepth, t.{key}"), "?3, ?4"),
    };
    let after = if has_after { format!("WHERE ({order}) > ({bound})") } else { String::new() };
    let path = path.map_or("NULL".to_owned(), |path| format!("t.{path}"));
    format!(
        "SELECT t.DeltaDepth, {path}, t.{key}, {} FROM {target} AS t {after} ORDER BY {order} LIMIT ?2",
        cells.join(", ")
    )
}

/// Gives one row's cells to the sink; returns its bytes, large values that were not read not counted.
fn give_row(row: &rusqlite::Row<'_>, columns: &[Column], sink: &mut dyn CellSink) -> Result<u64> {
    let broken = |error| failed("read a value", error);
    let (mut at, mut bytes) = (3, 0);
    for (index, column) in columns.iter().enumerate() {
        let mut large = None;
        if column.sql_type.is_large() {
            large = row.get::<_, Option<u64>>(at).map_err(broken)?;
            at += 1;
        }
        let value = row.get_ref(at).map_err(broken)?;
        at += 1;
        bytes += match value {
            ValueRef::Text(text) => text.len() as u64,
            ValueRef::Blob(blob) => blob.len() as u64,
            _ => 8,
        };
        let cell = match (large, value) {
            (Some(length), ValueRef::Null) => Cell::Large(length),
            _ => types::cell_of(column.sql_type, value).map_err(|error| error.column(&column.name))?,
        };
        sink.cell(index, cell).map_err(|error| error.column(&column.name))?;
    }
    sink.end_row()?;
    Ok(bytes)
}
