//! What whoever takes bundles has to hear of them, whatever is done with them.

use super::find::{BundlePlace, passed_by, places};
use super::manifest::Manifest;
use crate::error::{Error, Result};
use crate::model::name::TableName;
use crate::monitor::{Event, Monitor};
use std::path::{Path, PathBuf};

/// Which tables of its run a bundle lacks because they failed; nothing, if none did.
pub fn failed_text(manifest: &Manifest) -> Option<String> {
    let names: Vec<&TableName> = manifest.failed_tables.iter().map(|failed| &failed.table).collect();
    let listed = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => None,
        1 => Some(format!("1 table failed in the run of this bundle, and what changed in it is not here: {listed}")),
        some => Some(format!(
            "{some} tables failed in the run of this bundle, and what changed in them is not here: {listed}"
        )),
    }
}

/// Warns of the tables that failed in the run of a bundle.
pub fn warn_of_failed(path: &Path, manifest: &Manifest, monitor: &dyn Monitor) {
    if let Some(failed) = failed_text(manifest) {
        monitor.event(Event::Warning(&format!("{}: {failed}", path.display())));
    }
}

/// Warns of what stands in the folders among `paths`, looks like a bundle, and is taken for none.
///
/// # Errors
/// Io, for a folder that cannot be listed.
fn warn_of_passed_by(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<()> {
    for path in passed_by(paths)? {
        monitor.event(Event::Warning(&format!(
            "passed by {}: it looks like a bundle, but a bundle's name ends in .bundle, .bundle.tar or .bundle.tar.age, \
             in small letters; if it is one, give it its own name, or move it away",
            path.display()
        )));
    }
    Ok(())
}

/// The [`places`] of paths that somebody named: each has to hold a bundle. What only looks like one there is reported.
///
/// # Errors
/// As [`places`]; Usage, for the first without a bundle.
pub fn named_places(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<BundlePlace>> {
    warn_of_passed_by(paths, monitor)?;
    let mut found = Vec::new();
    for path in paths {
        let here = places(std::slice::from_ref(path))?;
        if here.is_empty() {
            return Err(Error::usage("there is no bundle in this folder").file(path).hint(
                "name a folder that holds folders that end in .bundle, or archives that end in .bundle.tar; folders below it \
                 are not looked into: name each",
            ));
        }
        found.extend(here);
    }
    Ok(found)
}
