//! Links made by hand: what comes first, and what is told of it.

use super::judge::{ChainFault, judge};
use super::model::{ChainId, Link, RunOrder, Span};
use super::order::in_order;
use crate::bundle::{Missing, Uncovered};
use crate::model::clock::ClockKind;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::time::Timestamp;
use crate::model::window::Window;
use proptest::prelude::*;

fn chain(table: &str) -> ChainId {
    let table = TableName::new("Db", "dbo", table).unwrap();
    ChainId { table, scope: Scope::All, source_id: Guid::from_bytes([1; 16]) }
}

fn root(nth: usize) -> Sha256 {
    Sha256::of(&nth.to_be_bytes())
}

fn at(ticks: usize) -> Timestamp {
    Timestamp::from_ticks(i64::try_from(ticks).unwrap()).unwrap()
}

/// A link of a run that started at `started`, after another.
fn link(nth: usize, started: usize, previous: Option<usize>) -> Link {
    Link {
        chain: chain("T"),
        root: root(nth),
        previous: previous.map(root),
        inputs: Vec::new(),
        missing: Missing::default(),
        window: Window { start: at(0), end: at(100), clock: ClockKind::Utc },
        run_order: RunOrder { started_at: at(started), run_id: [0; 16], pack_number: 1 },
    }
}

fn over(link: Link, start: usize, end: usize) -> Link {
    Link { window: Window { start: at(start), end: at(end), ..link.window }, ..link }
}

fn compacted(link: Link, inputs: &[usize]) -> Link {
    Link { inputs: inputs.iter().map(|nth| root(*nth)).collect(), ..link }
}

fn order(links: &[Link]) -> Vec<usize> {
    let ordered = in_order(links);
    assert!(ordered.circle.is_empty(), "{ordered:?}");
    ordered.order
}

fn faults(links: &[Link]) -> Vec<(usize, ChainFault)> {
    judge(&links.iter().collect::<Vec<_>>()).faults
}

#[test]
fn links_say_the_order_and_else_runs_do_and_never_windows() {
    // A server whose clock was set back between two runs, and a run that was set back to the start.
    let links = [over(link(2, 5, Some(1)), 0, 90), over(link(1, 9, None), 50, 60), link(3, 7, None)];
    assert_eq!(order(&links), [2, 1, 0]);
    assert_eq!(order(&[link(7, 2, Some(99)), link(8, 1, None)]), [1, 0], "what it follows is not here");
}

#[test]
fn tables_of_one_bundle_may_stand_at_different_places() {
    // Two bundles of two tables: in one the first comes first, in the other the second.
    let of = |table: &str, link: Link| Link { chain: chain(table), ..link };
    let links = [
        of("A", link(1, 1, None)),
        of("B", link(1, 1, Some(2))),
        of("A", link(2, 2, Some(1))),
        of("B", link(2, 2, None)),
    ];
    assert_eq!(order(&links), [0, 2, 3, 1]);
}

#[test]
fn a_compacted_bundle_has_the_place_of_those_that_it_was_made_from() {
    let whole = compacted(link(9, 3, None), &[1, 2, 3]);
    let links = [link(4, 1, Some(3)), whole.clone(), link(5, 0, Some(4))];
    assert_eq!(order(&links), [1, 0, 2]);
    // With some of its inputs there as well: no order contradicts another.
    let all = [whole, link(4, 4, Some(3)), link(2, 2, Some(1)), link(3, 3, Some(2)), link(1, 1, None)];
    let mut in_turn: Vec<Link> = order(&all).into_iter().map(|nth| all[nth].clone()).collect();
    assert_eq!(faults(&in_turn), []);
    in_turn.retain(|link| link.root != root(9) && link.root != root(2));
    assert_eq!(faults(&in_turn), [(1, ChainFault::PreviousIsMissing(root(2)))]);
}

