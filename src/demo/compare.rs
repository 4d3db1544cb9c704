//! Comparing a replayed target with its source, row by row and byte by byte.
//!
//! What must stand in the target is computed here from source, metadata and business units
//! alone; nothing of the engine is asked but where its last window ended. So a row that the
//! engine missed is a difference here.

use super::names::{self, index};
use super::pages::{OwnedValue, Row, TablePages};
use crate::backend::Sandbox;
use crate::error::Result;
use crate::model::column::{Column, DELTA_MODIFIED_ON};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::sqltype::SqlType;
use crate::model::time::{TICKS_PER_DAY, Timestamp};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

/// So many differences are told in full.
pub const MOST_REPORTED: usize = 20;

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Rows that had to be equal.
    pub due: u64,
    /// Rows that had to be there because something under them is.
    pub ancestors: u64,
    /// Source rows that had to be absent: without stamp, in the future, or out of scope.
    pub absent: u64,
    /// Bytes compared.
    pub bytes: u64,
    /// All differences.
    pub differences: u64,
    /// The first of them, for people.
    pub reported: Vec<String>,
}

impl Comparison {
    fn note_difference(&mut self, table: &TableName, key: Guid, what: impl std::fmt::Display) {
        self.differences += 1;
        if self.reported.len() < MOST_REPORTED {
            self.reported.push(format!("{table}, key {key}: {what}"));
        }
    }
}

/// What the target must have under a key of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// This row, of this stamp.
    Equal(Timestamp),
    /// Some version of it.
    Present,
    /// Its newest version is in no window yet; an older one may stand.
    Either,
    /// Nothing.
    Absent,
}

/// What one table is held against.
pub struct Terms<'a> {
    /// The table.
    pub table: usize,
    /// Where the last window of its chain ended.
    pub window_end: Timestamp,
    /// Folders that an earlier run shipped because something under them was due then. They stay
    /// where nothing is under them any more: no run tells of a folder without metadata.
    pub former_ancestors: &'a HashSet<Guid>,
}

/// The folders that must stand in the target because something under them is due.
///
/// # Errors
/// Database.
pub fn ancestors(source: &mut dyn Sandbox, table: usize, window_end: Timestamp) -> Result<HashSet<Guid>> {
    Expectation::read(source, table, window_end).map(|due| due.ancestors)
}

/// Compares one table.
///
/// # Errors
/// Database.
pub fn compare(
    source: &mut dyn Sandbox,
    target: &mut dyn Sandbox,
    terms: &Terms<'_>,
    target_table: &TableName,
    found: &mut Comparison,
) -> Result<()> {
    let due = Expectation::read(source, terms.table, terms.window_end)?;
    let name = names::source(terms.table)?;
    let columns = names::source_columns();
    let mut with_stamp = columns.clone();
    with_stamp.push(Column::new(DELTA_MODIFIED_ON, SqlType::DateTime2(7), true));
    let mut left = TablePages::new(source, name.clone(), columns);
    let mut right = TablePages::new(target, target_table.clone(), with_stamp);
    let (mut a, mut b) = (left.next()?, right.next()?);
    loop {
        let order = match (&a, &b) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.key.cmp(&b.key),
        };
        match (order, &a, &b) {
            (Ordering::Less, Some(row), _) => {
                let due = due.of(row);
                found.count(due);
                if !matches!(due, Due::Absent | Due::Either) {
                    found.note_difference(&name, row.key, "is not in the target, and should be");
                }
            }
            (Ordering::Greater, _, Some(row)) => {
                found.note_difference(&name, row.key, "is in the target, and is gone from the source");
            }
            (Ordering::Equal, Some(row), Some(copy)) => {
                let due = match due.of(row) {
                    Due::Absent if terms.former_ancestors.contains(&row.key) => Due::Either,
                    due => due,
                };
                found.count(due);
                match due {
                    Due::Equal(stamp) => equal(&name, (row, copy, stamp), (&mut left, &mut right), found)?,
                    Due::Present | Due::Either => {}
                    Due::Absent => found.note_difference(&name, row.key, "is in the target, and no window holds it"),
                }
            }
            _ => {}
        }
        if order.is_le() {
            a = left.next()?;
        }
        if order.is_ge() {
            b = right.next()?;
        }
    }
}

impl Comparison {
    fn count(&mut self, due: Due) {
        match due {
            Due::Equal(_) => self.due += 1,
            Due::Present => self.ancestors += 1,
            Due::Absent => self.absent += 1,
            Due::Either => {}
        }
    }
}

