//! Who receives the bundles of a history, each from the places of the scopes that it is fed with alone: all units, A,
//! B, and databases that two chains share. What must hold:
//!
//! - a folder and a destination hold bundles of their own scope alone, each whole, and sealed as its run was told;
//! - a chain has no gap, and where a bundle is left out that another one follows, it has one;
//! - a key in one of a receiver's scopes whose ModifiedOn lies before that scope's last WindowEnd, and whose blob
//!   came before that scope's last run, is there as it is in the source (a missing row, or one that differs);
//! - so is every folder above such a row, with its blob or without, and by the name that it was stamped by;
//! - no key whose deletion was logged and handed out stands there, unless it came back later;
//! - what left its unit before the unit's last run is not there, or without its blob, where a child of it is; unless
//!   another chain of the receiver has it (a foreign row);
//! - no blob is there of a row that never was in its scopes;
//! - where bundles leave out known content, the compacted bundle of a chain leaves nothing out, and gives the same;
//! - `reconcile` finds in the bundles of a scope what its receiver lacks, and nothing else.

use super::rows::{Metadata, Row, Rows, name_of};
use super::{History, SCOPES, scopes, seals};
use crate::scenarios::read::id;
use crate::scenarios::world::{key, minute};
use blobdelta::bundle::{Bundle, Container, places};
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::error::{Error, Kind, Result};
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::digest::Sha256;
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::model::run::Scope;
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use blobdelta::reconcile::{Difference, DifferenceKind, ReconcileOptions, TableDifferences, reconcile};
use blobdelta::replay::{ReplayOptions, plan, replay};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The last WindowEnd of a scope, and its last start in true time, of runs whose bundles are there.
type End = (Timestamp, i64);

/// Each receiver's database, and the scopes that it is fed with.
const RECEIVERS: [(&str, &[usize]); 5] =
    [("Copy", &[0]), ("CopyA", &[1]), ("CopyB", &[2]), ("CopyAllAndA", &[0, 1]), ("CopyAAndB", &[1, 2])];

/// One table of one receiver.
struct Received<'a> {
    source: &'a Rows,
    /// Of the scopes that it is fed with, those of which something came.
    ends: Vec<(Scope, End)>,
    target: BTreeMap<Guid, TargetRow>,
    database: &'static str,
}

impl History {
    fn bundles(&self, of: usize) -> Vec<PathBuf> {
        places(&[self.place(of)]).unwrap().into_iter().map(|found| found.path).collect()
    }

    fn replay(&self, database: &str, bundles: Vec<PathBuf>, allow_gap: bool) {
        if bundles.is_empty() {
            return;
        }
        let options = ReplayOptions {
            database: Some(database.into()),
            create: true,
            allow_gap,
            into_source: true,
            access: seals::access(),
            ..ReplayOptions::default()
        };
        match replay(&bundles, &mut *self.world.target(), &options, &Silent) {
            // What is left out may be in none of the bundles that were picked.
            Err(error) if self.omits && allow_gap && error.kind() == Kind::ChainGap => {}
            done => drop(done.unwrap()),
        }
    }

    /// A compacted bundle of a chain leaves nothing out, and gives what the chain gives.
    fn check_compacted(&self, (of, database): (usize, &str), bundles: &[PathBuf]) {
        let opened: Vec<Bundle> = bundles.iter().map(|path| open(path)).collect();
        if !self.omits || opened.len() < 2 {
            return;
        }
        let out = self.folder(of).with_extension(format!("compacted{}", self.now));
        std::fs::create_dir_all(&out).unwrap();
        let options = CompactOptions { allows_plain: true, side_by_side: 3, ..CompactOptions::default() };
        let published = compact(opened, &Local, &out, &options, &Silent).unwrap();
        assert_eq!(open(published.path()).manifest().left_out(), (0, 0));
        let fresh = format!("Compacted{of}x{}", self.now);
        self.replay(&fresh, vec![published.path().to_owned()], false);
        for table in &open(published.path()).manifest().tables {
            let values = |database: &str| {
                let rows = self.read_target(database, &table.name).into_iter();
                rows.map(|(key, row)| (key, (row.bytes, row.modified, row.name))).collect::<BTreeMap<_, _>>()
            };
            assert_eq!(values(&fresh), values(database), "{}: {}", scopes()[of], table.name);
        }
    }

