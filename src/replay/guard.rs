//! Rule 23: no replay into the instance that bundles come from, or into a table that an instance takes.

use super::options::ReplayOptions;
use super::work::TableWork;
use crate::backend::{Backend, JobDatabase};
use crate::error::{Error, Result};
use crate::model::name::TableName;
use std::collections::BTreeMap;

/// Asks the job databases that stand where the targets do, whatever name leads there.
///
/// # Errors
/// Config: a target in the instance of the bundles, or among the tables that its configuration names; or one of which
/// that cannot be told; unless it is meant.
pub(super) fn check(works: &[TableWork<'_>], backend: &mut dyn Backend, options: &ReplayOptions) -> Result<()> {
    if options.into_source {
        return Ok(());
    }
    let mut asked: BTreeMap<&str, Vec<JobDatabase>> = BTreeMap::new();
    for work in works {
        let target = &work.spec().target;
        let found = match asked.entry(&target.db) {
            std::collections::btree_map::Entry::Occupied(found) => found.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => place.insert(backend.job_databases(&target.db)?),
        };
        for job_database in found.iter() {
            let refused = refusal(work, target, job_database, backend)?;
            if let Some((what, hint)) = refused {
                let error = Error::config(what).table(target).file(work.bundle.path());
                return Err(error.hint(format!("{hint}; or say with --into-source that this is meant")));
            }
        }
    }
    Ok(())
}

fn refusal(
    work: &TableWork<'_>,
    target: &TableName,
    job_database: &JobDatabase,
    backend: &mut dyn Backend,
) -> Result<Option<(&'static str, &'static str)>> {
    if job_database.takes(target) {
        return Ok(Some((
            "this table is configured at the instance to replay into: a replay would overwrite what is captured there",
            "name another instance with --into",
        )));
    }
    if job_database.source_id == Some(work.bundle.manifest().run.source_id) {
        return Ok(Some((
            "the instance to replay into is the one that this bundle comes from",
            "name another instance with --into",
        )));
    }
    // A standing table without a ledger may be anybody's.
    let is_strange = job_database.is_hidden && work.compatibility.is_some();
    if is_strange && backend.applied_bundles(work.spec())?.is_empty() {
        return Ok(Some((
            "this login may not read BlobDeltaJobs here, so it cannot be told whether this table is captured",
            "grant SELECT on BlobDeltaSource and BlobDeltaTableConfig there",
        )));
    }
    Ok(None)
}
