//! One reconciliation, table by table.

use super::bundles::{Chain, content_of, gather};
use super::options::{Finding, FindingKind, ReconcileOptions, TableReport};
use crate::backend::{Backend, Holding, Holdings, InventoryRow};
use crate::bundle::{Bundle, Container};
use crate::error::{Error, Result};
use crate::model::clock::ClockKind;
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::run::Scope;
use crate::model::slice::{Deletion, DeletionReason};
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use crate::monitor::{Event, Monitor};
use std::path::PathBuf;

/// Keys of a page.
const PAGE: u32 = 1000;
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
) -> Result<Vec<TableReport>> {
    if options.pend || options.log_deletions {
        backend.check_server()?;
    }
    let open = |path: &PathBuf| Bundle::open_in(Container::open(path, &options.identities)?);
    let bundles = bundles.iter().map(open).collect::<Result<Vec<_>>>()?;
    bundles.iter().try_for_each(Bundle::check_file_set)?;
    let tables = match &options.table {
        Some(name) => vec![backend.table(name)?],
        None => backend.tables()?.into_iter().filter(|table| table.is_active).collect(),
    };
    let source_id = backend.source_id()?;
    let mut reports = Vec::new();
    for table in &tables {
        let chain = Chain { source_id, table: &table.name, unit: options.unit };
        let report = Reconciler::new(table, &chain, &bundles, backend, options, monitor).and_then(Reconciler::run);
        reports.push(report.map_err(|error| error.table(&table.name))?);
    }
    Ok(reports)
}

struct Reconciler<'a> {
    table: &'a TableConfig,
    backend: &'a mut dyn Backend,
    options: &'a ReconcileOptions,
    monitor: &'a dyn Monitor,
    holdings: Box<dyn Holdings>,
    /// In the table's clock.
    now: Timestamp,
    /// The columns whose content bundles hash, in their order.
    hashed: Vec<Column>,
    report: TableReport,
}

impl<'a> Reconciler<'a> {
    fn new(
        table: &'a TableConfig,
        chain: &Chain<'_>,
        bundles: &[Bundle],
        backend: &'a mut dyn Backend,
        options: &'a ReconcileOptions,
        monitor: &'a dyn Monitor,
    ) -> Result<Self> {
        let scope = options.unit.map_or(Scope::All, Scope::BusinessUnit);
        let mut report = TableReport::new(&table.name, backend.reached(&table.name, scope)?);
        let (holdings, count) = gather(bundles, chain, monitor)?;
        report.bundles = count;
        let now = backend.now()?;
        let now = if table.clock == ClockKind::Utc { now.utc } else { now.local };
        let mut hashed = backend.source_columns(table)?;
        hashed.retain(|column| column.sql_type.is_large_binary());
        Ok(Self { table, backend, options, monitor, holdings, now, hashed, report })
    }

