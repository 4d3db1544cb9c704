//! [`Closure`]: what the rows of a table say of each other (rule 7): one row a key, every parent there or listed as
//! absent, a parent above its child.
//!
//! Rows stand in the order (depth, path, key), so a parent has come before its children: whoever applies rows looks at each
//! batch before it is written ([`Closure::settle`]); whoever collects what is wrong lets a parent come later. Of each
//! key its depth is held, in a temporary file where they are many.

use super::deviation::Deviation as D;
use crate::bundle::TableInfo;
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::{Error, Result};
use crate::latest::{KeyMap, KeyMemory};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::{DELTA_DEPTH, DELTA_PARENT_KEY};
use crate::model::id::Guid;
use crate::model::key::KeyType;
use std::collections::BTreeMap;

/// Parents that are awaited at once; of more than so many, each is told at once.
const MOST_AWAITED: usize = 10_000;
/// Of each key its depth or number. They are held in memory unless told otherwise, some 10 MB; those of larger tables lie in a
/// temporary file.
const MEMORY: KeyMemory = KeyMemory { work: "keys of a bundle", most_keys: 1 << 18, cache_bytes: 8 << 20 };
/// Numbers of rows that are listed as without parent.
const LISTED: i16 = 0;
const CAME: i16 = 1;

/// See the module's text.
pub struct Closure<'t> {
    table: &'t TableInfo,
    key_type: KeyType,
    /// Of each row its depth.
    depths: KeyMap<i16>,
    absent_children: KeyMap<i16>,
    absent_parents: KeyMap<i16>,
    /// What the list of absent parents is sorted by, so far.
    last_absent: Option<[u8; 16]>,
    /// The parent that was looked for last: rows of one folder mostly stand together.
    last_parent: Option<(Guid, i16)>,
    /// Parents that did not come yet, each with its highest child.
    awaited: BTreeMap<Guid, (i16, Guid)>,
}

/// Where the columns of a batch stand.
struct ParentColumns {
    depth: usize,
    parent: usize,
    parent_path: Option<usize>,
}

impl<'t> Closure<'t> {
    /// Of a table, of which nothing came yet.
    pub fn new(table: &'t TableInfo) -> Self {
        Self::holding(table, MEMORY.most_keys)
    }

    /// The same, with so many keys in memory, at most, three times.
    pub fn holding(table: &'t TableInfo, most_keys: usize) -> Self {
        let keys = || KeyMap::new(KeyMemory { most_keys, ..MEMORY });
        let (last_absent, last_parent, awaited) = (None, None, BTreeMap::new());
        let (depths, absent_children, absent_parents) = (keys(), keys(), keys());
        let key_type = table.key_type();
        Self { table, key_type, depths, absent_children, absent_parents, last_absent, last_parent, awaited }
    }

    /// Takes the next of the table's absent parents; all of them come before any row.
    ///
    /// # Errors
    /// Verification: values that none can have; Database: the temporary file failed.
    pub fn absent(&mut self, batch: &BatchRows, report: &mut dyn FnMut(D, String)) -> Result<()> {
        for row in 0..batch.rows() {
            let child = batch.key(row)?;
            let sorted_by = self.key_type.sort_key(self.table.key_order, child);
            if self.last_absent.is_some_and(|last| last >= sorted_by) {
                let child = self.key_type.shown(child);
                let detail = format!("the absent parent of key {child} does not stand after the one before it");
                report(D::OutOfOrder, detail);
            }
            self.last_absent = Some(sorted_by);
            self.absent_children.add(child, LISTED)?;
            if let Some(parent) = batch.id(row, 1)? {
                self.absent_parents.add(parent, LISTED)?;
            }
        }
        Ok(())
    }

    /// Takes the next rows. The batch has key, parent path, depth and parent key, and may have more.
    ///
    /// # Errors
    /// As [`Closure::absent`].
    pub fn rows(&mut self, batch: &BatchRows, report: &mut dyn FnMut(D, String)) -> Result<()> {
        let columns = ParentColumns::of(batch.plan(), self.table)?;
        let depths = (0..batch.rows()).map(|row| Ok((batch.key(row)?, columns.depth(batch, row)?)));
        let depths = depths.collect::<Result<Vec<_>>>()?;
        let mut twice = None;
        for (key, depth) in &depths {
            if !self.depths.add(*key, *depth)? {
                twice.get_or_insert(*key);
            }
        }
        if let Some(key) = twice {
            report(D::DuplicateKey, format!("the key {} comes twice", self.key_type.shown(key)));
        }
        for (row, (key, depth)) in depths.into_iter().enumerate() {
            self.check_listed(key, report)?;
            match batch.id(row, columns.parent)? {
                Some(parent) => self.check_parent(parent, (depth, key), report)?,
                None if columns.has_parent(batch, row)? && self.absent_children.get(key)?.is_none() => {
                    let key = self.key_type.shown(key);
                    let detail = format!("key {key} has a parent that is neither in the bundle nor listed as absent");
                    report(D::MissingParent, detail);
                }
                None => {}
            }
        }
        Ok(())
    }

