//! Values that a bundle leaves out because a bundle before it in its chain holds them (known content): they stand in the target,
//! under the same key and in the same column, which is looked at before anything of the bundle is applied.
//!
//! A value is believed only where it was hashed. So a reference that lies, and a row that was changed by hand since, are refused.

use crate::backend::{Backend, ChainVersion, ExistingContent, LedgerEntry, TargetCompatibility, TargetSpec};
use crate::bundle::FileRole;
use crate::convert::BatchRows;
use crate::error::{Error, Kind, Result};
use crate::latest::{KeyMap, KeyMemory};
use crate::model::cell::RowSource as _;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::known::KnownRef;
use crate::model::version::Version;
use crate::monitor::{Monitor, Uncounted};
use crate::rows::{PartColumns, TableRows, ValueSpool};
use std::collections::BTreeMap;

/// Values that are fetched at once, together; or one alone.
const AT_ONCE_BYTES: u64 = 16 << 20;
/// Keys of rows that leave values out.
const MEMORY: KeyMemory = KeyMemory::of("check of known content", 1 << 20);

/// Where rows with values that are left out go.
#[derive(Clone, Copy)]
pub(super) struct TargetValues<'a> {
    pub(super) spec: &'a TargetSpec,
    pub(super) compatibility: &'a TargetCompatibility,
}

/// A value that is left out of a row which is to be written.
struct LeftOut {
    row: usize,
    /// Among the columns of the batch.
    at: usize,
    /// Among those of the target.
    column: usize,
    key: Guid,
    sha256: Sha256,
    known: KnownRef,
}

