//! A chain as a figure of a page: its bundles, and rows and bytes a week below them, all figures of a page to one scale.
//!
//! A figure has no style of its own: that of the page has [`FIGURE_STYLE`], and the page begins with [`FIGURE_DEFINITIONS`].

use super::axis::Axis;
use super::model::{Chain, Member};
use super::picture::{BAR, MARGIN, WIDTH, bar, escaped};
use super::weeks::{WeekAmounts, week, weeks};
use crate::model::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub use super::picture::STYLE as FIGURE_STYLE;

/// What figures refer to.
pub const FIGURE_DEFINITIONS: &str = "<svg width=\"0\" height=\"0\" aria-hidden=\"true\"><defs><pattern id=\"twice\" width=\"6\" \
    height=\"6\" patternUnits=\"userSpaceOnUse\"><path d=\"M0,6 L6,0\" class=\"stripe\" stroke-width=\"1.5\"/></pattern></defs></svg>\n";

/// Above the bundles: the arrows of links that do not fit.
const HEAD: usize = 14;
/// Bundles and the labels of gaps.
const LANE: usize = HEAD + BAR + 36;
/// A chart: its heading, its bars.
const CHART_HEAD: usize = 16;
const CHART: usize = 44;
const FOOT: usize = 20;
const TICKS: usize = 4;
/// The letters of a date.
const DATE: usize = 10;

/// A number of a week, as it is drawn and as people read it.
type Amount = (&'static str, fn(&WeekAmounts) -> u64, fn(u64) -> String);

/// The figures of a page.
pub struct Figures<'c> {
    chains: &'c [Chain],
    members: &'c [Member],
    axis: Axis,
    amounts: [Amount; 2],
}

impl<'c> Figures<'c> {
    /// Those of chains; how people read a number of rows, and of bytes, the caller says.
    pub fn new(chains: &'c [Chain], members: &'c [Member], rows: fn(u64) -> String, bytes: fn(u64) -> String) -> Self {
        let amounts: [Amount; 2] = [("Rows", |week| week.rows, rows), ("Bytes", |week| week.bytes, bytes)];
        Self { chains, members, axis: Axis::of(chains), amounts }
    }

    /// All chains together: what their bundles hold, by week.
    pub fn together(&self, label: &str) -> String {
        let mut svg = begun(label, 2 * (CHART_HEAD + CHART) + FOOT);
        self.charts(&mut svg, &weeks(self.chains), 0);
        svg + "</svg>\n"
    }

    /// One chain; what `label` says stands for the figure where it is not seen.
    pub fn chain(&self, chain: &Chain, label: &str) -> String {
        let mut svg = begun(label, LANE + 2 * (CHART_HEAD + CHART) + FOOT);
        bar(&mut svg, chain, self.members, &self.axis, HEAD);
        self.charts(&mut svg, &weeks([chain]), LANE);
        svg + "</svg>\n"
    }

    fn charts(&self, svg: &mut String, weeks: &BTreeMap<Timestamp, WeekAmounts>, mut top: usize) {
        for amount in self.amounts {
            self.chart(svg, weeks, amount, top);
            top += CHART_HEAD + CHART;
        }
        for nth in 0..=TICKS {
            let x = MARGIN + (WIDTH - 2 * MARGIN) * nth / TICKS;
            let ticks = i64::try_from(nth).unwrap_or(0) * (self.axis.span.ticks() / TICKS as i64);
            let at: String = self.axis.span.start.plus_ticks(ticks).to_string().chars().take(DATE).collect();
            let anchor = ["start", "middle", "middle", "middle", "end"][nth];
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\" class=\"faint\">{at}</text>",
                top + 14
            );
        }
    }

    /// The highest bar is that of the greatest week, full loads apart: what is more is cut, and has a mark.
    fn chart(&self, svg: &mut String, weeks: &BTreeMap<Timestamp, WeekAmounts>, (name, of, read): Amount, top: usize) {
        let greatest = |with_loads: bool| {
            let counted = weeks.values().filter(|week| with_loads || !week.has_full_load);
            counted.map(of).max().filter(|most| *most > 0)
        };
        let most = greatest(false).or_else(|| greatest(true)).unwrap_or(0);
        let base = top + CHART_HEAD + CHART - 2;
        let is_cut = weeks.values().any(|week| of(week) > most);
        let cut = if is_cut { "; more is cut off, and marked by a triangle" } else { "" };
        let heading = format!("{name} a week, up to {}{cut}", read(most));
        let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{}\" class=\"faint\">{}</text>", top + 12, escaped(&heading));
        let (mut bars, mut marks) = (String::new(), String::new());
        for (monday, amounts) in weeks.iter().filter(|(_, amounts)| of(amounts) > 0) {
            let cells = self.axis.cells(week(*monday), WIDTH - 2 * MARGIN);
            let (x, width) = (MARGIN + cells.start, cells.len().saturating_sub(1).max(1));
            let room = (CHART - 6) as u128;
            let share = u128::from(of(amounts).min(most)) * room / u128::from(most.max(1));
            // What there is is seen.
            let high = usize::try_from(share).unwrap_or(0).max(1);
            let _ = write!(bars, "M{x},{base} v-{high} h{width} v{high} z");
            if of(amounts) > most {
                let _ = write!(marks, "M{},{} l-4,5 h8 z", x + width / 2, base - high - 5);
            }
        }
        // One path however many weeks there are: a page of many tables would be too much for a browser to print.
        let _ = writeln!(svg, "<path d=\"{bars}\" class=\"one\"/><path d=\"{marks}\" class=\"broken\"/>");
        let _ = writeln!(svg, "<path d=\"M{MARGIN},{base} H{}\" class=\"line\"/>", WIDTH - MARGIN);
    }
}

fn begun(label: &str, height: usize) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n",
        escaped(label)
    )
}
