//! The one scale on which all chains are drawn.

use super::model::Chain;
use crate::links::Span;
use crate::model::time::{TICKS_PER_DAY, Timestamp};

/// From the earliest bound to the latest, over all chains. A window from the beginning of time
/// would leave no room for the others: it is drawn as beginning a little before the rest.
pub(super) struct Axis {
    /// What is drawn. Never empty.
    pub span: Span,
}

impl Axis {
    pub(super) fn of(chains: &[Chain]) -> Self {
        let windows = || chains.iter().flat_map(|chain| &chain.links).map(|link| &link.link.window);
        let bounds = || windows().flat_map(|window| [window.start, window.end]).filter(|at| *at > Timestamp::MIN);
        let start = bounds().min().unwrap_or(Timestamp::MIN);
        let end = bounds().max().unwrap_or(start);
        let is_open = windows().any(|window| window.start == Timestamp::MIN);
        let lead = (end.ticks() - start.ticks()) / 12;
        let start = if is_open { start.plus_ticks(-lead.max(TICKS_PER_DAY)) } else { start };
        let end = if start < end { end } else { start.plus_ticks(TICKS_PER_DAY) };
        Self { span: Span { start, end } }
    }

    /// Where a moment lies among `units` units of the drawing, rounded down.
    pub(super) fn place(&self, at: Timestamp, units: usize) -> usize {
        let from = i128::from(at.max(self.span.start).ticks() - self.span.start.ticks());
        let all = i128::from(self.span.ticks().max(1));
        let units_wide = i128::try_from(units).unwrap_or(0);
        usize::try_from(from * units_wide / all).unwrap_or(0).min(units)
    }

    /// The units that a stretch of time touches: at least one.
    pub(super) fn cells(&self, span: Span, units: usize) -> std::ops::Range<usize> {
        let first = self.place(span.start, units).min(units.saturating_sub(1));
        let last = self.place(span.end.plus_ticks(-1).max(span.start), units).min(units.saturating_sub(1));
        first..last + 1
    }

    /// Whether a window begins before what is drawn.
    pub(super) fn is_cut(&self, start: Timestamp) -> bool {
        start < self.span.start
    }
}
