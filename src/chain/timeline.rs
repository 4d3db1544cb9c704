//! The timeline as text: a row a chain.

use super::axis::Axis;
use super::model::Chain;
use crate::links::Span;

/// What stands where time is missing.
pub const GAP: char = '!';
/// Neighbouring bundles are told apart by turns.
const BUNDLES: [char; 2] = ['█', '▓'];
const CUT: char = '◄';
const NOTHING: char = ' ';
const LEAST_CELLS: usize = 24;

/// Draws the chains `width` characters wide (32 at least), each in a row with its number from 1,
/// to one scale, and under them the dates at both ends. A gap, however short, takes a whole
/// character, so that it is seen; where it meets a bundle, the gap is drawn.
pub fn timeline(chains: &[Chain], width: usize) -> String {
    if chains.is_empty() {
        return String::new();
    }
    let axis = Axis::of(chains);
    let label = chains.len().to_string().len();
    let cells = width.saturating_sub(label + 2).max(LEAST_CELLS);
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

fn row(chain: &Chain, axis: &Axis, cells: usize) -> Vec<char> {
    let mut row = vec![NOTHING; cells];
    for (nth, link) in chain.by_window().into_iter().enumerate() {
        let span = Span { start: link.link.window.start, end: link.link.window.end };
        row[axis.cells(span, cells)].fill(BUNDLES[nth % 2]);
        if axis.is_cut(span.start) {
            row[0] = CUT;
        }
    }
    for gap in &chain.gaps {
        row[axis.cells(*gap, cells)].fill(GAP);
    }
    row
}

/// The day; the clock is that of the chains.
pub(super) fn date(at: crate::model::time::Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}
