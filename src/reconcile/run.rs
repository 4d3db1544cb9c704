//! One reconciliation, table by table.

use super::bundles::{LatestVersion, MEMORY, ReconciledChain, content_of, gather};
use super::options::{Difference, DifferenceKind, NotReported, ReconcileOptions, TableDifferences};
use crate::backend::{Backend, Flagged, InventoryRow, KeyRequest, ParentRow, Remains};
use crate::bundle::{Bundle, Container};
use crate::error::{Error, Result};
use crate::latest::{KeyMap, LatestIndex};
use crate::model::clock::ClockKind;
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::run::Scope;
use crate::model::slice::{Deletion, DeletionReason};
use crate::model::sqltype::SqlType;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::monitor::{Event, Monitor};
use std::path::PathBuf;

/// Keys of a page.
const PAGE: u32 = 1000;
/// By so many ticks a leaving is later than one that was reported: a microsecond, which every server keeps.
const PASSES: i64 = 10;
/// What stands in `BlobDeltaPendingKey` for it.
const REASON: &str = "reconcile: ";

/// Holds what the source has before its watermarks against bundles, for every active table or one.
///
/// # Errors
/// Config, for a table that is not configured or names what is not there; Verification and Usage, for
/// bundles that cannot be read; Database; Cancelled.
pub fn reconcile(
    bundles: &[PathBuf],
    backend: &mut dyn Backend,
    options: &ReconcileOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<TableDifferences>> {
    if options.pend || options.log_deletions {
        backend.check_server()?;
    }
    let open = |path: &PathBuf| Bundle::open_in(Container::open(path, &options.access)?);
    let bundles = bundles.iter().map(open).collect::<Result<Vec<_>>>()?;
    bundles.iter().try_for_each(Bundle::check_file_set)?;
    let tables = match &options.table {
        Some(name) => vec![backend.table(name)?],
        None => backend.tables()?.into_iter().filter(|table| table.is_active).collect(),
    };
    let source_id = backend.source_id()?;
    let mut reports = Vec::new();
    for table in &tables {
        let report = Reconciler::new(table, source_id, &bundles, backend, options, monitor).and_then(Reconciler::run);
        reports.push(report.map_err(|error| error.table(&table.name))?);
    }
    Ok(reports)
}

pub(super) struct Reconciler<'a> {
    pub(super) table: &'a TableConfig,
    pub(super) backend: &'a mut dyn Backend,
    options: &'a ReconcileOptions,
    monitor: &'a dyn Monitor,
    pub(super) scope: Scope,
    /// What the chain of the scope holds, which is what its receivers have: those of a unit have nothing of all units' chain.
    pub(super) index: LatestIndex<LatestVersion>,
    /// Folders that were looked at.
    pub(super) visited: KeyMap<()>,
    /// In the table's clock.
    pub(super) now: Timestamp,
    /// What the key column is now.
    key_column: Option<SqlType>,
    /// The columns whose content is compared.
    hashed: Vec<Column>,
    pub(super) report: TableDifferences,
    /// Keys of the page whose metadata stands, and whose row is gone.
    lost: Vec<(Guid, LatestVersion)>,
    /// Keys of the page that the source and the bundles have.
    pub(super) held: Vec<Guid>,
}

impl<'a> Reconciler<'a> {
    fn new(
        table: &'a TableConfig,
        source_id: Guid,
        bundles: &[Bundle],
        backend: &'a mut dyn Backend,
        options: &'a ReconcileOptions,
        monitor: &'a dyn Monitor,
    ) -> Result<Self> {
        let scope = Scope::from(options.unit);
        let mut report = TableDifferences::new(table, backend.reached(&table.name, scope)?);
        let mut hashed = backend.source_columns(table)?;
        let key_column = hashed.iter().find(|column| column.name == table.key_column).map(|column| column.sql_type);
        // Of the metadata nothing is compared: what changes there has a stamp of its own.
        let is_own = |column: &Column| table.metadata_column_of(&column.name).is_none();
        hashed.retain(|column| column.sql_type.is_large_binary() && table.carries(&column.name) && is_own(column));
        let content = options.content;
        let chain = ReconciledChain { source_id, table: &table.name, scope, hashed: &hashed, content };
        let gathered = gather(bundles, &chain, monitor)?;
        (report.bundles, report.foreign_bundles) = (gathered.bundles, gathered.foreign);
        let active: Vec<TableConfig> = backend.tables()?.into_iter().filter(|table| table.is_active).collect();
        report.not_reported = match options.unit {
            Some(unit) if !backend.has_unit(&active, unit)? => Some(NotReported::UnitIsGone(unit)),
            _ => (!table.include_deletions).then_some(NotReported::DeletionsAreOff),
        };
        let now = backend.now()?;
        let now = if table.clock == ClockKind::Utc { now.utc } else { now.local };
        report.whole = backend.whole_table(table, now)?;
        let (index, visited) = (gathered.index, KeyMap::new(MEMORY));
        let (lost, held) = (Vec::new(), Vec::new());
        Ok(Self {
            table,
            backend,
            options,
            monitor,
            scope,
            index,
            visited,
            now,
            key_column,
            hashed,
            report,
            lost,
            held,
        })
    }

