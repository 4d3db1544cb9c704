//! The links of one chain, put in order and held against each other.

use super::model::{Chain, ChainLink, LinkFault, Misfit};
use crate::links::{ChainId, Fault, Link, in_order, judge};

/// Puts links in order and finds what there is to tell.
pub(super) fn arrange(id: ChainId, links: Vec<ChainLink>) -> Chain {
    let places: Vec<Link> = links.iter().map(|link| link.link.clone()).collect();
    let ordered = in_order(&places);
    let judgement = judge(&ordered.order.iter().map(|nth| &places[*nth]).collect::<Vec<_>>());
    let member = |place: usize| links[ordered.order[place]].member;
    let mut begins_after = None;
    let mut misfits: Vec<Misfit> =
        ordered.circle.iter().map(|nth| Misfit { member: links[*nth].member, fault: LinkFault::Circle }).collect();
    for (place, fault) in &judgement.faults {
        let fault = match *fault {
            Fault::NotTheStart(previous) => {
                begins_after = Some(previous);
                continue;
            }
            Fault::PreviousIsMissing(previous) => LinkFault::PreviousIsMissing(previous),
            Fault::MadeWithout(root) => LinkFault::MadeWithout(root),
            Fault::SecondStart => LinkFault::SecondStart,
            Fault::Fork(other) => LinkFault::Fork(member(other)),
            Fault::AnotherClock => LinkFault::AnotherClock,
        };
        misfits.push(Misfit { member: member(*place), fault });
    }
    let gaps = judgement.gaps.into_iter().map(|gap| gap.span).collect();
    let mut links: Vec<Option<ChainLink>> = links.into_iter().map(Some).collect();
    let links = ordered.order.iter().filter_map(|nth| links[*nth].take()).collect();
    Chain { id, links, begins_after, gaps, overlaps: judgement.overlaps, misfits }
}
