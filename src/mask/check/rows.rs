//! Rows, side by side. A masked bundle has them in the order of its original.

use super::cells::{decides_nulls, may_be_equal};
use super::finding::{MaskCheck, MaskFinding, MaskProof};
use crate::bundle::{Bundle, FileInfo, FileRole, MaskedTable, TableInfo};
use crate::convert::BatchRows;
use crate::error::{Error, Result};
use crate::mask::MaskKind;
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::is_delta;
use crate::monitor::{Event, Monitor};
use crate::rows::{PartColumns, PartRows, TableRows};
use std::collections::VecDeque;

/// The masked table, and its original.
pub(super) type Pair<'b> = ((&'b Bundle, &'b TableInfo), (&'b Bundle, &'b TableInfo));

/// Goes through the rows of a table one by one.
struct RowCursor<'b> {
    source: TableRows<'b>,
    columns: PartColumns,
    files: VecDeque<&'b FileInfo>,
    reader: Option<PartRows>,
    batch: Option<(BatchRows, usize)>,
}

impl<'b> RowCursor<'b> {
    fn new((bundle, table): (&'b Bundle, &'b TableInfo), role: FileRole) -> Result<Self> {
        let source = TableRows { bundle, table };
        let (columns, files) = (PartColumns::all(table, role)?, table.files_of(role).collect());
        Ok(Self { source, columns, files, reader: None, batch: None })
    }

    /// The next row; nothing at the end.
    fn next(&mut self, monitor: &dyn Monitor) -> Result<Option<(&BatchRows, usize)>> {
        let goes_on = self.batch.as_mut().is_some_and(|(batch, row)| {
            *row += 1;
            *row < batch.rows()
        });
        if !goes_on {
            self.batch = None;
        }
        while self.batch.is_none() {
            monitor.check()?;
            let next = self.reader.as_mut().and_then(Iterator::next).transpose()?;
            match (next, self.files.pop_front()) {
                (Some(mut batch), file) => {
                    file.into_iter().for_each(|file| self.files.push_front(file));
                    self.source.supply_sizes(&mut batch)?;
                    self.batch = Some((batch, 0)).filter(|(batch, _)| batch.rows() > 0);
                }
                (None, Some(file)) => self.reader = Some(self.source.open(file, &self.columns, monitor)?),
                (None, None) => return Ok(None),
            }
        }
        Ok(self.batch.as_ref().map(|(batch, row)| (batch, *row)))
    }
}

/// Checks rows, tombstones and absent parents of a table.
pub(super) fn check(pair: Pair<'_>, masks: &MaskedTable, proof: &mut MaskProof, monitor: &dyn Monitor) -> Result<()> {
    for role in [FileRole::Rows, FileRole::Tombstones, FileRole::AbsentParents] {
        let (mut masked, mut original) = (RowCursor::new(pair.0, role)?, RowCursor::new(pair.1, role)?);
        let mut comparison: Option<Comparison<'_>> = None;
        loop {
            let (one, other) = (masked.next(monitor)?, original.next(monitor)?);
            proof.checked(MaskCheck::Rows, u64::from(other.is_some()));
            let (Some(one), Some(other)) = (one, other) else {
                if one.is_some() != other.is_some() {
                    let which = if one.is_some() { "more" } else { "fewer" };
                    let detail = format!("the masked bundle has {which} of these ({role:?}) than its original");
                    let table = pair.1.1.name.clone();
                    proof.found(MaskFinding { check: MaskCheck::Rows, table, column: None, key: None, detail });
                }
                break;
            };
            if comparison.is_none() {
                comparison = Some(Comparison::of(pair, (one.0, other.0), masks, role)?);
            }
            if let Some(comparison) = &comparison {
                comparison.row(one, other, proof)?;
            }
            monitor.event(Event::WorkDone { rows: 1, bytes: 0 });
        }
    }
    Ok(())
}

struct Comparison<'m> {
    table: &'m TableInfo,
    /// By column: the mask, if there is one, and whether it says where a row is.
    columns: Vec<(Option<MaskKind>, bool)>,
}