    fn run(mut self) -> Result<TableDifferences> {
        let name = self.table.name.to_string();
        self.monitor.event(Event::WorkStarted { what: "reconcile", name: &name, rows: None, bytes: None });
        let done = self.source_side().and_then(|()| self.bundle_side());
        self.monitor.event(Event::WorkFinished);
        done.map(|()| self.report)
    }

    /// Every key that the source has in scope, against the bundles.
    fn source_side(&mut self) -> Result<()> {
        let mut after = None;
        loop {
            self.monitor.check()?;
            let page = self.backend.inventory(self.table, self.options.unit, self.now, after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key);
            let (mut same, parents) = (Vec::new(), self.parents_of(&page)?);
            for row in &page {
                if let Some(latest) = self.compare(row, parents.get(&row.key))? {
                    same.push((row, latest));
                }
            }
            self.compare_content(&same)?;
            let lost = std::mem::take(&mut self.lost);
            for ((key, latest), remains) in lost.iter().zip(self.remains(&lost)?) {
                self.judge_gone(*key, *latest, remains)?;
            }
            self.compare_ancestors(parents)?;
            self.monitor.event(Event::WorkDone { rows: page.len() as u64, bytes: 0 });
        }
    }

    /// Gives the version of a row that seems to be equal.
    fn compare(&mut self, row: &InventoryRow, parent: Option<&ParentRow>) -> Result<Option<LatestVersion>> {
        self.report.keys += 1;
        let latest = self.index.match_key(row.key)?;
        if row.is_excluded {
            self.report.excluded += 1;
            return Ok(None);
        }
        if row.is_there && latest.is_some_and(|latest| latest.version.tombstone.is_none()) {
            self.held.push(row.key);
        }
        let Some(modified_on) = row.modified_on else {
            self.find(DifferenceKind::NullModifiedOn, row, latest)?;
            return Ok(None);
        };
        if modified_on > self.now {
            self.find(DifferenceKind::FutureModifiedOn, row, latest)?;
            return Ok(None);
        }
        if !row.is_there {
            // Metadata without its row: nothing to send, unless it was sent before.
            match latest.filter(|latest| latest.version.tombstone.is_none()) {
                Some(latest) => self.lost.push((row.key, latest)),
                None => self.report.not_due += 1,
            }
            return Ok(None);
        }
        if row.is_pending {
            self.report.pending += 1;
            return Ok(None);
        }
        let Some(kind) = self.kind(row, modified_on, latest, parent) else { return Ok(latest) };
        if kind == DifferenceKind::StampedBack && self.options.content {
            return Ok(latest);
        }
        // What the bundles have wrong of an older version does not matter before the newer one is due.
        if !self.is_due(modified_on) {
            self.report.not_due += 1;
            return Ok(None);
        }
        self.find(kind, row, latest)?;
        Ok(None)
    }

    fn kind(
        &self,
        row: &InventoryRow,
        modified_on: Timestamp,
        latest: Option<LatestVersion>,
        parent: Option<&ParentRow>,
    ) -> Option<DifferenceKind> {
        let Some(latest) = latest else { return Some(DifferenceKind::Missing) };
        let held = latest.version.modified_on;
        if let Some(reason) = latest.version.tombstone {
            // What left its scope and is in it again wins by a later run.
            let is_later = held > Some(modified_on) || (reason == DeletionReason::Deleted && held == Some(modified_on));
            return Some(if is_later { DifferenceKind::Buried } else { DifferenceKind::Missing });
        }
        if held < Some(modified_on) {
            return Some(DifferenceKind::Older);
        }
        // It left its unit, was handed out once more without its blob, and has come back without a stamp.
        let has_units = self.table.metadata_business_unit_column.is_some();
        if has_units && latest.is_ancestor && latest.unit.is_none() && held.is_some() {
            return Some(DifferenceKind::Missing);
        }
        if held > Some(modified_on) {
            return Some(DifferenceKind::StampedBack);
        }
        let path = row.path.as_ref().map(|path| Sha256::of(path));
        (path != latest.path || parent.is_some_and(|parent| parent.is_another_than(latest.parent_key)))
            .then_some(DifferenceKind::Moved)
    }

