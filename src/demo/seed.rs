//! Planting a source instance: blob tables, metadata and business units out of a tree of files.
//!
//! Files are read one at a time, small ones gathered into transactions of some megabytes, large
//! ones written in pieces, so that memory does not depend on the size of the tree's files.

use super::names::{self, index};
use super::node::{DemoNode, Meta, file_meta, folder_meta};
use super::walk::Walked;
use crate::backend::Sandbox;
use crate::error::Result;
use crate::model::cell::Cell;
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::time::{TICKS_PER_MINUTE, Timestamp};
use crate::monitor::{Event, Monitor};
use std::fs::File;
use std::io::Read as _;

/// Files over this many bytes are written in pieces.
const INLINE_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes and rows of one transaction.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
const BATCH_ROWS: usize = 1000;
/// No file's stamp is nearer than this to the first run: more than twice its buffer, so that the
/// full load takes it, and the delta's window, which reaches back by one buffer, does not again.
const DISTANCE_TICKS: i64 = 540 * TICKS_PER_MINUTE;

/// What was seeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seeded {
    /// Rows of both blob tables.
    pub rows: u64,
    /// Bytes of their blobs.
    pub bytes: u64,
    /// All times were set back by so much, 100 ns.
    pub shift_ticks: i64,
}

/// Builds the instance. `first_run` is when the full load will play, `now` the real time.
///
/// # Errors
/// Database; Cancelled.
pub fn seed(
    backend: &mut dyn Sandbox,
    walked: &mut Walked,
    first_run: Timestamp,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<Seeded> {
    create(backend)?;
    let newest = walked.tables.iter().flatten().map(|node| node.modified).max().unwrap_or(Timestamp::MIN);
    let shift_ticks = (newest.ticks() - first_run.plus_ticks(-DISTANCE_TICKS).ticks()).max(0);
    let mut seeded = Seeded { shift_ticks, ..Seeded::default() };
    let bytes = walked.tables.iter().flatten().map(|node| node.bytes).sum();
    let rows = walked.tables.iter().map(|nodes| nodes.len() as u64).sum();
    monitor.event(Event::WorkStarted { what: "seed", name: names::BLOBS, rows: Some(rows), bytes: Some(bytes) });
    for (table, nodes) in walked.tables.iter_mut().enumerate() {
        let (mut files, mut folders) = (0, 0);
        for node in nodes.iter_mut() {
            node.modified = node.modified.plus_ticks(-shift_ticks);
            let nth = if node.is_folder { &mut folders } else { &mut files };
            node.metadata = match node.is_folder {
                true => folder_meta(*nth, node.modified),
                false => Some(file_meta(*nth, node.modified, now)),
            };
            *nth += 1;
        }
        let mut seeder = Seeder::new(backend, names::source(table)?, monitor);
        for at in 0..nodes.len() {
            monitor.check()?;
            seeder.take(nodes, at)?;
        }
        seeder.flush(nodes)?;
        seeded.rows += seeder.rows;
        seeded.bytes += seeder.bytes;
        walked.skipped.unreadable += seeder.unreadable;
        insert_metadata(backend, table, nodes)?;
    }
    monitor.event(Event::WorkFinished);
    Ok(seeded)
}

/// Creates the databases and empty tables.
///
/// # Errors
/// Database.
pub fn create(backend: &mut dyn Sandbox) -> Result<()> {
    for database in [names::BLOBS, names::METADATA, names::SLICES] {
        backend.create_database(database)?;
    }
    backend.create_table(&names::units()?, &names::unit_columns(), names::UNIT_KEY, &[])?;
    let units: Vec<Vec<Cell<'_>>> =
        names::UNITS.iter().map(|(unit, name)| vec![Cell::Guid(*unit), Cell::Text(name)]).collect();
    backend.insert(&names::units()?, &names::unit_columns(), &units)?;
    for table in 0..names::TABLES.len() {
        // The slices are filled by these orders; without the indexes each batch would scan.
        let tree: &[&str] = &["path_locator", "parent_path_locator", names::KEY];
        let parents: &[&str] = &["parent_path_locator"];
        backend.create_table(&names::source(table)?, &names::source_columns(), names::KEY, &[tree, parents])?;
        let by_stamp: &[&str] = &["ModifiedOn", names::METADATA_KEY, "BusinessUnit"];
        let by_key: &[&str] = &[names::METADATA_KEY, "ModifiedOn", "BusinessUnit"];
        let metadata = names::metadata(table)?;
        backend.create_table(&metadata, &names::metadata_columns(), names::METADATA_KEY, &[by_stamp, by_key])?;
    }
    Ok(())
}

/// The cells of a row, in the order of [`names::source_columns`]; without the bytes.
pub fn source_cells<'a>(node: &'a DemoNode, parent_path: Option<&'a [u8]>) -> Vec<Cell<'a>> {
    let stamp = Cell::DateTimeOffset(node.modified, 0);
    let extension = node.name.rsplit_once('.').filter(|(stem, end)| !stem.is_empty() && !end.is_empty());
    let file_type = extension.filter(|_| !node.is_folder).map_or(Cell::Null, |(_, end)| Cell::Text(end));
    let size = i64::try_from(node.bytes).unwrap_or(i64::MAX);
    let no = Cell::Bool(false);
    vec![
        Cell::Guid(node.key),
        Cell::Text(&node.name),
        Cell::Bytes(&node.path),
        parent_path.map_or(Cell::Null, Cell::Bytes),
        file_type,
        if node.is_folder { Cell::Null } else { Cell::Int(size) },
        stamp,
        stamp,
        stamp,
        Cell::Bool(node.is_folder),
        no,
        Cell::Bool(node.name.starts_with('.')),
        no,
        Cell::Bool(!node.is_folder),
        no,
        no,
        Cell::Null,
    ]
}

/// The cells of a row of metadata, in the order of [`names::metadata_columns`].
pub fn metadata_cells(key: Guid, meta: Meta, name: &str) -> Vec<Cell<'_>> {
    vec![
        Cell::Guid(key),
        meta.modified_on.map_or(Cell::Null, Cell::DateTime),
        meta.business_unit.map_or(Cell::Null, Cell::Guid),
        Cell::Text(name),
    ]
}

