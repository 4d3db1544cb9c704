//! `archive` and `extract`: a bundle published once more, in its other form.

use super::answer::Answer;
use super::args::{ArchiveArgs, ExtractArgs};
use super::out::clean;
use super::render::bytes;
use crate::bundle::{self, Access, Bundle, Container, Newest, PublishForm, Published, Recipients};
use crate::durable::Local;
use crate::error::Result;
use crate::monitor::{Event, Monitor};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// Publishes a bundle as an archive.
///
/// # Errors
/// As [`bundle::archive`].
pub fn archive(args: &ArchiveArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let form = match args.encrypt_to.as_slice() {
        [] => PublishForm::Archive,
        recipients => PublishForm::Encrypted(Arc::new(Recipients::parse(recipients)?)),
    };
    let beside = args.bundle.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let out = args.out.as_deref().unwrap_or(beside);
    publish(&args.bundle, &args.access.read_fresh(&args.fresh)?, "archive", monitor, |bundle| {
        args.place.check([bundle.manifest()].into_iter(), out, monitor)?;
        bundle::check_plain([bundle].into_iter(), &form, args.plain.allow_plain, monitor)?;
        bundle::archive(bundle, &Local, out, form.recipients(), monitor)
    })
}

/// Publishes an archive as a folder.
///
/// # Errors
/// As [`bundle::extract`].
pub fn extract(args: &ExtractArgs, monitor: &dyn Monitor) -> Result<Answer> {
    publish(&args.bundle, &args.access.read_fresh(&args.fresh)?, "extract", monitor, |bundle| {
        args.place.check([bundle.manifest()].into_iter(), &args.out, monitor)?;
        bundle::extract(bundle, &Local, &args.out, monitor)
    })
}

fn publish(
    path: &Path,
    access: &Access,
    what: &str,
    monitor: &dyn Monitor,
    publish: impl FnOnce(&Bundle) -> Result<Published>,
) -> Result<Answer> {
    let bundle = Bundle::open_in(Container::open(path, access)?)?;
    Newest::of([bundle.manifest()]).check(access.not_before)?;
    monitor.event(Event::WorkStarted {
        what,
        name: bundle.manifest().bundle_name().as_str(),
        rows: None,
        bytes: Some(bundle.all_bytes()?),
    });
    let published = publish(&bundle);
    monitor.event(Event::WorkFinished);
    let published = published?;
    let place = published.path().display().to_string();
    let (root, adopted) = (published.root_sha256(), published.adopted());
    let stood = if adopted { ", which was there already" } else { "" };
    let text = format!(
        "bundle {}{stood}  ({} of payload)\n  root sha256 {root}\n",
        clean(&place),
        bytes(published.payload_bytes())
    );
    let json = json!({"bundle": place, "root_sha256": root, "adopted": adopted});
    Ok(Answer::done(text, json).with_result([place]))
}
