//! `pack`.

use super::answer::Answer;
use super::args::PackArgs;
use super::render::clean;
use super::shipping;
use crate::durable::Local;
use crate::engine::{self, PackOptions};
use crate::error::Result;
use crate::monitor::Monitor;
use serde_json::json;

/// Publishes the bundle of a finished run, and ships it if asked to.
///
/// # Errors
/// As [`engine::pack`].
pub fn run(args: &PackArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let options = PackOptions { ship_to: args.shipping.destination()?, ..args.packing.options()? };
    let mut backend = args.instance.open_over(args.packing.connections, false)?;
    let seconds = args.lease_minutes * 60;
    args.take_over.map_or(Ok(()), |dead| backend.take_over(dead))?;
    let owed = match &options.ship_to {
        Some(destination) => engine::owe(backend.as_mut(), args.run, destination)?,
        None => Vec::new(),
    };
    let bundles = match owed.is_empty() {
        true => engine::pack(backend.as_mut(), args.run, &args.out, &options, seconds, &Local, monitor)?,
        false => owed,
    };
    let paths: Vec<String> = bundles.iter().map(|path| path.display().to_string()).collect();
    let text = match paths.as_slice() {
        [] => format!("run {} left nothing that is to be packed\n", args.run),
        paths => paths.iter().map(|path| format!("bundle {}\n", clean(path))).collect(),
    };
    let mut answer = Answer::done(text, json!({"run": args.run, "bundles": paths}));
    if options.ship_to.is_some() {
        shipping::ship_owed(backend.as_mut(), monitor).tell(&mut answer);
    }
    Ok(answer)
}