    fn run(mut self) -> Result<TableReport> {
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
            let page = self.backend.inventory(self.table, self.options.unit, after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key);
            let mut same = Vec::new();
            for row in &page {
                if let Some(holding) = self.compare(row)? {
                    same.push((row, holding));
                }
            }
            self.compare_content(&same)?;
            self.monitor.event(Event::WorkDone { rows: page.len() as u64, bytes: 0 });
        }
    }

    /// Gives the version of a row that seems to be equal.
    fn compare(&mut self, row: &InventoryRow) -> Result<Option<Holding>> {
        self.report.keys += 1;
        let holding = self.holdings.see(row.key)?;
        if row.is_excluded {
            self.report.excluded += 1;
            return Ok(None);
        }
        let Some(modified_on) = row.modified_on else {
            self.find(FindingKind::NullModifiedOn, row, holding)?;
            return Ok(None);
        };
        if modified_on > self.now {
            self.find(FindingKind::FutureModifiedOn, row, holding)?;
            return Ok(None);
        }
        if !row.is_there {
            // Metadata without its row: nothing to send, unless it was sent before.
            match holding.filter(|holding| !holding.version.tombstone) {
                Some(holding) => self.left(row.key, holding, FindingKind::Gone)?,
                None => self.report.not_due += 1,
            }
            return Ok(None);
        }
        if row.is_pending {
            self.report.pending += 1;
            return Ok(None);
        }
        let is_due = self.report.reached.is_some_and(|reached| modified_on < reached)
            && self.table.initial_baseline.is_none_or(|baseline| modified_on >= baseline);
        let Some(kind) = self.kind(row, modified_on, holding) else { return Ok(holding) };
        // What the bundles have wrong of an older version does not matter before the newer one is due.
        if !is_due {
            self.report.not_due += 1;
            return Ok(None);
        }
        self.find(kind, row, holding)?;
        Ok(None)
    }

    fn kind(&self, row: &InventoryRow, modified_on: Timestamp, holding: Option<Holding>) -> Option<FindingKind> {
        let Some(holding) = holding else { return Some(FindingKind::Missing) };
        let held = holding.version.modified_on;
        if holding.version.tombstone {
            let is_later = held >= Some(modified_on);
            return Some(if is_later { FindingKind::Buried } else { FindingKind::Missing });
        }
        if held < Some(modified_on) {
            return Some(FindingKind::Older);
        }
        if held > Some(modified_on) {
            return Some(FindingKind::StampedBack);
        }
        let path = row.path.as_ref().map(|path| Sha256::of(path));
        (path != holding.path).then_some(FindingKind::Moved)
    }

    fn compare_content(&mut self, same: &[(&InventoryRow, Holding)]) -> Result<()> {
        if !self.options.content || self.hashed.is_empty() {
            self.report.equal += same.len() as u64;
            return Ok(());
        }
        let keys: Vec<Guid> = same.iter().map(|(row, _)| row.key).collect();
        let found = self.backend.source_content(self.table, &self.hashed, &keys)?;
        for ((row, holding), hashes) in same.iter().zip(found) {
            match hashes.is_none_or(|hashes| content_of(&hashes) == holding.content) {
                true => self.report.equal += 1,
                false => self.find(FindingKind::OtherContent, row, Some(*holding))?,
            }
        }
        Ok(())
    }

    fn find(&mut self, kind: FindingKind, row: &InventoryRow, holding: Option<Holding>) -> Result<()> {
        let in_bundles = holding.and_then(|holding| holding.version.modified_on);
        self.report.note(Finding { kind, key: row.key, at_source: row.modified_on, in_bundles });
        if self.options.pend && kind.can_be_pended() {
            let reason = format!("{REASON}{}", kind.as_str());
            let scope = self.options.unit.map(Scope::BusinessUnit);
            self.backend.pend_key(&self.table.name, row.key, scope, &reason)?;
            self.report.pended += 1;
        }
        Ok(())
    }

    /// Every key that the bundles have and the source did not name.
    fn bundle_side(&mut self) -> Result<()> {
        let mut after = None;
        loop {
            self.monitor.check()?;
            let page = self.holdings.unseen(after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            let keys: Vec<Guid> = page.iter().map(|(key, _)| *key).collect();
            let remains = self.backend.remains(self.table, &keys)?;
            if remains.len() != keys.len() {
                return Err(Error::internal("the source did not answer for every key"));
            }
            for ((key, holding), remains) in page.into_iter().zip(remains) {
                // Another unit's rows come as ancestors, and stay so.
                let is_foreign = self.options.unit.is_some_and(|unit| holding.unit.is_some_and(|other| other != unit));
                if remains.deleted_on.is_some() && remains.deleted_on >= holding.version.modified_on {
                    self.report.logged += 1;
                } else if !remains.is_there {
                    self.left(key, holding, FindingKind::Gone)?;
                } else if !holding.is_ancestor && !is_foreign {
                    self.left(key, holding, FindingKind::OutOfScope)?;
                }
            }
            self.monitor.event(Event::WorkDone { rows: keys.len() as u64, bytes: 0 });
        }
    }

    /// A row that should go.
    fn left(&mut self, key: Guid, holding: Holding, kind: FindingKind) -> Result<()> {
        self.report.note(Finding { kind, key, at_source: None, in_bundles: holding.version.modified_on });
        if self.options.log_deletions && kind.can_be_deleted() {
            let deletion =
                Deletion { key, deleted_on: self.now, business_unit: holding.unit, reason: DeletionReason::Deleted };
            self.backend.log_deletion(&self.table.name, &deletion)?;
            self.report.deletions += 1;
        }
        Ok(())
    }
}
