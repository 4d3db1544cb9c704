//! Rules 1 and 2: the half-open window on `ModifiedOn`, as a pure function.

use super::clock::ClockKind;
use super::time::Timestamp;

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
    /// `SafetyBufferMinutes`.
    pub buffer_minutes: u32,
    /// Start of the oldest open transaction, where it is known.
    pub oldest_open_transaction: Option<Timestamp>,
    /// The table's clock.
    pub clock: ClockKind,
    /// Whether a stamp is a date ([`super::stamp`]): both bounds are cut to midnight.
    pub in_days: bool,
}

impl Window {
    /// Rule 1: `end = run start − buffer`, pulled back to the oldest open transaction (rule 2);
    /// `start = watermark − buffer`, or the baseline, or the beginning of time, and not after
    /// `from`. The window may be empty; it is then for the caller to say `Blocked`.
    pub fn compute(inputs: &WindowInputs) -> Self {
        let lagged = inputs.run_start.minus_minutes(inputs.buffer_minutes);
        let end = inputs.oldest_open_transaction.map_or(lagged, |oldest| oldest.min(lagged));
        let natural = match inputs.last_high_water {
            Some(mark) => mark.minus_minutes(inputs.buffer_minutes),
            None => inputs.initial_baseline.unwrap_or(Timestamp::MIN),
        };
        let start = inputs.from.map_or(natural, |from| from.min(natural));
        let cut = |at: Timestamp| if inputs.in_days { at.midnight() } else { at };
        let (start, end) = (cut(start), cut(end));
        Self { start: start.min(end), end, clock: inputs.clock }
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
