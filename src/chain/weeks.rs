//! How much the bundles of each week hold.

use super::model::Chain;
use crate::links::Span;
use crate::model::time::{TICKS_PER_DAY, Timestamp};
use std::collections::BTreeMap;

const TICKS_PER_WEEK: i64 = 7 * TICKS_PER_DAY;

/// The bundles whose windows end in one week, in the clock of their chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeekAmounts {
    /// How many they are.
    pub bundles: u64,
    /// Rows of their parts.
    pub rows: u64,
    /// Their tombstones.
    pub tombstones: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Whether one of them begins with the beginning of time, so that it may be many times as large as the others.
    pub has_full_load: bool,
}

/// By the Monday with which a week begins: those weeks in which a window of these chains ends.
pub fn weeks<'c>(chains: impl IntoIterator<Item = &'c Chain>) -> BTreeMap<Timestamp, WeekAmounts> {
    let mut weeks = BTreeMap::<Timestamp, WeekAmounts>::new();
    for link in chains.into_iter().flat_map(|chain| &chain.links) {
        let week = weeks.entry(monday(link.link.window.end)).or_default();
        week.bundles += 1;
        week.rows = week.rows.saturating_add(link.rows);
        week.tombstones = week.tombstones.saturating_add(link.tombstones);
        week.bytes = week.bytes.saturating_add(link.bytes);
        week.has_full_load |= link.link.window.start == Timestamp::MIN;
    }
    weeks
}

/// The week that begins with this Monday.
pub fn week(monday: Timestamp) -> Span {
    Span { start: monday, end: monday.plus_ticks(TICKS_PER_WEEK) }
}

/// A window ends before its end. 0001-01-01 is a Monday.
fn monday(end: Timestamp) -> Timestamp {
    let last = end.plus_ticks(-1);
    last.plus_ticks(-(last.ticks() % TICKS_PER_WEEK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_with_its_monday() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        for (end, due) in [
            ("2026-11-30T00:00:00.0000001", "2026-11-30"),
            ("2026-11-30", "2026-11-23"),
            ("2026-12-06T23:59:59", "2026-11-30"),
            ("0001-01-01", "0001-01-01"),
        ] {
            assert_eq!(monday(at(end)), at(due), "{end}");
        }
        assert_eq!(week(at("2026-11-30")).end, at("2026-12-07"));
    }
}
