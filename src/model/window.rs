//! Rules 1 and 2: the half-open window on `ModifiedOn`, as a pure function.

use super::clock::ClockKind;
use super::time::Timestamp;
use crate::error::{Error, Result};

/// `[start, end)` on `ModifiedOn`, in the clock of the table. Exact to 100 ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first moment that belongs to it.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
    /// The clock in which both are read.
    pub clock: ClockKind,
}

/// What a window is computed from.
#[derive(Clone, Copy, Debug)]
pub struct WindowInputs {
    /// The database server's clock at the start of the run, in `clock`.
    pub run_start: Timestamp,
    /// The watermark of this table and scope.
    pub last_high_water: Option<Timestamp>,
    /// The table's `InitialBaseline`.
    pub initial_baseline: Option<Timestamp>,
    /// The operator's `--from`: sets the start back, never forward.
    pub from: Option<Timestamp>,
    /// The operator's `--until`: sets the end back, never forward.
    pub until: Option<Timestamp>,
    /// The window before in the same run of the operator, if `MaxWindow` had cut that.
    pub continues: Option<Continued>,
    /// `SafetyBufferMinutes`.
    pub buffer_minutes: u32,
    /// Start of the oldest open transaction, where it is known.
    pub oldest_open_transaction: Option<Timestamp>,
    /// The table's clock.
    pub clock: ClockKind,
    /// Whether a stamp is a date ([`super::stamp`]): both bounds are cut to midnight.
    pub in_days: bool,
}

/// A window that `MaxWindow` had cut.
#[derive(Clone, Copy, Debug)]
pub struct Continued {
    /// Where it ended.
    pub end: Timestamp,
    /// Where it would have ended.
    pub goal: Timestamp,
}

/// What `MaxWindow` made of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where the window would have ended; its end, if it was not cut.
    pub goal: Timestamp,
    /// The rows of one stamp, where they alone are more than `MaxWindow`, and so make the window larger.
    pub one_stamp_rows: Option<u64>,
}

impl WindowInputs {
    /// Rule 2: what is stamped from here on may still change, or not be committed yet.
    pub fn latest(&self) -> Timestamp {
        let lagged = self.run_start.minus_minutes(self.buffer_minutes);
        self.cut_to_day(self.oldest_open_transaction.map_or(lagged, |oldest| oldest.min(lagged)))
    }

    /// Where no run before has been, in a window of these inputs: from here on rows count for `MaxWindow`, and a window has to
    /// pass it. What the buffer takes once more lies before it.
    pub fn fresh(&self) -> Timestamp {
        match (self.continues, self.last_high_water) {
            (None, Some(mark)) if self.from.is_none_or(|from| from >= self.natural_start()) => self.cut_to_day(mark),
            _ => self.start(),
        }
    }

    fn natural_start(&self) -> Timestamp {
        match self.last_high_water {
            Some(mark) => mark.minus_minutes(self.buffer_minutes),
            None => self.initial_baseline.unwrap_or(Timestamp::MIN),
        }
    }

    fn start(&self) -> Timestamp {
        let natural = self.natural_start();
        let start = self.from.map_or(natural, |from| from.min(natural));
        self.cut_to_day(self.continues.map_or(start, |before| before.end))
    }

    fn cut_to_day(&self, at: Timestamp) -> Timestamp {
        if self.in_days { at.midnight() } else { at }
    }

    /// An operator's `--until` has to leave something to take.
    ///
    /// # Errors
    /// Usage.
    pub fn check_until(&self) -> Result<()> {
        let (Some(until), fresh) = (self.until, self.fresh()) else { return Ok(()) };
        if self.continues.is_some() || self.cut_to_day(until) > fresh {
            return Ok(());
        }
        Err(Error::usage(format!(
            "--until {until} leaves nothing to take: the next window of this table begins at {fresh}"
        ))
        .hint("name a later time, or an earlier one with --from; without --until, the run takes all that there is"))
    }
}

impl Window {
    /// Rule 1: `end = run start − buffer`, pulled back to the oldest open transaction (rule 2);
    /// `start = watermark − buffer`, or the baseline, or the beginning of time, and not after
    /// `from`. The window may be empty; it is then for the caller to say `Blocked`.
    ///
    /// A window that goes on from one that `MaxWindow` had cut begins where that ended, and ends no later than that would have.
    /// So all of them together take once more what the buffer of the first takes, and the next run what that of the last does:
    /// as if they were one window.
    pub fn compute(inputs: &WindowInputs) -> Self {
        let bounds = inputs.until.into_iter().chain(inputs.continues.map(|before| before.goal));
        let end = bounds.fold(inputs.latest(), |end, bound| end.min(inputs.cut_to_day(bound)));
        Self { start: inputs.start().min(end), end, clock: inputs.clock }
    }

