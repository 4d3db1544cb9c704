//! Values that a bundle leaves out because a bundle before it in its chain holds them (known content): they stand in the target,
//! under the same key and in the same column; or a bundle that is given in the same call has them. Both are looked at before
//! anything of the bundle is applied.
//!
//! A value is believed only where it was hashed. So a reference that lies is refused; and so is a row that was changed by hand
//! since, unless a bundle is given that has its value, or a later version of the row with all values.

use crate::backend::{Backend, ChainVersion, ExistingContent, LedgerEntry, TargetCompatibility, TargetSpec};
use crate::bundle::FileRole;
use crate::convert::BatchRows;
use crate::error::{Error, Kind, Result};
use crate::known::{Holders, KnownValues, UnfoundValue, pieces};
use crate::latest::{KeyMap, KeyMemory};
use crate::model::cell::RowSource as _;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::known::KnownRef;
use crate::model::slice::DeletionReason;
use crate::model::version::Version;
use crate::monitor::{Event, Monitor, Uncounted};
use crate::rows::{PartColumns, TableRows, ValueSpool, Wanted};
use arrow::array::BooleanArray;
use std::collections::BTreeMap;

/// Values that are fetched at once, together; or one alone.
const AT_ONCE_BYTES: u64 = 16 << 20;
/// Keys of rows that leave values out.
const MEMORY: KeyMemory = KeyMemory::of("check of known content", 1 << 17);
/// Rows whose values are nowhere, and for which later versions are looked for.
const MOST_UNFOUND: usize = 10_000;

/// Where rows with values that are left out go.
#[derive(Clone, Copy)]
pub(super) struct TargetValues<'a> {
    pub(super) spec: &'a TargetSpec,
    pub(super) compatibility: &'a TargetCompatibility,
}

/// What is applied after a table of a bundle.
pub(super) struct LaterRows<'a> {
    pub(super) source: TableRows<'a>,
    pub(super) spec: &'a TargetSpec,
}

/// What a table of a bundle leaves out and the target lacks.
pub(super) struct FoundValues<'b> {
    known: KnownValues<'b, 'b>,
    holders: &'b Holders<'b>,
    /// Rows that are not applied, because a bundle that is given has a later version of each, with all values.
    passed_by: KeyMap<()>,
}

/// A value that is left out of a row which is to be written.
struct LeftOut {
    row: usize,
    /// Among the columns of the batch.
    at: usize,
    /// Among those of the target.
    column: usize,
    key: Guid,
    version: Version,
    sha256: Sha256,
    known: KnownRef,
}

impl<'b> FoundValues<'b> {
    /// The table in whose `blob/` a value lies that a row names.
    pub(super) fn holder_of(&self, source: TableRows<'b>, reference: &str) -> TableRows<'b> {
        self.holders.holder_of(source, reference)
    }

    /// Those of a batch that are applied, in pieces whose values can be fetched at once; with each, how many rows it is of.
    pub(super) fn pieces(&mut self, rows: BatchRows) -> Result<Vec<(u64, BatchRows)>> {
        let mut of_batch = Vec::new();
        for piece in pieces(rows, AT_ONCE_BYTES)? {
            let count = piece.rows() as u64;
            let is_applied = |key| Ok(self.passed_by.get(key)?.is_none());
            let applied: Vec<bool> = piece.keys()?.into_iter().map(is_applied).collect::<Result<_>>()?;
            let is_whole = applied.iter().all(|is_applied| *is_applied);
            of_batch.push((count, if is_whole { piece } else { piece.filtered(&BooleanArray::from(applied))? }));
        }
        Ok(of_batch)
    }
}

impl TargetValues<'_> {
    /// Looks for every value that a table leaves out, of rows that are not applied yet and would be written: in the target, and
    /// in the bundles that are given.
    ///
    /// # Errors
    /// ChainGap, with key and column, for the first that is nowhere; Verification, for a bundle that deletes such a row; Database.
    pub(super) fn check<'b>(
        &self,
        source: TableRows<'b>,
        (holders, later): (&'b Holders<'b>, &[LaterRows<'_>]),
        ledger: &BTreeMap<String, LedgerEntry>,
        backend: &mut dyn Backend,
        monitor: &dyn Monitor,
    ) -> Result<FoundValues<'b>> {
        let (known, passed_by) = (KnownValues::new(holders, true), KeyMap::new(MEMORY));
        let mut found = FoundValues { known, holders, passed_by };
        if source.table.known_content.is_empty() {
            return Ok(found);
        }
        let monitor = &Uncounted(monitor);
        let columns = PartColumns::all(source.table, FileRole::Rows)?;
        let mut keys: KeyMap<Version> = KeyMap::new(MEMORY);
        for file in source.table.files_of(FileRole::Rows) {
            if ledger.get(&file.path).is_some_and(|entry| entry.complete) {
                continue;
            }
            for rows in source.open(file, &columns, monitor)? {
                monitor.check()?;
                let left = self.left_out(&rows?, backend)?;
                left.iter().try_for_each(|left| keys.put(left.key, left.version))?;
                for (nth, _) in self.lacking(&left, backend)? {
                    let LeftOut { key, column, sha256, known, .. } = left[nth];
                    let name = &self.spec.columns[column].name;
                    found.known.need(source, (key, name), (Some(sha256), known))?;
                }
            }
        }
        self.deletes_none(source, &mut keys, monitor)?;
        found.known.find(true, monitor)?;
        self.pass_by((&mut found, &mut keys), later, backend, monitor)?;
        Ok(found)
    }

