//! One table of the compacted bundle.

use super::inputs::{self, Parts};
use super::merge::Merge;
use super::options::CompactOptions;
use super::places::KeptPlaces;
use super::stream::Stream;
use super::survey::survey;
use crate::backend::{Kept, Versions, open_versions};
use crate::bundle::manifest::ColumnInfo;
use crate::bundle::{Bundle, FileInfo, FileRole, StagedBundle, TableInfo, TableStage, create_table};
use crate::convert::{BatchBuilder, ColumnPlan, RunStamp};
use crate::error::{Error, Result};
use crate::known::{Holders, KnownValues};
use crate::model::column::Column;
use crate::model::key::Key;
use crate::model::run::TableCounts;
use crate::monitor::Monitor;
use crate::rows::TableRows;
use std::sync::Arc;

const ORPHANS_AT_ONCE: u32 = 8192;

/// Writes one table. Values that its bundles leave out are found in the holders.
pub(super) fn write<'b>(
    (parts, holders): (&Parts<'b>, &'b Holders<'b>),
    staged: &mut StagedBundle,
    options: &CompactOptions,
    stamp: RunStamp,
    monitor: &dyn Monitor,
) -> Result<TableInfo> {
    let Some((_, first)) = parts.first() else { return Err(Error::internal("a table without a bundle")) };
    let columns = inputs::columns(parts)?;
    let key = key_of(&columns, first)?;
    let ddl = create_table(&first.target, &columns, &key.name)?;
    let mut stage = staged.add_table(&first.name, &ddl)?;
    let mut versions = open_versions(options.memory.databases())?;
    survey(parts, &mut *versions, monitor)?;
    versions.settle()?;
    let known = left_out((parts, holders), &mut *versions, monitor)?;
    let counts = TableCounts::default();
    let mut table =
        TableCompaction { parts, holders, first, versions: &mut *versions, known, options, monitor, counts };
    let rows = Arc::new(ColumnPlan::rows(&columns, &key.name)?);
    let mut files = table.merge(&mut stage, FileRole::Rows, &rows)?;
    let tombstones = Arc::new(ColumnPlan::tombstones(key)?);
    files.extend(table.merge(&mut stage, FileRole::Tombstones, &tombstones)?);
    files.extend(table.orphans(key, &stage, stamp)?);
    let counts = table.counts;
    let folder = stage.folder().clone();
    let mut info = inputs::table_info(parts, counts)?;
    inputs::spell(&mut info, &columns);
    (info.folder, info.schema_file) = (folder.as_str().to_owned(), folder.schema_path());
    info.files = stage.finish(files);
    let column = |nth: usize| {
        let info = ColumnInfo::new(&columns[nth], rows.arrow_type_name(nth), rows.companion_names(nth));
        ColumnInfo { origin: inputs::origin(parts, &info.name), ..info }
    };
    info.columns = (0..columns.len()).map(column).collect();
    Ok(info)
}

/// The key among the columns of all bundles, as the last of them spells it.
fn key_of<'c>(columns: &'c [Column], table: &TableInfo) -> Result<&'c Column> {
    let key = columns.iter().find(|column| column.name.eq_ignore_ascii_case(&table.key_column));
    key.ok_or_else(|| Error::internal("the columns of all bundles lack the key"))
}

/// Finds the values that rows leave out which are kept.
fn left_out<'b>(
    (parts, holders): (&Parts<'b>, &'b Holders<'b>),
    versions: &mut dyn Versions,
    monitor: &dyn Monitor,
) -> Result<KnownValues<'b, 'b>> {
    let mut known = KnownValues::new(holders, true);
    for kept in versions.kept()?.into_iter().filter(|kept| !kept.tombstones) {
        let (bundle, table) = part(parts, kept)?;
        let mut places = KeptPlaces::of(kept);
        let asked = known.need_all(TableRows { bundle, table }, monitor, |place, _| places.take(place, versions));
        asked.map_err(|error| error.file(bundle.path()))?;
    }
    known.find(false, monitor)?;
    known.check_found()?;
    Ok(known)
}

fn part<'b>(parts: &Parts<'b>, kept: Kept) -> Result<(&'b Bundle, &'b TableInfo)> {
    let part = usize::try_from(kept.input).ok().and_then(|input| parts.get(input).copied());
    part.ok_or_else(|| Error::internal("a version of no bundle is kept"))
}

struct TableCompaction<'a, 'b> {
    parts: &'a Parts<'b>,
    holders: &'b Holders<'b>,
    first: &'b TableInfo,
    versions: &'a mut dyn Versions,
    known: KnownValues<'b, 'b>,
    options: &'a CompactOptions,
    monitor: &'a dyn Monitor,
    counts: TableCounts,
}

impl TableCompaction<'_, '_> {
    fn merge(&mut self, stage: &mut TableStage, role: FileRole, plan: &Arc<ColumnPlan>) -> Result<Vec<FileInfo>> {
        let kept = self.versions.kept()?;
        let kept: Vec<Kept> =
            kept.into_iter().filter(|kept| kept.tombstones == (role == FileRole::Tombstones)).collect();
        let batch_bytes = self.options.reading_bytes() / 2 / (kept.len() as u64).max(1);
        let stream = |kept: &Kept| {
            let (bundle, table) = part(self.parts, *kept)?;
            Stream::new(TableRows { bundle, table }, *kept, plan.clone(), batch_bytes)
        };
        let streams = kept.iter().map(stream).collect::<Result<Vec<_>>>()?;
        let parts = stage.parts(role, plan.schema(), &self.options.parts)?;
        let window_start = self.parts.iter().map(|(_, table)| table.window.start).min();
        let mut merge = Merge {
            streams,
            versions: self.versions,
            known: &mut self.known,
            holders: self.holders,
            window_start: window_start.unwrap_or(self.first.window.start),
            monitor: self.monitor,
            counts: std::mem::take(&mut self.counts),
            last: None,
        };
        let files = merge.write(stage, parts);
        self.counts = merge.counts;
        files
    }

    /// The rows whose parent is not in the compacted bundle.
    fn orphans(&mut self, key: &Column, stage: &TableStage, stamp: RunStamp) -> Result<Vec<FileInfo>> {
        let plan = Arc::new(ColumnPlan::absent_parents(key)?);
        let mut builder = BatchBuilder::new(plan.clone(), stamp);
        let mut parts = stage.parts(FileRole::AbsentParents, plan.schema(), &self.options.parts)?;
        let mut after = None;
        loop {
            self.monitor.check()?;
            let orphans = self.versions.orphans(after, ORPHANS_AT_ONCE)?;
            let Some(last) = orphans.last() else { return parts.finish() };
            after = Some(last.sort);
            for orphan in &orphans {
                let keys = [Some(orphan.child), orphan.parent].map(|id| id.and_then(|id| plan.key_type().key(id)));
                builder.push_row(&keys.each_ref().map(|key| Key::cell_or_null(key.as_ref())))?;
            }
            parts.write(&builder.finish()?)?;
        }
    }
}
