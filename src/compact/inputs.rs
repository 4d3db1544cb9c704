//! Whether bundles can be one, and what the manifest of that one says.

use crate::bundle::manifest::{BundleKind, FailedTable, Producer, RunInfo};
use crate::bundle::{Bundle, BundleName, Manifest, MaskedInfo, TableInfo, compacted_run_id};
use crate::error::{Error, Result};
use crate::links::{check_whole, missing_between, tables_in_order};
use crate::model::column::{Column, ColumnOrigin};
use crate::model::digest::Sha256;
use crate::model::drift;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::TableCounts;
use crate::monitor::Monitor;
use std::collections::{BTreeMap, BTreeSet};

/// A table in each bundle that has it, in the order of the chain.
pub(super) type Parts<'b> = Vec<(&'b Bundle, &'b TableInfo)>;

/// The tables of bundles by name, each in the order of its chain; bundles that come twice count once.
///
/// # Errors
/// Usage: bundles of several sources, or none; Verification: links that lead in a circle.
pub(super) fn tables<'b>(bundles: &[&'b Bundle]) -> Result<BTreeMap<TableName, Parts<'b>>> {
    let Some(first) = bundles.first().copied() else {
        return Err(Error::usage("there is no bundle to compact"));
    };
    let source_id = |bundle: &Bundle| bundle.manifest().run.source_id;
    if let Some(other) = bundles.iter().find(|bundle| source_id(bundle) != source_id(first)) {
        return Err(Error::usage("these bundles come from several sources, and make no chain")
            .file(other.path())
            .hint("compact the bundles of one job database; `blobdelta inspect` shows their source id"));
    }
    let mut tables: BTreeMap<TableName, Parts<'_>> = BTreeMap::new();
    for (bundle, table) in tables_in_order(bundles.iter().copied())? {
        tables.entry(table.name.clone()).or_default().push((bundle, table));
    }
    Ok(tables)
}

/// Holds against each other what must be alike in the bundles of a table, and looks for what is missing
/// between them.
///
/// # Errors
/// Usage: bundles of several scopes; Config: a table whose columns cannot be one; ChainGap, unless that is allowed.
pub(super) fn check(tables: &BTreeMap<TableName, Parts<'_>>, allows_gap: bool, monitor: &dyn Monitor) -> Result<()> {
    tables.iter().try_for_each(|(name, parts)| {
        let whole = || check_whole(parts.iter().copied(), allows_gap, monitor);
        alike(parts).and_then(|()| whole()).map_err(|error| error.table(name))
    })
}

fn alike(parts: &Parts<'_>) -> Result<()> {
    let Some(((_, first), rest)) = parts.split_first() else { return Ok(()) };
    for (bundle, table) in rest {
        if table.scope != first.scope || table.window.clock != first.window.clock {
            return Err(Error::usage("these bundles are not of one chain: their scopes or clocks differ")
                .file(bundle.path())
                .hint("compact each business unit's bundles, and those of all units, by themselves"));
        }
        // Names of columns are the same in any case of the letters A to Z.
        let small = |name: &String| name.to_ascii_lowercase();
        let shape = |table: &TableInfo| {
            let paths = (table.path_column.as_ref().map(small), table.parent_path_column.as_ref().map(small));
            (small(&table.key_column), table.key_type(), table.key_order, paths)
        };
        if shape(table) != shape(first) {
            return Err(Error::config("the key or path columns of this table changed between these bundles")
                .file(bundle.path())
                .hint(APART));
        }
    }
    columns(parts).map(drop)
}

const APART: &str = "compact the bundles before the change, and those after it, by themselves";

/// Rule 24: the columns that take the rows of all the bundles.
///
/// # Errors
/// Config: a column whose types cannot be one.
pub(super) fn columns(parts: &Parts<'_>) -> Result<Vec<Column>> {
    let shapes = parts.iter().map(|(_, table)| table.model_columns()).collect::<Result<Vec<_>>>()?;
    drift::union(&shapes).map_err(|error| error.hint(APART))
}

/// Names of columns, as the columns of all bundles are spelled.
pub(super) fn spell(info: &mut TableInfo, columns: &[Column]) {
    let paths = [info.path_column.as_mut(), info.parent_path_column.as_mut()];
    for name in paths.into_iter().flatten().chain([&mut info.key_column]) {
        if let Some(column) = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)) {
            name.clone_from(&column.name);
        }
    }
}

/// Where the values of a column come from, as the last bundle that has it says.
pub(super) fn origin(parts: &Parts<'_>, name: &str) -> Option<ColumnOrigin> {
    let of = |table: &TableInfo| {
        table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).map(|column| column.origin)
    };
    let having = parts.iter().filter_map(|(_, table)| Some((table.window.end, of(table)?)));
    having.max_by_key(|(end, _)| *end).and_then(|(_, origin)| origin)
}

