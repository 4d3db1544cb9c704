//! One compaction, from bundles to a bundle.

use super::options::CompactOptions;
use super::{inputs, table};
use crate::bundle::{
    Access, Bundle, Container, PublishForm, Published, Scratch, StagedBundle, TableInfo, check_plain, sweep_staging,
};
use crate::convert::RunStamp;
use crate::durable::{Disk, is_abandoned};
use crate::error::{Error, Kind, Result};
use crate::known::Holders;
use crate::links::{bundles_in_order, report_links};
use crate::monitor::{Event, Monitor};
use crate::rows::TableRows;
use crate::verify::require_good;
use std::path::Path;

/// Compacts bundles of one source and scope into one, published in `out_dir`. They may be deltas
/// or compacted themselves, in any order; what comes twice counts once.
///
/// # Errors
/// Usage: bundles that make no chain, or fewer than two; ChainGap, unless it is allowed; Config: columns that changed;
/// Verification, with the file, for a bundle that is not what it says, or links that lead in a circle; Io; Cancelled.
pub fn compact(
    bundles: Vec<Bundle>,
    disk: &dyn Disk,
    out_dir: &Path,
    options: &CompactOptions,
    monitor: &dyn Monitor,
) -> Result<Published> {
    let originals = bundles_in_order(bundles)?;
    if originals.len() < 2 {
        return Err(Error::usage("there is nothing to compact: fewer than two different bundles were named"));
    }
    // Everything that can be refused is refused before anything is written.
    check_plain(originals.iter(), &options.form, options.allows_plain, monitor)?;
    let (all, holders): (Vec<&Bundle>, _) = (originals.iter().collect(), Holders::of(&originals));
    let tables = inputs::tables(&all)?;
    inputs::check(&tables, options.allows_gap, monitor)?;
    tables.values().for_each(|parts| report_links(parts.iter().copied(), monitor));
    for bundle in &originals {
        // Who signs vouches for all of it, contents that no pass here reads included.
        if options.signer.is_some() { vouch(bundle, monitor) } else { bundle.check_file_set() }?;
    }
    for swept in sweep_staging(disk, out_dir, &|_, path| is_abandoned(disk, path))? {
        monitor.event(Event::Note(&swept.to_string()));
    }
    // What the first ones lack, the last ones may have whole: only all of them together say which values are kept.
    let mut sources = tables.values().flatten().map(|(bundle, table)| TableRows { bundle, table });
    let lacks = sources.any(|source| holders.absent(source).next().is_some());
    let most = if lacks { all.len() } else { options.side_by_side.max(2) };
    if all.len() <= most {
        return write((&all, &holders), disk, out_dir, options, monitor);
    }
    // As many as can be read side by side become one, which is read beside the next ones.
    let between = Scratch::create(disk, out_dir, &inputs::name_of(&inputs::run_info(&all)?.0))?;
    let plain = CompactOptions { form: PublishForm::Folder, signer: None, ..options.clone() };
    let (mut made, mut rest): (Option<Bundle>, _) = (None, all.as_slice());
    loop {
        let (now, later) = rest.split_at(rest.len().min(most - usize::from(made.is_some())));
        let side_by_side: Vec<&Bundle> = made.iter().chain(now.iter().copied()).collect();
        if later.is_empty() {
            return write((&side_by_side, &holders), disk, out_dir, options, monitor);
        }
        let first = write((&side_by_side, &holders), between.disk(), between.path(), &plain, monitor)?;
        made = Some(Bundle::open_in(Container::open_beneath(between.disk(), first.path(), &Access::own())?)?);
        rest = later;
    }
}

fn vouch(bundle: &Bundle, monitor: &dyn Monitor) -> Result<()> {
    require_good(bundle, monitor).map_err(|error| match error.kind() {
        Kind::Verification => {
            error.hint("nothing that is made of it is signed: ask whoever made the bundle for another")
        }
        _ => error,
    })
}

fn write(
    (bundles, holders): (&[&Bundle], &Holders<'_>),
    disk: &dyn Disk,
    out_dir: &Path,
    options: &CompactOptions,
    monitor: &dyn Monitor,
) -> Result<Published> {
    let (run, roots) = inputs::run_info(bundles)?;
    let name = inputs::name_of(&run);
    // Their keys are read first, then what is kept.
    const ROUNDS: u64 = 2;
    let parts = bundles.iter().flat_map(|bundle| &bundle.manifest().tables).flat_map(TableInfo::files_of_versions);
    monitor.event(Event::WorkStarted {
        what: "compact",
        name: name.as_str(),
        rows: Some(parts.filter_map(|file| file.rows).fold(0, u64::saturating_add).saturating_mul(ROUNDS)),
        bytes: None,
    });
    let mut staged = StagedBundle::create(disk, out_dir, name)?.signed_by(options.signer.clone());
    let stamp = RunStamp { started_at: run.started_at.0, run_id: run.run_id };
    let mut tables = Vec::new();
    for (name, parts) in inputs::tables(bundles)? {
        let info = table::write((&parts, holders), &mut staged, options, stamp, monitor);
        tables.push(info.map_err(|error| error.table(name))?);
    }
    let manifest = inputs::manifest(bundles, run, roots, tables)?;
    let published = staged.finish(&manifest)?.publish(&options.form, monitor);
    monitor.event(Event::WorkFinished);
    published
}
