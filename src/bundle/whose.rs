//! Rule 18, third promise: whose a place is. A folder or destination that holds bundles of one unit is read by that
//! unit's receivers, so no other rows come there unless somebody says so by name; one that holds bundles of all units is
//! read by those who may see everything.

use super::container::Container;
use super::find::{BundlePlace, places};
use super::read::Bundle;
use super::{Access, Manifest};
use crate::error::{Error, Kind, Result};
use crate::model::id::Guid;
use crate::model::run::Scope;
use crate::monitor::{Event, Monitor};
use crate::store::Location;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Scopes whose rows are, or come, somewhere.
pub type Scopes = BTreeSet<Scope>;

/// `all business units`, or the units by name.
pub fn scopes_text(scopes: &Scopes) -> String {
    let one = |scope: &Scope| match scope {
        Scope::All => "all business units".to_owned(),
        Scope::BusinessUnit(unit) => format!("business unit {unit}"),
    };
    scopes.iter().map(one).collect::<Vec<_>>().join(" and ")
}

/// Whether rows of these scopes may come to a place that holds those.
pub fn may_come(coming: &Scopes, held: &Scopes) -> bool {
    let is_everybodys = held.contains(&Scope::All) || (held.is_empty() && coming.contains(&Scope::All));
    is_everybodys || (held.is_empty() && coming.len() < 2) || coming.is_subset(held)
}

/// Why rows of these scopes may not come to a place that holds those, with what to type; `None` where they may.
/// `because` says how it is known whose it is.
pub fn not_theirs(coming: &Scopes, held: &Scopes, place: &Path, because: &str) -> Option<Error> {
    if may_come(coming, held) {
        return None;
    }
    let what = match held.is_empty() {
        true => format!("bundles of {} would come to one place; nothing was written", scopes_text(coming)),
        false => format!(
            "this place is of {} ({because}), and rows of {} would come there; nothing was written",
            scopes_text(held),
            scopes_text(coming)
        ),
    };
    Some(Error::usage(what).file(place).hint(
        "name another place; or, if whoever reads there may have these rows too, say so by adding --shared-place",
    ))
}

/// The scopes of a bundle's tables.
pub fn scopes_of(manifest: &Manifest) -> Scopes {
    let tables = manifest.tables.iter().map(|table| table.scope.0);
    let run = Scope::from(manifest.run.business_unit);
    if manifest.tables.is_empty() { Scopes::from([run]) } else { tables.collect() }
}

/// Whose rows the bundles of a source have that stand at a place, with one bundle of each; as far as it decides whether
/// rows of these scopes may come. The newest names are looked at first, and no more once they may: so where bundles of the same
/// scopes came before, one is looked at, however many there are. A folder that is not there holds none. What cannot be
/// opened is reported and passed by.
///
/// # Errors
/// Usage, Config or Io, if the place cannot be listed; Cancelled.
pub fn existing(
    source_id: Guid,
    coming: &Scopes,
    place: &Path,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<Scope, PathBuf>> {
    let mut held = BTreeMap::new();
    if Location::of_path(place)?.is_none() && !place.exists() {
        return Ok(held);
    }
    let mut found = places(&[place.to_owned()])?;
    found.sort_by(|a, b| b.path.file_name().cmp(&a.path.file_name()));
    for BundlePlace { path, .. } in found {
        monitor.check()?;
        let read = Container::open(&path, &Access::default()).and_then(|container| Bundle::manifest_of(&container));
        let Some(manifest) = read_or_skip(&path, read, monitor)? else { continue };
        if manifest.run.source_id != source_id {
            continue;
        }
        held.extend(scopes_of(&manifest).into_iter().map(|scope| (scope, path.clone())));
        // More of them would change nothing.
        if may_come(coming, &held.keys().copied().collect()) {
            break;
        }
    }
    Ok(held)
}

/// [`not_theirs`] by what stands at a place.
///
/// # Errors
/// As [`existing`].
pub fn not_theirs_there(
    source_id: Guid,
    coming: &Scopes,
    place: &Path,
    monitor: &dyn Monitor,
) -> Result<Option<Error>> {
    Ok(not_theirs_by(coming, &existing(source_id, coming, place, monitor)?, place))
}

/// The same by what [`existing`] found there.
pub fn not_theirs_by(coming: &Scopes, existing: &BTreeMap<Scope, PathBuf>, place: &Path) -> Option<Error> {
    let name = existing.values().next().map_or_else(|| "a bundle".to_owned(), |path| path.display().to_string());
    not_theirs(coming, &existing.keys().copied().collect(), place, &format!("{name} stands there"))
}

/// Rule 18 for whoever has no job database: bundles may come to a place by what stands there, of each source.
/// Bundles that are given as they lie, encrypted to others, are reported and passed by.
///
/// # Errors
/// Usage, if they may not; as [`existing`].
pub fn check_coming<'a>(coming: impl Iterator<Item = &'a Manifest>, place: &Path, monitor: &dyn Monitor) -> Result<()> {
    let mut of_sources: BTreeMap<Guid, Scopes> = BTreeMap::new();
    for manifest in coming {
        of_sources.entry(manifest.run.source_id).or_default().extend(scopes_of(manifest));
    }
    for (source, scopes) in &of_sources {
        not_theirs_there(*source, scopes, place, monitor)?.map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// Opens a bundle, whose tag files are hashed; `None`, and told, where it cannot be opened.
///
/// # Errors
/// Cancelled.
pub fn open_or_skip(path: &Path, access: &Access, monitor: &dyn Monitor) -> Result<Option<Bundle>> {
    read_or_skip(path, Container::open(path, access).and_then(Bundle::open_in), monitor)
}

fn read_or_skip<T>(path: &Path, read: Result<T>, monitor: &dyn Monitor) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == Kind::Cancelled => Err(error),
        Err(error) => {
            let reported = format!("{} cannot be held against the chain, and is passed by: {error}", path.display());
            monitor.event(Event::Warning(&reported));
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_one_unit_takes_nothing_else_and_one_of_all_takes_everything() {
        let unit = |letter: u8| Scope::BusinessUnit(Guid::from_bytes([letter; 16]));
        let (none, all, a, b) = (Scopes::new(), [Scope::All].into(), [unit(1)].into(), [unit(2)].into());
        let both: Scopes = [unit(1), unit(2)].into();
        let all_and_a: Scopes = [Scope::All, unit(1)].into();
        let cases: [(&Scopes, &Scopes, bool); 13] = [
            (&a, &none, true),
            (&all, &none, true),
            (&both, &none, false),
            (&all_and_a, &none, true),
            (&a, &a, true),
            (&b, &a, false),
            (&all, &a, false),
            (&all_and_a, &a, false),
            (&a, &all, true),
            (&both, &all, true),
            (&b, &both, true),
            (&all, &both, false),
            (&b, &all_and_a, true),
        ];
        for (coming, held, may) in cases {
            assert_eq!(may_come(coming, held), may, "{coming:?} to {held:?}");
        }
    }
}
