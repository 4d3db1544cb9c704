//! [`Newest`]: how old the newest bundle of each chain is, so that what is held back, or put back in the place of later
//! ones, is told by whoever knows how often bundles come.

use super::manifest::Manifest;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::time::Timestamp;
use std::collections::BTreeMap;

/// When the run of the newest bundle of each chain started, UTC.
#[derive(Clone, Debug, Default)]
pub struct Newest(BTreeMap<(Guid, TableName, Scope), Timestamp>);

impl Newest {
    /// Of these bundles.
    pub fn of<'m>(manifests: impl IntoIterator<Item = &'m Manifest>) -> Self {
        let mut newest = Self::default();
        manifests.into_iter().for_each(|manifest| newest.add(manifest));
        newest
    }

    /// And of this one.
    pub fn add(&mut self, manifest: &Manifest) {
        let run = &manifest.run;
        for table in &manifest.tables {
            let at = self.0.entry((run.source_id, table.name.clone(), table.scope.0)).or_insert(run.started_at.0);
            *at = run.started_at.0.max(*at);
        }
    }

    /// Refuses a chain whose newest bundle is of a run that started before this time, where there is one to hold.
    ///
    /// # Errors
    /// Verification, with the table.
    pub fn check(&self, not_before: Option<Timestamp>) -> Result<()> {
        let Some(not_before) = not_before else { return Ok(()) };
        let Some(((_, table, scope), at)) = self.0.iter().find(|(_, at)| **at < not_before) else { return Ok(()) };
        let what = format!(
            "the newest bundle of this chain here (scope {scope}) is of {}, and none may be older than {}",
            at.rfc3339_utc(),
            not_before.rfc3339_utc()
        );
        Err(Error::verification(what).table(table).hint(
            "ask the sender whether there was a run since: whoever handed these on may be withholding later ones, or name later \
             bundles too",
        ))
    }
}
