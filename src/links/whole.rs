//! [`check_whole`]: whether a bundle is missing between others, and what there is to tell of their links.

use super::judge::{ChainFault, judge};
use super::model::{ChainId, Link, Span};
use crate::bundle::{Bundle, Missing, TableInfo, Uncovered};
use crate::error::{Error, Kind, Result};
use crate::model::run::Scope;
use crate::model::time::Timestamp;
use crate::monitor::{Event, Monitor};
use std::collections::BTreeMap;

/// Whether nothing is missing between the first and the last of these tables of bundles, which stand in order, chain by
/// chain. A chain may begin anywhere ([`report_links`] says where it does); a second start and a fork come of a job database
/// that was set back, and have what is in their windows. What is allowed to be missing is reported.
///
/// # Errors
/// ChainGap, unless it is allowed, with the bundle before which one is missing.
pub fn check_whole<'b>(
    parts: impl IntoIterator<Item = (&'b Bundle, &'b TableInfo)>,
    allows_gap: bool,
    monitor: &dyn Monitor,
) -> Result<()> {
    chains(parts).values().try_for_each(|links| {
        let Some((nth, what)) = missing(links) else { return Ok(()) };
        let Part { bundle, table, .. } = links[nth];
        if allows_gap {
            let path = bundle.path().display();
            monitor.event(Event::Warning(&format!("{path}: {}: allowed: {what}", table.name)));
            return Ok(());
        }
        let since = nth.checked_sub(1).map_or(Timestamp::MIN, |last| since(links[last].table));
        let hint = format!(
            "name the bundles between as well; if they are lost for good, allow that with --allow-gap, and {}",
            brings_again(table, since)
        );
        Err(Error::new(Kind::ChainGap, what).table(&table.name).file(bundle.path()).hint(hint))
    })
}

/// From when on a bundle that followed this one may have taken changes.
fn since(table: &TableInfo) -> Timestamp {
    table.window.end.minus_minutes(table.window.buffer_minutes)
}

/// What brings again what lost bundles of a chain held, as it has to be typed at its source: what was stamped, deleted, or
/// left a unit since a moment, and whatever else receivers lack.
pub fn brings_again(table: &TableInfo, since: Timestamp) -> String {
    let (name, unit) = (
        table.name.shell_word(),
        match table.scope.0 {
            Scope::All => String::new(),
            Scope::BusinessUnit(unit) => format!(" --business-unit {unit}"),
        },
    );
    // Otherwise the source would leave out again what the lost bundles held.
    let (whole, next) = match table.known_content.is_empty() {
        true => ("", "the next run"),
        false => (" --whole", "the next run, which needs --whole too,"),
    };
    format!(
        "ask the source to ship it again: `blobdelta run --table {name}{unit} --from {since} --out FOLDER{whole}` copies what was \
         changed or deleted since, and `blobdelta reconcile --table {name}{unit} --bundles FOLDER --pend --log-deletions` \
         makes {next} copy other missing rows, and report other rows that are gone or left"
    )
}

/// What is missing between tables of bundles of one chain, which stand in order: what a bundle made of them is made without.
pub fn missing_between<'b>(parts: impl IntoIterator<Item = (&'b Bundle, &'b TableInfo)>) -> Missing {
    let mut missing = Missing::default();
    for links in chains(parts).values() {
        let judgement = judge(&links.iter().map(|part| &part.link).collect::<Vec<_>>());
        missing.bundles.extend(judgement.faults.iter().filter_map(|(_, fault)| match fault {
            ChainFault::PreviousIsMissing(root) | ChainFault::MadeWithout(root) => Some(*root),
            _ => None,
        }));
        let spans = judgement.gaps.iter().map(|gap| gap.span);
        missing.windows.extend(spans.map(|Span { start, end }| Uncovered { start, end }));
    }
    missing.bundles.sort();
    missing.bundles.dedup();
    missing
}

/// Warns of each chain that does not begin with the first bundle that is here, whatever the window of that one; and of each
/// bundle that follows one which another follows too, or that says it is the first where an older one is here: a job
/// database was set back. Tables of bundles as for [`check_whole`].
pub fn report_links<'b>(parts: impl IntoIterator<Item = (&'b Bundle, &'b TableInfo)>, monitor: &dyn Monitor) {
    const SET_BACK: &str = "a job database was set back";
    for links in chains(parts).values() {
        for (nth, fault) in judge(&links.iter().map(|part| &part.link).collect::<Vec<_>>()).faults {
            let what = match fault {
                ChainFault::NotTheStart(previous) => format!(
                    "its chain does not begin with it: it follows the one with the root digest {previous}, and what stands \
                     there alone is not here"
                ),
                ChainFault::Fork(other) => {
                    format!("it follows the same bundle as {}: {SET_BACK}", links[other].bundle.path().display())
                }
                ChainFault::SecondStart => format!("it says that it is the first of its chain, and is not: {SET_BACK}"),
                _ => continue,
            };
            let (path, table) = (links[nth].bundle.path().display(), &links[nth].table.name);
            monitor.event(Event::Warning(&format!("{path}: {table}: {what}")));
        }
    }
}

/// A table of a bundle.
struct Part<'b> {
    bundle: &'b Bundle,
    table: &'b TableInfo,
    link: Link,
}

fn chains<'b>(parts: impl IntoIterator<Item = (&'b Bundle, &'b TableInfo)>) -> BTreeMap<ChainId, Vec<Part<'b>>> {
    let mut chains: BTreeMap<ChainId, Vec<Part<'b>>> = BTreeMap::new();
    for (bundle, table) in parts {
        let link = Link::of(bundle, table);
        chains.entry(link.chain.clone()).or_default().push(Part { bundle, table, link });
    }
    chains
}

/// What is missing, and before or in which.
fn missing(links: &[Part<'_>]) -> Option<(usize, String)> {
    let judgement = judge(&links.iter().map(|part| &part.link).collect::<Vec<_>>());
    let missing = judgement.faults.iter().find_map(|(nth, fault)| match fault {
        ChainFault::PreviousIsMissing(root) => {
            Some((*nth, format!("a bundle of this chain is missing before this one: its root digest is {root}")))
        }
        ChainFault::MadeWithout(root) => {
            Some((*nth, format!("this bundle was compacted without one of its chain: its root digest is {root}")))
        }
        _ => None,
    });
    missing.or_else(|| {
        let gap = judgement.gaps.first()?;
        let Span { start, end } = gap.span;
        Some((gap.before, format!("bundles of this chain are missing: nothing covers the time from {start} to {end}")))
    })
}
