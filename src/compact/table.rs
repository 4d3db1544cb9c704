//! One table of the compacted bundle.

use super::inputs::{self, Parts};
use super::merge::Merge;
use super::options::CompactOptions;
use super::stream::Stream;
use super::survey::survey;
use crate::backend::{Kept, Versions, open_versions};
use crate::bundle::manifest::ColumnInfo;
use crate::bundle::{FileInfo, FileRole, StagedBundle, TableInfo, TableStage, create_table};
use crate::convert::{BatchBuilder, ColumnPlan, RunStamp};
use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::key::Key;
use crate::model::run::TableCounts;
use crate::monitor::Monitor;
use crate::rows::TableRows;
use std::sync::Arc;

const ORPHANS_AT_ONCE: u32 = 8192;

/// Writes one table.
pub(super) fn write(
    parts: &Parts<'_>,
    staged: &mut StagedBundle,
    options: &CompactOptions,
    stamp: RunStamp,
    monitor: &dyn Monitor,
) -> Result<TableInfo> {
    let Some((_, first)) = parts.first() else { return Err(Error::internal("a table without a bundle")) };
    let columns = inputs::columns(parts)?;
    let ddl = create_table(&first.target, &columns, &first.key_column)?;
    let mut stage = staged.add_table(&first.name, &ddl)?;
    let mut versions = open_versions(options.memory.databases())?;
    survey(parts, &mut *versions, monitor)?;
    versions.settle()?;
    let mut table =
        TableCompaction { parts, first, versions: &mut *versions, options, monitor, counts: TableCounts::default() };
    let rows = Arc::new(ColumnPlan::rows(&columns, &first.key_column)?);
    let mut files = table.merge(&mut stage, FileRole::Rows, &rows)?;
    let tombstones = Arc::new(ColumnPlan::tombstones(key_of(&columns, first)?)?);
    files.extend(table.merge(&mut stage, FileRole::Tombstones, &tombstones)?);
    files.extend(table.orphans(key_of(&columns, first)?, &stage, stamp)?);
    let counts = table.counts;
    let folder = stage.folder().clone();
    let mut info = inputs::table_info(parts, counts)?;
    (info.folder, info.schema_file) = (folder.as_str().to_owned(), folder.schema_path());
    info.files = stage.finish(files);
    let column = |nth: usize| {
        let info = ColumnInfo::new(&columns[nth], rows.arrow_type_name(nth), rows.companion_names(nth));
        ColumnInfo { origin: inputs::origin(parts, &info.name), ..info }
    };
    info.columns = (0..columns.len()).map(column).collect();
    Ok(info)
}

/// The key among the columns of all bundles.
fn key_of<'c>(columns: &'c [Column], table: &TableInfo) -> Result<&'c Column> {
    let key = columns.iter().find(|column| column.name == table.key_column);
    key.ok_or_else(|| Error::internal("the columns of all bundles lack the key"))
}

struct TableCompaction<'a, 'b> {
    parts: &'a Parts<'b>,
    first: &'b TableInfo,
    versions: &'a mut dyn Versions,
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
            let part = usize::try_from(kept.input).ok().and_then(|input| self.parts.get(input).copied());
            let (bundle, table) = part.ok_or_else(|| Error::internal("a version of no bundle is kept"))?;
            Stream::new(TableRows { bundle, table }, *kept, plan.clone(), batch_bytes)
        };
        let streams = kept.iter().map(stream).collect::<Result<Vec<_>>>()?;
        let parts = stage.parts(role, plan.schema(), &self.options.parts)?;
        let window_start = self.parts.iter().map(|(_, table)| table.window.start).min();
        let mut merge = Merge {
            streams,
            versions: self.versions,
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
