//! `compact`.

use super::answer::Answer;
use super::args::CompactArgs;
use super::bundles::named;
use super::out::clean;
use super::render::{bytes, counted};
use crate::bundle::{Access, Bundle, Container, Newest, tell_failed};
use crate::compact::{self, CompactOptions};
use crate::durable::Local;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::verify::{Level, Options, verify_with};
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
    bundles.iter().for_each(|bundle| tell_failed(bundle.path(), bundle.manifest(), monitor));
    Newest::of(bundles.iter().map(Bundle::manifest)).check(access.not_before)?;
    args.place.check(bundles.iter().map(Bundle::manifest), &args.out, monitor)?;
    if options.signer.is_some() {
        bundles.iter().try_for_each(|bundle| vouch(bundle, &access, monitor))?;
    }
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

/// Who signs vouches for what is signed: each bundle that goes in has to be good in all that can be looked at, rows that contradict
/// each other included, which a compaction alone does not see. What is read afterwards is held against the same root digest.
fn vouch(bundle: &Bundle, access: &Access, monitor: &dyn Monitor) -> Result<()> {
    let report = verify_with(bundle.path(), &Options { access: access.clone(), ..Options::new(Level::Deep) }, monitor)?;
    if report.is_good() && report.root_sha256 == Some(bundle.root_sha256()) {
        return Ok(());
    }
    let path = bundle.path().display();
    Err(Error::verification("this bundle is not good, so nothing that is made of it is signed")
        .file(bundle.path())
        .hint(format!("`blobdelta verify --deep {path}` says what is wrong; ask whoever made the bundle for another")))
}
