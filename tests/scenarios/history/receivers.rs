//! Who receives the bundles of a history, one a scope: all units, A, B. After the bundles of its scope are
//! replayed into a receiver's database, in any order,
//!
//! - a key in its scope whose ModifiedOn lies before its scope's last WindowEnd, and whose blob came before its
//!   scope's last run, is there as it is in the source;
//! - no key whose deletion was logged and shipped stands there, unless it came back later;
//! - what left its unit before the unit's last run is not there, unless a child of it is;
//! - no blob is there of a row that never was in its scope;
//! - and `reconcile` misses nothing in the bundles that is there;
//! - every published bundle passes `verify --deep`.

use super::{History, Metadata, Row, scopes};
use crate::scenarios::world::{key, minute};
use blobdelta::bundle::Bundle;
use blobdelta::error::Result;
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::model::run::Scope;
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use blobdelta::reconcile::{FindingKind, ReconcileOptions, reconcile};
use blobdelta::replay::{ReplayOptions, replay};
use blobdelta::verify::{Level, verify};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The last WindowEnd of a scope, and its last start in true time, of runs that are in a bundle.
type End = (Timestamp, i64);

/// The databases of the receivers, in the order of [`scopes`].
const DATABASES: [&str; 3] = ["Copy", "CopyA", "CopyB"];

