//! The links of one chain, put in order and held against each other.

use super::model::{Chain, ChainId, Link, LinkFault, Member, Misfit, Span};
use crate::model::digest::Sha256;
use crate::model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Puts links in order and finds what there is to tell.
pub(super) fn arrange(id: ChainId, mut links: Vec<Link>, members: &[Member]) -> Chain {
    links.sort_by_key(|link| (link.window.start, link.window.end, run_order(link, members)));
    let (gaps, overlaps) = gaps_and_overlaps(&links);
    let misfits = misfits(&links, members);
    Chain { id, links, gaps, overlaps, misfits }
}

/// The order in which bundles of a chain were published.
fn run_order(link: &Link, members: &[Member]) -> Option<(Timestamp, [u8; 16], u32)> {
    let member = members.get(link.member)?;
    Some((member.run_started_at, *member.run_id.as_bytes(), member.pack_number))
}

/// A gap lies where a window starts after the greatest end before it (FORMAT §5).
fn gaps_and_overlaps(links: &[Link]) -> (Vec<Span>, Vec<Span>) {
    let (mut gaps, mut overlaps): (Vec<Span>, Vec<Span>) = (Vec::new(), Vec::new());
    let mut reached: Option<Timestamp> = None;
    for Link { window, .. } in links {
        if let Some(reached) = reached {
            let overlap = Span { start: window.start, end: window.end.min(reached) };
            if reached < window.start {
                match gaps.last_mut().filter(|gap| gap.end == reached) {
                    // A window that takes no time does not make two gaps of one.
                    Some(gap) => gap.end = window.start,
                    None => gaps.push(Span { start: reached, end: window.start }),
                }
            } else if overlap.start < overlap.end {
                overlaps.push(overlap);
            }
        }
        reached = reached.max(Some(window.end));
    }
    (gaps, overlaps)
}

/// Links are looked at in the order of their runs, as they were made: the first may name a bundle
/// that is kept no more.
fn misfits(links: &[Link], members: &[Member]) -> Vec<Misfit> {
    let mut by_run: Vec<&Link> = links.iter().collect();
    by_run.sort_by_key(|link| run_order(link, members));
    let of_links = links.iter().filter_map(|link| members.get(link.member));
    let known: BTreeSet<Sha256> =
        of_links.flat_map(|member| member.inputs.iter().chain([&member.root_sha256]).copied()).collect();
    let mut followed: BTreeMap<Sha256, usize> = BTreeMap::new();
    let mut misfits = Vec::new();
    let mut last: Option<&Link> = None;
    for link in by_run {
        let mut add = |fault| misfits.push(Misfit { member: link.member, fault });
        if last.is_some_and(|last| last.window.clock != link.window.clock) {
            add(LinkFault::AnotherClock);
        }
        // A compacted bundle has the link of the first that it was made from.
        if !link.is_compacted {
            match link.previous {
                Some(previous) => {
                    if last.is_some() && !known.contains(&previous) {
                        add(LinkFault::PreviousIsMissing(previous));
                    }
                    match followed.get(&previous) {
                        Some(other) => add(LinkFault::Fork(*other)),
                        None => _ = followed.insert(previous, link.member),
                    }
                }
                None if last.is_some() => add(LinkFault::SecondStart),
                None => {}
            }
        }
        last = Some(link);
    }
    misfits
}