    fn compare_content(&mut self, same: &[(&InventoryRow, LatestVersion)]) -> Result<()> {
        if !self.options.content {
            self.report.equal += same.len() as u64;
            return Ok(());
        }
        let keys: Vec<Guid> = same.iter().map(|(row, _)| row.key).collect();
        let found = match self.hashed.is_empty() {
            true => vec![None; keys.len()],
            false => self.backend.source_content(self.table, &self.hashed, &keys)?,
        };
        for ((row, latest), hashes) in same.iter().zip(found) {
            let named = |hashes: Vec<_>| content_of(self.hashed.iter().map(|column| column.name.as_str()).zip(hashes));
            let is_same = hashes.is_none_or(|hashes| named(hashes) == latest.content);
            let is_back = latest.version.modified_on > row.modified_on;
            match (is_same, is_back) {
                (true, false) => self.report.equal += 1,
                (true, true) => self.find(DifferenceKind::StampedBack, row, Some(*latest))?,
                (false, true) => self.find(DifferenceKind::WentBack, row, Some(*latest))?,
                (false, false) => self.find(DifferenceKind::OtherContent, row, Some(*latest))?,
            }
        }
        Ok(())
    }

    pub(super) fn find(
        &mut self,
        kind: DifferenceKind,
        row: &InventoryRow,
        latest: Option<LatestVersion>,
    ) -> Result<()> {
        let in_bundles = latest.and_then(|latest| latest.version.modified_on);
        self.note(Difference { kind, key: row.key, at_source: row.modified_on, in_bundles })
    }

    fn note(&mut self, finding: Difference) -> Result<()> {
        let (kind, key) = (finding.kind, finding.key);
        self.report.note(finding);
        if self.options.pend && kind.can_be_pended() {
            let reason = format!("{REASON}{}", kind.as_str());
            let scope = self.options.unit.map(Scope::BusinessUnit);
            self.backend.pend_key(&self.table.name, key, &KeyRequest::of(scope, &reason))?;
            self.report.pended += 1;
        }
        Ok(())
    }

    /// Every key that the bundles have and the source did not name in this scope.
    fn bundle_side(&mut self) -> Result<()> {
        let mut after = None;
        while let Some(page) = next_page(&mut self.index, &mut after)? {
            self.monitor.check()?;
            let remains = self.remains(&page)?;
            for ((key, latest), remains) in page.iter().zip(remains) {
                if remains.flagged.is_some() && remains.is_excluded {
                    self.judge_excluded(*key, *latest, remains)?;
                } else if let Some(flagged) = remains.flagged {
                    self.judge_flagged(*key, *latest, flagged)?;
                } else if !remains.is_there {
                    self.judge_gone(*key, *latest, remains)?;
                } else if !self.came_for_others(latest) {
                    self.judge_left(*key, *latest, remains)?;
                }
            }
            self.monitor.event(Event::WorkDone { rows: page.len() as u64, bytes: 0 });
        }
        Ok(())
    }

    /// Whether it is out of scope and needed by what lies below it. An ancestor of the scope itself has its unit.
    pub(super) fn came_for_others(&self, latest: &LatestVersion) -> bool {
        latest.is_ancestor && (latest.unit.is_none() || self.table.metadata_business_unit_column.is_none())
    }

    pub(super) fn remains(&mut self, page: &[(Guid, LatestVersion)]) -> Result<Vec<Remains>> {
        let keys: Vec<Guid> = page.iter().map(|(key, _)| *key).collect();
        let remains = self.backend.remains(self.table, self.scope, self.now, &keys)?;
        match remains.len() == keys.len() {
            true => Ok(remains),
            false => Err(Error::internal("the source did not answer for every key")),
        }
    }

    /// Rule 6: a key that the bundles have and that is never captured. No run tells that it is deleted by `DeletedWhen`, whoever asks.
    pub(super) fn judge_excluded(&mut self, key: Guid, latest: LatestVersion, remains: Remains) -> Result<()> {
        self.report.excluded += 1;
        match remains.flagged.filter(|flagged| !self.passed_its_flag(&latest, flagged.on)) {
            Some(Flagged { on: at_source, .. }) => {
                let (kind, in_bundles) = (DifferenceKind::Excluded, latest.version.modified_on);
                self.note(Difference { kind, key, at_source, in_bundles })
            }
            None => Ok(()),
        }
    }

    /// Whether receivers were told of the flag, and have the folder without its content since, for what lies in it.
    fn passed_its_flag(&self, latest: &LatestVersion, flagged: Option<Timestamp>) -> bool {
        let passes = flagged.map(|flagged| flagged.plus_ticks(PASSES));
        passes.is_some() && latest.version.modified_on == passes && self.came_for_others(latest)
    }

