//! The links of one chain, put in order and held against each other.

use super::model::{BrokenLink, Chain, ChainLink, LinkFault};
use crate::links::{ChainFault, ChainId, Link, in_order, judge};

/// Puts links in order and finds what there is to tell.
pub fn arrange(id: ChainId, links: Vec<ChainLink>) -> Chain {
    let places: Vec<Link> = links.iter().map(|link| link.link.clone()).collect();
    let ordered = in_order(&places);
    let judgement = judge(&ordered.order.iter().map(|nth| &places[*nth]).collect::<Vec<_>>());
    let member = |place: usize| links[ordered.order[place]].member;
    let mut begins_after = None;
    let mut broken_links: Vec<BrokenLink> =
        ordered.circle.iter().map(|nth| BrokenLink { member: links[*nth].member, fault: LinkFault::Circle }).collect();
    for (place, fault) in &judgement.faults {
        let fault = match *fault {
            ChainFault::NotTheStart(previous) => {
                begins_after = Some(previous);
                continue;
            }
            ChainFault::PreviousIsMissing(previous) => LinkFault::PreviousIsMissing(previous),
            ChainFault::MadeWithout(root) => LinkFault::MadeWithout(root),
            ChainFault::SecondStart => LinkFault::SecondStart,
            ChainFault::Fork(other) => LinkFault::Fork(member(other)),
            ChainFault::AnotherClock => LinkFault::AnotherClock,
        };
        broken_links.push(BrokenLink { member: member(*place), fault });
    }
    let gaps = judgement.gaps.into_iter().map(|gap| gap.span).collect();
    let mut links: Vec<Option<ChainLink>> = links.into_iter().map(Some).collect();
    let links = ordered.order.iter().filter_map(|nth| links[*nth].take()).collect();
    Chain { id, links, begins_after, gaps, overlaps: judgement.overlaps, broken_links }
}
