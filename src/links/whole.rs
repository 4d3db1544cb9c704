//! [`check_whole`]: whether a bundle is missing between others.

use super::judge::{Fault, judge};
use super::model::{ChainId, Link, Span};
use crate::bundle::{Bundle, TableInfo};
use crate::error::{Error, Kind, Result};
use crate::monitor::{Event, Monitor};
use std::collections::BTreeMap;

/// Whether nothing is missing between the first and the last of these tables of bundles, which stand in order, chain by
/// chain. A chain may begin anywhere; a second start and a fork come of a job database that was set back, and have
/// what is in their windows.
///
/// # Errors
/// ChainGap, with the bundle before which one is missing.
pub fn check_whole<'b>(parts: impl IntoIterator<Item = (&'b Bundle, &'b TableInfo)>) -> Result<()> {
    chains(parts).iter().try_for_each(|(chain, links)| {
        missing(links).map_or(Ok(()), |(nth, what)| {
            Err(Error::new(Kind::ChainGap, what)
                .table(&chain.table)
                .file(links[nth].0.path())
                .hint("name the bundles between as well"))
        })
    })
}

/// Warns of each bundle that follows one which another follows too, or that says it is the first where an older one is
/// here: a job database was set back. Tables of bundles as for [`check_whole`].
pub fn tell_forks<'b>(parts: impl IntoIterator<Item = (&'b Bundle, &'b TableInfo)>, monitor: &dyn Monitor) {
    for (chain, links) in chains(parts) {
        for (nth, fault) in judge(&links.iter().map(|(_, link)| link).collect::<Vec<_>>()).faults {
            let what = match fault {
                Fault::Fork(other) => format!("follows the same bundle as {}", links[other].0.path().display()),
                Fault::SecondStart => "says that it is the first of its chain, and is not".to_owned(),
                _ => continue,
            };
            let (path, table) = (links[nth].0.path().display(), &chain.table);
            monitor.event(Event::Warning(&format!("{path}: {table}: it {what}: a job database was set back")));
        }
    }
}

type Chains<'b> = BTreeMap<ChainId, Vec<(&'b Bundle, Link)>>;

fn chains<'b>(parts: impl IntoIterator<Item = (&'b Bundle, &'b TableInfo)>) -> Chains<'b> {
    let mut chains = Chains::new();
    for (bundle, table) in parts {
        let link = Link::of(bundle, table);
        chains.entry(link.chain.clone()).or_default().push((bundle, link));
    }
    chains
}

/// What is missing, and before which.
fn missing(links: &[(&Bundle, Link)]) -> Option<(usize, String)> {
    let judgement = judge(&links.iter().map(|(_, link)| link).collect::<Vec<_>>());
    let missing = judgement.faults.iter().find_map(|(nth, fault)| match fault {
        Fault::PreviousIsMissing(root) => {
            Some((*nth, format!("a bundle of this chain is missing before this one: its root digest is {root}")))
        }
        _ => None,
    });
    missing.or_else(|| {
        let gap = judgement.gaps.first()?;
        let Span { start, end } = gap.span;
        Some((
            gap.before,
            format!("bundles of this chain are missing: it ends at {start}, and this one starts at {end}"),
        ))
    })
}
