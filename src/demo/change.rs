//! What happens to the seeded instance between the full load and the delta: every kind of
//! change that a week brings, each stamped or logged as an application would.

use super::names::{self, index};
use super::node::{DemoNode, Meta, child_path, key_of};
use super::seed::{metadata_cells, source_cells};
use super::stage::Stamps;
use crate::backend::Sandbox;
use crate::error::Result;
use crate::model::cell::Cell;
use crate::model::column::Column;
use crate::model::name::TableName;
use crate::model::slice::{Deletion, DeletionReason};
use crate::model::time::Timestamp;
use std::path::PathBuf;

/// At most so many rows of each kind change in a table.
const MOST_OF_A_KIND: usize = 25;
/// A folder is moved with at most so many descendants.
const MOST_DESCENDANTS: usize = 100;
/// Ordinals of rows that are new or moved start here, above those of any real folder.
const FIRST_NEW_ORDINAL: u32 = 1 << 24;

/// A week makes fewer.
const MOST_NEW_A_WEEK: u32 = 1 << 12;

/// What was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Rows with other bytes.
    pub replaced: u64,
    /// Rows that are new.
    pub added: u64,
    /// Files that lie in another folder.
    pub moved: u64,
    /// A folder that lies elsewhere, and what is in it.
    pub moved_with_their_folder: u64,
    /// Rows that are gone, and logged.
    pub removed: u64,
}

/// Changes rows of both tables, stamping each later than the one before. Every week (from 0) takes
/// other rows.
///
/// # Errors
/// Database.
pub(super) fn change(
    backend: &mut dyn Sandbox,
    tables: &mut [Vec<DemoNode>; 2],
    stamps: Stamps,
    now: Timestamp,
    week: u32,
) -> Result<Changed> {
    let mut done = Changed::default();
    for (table, nodes) in tables.iter_mut().enumerate() {
        let mut changer = Changer {
            backend,
            source: names::source(table)?,
            metadata: names::metadata(table)?,
            source_columns: names::source_columns(),
            metadata_columns: names::metadata_columns(),
            nodes,
            stamp: stamps.start,
            step_ticks: stamps.step_ticks,
            next_ordinal: FIRST_NEW_ORDINAL + week * MOST_NEW_A_WEEK,
        };
        done.moved_with_their_folder += changer.move_folder(now)?;
        let due =
            |node: &DemoNode| !node.is_folder && !node.is_gone && node.metadata.is_some_and(|meta| meta.is_due(now));
        let files: Vec<usize> = (0..changer.nodes.len()).filter(|at| due(&changer.nodes[*at])).collect();
        let of_a_kind = (files.len() / 20).clamp(1, MOST_OF_A_KIND);
        // Spread over the tree, each file changed in one way alone.
        let step = (files.len() / (4 * of_a_kind)).max(1);
        let week = usize::try_from(week).unwrap_or(0);
        for (nth, at) in files.into_iter().skip(week % step).step_by(step).take(4 * of_a_kind).enumerate() {
            match (nth + week) % 4 {
                0 => done.replaced += changer.replace(at)?,
                1 => done.added += changer.add_beside(at)?,
                2 => done.moved += changer.move_file(at)?,
                _ => done.removed += changer.remove(at)?,
            }
        }
        done.added += changer.add_in_folder_without_metadata()?;
    }
    Ok(done)
}

struct Changer<'b> {
    backend: &'b mut dyn Sandbox,
    source: TableName,
    metadata: TableName,
    source_columns: Vec<Column>,
    metadata_columns: Vec<Column>,
    nodes: &'b mut Vec<DemoNode>,
    stamp: Timestamp,
    step_ticks: i64,
    next_ordinal: u32,
}

