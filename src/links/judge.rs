//! What there is to tell of one chain.

use super::model::{Link, Span};
use crate::model::digest::Sha256;
use crate::model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// In which way a link does not fit. Places are those in the list that was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainFault {
    /// It is the first that is here, and names another before it: the chain does not begin here.
    NotTheStart(Sha256),
    /// It names a bundle that is not in the chain.
    PreviousIsMissing(Sha256),
    /// It was compacted without a bundle of the chain, and that is not here.
    MadeWithout(Sha256),
    /// It says that it is the first of its chain, and there is an older one.
    SecondStart,
    /// Another bundle (which) names the same one before it: the job database was set back.
    Fork(usize),
    /// Its window is read from another clock than the one before, so the two cannot be compared.
    AnotherClock,
}

/// Time that no window covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The time.
    pub span: Span,
    /// The link whose window starts where the gap ends.
    pub before: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Links that do not fit, in order.
    pub faults: Vec<(usize, ChainFault)>,
    /// Where a window starts after the greatest end before it, by time; none touches another.
    pub gaps: Vec<Gap>,
    /// What more than one window takes: that is how the safety buffer works, and no fault.
    pub overlaps: Vec<Span>,
}

/// Judges the links of one chain, which stand in order.
pub fn judge(links: &[&Link]) -> Judgement {
    let (gaps, overlaps) = windows(links);
    Judgement { faults: faults(links), gaps, overlaps }
}

fn windows(links: &[&Link]) -> (Vec<Gap>, Vec<Span>) {
    let of = |(nth, link): (usize, &&Link)| link.covered().into_iter().map(move |span| (span.start, span.end, nth));
    let mut by_window: Vec<(Timestamp, Timestamp, usize)> = links.iter().enumerate().flat_map(of).collect();
    by_window.sort();
    let (mut gaps, mut overlaps): (Vec<Gap>, Vec<Span>) = (Vec::new(), Vec::new());
    let mut reached: Option<Timestamp> = None;
    for (start, end, before) in by_window {
        let window = Span { start, end };
        if let Some(reached) = reached {
            let overlap = Span { start: window.start, end: window.end.min(reached) };
            if reached < window.start {
                match gaps.last_mut().filter(|gap| gap.span.end == reached) {
                    // A window that takes no time does not make two gaps of one.
                    Some(gap) => (gap.span.end, gap.before) = (window.start, before),
                    None => gaps.push(Gap { span: Span { start: reached, end: window.start }, before }),
                }
            } else if overlap.start < overlap.end {
                overlaps.push(overlap);
            }
        }
        reached = reached.max(Some(window.end));
    }
    (gaps, overlaps)
}

fn faults(links: &[&Link]) -> Vec<(usize, ChainFault)> {
    let within: BTreeSet<Sha256> = links.iter().flat_map(|link| &link.inputs).copied().collect();
    let roots: BTreeSet<Sha256> = links.iter().map(|link| link.root).collect();
    let is_known = |root: &Sha256| roots.contains(root) || within.contains(root);
    let mut followed: BTreeMap<Sha256, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for (nth, link) in links.iter().enumerate() {
        let last = nth.checked_sub(1).map(|last| links[last]);
        if last.is_some_and(|last| last.window.clock != link.window.clock) {
            faults.push((nth, ChainFault::AnotherClock));
        }
        // What came in a compacted bundle is there with all that stood before it there.
        let is_within = within.contains(&link.root);
        match link.previous {
            Some(previous) if !is_known(&previous) && !is_within => faults.push((
                nth,
                match last {
                    None => ChainFault::NotTheStart(previous),
                    Some(_) => ChainFault::PreviousIsMissing(previous),
                },
            )),
            None if last.is_some() && !is_within && !link.is_compacted() => faults.push((nth, ChainFault::SecondStart)),
            _ => {}
        }
        let lacks = link.missing.bundles.iter().filter(|root| !is_known(root));
        faults.extend(lacks.map(|root| (nth, ChainFault::MadeWithout(*root))));
        // A compacted bundle has the link of the first that it was made from.
        if let Some(previous) = link.previous.filter(|_| !link.is_compacted()) {
            match followed.get(&previous) {
                Some(other) => faults.push((nth, ChainFault::Fork(*other))),
                None => _ = followed.insert(previous, nth),
            }
        }
    }
    faults
}
