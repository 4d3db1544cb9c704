//! The timeline as text: a row a chain.

use super::axis::Axis;
use super::model::{Chain, ChainLink};
use crate::links::Span;
use crate::model::time::{TICKS_PER_DAY, TICKS_PER_MINUTE, TICKS_PER_SECOND, Timestamp};

/// What stands where time is missing.
pub const GAP: char = '!';
/// What stands where two windows took the same time.
pub const OVERLAP: char = '≡';
/// What stands where a bundle begins whose link to the one before does not fit.
pub const BROKEN: char = '?';
/// Neighbouring bundles are told apart by turns.
const BUNDLES: [char; 2] = ['█', '▓'];
const CUT: char = '◄';
const NOTHING: char = ' ';
const LEAST_CELLS: usize = 24;

/// What the signs of a timeline mean.
const LEGEND: [(char, &str); 5] = [
    (BUNDLES[0], "█▓ bundles, by turns"),
    (CUT, "◄ begins before what is drawn"),
    (OVERLAP, "≡ in two windows"),
    (GAP, "! gap: no bundle here covers it"),
    (BROKEN, "? link to the bundle before that does not fit"),
];

/// Draws the chains `width` characters wide (32 at least), each in a row with its number from 1,
/// to one scale, and under them the dates at both ends. A gap, however short, takes a whole
/// character, so that it is seen; where it meets a bundle, the gap is drawn. An overlap is drawn over whole characters
/// alone ([`is_drawn`]).
pub fn timeline(chains: &[Chain], width: usize) -> String {
    if chains.is_empty() {
        return String::new();
    }
    let axis = Axis::of(chains);
    let (label, cells) = cells_of(chains, width);
    let mut text = String::new();
    for (nth, chain) in chains.iter().enumerate() {
        let row: String = row(chain, &axis, cells).into_iter().collect();
        text += &format!("{:>label$}  {}\n", nth + 1, row.trim_end());
    }
    let (from, to) = (date(axis.span.start), date(axis.span.end));
    let between = cells.saturating_sub(from.len() + to.len()).max(1);
    text += &format!("{:label$}  {from}{:between$}{to}\n", "", "");
    text
}

/// What the signs mean that a timeline has, one each.
pub fn legend(timeline: &str) -> impl Iterator<Item = &'static str> {
    LEGEND.into_iter().filter(move |(sign, _)| timeline.contains(*sign)).map(|(_, meaning)| meaning)
}

/// Whether an overlap is long enough for the timeline of these chains to show it.
pub fn is_drawn(chains: &[Chain], width: usize, overlap: Span) -> bool {
    !inner(&Axis::of(chains), overlap, cells_of(chains, width).1).is_empty()
}

/// Columns of the numbers, and of the rows.
fn cells_of(chains: &[Chain], width: usize) -> (usize, usize) {
    let label = chains.len().to_string().len();
    (label, width.saturating_sub(label + 2).max(LEAST_CELLS))
}

/// The characters that an overlap fills, none that it only touches.
fn inner(axis: &Axis, overlap: Span, cells: usize) -> std::ops::Range<usize> {
    let touched = axis.cells(overlap, cells);
    touched.start + 1..touched.end.saturating_sub(1).max(touched.start + 1)
}

fn row(chain: &Chain, axis: &Axis, cells: usize) -> Vec<char> {
    let mut row = vec![NOTHING; cells];
    for (nth, link) in chain.by_window().into_iter().enumerate() {
        let span = span_of(link);
        row[axis.cells(span, cells)].fill(BUNDLES[nth % 2]);
        if axis.is_cut(span.start) {
            row[0] = CUT;
        }
    }
    for overlap in &chain.overlaps {
        row[inner(axis, *overlap, cells)].fill(OVERLAP);
    }
    for gap in &chain.gaps {
        row[axis.cells(*gap, cells)].fill(GAP);
    }
    for broken_link in &chain.broken_links {
        let link = chain.links.iter().find(|link| link.member == broken_link.member);
        let cells = link.map(|link| axis.cells(span_of(link), cells)).unwrap_or_default();
        // Beside a gap that ends there, not over it.
        if let Some(cell) = row[cells].iter_mut().find(|cell| **cell != GAP) {
            *cell = BROKEN;
        }
    }
    row
}

fn span_of(link: &ChainLink) -> Span {
    Span { start: link.link.window.start, end: link.link.window.end }
}

/// The day; the clock is that of the chains.
fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// `6 d 23 h`: the two greatest units.
pub fn duration(ticks: i64) -> String {
    const UNITS: [(i64, &str); 5] = [
        (TICKS_PER_DAY, "d"),
        (60 * TICKS_PER_MINUTE, "h"),
        (TICKS_PER_MINUTE, "min"),
        (TICKS_PER_SECOND, "s"),
        (TICKS_PER_SECOND / 1000, "ms"),
    ];
    let Some(first) = UNITS.iter().position(|(unit, _)| ticks >= *unit) else {
        return format!("{} × 100 ns", ticks);
    };
    let mut left = ticks;
    let mut parts = Vec::new();
    for (unit, name) in UNITS.iter().skip(first).take(2) {
        if left / unit > 0 {
            parts.push(format!("{} {name}", left / unit));
        }
        left %= unit;
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(7 * TICKS_PER_DAY), "7 d");
        assert_eq!(duration(TICKS_PER_DAY + 5 * TICKS_PER_MINUTE), "1 d");
        assert_eq!(duration(4 * 60 * TICKS_PER_MINUTE + 30 * TICKS_PER_MINUTE), "4 h 30 min");
        assert_eq!(duration(TICKS_PER_SECOND / 2 + 7), "500 ms");
        assert_eq!(duration(7), "7 × 100 ns");
    }
}
