//! The bundles that come, and what there is to do with each of their tables.

use super::apply::{Applier, target_of};
use super::gap::ReplayGap;
use super::known::{FoundValues, LaterRows};
use super::options::{ReplayOptions, TableReplayOutcome};
use crate::backend::{AppliedBundle, Backend, TargetCompatibility, TargetSpec, check_target};
use crate::bundle::{Access, Bundle, Container, FileInfo, Newest, TableInfo, warn_of_failed};
use crate::error::{Error, Result};
use crate::known::Holders;
use crate::links::tables_in_order;
use crate::model::column::Column;
use crate::model::drift;
use crate::model::name::TableName;
use crate::monitor::{Event, Monitor};
use crate::rows::TableRows;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The bundles that come, each opened once: what is replayed is what was looked at before.
pub struct OpenedBundles(pub(super) Vec<Bundle>);

/// One table of one bundle.
pub(super) struct TableWork<'b> {
    pub(super) bundle: &'b Bundle,
    pub(super) table: &'b TableInfo,
    pub(super) applier: Applier<'b>,
    /// How the target takes the rows, where it is there and that was asked.
    pub(super) compatibility: Option<TargetCompatibility>,
    /// What is missing before it.
    pub(super) gap: Option<ReplayGap>,
    /// Whether it is the first of another source than the target's rows, and that is allowed.
    pub(super) is_other_source: bool,
    /// What else there is to tell of its place.
    pub(super) reported: Vec<String>,
}

impl<'b> TableWork<'b> {
    /// Shows how far something that reads keys alone is.
    pub(super) fn watched<T>(
        &self,
        (what, rows): (&'static str, u64),
        monitor: &dyn Monitor,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let name = self.bundle.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        monitor.event(Event::WorkStarted { what, name: &name, rows: Some(rows), bytes: None });
        let done = work();
        monitor.event(Event::WorkFinished);
        done.map_err(|error| error.file(self.bundle.path()).table(&self.table.name))
    }

    /// Its rows and tombstones.
    pub(super) fn rows(&self) -> u64 {
        self.table.files_of_versions().filter_map(|file| file.rows).sum()
    }

    /// Of them, those that were not applied before; for a repair, all.
    ///
    /// # Errors
    /// Database.
    pub(super) fn rows_due(&self, backend: &mut dyn Backend) -> Result<u64> {
        if self.spec().repair {
            return Ok(self.rows());
        }
        let ledger = backend.ledger(self.spec(), self.bundle.root_sha256())?;
        let due = |file: &FileInfo| {
            let rows = file.rows.unwrap_or(0);
            match ledger.iter().find(|entry| entry.part == file.path) {
                Some(entry) if entry.complete => 0,
                Some(entry) => rows.saturating_sub(entry.rows),
                None => rows,
            }
        };
        Ok(self.table.files_of_versions().map(due).sum())
    }

    pub(super) fn source(&self) -> TableRows<'_> {
        TableRows { bundle: self.bundle, table: self.table }
    }

    pub(super) fn spec(&self) -> &TargetSpec {
        self.applier.spec()
    }

    /// Looks for the values that it leaves out.
    ///
    /// # Errors
    /// As [`Applier::find_known`].
    pub(super) fn find_known(
        &self,
        whence: (&'b Holders<'b>, &[LaterRows<'_>]),
        backend: &mut dyn Backend,
        monitor: &dyn Monitor,
    ) -> Result<FoundValues<'b>> {
        self.applier.find_known(whence, backend, monitor).map_err(|error| error.file(self.bundle.path()))
    }

    pub(super) fn apply(
        &self,
        known: &mut FoundValues<'b>,
        backend: &mut dyn Backend,
        monitor: &dyn Monitor,
    ) -> Result<TableReplayOutcome> {
        let done = self.applier.apply(backend, (self.gap.as_ref(), self.is_other_source), known, monitor)?;
        Ok(TableReplayOutcome { reported: self.reported.clone(), ..done })
    }
}

impl OpenedBundles {
    /// Opens bundles, and checks that their files are those that their lists name.
    ///
    /// # Errors
    /// Usage, without bundles; Verification, with the file; Io.
    pub fn open(bundles: &[PathBuf], access: &Access, monitor: &dyn Monitor) -> Result<Self> {
        let bundles = open(bundles, access)?;
        bundles.iter().for_each(|bundle| warn_of_failed(bundle.path(), bundle.manifest(), monitor));
        bundles.iter().try_for_each(Bundle::check_file_set)?;
        Ok(Self(bundles))
    }

    /// The database that a replay of them would write, for opening the target: that of the first table, as it is asked for
    /// or as the source has it.
    ///
    /// # Errors
    /// Verification: no bundle has a table; Config: a name of what is never a target.
    pub fn target_database(&self, options: &ReplayOptions) -> Result<String> {
        let first = self.0.iter().find_map(|bundle| Some((bundle, bundle.manifest().tables.first()?)));
        let (bundle, table) = first.ok_or_else(|| Error::verification("no bundle has a table"))?;
        let target = target_of(table, options).and_then(|target| check_target(&target).map(|()| target.db));
        target.map_err(|error| error.file(bundle.path()))
    }