impl<'m> Comparison<'m> {
    fn of(
        ((_, masked), (original, table)): Pair<'m>,
        (one, other): (&BatchRows, &BatchRows),
        masks: &MaskedTable,
        role: FileRole,
    ) -> Result<Self> {
        let names = |batch: &BatchRows| {
            let columns = batch.plan().columns().iter();
            columns.map(|column| (column.name.clone(), column.sql_type)).collect::<Vec<_>>()
        };
        if names(one) != names(other) || masked.columns.len() != table.columns.len() {
            let text = "this is not the original of the masked bundle: they have other columns";
            return Err(Error::usage(text).table(&table.name).file(original.path()));
        }
        let mask = |name: &str| {
            let found = masks.columns.iter().find(|mask| mask.column == *name).filter(|_| role == FileRole::Rows);
            found.and_then(|mask| MaskKind::parse(&mask.mask))
        };
        let places = [Some(&table.key_column), table.path_column.as_ref(), table.parent_path_column.as_ref()];
        let is_place = |name: &String| is_delta(name) || places.contains(&Some(name)) || role != FileRole::Rows;
        let columns = other.plan().columns().iter().map(|column| (mask(&column.name), is_place(&column.name)));
        Ok(Self { table, columns: columns.collect() })
    }

    fn row(
        &self,
        (masked, masked_row): (&BatchRows, usize),
        (original, row): (&BatchRows, usize),
        proof: &mut MaskProof,
    ) -> Result<()> {
        for (column, (mask, is_place)) in self.columns.iter().enumerate() {
            let (was, is) = (original.cell(row, column)?, masked.cell(masked_row, column)?);
            let is_large = |cell: Cell<'_>| matches!(cell, Cell::Large(_));
            let is_equal = match is_large(was) && is_large(is) {
                true => original.blob_ref(row, column)? == masked.blob_ref(masked_row, column)?,
                false => was == is,
            };
            proof.checked(MaskCheck::Nulls, 1);
            if (was == Cell::Null) != (is == Cell::Null) && !decides_nulls(*mask) {
                proof.found(self.finding(MaskCheck::Nulls, original, (row, column), "one of the two is NULL")?);
                continue;
            }
            let (check, is_right, detail) = match (mask, is_place) {
                (None, true) => (MaskCheck::Rows, is_equal, "the two differ, and are structure"),
                (None, false) => (MaskCheck::Kept, is_equal, "the two differ, and the column is kept"),
                _ if was == Cell::Null => continue,
                (mask, _) => {
                    let may_be = may_be_equal(*mask, was) || is_at_an_end(*mask, was);
                    (MaskCheck::Masked, !is_equal || may_be, "the masked value is the original")
                }
            };
            proof.checked(check, u64::from(check != MaskCheck::Rows));
            if !is_right {
                proof.found(self.finding(check, original, (row, column), detail)?);
            }
        }
        Ok(())
    }

    fn finding(
        &self,
        check: MaskCheck,
        original: &BatchRows,
        (row, column): (usize, usize),
        detail: &str,
    ) -> Result<MaskFinding> {
        Ok(MaskFinding {
            check,
            table: self.table.name.clone(),
            column: original.plan().columns().get(column).map(|column| column.name.clone()),
            key: Some(self.table.shown_key(original.key(row)?).to_string()),
            detail: detail.to_owned(),
        })
    }
}

/// What a shift or noise cannot move: numbers whose type has no room, the first and last days.
fn is_at_an_end(mask: Option<MaskKind>, was: Cell<'_>) -> bool {
    use crate::model::time::{TICKS_PER_DAY, Timestamp};
    const DAYS: i64 = 36_500;
    let day = match was {
        Cell::Date(day) => day.into(),
        Cell::DateTime(at) | Cell::DateTimeOffset(at, _) => at.ticks() / TICKS_PER_DAY,
        Cell::Float(_) => return mask == Some(MaskKind::Number),
        _ => return false,
    };
    let last = Timestamp::MAX.ticks() / TICKS_PER_DAY;
    mask == Some(MaskKind::DateShift) && (day < DAYS || day > last - DAYS)
}