/// The run of the compacted bundle: the last one's, under an id that follows from the inputs.
pub(super) fn run_info(bundles: &[&Bundle]) -> Result<(RunInfo, Vec<Sha256>)> {
    let Some(last) = bundles.iter().map(|bundle| &bundle.manifest().run).max_by_key(|run| (run.started_at, run.run_id))
    else {
        return Err(Error::usage("there is no bundle to compact"));
    };
    let inputs: BTreeSet<Sha256> = bundles
        .iter()
        .flat_map(|bundle| match bundle.manifest().kind {
            BundleKind::Delta => vec![bundle.root_sha256()],
            BundleKind::Compacted => bundle.manifest().inputs.clone(),
        })
        .collect();
    let run = RunInfo {
        run_id: compacted_run_id(&inputs),
        pack_number: 1,
        producer: Producer::this(),
        completed_at: bundles.iter().filter_map(|bundle| bundle.manifest().run.completed_at).max(),
        ..last.clone()
    };
    Ok((run, inputs.into_iter().collect()))
}

/// The name of the bundle that a run like this makes.
pub(super) fn name_of(run: &RunInfo) -> BundleName {
    BundleName::new(run.started_at.0, run.run_id, run.pack_number)
}

/// The manifest's table: the union of the windows, and the rest as the last bundle says it.
pub(super) fn table_info(parts: &Parts<'_>, counts: TableCounts) -> Result<TableInfo> {
    let (Some((_, first)), Some((_, last))) = (parts.first(), parts.iter().max_by_key(|(_, table)| table.window.end))
    else {
        return Err(Error::internal("a table without a bundle"));
    };
    let mut info = (*last).clone();
    let lag_only = parts.iter().any(|(_, table)| table.window.lag_only);
    info.window.start = parts.iter().map(|(_, table)| table.window.start).min().unwrap_or(info.window.start);
    info.window.watermark_before = first.window.watermark_before;
    info.window.lag_only = lag_only;
    info.window.active_transaction_floor = info.window.active_transaction_floor.filter(|_| !lag_only);
    info.previous = first.previous;
    info.known_content = Vec::new();
    info.missing = missing_between(parts.iter().copied());
    let units: BTreeSet<Guid> = parts.iter().flat_map(|(_, table)| table.new_business_units.clone()).collect();
    info.new_business_units = units.into_iter().collect();
    let hidden: BTreeSet<String> = parts.iter().flat_map(|(_, table)| table.accepted_hidden.clone()).collect();
    info.accepted_hidden = hidden.into_iter().collect();
    info.schema_changes = parts.iter().flat_map(|(_, table)| table.schema_changes.clone()).collect();
    let changed = parts.iter().flat_map(|(_, table)| &table.changed_scripts);
    let changed: BTreeMap<_, _> = changed.map(|script| ((&script.name, script.sha256), script)).collect();
    info.changed_scripts = changed.into_values().cloned().collect();
    let kept = [
        (&mut info.counts.roots, counts.roots),
        (&mut info.counts.missing_parents, counts.missing_parents),
        (&mut info.counts.children, counts.children),
        (&mut info.counts.early, counts.early),
        (&mut info.counts.late, counts.late),
        (&mut info.counts.tombstones, counts.tombstones),
    ];
    kept.into_iter().for_each(|(count, kept)| *count = kept);
    Ok(info)
}

/// The tables that failed in a run of the inputs, each as it failed last.
fn failed_tables(bundles: &[&Bundle]) -> Vec<FailedTable> {
    let mut failed: BTreeMap<TableName, FailedTable> = BTreeMap::new();
    let mut runs: Vec<&Manifest> = bundles.iter().map(|bundle| bundle.manifest()).collect();
    runs.sort_by_key(|manifest| (manifest.run.started_at, manifest.run.run_id));
    for table in runs.into_iter().flat_map(|manifest| &manifest.failed_tables) {
        failed.insert(table.table.clone(), table.clone());
    }
    failed.into_values().collect()
}

/// The whole manifest.
pub(super) fn manifest(
    bundles: &[&Bundle],
    run: RunInfo,
    inputs: Vec<Sha256>,
    tables: Vec<TableInfo>,
) -> Result<Manifest> {
    let last = bundles.iter().max_by_key(|bundle| (bundle.manifest().run.started_at, bundle.manifest().run.run_id));
    let Some(last) = last else { return Err(Error::internal("no bundle")) };
    Ok(Manifest {
        kind: BundleKind::Compacted,
        inputs,
        masked: MaskedInfo::together(bundles.iter().filter_map(|bundle| bundle.manifest().masked.as_ref())),
        run,
        tables,
        failed_tables: failed_tables(bundles),
        requires: Vec::new(),
        ..last.manifest().clone()
    })
}