    /// A row that came, in the list of absent parents.
    fn check_listed(&mut self, key: Guid, report: &mut dyn FnMut(D, String)) -> Result<()> {
        if !self.absent_children.is_empty() && self.absent_children.get(key)?.is_some() {
            self.absent_children.put(key, CAME)?;
        }
        if !self.absent_parents.is_empty() && self.absent_parents.get(key)?.is_some() {
            let key = self.key_type.shown(key);
            report(D::WrongAbsentParent, format!("parent {key} is listed as absent, and is there"));
        }
        Ok(())
    }

    fn check_parent(&mut self, parent: Guid, child: (i16, Guid), report: &mut dyn FnMut(D, String)) -> Result<()> {
        let known = match self.last_parent.filter(|(last, _)| *last == parent) {
            Some((_, above)) => Some(above),
            None => self.depths.get(parent)?,
        };
        if let Some(above) = known {
            self.last_parent = Some((parent, above));
            self.check_depth(parent, above, child, report);
        } else if self.absent_parents.is_empty() || self.absent_parents.get(parent)?.is_none() {
            if self.awaited.len() == MOST_AWAITED {
                self.settle(report)?;
            }
            let highest = self.awaited.entry(parent).or_insert(child);
            *highest = child.min(*highest);
        }
        Ok(())
    }

    /// Tells of each parent that did not come until now.
    ///
    /// # Errors
    /// Database: the temporary file failed.
    pub fn settle(&mut self, report: &mut dyn FnMut(D, String)) -> Result<()> {
        for (parent, child) in std::mem::take(&mut self.awaited) {
            match self.depths.get(parent)? {
                Some(above) => self.check_depth(parent, above, child, report),
                None => {
                    let [parent, key] = [parent, child.1].map(|id| self.key_type.shown(id));
                    let detail = format!("parent {parent} of key {key} is neither in the bundle nor listed as absent");
                    report(D::MissingParent, detail);
                }
            }
        }
        Ok(())
    }

    /// All rows came.
    ///
    /// # Errors
    /// Database: the temporary file failed.
    pub fn finish(&mut self, report: &mut dyn FnMut(D, String)) -> Result<()> {
        self.settle(report)?;
        for (child, _) in self.absent_children.select(None, 1, |number| *number == LISTED)? {
            let child = self.key_type.shown(child);
            report(D::WrongAbsentParent, format!("key {child} is listed as without parent, and is not there"));
        }
        Ok(())
    }

    fn check_depth(&self, parent: Guid, above: i16, (depth, child): (i16, Guid), report: &mut dyn FnMut(D, String)) {
        if above >= depth {
            let [parent, child] = [parent, child].map(|id| self.key_type.shown(id));
            let detail = format!("key {child} at depth {depth} has its parent {parent} at depth {above}");
            report(D::WrongDepth, detail);
        }
    }
}

impl ParentColumns {
    fn of(plan: &ColumnPlan, table: &TableInfo) -> Result<Self> {
        let index = |name: &str| {
            plan.index_of(name).ok_or_else(|| Error::verification("the table lacks columns of the format").column(name))
        };
        let parent_path = table.parent_path_column.as_deref().map(index).transpose()?;
        Ok(Self { depth: index(DELTA_DEPTH)?, parent: index(DELTA_PARENT_KEY)?, parent_path })
    }

    fn depth(&self, batch: &BatchRows, row: usize) -> Result<i16> {
        let depth = match batch.cell(row, self.depth)? {
            Cell::Int(depth) => i16::try_from(depth).ok(),
            _ => None,
        };
        depth.ok_or_else(|| Error::verification("a row has no depth that a row can have").column(DELTA_DEPTH))
    }

    fn has_parent(&self, batch: &BatchRows, row: usize) -> Result<bool> {
        Ok(self.parent_path.map(|column| batch.cell(row, column)).transpose()?.is_some_and(|path| path != Cell::Null))
    }
}