fn insert_metadata(backend: &mut dyn Sandbox, table: usize, nodes: &[DemoNode]) -> Result<()> {
    let with = nodes.iter().filter(|node| !node.is_gone).filter_map(|node| Some((node, node.metadata?)));
    let rows: Vec<Vec<Cell<'_>>> = with.map(|(node, meta)| metadata_cells(node.key, meta, &node.name)).collect();
    for some in rows.chunks(BATCH_ROWS) {
        backend.insert(&names::metadata(table)?, &names::metadata_columns(), some)?;
    }
    Ok(())
}

/// Gathers rows into transactions.
struct Seeder<'b> {
    backend: &'b mut dyn Sandbox,
    table: TableName,
    columns: Vec<Column>,
    monitor: &'b dyn Monitor,
    gathered: Vec<(usize, Vec<u8>)>,
    gathered_bytes: usize,
    rows: u64,
    bytes: u64,
    unreadable: u64,
}

impl<'b> Seeder<'b> {
    fn new(backend: &'b mut dyn Sandbox, table: TableName, monitor: &'b dyn Monitor) -> Self {
        Self {
            backend,
            table,
            columns: names::source_columns(),
            monitor,
            gathered: Vec::new(),
            gathered_bytes: 0,
            rows: 0,
            bytes: 0,
            unreadable: 0,
        }
    }

    fn take(&mut self, nodes: &mut [DemoNode], at: usize) -> Result<()> {
        let node = &mut nodes[at];
        if node.is_folder {
            self.gathered.push((at, Vec::new()));
        } else if node.bytes > INLINE_BYTES {
            return self.take_large(nodes, at);
        } else if let Some(bytes) = read_small(node) {
            node.bytes = bytes.len() as u64;
            self.gathered_bytes += bytes.len();
            self.gathered.push((at, bytes));
        } else {
            node.is_gone = true;
            self.unreadable += 1;
        }
        if self.gathered_bytes >= BATCH_BYTES || self.gathered.len() >= BATCH_ROWS {
            self.flush(nodes)?;
        }
        Ok(())
    }

    fn take_large(&mut self, nodes: &mut [DemoNode], at: usize) -> Result<()> {
        let Ok(mut file) = File::open(&nodes[at].disk) else {
            nodes[at].is_gone = true;
            self.unreadable += 1;
            return Ok(());
        };
        self.gathered.push((at, Vec::new()));
        self.flush(nodes)?;
        let node = &nodes[at];
        let column = &self.columns[index::BYTES];
        let key = (names::KEY, node.key);
        self.backend
            .write_value(&self.table, key, column, node.bytes, &mut file)
            .map_err(|error| error.file(&node.disk))?;
        self.bytes += node.bytes;
        self.monitor.event(Event::WorkDone { rows: 0, bytes: node.bytes });
        Ok(())
    }

    fn flush(&mut self, nodes: &[DemoNode]) -> Result<()> {
        let rows: Vec<Vec<Cell<'_>>> = self
            .gathered
            .iter()
            .map(|(at, bytes)| {
                let node = &nodes[*at];
                let mut cells = source_cells(node, node.parent.map(|parent| nodes[parent].path.as_slice()));
                if !node.is_folder && node.bytes <= INLINE_BYTES {
                    cells[index::BYTES] = Cell::Bytes(bytes);
                }
                cells
            })
            .collect();
        self.backend.insert(&self.table, &self.columns, &rows)?;
        self.rows += rows.len() as u64;
        self.bytes += self.gathered_bytes as u64;
        self.monitor.event(Event::WorkDone { rows: rows.len() as u64, bytes: self.gathered_bytes as u64 });
        self.gathered.clear();
        self.gathered_bytes = 0;
        Ok(())
    }
}

/// A file of at most the inline bytes; `None` if it cannot be read, or has grown beyond them.
fn read_small(node: &DemoNode) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(node.bytes).unwrap_or(0));
    let mut file = File::open(&node.disk).ok()?.take(INLINE_BYTES + 1);
    file.read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= INLINE_BYTES).then_some(bytes)
}
