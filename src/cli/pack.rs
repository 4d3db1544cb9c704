//! `pack`.

use super::answer::Answer;
use super::args::PackArgs;
use super::render::clean;
use crate::durable::Local;
use crate::engine;
use crate::error::Result;
use crate::monitor::Monitor;
use serde_json::json;

/// Publishes the bundle of a finished run.
///
/// # Errors
/// As [`engine::pack`].
pub fn run(args: &PackArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let options = args.packing.options()?;
    let mut backend = args.instance.open(false)?;
    let seconds = args.lease_minutes * 60;
    let bundles = engine::pack(backend.as_mut(), args.run, &args.out, &options, seconds, &Local, monitor)?;
    let paths: Vec<String> = bundles.iter().map(|path| path.display().to_string()).collect();
    let text = match paths.as_slice() {
        [] => format!("run {} left nothing that is to be packed\n", args.run),
        paths => paths.iter().map(|path| format!("bundle {}\n", clean(path))).collect(),
    };
    Ok(Answer::done(text, json!({"run": args.run, "bundles": paths})))
}
