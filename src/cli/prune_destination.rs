//! `prune DESTINATION`.

use super::answer::Answer;
use super::out::clean;
use super::render::{bytes, counted};
use crate::durable::Local;
use crate::error::Result;
use crate::monitor::Monitor;
use crate::ship::{self, PruneOptions, PrunedDestination};
use crate::store::Location;
use serde_json::json;
use std::fmt::Write as _;

/// Prunes a destination.
///
/// # Errors
/// As [`ship::prune`].
pub fn run(destination: &str, options: &PruneOptions, monitor: &dyn Monitor) -> Result<Answer> {
    let pruned = ship::prune(&Location::parse(destination)?, options, &Local, monitor)?;
    let removed = |one: &ship::Removed| {
        json!({
            "place": one.path.display().to_string(), "root_sha256": one.root_sha256, "bytes": one.bytes,
            "covered_by": one.covered_by.display().to_string(),
        })
    };
    let json = json!({
        "is_plan": options.is_plan,
        "removed": pruned.removed.iter().map(removed).collect::<Vec<_>>(),
        "kept_old": pruned.kept.iter().map(|(path, why)| json!({"place": path.display().to_string(), "why": why})).collect::<Vec<_>>(),
        "sealed": pruned.sealed.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        "future": pruned.future.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        "young": pruned.young,
        "finished": pruned.finished,
        "left": pruned.left.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
    });
    Ok(Answer::done(text(&pruned, options.is_plan), json))
}

fn text(pruned: &PrunedDestination, is_plan: bool) -> String {
    let mut text = String::new();
    for name in &pruned.finished {
        let _ = writeln!(text, "removed the rest of {}, where an earlier prune had died", clean(name));
    }
    let verb = if is_plan { "would remove" } else { "removed" };
    for one in &pruned.removed {
        let (path, by) = (one.path.display().to_string(), one.covered_by.display().to_string());
        let _ = writeln!(text, "{verb} {}  ({})\n  {} replaces it", clean(&path), bytes(one.bytes), clean(&by));
    }
    for (path, why) in &pruned.kept {
        let _ = writeln!(text, "kept {}, though it is old\n  {}", clean(&path.display().to_string()), clean(why));
    }
    for path in &pruned.sealed {
        let _ = writeln!(text, "kept {}, which is encrypted", clean(&path.display().to_string()));
    }
    for path in &pruned.future {
        let _ = writeln!(
            text,
            "kept {}: its manifest says that its run is in the future",
            clean(&path.display().to_string())
        );
    }
    for path in &pruned.left {
        let path = clean(&path.display().to_string());
        let _ = writeln!(
            text,
            "left {path}\n  it was among the files of a bundle that was removed, but is not one of them; look at it"
        );
    }
    let sum = pruned.removed.iter().map(|one| one.bytes).sum();
    let _ = writeln!(
        text,
        "{verb} {} ({} of payload); {} young enough{}",
        counted(pruned.removed.len() as u64, "bundle", "bundles"),
        bytes(sum),
        pruned.young,
        if is_plan { "; the compacted bundles were not verified" } else { "" },
    );
    text
}
