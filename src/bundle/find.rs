//! Where bundles are, by the names of files alone.

use super::layout::{
    ARCHIVE_SUFFIX, BUNDLE_SUFFIX, BundleName, CLAIM_SUFFIX, ENCRYPTED_SUFFIX, MANIFEST_JSON, MARKER_SUFFIX,
    NOTE_INFIX, TAG_LIST, is_encrypted,
};
use super::remote::marked;
use crate::durable::Local;
use crate::error::{Error, Result};
use crate::store::{self, Location};
use std::path::{Path, PathBuf};

/// Where a bundle may be.
#[derive(Clone, Debug)]
pub struct BundlePlace {
    /// A bundle's folder or archive, by its name.
    pub path: PathBuf,
    /// Whether the user named it; else it was found in a folder, among what else may be there.
    pub is_named: bool,
}

/// The places that `paths` mean: each a bundle, or a folder of bundles, which is looked through
/// without its subfolders, in the order of names. A URL means the bundle of its name, or what has a
/// marker right under it.
///
/// # Errors
/// Usage, if one of them is not there; Config, for a place that cannot be reached so; Io.
pub fn places(paths: &[PathBuf]) -> Result<Vec<BundlePlace>> {
    let mut found = Vec::new();
    for path in paths {
        if let Some(url) = Location::of_path(path)? {
            found.extend(at(&url)?);
            continue;
        }
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() && !is_bundle_folder(path) => found.extend(inside(path)?),
            Ok(_) => found.push(BundlePlace { path: path.clone(), is_named: true }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::usage("there is no such folder or bundle")
                    .file(path)
                    .hint("name a folder that holds bundles, or bundles"));
            }
            Err(error) => return Err(Error::io("open", path, error)),
        }
    }
    Ok(found)
}

fn at(url: &Location) -> Result<Vec<BundlePlace>> {
    if url.parent().is_some_and(|(_, name)| BundleName::of_file(&name).is_some()) {
        return Ok(vec![BundlePlace { path: url.to_string().into(), is_named: true }]);
    }
    let names = marked(store::open(url, &Local)?.as_ref())?;
    Ok(names.into_iter().map(|name| BundlePlace { path: url.join(&name), is_named: false }).collect())
}

fn is_bundle_folder(path: &Path) -> bool {
    let is_called_one = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(BUNDLE_SUFFIX));
    is_called_one || path.join(TAG_LIST).exists()
}

/// What stands in the folders among `paths` and looks like a bundle, by its name or by what lies in it, without being
/// called like one: [`places`] takes none of it.
///
/// # Errors
/// Io.
pub fn passed_by(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut passed = Vec::new();
    for path in paths {
        if Location::of_path(path)?.is_none() && path.is_dir() && !is_bundle_folder(path) {
            passed.extend(listed(path)?.1);
        }
    }
    Ok(passed)
}

fn inside(folder: &Path) -> Result<Vec<BundlePlace>> {
    Ok(listed(folder)?.0.into_iter().map(|path| BundlePlace { path, is_named: false }).collect())
}

/// What is ours beside a bundle at a destination.
const BESIDE: [&str; 2] = [MARKER_SUFFIX, CLAIM_SUFFIX];

fn looks_like_a_bundle(path: &Path, name: &str) -> bool {
    let name = name.to_lowercase();
    let is_called = name.contains(BUNDLE_SUFFIX) || name.contains(ARCHIVE_SUFFIX) || is_encrypted(&name);
    let holds = || path.join(TAG_LIST).is_file() || path.join(MANIFEST_JSON).is_file();
    let is_beside = name.contains(NOTE_INFIX) || BESIDE.iter().any(|end| name.ends_with(end));
    (is_called && !is_beside) || holds()
}

/// The bundles in a folder, by their names, and what looks like some; both in the order of names.
fn listed(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let failed = |error| Error::io("list", folder, error);
    let (mut paths, mut passed) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Staging folders and files begin with a dot.
        if name.starts_with('.') {
            continue;
        }
        let archive = name.strip_suffix(ENCRYPTED_SUFFIX).unwrap_or(&name).strip_suffix(ARCHIVE_SUFFIX);
        let is_archive = archive.is_some_and(|name| name.ends_with(BUNDLE_SUFFIX));
        if (name.ends_with(BUNDLE_SUFFIX) && path.is_dir()) || (is_archive && path.is_file()) {
            paths.push(path);
        } else if looks_like_a_bundle(&path, &name) {
            passed.push(path);
        }
    }
    paths.sort();
    passed.sort();
    Ok((paths, passed))
}