fn equal(
    name: &TableName,
    (row, copy, stamp): (&Row, &Row, Timestamp),
    (left, right): (&mut TablePages<'_>, &mut TablePages<'_>),
    found: &mut Comparison,
) -> Result<()> {
    for (nth, value) in row.values.iter().enumerate() {
        let column = &names::source_columns()[nth + 1].name;
        let other = &copy.values[nth];
        let same = match (value, other) {
            (OwnedValue::Large(a), OwnedValue::Large(b)) => {
                found.bytes += a;
                a == b && left.hash_of(row.key, column)? == right.hash_of(row.key, column)?
            }
            (a, b) => a == b,
        };
        if let OwnedValue::Bytes(bytes) = value {
            found.bytes += bytes.len() as u64;
        }
        if !same {
            let what = format!("{column} is {} in the source and {} in the target", value.shown(), other.shown());
            found.note_difference(name, row.key, what);
        }
    }
    if copy.values.last() != Some(&OwnedValue::DateTime(stamp)) {
        let stands = copy.values.last().map_or_else(String::new, OwnedValue::shown);
        found.note_difference(name, row.key, format!("ModifiedOn is {stamp}, and {DELTA_MODIFIED_ON} is {stands}"));
    }
    Ok(())
}

/// What the target must have, from the source's tables.
struct Expectation {
    stamps: HashMap<Guid, (Option<Timestamp>, bool)>,
    ancestors: HashSet<Guid>,
    window_end: Timestamp,
}

impl Expectation {
    fn read(source: &mut dyn Sandbox, table: usize, window_end: Timestamp) -> Result<Self> {
        let mut units = HashSet::new();
        let mut pages = TablePages::new(source, names::units()?, names::unit_columns());
        while let Some(row) = pages.next()? {
            units.insert(row.key);
        }
        let mut stamps = HashMap::new();
        let mut pages = TablePages::new(source, names::metadata(table)?, names::metadata_columns());
        while let Some(row) = pages.next()? {
            let stamp = match row.values[index::MODIFIED_ON - 1] {
                OwnedValue::DateTime(at) => Some(at),
                _ => None,
            };
            let in_scope =
                matches!(&row.values[index::BUSINESS_UNIT - 1], OwnedValue::Guid(unit) if units.contains(unit));
            stamps.insert(row.key, (stamp, in_scope));
        }
        let mut due = Self { stamps, ancestors: HashSet::new(), window_end };
        due.ancestors = due.read_ancestors(source, table)?;
        Ok(due)
    }

    /// Every folder above a row that must be there.
    fn read_ancestors(&self, source: &mut dyn Sandbox, table: usize) -> Result<HashSet<Guid>> {
        let columns = names::source_columns();
        let tree = vec![columns[0].clone(), columns[index::PATH].clone(), columns[index::PARENT_PATH].clone()];
        let mut wanted: HashSet<Vec<u8>> = HashSet::new();
        let mut pages = TablePages::new(source, names::source(table)?, tree.clone());
        while let Some(row) = pages.next()? {
            if let (Due::Equal(_), OwnedValue::Bytes(parent)) = (self.of_key(row.key), &row.values[1]) {
                wanted.insert(parent.clone());
            }
        }
        // A pass for each level, upwards: memory grows with the folders, not with the rows.
        let mut ancestors = HashSet::new();
        loop {
            let before = ancestors.len();
            let mut pages = TablePages::new(source, names::source(table)?, tree.clone());
            while let Some(row) = pages.next()? {
                if matches!(&row.values[0], OwnedValue::Bytes(path) if wanted.contains(path)) {
                    ancestors.insert(row.key);
                    if let OwnedValue::Bytes(parent) = &row.values[1] {
                        wanted.insert(parent.clone());
                    }
                }
            }
            if ancestors.len() == before {
                return Ok(ancestors);
            }
        }
    }

    fn of(&self, row: &Row) -> Due {
        match self.of_key(row.key) {
            due @ Due::Equal(_) => due,
            _ if self.ancestors.contains(&row.key) => Due::Present,
            due => due,
        }
    }

    fn of_key(&self, key: Guid) -> Due {
        match self.stamps.get(&key) {
            Some((Some(stamp), true)) if *stamp < self.window_end => Due::Equal(*stamp),
            // Stamped inside the buffer of the last run: an older version may have been taken.
            Some((Some(stamp), true)) if stamp.ticks() < self.window_end.ticks() + TICKS_PER_DAY => Due::Either,
            _ => Due::Absent,
        }
    }
}
