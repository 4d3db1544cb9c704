//! Readings of many rows in order: their statements, and where one stands.

use super::key_id::{id_at, key_value};
use super::readers::ParallelReaders;
use super::sql::{Sql, SqlParameter, quote};
use super::values::{RowFields, cell_of, is_text, measured, of, selected, selected_variant, variant_of};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, CellSink};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::key::KeyType;
use crate::model::slice::SlicePosition;
use crate::model::sqltype::SqlType;
use std::borrow::Cow;
use tiberius::{ColumnData, Row};

/// Stands for a position where none is compared with.
const NOWHERE: SlicePosition = SlicePosition { depth: 0, path: Vec::new(), key: Guid::from_bytes([0; 16]) };

/// What is read: equal readings may go on from one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// What the reader does, for errors.
    pub(super) doing: &'static str,
    /// The table, quoted; its alias is `t`.
    pub(super) table: String,
    /// Who reads, where that matters.
    pub(super) fence: Option<(Guid, i64)>,
    /// `DeltaDepth`, if the order begins with it.
    pub(super) depth: Option<String>,
    /// The path, if it comes next.
    pub(super) path: Option<Column>,
    /// The key.
    pub(super) key: String,
    /// What the keys are.
    pub(super) key_type: KeyType,
    /// Whether keys come as their texts sort, and not as the server sorts them.
    pub(super) is_by_text: bool,
    /// What is selected.
    pub(super) columns: Vec<Column>,
    /// Values over so many bytes are measured alone.
    pub(super) inline_bytes: u64,
}

/// Stands behind the last row that was handed out.
pub(super) struct Cursor {
    pub(super) reading: Reading,
    pub(super) at: SlicePosition,
    /// `None` behind the last row of all: who asks for more is told so without asking the server again.
    pub(super) rows: Option<ParallelReaders>,
}

/// One level of the order: an expression, and the value of it behind which rows are wanted.
struct OrderLevel {
    expression: String,
    value: ColumnData<'static>,
    /// Whether the value has to be made a hierarchyid.
    is_hierarchy: bool,
}