    /// To each receiver some of its bundles.
    pub(super) fn replay_some(&self, picks: &[u8]) {
        for (database, fed) in RECEIVERS {
            let bundles: Vec<PathBuf> = fed.iter().flat_map(|of| self.bundles(*of)).collect();
            let chosen = picks.iter().filter_map(|pick| bundles.get(usize::from(*pick) % bundles.len().max(1)));
            self.replay(database, chosen.cloned().collect(), true);
        }
    }

    /// Everything that was handed out is replayed, and held against the map.
    pub(super) fn check(&mut self) {
        let ends: Vec<_> = (0..SCOPES).map(|of| self.check_places(of)).collect();
        let mut sources = std::mem::take(&mut self.tables);
        for (database, fed) in RECEIVERS {
            let bundles: Vec<PathBuf> = fed.iter().flat_map(|of| self.bundles(*of)).collect();
            self.replay(database, bundles.clone(), false);
            if let [of] = fed {
                self.check_gap(*of, &bundles);
                self.check_compacted((*of, database), &bundles);
            }
            let reports = if fed.len() == 1 { self.reconcile(&bundles, scopes()[fed[0]]) } else { Vec::new() };
            for source in &mut sources {
                let name = &source.config.name;
                let ends = fed.iter().filter_map(|of| Some((scopes()[*of], *ends[*of].get(name)?))).collect::<Vec<_>>();
                if ends.is_empty() {
                    continue;
                }
                self.world.table = source.config.clone();
                let received = Received { source, ends, target: self.read_target(database, name), database };
                received.check_rows();
                received.check_deleted();
                received.check_foreign();
                let report = reports.iter().find(|report| report.table == *name);
                report.into_iter().for_each(|report| received.check_reconciled(report, &self.world));
            }
        }
        self.tables = sources;
    }

    /// What was published and shipped of a scope is its own, whole and sealed. Gives how far its bundles reach.
    fn check_places(&mut self, of: usize) -> BTreeMap<TableName, End> {
        let delivered = self.bundles(of);
        let published = places(&[self.folder(of)]).unwrap().into_iter().map(|found| found.path);
        let all: BTreeSet<PathBuf> = published.chain(delivered.iter().cloned()).collect();
        for path in &all {
            if !self.verified.contains(path) {
                let run = open(path).manifest().run.clone();
                assert_eq!(Scope::from(run.business_unit), scopes()[of], "{} is another's", path.display());
                self.recorded[&run.run_id].seal.check(path);
                self.verified.insert(path.clone());
            }
        }
        let mut ends = BTreeMap::new();
        for path in delivered {
            let bundle = open(&path);
            let started = self.recorded[&bundle.manifest().run.run_id].started;
            for table in &bundle.manifest().tables {
                let end = ends.entry(table.name.clone()).or_insert((Timestamp::MIN, i64::MIN));
                *end = (end.0.max(table.window.end), end.1.max(started));
            }
        }
        ends
    }