#[test]
fn circles_are_found_and_what_is_in_none_keeps_its_order() {
    let itself = compacted(link(1, 1, Some(50)), &[50]);
    let (one, other) = (compacted(link(2, 2, Some(61)), &[60]), compacted(link(3, 3, Some(60)), &[61]));
    let ordered = in_order(&[itself, one, other, link(4, 4, Some(3)), link(6, 6, Some(5)), link(5, 5, None)]);
    assert_eq!(ordered.order, [5, 4, 0, 1, 2, 3]);
    assert_eq!(ordered.circle.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(in_order(&[link(1, 1, Some(1))]).circle.len(), 1, "a link to itself");
}

#[test]
fn what_does_not_begin_a_chain_is_reported_and_what_forks_it() {
    assert_eq!(faults(&[link(2, 2, Some(1)), link(3, 3, Some(2))]), [(0, ChainFault::NotTheStart(root(1)))]);
    let middle = compacted(link(9, 9, Some(1)), &[2, 3]);
    assert_eq!(faults(std::slice::from_ref(&middle)), [(0, ChainFault::NotTheStart(root(1)))]);
    assert_eq!(faults(&[link(1, 1, None), middle.clone()]), []);
    // It is there with all that stood before it in the compacted one.
    assert_eq!(faults(&[link(1, 1, None), middle, link(3, 3, Some(2))]), []);
    let forked = [link(1, 1, None), link(2, 2, Some(1)), link(3, 3, Some(1)), link(4, 4, None)];
    assert_eq!(faults(&forked), [(2, ChainFault::Fork(1)), (3, ChainFault::SecondStart)]);
}

#[test]
fn a_gap_is_what_no_window_of_the_chain_covers() {
    let links = [over(link(1, 1, None), 0, 10), over(link(2, 2, Some(1)), 20, 30), over(link(3, 3, Some(2)), 5, 12)];
    let judged = judge(&links.iter().collect::<Vec<_>>());
    let [gap] = &judged.gaps[..] else { panic!("{judged:?}") };
    assert_eq!((gap.span, gap.before), (Span { start: at(12), end: at(20) }, 1));
    let filled = [links[0].clone(), links[1].clone(), over(link(3, 3, Some(2)), 5, 40)];
    assert_eq!(judge(&filled.iter().collect::<Vec<_>>()).gaps, []);
}

#[test]
fn what_was_compacted_over_a_gap_has_it_until_what_was_missing_is_there() {
    let whole = Link {
        missing: Missing { bundles: vec![root(2)], windows: vec![Uncovered { start: at(10), end: at(20) }] },
        ..over(compacted(link(9, 9, None), &[1, 3]), 0, 30)
    };
    let judged = judge(&[&whole]);
    assert_eq!(judged.faults, [(0, ChainFault::MadeWithout(root(2)))]);
    assert_eq!(
        judged.gaps.iter().map(|gap| (gap.span, gap.before)).collect::<Vec<_>>(),
        [(Span { start: at(10), end: at(20) }, 0)]
    );
    let lost = over(link(2, 2, Some(1)), 9, 21);
    assert_eq!((judge(&[&whole, &lost]).faults, judge(&[&whole, &lost]).gaps), (vec![], vec![]));
    // Run once more from the beginning, it has the rows of that time, and the bundle is still not there.
    let again = over(link(4, 10, Some(3)), 0, 40);
    let judged = judge(&[&whole, &again]);
    assert_eq!((judged.faults, judged.gaps), (vec![(0, ChainFault::MadeWithout(root(2)))], vec![]));
}

/// It takes everything that stands, and what was deleted or left before it nobody is told by it.
#[test]
fn a_window_from_the_beginning_of_time_begins_no_chain() {
    let from_the_start =
        Link { window: Window { start: Timestamp::MIN, ..link(4, 4, None).window }, ..link(4, 4, Some(3)) };
    assert_eq!(faults(std::slice::from_ref(&from_the_start)), [(0, ChainFault::NotTheStart(root(3)))]);
    assert_eq!(faults(&[link(1, 1, None), from_the_start.clone()]), [(1, ChainFault::PreviousIsMissing(root(3)))]);
    let whole = Link { root: root(9), ..compacted(from_the_start, &[4, 5]) };
    assert_eq!(faults(&[whole]), [(0, ChainFault::NotTheStart(root(3)))]);
}

proptest! {
    #[test]
    fn each_stands_after_the_one_that_it_follows_however_they_are_named(
        (befores, orders, seed) in (1_usize..40).prop_flat_map(|count| (
            prop::collection::vec(prop::option::weighted(0.8, any::<prop::sample::Index>()), count),
            prop::collection::vec(0_usize..10, count),
            Just((0..count).collect::<Vec<usize>>()).prop_shuffle(),
        ))
    ) {
        let before = |nth: usize| befores[nth].filter(|_| nth > 0).map(|index| index.index(nth));
        let links: Vec<Link> = seed.iter().map(|nth| link(*nth, orders[*nth], before(*nth))).collect();
        let found: Vec<usize> = order(&links).into_iter().map(|at| seed[at]).collect();
        let place = |nth: usize| found.iter().position(|there| *there == nth).unwrap();
        prop_assert!((0..links.len()).all(|nth| before(nth).is_none_or(|other| place(other) < place(nth))));
        // Two neighbours of which neither follows the other stand by their runs.
        for two in found.windows(2) {
            prop_assert!(before(two[1]) == Some(two[0]) || (orders[two[0]], root(two[0])) < (orders[two[1]], root(two[1])));
        }
        let mut sorted = links.clone();
        sorted.sort_by_key(|link| link.root);
        let again: Vec<Sha256> = order(&sorted).into_iter().map(|at| sorted[at].root).collect();
        prop_assert_eq!(again, found.into_iter().map(root).collect::<Vec<_>>());
    }
}

/// More than anybody has; were the work squared, whoever runs the tests would wait for this one.
#[test]
fn twenty_thousand_links_are_put_in_order_and_judged() {
    let mut links: Vec<Link> = (0..20_000).rev().map(|nth: usize| link(nth, 0, nth.checked_sub(1))).collect();
    links.push(compacted(link(200_000, 0, None), &(0..20_000).collect::<Vec<_>>()));
    let ordered: Vec<&Link> = order(&links).into_iter().map(|nth| &links[nth]).collect();
    assert_eq!(judge(&ordered).faults, []);
}