impl TargetValues<'_> {
    /// Whether every value that a table leaves out, of rows that are not applied yet and would be written, stands in the target.
    ///
    /// # Errors
    /// ChainGap, with key and column, for the first that does not; Verification, for a bundle that deletes such a row; Database.
    pub(super) fn check(
        &self,
        source: TableRows<'_>,
        ledger: &BTreeMap<String, LedgerEntry>,
        backend: &mut dyn Backend,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        if source.table.known_content.is_empty() {
            return Ok(());
        }
        let monitor = &Uncounted(monitor);
        let columns = PartColumns::all(source.table, FileRole::Rows)?;
        let mut keys: KeyMap<()> = KeyMap::new(MEMORY);
        for file in source.table.files_of(FileRole::Rows) {
            if ledger.get(&file.path).is_some_and(|entry| entry.complete) {
                continue;
            }
            for rows in source.open(file, &columns, monitor)? {
                monitor.check()?;
                let left = self.left_out(&rows?, backend)?;
                left.iter().try_for_each(|left| keys.put(left.key, ()))?;
                self.stands(&left, backend).map_err(|error| error.file(source.bundle.path()))?;
            }
        }
        self.deletes_none(source, &mut keys, monitor)
    }

    /// A bundle whose own deletions take the values that it leans on is none that anybody packed.
    fn deletes_none(&self, source: TableRows<'_>, keys: &mut KeyMap<()>, monitor: &dyn Monitor) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let columns = PartColumns::all(source.table, FileRole::Tombstones)?;
        source.each(FileRole::Tombstones, &columns, monitor, |rows| {
            for row in 0..rows.rows() {
                let key = rows.key(row)?;
                if keys.get(key)?.is_some() {
                    let what = "the bundle deletes a row, and leaves out the value of the row that comes in its place";
                    let error = Error::verification(what).file(source.bundle.path()).key(self.spec.key_type.shown(key));
                    return Err(error.hint("do not use this bundle; ask whoever made it for another"));
                }
            }
            Ok(())
        })
    }

    /// Rows in pieces whose values can be fetched at once.
    pub(super) fn pieces(rows: BatchRows) -> Result<Vec<BatchRows>> {
        let mut sizes = vec![0_u64; rows.rows()];
        for (row, _, known) in rows.known_refs()? {
            sizes[row] = sizes[row].saturating_add(known.bytes);
        }
        let (mut pieces, mut rest, mut sum, mut from) = (Vec::new(), rows, 0_u64, 0);
        for (row, bytes) in sizes.into_iter().enumerate() {
            if row > from && sum.saturating_add(bytes) > AT_ONCE_BYTES {
                let (piece, more) = rest.split(row - from);
                pieces.push(piece);
                (rest, sum, from) = (more, 0, row);
            }
            sum = sum.saturating_add(bytes);
        }
        pieces.push(rest);
        Ok(pieces)
    }

    /// Fetches the values that rows leave out, of those that are to be written.
    ///
    /// # Errors
    /// As [`TargetValues::check`].
    pub(super) fn fetch(&self, rows: &BatchRows, backend: &mut dyn Backend) -> Result<ValueSpool> {
        let mut spool = ValueSpool::default();
        let left = self.left_out(rows, backend)?;
        self.stands(&left, backend)?;
        for LeftOut { row, at, column, key, sha256, known } in left {
            let read = |out: &mut dyn std::io::Write| backend.read_content(self.spec, column, key, out);
            if !spool.take((row, at), (sha256, known.bytes), read)? {
                return Err(self.missing((key, column), known, "it changed while it was read"));
            }
        }
        Ok(spool)
    }

    /// What is left out of the rows of a batch that are to be written, in columns that the target takes.
    fn left_out(&self, rows: &BatchRows, backend: &mut dyn Backend) -> Result<Vec<LeftOut>> {
        let (keys, versions) = (rows.keys()?, rows.versions()?);
        let mut left = Vec::new();
        for (row, at, known) in rows.known_refs()? {
            let name = &rows.plan().columns()[at].name;
            let is_it = |column: &crate::model::column::Column| column.name.eq_ignore_ascii_case(name);
            let column = self.spec.columns.iter().position(is_it);
            let is_taken = !self.compatibility.skipped.iter().any(|skipped| skipped.eq_ignore_ascii_case(name));
            let Some(column) = column.filter(|_| is_taken) else { continue };
            let sha256 = rows.content_sha256(row, at)?;
            let sha256 = sha256.ok_or_else(|| Error::verification("a value is left out, and its hash is not said"))?;
            left.push(LeftOut { row, at, column, key: keys[row], sha256, known });
        }
        if left.is_empty() {
            return Ok(left);
        }
        let asked: Vec<Guid> = left.iter().map(|left| left.key).collect();
        let existing = backend.existing(self.spec, self.compatibility, &asked)?;
        let mut wins = existing.into_iter().zip(&left).map(|(mut existing, left)| {
            let version: Version = versions[left.row];
            let stood = existing.row;
            let is_same = self.spec.repair && stood.is_some_and(|row| row.version.run_id == version.run_id);
            existing.add_row(self.spec.scope, ChainVersion { version, is_part: false }) || is_same
        });
        let wins: Vec<bool> = wins.by_ref().collect();
        let mut nth = wins.into_iter();
        left.retain(|_| nth.next().unwrap_or(true));
        Ok(left)
    }

    /// Whether these values stand, hashed where they lie.
    fn stands(&self, left: &[LeftOut], backend: &mut dyn Backend) -> Result<()> {
        let mut by_column: BTreeMap<usize, Vec<&LeftOut>> = BTreeMap::new();
        left.iter().for_each(|left| by_column.entry(left.column).or_default().push(left));
        for (column, left) in by_column {
            let keys: Vec<Guid> = left.iter().map(|left| left.key).collect();
            let content = backend.existing_content(self.spec, self.compatibility, &[column], &keys)?;
            for (left, content) in left.iter().zip(content) {
                let sha256 = content.map(|ExistingContent { sha256, .. }| sha256.into_iter().next().flatten());
                let why = match sha256 {
                    Some(Some(sha256)) if sha256 == left.sha256 => continue,
                    Some(Some(_)) => "the value there is another one",
                    Some(None) => "the value there is NULL",
                    None => "there is no row of this key",
                };
                return Err(self.missing((left.key, column), left.known, why));
            }
        }
        Ok(())
    }

    fn missing(&self, (key, column): (Guid, usize), known: KnownRef, why: &str) -> Error {
        let text = format!(
            "this bundle leaves a value of {} bytes out, because the bundle with the root digest {} holds it, and the target does \
             not have it: {why}; nothing of this bundle was applied",
            known.bytes, known.root_sha256
        );
        let hint = "replay the missing bundle first. If it was replayed, the row was changed in the target since: let the sender \
                    make a bundle with all values, by `blobdelta run --whole` after `blobdelta key pend` of this key, and \
                    replay that one first";
        Error::new(Kind::ChainGap, text)
            .table(&self.spec.target)
            .column(&self.spec.columns[column].name)
            .key(self.spec.key_type.shown(key))
            .hint(hint)
    }
}
