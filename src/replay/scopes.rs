//! Whose rows meet in one table of a target: told, where those of several scopes do.

use super::options::TargetScopes;
use super::work::TableWork;
use crate::backend::Backend;
use crate::bundle::{Scopes, scopes_text};
use crate::error::Result;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::monitor::{Event, Monitor};
use std::collections::BTreeMap;

/// Whose rows each target has, and will have. One that had those of one business unit alone is warned of.
pub(super) fn report(
    works: &[TableWork<'_>],
    backend: &mut dyn Backend,
    monitor: &dyn Monitor,
) -> Result<Vec<TargetScopes>> {
    let mut found: BTreeMap<TableName, (Scopes, Scopes)> = BTreeMap::new();
    for work in works {
        let spec = work.spec();
        let key = spec.target.clone();
        if !found.contains_key(&key) {
            let applied = backend.applied_bundles(spec)?;
            let held: Scopes = applied.iter().filter_map(|bundle| Scope::parse(&bundle.scope)).collect();
            found.insert(key.clone(), (held.clone(), held));
        }
        if let Some((_, after)) = found.get_mut(&key) {
            after.insert(spec.scope);
        }
    }
    let mut reported = Vec::new();
    for (target, (before, after)) in found {
        if before.len() == 1 && !before.contains(&Scope::All) && before != after {
            monitor.event(Event::Warning(&format!(
                "{target} held rows of {} alone, and gets those of {} from now on: whoever reads it sees both",
                scopes_text(&before),
                scopes_text(&after.difference(&before).copied().collect())
            )));
        }
        reported.push(TargetScopes { target, scopes: after });
    }
    Ok(reported)
}
