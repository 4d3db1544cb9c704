//! Chains of hand-made links, against a plain model of covered time; the timeline, character by
//! character.

use super::arrange::arrange;
use super::model::{BrokenLink, Chain, ChainLink, LinkFault, Member};
use super::picture::picture;
use super::timeline::{is_drawn, legend, timeline};
use crate::bundle::Missing;
use crate::links::{ChainId, Link, RunOrder, Span};
use crate::model::clock::ClockKind;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Scope, TableCounts};
use crate::model::time::{TICKS_PER_DAY, Timestamp};
use crate::model::window::Window;
use proptest::prelude::*;

fn id(table: &str) -> ChainId {
    let table = TableName::new("Db", "dbo", table).unwrap();
    ChainId { table, scope: Scope::All, source_id: Guid::from_bytes([1; 16]) }
}

fn root(nth: usize) -> Sha256 {
    Sha256::of(&[u8::try_from(nth).unwrap()])
}

fn members(count: usize) -> Vec<Member> {
    let member = |nth: usize| Member {
        path: format!("{nth}.bundle").into(),
        root_sha256: root(nth),
        started_at: at(i64::try_from(nth).unwrap()),
        completed_at: None,
        failed: Vec::new(),
    };
    (0..count).map(member).collect()
}

fn at(ticks: i64) -> Timestamp {
    Timestamp::from_ticks(ticks).unwrap()
}

fn link(member: usize, start: i64, end: i64) -> ChainLink {
    let started_at = at(i64::try_from(member).unwrap());
    let link = Link {
        chain: id("T"),
        root: root(member),
        previous: member.checked_sub(1).map(root),
        inputs: Vec::new(),
        missing: Missing::default(),
        window: Window { start: at(start), end: at(end), clock: ClockKind::Utc },
        run_order: RunOrder { started_at, run_id: [0; 16], pack_number: 1 },
    };
    ChainLink {
        member,
        link,
        rows: 1,
        tombstones: 0,
        bytes: 1,
        counts: TableCounts::default(),
        schema_changes: Vec::new(),
    }
}

fn chain(links: Vec<ChainLink>) -> Chain {
    arrange(id("T"), links)
}

/// Days since a Monday.
fn day(day: i64) -> i64 {
    Timestamp::parse("2026-01-05").unwrap().ticks() + day * TICKS_PER_DAY
}

fn spans(spans: &[Span]) -> Vec<(i64, i64)> {
    spans.iter().map(|span| (span.start.ticks(), span.end.ticks())).collect()
}

/// Stretches of 0..100 that lie between the first start and the last end, and in no window.
fn uncovered(windows: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let start = windows.iter().map(|window| window.0).min().unwrap();
    let end = windows.iter().map(|window| window.1).max().unwrap();
    let mut gaps: Vec<(i64, i64)> = Vec::new();
    for moment in start..end {
        if windows.iter().any(|window| (window.0..window.1).contains(&moment)) {
            continue;
        }
        match gaps.last_mut().filter(|gap| gap.1 == moment) {
            Some(gap) => gap.1 += 1,
            None => gaps.push((moment, moment + 1)),
        }
    }
    gaps
}

proptest! {
    #[test]
    fn gaps_are_what_no_window_covers(windows in prop::collection::vec((0_i64..100, 0_i64..15), 1..20)) {
        let windows: Vec<(i64, i64)> = windows.into_iter().map(|(start, long)| (start, start + long)).collect();
        let chain = chain(windows.iter().enumerate().map(|(nth, window)| link(nth, window.0, window.1)).collect());
        prop_assert_eq!(spans(&chain.gaps), uncovered(&windows));
        for (start, end) in spans(&chain.overlaps) {
            let twice = |at: i64| windows.iter().filter(|window| (window.0..window.1).contains(&at)).count() >= 2;
            prop_assert!(start < end && (start..end).all(twice));
        }
        let covered = |at: i64| windows.iter().filter(|window| (window.0..window.1).contains(&at)).count();
        prop_assert_eq!(chain.overlaps.is_empty(), (0..120).all(|at| covered(at) < 2));
        // Drawing neither fails nor leaves a gap out, however narrow it is.
        let drawn = timeline(std::slice::from_ref(&chain), 40);
        prop_assert_eq!(drawn.contains('!'), !chain.gaps.is_empty());
    }
}

#[test]
fn a_missing_bundle_is_a_gap_and_a_link_that_does_not_fit() {
    let chain = chain(vec![link(3, 28, 40), link(0, 0, 10), link(1, 9, 20)]);
    assert_eq!(spans(&chain.gaps), [(20, 28)]);
    assert_eq!(spans(&chain.overlaps), [(9, 10)]);
    assert_eq!(chain.broken_links, [BrokenLink { member: 3, fault: LinkFault::PreviousIsMissing(root(2)) }]);
}

#[test]
fn the_first_may_name_a_bundle_that_is_kept_no_more_and_that_is_reported() {
    let mut first = link(0, 5, 10);
    first.link.previous = Some(root(77));
    let chain = chain(vec![first, link(1, 9, 20)]);
    assert_eq!((chain.broken_links, chain.begins_after), (vec![], Some(root(77))));
}

