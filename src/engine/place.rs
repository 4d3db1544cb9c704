//! Rule 18: whose a place is. What the job database has recorded says it, for bundles there may be encrypted, or gone;
//! of a place that it has no record of, what stands there.
//!
//! A place that lies in another one is read by whoever reads that, so the records of both count.

use crate::backend::{Backend, PlaceRecord};
use crate::bundle::{Scopes, may_come, not_theirs, not_theirs_there, scopes_text};
use crate::error::{Error, Result};
use crate::model::destination::Destination;
use crate::model::id::Guid;
use crate::model::run::Scope;
use crate::monitor::Monitor;
use crate::store::Location;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why a bundle of this scope may not come to a place, a folder or a URL, with whose it is and what to type; `None`
/// where it may. What `run` is recorded with does not count.
///
/// # Errors
/// What a place gives that cannot be listed; Database; Cancelled.
pub fn find_others(
    backend: &mut dyn Backend,
    scope: Scope,
    place: &Path,
    run: Option<Guid>,
    monitor: &dyn Monitor,
) -> Result<Option<Error>> {
    match by_records(backend, scope, place, run)? {
        KnownPlace::Not => {
            let source_id = backend.source_id()?;
            not_theirs_there(source_id, &Scopes::from([scope]), place, monitor)
        }
        KnownPlace::Theirs => Ok(None),
        KnownPlace::Others(refusal) => Ok(Some(refusal)),
    }
}

/// The same by what is recorded alone: nothing is looked at.
///
/// # Errors
/// Database.
pub fn find_recorded_others(backend: &mut dyn Backend, scope: Scope, place: &Path) -> Result<Option<Error>> {
    Ok(match by_records(backend, scope, place, None)? {
        KnownPlace::Others(refusal) => Some(refusal),
        KnownPlace::Not | KnownPlace::Theirs => None,
    })
}

/// Refuses; or, where somebody says by name that rows of this scope may come to a place, records that.
///
/// # Errors
/// The refusal; Usage, for a place that is no text; Database.
pub fn refuse_or_share(
    backend: &mut dyn Backend,
    refusal: Option<Error>,
    scope: Scope,
    place: &Path,
    is_shared: bool,
) -> Result<()> {
    let Some(refusal) = refusal else { return Ok(()) };
    if !is_shared {
        return Err(refusal);
    }
    let text = canonical(place)?;
    let text = text.to_str().ok_or_else(|| Error::usage("a place that is recorded has to be text").file(place))?;
    backend.share_place(text, scope)
}

/// The folder and the destination of a run, before anything of it is written. A destination is not looked at from
/// here: whoever ships does that.
///
/// # Errors
/// As [`find_others`] and [`refuse_or_share`].
pub(super) fn check_destination(
    backend: &mut dyn Backend,
    scope: Scope,
    out: &Path,
    recorded: &Destination,
    is_shared: bool,
    monitor: &dyn Monitor,
) -> Result<()> {
    let refusal = find_others(backend, scope, out, None, monitor)?;
    refuse_or_share(backend, refusal, scope, out, is_shared)?;
    let Some(ship_to) = recorded.ship_to.as_deref().map(Path::new) else { return Ok(()) };
    let refusal = find_recorded_others(backend, scope, ship_to)?;
    refuse_or_share(backend, refusal, scope, ship_to, is_shared)
}

/// What the records know of a place.
enum KnownPlace {
    Not,
    Theirs,
    Others(Error),
}

fn by_records(backend: &mut dyn Backend, scope: Scope, place: &Path, run: Option<Guid>) -> Result<KnownPlace> {
    let at = canonical(place)?;
    let (mut held, mut below) = (BTreeMap::<PathBuf, Scopes>::new(), BTreeMap::<PathBuf, Scopes>::new());
    for record in backend.place_records()?.into_iter().filter(|record| is_another(record, run)) {
        let recorded = canonical(Path::new(&record.place))?;
        if at.starts_with(&recorded) {
            held.entry(recorded).or_default().insert(record.scope);
        } else if recorded.starts_with(&at) {
            below.entry(recorded).or_default().insert(record.scope);
        }
    }
    // What was allowed here by name was allowed in all that it lies in.
    if held.get(&at).is_some_and(|own| own.contains(&scope)) {
        return Ok(KnownPlace::Theirs);
    }
    let coming = Scopes::from([scope]);
    let refusal =
        |(of, scopes): (&PathBuf, &Scopes)| not_theirs(&coming, scopes, of, "as the job database has recorded");
    // Whoever reads here reads what lies below, too.
    let readers: Scopes = held.get(&at).into_iter().flatten().copied().chain([scope]).collect();
    let refusal_below = |(of, scopes): (&PathBuf, &Scopes)| above_others(scopes, &readers, place, of);
    Ok(match held.iter().find_map(refusal).or_else(|| below.iter().find_map(refusal_below)) {
        Some(refusal) => KnownPlace::Others(refusal),
        None if held.contains_key(&at) => KnownPlace::Theirs,
        None => KnownPlace::Not,
    })
}

/// Why rows of these readers may not come to a place above one that holds others' rows.
fn above_others(held_below: &Scopes, readers: &Scopes, place: &Path, below: &Path) -> Option<Error> {
    if may_come(held_below, readers) {
        return None;
    }
    let what = format!(
        "{} lies in this place and is of {} (as the job database has recorded), and rows of {} would come here, so that \
         whoever reads here would read those too; nothing was written",
        below.display(),
        scopes_text(held_below),
        scopes_text(readers),
    );
    Some(
        Error::usage(what).file(place).hint(
            "name another place; or, if whoever reads here may have these rows too, say so by adding --shared-place",
        ),
    )
}

fn is_another(record: &PlaceRecord, run: Option<Guid>) -> bool {
    record.run_id.is_none() || record.run_id != run
}

/// A place as it is compared: a folder from the root on, without links where it is there; a URL as it is.
fn canonical(place: &Path) -> Result<PathBuf> {
    // What is no URL that this program knows is compared as it is.
    let location = Location::of_path(place).ok().flatten();
    let folder = match &location {
        Some(url) => match url.folder() {
            Some(folder) => folder,
            None => return Ok(PathBuf::from(url.to_string())),
        },
        None => place,
    };
    let absolute = std::path::absolute(folder).map_err(|error| Error::io("find", folder, error))?;
    Ok(absolute.canonicalize().unwrap_or(absolute))
}

/// The folder for bundles is there.
pub(super) fn check_out(out: &Path) -> Result<()> {
    if out.is_dir() {
        return Ok(());
    }
    Err(Error::usage("the folder for bundles is not there").file(out).hint("make it first, or correct --out"))
}
