//! Masks of dates and numbers.

use super::secret::{MaskKey, MaskStream};
use crate::model::cell::Cell;
use crate::model::sqltype::SqlType;
use crate::model::time::{TICKS_PER_DAY, Timestamp};
use crate::model::value_range::{self, narrow};

/// Days from 0001-01-01 to the first and behind the last day that a type has (Transact-SQL reference, `datetime` and
/// `smalldatetime`).
fn days_of(sql_type: SqlType) -> (i64, i64) {
    let all = Timestamp::MAX.ticks() / TICKS_PER_DAY + 1;
    match sql_type {
        // 1753-01-01.
        SqlType::DateTime => (639_905, all),
        // 1900-01-01 to 2079-06-06, whose last minutes a whole day later would be none of it.
        SqlType::SmallDateTime => (693_595, 759_130),
        _ => (0, all),
    }
}

/// A date moved by whole days, of one row all alike: by 1 to `days`, back or forth. What would leave the type's range goes
/// the other way, so it is not left as it was.
pub(super) fn shifted(
    key: &MaskKey,
    (cell, sql_type): (Cell<'_>, SqlType),
    days: u32,
    row: &[u8; 16],
) -> Option<Cell<'static>> {
    let mut stream = MaskStream::new(key.mac(&[b"row", row]));
    let shift = i64::from(stream.below(days)) + 1;
    let shift = if stream.below(2) == 0 { shift } else { -shift };
    let (first, end) = days_of(sql_type);
    let moved = |day: i64| {
        let is_inside = |day: &i64| (first..end).contains(day);
        [day + shift, day - shift].into_iter().find(is_inside).unwrap_or(day)
    };
    let moved_at = |at: Timestamp| {
        let (day, of_day) = (at.ticks() / TICKS_PER_DAY, at.ticks() % TICKS_PER_DAY);
        Timestamp::from_ticks(moved(day) * TICKS_PER_DAY + of_day)
    };
    Some(match cell {
        Cell::Date(day) => Cell::Date(i32::try_from(moved(day.into())).ok()?),
        Cell::DateTime(at) => Cell::DateTime(moved_at(at)?),
        Cell::DateTimeOffset(at, offset) => Cell::DateTimeOffset(moved_at(at)?, offset),
        _ => return None,
    })
}

/// A number and noise that is never 0, within the type: what would leave it goes the other way.
pub(super) fn noisy(
    key: &MaskKey,
    (cell, sql_type): (Cell<'_>, SqlType),
    within: i128,
    within_float: f64,
) -> Option<Cell<'static>> {
    let fits = |cell: &Cell<'_>| value_range::check(sql_type, cell).is_ok();
    match cell {
        Cell::Int(value) => {
            let noise = noise(key, &value.to_be_bytes(), within);
            let with = |noise: i128| i64::try_from(i128::from(value) + noise).ok().map(Cell::Int);
            [with(noise), with(-noise)].into_iter().flatten().find(fits).or(Some(Cell::Int(value)))
        }
        Cell::Decimal(value) => {
            let noise = noise(key, &value.to_be_bytes(), within);
            let with = |noise: i128| value.checked_add(noise).map(Cell::Decimal);
            [with(noise), with(-noise)].into_iter().flatten().find(fits).or(Some(Cell::Decimal(value)))
        }
        Cell::Float(value) => {
            let part = MaskStream::new(key.mac(&[b"number", &value.to_bits().to_be_bytes()])).below(u32::MAX);
            let noise = (f64::from(part) / f64::from(u32::MAX) * 2.0 - 1.0) * within_float;
            let of_type = |value: f64| if sql_type == SqlType::Real { f64::from(narrow(value)) } else { value };
            // Noise that is too small for the number's last digit moves it by that digit.
            let (up, down) = match sql_type {
                SqlType::Real => (f64::from(narrow(value).next_up()), f64::from(narrow(value).next_down())),
                _ => (value.next_up(), value.next_down()),
            };
            let masked = [of_type(value + noise), of_type(value - noise), up, down];
            let masked = masked.into_iter().find(|masked| masked.is_finite() && *masked != value);
            Some(Cell::Float(masked.unwrap_or(value)))
        }
        _ => None,
    }
}

/// From -`within` to `within`, without 0.
fn noise(key: &MaskKey, value: &[u8], within: i128) -> i128 {
    let mut stream = MaskStream::new(key.mac(&[b"number", value]));
    let wide = u128::from(stream.number()) << 64 | u128::from(stream.number());
    let size = i128::try_from(wide % within.unsigned_abs().max(1)).unwrap_or(0) + 1;
    if stream.below(2) == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::super::secret::MaskSecret;
    use super::*;
    use proptest::prelude::*;

    fn key() -> MaskKey {
        let digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        MaskSecret::parse(digits).unwrap().key(&[b"a"]).unwrap()
    }

    #[test]
    fn the_days_of_types_are_those_of_the_calendar() {
        let day = |text: &str| Timestamp::parse(text).unwrap().ticks() / TICKS_PER_DAY;
        assert_eq!(days_of(SqlType::DateTime).0, day("1753-01-01"));
        assert_eq!(days_of(SqlType::SmallDateTime), (day("1900-01-01"), day("2079-06-06")));
    }

    proptest! {
        #[test]
        fn dates_of_a_row_stay_in_order_and_move_within_the_days(a in 0_i32..3_652_059, b in 0_i32..3_600_000, row: [u8; 16]) {
            let shift = |day| match shifted(&key(), (Cell::Date(day), SqlType::Date), 30, &row) {
                Some(Cell::Date(day)) => day,
                other => panic!("{other:?}"),
            };
            prop_assert!((shift(a) - a).abs() <= 30 && shift(a) != a);
            prop_assert!(a < 30 || b < 30 || a > 3_652_028 || shift(a).cmp(&shift(b)) == a.cmp(&b));
        }

        #[test]
        fn no_float_stays_as_it_is(value in proptest::num::f64::NORMAL, within in 1e-9_f64..1e3) {
            for (sql_type, value) in [(SqlType::Float, value), (SqlType::Real, f64::from(narrow(value % 1e30)))] {
                let masked = noisy(&key(), (Cell::Float(value), sql_type), 0, within);
                prop_assert!(matches!(masked, Some(Cell::Float(masked)) if masked != value), "{} {:?}", value, masked);
            }
        }

        #[test]
        fn numbers_stay_within_their_noise_and_their_type(value in 0_i64..256, within in 1_i128..300) {
            let masked = match noisy(&key(), (Cell::Int(value), SqlType::TinyInt), within, 0.0) {
                Some(Cell::Int(masked)) => masked,
                other => panic!("{other:?}"),
            };
            prop_assert!((0..256).contains(&masked) && i128::from(masked - value).abs() <= within);
        }
    }
}
