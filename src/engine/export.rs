//! A complete slice into a bundle: rows, deletions, absent parents, manifest.

use super::content::ChainContent;
use super::leases::Leases;
use super::options::ContentChoice;
use super::packer::Packer;
use super::route::Route;
use crate::backend::{Backend, TableReport};
use crate::bundle::manifest::{
    BundleKind, ColumnInfo, FailedTable, HALF_OPEN, Previous, Producer, Rules, RunInfo, ScopeText, UtcTime, WindowInfo,
};
use crate::bundle::{
    BundleName, FORMAT_URI_BASE, FileInfo, FileRole, FormatVersion, KNOWN_CONTENT, Manifest, Missing, PartOptions,
    Published, StagedBundle, TableInfo, TableStage, create_table,
};
use crate::convert::{BatchBuilder, ColumnPlan, RunStamp, UnsealedBatch};
use crate::error::{Error, Result};
use crate::model::cell::Cell;
use crate::model::column::{Column, ColumnOrigin};
use crate::model::drift;
use crate::model::id::Guid;
use crate::model::key::{Key, KeyType};
use crate::model::name::TableName;
use crate::model::run::{Fence, Run};
use crate::model::slice::{ReadLimits, SlicePosition};
use crate::monitor::{Event, Monitor};
use std::sync::{Arc, mpsc};

/// Rows of a batch on its way, at most; its bytes are those of the options.
const BATCH_ROWS: u32 = 8192;
/// Batches that wait while one is read and one is hashed and compressed: each takes about as long.
const BATCHES_AHEAD: usize = 1;

/// Writes and publishes one bundle of tables whose leases are held.
pub(super) fn write_bundle(
    packer: &mut Packer<'_>,
    run: &Run,
    fences: &[Fence],
    number: u32,
    route: &Route,
) -> Result<Published> {
    let Packer { backend, leases, options, disk, monitor, .. } = packer;
    let (leases, options, monitor) = (*leases, *options, *monitor);
    let name = BundleName::new(run.started_at.utc, run.id, number);
    let mut fences = fences.to_vec();
    fences.sort_by(|a, b| a.table.cmp(&b.table));
    let reports = reports(&mut **backend, run, &fences)?;
    let rows = reports.iter().map(|report| report.counts.rows()).sum();
    monitor.event(Event::WorkStarted { what: "pack", name: name.as_str(), rows: Some(rows), bytes: None });
    let mut staged = StagedBundle::create(*disk, &route.out, name)?.signed_by(options.signer.clone());
    let parts = options.parts;
    let limits = ReadLimits { bytes: parts.batch_bytes()?, rows: BATCH_ROWS, inline_bytes: parts.inline_bytes()? };
    backend.limit_memory(options.memory.databases())?;
    let choice = options.content;
    let mut exporter = Exporter { backend: &mut **backend, leases, run, parts, limits, monitor };
    let mut tables = Vec::new();
    for (fence, report) in fences.iter().zip(&reports) {
        let info =
            exporter.table(&mut staged, (fence, number, choice), report).map_err(|error| error.table(&fence.table))?;
        tables.push(info);
    }
    let manifest = exporter.manifest(number, &fences, &reports, tables)?;
    let published = staged.finish(&manifest)?.publish(&route.form, monitor)?;
    monitor.event(Event::WorkFinished);
    Ok(published)
}

fn reports(backend: &mut dyn Backend, run: &Run, fences: &[Fence]) -> Result<Vec<TableReport>> {
    let report = |fence: &Fence| backend.table_report(run.id, &fence.table).map_err(|error| error.table(&fence.table));
    fences.iter().map(report).collect()
}

struct Exporter<'a> {
    backend: &'a mut dyn Backend,
    leases: &'a Leases,
    run: &'a Run,
    parts: PartOptions,
    limits: ReadLimits,
    monitor: &'a dyn Monitor,
}

