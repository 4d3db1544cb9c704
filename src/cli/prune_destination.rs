//! `prune DESTINATION`.

use super::answer::Answer;
use super::render::{bytes, clean, counted};
use crate::durable::Local;
use crate::error::Result;
use crate::monitor::Monitor;
use crate::ship::{self, PruneOptions, Pruned};
use crate::store::Location;
use serde_json::json;
use std::fmt::Write as _;

/// What of a destination is kept.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
An old bundle is removed only if a compacted one at the same destination lists its root digest,
spans its windows, and is whole: every file of it is hashed first. The marker goes before the rest.

Examples:
  blobdelta prune s3://acme-deltas/weekly --keep-weeks 26 --plan
  blobdelta prune s3://acme-deltas/weekly --keep-weeks 26")]
pub struct DestinationArgs {
    /// Remove old bundles at this destination, where a compacted one there stands for them
    #[arg(value_name = "DESTINATION")]
    pub destination: String,
    /// Keep bundles whose run started within so many weeks before that of the newest one there
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5200))]
    pub keep_weeks: u32,
    /// Say what would be removed, and change nothing; what stands for it is not hashed then
    #[arg(long)]
    pub plan: bool,
}

/// Prunes a destination.
///
/// # Errors
/// As [`ship::prune`].
pub fn run(args: &DestinationArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let options = PruneOptions { keep_weeks: args.keep_weeks, is_plan: args.plan };
    let pruned = ship::prune(&Location::parse(&args.destination)?, options, &Local, monitor)?;
    let removed = |one: &ship::Removed| {
        json!({
            "place": one.path.display().to_string(), "root_sha256": one.root_sha256, "bytes": one.bytes,
            "covered_by": one.covered_by.display().to_string(),
        })
    };
    let json = json!({
        "is_plan": args.plan,
        "removed": pruned.removed.iter().map(removed).collect::<Vec<_>>(),
        "kept_old": pruned.kept.iter().map(|(path, why)| json!({"place": path.display().to_string(), "why": why})).collect::<Vec<_>>(),
        "sealed": pruned.sealed.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        "young": pruned.young,
        "finished": pruned.finished,
    });
    Ok(Answer::done(text(&pruned, args.plan), json))
}

fn text(pruned: &Pruned, is_plan: bool) -> String {
    let mut text = String::new();
    for name in &pruned.finished {
        let _ = writeln!(text, "finished {}, where an earlier prune had died", clean(name));
    }
    let verb = if is_plan { "would remove" } else { "removed" };
    for one in &pruned.removed {
        let (path, by) = (one.path.display().to_string(), one.covered_by.display().to_string());
        let _ = writeln!(text, "{verb} {}  ({})\n  {} stands for it", clean(&path), bytes(one.bytes), clean(&by));
    }
    for (path, why) in &pruned.kept {
        let _ = writeln!(text, "kept {}, though it is old\n  {}", clean(&path.display().to_string()), clean(why));
    }
    for path in &pruned.sealed {
        let _ = writeln!(text, "kept {}, which is encrypted", clean(&path.display().to_string()));
    }
    let sum = pruned.removed.iter().map(|one| one.bytes).sum();
    let _ = writeln!(
        text,
        "{verb} {} ({} of payload); {} young enough{}",
        counted(pruned.removed.len() as u64, "bundle", "bundles"),
        bytes(sum),
        pruned.young,
        if is_plan { "; what stands for them was not hashed" } else { "" },
    );
    text
}