    /// Whether this `ModifiedOn` belongs to the window.
    pub fn contains(&self, modified_on: Timestamp) -> bool {
        self.start <= modified_on && modified_on < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn inputs(run_start: i64, mark: Option<i64>) -> WindowInputs {
        WindowInputs {
            run_start: Timestamp::MIN.plus_ticks(run_start),
            last_high_water: mark.map(|mark| Timestamp::MIN.plus_ticks(mark)),
            initial_baseline: None,
            from: None,
            until: None,
            continues: None,
            buffer_minutes: 240,
            oldest_open_transaction: None,
            clock: ClockKind::Utc,
            in_days: false,
        }
    }

    proptest! {
        /// Rule 1: a moment before the watermark that one run leaves is in no later gap: windows
        /// of runs one after the other overlap by the buffer.
        #[test]
        fn rule_1_windows_leave_no_gap(first in 0..i64::MAX / 4, later in 0..i64::MAX / 4, at in 0..i64::MAX / 4) {
            let one = Window::compute(&inputs(first, None));
            let two = Window::compute(&inputs(first.saturating_add(later), Some(one.end.ticks())));
            let at = Timestamp::MIN.plus_ticks(at);
            prop_assert!(two.start <= one.end);
            prop_assert!(at >= two.end || one.contains(at) || two.contains(at));
        }
    }

    #[test]
    fn rule_1_bounds_are_exact_and_half_open() {
        let hour = 60 * super::super::time::TICKS_PER_MINUTE;
        let window = Window::compute(&inputs(10 * hour + 1, Some(5 * hour + 7)));
        assert_eq!(window.end.ticks(), 6 * hour + 1);
        assert_eq!(window.start.ticks(), hour + 7);
        assert!(window.contains(window.start) && !window.contains(window.end));
    }

    #[test]
    fn rule_1_a_window_of_dates_has_whole_days() {
        let hour = 60 * super::super::time::TICKS_PER_MINUTE;
        let mut dates = inputs(100 * hour + 1, Some(48 * hour));
        (dates.buffer_minutes, dates.in_days) = (1_450, true);
        let window = Window::compute(&dates);
        assert_eq!((window.start.ticks(), window.end.ticks()), (0, 72 * hour), "from day 0 to the end of day 2");
    }

    /// Windows that follow each other within a run leave no time out and take none twice, whatever `MaxWindow` makes of them.
    #[test]
    fn rule_1_cut_windows_follow_each_other() {
        let hour = 60 * super::super::time::TICKS_PER_MINUTE;
        let at = |hours: i64| Timestamp::MIN.plus_ticks(hours * hour);
        let first = inputs(100 * hour, Some(50 * hour));
        assert_eq!(
            (Window::compute(&first).start, first.fresh(), Window::compute(&first).end),
            (at(46), at(50), at(96))
        );
        let continues = Some(Continued { end: at(60), goal: at(96) });
        let next = WindowInputs { continues, from: None, ..inputs(110 * hour, Some(60 * hour)) };
        let window = Window::compute(&next);
        assert_eq!(
            (window.start, next.fresh(), window.end),
            (at(60), at(60), at(96)),
            "not after what the first one left"
        );
        assert_eq!(next.latest(), at(106));
        let pulled_back = WindowInputs { oldest_open_transaction: Some(at(55)), ..next };
        assert_eq!((Window::compute(&pulled_back).start, Window::compute(&pulled_back).end), (at(55), at(55)));
        let from = WindowInputs { from: Some(at(3)), until: Some(at(20)), ..first };
        let window = Window::compute(&from);
        assert_eq!((window.start, from.fresh(), window.end), (at(3), at(3), at(20)));
        assert!(from.check_until().is_ok() && WindowInputs { from: None, ..from }.check_until().is_err());
        assert!(WindowInputs { until: Some(at(50)), ..first }.check_until().is_err(), "half-open");
        assert!(WindowInputs { until: Some(at(51)), ..first }.check_until().is_ok());
        assert_eq!(Window::compute(&WindowInputs { until: Some(at(99)), ..first }).end, at(96), "never forward");
    }

    #[test]
    fn rule_2_an_open_transaction_pulls_the_end_back() {
        let mut from = inputs(i64::MAX / 8, None);
        from.oldest_open_transaction = Timestamp::from_ticks(42);
        assert_eq!(Window::compute(&from).end.ticks(), 42);
    }

    #[test]
    fn from_sets_the_start_back_and_never_forward() {
        let mut from = inputs(i64::MAX / 8, Some(i64::MAX / 9));
        let natural = Window::compute(&from).start;
        from.from = Some(Timestamp::MAX);
        assert_eq!(Window::compute(&from).start, natural);
        from.from = Some(Timestamp::MIN);
        assert_eq!(Window::compute(&from).start, Timestamp::MIN);
    }
}
