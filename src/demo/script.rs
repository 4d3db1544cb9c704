//! The play: what is done, in order, and what is said of it.

use super::change::change;
use super::compare::{Comparison, Terms, ancestors, compare};
use super::names::{self, TABLES};
use super::narrator::Narrator;
use super::options::{DemoOptions, DemoReport, Folders};
use super::rows::measure;
use super::seed::seed;
use super::server::{StepOutcome, StepResult, check_free, clear, run_steps};
use super::stage::{DemoStage, quoted, run_all};
use super::walk::{Walked, walk};
use crate::backend::Sandbox;
use crate::durable::{Disk as _, Local};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::time::{TICKS_PER_DAY, Timestamp};
use crate::monitor::Monitor;
use crate::replay::{OpenedBundles, ReplayOptions};
use crate::verify::{VerifyLevel, verify};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Plays the demo. `narrator` is given whole lines.
///
/// # Errors
/// Usage, for folders that cannot be used; Verification, if a bundle or the replayed target is
/// not what it has to be; whatever the steps say.
pub fn run_demo(options: &DemoOptions, narrator: &dyn Fn(&str), monitor: &dyn Monitor) -> Result<DemoReport> {
    options.check()?;
    let narrator = Narrator::new(narrator);
    let walked = if options.rows.is_none() { Some(walk(&options.from)?) } else { None };
    let folders = Folders::of(&options.dir);
    let stage = DemoStage::new(options, &folders);
    if stage.is_server() {
        check_free(&stage)?;
    }
    if !options.dir.is_dir() {
        Local.create_dir(&options.dir)?;
    }
    Local.create_dir(&folders.bundles)?;
    let demo = DemoRun { options, stage: &stage, folders: &folders, narrator: &narrator, monitor };
    let result = match (options.rows, walked) {
        (Some(rows), _) => measure(rows, &stage, &folders, &narrator, monitor),
        (None, Some(walked)) if stage.is_server() => demo.demo_on_server(walked),
        (None, Some(walked)) => demo.demo(walked),
        (None, None) => Err(Error::internal("the folder was not read")),
    };
    match stage.is_server() {
        true => cleared(result, &stage, options.keep, &narrator),
        false => result,
    }
}

/// What the demo made on a server is dropped, however it ended, unless it is to be kept.
fn cleared(result: Result<DemoReport>, stage: &DemoStage, keep: bool, narrator: &Narrator<'_>) -> Result<DemoReport> {
    let backup = result.as_ref().ok().and_then(|report| report.server.as_ref()?.backup.clone());
    let left =
        if keep { vec!["all that the demo made, as --keep asks".into()] } else { clear(stage, backup.as_deref()) };
    for one in &left {
        narrator.say(format!("   left on the server: {one}"));
    }
    let mut report = result?;
    if let Some(server) = &mut report.server {
        server.left = left;
    }
    Ok(report)
}

/// Where the last window of each table ended.
fn window_ends(source: &mut dyn Sandbox) -> Result<Vec<Timestamp>> {
    let watermarks = source.watermarks()?;
    let end = |table| {
        let name = names::source(table)?;
        let mark = watermarks.iter().find(|mark| mark.table == name).and_then(|mark| mark.last_high_water);
        mark.ok_or_else(|| Error::internal("a completed run left no watermark").table(&name))
    };
    (0..TABLES.len()).map(end).collect()
}

/// A path as a user types it.
fn shown(path: &Path) -> String {
    quoted(&path.display().to_string())
}

struct DemoRun<'a> {
    options: &'a DemoOptions,
    stage: &'a DemoStage,
    folders: &'a Folders,
    narrator: &'a Narrator<'a>,
    monitor: &'a dyn Monitor,
}

