//! Folders and files of one table.

use super::claims::{Claims, Dir};
use super::columns::UnpackColumns;
use super::options::{UnpackReport, Written, WrittenKind};
use super::out::OutFolder;
use super::tree::{Tree, no_name};
use crate::bundle::layout::PayloadFile;
use crate::convert::BatchRows;
use crate::durable::{DurableFile, EntryKind};
use crate::error::{Error, Result};
use crate::known::Holders;
use crate::model::cell::{Cell, RowSource as _};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::key::ShownKey;
use crate::model::time::{TICKS_PER_DAY, TICKS_PER_SECOND, Timestamp, UNIX_EPOCH_DAYS};
use crate::monitor::{Event, Monitor, Uncounted};
use crate::rows::TableRows;
use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const BLOCK_BYTES: usize = 128 * 1024;

/// See the module's text.
pub(super) struct Writer<'a, 'o> {
    /// The folder of the unpacking.
    pub out: &'a mut OutFolder<'o>,
    /// The folder of the table, one component.
    pub folder: String,
    pub tree: Tree,
    pub claims: Claims,
    /// Folders that were made.
    pub made: HashSet<Dir>,
    pub report: &'a mut UnpackReport,
    pub monitor: &'a dyn Monitor,
    pub on_written: &'a mut dyn FnMut(&Written<'_>),
}

/// A row that is to be written.
pub(super) struct Item<'r> {
    pub source: TableRows<'r>,
    /// In whose `blob/` values lie that were left out.
    pub holders: &'r Holders<'r>,
    pub columns: &'r UnpackColumns,
    pub rows: &'r BatchRows,
    pub row: usize,
    pub key: Guid,
    pub modified_on: Option<Timestamp>,
}

impl Item<'_> {
    fn shown_key(&self) -> ShownKey {
        self.rows.plan().key_type().shown(self.key)
    }
}

impl Writer<'_, '_> {
    /// Writes what a row is: a folder, a file, or nothing, if it has no value.
    ///
    /// # Errors
    /// Verification: a value that is not the one its hash names; Io; Cancelled. No part of the
    /// file that failed is left.
    pub(super) fn row(&mut self, item: &Item<'_>) -> Result<()> {
        let Item { columns, rows, row, key, .. } = *item;
        let has_value = has_value(item)?;
        if !has_value && content_hash(item)?.is_some() {
            return Err(wrong(item));
        }
        let is_directory = columns.is_directory(rows, row)?;
        if is_directory == Some(true) || (!has_value && self.tree.has(key)) {
            return self.folder(item);
        }
        if !has_value {
            self.report.without_value += 1;
            return Ok(());
        }
        let (path, dir) = self.place(item)?;
        let whole = self.out.path().join(&path);
        let mut file = self.out.disk()?.create(&whole)?;
        let filled = self.fill(file.as_mut(), &whole, item);
        let dated = filled.and_then(|bytes| {
            item.modified_on.and_then(system_time).map_or(Ok(()), |at| file.set_modified(at))?;
            Ok(bytes)
        });
        drop(file);
        match dated {
            Ok(bytes) => {
                self.report.files += 1;
                self.report.bytes += bytes;
                self.notify(item, WrittenKind::File, &path, bytes, dir);
                Ok(())
            }
            Err(error) => {
                // The first error is the one to tell.
                let _ = self.out.disk().and_then(|disk| disk.remove_file(&whole));
                Err(error)
            }
        }
    }

    fn folder(&mut self, item: &Item<'_>) -> Result<()> {
        let (path, dir) = if self.tree.has(item.key) {
            let own = Dir::Folder(item.key);
            self.report.marked += u64::from(self.tree.has_key(item.key));
            self.report.by_path += u64::from(self.tree.is_by_path(item.key));
            let orphans = Dir::Orphans(None);
            (self.make(own)?, if self.tree.is_orphan(item.key) { orphans } else { own })
        } else {
            let (path, dir) = self.place(item)?;
            let whole = self.out.path().join(&path);
            self.out.disk()?.create_dir(&whole)?;
            (path, dir)
        };
        self.report.folders += 1;
        self.notify(item, WrittenKind::Folder, &path, 0, dir);
        Ok(())
    }

    fn notify(&mut self, item: &Item<'_>, kind: WrittenKind, path: &Path, bytes: u64, dir: Dir) {
        self.report.orphans += u64::from(matches!(dir, Dir::Orphans(_)));
        (self.on_written)(&Written {
            table: &item.source.table.name,
            key: item.shown_key(),
            kind,
            path,
            bytes,
            modified_on: item.modified_on,
            bundle: item.source.bundle.path(),
        });
    }

    /// A name of its own in the folder where a row lies, which is made if need be.
    fn place(&mut self, item: &Item<'_>) -> Result<(PathBuf, Dir)> {
        let Item { columns, rows, row, key, .. } = *item;
        let parent = columns.parent_key(rows, row)?;
        let dir = self.tree.dir_of(columns.has_parent(rows, row)?, parent, columns.parent_path(rows, row)?);
        self.report.by_path += u64::from(matches!(dir, Dir::Folder(found) if Some(found) != parent));
        let folder = self.make(dir)?;
        let own = self.claims.shown(key);
        let name = columns.name(rows, row)?.unwrap_or(&own);
        let at = self.out.path().join(&folder);
        let disk = self.out.disk()?;
        // What cannot be looked at is not free.
        let stands = |name: &str| !matches!(disk.look(&at.join(name)), Ok(None));
        let claim = self.claims.claim(dir, key, name, &stands).ok_or_else(|| no_name(self.claims.shown(key)))?;
        self.report.marked += u64::from(claim.has_key);
        Ok((folder.join(claim.name), dir))
    }

