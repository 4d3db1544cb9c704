//! Opening bundles one after the other, and keeping what their chains need.

use super::arrange::arrange;
use super::model::{BrokenBundle, ChainLink, ChainSurvey, Member};
use crate::bundle::{
    Access, Bundle, BundlePlace, Container, FileInfo, FileRole, Newest, TableInfo, named_places, warn_of_failed,
};
use crate::error::{Error, Kind, Result};
use crate::links::{ChainId, Link};
use crate::model::digest::Sha256;
use crate::monitor::Monitor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Looks at bundles, and at folders that hold bundles: `*.bundle`, `*.bundle.tar` and
/// `*.bundle.tar.age`. Their tag files are hashed, so what is told was not changed since they
/// were published; parts are not read. Of each bundle some 500 bytes a table are kept.
///
/// # Errors
/// Usage: a path that is not there, an encrypted archive that was named and that no identity
/// opens, no bundle at all; Io, for a folder that cannot be listed; Cancelled.
pub fn survey(paths: &[PathBuf], access: &Access, monitor: &dyn Monitor) -> Result<ChainSurvey> {
    let places = named_places(paths, monitor)?;
    let (mut survey, mut links) = (ChainSurvey::default(), BTreeMap::<ChainId, Vec<ChainLink>>::new());
    let (mut known, mut newest): (BTreeSet<Sha256>, Newest) = Default::default();
    for BundlePlace { path, is_named } in places {
        monitor.check()?;
        let bundle = match Container::open(&path, access).and_then(Bundle::open_in) {
            Ok(bundle) => bundle,
            // No identity opens it. What was named has to be opened; in a folder, much may lie.
            Err(error) if error.kind() == Kind::Usage && !is_named => {
                survey.sealed.push(path);
                continue;
            }
            Err(error) if matches!(error.kind(), Kind::Usage | Kind::Cancelled) => return Err(error),
            Err(error) => {
                survey.broken.push(BrokenBundle { path, error });
                continue;
            }
        };
        if !known.insert(bundle.root_sha256()) {
            survey.copies += 1;
            continue;
        }
        warn_of_failed(&path, bundle.manifest(), monitor);
        newest.add(bundle.manifest());
        let member = survey.members.len();
        survey.members.push(member_of(path, &bundle));
        for table in &bundle.manifest().tables {
            let link = chain_link(&bundle, table, member);
            links.entry(link.link.chain.clone()).or_default().push(link);
        }
    }
    if survey.members.is_empty() && survey.broken.is_empty() {
        let hint = match survey.sealed.is_empty() {
            true => "name a folder that holds folders that end in .bundle, or archives that end in .bundle.tar",
            false => "all of them are encrypted: name the file of your identity with --identity",
        };
        return Err(Error::usage("there is no bundle that could be opened").hint(hint));
    }
    newest.check(access.not_before)?;
    survey.chains.extend(links.into_iter().map(|(id, links)| arrange(id, links)));
    Ok(survey)
}

fn member_of(path: PathBuf, bundle: &Bundle) -> Member {
    let manifest = bundle.manifest();
    Member {
        path,
        root_sha256: bundle.root_sha256(),
        started_at: manifest.run.started_at.0,
        completed_at: manifest.run.completed_at.map(|at| at.0),
        failed: manifest.failed_tables.clone(),
    }
}

fn chain_link(bundle: &Bundle, table: &TableInfo, member: usize) -> ChainLink {
    let rows = |role| table.files_of(role).filter_map(|file| file.rows).sum();
    let bytes = |sum: u64, file: &FileInfo| sum.saturating_add(file.bytes);
    ChainLink {
        schema_changes: table.schema_changes.clone(),
        member,
        link: Link::of(bundle, table),
        rows: rows(FileRole::Rows),
        tombstones: rows(FileRole::Tombstones),
        bytes: table.files.iter().fold(0, bytes),
        counts: table.counts.clone(),
    }
}