impl DemoRun<'_> {
    fn demo(&self, mut walked: Walked) -> Result<DemoReport> {
        let (mut source, now) = self.stage.open_in_the_past()?;
        self.seed(&mut *source, &mut walked, now)?;
        self.deploy(&mut *source)?;
        let mut bundles = self.full_load(&mut *source)?;
        let mut former = vec![HashSet::new(); TABLES.len()];
        for week in 1..=self.options.weeks {
            for (table, end) in window_ends(&mut *source)?.into_iter().enumerate() {
                former[table].extend(ancestors(&mut *source, table, end)?);
            }
            self.change(&mut *source, &mut walked, week, now)?;
            self.stage.go_to_run(week, now);
            if week == self.options.weeks {
                drop(source);
                source = self.stage.open()?;
            }
            bundles.extend(self.delta(&mut *source)?);
        }
        self.verify(&bundles)?;
        let mut target = self.replay(&bundles)?;
        let comparison = self.compare(&mut *source, &mut *target, &former)?;
        if self.options.keep || !self.stage.is_server() {
            self.narrator.say(format!("\nThe bundles are in {}", self.folders.bundles.display()));
        }
        Ok(DemoReport { bundles, comparison: Some(comparison), pace: None, server: None })
    }

    /// The play, and then what the server has.
    fn demo_on_server(&self, walked: Walked) -> Result<DemoReport> {
        let mut report = self.demo(walked)?;
        let mut server = run_steps(self.stage, &self.folders.bundles, self.narrator, self.monitor)?;
        let equal = report.comparison.as_ref().map_or(0, |comparison| comparison.due);
        let figure = format!("{} bundles, {equal} rows equal in every column", report.bundles.len());
        server.steps.insert(
            0,
            StepResult { name: "a full load, deltas, verify, replay", outcome: StepOutcome::Executed(figure) },
        );
        report.server = Some(server);
        Ok(report)
    }

    fn connection(&self) -> String {
        format!("--connection {}", self.stage.connection())
    }

    fn seed(&self, source: &mut dyn Sandbox, walked: &mut Walked, now: Timestamp) -> Result<()> {
        let from = self.options.from.display();
        self.narrator.step(1, &format!("Build an instance out of the files of {from}"), "");
        let seeded = seed(source, walked, self.stage.first_run(now), now, self.monitor)?;
        let (rows, bytes) = (seeded.rows, seeded.bytes);
        self.narrator.say(format!("   {rows} rows with {bytes} bytes in {} and {}", TABLES[0], TABLES[1]));
        let skipped = walked.skipped;
        if skipped.total() > 0 {
            self.narrator.say(format!(
                "   Skipped: {} links, {} special files, {} that could not be read, {} too large or too deep",
                skipped.links, skipped.special, skipped.unreadable, skipped.too_large_or_deep
            ));
        }
        if seeded.shift_ticks > 0 {
            let hours = seeded.shift_ticks as f64 / (TICKS_PER_DAY / 24) as f64;
            self.narrator.say(format!(
                "   Some files are newer than the window of the full load, so all times were set back by {hours:.1} hours"
            ));
        }
        Ok(())
    }

    fn deploy(&self, source: &mut dyn Sandbox) -> Result<()> {
        self.narrator.step(2, "Create the job database", &format!("blobdelta deploy {}", self.connection()));
        source.deploy()?;
        for table in 0..TABLES.len() {
            let config = self.stage.config(table)?;
            let command = format!(
                "blobdelta table add {} --metadata {} MetadataIdColumn={} MetadataBusinessUnitCol=BusinessUnit \
                 BusinessUnit={} BusinessUnitIdColumn={} {}",
                config.name,
                config.metadata,
                names::METADATA_KEY,
                names::units()?,
                names::UNIT_KEY,
                self.connection()
            );
            self.narrator.say(format!("   $ {command}"));
            source.save_table(&config)?;
        }
        Ok(())
    }

    fn full_load(&self, source: &mut dyn Sandbox) -> Result<Vec<PathBuf>> {
        self.narrator.step(3, &format!("Run a full load, {}", self.stage.when()), &self.run_command());
        self.run(source)
    }

    fn run_command(&self) -> String {
        format!("blobdelta run {} --out {}", self.connection(), shown(&self.folders.bundles))
    }

    fn run(&self, source: &mut dyn Sandbox) -> Result<Vec<PathBuf>> {
        let report = run_all(source, &self.folders.bundles, None, self.monitor)?;
        for table in &report.tables {
            let Some(counts) = &table.counts else { continue };
            self.narrator.say(format!(
                "   {}: roots {}, missing parents {}, children {}, tombstones {}; not captured: out of scope {}, without \
                 business unit {}",
                table.table,
                counts.roots,
                counts.missing_parents,
                counts.children,
                counts.tombstones,
                counts.out_of_scope,
                counts.without_business_unit
            ));
        }
        for bundle in &report.bundles {
            self.narrator.say(format!("   {}", bundle.display()));
        }
        Ok(report.bundles)
    }

    fn change(&self, source: &mut dyn Sandbox, walked: &mut Walked, week: u32, now: Timestamp) -> Result<()> {
        let which = match self.options.weeks {
            1 => "a week".to_owned(),
            weeks => format!("week {week} of {weeks}"),
        };
        self.narrator.step(4, &format!("Let {which} go by: change, add, move and remove rows of the instance"), "");
        let stamps = self.stage.changes(source, week, now)?;
        let changed = change(source, &mut walked.tables, stamps, now, week - 1)?;
        self.narrator.say(format!(
            "   {} replaced, {} added, {} moved, {} moved with their folder, {} removed and logged as deleted",
            changed.replaced, changed.added, changed.moved, changed.moved_with_their_folder, changed.removed
        ));
        Ok(())
    }

    fn delta(&self, source: &mut dyn Sandbox) -> Result<Vec<PathBuf>> {
        self.narrator.step(5, "Run a delta", &self.run_command());
        self.run(source)
    }

    fn verify(&self, bundles: &[PathBuf]) -> Result<()> {
        let listed: Vec<String> = bundles.iter().map(|path| shown(path)).collect();
        self.narrator.step(6, "Verify the bundles", &format!("blobdelta verify --deep {}", listed.join(" ")));
        for path in bundles {
            let report = verify(path, VerifyLevel::Deep, self.monitor)?;
            for finding in &report.findings {
                let file = finding.file.as_deref().unwrap_or("-");
                self.narrator.say(format!("   {:?} {file}: {}", finding.kind, finding.detail));
            }
            if !report.is_good() {
                return Err(Error::verification("a bundle of the demo has errors").file(path));
            }
            self.narrator.say(format!("   good: {} files, {} bytes, {} rows", report.files, report.bytes, report.rows));
        }
        Ok(())
    }

    fn replay(&self, bundles: &[PathBuf]) -> Result<Box<dyn Sandbox>> {
        let database = self.stage.target_database.clone();
        let named = database.as_ref().map_or(String::new(), |name| format!(" --database {name} --into-source"));
        // On a server, source and target stand beside each other.
        let into_source = database.is_some();
        let options = ReplayOptions { create: true, database, into_source, ..ReplayOptions::default() };
        let into = self.stage.target_connection();
        self.narrator.step(
            7,
            "Replay them into a second database",
            &format!("blobdelta replay {} --into {into}{named} --create", shown(&self.folders.bundles)),
        );
        let bundles = OpenedBundles::open(bundles, &options.access, self.monitor)?;
        let main_database = bundles.target_database(&options)?;
        let mut target = self.stage.open_target(main_database)?;
        for bundle in bundles.replay(&mut *target, &options, self.monitor)?.bundles {
            for table in bundle.tables {
                self.narrator.say(format!(
                    "   {}: rows {}, written {}, tombstones {}, removed {}",
                    table.target, table.rows, table.written, table.tombstones, table.removed
                ));
            }
        }
        Ok(target)
    }

    fn compare(
        &self,
        source: &mut dyn Sandbox,
        target: &mut dyn Sandbox,
        former: &[HashSet<Guid>],
    ) -> Result<Comparison> {
        self.narrator.step(8, "Compare source and target row by row, byte by byte", "");
        let mut found = Comparison::default();
        for (table, (window_end, former_ancestors)) in window_ends(source)?.into_iter().zip(former).enumerate() {
            let terms = Terms { table, window_end, former_ancestors };
            compare(source, target, &terms, &self.stage.target(table)?, &mut found)?;
        }
        for difference in &found.reported {
            self.narrator.say(format!("   DIFFERENT {difference}"));
        }
        self.narrator.say(format!(
            "   {} rows equal in every column ({} bytes), {} more as ancestors, {} absent as they must be, {} differences",
            found.due, found.bytes, found.ancestors, found.absent, found.differences
        ));
        if found.differences == 0 {
            return Ok(found);
        }
        let what = format!("the replayed target differs from the source in {} places", found.differences);
        Err(Error::verification(what))
    }
}