    /// By its links alone: windows overlap where runs follow each other soon.
    fn check_gap(&self, of: usize, bundles: &[PathBuf]) {
        let opened: Vec<Bundle> = bundles.iter().map(|path| open(path)).collect();
        let tables = opened.iter().flat_map(|bundle| &bundle.manifest().tables);
        let followed: BTreeSet<Sha256> =
            tables.filter_map(|table| Some(table.previous.as_ref()?.root_sha256)).collect();
        let Some(nth) = opened.iter().rposition(|bundle| followed.contains(&bundle.root_sha256())) else { return };
        let rest: Vec<PathBuf> = [&bundles[..nth], &bundles[nth + 1..]].concat();
        let options = ReplayOptions {
            database: Some("CopyGap".into()),
            create: true,
            into_source: true,
            access: seals::access(),
            ..ReplayOptions::default()
        };
        let planned = plan(&rest, &mut *self.world.target(), &options, &Silent);
        let kind = planned.as_ref().map_err(Error::kind).map(|_| ());
        assert_eq!(kind, Err(Kind::ChainGap), "{}: {} was left out", scopes()[of], bundles[nth].display());
    }

    fn reconcile(&mut self, bundles: &[PathBuf], scope: Scope) -> Vec<TableDifferences> {
        let (unit, access) = (scope.business_unit(), seals::access());
        let options = ReconcileOptions { unit, content: true, access, ..ReconcileOptions::default() };
        reconcile(bundles, &mut *self.world.backend, &options, &Silent).unwrap()
    }

    fn read_target(&self, database: &str, source: &TableName) -> BTreeMap<Guid, TargetRow> {
        let mut target = self.world.target();
        let table = TableName::new(database, "dbo", &source.table).unwrap();
        let all = target.columns(&table).unwrap();
        // The key of a row is its path where trees are kept by the parent's key.
        let path = if self.world.keys.is_by_parent() { "stream_id" } else { "path_locator" };
        let wanted = ["stream_id", "file_stream", "DeltaModifiedOn", "DeltaParentKey", path, "name"];
        let columns: Vec<_> =
            wanted.iter().map(|name| all.iter().find(|column| column.name == *name).unwrap().clone()).collect();
        let mut rows = TargetRows::default();
        target.scan(&table, &columns, "stream_id", &mut rows).unwrap();
        rows.done
    }
}

fn open(path: &Path) -> Bundle {
    Bundle::open_in(Container::open(path, &seals::access()).unwrap()).unwrap()
}

/// Whether the last run took it, if it came to it.
fn is_taken(source: &Rows, end: End, number: u32) -> bool {
    !source.excluded.contains(&number) && source.included.get(&number).is_none_or(|at| *at < end.1)
}

/// Whether a row has to be with the receivers of a scope, as it is in the source.
fn is_due(source: &Rows, (scope, end): (Scope, End), number: u32, row: &Row) -> bool {
    let (Some((_, came)), Some(metadata)) = (&row.blob, &row.metadata) else { return false };
    row.is_in(scope)
        && is_taken(source, end, number)
        && !source.unseen.contains(&(scope, number))
        && minute(metadata.modified) < end.0
        && *came < end.1
}

