//! Values that a target can take no otherwise than whole: refused before anything is written, where memory does not
//! suffice for the largest of them.

use super::options::ReplayOptions;
use super::work::TableWork;
use crate::backend::Backend;
use crate::bundle::FileRole;
use crate::error::{Error, Result};
use crate::model::memory::Memory;

/// # Errors
/// Config: a value that is too large to be held, with what makes that necessary.
pub(super) fn check(work: &TableWork<'_>, backend: &mut dyn Backend, options: &ReplayOptions) -> Result<()> {
    let Some(why) = work.compatibility.as_ref().and_then(|compatibility| compatibility.needs_whole.as_ref()) else {
        return Ok(());
    };
    let values = work.table.files.iter().filter(|file| file.role == FileRole::Blob);
    let largest = values.filter_map(|file| Some((file.content_bytes?, file))).max_by_key(|(bytes, _)| *bytes);
    let Some((bytes, file)) = largest.filter(|(bytes, _)| *bytes > options.memory.whole_value()) else { return Ok(()) };
    let (spec, root) = (work.spec(), work.bundle.root_sha256());
    if !options.repair
        && backend.applied_bundles(spec)?.iter().any(|applied| applied.root_sha256 == root && !applied.was_missing())
    {
        return Ok(());
    }
    let hint = match Memory::for_whole_value(bytes) {
        Some(memory) => format!("replay with --memory-mib {}, or into a table where that is not so", memory.mib()),
        None => "replay into a table where that is not so".to_owned(),
    };
    Err(Error::config(format!(
        "a value of {bytes} bytes has to be in memory as a whole to be written here, and does not fit: {why}"
    ))
    .table(&spec.target)
    .file(work.bundle.path().join(&file.path))
    .hint(hint))
}