    /// Their tables, in the order in which they are applied (rule 22).
    ///
    /// # Errors
    /// Verification: links that lead in a circle; Config: a name that no catalog could hold, or of what is never a target.
    pub(super) fn works(&self, backend: &mut dyn Backend, options: &ReplayOptions) -> Result<Vec<TableWork<'_>>> {
        let mut targets: BTreeMap<TableName, TableName> = BTreeMap::new();
        let works = tables_in_order(&self.0)?
            .into_iter()
            .map(|(bundle, table)| {
                let asked = target_of(table, options)?;
                let target = match targets.get(&asked) {
                    Some(target) => target.clone(),
                    None => backend.resolve_target(asked.clone()).map_err(|error| error.file(bundle.path()))?,
                };
                targets.insert(asked, target.clone());
                let applier = Applier::new(bundle, table, target, options)?;
                Ok(TableWork {
                    bundle,
                    table,
                    applier,
                    compatibility: None,
                    gap: None,
                    is_other_source: false,
                    reported: Vec::new(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let deleting = works.iter().filter(|work| work.spec().removes).map(|work| work.spec().target.clone());
        let deleting: BTreeSet<TableName> = deleting.collect();
        let mut works = works;
        for work in &mut works {
            work.applier.removes(deleting.contains(&work.applier.spec().target));
        }
        shape(&mut works, backend)?;
        Ok(works)
    }
}

/// Rule 24: a target has the columns of all bundles that come into it.
fn shape(works: &mut [TableWork<'_>], backend: &mut dyn Backend) -> Result<()> {
    let mut shapes: BTreeMap<TableName, Vec<Vec<Column>>> = BTreeMap::new();
    for work in &*works {
        let shapes = shapes.entry(work.spec().target.clone()).or_default();
        let columns = work.table.model_columns()?;
        if !shapes.contains(&columns) {
            shapes.push(columns);
        }
    }
    let apart = "replay the bundles before the change, and those after it, into databases of their own";
    let mut unions: BTreeMap<TableName, Vec<Column>> = BTreeMap::new();
    for work in works.iter_mut() {
        let spec = work.spec();
        if !unions.contains_key(&spec.target) {
            let shapes = shapes.get(&spec.target).map(Vec::as_slice).unwrap_or_default();
            let mut all = drift::union(shapes).map_err(|error| error.table(&work.table.name).hint(apart))?;
            for known in backend.applied_bundles(spec)?.iter().flat_map(|bundle| &bundle.columns) {
                // What came before may have made a column wider than it is here.
                let is_it = |column: &&mut Column| column.name.eq_ignore_ascii_case(&known.name);
                if let Some(column) = all.iter_mut().find(is_it)
                    && known.sql_type.promotes(column.sql_type)
                {
                    column.sql_type = known.sql_type;
                }
            }
            unions.insert(spec.target.clone(), all);
        }
        let all = unions.get(&spec.target).cloned().unwrap_or_default();
        work.applier.write(all)?;
    }
    Ok(())
}

impl TableWork<'_> {
    /// Rule 24: a column that earlier bundles had, and the target has, is NULL in rows that come without it; unless what
    /// was dropped is kept.
    pub(super) fn settle_columns(
        &mut self,
        noted: &[AppliedBundle],
        compatibility: &TargetCompatibility,
        options: &ReplayOptions,
    ) -> Result<()> {
        let mut columns = self.spec().columns.clone();
        let is_it = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        if options.keep_dropped {
            columns.retain(|column| self.table.columns.iter().any(|own| is_it(&own.name, &column.name)));
            return self.applier.write(columns);
        }
        for column in noted.iter().flat_map(|bundle| &bundle.columns) {
            let is_there = compatibility.columns.iter().any(|there| is_it(there, &column.name));
            match columns.iter_mut().find(|known| is_it(&known.name, &column.name)) {
                Some(known) if column.sql_type.promotes(known.sql_type) => known.sql_type = column.sql_type,
                None if is_there => columns.push(Column { nullable: true, ..column.clone() }),
                _ => {}
            }
        }
        self.applier.write(columns)
    }
}

/// Asks about each target once, and not again for each bundle.
pub(super) struct InspectedTargets<T>(BTreeMap<TableName, (TargetSpec, T)>);

impl<T: Clone> InspectedTargets<T> {
    pub(super) fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn of(&mut self, spec: &TargetSpec, ask: impl FnOnce() -> Result<T>) -> Result<T> {
        if let Some((_, compatibility)) = self.0.get(&spec.target).filter(|(known, _)| known == spec) {
            return Ok(compatibility.clone());
        }
        let compatibility = ask()?;
        self.0.insert(spec.target.clone(), (spec.clone(), compatibility.clone()));
        Ok(compatibility)
    }
}

fn open(bundles: &[PathBuf], access: &Access) -> Result<Vec<Bundle>> {
    if bundles.is_empty() {
        return Err(Error::usage("there is no bundle to replay")
            .hint("name at least one folder that ends in .bundle, or archive that ends in .bundle.tar"));
    }
    let bundles: Vec<Bundle> =
        bundles.iter().map(|path| Bundle::open_in(Container::open(path, access)?)).collect::<Result<_>>()?;
    Newest::of(bundles.iter().map(Bundle::manifest)).check(access.not_before)?;
    Ok(bundles)
}