impl Exporter<'_> {
    fn manifest(
        &mut self,
        number: u32,
        fences: &[Fence],
        reports: &[TableReport],
        tables: Vec<TableInfo>,
    ) -> Result<Manifest> {
        let run = self.run;
        let leaves_out = tables.iter().any(|table| !table.known_content.is_empty());
        let is_here = |table: &TableName| fences.iter().any(|fence| fence.table == *table);
        // Only what is recorded for good, so that the same bundle can be written again.
        let packed_before: Vec<_> = self
            .backend
            .bundles(run.id)?
            .into_iter()
            .filter(|record| record.pack_number < number)
            .map(|record| record.table)
            .collect();
        let failed_tables = self
            .backend
            .table_errors(run.id)?
            .into_iter()
            .filter(|(table, _)| !is_here(table) && !packed_before.contains(table))
            .map(|(table, error)| FailedTable { table, error })
            .collect();
        Ok(Manifest {
            format: format!("{FORMAT_URI_BASE}{}", FormatVersion::CURRENT.major),
            format_version: FormatVersion::CURRENT,
            requires: if leaves_out { vec![KNOWN_CONTENT.to_owned()] } else { Vec::new() },
            kind: BundleKind::Delta,
            masked: None,
            inputs: Vec::new(),
            run: RunInfo {
                run_id: run.id,
                run_type: run.run_type.clone(),
                business_unit: run.scope.business_unit(),
                requested_by: run.requested_by.clone(),
                started_at: UtcTime(run.started_at.utc),
                completed_at: reports.iter().map(|report| UtcTime(report.completed_at)).max(),
                producer: Producer::this(),
                source_id: self.backend.source_id()?,
                pack_number: number,
            },
            rules: Rules::default(),
            tables,
            failed_tables,
        })
    }

    fn table(
        &mut self,
        staged: &mut StagedBundle,
        (fence, number, choice): (&Fence, u32, ContentChoice),
        report: &TableReport,
    ) -> Result<TableInfo> {
        let config = self.backend.table(&fence.table)?;
        let columns = self.backend.slice_columns(&config)?;
        let plan = Arc::new(ColumnPlan::rows(&columns, &config.key_column)?);
        let ddl = create_table(&config.target, &columns, &config.key_column)?;
        let mut stage = staged.add_table(&config.name, &ddl)?;
        let mut content = ChainContent::begin(self.backend, (self.run, fence, number), (&config, &plan), choice)?;
        let mut files = self.rows(&mut stage, (fence, &mut content), &plan, report)?;
        let key = &columns[plan.key()];
        files.extend(self.tombstones(key, &mut stage, (fence, &content), report)?);
        if report.counts.rows() > 0 {
            files.extend(self.absent_parents(key, &mut stage, fence)?);
        }
        let origin = |name: &str| config.metadata_column_of(name).map(|_| ColumnOrigin::Metadata);
        let info = |column: usize| {
            let of = &columns[column];
            let info = ColumnInfo::new(of, plan.arrow_type_name(column), plan.companion_names(column));
            ColumnInfo { origin: origin(&of.name), ..info }
        };
        let previous = self.backend.previous_bundle(&config.name, report.scope, self.run.id)?;
        let before = previous.as_ref().and_then(|previous| previous.columns.as_deref());
        let schema_changes = before.map(|before| drift::changes(before, &columns)).unwrap_or_default();
        let key_order = self.backend.key_order()?;
        let folder = stage.folder().clone();
        Ok(TableInfo {
            name: config.name.clone(),
            folder: folder.as_str().into(),
            previous: previous.map(|previous| Previous { root_sha256: previous.root_sha256 }),
            scope: ScopeText(report.scope),
            window: window_info(report),
            counts: report.counts.clone(),
            columns: (0..columns.len()).map(info).collect(),
            new_business_units: report.new_business_units.clone(),
            changed_scripts: self.backend.changed_scripts(&config)?,
            missing: Missing::default(),
            known_content: content.map(ChainContent::into_sums).unwrap_or_default(),
            schema_changes,
            excluded_columns: config.excluded_columns.clone(),
            accepted_hidden: config.hidden().map(str::to_owned).collect(),
            schema_file: folder.schema_path(),
            files: stage.finish(files),
            source: config.source,
            target: config.target,
            metadata: config.metadata,
            key_column: config.key_column,
            key_order,
            path_column: config.path_column,
            parent_path_column: config.parent_path_column,
        })
    }

    fn go_on(&self, fence: &Fence) -> Result<()> {
        self.monitor.check()?;
        self.leases.check(fence)
    }

    fn stamp(&self) -> RunStamp {
        RunStamp { started_at: self.run.started_at.utc, run_id: self.run.id }
    }

    fn rows(
        &mut self,
        stage: &mut TableStage,
        (fence, content): (&Fence, &mut Option<ChainContent<'_>>),
        plan: &Arc<ColumnPlan>,
        report: &TableReport,
    ) -> Result<Vec<FileInfo>> {
        let mut parts = stage.parts(FileRole::Rows, plan.schema(), &self.parts)?;
        std::thread::scope(|scope| {
            let (batches, coming) = mpsc::sync_channel::<UnsealedBatch>(BATCHES_AHEAD);
            let writer = scope.spawn(move || {
                coming.iter().try_for_each(|batch| parts.write(&batch.seal()?))?;
                parts.finish()
            });
            let read = self.read_rows(stage, (fence, content), plan, report, &batches);
            drop(batches);
            let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match read {
                // Who writes has ended before its time, and says why.
                Ok(false) => written.and_then(|_| Err(Error::internal("the writer of parts ended too early"))),
                Ok(true) => written,
                Err(error) => Err(error),
            }
        })
    }

    /// Reads the slice, and hands its rows on batch by batch. Gives false where nobody takes them.
    fn read_rows(
        &mut self,
        stage: &mut TableStage,
        (fence, content): (&Fence, &mut Option<ChainContent<'_>>),
        plan: &Arc<ColumnPlan>,
        report: &TableReport,
        batches: &mpsc::SyncSender<UnsealedBatch>,
    ) -> Result<bool> {
        let mut builder = BatchBuilder::new(Arc::clone(plan), self.stamp());
        let mut after: Option<SlicePosition> = None;
        let mut total = 0;
        loop {
            self.go_on(fence)?;
            let last = self.backend.read_slice(fence, after.as_ref(), self.limits, &mut builder)?;
            let Some(last) = last else { break };
            let mut bytes = builder.bytes();
            let heads = builder.heads().to_vec();
            let known = content.as_ref().map(|content| content.known(self.backend, &heads)).transpose()?;
            for slot in builder.pending_large().to_vec() {
                let mut blob = stage.blob(&self.parts)?;
                let column = &plan.columns()[slot.column].name;
                bytes += self.backend.read_large(fence, slot.key, column, &mut blob)?;
                match (content.as_ref(), &known) {
                    (Some(content), Some(known)) => content.place(known, (&mut builder, slot), blob)?,
                    _ => {
                        let stored = blob.finish(slot.bytes)?;
                        builder.resolve_large(slot, &stored.reference, stored.content_sha256)?;
                    }
                }
            }
            let rows = builder.rows() as u64;
            let mut batch = builder.take()?;
            if let (Some(content), Some(known)) = (content.as_mut(), &known) {
                content.settle(self.backend, &heads, (&mut batch, known))?;
            }
            if !hand_on(batches, batch)? {
                return Ok(false);
            }
            self.monitor.event(Event::WorkDone { rows, bytes });
            total += rows;
            after = Some(last);
        }
        if total != report.counts.rows() {
            let text =
                format!("the slice gave {total} rows, but {} were counted when it was completed", report.counts.rows());
            return Err(Error::internal(text).hint("something else writes to the slice; run the table again"));
        }
        Ok(true)
    }

    fn tombstones(
        &mut self,
        key: &Column,
        stage: &mut TableStage,
        (fence, content): (&Fence, &Option<ChainContent<'_>>),
        report: &TableReport,
    ) -> Result<Vec<FileInfo>> {
        let plan = Arc::new(ColumnPlan::tombstones(key)?);
        let mut builder = BatchBuilder::new(Arc::clone(&plan), self.stamp());
        let mut parts = stage.parts(FileRole::Tombstones, plan.schema(), &self.parts)?;
        let (mut after, mut total) = (None, 0);
        loop {
            self.go_on(fence)?;
            let deletions = self.backend.read_deletions(fence, after, BATCH_ROWS)?;
            let Some(last) = deletions.last() else { break };
            after = Some(last.key);
            total += deletions.len() as u64;
            for deletion in &deletions {
                self.check_fit(key, deletion.key, fence)?;
                let unit = deletion.business_unit.map_or(Cell::Null, Cell::Guid);
                let reason = Cell::Text(deletion.reason.as_str());
                let key = plan.key_type().key(deletion.key);
                let key = Key::cell_or_null(key.as_ref());
                builder.push_row(&[key, Cell::DateTime(deletion.deleted_on), unit, reason])?;
            }
            if let Some(content) = content {
                content.forget(self.backend, &deletions)?;
            }
            parts.write(&builder.finish()?)?;
        }
        if total != report.counts.tombstones {
            let text = format!("the slice gave {total} deletions, but {} were counted", report.counts.tombstones);
            return Err(Error::internal(text).hint("something else writes to the slice; run the table again"));
        }
        parts.finish()
    }

    /// A run refuses what the log has of it before it begins; this slice was made before the key column was narrowed, or by
    /// the procedures alone.
    fn check_fit(&self, column: &Column, id: Guid, fence: &Fence) -> Result<()> {
        let Some(key_type) = KeyType::of(column.sql_type).filter(|of| !of.fits(id, column.sql_type)) else {
            return Ok(());
        };
        let key = key_type.shown(id);
        let text = format!(
            "the slice has the deletion of the key {key}, which does not fit the key column: it is {}",
            column.sql_type
        );
        let give_up = format!("blobdelta pack --run {} --give-up --table {}", fence.run_id, fence.table.shell_word());
        let hint = format!(
            "`{give_up}` takes the slice back, and the next run takes all that it held; if an entry of BlobDeltaDeletionLog \
             is of this key, that run says what to do with it, else give {} its wider type back first",
            column.name
        );
        Err(Error::config(text).table(&fence.table).column(&column.name).key(key).hint(hint))
    }

    fn absent_parents(&mut self, key: &Column, stage: &mut TableStage, fence: &Fence) -> Result<Vec<FileInfo>> {
        let plan = Arc::new(ColumnPlan::absent_parents(key)?);
        let mut builder = BatchBuilder::new(Arc::clone(&plan), self.stamp());
        let mut parts = stage.parts(FileRole::AbsentParents, plan.schema(), &self.parts)?;
        let mut after = None;
        loop {
            self.go_on(fence)?;
            let absent = self.backend.absent_parents(fence, after, BATCH_ROWS)?;
            let Some(last) = absent.last() else { break };
            after = Some(last.child);
            for row in &absent {
                let keys = [Some(row.child), row.parent].map(|id| id.and_then(|id| plan.key_type().key(id)));
                builder.push_row(&keys.each_ref().map(|key| Key::cell_or_null(key.as_ref())))?;
            }
            parts.write(&builder.finish()?)?;
        }
        parts.finish()
    }
}

/// Gives a batch to whoever compresses and, where that one has enough to do, hashes it here first.
/// Says whether it was taken.
fn hand_on(batches: &mpsc::SyncSender<UnsealedBatch>, batch: UnsealedBatch) -> Result<bool> {
    match batches.try_send(batch) {
        Ok(()) => Ok(true),
        Err(mpsc::TrySendError::Disconnected(_)) => Ok(false),
        Err(mpsc::TrySendError::Full(mut batch)) => {
            batch.hash()?;
            Ok(batches.send(batch).is_ok())
        }
    }
}

fn window_info(report: &TableReport) -> WindowInfo {
    WindowInfo {
        start: report.window.start,
        end: report.window.end,
        interval: HALF_OPEN.into(),
        clock: report.window.clock,
        buffer_minutes: report.buffer_minutes,
        active_transaction_floor: report.active_transaction_floor,
        lag_only: report.active_transaction_floor.is_none(),
        watermark_before: report.watermark_before,
        watermark_after: report.watermark_after,
    }
}