impl Changer<'_> {
    fn next_stamp(&mut self) -> Timestamp {
        self.stamp = self.stamp.plus_ticks(self.step_ticks);
        self.stamp
    }

    fn new_path(&mut self, parent: Option<usize>) -> Vec<u8> {
        self.next_ordinal += 1;
        child_path(parent.map_or(&[], |parent| &self.nodes[parent].path), self.next_ordinal)
    }

    fn set(&mut self, at: usize, values: &[(usize, Cell<'_>)]) -> Result<()> {
        let values: Vec<(&Column, Cell<'_>)> =
            values.iter().map(|(column, cell)| (&self.source_columns[*column], *cell)).collect();
        self.backend.update(&self.source, (names::KEY, self.nodes[at].key), &values)?;
        Ok(())
    }

    fn stamp(&mut self, at: usize) -> Result<Timestamp> {
        let stamp = self.next_stamp();
        let values = [(&self.metadata_columns[index::MODIFIED_ON], Cell::DateTime(stamp))];
        self.backend.update(&self.metadata, (names::METADATA_KEY, self.nodes[at].key), &values)?;
        if let Some(meta) = &mut self.nodes[at].metadata {
            meta.modified_on = Some(stamp);
        }
        Ok(stamp)
    }

    fn replace(&mut self, at: usize) -> Result<u64> {
        let stamp = self.stamp(at)?;
        let bytes = format!("replaced by the demo at {stamp}\n").repeat(1 + at % 64);
        let values = [
            (index::BYTES, Cell::Bytes(bytes.as_bytes())),
            (index::SIZE, Cell::Int(i64::try_from(bytes.len()).unwrap_or(0))),
            (index::WRITTEN, Cell::DateTimeOffset(stamp, 60)),
        ];
        self.set(at, &values)?;
        Ok(1)
    }

    fn move_file(&mut self, at: usize) -> Result<u64> {
        let here = self.nodes[at].parent;
        let is_other = |other: &usize| {
            let node = &self.nodes[*other];
            node.is_folder && !node.is_gone && Some(*other) != here
        };
        // To the top, if there is no other folder.
        let to = (0..self.nodes.len()).rev().find(is_other);
        let path = self.new_path(to);
        self.place(at, to, path)?;
        self.stamp(at)?;
        Ok(1)
    }

    fn place(&mut self, at: usize, parent: Option<usize>, path: Vec<u8>) -> Result<()> {
        let parent_path = parent.map(|parent| self.nodes[parent].path.clone());
        let parent_cell = parent_path.as_deref().map_or(Cell::Null, Cell::Bytes);
        self.set(at, &[(index::PATH, Cell::Bytes(&path)), (index::PARENT_PATH, parent_cell)])?;
        self.nodes[at].path = path;
        self.nodes[at].parent = parent;
        Ok(())
    }

    fn remove(&mut self, at: usize) -> Result<u64> {
        let (key, meta) = (self.nodes[at].key, self.nodes[at].metadata);
        self.backend.delete(&self.source, (names::KEY, key))?;
        self.backend.delete(&self.metadata, (names::METADATA_KEY, key))?;
        let deleted_on = self.next_stamp();
        let business_unit = meta.and_then(|meta| meta.business_unit);
        let reason = DeletionReason::Deleted;
        self.backend.log_deletion(&self.source, &Deletion { key, deleted_on, business_unit, reason })?;
        self.nodes[at].is_gone = true;
        Ok(1)
    }

    fn add_beside(&mut self, at: usize) -> Result<u64> {
        let meta = self.nodes[at].metadata;
        self.add(self.nodes[at].parent, meta)
    }

    /// So that MissingParents has work: the folder itself is in no window.
    fn add_in_folder_without_metadata(&mut self) -> Result<u64> {
        let bare = |node: &DemoNode| node.is_folder && !node.is_gone && node.metadata.is_none();
        let Some(folder) = self.nodes.iter().position(bare) else { return Ok(0) };
        let unit = Some(names::UNITS[0].0);
        self.add(Some(folder), Some(Meta { modified_on: None, business_unit: unit }))
    }

    fn add(&mut self, parent: Option<usize>, meta: Option<Meta>) -> Result<u64> {
        let modified = self.next_stamp();
        let path = self.new_path(parent);
        let name = format!("added by the demo {}.txt", self.next_ordinal - FIRST_NEW_ORDINAL);
        let text = format!("{name}, {modified}\n");
        let node = DemoNode {
            key: key_of(&self.source.table, name.as_bytes()),
            parent,
            path,
            name,
            is_folder: false,
            bytes: text.len() as u64,
            modified,
            disk: PathBuf::new(),
            metadata: meta.map(|meta| Meta { modified_on: Some(modified), ..meta }),
            is_gone: false,
        };
        let parent_path = parent.map(|parent| self.nodes[parent].path.as_slice());
        let mut cells = source_cells(&node, parent_path);
        cells[index::BYTES] = Cell::Bytes(text.as_bytes());
        self.backend.insert(&self.source, &self.source_columns, &[cells])?;
        if let Some(meta) = node.metadata {
            let cells = metadata_cells(node.key, meta, &node.name);
            self.backend.insert(&self.metadata, &self.metadata_columns, &[cells])?;
        }
        self.nodes.push(node);
        Ok(1)
    }

    /// Moves one folder to the top, and stamps every descendant whose path that changes.
    fn move_folder(&mut self, now: Timestamp) -> Result<u64> {
        let Some((folder, below)) = self.folder_to_move(now) else { return Ok(0) };
        let old = self.nodes[folder].path.clone();
        let new = self.new_path(None);
        self.place(folder, None, new.clone())?;
        if self.nodes[folder].metadata.is_some() {
            self.stamp(folder)?;
        }
        // A folder stands before what lies in it, so a parent's new path is there already.
        for at in &below {
            let path = [&new[..], &self.nodes[*at].path[old.len()..]].concat();
            self.place(*at, self.nodes[*at].parent, path)?;
            if self.nodes[*at].metadata.is_some_and(|meta| meta.is_due(now)) {
                self.stamp(*at)?;
            }
        }
        Ok(1 + below.len() as u64)
    }

    /// The folder with the most descendants that are not too many, and them.
    fn folder_to_move(&self, now: Timestamp) -> Option<(usize, Vec<usize>)> {
        let mut counts = vec![0_usize; self.nodes.len()];
        for node in self.nodes.iter().filter(|node| !node.is_gone) {
            let mut up = node.parent;
            while let Some(at) = up {
                counts[at] += 1;
                up = self.nodes[at].parent;
            }
        }
        let is_due = |at: &usize| self.nodes[*at].metadata.is_some_and(|meta| meta.is_due(now));
        let folder = (0..counts.len())
            .filter(|at| self.nodes[*at].parent.is_some() && (1..=MOST_DESCENDANTS).contains(&counts[*at]))
            .filter(is_due)
            .max_by_key(|at| counts[*at])?;
        let prefix = self.nodes[folder].path.as_slice();
        let is_below = |at: &usize| {
            let node = &self.nodes[*at];
            !node.is_gone && node.path.len() > prefix.len() && node.path.starts_with(prefix)
        };
        Some((folder, (0..self.nodes.len()).filter(is_below).collect()))
    }
}
