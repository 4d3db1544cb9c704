//! How what a command prints is laid out: for which width, and with which columns.

use super::out;
use crate::model::clock::{Clock as _, SystemClock};
use crate::model::time::{TICKS_PER_SECOND, Timestamp};

/// Columns where there is no terminal and nobody said.
const PIPED_WIDTH: usize = 120;
/// No narrower layout is tried.
const LEAST_WIDTH: usize = 20;
/// Columns of help texts at most: longer lines are hard to read.
pub const HELP_WIDTH: usize = 100;

/// See the module's text.
#[derive(Clone, Copy, Debug)]
pub struct Appearance {
    /// Columns of the terminal, or as many as are kept to without one.
    pub width: usize,
    /// Whether tables have all their columns, whatever their width.
    pub wide: bool,
    /// From when ages are counted, UTC.
    pub now: Timestamp,
}

impl Appearance {
    /// That of stdout: as wide as its terminal. Without one, as wide as `COLUMNS` says, else 120.
    pub fn of_stdout(wide: bool) -> Self {
        Self { width: width().unwrap_or(PIPED_WIDTH).max(LEAST_WIDTH), wide, now: SystemClock.now().utc }
    }

    /// How long ago something was, or in how long it will be: `3 h ago`, `in 14 min`.
    pub fn age(&self, at: Timestamp) -> String {
        let seconds = (self.now.ticks() - at.ticks()) / TICKS_PER_SECOND;
        let (count, unit) = match seconds.unsigned_abs() {
            seconds @ 0..60 => (seconds, "s"),
            seconds @ 60..3600 => (seconds / 60, "min"),
            seconds @ 3600..172_800 => (seconds / 3600, "h"),
            seconds => (seconds / 86_400, "d"),
        };
        if seconds < 0 { format!("in {count} {unit}") } else { format!("{count} {unit} ago") }
    }
}

/// Columns of stdout that are known.
fn width() -> Option<usize> {
    out::width().or_else(|| std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()))
}

/// Columns of help texts.
pub fn help_width() -> usize {
    width().unwrap_or(HELP_WIDTH).clamp(LEAST_WIDTH, HELP_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_well() {
        let now = Timestamp::parse("2026-11-30T12:00:00").unwrap();
        let look = Appearance { width: 80, wide: false, now };
        let age = |text: &str| look.age(Timestamp::parse(text).unwrap());
        assert_eq!(age("2026-11-30T11:59:59"), "1 s ago");
        assert_eq!(age("2026-11-30T11:00:01"), "59 min ago");
        assert_eq!(age("2026-11-30T09:00:00"), "3 h ago");
        assert_eq!(age("2026-11-28T12:00:01"), "47 h ago");
        assert_eq!(age("2026-11-23T12:00:00"), "7 d ago");
        assert_eq!(age("2026-11-30T12:14:30"), "in 14 min");
    }
}
