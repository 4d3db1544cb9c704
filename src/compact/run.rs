//! One compaction, from bundles to a bundle.

use super::options::CompactOptions;
use super::{inputs, table};
use crate::bundle::{Bundle, BundleName, Form, Published, Staged, hold, sweep_abandoned};
use crate::convert::RunStamp;
use crate::durable::Disk;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::monitor::{Event, Monitor};
use std::fs::File;
use std::path::{Path, PathBuf};

/// What the name of a folder for what is compacted on the way begins with.
const BETWEEN: &str = ".compact-";

/// Compacts bundles of one source and scope into one, published in `out_dir`. They may be deltas
/// or compacted themselves, in any order; what comes twice counts once.
///
/// # Errors
/// Usage: bundles that make no chain, or fewer than two; ChainGap; Config: columns that changed;
/// Verification, with the file, for a bundle that is not what it says; Io; Cancelled.
pub fn compact(
    bundles: Vec<Bundle>,
    disk: &dyn Disk,
    out_dir: &Path,
    options: &CompactOptions,
    monitor: &dyn Monitor,
) -> Result<Published> {
    let mut bundles = inputs::order(bundles);
    if bundles.len() < 2 {
        return Err(Error::usage("there is nothing to compact: fewer than two different bundles were named"));
    }
    // Everything that can be refused is refused before anything is written.
    inputs::tables(&bundles)?;
    for bundle in &bundles {
        bundle.check_file_set()?;
    }
    for path in sweep_abandoned(disk, out_dir, &|name| name.starts_with(BETWEEN))? {
        monitor.event(Event::Note(&format!("removed {}, which a process that died had left", path.display())));
    }
    let mut between = Between { disk, folder: None, _alive: None };
    let most = options.side_by_side.max(2);
    while bundles.len() > most {
        let rest = bundles.split_off(most);
        let folder = between.folder(out_dir)?;
        let plain = CompactOptions { form: Form::Folder, signer: None, ..options.clone() };
        let first = write(&bundles, disk, &folder, &plain, monitor)?;
        bundles = [Bundle::open(first.path())?].into_iter().chain(rest).collect();
    }
    write(&bundles, disk, out_dir, options, monitor)
}

fn write(
    bundles: &[Bundle],
    disk: &dyn Disk,
    out_dir: &Path,
    options: &CompactOptions,
    monitor: &dyn Monitor,
) -> Result<Published> {
    let (run, roots) = inputs::run_info(bundles)?;
    let name = BundleName::new(run.started_at.0, run.run_id, run.pack_number);
    let files = || bundles.iter().flat_map(|bundle| &bundle.manifest().tables).flat_map(|table| &table.files);
    monitor.event(Event::WorkStarted {
        what: "compact",
        name: name.as_str(),
        rows: None,
        bytes: Some(files().map(|file| file.bytes).sum::<u64>().saturating_mul(2)),
    });
    let mut staged = Staged::create(disk, out_dir, name)?.signed_by(options.signer.clone());
    let stamp = RunStamp { started_at: run.started_at.0, run_id: run.run_id };
    let mut tables = Vec::new();
    for (name, parts) in inputs::tables(bundles)? {
        let info = table::write(&parts, &mut staged, options, stamp, monitor);
        tables.push(info.map_err(|error| error.table(name))?);
    }
    let manifest = inputs::manifest(bundles, run, roots, tables)?;
    let published = staged.finish(&manifest)?.publish(&options.form, monitor);
    monitor.event(Event::WorkFinished);
    published
}

/// A folder for what is compacted on the way; it goes with the value.
struct Between<'d> {
    disk: &'d dyn Disk,
    folder: Option<PathBuf>,
    _alive: Option<File>,
}

impl Between<'_> {
    fn folder(&mut self, out_dir: &Path) -> Result<PathBuf> {
        if let Some(folder) = &self.folder {
            return Ok(folder.clone());
        }
        let folder = out_dir.join(format!("{BETWEEN}{}", Guid::random()));
        self.disk.create_dir(&folder)?;
        self._alive = hold(&folder);
        self.folder = Some(folder.clone());
        Ok(folder)
    }
}

impl Drop for Between<'_> {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // Best effort: what stays is swept by a later compaction.
            let _ = self.disk.remove_dir_all(folder);
        }
    }
}
