//! How far work has come: percentage, rows and bytes a second, time left.

use super::render::{bytes, counted, number};
use std::time::Duration;

/// Work over a known or unknown amount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// All rows, where they are known.
    pub all_rows: Option<u64>,
    /// All bytes, where they are known.
    pub all_bytes: Option<u64>,
    /// Rows done before this clock was started (a resumed run).
    pub rows_before: u64,
    /// Rows done since.
    pub rows: u64,
    /// Bytes done since.
    pub bytes: u64,
}

impl Rate {
    /// What is done of all, in thousandths, by bytes where they are known.
    pub fn permille(&self) -> Option<u64> {
        let (done, all) = match (self.all_bytes, self.all_rows) {
            (Some(all), _) if all > 0 => (self.bytes, all),
            (_, Some(all)) if all > 0 => (self.rows_before + self.rows, all),
            (None, None) => return None,
            _ => return Some(1000),
        };
        Some(u64::try_from(u128::from(done.min(all)) * 1000 / u128::from(all)).unwrap_or(1000))
    }

    /// One line: `42.0 %  1,234 rows/s  12.3 MiB/s  5 s left`.
    pub fn line(&self, elapsed: Duration) -> String {
        let millis = elapsed.as_millis().max(1);
        let per_second = |done: u64| u64::try_from(u128::from(done) * 1000 / millis).unwrap_or(u64::MAX);
        let mut parts = Vec::new();
        let permille = self.permille();
        if let Some(permille) = permille {
            parts.push(format!("{}.{} %", permille / 10, permille % 10));
        }
        // What is sent is bytes alone.
        if self.rows > 0 || self.bytes == 0 {
            parts.push(format!("{} rows/s", number(per_second(self.rows))));
        }
        if self.bytes > 0 {
            parts.push(format!("{}/s", bytes(per_second(self.bytes))));
        }
        if let Some(left) = self.left(elapsed) {
            parts.push(format!("{} left", span(left)));
        }
        parts.join("  ")
    }

    /// What was done, in one line: `1,234 rows, 12.3 MiB in 5 s`.
    pub fn sum(&self, elapsed: Duration) -> String {
        let rows = (self.rows > 0 || self.bytes == 0).then(|| counted(self.rows, "row", "rows"));
        let bytes = (self.bytes > 0).then(|| bytes(self.bytes));
        let done: Vec<String> = rows.into_iter().chain(bytes).collect();
        format!("{} in {}", done.join(", "), span(elapsed))
    }

    fn left(&self, elapsed: Duration) -> Option<Duration> {
        let (done, rest) = match (self.all_bytes, self.all_rows) {
            (Some(all), _) if all > 0 => (self.bytes, all.saturating_sub(self.bytes)),
            (_, Some(all)) => (self.rows, all.saturating_sub(self.rows_before + self.rows)),
            _ => return None,
        };
        if done == 0 {
            return None;
        }
        let millis = elapsed.as_millis() * u128::from(rest) / u128::from(done);
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_percentage_rates_and_time_left() {
        let rate = Rate { all_rows: Some(4000), rows: 1000, bytes: 10 << 20, ..Rate::default() };
        assert_eq!(rate.line(Duration::from_secs(10)), "25.0 %  100 rows/s  1.0 MiB/s  30 s left");
        assert_eq!(rate.sum(Duration::from_secs(10)), "1,000 rows, 10.0 MiB in 10 s");
    }

    #[test]
    fn rows_of_an_earlier_session_count_for_the_percentage_alone() {
        let rate = Rate { all_rows: Some(1000), rows_before: 500, rows: 250, ..Rate::default() };
        assert_eq!(rate.line(Duration::from_secs(5)), "75.0 %  50 rows/s  5 s left");
    }

    #[test]
    fn nothing_to_do_is_all_done_and_unknown_work_has_no_percentage() {
        assert_eq!(Rate { all_rows: Some(0), ..Rate::default() }.permille(), Some(1000));
        assert_eq!(Rate { all_bytes: Some(0), all_rows: Some(4), rows: 1, ..Rate::default() }.permille(), Some(250));
        assert_eq!(Rate::default().line(Duration::ZERO), "0 rows/s");
        assert_eq!(span(Duration::from_secs(3725)), "1 h 2 min");
    }
}