    /// Rows whose values are nowhere are passed by where a later bundle has a later version with all values.
    fn pass_by(
        &self,
        (found, keys): (&mut FoundValues<'_>, &mut KeyMap<Version>),
        later: &[LaterRows<'_>],
        backend: &mut dyn Backend,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let unfound = found.known.unfound(MOST_UNFOUND + 1, false)?;
        let mut due: BTreeMap<Guid, Version> = BTreeMap::new();
        for UnfoundValue { key, .. } in &unfound {
            due.extend(keys.get(*key)?.map(|version| (*key, version)));
        }
        let of_chain =
            |later: &&LaterRows<'_>| (&later.spec.target, later.spec.scope) == (&self.spec.target, self.spec.scope);
        for LaterRows { source, .. } in later.iter().filter(of_chain) {
            if due.is_empty() || unfound.len() > MOST_UNFOUND {
                break;
            }
            let hashed = source.table.columns.iter().filter(|column| column.companions.content_sha256.is_some());
            let hashed: Vec<&str> = hashed.map(|column| column.name.as_str()).collect();
            for file in source.table.files_of_versions() {
                let wanted = Wanted { hashed: &hashed, ..Wanted::default() };
                source.each_key(file, wanted, monitor, |some| {
                    for (nth, (key, version)) in some.keys.iter().zip(&some.versions).enumerate() {
                        let is_whole = match version.tombstone {
                            Some(reason) => reason == DeletionReason::Deleted,
                            None => some.known(nth).iter().all(Option::is_none),
                        };
                        if is_whole && due.get(key).is_some_and(|due| version > due) {
                            due.remove(key);
                        }
                    }
                    Ok(())
                })?;
            }
        }
        if let Some(unfound) = unfound.iter().find(|unfound| due.contains_key(&unfound.key)) {
            return Err(self.nowhere(unfound, backend)?);
        }
        for UnfoundValue { key, .. } in unfound {
            if found.passed_by.add(key, ())? {
                monitor.event(Event::Note(&format!(
                    "{}: the row of key {} is not applied from one bundle, which leaves out a value that is nowhere; a later bundle \
                     that is given has the row whole",
                    self.spec.target,
                    self.spec.key_type.shown(key),
                )));
            }
        }
        Ok(())
    }

    /// A bundle whose own deletions take the values that it leans on is none that anybody packed.
    fn deletes_none(&self, source: TableRows<'_>, keys: &mut KeyMap<Version>, monitor: &dyn Monitor) -> Result<()> {
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

    /// Fetches the values that rows leave out, of those that are to be written: out of the target, and otherwise into the rows.
    ///
    /// # Errors
    /// As [`TargetValues::check`].
    pub(super) fn fetch<'b>(
        &self,
        source: TableRows<'b>,
        rows: BatchRows,
        found: &mut FoundValues<'b>,
        backend: &mut dyn Backend,
    ) -> Result<(BatchRows, ValueSpool)> {
        let mut spool = ValueSpool::default();
        if source.table.known_content.is_empty() {
            return Ok((rows, spool));
        }
        let left = self.left_out(&rows, backend)?;
        let lacking: BTreeMap<usize, &str> = self.lacking(&left, backend)?.into_iter().collect();
        let mut rows = found.known.fill(rows)?;
        found.holders.supply_sizes(source, &mut rows)?;
        for (nth, LeftOut { row, at, column, key, sha256, known, .. }) in left.into_iter().enumerate() {
            if rows.known_ref(row, at)?.is_none() {
                continue;
            }
            let read = |out: &mut dyn std::io::Write| backend.read_content(self.spec, column, key, out);
            let why = lacking.get(&nth).copied();
            if why.is_some() || !spool.take((row, at), (sha256, known.bytes), read)? {
                return Err(self.missing((key, column), known, why.unwrap_or("it changed while it was read")));
            }
        }
        Ok((rows, spool))
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
            left.push(LeftOut { row, at, column, key: keys[row], version: versions[row], sha256, known });
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

    /// Which of these values do not stand, and why. All are hashed where they lie.
    fn lacking(&self, left: &[LeftOut], backend: &mut dyn Backend) -> Result<Vec<(usize, &'static str)>> {
        let mut by_column: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        left.iter().enumerate().for_each(|(nth, left)| by_column.entry(left.column).or_default().push(nth));
        let mut lacking = Vec::new();
        for (column, numbers) in by_column {
            let keys: Vec<Guid> = numbers.iter().map(|nth| left[*nth].key).collect();
            let content = backend.existing_content(self.spec, self.compatibility, &[column], &keys)?;
            for (nth, content) in numbers.into_iter().zip(content) {
                lacking.extend(why_not(content, left[nth].sha256).map(|why| (nth, why)));
            }
        }
        Ok(lacking)
    }

    /// The error for a value that is neither in the target nor in a bundle that is given.
    fn nowhere(&self, unfound: &UnfoundValue, backend: &mut dyn Backend) -> Result<Error> {
        let is_it = |column: &crate::model::column::Column| column.name.eq_ignore_ascii_case(&unfound.column);
        let column = self.spec.columns.iter().position(is_it).unwrap_or_default();
        let content = backend.existing_content(self.spec, self.compatibility, &[column], &[unfound.key])?;
        let why = why_not(content.into_iter().next().flatten(), unfound.sha256);
        Ok(self.missing((unfound.key, column), unfound.known, why.unwrap_or("it came back meanwhile")))
    }

    fn missing(&self, (key, column): (Guid, usize), known: KnownRef, why: &str) -> Error {
        let text = format!(
            "this bundle leaves a value of {} bytes out, because the bundle with the root digest {} holds it. The target does not \
             have it ({why}), and no bundle that is given has it; nothing of this bundle was applied",
            known.bytes, known.root_sha256
        );
        let hint = "name the missing bundle too. If it is lost, let the sender make a bundle with all values, by `blobdelta run \
                    --whole` after `blobdelta key pend` of this key, and name that one too";
        Error::new(Kind::ChainGap, text)
            .table(&self.spec.target)
            .column(&self.spec.columns[column].name)
            .key(self.spec.key_type.shown(key))
            .hint(hint)
    }
}

fn why_not(content: Option<ExistingContent>, due: Sha256) -> Option<&'static str> {
    match content.map(|ExistingContent { sha256, .. }| sha256.into_iter().next().flatten()) {
        Some(Some(sha256)) if sha256 == due => None,
        Some(Some(_)) => Some("the value there is another one"),
        Some(None) => Some("the value there is NULL"),
        None => Some("there is no row of this key"),
    }
}