    /// A key that is deleted by `DeletedWhen`. A tombstone that is earlier than what the bundles have loses at receivers.
    fn judge_flagged(&mut self, key: Guid, latest: LatestVersion, flagged: Flagged) -> Result<()> {
        let held = latest.version.modified_on;
        let finding = |kind| Difference { kind, key, at_source: flagged.on, in_bundles: held };
        let Some(on) = flagged.on else { return self.note(finding(DifferenceKind::NullModifiedOn)) };
        if on > self.now {
            return self.note(finding(DifferenceKind::FutureModifiedOn));
        }
        if flagged.is_pending {
            self.report.pending += 1;
        } else if self.passed_its_flag(&latest, flagged.on) {
            self.report.equal += 1;
        } else if held > Some(on) {
            let is_compared = self.options.content;
            self.note(finding(if is_compared { DifferenceKind::WentBack } else { DifferenceKind::StampedBack }))?;
        } else if self.is_due(on) {
            self.note(finding(DifferenceKind::Flagged))?;
        } else {
            self.report.not_due += 1;
        }
        Ok(())
    }

    /// Whether a run that is completed has taken what has this stamp.
    fn is_due(&self, modified_on: Timestamp) -> bool {
        self.report.reached.is_some_and(|reached| modified_on < reached)
            && self.table.initial_baseline.is_none_or(|baseline| modified_on >= baseline)
    }

    fn judge_gone(&mut self, key: Guid, latest: LatestVersion, remains: Remains) -> Result<()> {
        let held = latest.version.modified_on;
        // Rule 15: the runs of a unit report deletions of keys that the unit was handed; of other keys, that they left it.
        let deletion = match remains.is_handed {
            true => Deletion { key, deleted_on: self.now, business_unit: latest.unit, reason: DeletionReason::Deleted },
            // A row whose blob comes late has the stamp of its metadata: only what was handed out is outranked.
            false => self.leaving(key, held, remains),
        };
        let finding = Difference { kind: DifferenceKind::Gone, key, at_source: None, in_bundles: held };
        self.note_or_logged(finding, remains.deleted_on.max(remains.left_on), deletion)
    }

    fn judge_left(&mut self, key: Guid, latest: LatestVersion, remains: Remains) -> Result<()> {
        let (held, at_source) = (latest.version.modified_on, remains.modified_on);
        let finding = Difference { kind: DifferenceKind::LeftScope, key, at_source, in_bundles: held };
        // A row that comes back later wins, also one that was stamped before now and is committed after it.
        let newest = held.max(at_source.map(|at_source| at_source.min(self.now)));
        self.note_or_logged(finding, remains.left_on, self.leaving(key, newest, remains))
    }

    /// What to log of a key that left the scope (rule 17). If it was reported as left, and no bundle says so, it is reported
    /// again: the time is later than the one that was reported (rule 15).
    fn leaving(&self, key: Guid, newest: Option<Timestamp>, remains: Remains) -> Deletion {
        let reported = remains.reported_on.map(|reported| reported.plus_ticks(PASSES));
        let deleted_on = newest.unwrap_or(self.now).max(reported.unwrap_or(Timestamp::MIN));
        Deletion { key, deleted_on, business_unit: self.options.unit, reason: DeletionReason::LeftScope }
    }

    /// Rule 15: a deletion that is logged explains a difference if the next run reports it. Nothing is logged twice.
    fn note_or_logged(&mut self, finding: Difference, logged: Option<Timestamp>, deletion: Deletion) -> Result<()> {
        let is_logged = logged.is_some() && logged >= finding.in_bundles;
        if is_logged && self.report.not_reported.is_none() {
            self.report.logged += 1;
            return Ok(());
        }
        self.report.note(finding);
        if !is_logged && self.key_column.is_some_and(|column| !self.table.key_type.fits(deletion.key, column)) {
            self.report.unfit += 1;
        } else if self.options.log_deletions && !is_logged {
            self.backend.log_deletion(&self.table.name, &deletion)?;
            self.report.deletions += 1;
        }
        Ok(())
    }
}

/// The next keys that nobody saw and that are not deleted.
fn next_page(
    index: &mut LatestIndex<LatestVersion>,
    after: &mut Option<Guid>,
) -> Result<Option<Vec<(Guid, LatestVersion)>>> {
    let page = index.unmatched(*after, PAGE as usize, |latest| latest.version.tombstone.is_none())?;
    *after = page.last().map(|(key, _)| *key);
    Ok((!page.is_empty()).then_some(page))
}