    /// Makes a folder with all that it lies in, and gives its path from `out` on.
    fn make(&mut self, dir: Dir) -> Result<PathBuf> {
        let own = PathBuf::from(&self.folder);
        let path = own.join(self.tree.path(dir));
        if self.made.contains(&dir) {
            return Ok(path);
        }
        let mut at = self.out.path().to_owned();
        self.out.disk()?;
        for component in &path {
            at.push(component);
            self.make_one(&at)?;
        }
        self.made.insert(dir);
        Ok(path)
    }

    fn make_one(&mut self, path: &Path) -> Result<()> {
        let disk = self.out.disk()?;
        match disk.look(path)? {
            Some(found) if found.kind == EntryKind::Folder => Ok(()),
            Some(_) => Err(Error::config("something else was put where a folder of the unpacking is to be").file(path)),
            None => disk.create_dir(path),
        }
    }

    /// Writes the value; its hash is right when this returns.
    fn fill(&self, file: &mut dyn DurableFile, path: &Path, item: &Item<'_>) -> Result<u64> {
        let Item { source, holders, columns, rows, row, .. } = *item;
        let Some(column) = columns.blob else { return Err(Error::internal("a plan without values")) };
        let planned = &columns.read.plan.planned()[column];
        let said = content_hash(item)?;
        let reference = match planned.blob_ref {
            Some(_) => rows.blob_ref(row, column)?,
            None => None,
        };
        let Some(reference) = reference else {
            let bytes = match rows.cell(row, column)? {
                Cell::Bytes(bytes) => bytes,
                Cell::Text(text) => text.as_bytes(),
                _ => return Err(Error::internal("a value of another type than its column's")),
            };
            if planned.content_sha256.is_some() && said != Some(Sha256::of(bytes)) {
                return Err(wrong(item));
            }
            file.write_all(bytes).map_err(|error| Error::io("write", path, error))?;
            self.monitor.event(Event::WorkDone { rows: 0, bytes: bytes.len() as u64 });
            return Ok(bytes.len() as u64);
        };
        if planned.content_sha256.is_some() && said != PayloadFile::sha256_of_reference(reference) {
            return Err(wrong(item));
        }
        let value = holders.holder_of(source, reference).open_blob(reference, &Uncounted(self.monitor));
        let mut value = value.map_err(|error| error.key(item.shown_key()))?;
        let (mut block, mut bytes) = (vec![0; BLOCK_BYTES], 0);
        loop {
            self.monitor.check()?;
            // The end is given only to who read what the name says.
            let read = value.read(&mut block).map_err(|error| wrong(item).caused_by(error))?;
            if read == 0 {
                return Ok(bytes);
            }
            file.write_all(&block[..read]).map_err(|error| Error::io("write", path, error))?;
            bytes += read as u64;
            self.monitor.event(Event::WorkDone { rows: 0, bytes: read as u64 });
        }
    }
}

/// The hash that a row says its value has.
fn content_hash(item: &Item<'_>) -> Result<Option<Sha256>> {
    let Some(column) = item.columns.blob else { return Ok(None) };
    match item.columns.read.plan.planned()[column].content_sha256 {
        Some(_) => item.rows.content_sha256(item.row, column),
        None => Ok(None),
    }
}

fn wrong(item: &Item<'_>) -> Error {
    let error = Error::verification("this value is not the one that its content hash names");
    let column = item.columns.blob.map_or("", |column| &item.columns.read.plan.planned()[column].column.name);
    let error = error.table(&item.source.table.name).column(column).key(item.shown_key());
    error.file(item.source.bundle.path()).hint("do not use this bundle; verify it with --deep")
}

fn has_value(item: &Item<'_>) -> Result<bool> {
    let Item { columns, rows, row, .. } = *item;
    let Some(column) = columns.blob else { return Ok(false) };
    if columns.read.plan.planned()[column].blob_ref.is_some() && rows.blob_ref(row, column)?.is_some() {
        return Ok(true);
    }
    Ok(rows.cell(row, column)? != Cell::Null)
}

/// A moment as files have it. Local times are taken as if they were UTC: which zone the server
/// stood in, a bundle does not say. `None` where this system's clock does not reach.
fn system_time(at: Timestamp) -> Option<SystemTime> {
    let ticks = at.ticks() - UNIX_EPOCH_DAYS * TICKS_PER_DAY;
    let away = ticks.unsigned_abs();
    let second = TICKS_PER_SECOND.unsigned_abs();
    let nanos = u32::try_from(away % second * 100).unwrap_or(0);
    let away = Duration::new(away / second, nanos);
    if ticks < 0 { UNIX_EPOCH.checked_sub(away) } else { UNIX_EPOCH.checked_add(away) }
}