impl Received<'_> {
    fn place(&self, scope: Scope, number: u32) -> String {
        format!("{}.{}, {scope}, key {number}", self.database, self.source.config.name.table)
    }

    /// Nothing is missing, and nothing differs.
    fn check_rows(&self) {
        for (scope, end) in &self.ends {
            let rows = self.source.rows.iter();
            for (number, row) in rows.filter(|(number, row)| is_due(self.source, (*scope, *end), **number, row)) {
                self.check_row(*scope, *number, row);
                self.check_above((*scope, *end), *number, row);
            }
        }
    }

    fn check_row(&self, scope: Scope, number: u32, row: &Row) {
        let (Some((bytes, _)), Some(Metadata { modified, is_latest, .. })) = (&row.blob, &row.metadata) else {
            return;
        };
        let (found, place) = (self.target.get(&key(number)), self.place(scope, number));
        let has_gone = self.source.deleted.contains_key(&number) || self.source.left.contains_key(&(scope, number));
        if !is_latest && (found.is_some() || has_gone) {
            return;
        }
        let found = found.unwrap_or_else(|| panic!("{place}: missing"));
        assert_eq!(found.bytes.as_deref(), Some(&bytes[..]), "{place}: bytes differ");
        assert_eq!(found.modified, Some(minute(*modified)), "{place}: ModifiedOn differs");
        // A parent that was not there is named by nobody before it is.
        let is_seen = |parent: &u32| {
            let blob = self.source.rows.get(parent).and_then(|row| row.blob.as_ref());
            blob.is_some_and(|blob| self.ends.iter().all(|(_, end)| blob.1 < end.1))
        };
        if let Some(parent) = row.parent.filter(is_seen) {
            assert_eq!(found.parent, Some(key(parent)), "{place}: the parent differs");
        }
    }

    /// What lies above a row is there too: as far as the last run saw it, and not buried in a scope of its own.
    fn check_above(&self, (scope, end): (Scope, End), number: u32, row: &Row) {
        if !row.metadata.as_ref().is_some_and(|metadata| metadata.is_latest) {
            return;
        }
        let mut above = row.parent;
        while let Some((folder, of)) = above.and_then(|folder| Some((folder, self.source.rows.get(&folder)?))) {
            let is_seen = of.blob.as_ref().is_some_and(|blob| blob.1 < end.1) && is_taken(self.source, end, folder);
            // A deletion is of all chains.
            let has_tombstone = |at: &(i64, bool)| at.0 >= end.1 || of.is_in(scope) || self.ends.len() > 1;
            if !is_seen || self.source.deleted.get(&folder).is_some_and(has_tombstone) {
                return;
            }
            let place = self.place(scope, number);
            let found = self.target.get(&key(folder));
            let found = found.unwrap_or_else(|| panic!("{place}: the folder {folder} above it is missing"));
            self.check_name((scope, end), folder, of, found);
            above = of.parent;
        }
    }

    /// An ancestor out of scope has the name by which it was stamped last.
    fn check_name(&self, (scope, end): (Scope, End), folder: u32, of: &Row, found: &TargetRow) {
        let (Some((bytes, _)), Some(metadata)) = (&of.blob, &of.metadata) else { return };
        // Nobody but a reconciliation sees what left the scope of all units; and what others have may be older.
        let is_reported = scope != Scope::All || !self.source.seen.contains(&(scope, folder));
        let is_waited_for = found.modified >= Some(end.0) || minute(metadata.modified) >= end.0;
        if of.is_in(scope)
            || !is_reported
            || is_waited_for
            || self.ends.len() > 1
            || !of.is_stamped
            || !metadata.is_latest
        {
            return;
        }
        assert_eq!(found.name, name_of(bytes), "{}: the name differs", self.place(scope, folder));
    }

    fn check_deleted(&self) {
        let gone = self.source.deleted.iter().filter(|(number, _)| !self.source.rows.contains_key(number));
        for (number, (at, is_latest)) in gone {
            if *is_latest && self.ends.iter().all(|(_, end)| *at < end.1) {
                let place = self.place(self.ends[0].0, *number);
                assert!(!self.target.contains_key(&key(*number)), "{place}: it was deleted, and stands");
            }
        }
    }

    /// Nothing is there that is another's.
    fn check_foreign(&self) {
        for (number, row) in &self.source.rows {
            let Some(found) = self.target.get(&key(*number)).filter(|found| found.bytes.is_some()) else { continue };
            if !self.ends.iter().any(|(scope, end)| self.may_stand((*scope, *end), *number, row, found)) {
                panic!("{}: it is none of theirs, and stands whole", self.place(self.ends[0].0, *number));
            }
        }
    }

    fn may_stand(&self, (scope, end): (Scope, End), number: u32, row: &Row, found: &TargetRow) -> bool {
        let place = (scope, number);
        if row.is_in(scope) {
            return true;
        }
        if !self.source.seen.contains(&place) {
            return false;
        }
        // Only its own runs tell a unit what left it; nobody tells all units.
        scope == Scope::All
            || self.source.left.get(&place).is_none_or(|at| *at >= end.1)
            // A row that came before its window is waited for.
            || row.metadata.is_none()
            || found.modified >= Some(end.0)
    }

    /// What `reconcile` says of the bundles is what a comparison of source and receiver says.
    fn check_reconciled(&self, report: &TableDifferences, world: &crate::scenarios::world::World) {
        let [(scope, end)] = self.ends[..] else { return };
        let is_lack = |kind| {
            use DifferenceKind::{Buried, Missing, Moved, Older, OtherContent};
            matches!(kind, Missing | Older | Moved | OtherContent | Buried)
        };
        let differs = |number: u32, row: &Row| {
            let found = self.target.get(&key(number));
            let (bytes, modified) = (row.blob.as_ref().map(|blob| &blob.0), row.metadata.as_ref().map(|m| m.modified));
            found.is_none_or(|found| {
                found.bytes.as_ref() != bytes
                    || found.modified != modified.map(minute)
                    || (!world.keys.is_by_parent() && found.path != world.path_of(number))
            })
        };
        let number_of = |finding: &Difference| u32::from_be_bytes(finding.key.as_bytes()[12..].try_into().unwrap());
        for finding in report.findings.iter().filter(|finding| is_lack(finding.kind)) {
            let (number, place) = (number_of(finding), self.place(scope, number_of(finding)));
            let row = &self.source.rows[&number];
            assert!(differs(number, row), "{place}: {finding:?}, and is there as in the source");
            let is_latest = row.metadata.as_ref().is_some_and(|metadata| metadata.is_latest);
            let is_due = is_due(self.source, (scope, end), number, row);
            assert!(!is_latest || finding.kind == DifferenceKind::Moved || !is_due, "{place}: {finding:?}");
        }
        for finding in
            report.findings.iter().filter(|f| matches!(f.kind, DifferenceKind::Gone | DifferenceKind::LeftScope))
        {
            let place = self.place(scope, number_of(finding));
            assert!(self.target.contains_key(&finding.key), "{place}: {finding:?}, and is not there");
        }
        let is_named = |number: u32| report.findings.iter().any(|finding| finding.key == key(number));
        let unnamed = self.source.rows.iter().filter(|(number, row)| {
            let modified = row.metadata.as_ref().map(|metadata| minute(metadata.modified));
            row.is_in(scope)
                && row.blob.is_some()
                && modified < report.reached
                && differs(**number, row)
                && !is_named(**number)
                && !self.source.excluded.contains(number)
        });
        let unnamed: Vec<u32> = unnamed.map(|(number, _)| *number).collect();
        assert!(unnamed.len() as u64 <= report.pending, "{}: {unnamed:?} differ: {report:?}", self.place(scope, 0));
    }
}

#[derive(Default)]
struct TargetRow {
    bytes: Option<Vec<u8>>,
    modified: Option<Timestamp>,
    parent: Option<Guid>,
    path: Option<Vec<u8>>,
    name: String,
}

#[derive(Default)]
struct TargetRows {
    done: BTreeMap<Guid, TargetRow>,
    key: Option<Guid>,
    row: TargetRow,
}

impl CellSink for TargetRows {
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        match (column, cell) {
            (0, key) => self.key = id(key),
            (1, Cell::Bytes(bytes)) => self.row.bytes = Some(bytes.to_vec()),
            (2, Cell::DateTime(at)) => self.row.modified = Some(at),
            (3, parent) => self.row.parent = id(parent),
            (4, Cell::Bytes(path)) => self.row.path = Some(path.to_vec()),
            (5, Cell::Text(name)) => name.clone_into(&mut self.row.name),
            _ => {}
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        let earlier = self.done.insert(self.key.take().unwrap(), std::mem::take(&mut self.row));
        assert!(earlier.is_none(), "each key once");
        Ok(())
    }
}