impl History {
    pub(super) fn bundles(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.world.out()).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
        paths.sort();
        paths
    }

    /// Each bundle to the receiver of its scope.
    pub(super) fn replay(&self, bundles: Vec<PathBuf>) {
        let mut of_scope: BTreeMap<Scope, Vec<PathBuf>> = BTreeMap::new();
        for bundle in bundles {
            let scope = Scope::from(Bundle::open(&bundle).unwrap().manifest().run.business_unit);
            of_scope.entry(scope).or_default().push(bundle);
        }
        for (scope, database) in scopes().into_iter().zip(DATABASES) {
            let Some(bundles) = of_scope.get(&scope) else { continue };
            let options = ReplayOptions {
                database: Some(database.into()),
                create: true,
                allow_gap: true,
                into_source: true,
                ..ReplayOptions::default()
            };
            replay(bundles, &mut *self.world.target(), &options, &Silent).unwrap();
        }
    }

    /// Everything that is published is replayed, and held against the map.
    pub(super) fn check(&mut self) {
        let bundles = self.bundles();
        for bundle in &bundles {
            let report = verify(bundle, Level::Deep, &Silent).unwrap();
            assert!(report.findings.is_empty(), "{}: {:?}", bundle.display(), report.findings);
        }
        self.replay(bundles);
        let ends = self.window_ends();
        for (scope, database) in scopes().into_iter().zip(DATABASES) {
            let Some(end) = ends.get(&scope) else { continue };
            let target = self.read_target(database);
            self.check_rows(scope, *end, &target);
            self.check_deleted(scope, *end, &target);
            self.check_foreign(scope, *end, &target);
            self.check_reconciled(scope, *end);
        }
    }

    /// Whether a row has to be with the receivers of a scope, as it is in the source.
    fn is_due(&self, scope: Scope, number: u32, row: &Row, end: End) -> bool {
        let (Some((_, came)), Some(metadata)) = (&row.blob, &row.metadata) else { return false };
        row.is_in(scope)
            && !self.unseen.contains(&(scope, number))
            && minute(metadata.modified) < end.0
            && *came < end.1
    }

    fn check_reconciled(&mut self, scope: Scope, end: End) {
        let bundles = self.bundles();
        let options = ReconcileOptions { unit: scope.business_unit(), content: true, ..ReconcileOptions::default() };
        let report = reconcile(&bundles, &mut *self.world.backend, &options, &Silent).unwrap().remove(0);
        let is_lack = |kind| matches!(kind, FindingKind::Missing | FindingKind::Older | FindingKind::OtherContent);
        for finding in report.findings.iter().filter(|finding| is_lack(finding.kind)) {
            let number = u32::from_be_bytes(finding.key.as_bytes()[12..].try_into().unwrap());
            let row = &self.rows[&number];
            let is_latest = row.metadata.as_ref().is_some_and(|metadata| metadata.is_latest);
            assert!(!is_latest || !self.is_due(scope, number, row, end), "{scope}: {finding:?}");
        }
    }

    /// Nothing is missing, and nothing differs.
    fn check_rows(&self, scope: Scope, end: End, target: &BTreeMap<Guid, TargetRow>) {
        for (number, row) in self.rows.iter().filter(|(number, row)| self.is_due(scope, **number, row, end)) {
            let (Some((bytes, _)), Some(Metadata { modified, is_latest, .. })) = (&row.blob, &row.metadata) else {
                continue;
            };
            let found = target.get(&key(*number));
            let has_gone = self.deleted.contains_key(number) || self.left.contains_key(&(scope, *number));
            if !is_latest && (found.is_some() || has_gone) {
                continue;
            }
            let found = found.unwrap_or_else(|| panic!("{scope}: key {number} was missed"));
            assert_eq!(found.bytes.as_deref(), Some(&bytes[..]), "{scope}: bytes of key {number}");
            assert_eq!(found.modified, Some(minute(*modified)), "{scope}: ModifiedOn of key {number}");
            if let Some(parent) = row.parent.filter(|parent| self.rows.contains_key(parent)) {
                assert_eq!(found.parent, Some(key(parent)), "{scope}: parent of key {number}");
            }
        }
    }

    fn check_deleted(&self, scope: Scope, end: End, target: &BTreeMap<Guid, TargetRow>) {
        for (number, (at, is_latest)) in self.deleted.iter().filter(|(number, _)| !self.rows.contains_key(number)) {
            if *is_latest && *at < end.1 {
                assert!(!target.contains_key(&key(*number)), "{scope}: key {number} was deleted, and stands");
            }
        }
    }

    /// Nothing is there that is another's.
    fn check_foreign(&self, scope: Scope, end: End, target: &BTreeMap<Guid, TargetRow>) {
        for (number, row) in self.rows.iter().filter(|(_, row)| !row.is_in(scope)) {
            let Some(found) = target.get(&key(*number)).filter(|found| found.bytes.is_some()) else { continue };
            let place = (scope, *number);
            assert!(self.seen.contains(&place), "{scope}: key {number} never was in it, and stands whole");
            // Only its own runs tell a unit what left it; nobody tells all units.
            if scope == Scope::All || self.left.get(&place).is_none_or(|at| *at >= end.1) {
                continue;
            }
            // A row that came before its window is waited for.
            if row.metadata.is_none() || found.modified >= Some(end.0) || self.holds(scope, *number, end, target) {
                continue;
            }
            panic!("{scope}: key {number} left it, and stands");
        }
    }

    /// Whether something below the key is in scope there, or waits to go, or was below it at the scope's last run.
    fn holds(&self, scope: Scope, folder: u32, end: End, target: &BTreeMap<Guid, TargetRow>) -> bool {
        if self.loosened.get(&folder).is_some_and(|at| *at >= end.1) {
            return true;
        }
        let below = self.rows.iter().filter(|(_, row)| row.parent == Some(folder));
        below.filter_map(|(number, row)| Some((*number, row, target.get(&key(*number))?))).any(
            |(number, row, found)| row.is_in(scope) || found.bytes.is_some() || self.holds(scope, number, end, target),
        )
    }

    fn window_ends(&mut self) -> BTreeMap<Scope, End> {
        let mut ends = BTreeMap::new();
        for run in self.world.backend.recent_runs(1000).unwrap() {
            if self.world.backend.bundles(run.id).unwrap().is_empty() {
                continue;
            }
            let report = self.world.backend.table_report(run.id, &self.world.table.name.clone()).unwrap();
            let end = ends.entry(run.scope).or_insert((Timestamp::MIN, i64::MIN));
            *end = (end.0.max(report.window.end), end.1.max(self.started[&run.id]));
        }
        ends
    }

    fn read_target(&self, database: &str) -> BTreeMap<Guid, TargetRow> {
        let mut target = self.world.target();
        let table = TableName::new(database, "dbo", "Docs").unwrap();
        let all = target.columns(&table).unwrap();
        let wanted = ["stream_id", "file_stream", "DeltaModifiedOn", "DeltaParentKey"];
        let columns: Vec<_> =
            wanted.iter().map(|name| all.iter().find(|column| column.name == *name).unwrap().clone()).collect();
        let mut rows = TargetRows::default();
        target.scan(&table, &columns, "stream_id", &mut rows).unwrap();
        rows.done
    }
}

#[derive(Default)]
struct TargetRow {
    bytes: Option<Vec<u8>>,
    modified: Option<Timestamp>,
    parent: Option<Guid>,
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
            (0, Cell::Guid(key)) => self.key = Some(key),
            (1, Cell::Bytes(bytes)) => self.row.bytes = Some(bytes.to_vec()),
            (2, Cell::DateTime(at)) => self.row.modified = Some(at),
            (3, Cell::Guid(parent)) => self.row.parent = Some(parent),
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