impl Reading {
    /// Rows behind a position, in order. The first three columns are the position. Of several readers
    /// it is the share of the `nth`, which begins with the `nth` row.
    pub(super) fn statement(&self, after: Option<&SlicePosition>, (nth, readers): (usize, usize)) -> Sql<'static> {
        let depth = self
            .depth
            .as_deref()
            .map_or("CONVERT(bigint, 0)".to_owned(), |depth| format!("CONVERT(bigint, {})", of("t", depth)));
        let path = match &self.path {
            None => "NULL".to_owned(),
            Some(path) => match KeyType::of(path.sql_type) {
                Some(KeyType::UniqueIdentifier | KeyType::Integer) => of("t", &path.name),
                Some(KeyType::Binary(_)) | None => format!("CONVERT(varbinary(892), {})", of("t", &path.name)),
            },
        };
        let cells: Vec<String> = self.columns.iter().map(|column| self.selected(column)).collect();
        let key = of("t", &self.key);
        let levels = self.levels(after.unwrap_or(&NOWHERE));
        let order: Vec<&str> = levels.iter().map(|level| level.expression.as_str()).collect();
        let order = order.join(", ");
        let list = cells.join(", ");
        let comma = if list.is_empty() { "" } else { ", " };
        let select = format!("SELECT {depth}, {path}, {key}{comma}{list} FROM ");
        let turn = quote(&self.unused_name());
        let mut sql = Sql::new(match readers {
            1 => format!("{select}{} AS t", self.table),
            _ => {
                format!("{select}(SELECT t.*, ROW_NUMBER() OVER (ORDER BY {order}) AS {turn} FROM {} AS t", self.table)
            }
        });
        if after.is_some() {
            sql.push_text(" WHERE ");
            behind(&mut sql, &levels);
        }
        let sql = match readers {
            1 => sql.then(&format!(" ORDER BY {order}")),
            _ => sql.then(&format!(") AS t WHERE t.{turn} % {readers} = {} ORDER BY t.{turn}", (nth + 1) % readers)),
        };
        // The index of the order, whose rows come at once, and no sort with memory for the largest value of each column.
        sql.then(" OPTION (FAST 100)")
    }

    /// The name of a column that the table does not have.
    fn unused_name(&self) -> String {
        let mut name = "Turn".to_owned();
        while self.columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name)) {
            name.push('_');
        }
        name
    }

    /// The order, outermost first. Servers compare binaries as if the shorter one ended in zeros,
    /// so their length decides between such two.
    fn levels(&self, at: &SlicePosition) -> Vec<OrderLevel> {
        let level = |expression, value| OrderLevel { expression, value, is_hierarchy: false };
        let guid = |key: Guid| ColumnData::Guid(Some(uuid::Uuid::from_bytes(*key.as_bytes())));
        let mut levels = Vec::new();
        if let Some(depth) = &self.depth {
            levels.push(level(of("t", depth), ColumnData::I64(Some(at.depth))));
        }
        if let Some(path) = &self.path {
            let name = of("t", &path.name);
            let bytes = ColumnData::Binary(Some(Cow::Owned(at.path.clone())));
            match (KeyType::of(path.sql_type), path.sql_type) {
                (Some(KeyType::UniqueIdentifier), _) => levels.push(level(name, guid(guid_of(&at.path)))),
                (Some(KeyType::Integer), _) => levels.push(level(name, ColumnData::I64(Some(integer_of(&at.path))))),
                (Some(KeyType::Binary(_)) | None, SqlType::HierarchyId) if !path.nullable => {
                    levels.push(OrderLevel { expression: name, value: bytes, is_hierarchy: true });
                }
                (Some(KeyType::Binary(_)) | None, _) => {
                    let name =
                        if path.nullable { format!("ISNULL(CONVERT(varbinary(892), {name}), 0x)") } else { name };
                    let length = i64::try_from(at.path.len()).unwrap_or(i64::MAX);
                    levels.push(level(name.clone(), bytes));
                    levels.push(level(format!("DATALENGTH({name})"), ColumnData::I64(Some(length))));
                }
            }
        }
        let key = of("t", &self.key);
        match self.key_type {
            KeyType::UniqueIdentifier if self.is_by_text => {
                let text = ColumnData::String(Some(Cow::Owned(at.key.to_string().to_uppercase())));
                levels.push(level(format!("CONVERT(char(36), {key})"), text));
            }
            KeyType::UniqueIdentifier | KeyType::Integer | KeyType::Binary(_) => {
                levels.push(level(key, key_value(self.key_type, at.key)));
            }
        }
        levels
    }

    /// The units that are read of a text at most: one that has more has more bytes of UTF-8 too.
    fn selected(&self, column: &Column) -> String {
        let name = of("t", &column.name);
        if column.sql_type == SqlType::Variant {
            return selected_variant(&name);
        }
        let value = selected(column.sql_type, &name);
        if !column.sql_type.is_large() {
            return value;
        }
        let most = if is_text(column.sql_type) { self.inline_bytes.saturating_mul(2) } else { self.inline_bytes };
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let length = measured(column.sql_type, &name);
        let kept = format!("CASE WHEN {length} <= {most} THEN {value} END");
        // Said again outside, because there are servers where a CASE makes varchar of nvarchar.
        let kept = if is_text(column.sql_type) { format!("CONVERT(nvarchar(max), {kept})") } else { kept };
        format!("{length}, {kept}")
    }

    pub(super) fn position(&self, row: &Row) -> Result<SlicePosition> {
        let fields = RowFields::of(row);
        let path = match self.path.as_ref().map(|path| KeyType::of(path.sql_type)) {
            None => None,
            Some(Some(KeyType::UniqueIdentifier)) => fields.guid(1)?.map(|path| path.as_bytes().to_vec()),
            Some(Some(KeyType::Integer)) => fields.number(1)?.map(|path| path.to_be_bytes().to_vec()),
            Some(Some(KeyType::Binary(_)) | None) => fields.bytes(1)?.map(<[u8]>::to_vec),
        };
        let path = path.unwrap_or_default();
        Ok(SlicePosition { depth: fields.must(0, RowFields::number)?, path, key: id_at(&fields, 2, self.key_type)? })
    }

    /// Gives one row; returns about how many bytes it has. `measure` gives the bytes of a text
    /// that was not read, because the server counts others.
    pub(super) fn give(
        &self,
        row: &Row,
        measure: &mut dyn FnMut(&Column) -> Result<u64>,
        sink: &mut dyn CellSink,
    ) -> Result<u64> {
        let fields = RowFields::of(row);
        let (mut at, mut bytes) = (3, 0);
        for (index, column) in self.columns.iter().enumerate() {
            let placed = |error: Error| error.column(&column.name);
            if column.sql_type == SqlType::Variant {
                let variant = variant_of(&fields, at).map_err(placed)?;
                at += 3;
                bytes += variant.as_ref().map_or(8, |text| text.len() as u64);
                sink.cell(index, variant.as_deref().map_or(Cell::Null, Cell::Text)).map_err(placed)?;
                continue;
            }
            let mut length = None;
            if column.sql_type.is_large() {
                length = fields.number(at)?;
                at += 1;
            }
            let cell = cell_of(column.sql_type, fields.data(at)?).map_err(placed)?;
            at += 1;
            let cell = match (cell, length) {
                (Cell::Text(text), Some(_)) if text.len() as u64 > self.inline_bytes => Cell::Large(text.len() as u64),
                (Cell::Null, Some(_)) if is_text(column.sql_type) => Cell::Large(measure(column).map_err(placed)?),
                (Cell::Null, Some(length)) => Cell::Large(length.unsigned_abs()),
                (cell, _) => cell,
            };
            bytes += match cell {
                Cell::Text(text) => text.len() as u64,
                Cell::Bytes(bytes) => bytes.len() as u64,
                _ => 8,
            };
            sink.cell(index, cell).map_err(placed)?;
        }
        sink.end_row()?;
        Ok(bytes)
    }
}

/// `> (a, b, c)`, written out, because not every server compares rows of values.
fn behind(sql: &mut Sql<'static>, levels: &[OrderLevel]) {
    for (nth, level) in levels.iter().enumerate() {
        let (open, close) = if level.is_hierarchy { ("CONVERT(hierarchyid, ", ")") } else { ("", "") };
        let compare = |sql: &mut Sql<'static>, operator: &str| {
            sql.push_text(&format!("({} {operator} {open}", level.expression));
            sql.push(SqlParameter(Some(level.value.clone())));
            sql.push_text(close);
        };
        compare(sql, ">");
        if nth + 1 < levels.len() {
            sql.push_text(" OR ");
            compare(sql, "=");
            sql.push_text(" AND ");
        }
    }
    sql.push_text(&")".repeat(2 * levels.len() - 1));
}

fn integer_of(bytes: &[u8]) -> i64 {
    i64::from_be_bytes(bytes.try_into().unwrap_or_default())
}

fn guid_of(bytes: &[u8]) -> Guid {
    Guid::from_bytes(bytes.try_into().unwrap_or_default())
}
