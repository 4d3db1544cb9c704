//! `prune`: an end of what is kept, of runs in the job database or of bundles at a destination.

use super::access::AccessArgs;
use super::answer::Answer;
use super::instance::Instance;
use super::prune_destination;
use super::render::{counted, number};
use super::table::{TextTable, plain};
use super::text::Text;
use crate::backend::{PrunedTable, Retention};
use crate::error::Result;
use crate::monitor::Monitor;
use crate::ship::PruneOptions;
use serde_json::json;

/// Without a word about it.
const KEEP_RUNS: u32 = 100;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without DESTINATION: removes old runs from the job database, each with its steps, queues and records of
bundles. Also removes logged deletions that are older than every run that is kept. Bundles, slices
and watermarks are not changed. A run that is still needed is always kept: the newest of each table
and business unit, one that can be resumed or has to be packed or shipped, and the last one with a
bundle of a chain.

With DESTINATION, a folder or URL to which bundles were shipped: removes a bundle if a compacted bundle
there lists its root digest and has all of its rows. Both are read before anything is removed. All
other bundles are kept, however old they are. With --signer or --roots, every bundle there has to pass
that check.

Examples:
  blobdelta prune --connection sqlite:./instance --plan
  blobdelta prune --connection sqlite:./instance --keep-runs 52 --keep-days 365
  blobdelta prune s3://acme/weekly --keep-weeks 13 --plan")]
pub struct PruneArgs {
    /// Remove old bundles at this destination instead
    #[arg(value_name = "DESTINATION", requires = "keep_weeks", conflicts_with_all = ["keep_runs", "keep_days"])]
    pub destination: Option<String>,
    /// With DESTINATION: keep the bundles of the last N weeks, counted back from the newest run there
    #[arg(long, value_name = "N", requires = "destination", value_parser = clap::value_parser!(u32).range(1..=5200))]
    pub keep_weeks: Option<u32>,
    #[command(flatten)]
    pub access: AccessArgs,
    #[command(flatten)]
    pub instance: Instance,
    #[command(flatten)]
    pub keep: KeepArgs,
    /// Print what would be removed, and change nothing
    #[arg(long)]
    pub plan: bool,
}

/// What stays beside that.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct KeepArgs {
    /// Keep the newest N runs of each table; 100 without this option and --keep-days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    pub keep_runs: Option<u32>,
    /// Keep the runs that started in the last N days; with --keep-runs, a run is kept if either option keeps it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(Retention::MOST_DAYS)))]
    pub keep_days: Option<u32>,
}

impl From<KeepArgs> for Retention {
    fn from(args: KeepArgs) -> Self {
        let said_nothing = args.keep_runs.is_none() && args.keep_days.is_none();
        Self { keep_runs: if said_nothing { Some(KEEP_RUNS) } else { args.keep_runs }, keep_days: args.keep_days }
    }
}

/// Prunes.
///
/// # Errors
/// As [`crate::backend::Upkeep::prune`] and [`crate::ship::prune`].
pub fn run(args: &PruneArgs, monitor: &dyn Monitor) -> Result<Answer> {
    match (&args.destination, args.keep_weeks) {
        (Some(destination), Some(keep_weeks)) => {
            let options = PruneOptions { keep_weeks, is_plan: args.plan, access: args.access.read()? };
            prune_destination::run(destination, &options, monitor)
        }
        _ => {
            args.access.check_not_typed("prune without DESTINATION removes nothing but rows of the job database")?;
            job_database(&args.instance, args.keep.into(), args.plan)
        }
    }
}

fn job_database(instance: &Instance, retention: Retention, plan: bool) -> Result<Answer> {
    let mut backend = instance.open(false)?;
    let pruned = backend.prune(&retention, plan)?;
    let table = pruned_table(&pruned);
    let rows = pruned.iter().map(|one| one.removed).sum();
    let end = match plan {
        true => format!("{} would be removed; nothing was changed", counted(rows, "row", "rows")),
        false => format!("{} removed", counted(rows, "row", "rows")),
    };
    let mut text = Text::from(format!("{}\n", backend.describe()));
    text.table(&table);
    text += &format!("{}\n{end}\n", kept_text(&retention));
    let json = json!({
        "instance": backend.describe(),
        "plan": plan,
        "keep_runs": retention.keep_runs,
        "keep_days": retention.keep_days,
        "tables": table.json(),
    });
    Ok(Answer::done(text, json))
}

/// What pruning removes of each table of the job database.
pub fn pruned_table(pruned: &[PrunedTable]) -> TextTable {
    let mut table = TextTable::new([plain("Table"), plain("Rows"), plain("Removed"), plain("Kept")]);
    for one in pruned {
        let kept = one.rows.saturating_sub(one.removed);
        table.push([one.table.clone().into(), one.rows.into(), one.removed.into(), kept.into()]);
    }
    table
}

/// What a retention keeps.
pub fn kept_text(retention: &Retention) -> String {
    let runs = retention.keep_runs.map(|runs| format!("the newest {} of each table", counted_runs(runs)));
    let days = retention.keep_days.map(|days| format!("those of the last {} days", number(days.into())));
    let said: Vec<String> = runs.into_iter().chain(days).collect();
    format!("kept: {}, and what is still needed", said.join(", "))
}

fn counted_runs(runs: u32) -> String {
    counted(runs.into(), "run", "runs")
}
