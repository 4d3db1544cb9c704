//! `compact`.

use super::answer::Answer;
use super::args::CompactArgs;
use super::bundles::named;
use super::out::clean;
use super::render::{bytes, counted};
use crate::bundle::{Bundle, Container, Newest, warn_of_failed};
use crate::compact::{self, CompactOptions};
use crate::durable::Local;
use crate::error::Result;
use crate::monitor::Monitor;
use serde_json::json;

/// Publishes one bundle out of many.
///
/// # Errors
/// As [`compact::compact`].
pub fn run(args: &CompactArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let options = CompactOptions {
        form: args.form.form()?,
        allows_plain: args.plain.allow_plain,
        allows_gap: args.allow_gap,
        signer: args.sign.signer()?,
        ..CompactOptions::of(args.parts.memory.memory(), args.parts.options())
    };
    let access = args.access.read_fresh(&args.fresh)?;
    let open = |path| Bundle::open_in(Container::open(path, &access)?);
    let bundles = named(&args.bundles, monitor)?.iter().map(|path| open(path)).collect::<Result<Vec<_>>>()?;
    bundles.iter().for_each(|bundle| warn_of_failed(bundle.path(), bundle.manifest(), monitor));
    Newest::of(bundles.iter().map(Bundle::manifest)).check(access.not_before)?;
    args.place.check(bundles.iter().map(Bundle::manifest), &args.out, monitor)?;
    let of = counted(bundles.len() as u64, "bundle", "bundles");
    let published = compact::compact(bundles, &Local, &args.out, &options, monitor)?;
    let place = published.path().display().to_string();
    let root = published.root_sha256();
    let text = format!(
        "bundle {}  (of {of}, {} of payload)\n  root sha256 {root}\n",
        clean(&place),
        bytes(published.payload_bytes())
    );
    let json = json!({"bundle": place, "root_sha256": root, "adopted": published.adopted()});
    Ok(Answer::done(text, json).with_result([place]))
}
