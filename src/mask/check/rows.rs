//! Rows, side by side. Those of the original come in the order of the masked bundle.

use super::cells::{decides_nulls, may_be_equal};
use super::finding::{MaskCheck, MaskFinding, MaskProof};
use super::keys::{KeyRelation, PlaceMasks};
use super::pair::Pair;
use crate::bundle::{Bundle, FileInfo, FileRole, MaskedTable, TableInfo};
use crate::convert::BatchRows;
use crate::error::{Error, Result};
use crate::mask::MaskKind;
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::is_delta;
use crate::model::memory::Memory;
use crate::monitor::{Event, Monitor};
use crate::rows::{PartColumns, PartRows, RowSorter, SortMemory, TableRows};
use arrow::array::RecordBatch;
use std::collections::VecDeque;

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
pub(super) fn check(
    pair: Pair<'_>,
    (masks, places): (&MaskedTable, &PlaceMasks<'_>),
    (relation, memory): (&mut KeyRelation, Memory),
    proof: &mut MaskProof,
    monitor: &dyn Monitor,
) -> Result<()> {
    let (bundle, table) = pair.1;
    let source = TableRows { bundle, table };
    for role in [FileRole::Rows, FileRole::Tombstones, FileRole::AbsentParents] {
        let columns = PartColumns::all(table, role)?;
        let mut sorter = RowSorter::new(places.within(role), SortMemory::of(memory.databases() / 2));
        let mut side_by_side = SideBySide {
            pair,
            masks,
            places,
            relation,
            proof,
            role,
            masked: RowCursor::new(pair.0, role)?,
            comparison: None,
            monitor,
        };
        let mut take = |batch: RecordBatch| side_by_side.batch(BatchRows::new(columns.plan.clone(), batch)?);
        source.each(role, &columns, monitor, |rows| {
            sorter.push(rows.batch().clone(), |row| places.place(&rows, row, role), &mut take)
        })?;
        sorter.finish(&mut take)?;
        side_by_side.finish()?;
    }
    Ok(())
}

/// The rows of one role, of the original as they come, and of the masked bundle.
struct SideBySide<'a, 'b> {
    pair: Pair<'b>,
    masks: &'a MaskedTable,
    places: &'a PlaceMasks<'b>,
    relation: &'a mut KeyRelation,
    proof: &'a mut MaskProof,
    role: FileRole,
    masked: RowCursor<'b>,
    comparison: Option<Comparison<'a>>,
    monitor: &'a dyn Monitor,
}

impl SideBySide<'_, '_> {
    /// Takes the next rows of the original, in the order of the masked bundle.
    fn batch(&mut self, mut original: BatchRows) -> Result<()> {
        let (bundle, table) = self.pair.1;
        TableRows { bundle, table }.supply_sizes(&mut original)?;
        for row in 0..original.rows() {
            self.proof.checked(MaskCheck::Rows, 1);
            let Some((masked, masked_row)) = self.masked.next(self.monitor)? else {
                self.other_count("fewer");
                continue;
            };
            if self.comparison.is_none() {
                let batches = (masked, &original);
                self.comparison = Some(Comparison::of(self.pair, batches, (self.masks, self.places), self.role)?);
            }
            if let Some(comparison) = &self.comparison {
                comparison.row((masked, masked_row), (&original, row), self.relation, self.proof)?;
            }
        }
        self.monitor.event(Event::WorkDone { rows: original.rows() as u64, bytes: 0 });
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        if self.masked.next(self.monitor)?.is_some() {
            self.other_count("more");
        }
        Ok(())
    }

    /// It is told once.
    fn other_count(&mut self, which: &str) {
        let detail = format!("the masked bundle has {which} of these ({:?}) than its original", self.role);
        let table = self.pair.1.1.name.clone();
        let finding = MaskFinding { check: MaskCheck::Rows, table, column: None, key: None, detail };
        if self.proof.findings.last() != Some(&finding) {
            self.proof.found(finding);
        }
    }
}

struct Comparison<'m> {
    table: &'m TableInfo,
    role: FileRole,
    places: &'m PlaceMasks<'m>,
    /// By column: the mask, if there is one, and whether it says where a row is.
    columns: Vec<(Option<MaskKind>, bool)>,
}

impl<'m> Comparison<'m> {
    fn of(
        ((_, masked), (original, table)): Pair<'m>,
        (one, other): (&BatchRows, &BatchRows),
        (masks, places): (&MaskedTable, &'m PlaceMasks<'m>),
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
        let of_tree = [Some(&table.key_column), table.path_column.as_ref(), table.parent_path_column.as_ref()];
        let is_place = |name: &String| is_delta(name) || of_tree.contains(&Some(name)) || role != FileRole::Rows;
        let columns = other.plan().columns().iter().map(|column| (mask(&column.name), is_place(&column.name)));
        Ok(Self { table, role, places, columns: columns.collect() })
    }

    fn row(
        &self,
        (masked, masked_row): (&BatchRows, usize),
        (original, row): (&BatchRows, usize),
        relation: &mut KeyRelation,
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
            let name = &original.plan().columns()[column].name;
            if self.places.has(name, self.role) {
                proof.checked(MaskCheck::Keys, 1);
                if let Some(detail) = self.places.check((name, self.role), (was, is), relation)? {
                    proof.found(self.finding(MaskCheck::Keys, original, (row, column), detail)?);
                }
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