#[test]
fn forks_second_starts_circles_and_other_clocks_are_reported() {
    let mut fork = link(2, 9, 20);
    fork.link.previous = Some(root(0));
    let mut start = link(3, 20, 30);
    (start.link.previous, start.link.window.clock) = (None, ClockKind::Local);
    let mut circle = link(4, 20, 30);
    (circle.link.previous, circle.link.inputs) = (Some(root(50)), vec![root(50)]);
    let chain = chain(vec![link(0, 0, 10), link(1, 9, 20), fork, start, circle]);
    let due = [
        (4, LinkFault::Circle),
        (2, LinkFault::Fork(1)),
        (3, LinkFault::AnotherClock),
        (3, LinkFault::SecondStart),
        (4, LinkFault::AnotherClock),
    ];
    assert_eq!(chain.broken_links, due.map(|(member, fault)| BrokenLink { member, fault }));
    // A run that was set back to before the first window came after it all the same.
    let early = self::chain(vec![link(1, 0, 30), link(0, 10, 20)]);
    assert_eq!((early.broken_links.len(), early.links[0].member, early.by_window()[0].member), (0, 0, 1));
}

fn weeks() -> Vec<Chain> {
    let hour = TICKS_PER_DAY / 24;
    let weekly = |nth: i64| link(usize::try_from(nth).unwrap(), day(7 * nth) - 4 * hour, day(7 * nth + 7));
    let mut full = link(0, 0, day(7));
    full.link.window.start = Timestamp::MIN;
    let whole = (1..12).map(weekly);
    let whole = arrange(id("Whole"), std::iter::once(full.clone()).chain(whole).collect());
    let holed = (1..12).filter(|nth| ![4, 5, 9].contains(nth)).map(weekly);
    let holed = arrange(id("<Holed>"), std::iter::once(full).chain(holed).collect());
    // A gap of 100 ns.
    let thin = arrange(id("Thin"), vec![link(0, day(14), day(40)), link(1, day(40) + 1, day(60))]);
    vec![whole, holed, thin]
}

#[test]
fn the_timeline_shows_gaps_at_a_glance() {
    assert_eq!(
        timeline(&weeks(), 64),
        "\
1  ◄███▓▓▓▓▓█████▓▓▓▓▓▓█████▓▓▓▓▓█████▓▓▓▓▓█████▓▓▓▓▓█████▓▓▓▓▓▓
2  ◄███▓▓▓▓▓█████▓▓▓▓▓▓!!!!!!!!!!!?███▓▓▓▓▓█████!!!!!!?▓▓▓██████
3           ███████████████████!▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
   2026-01-05                                         2026-03-30
"
    );
}

#[test]
fn the_picture_has_a_red_block_a_gap_and_no_markup_from_outside() {
    let svg = picture(&weeks(), &members(12));
    let blocks = |class: &str| svg.matches(&format!("height=\"20\" class=\"{class}\"><title>")).count();
    assert_eq!((blocks("gap"), blocks("twice")), (3, 17), "{svg}");
    let gap = "<title>gap: [2026-02-02T00:00:00.0000000, 2026-02-15T20:00:00.0000000), 13 d 20 h</title>";
    assert!(svg.contains(gap), "{svg}");
    let name = "Db.dbo.&lt;Holed&gt;, scope all, 2 gaps, 2 links that do not fit";
    assert!(svg.contains(name) && !svg.contains("<Holed>"), "{svg}");
}

#[test]
fn the_picture_has_a_title_a_legend_labels_of_gaps_and_broken_links() {
    let svg = picture(&weeks(), &members(12));
    assert!(svg.contains("<title>What bundles cover: 3 chains, 3 gaps, 2 links that do not fit</title>"), "{svg}");
    for meaning in ["bundles, by turns", "in two windows", "gap: no bundle here", "that does not fit</text>"] {
        assert!(svg.contains(meaning), "{meaning} is not in {svg}");
    }
    for label in ["gap of 13 d 20 h", "gap of 6 d 20 h", "gap of 1 × 100 ns"] {
        assert!(svg.contains(&format!("class=\"label\">{label}</text>")), "{label} is not in {svg}");
    }
    assert_eq!(svg.matches("class=\"broken\"><title>").count(), 2, "{svg}");
    assert!(svg.contains("prefers-color-scheme:dark") && !svg.contains("<script"), "{svg}");
}

#[test]
fn labels_that_would_lie_over_each_other_are_counted() {
    let links = (0..60).map(|nth| link(usize::try_from(nth).unwrap(), day(2 * nth), day(2 * nth + 1)));
    let svg = picture(&[chain(links.collect())], &members(60));
    let shown = svg.matches("class=\"label\">gap of 1 d</text>").count();
    assert!(shown > 4 && shown < 59, "{shown}");
    assert!(svg.contains(&format!("and {} more", 59 - shown)), "{svg}");
}

#[test]
fn an_overlap_is_drawn_where_it_is_seen_and_no_longer_than_it_is() {
    let two = [chain(vec![link(0, 0, 60 * 16), link(1, 30 * 16, 100 * 16), link(2, 100 * 16 - 1, 110 * 16)])];
    let drawn = timeline(&two, 113);
    let row: Vec<char> = drawn.lines().next().unwrap().chars().skip(3).collect();
    let cells: Vec<usize> = (0..row.len()).filter(|cell| row[*cell] == '≡').collect();
    assert_eq!((cells.first(), cells.last()), (Some(&31), Some(&58)), "{drawn}");
    let is_seen: Vec<bool> = two[0].overlaps.iter().map(|overlap| is_drawn(&two, 113, *overlap)).collect();
    assert_eq!(is_seen, [true, false]);
    assert_eq!(legend(&drawn).collect::<Vec<_>>(), ["█▓ bundles, by turns", "≡ in two windows"]);
}
