//! [`Timestamp`]: a point of `datetime2(7)`, in whole 100 ns ticks, never rounded.

use crate::error::{Error, Result};
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Ticks in a second: one tick is 100 ns, the resolution of `datetime2(7)`.
pub const TICKS_PER_SECOND: i64 = 10_000_000;
/// Ticks in a microsecond.
pub const TICKS_PER_MICROSECOND: i64 = 10;
/// Ticks in a minute.
pub const TICKS_PER_MINUTE: i64 = 60 * TICKS_PER_SECOND;
/// Ticks in a day.
pub const TICKS_PER_DAY: i64 = 86_400 * TICKS_PER_SECOND;
/// Days from 0001-01-01 to 1970-01-01.
pub const UNIX_EPOCH_DAYS: i64 = 719_162;

/// 100 ns ticks since 0001-01-01T00:00:00, the first moment of `datetime2`; the last is
/// 9999-12-31T23:59:59.9999999. Which clock it was read from is said beside it, never in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    /// 0001-01-01T00:00:00.0000000, "the beginning of time".
    pub const MIN: Self = Self(0);
    /// 9999-12-31T23:59:59.9999999.
    pub const MAX: Self = Self(3_652_059 * TICKS_PER_DAY - 1);

    /// From ticks; `None` outside of `MIN..=MAX`.
    pub fn from_ticks(ticks: i64) -> Option<Self> {
        let found = Self(ticks);
        (Self::MIN..=Self::MAX).contains(&found).then_some(found)
    }

    /// 100 ns ticks since 0001-01-01.
    pub const fn ticks(self) -> i64 {
        self.0
    }

    /// Microseconds since 1970-01-01, rounded down; the tick digit that is lost is `ticks() % 10`.
    pub const fn unix_micros_floor(self) -> i64 {
        (self.0 - UNIX_EPOCH_DAYS * TICKS_PER_DAY).div_euclid(10)
    }

    /// From whole microseconds since 1970-01-01; `None` outside of the range.
    pub fn from_unix_micros(micros: i64) -> Option<Self> {
        let ticks = micros.checked_mul(10)?.checked_add(UNIX_EPOCH_DAYS * TICKS_PER_DAY)?;
        Self::from_ticks(ticks)
    }

    /// Earlier by this many minutes, but not before [`Timestamp::MIN`].
    #[must_use]
    pub fn minus_minutes(self, minutes: u32) -> Self {
        Self((self.0 - i64::from(minutes) * TICKS_PER_MINUTE).max(0))
    }

    /// The beginning of its day.
    #[must_use]
    pub fn midnight(self) -> Self {
        Self(self.0 - self.0 % TICKS_PER_DAY)
    }

    /// By how many minutes this lies before another time, rounded up; 0 if it does not.
    pub fn minutes_before(self, later: Self) -> u64 {
        let ticks = u64::try_from(later.0 - self.0).unwrap_or(0);
        ticks.div_ceil(TICKS_PER_MINUTE.unsigned_abs())
    }

    /// Rule 27: the latest time that may stand in what a run hands out that starts now.
    #[must_use]
    pub fn latest_reported(self) -> Self {
        self.plus_ticks(TICKS_PER_DAY)
    }

    /// Later by this many ticks (earlier, if negative), kept within the range.
    #[must_use]
    pub fn plus_ticks(self, ticks: i64) -> Self {
        Self(self.0.saturating_add(ticks).clamp(0, Self::MAX.0))
    }

    /// From a calendar date and time, cut to 100 ns; `None` outside of the range.
    pub fn from_naive(at: NaiveDateTime) -> Option<Self> {
        let days = i64::from(at.date().num_days_from_ce()) - 1;
        let seconds = i64::from(at.time().num_seconds_from_midnight());
        let ticks = i64::from(at.time().nanosecond() % 1_000_000_000) / 100;
        Self::from_ticks(days * TICKS_PER_DAY + seconds * TICKS_PER_SECOND + ticks)
    }

    /// The calendar date and time.
    pub fn to_naive(self) -> NaiveDateTime {
        let days = i32::try_from(self.0 / TICKS_PER_DAY).unwrap_or(0) + 1;
        let of_day = self.0 % TICKS_PER_DAY;
        let seconds = u32::try_from(of_day / TICKS_PER_SECOND).unwrap_or(0);
        let nanos = u32::try_from(of_day % TICKS_PER_SECOND).unwrap_or(0) * 100;
        let date = NaiveDate::from_num_days_from_ce_opt(days).unwrap_or(NaiveDate::MIN);
        let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos).unwrap_or(NaiveTime::MIN);
        date.and_time(time)
    }

    /// Parses `YYYY-MM-DD[(T| )HH:MM[:SS[.f{1,7}]]][Z]`.
    ///
    /// # Errors
    /// Usage, for anything else, more than seven fractional digits included.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || {
            Error::usage(format!("{text:?} is not a date and time"))
                .hint("write it as 2026-11-22T18:00:00, with up to 7 fractional digits")
        };
        let body = text.trim();
        let body = body.strip_suffix(['Z', 'z']).unwrap_or(body);
        let digits = body.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        if digits > 7 || body.len() < 10 || !body.as_bytes()[0].is_ascii_digit() {
            return Err(bad());
        }
        let body = body.replacen(' ', "T", 1);
        let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
        let full = if body.contains('T') { body } else { body + "T00:00" };
        let parsed = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(&full, format).ok());
        parsed.and_then(Self::from_naive).ok_or_else(bad)
    }

    /// Parses the one form in which an embedded instance keeps a point in time, `YYYY-MM-DDTHH:MM:SS.fffffff`:
    /// 27 bytes, each of which counts. Nothing else is one, though it may name the same moment: texts of this
    /// form alone compare as times do.
    pub fn parse_exact(text: &[u8]) -> Option<Self> {
        const FORM: &[u8; 27] = b"0000-00-00T00:00:00.0000000";
        let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
        if text.len() != FORM.len() || !text.iter().zip(FORM).all(fits) {
            return None;
        }
        let number =
            |from: usize, to: usize| text[from..to].iter().fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0'));
        let date = NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)).ok()?, number(5, 7), number(8, 10))?;
        // A leap second is no time of datetime2, and 59 is the greatest that chrono takes with these nanoseconds.
        let time = NaiveTime::from_hms_nano_opt(number(11, 13), number(14, 16), number(17, 19), number(20, 27) * 100)?;
        Self::from_naive(date.and_time(time))
    }

    /// `20261122T180000Z`: the form used in names of bundles. Says UTC, so give it UTC.
    pub fn compact_utc(self) -> String {
        self.to_naive().format("%Y%m%dT%H%M%SZ").to_string()
    }

    /// RFC 3339 in UTC with seven digits. Give it UTC.
    pub fn rfc3339_utc(self) -> String {
        format!("{self}Z")
    }
}

/// `YYYY-MM-DDTHH:MM:SS.fffffff`, always 27 characters, so that text sorts as time does.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.to_naive();
        let fraction = self.0 % TICKS_PER_SECOND;
        write!(f, "{:04}-{:02}-{:02}", at.year(), at.month(), at.day())?;
        write!(f, "T{:02}:{:02}:{:02}.{fraction:07}", at.hour(), at.minute(), at.second())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Timestamp> for String {
    fn from(at: Timestamp) -> String {
        at.to_string()
    }
}

/// A moment in UTC that may be missing, as text: RFC 3339 with seven digits and `Z`.
pub mod utc_text {
    use super::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    /// See the module's text.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.serialize_str(&at.rfc3339_utc()),
            None => serializer.serialize_none(),
        }
    }

    /// See the module's text.
    ///
    /// # Errors
    /// Text that is no moment.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| Timestamp::parse(&text).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_the_range_are_those_of_datetime2() {
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00.0000000");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.9999999");
        assert_eq!(Timestamp::parse("1970-01-01").unwrap().unix_micros_floor(), 0);
        assert!(Timestamp::parse("2026-01-01T00:00:00.12345678").is_err());
        assert!(Timestamp::parse("0000-01-01").is_err());
        assert_eq!(Timestamp::MIN.minus_minutes(5), Timestamp::MIN);
    }

    #[test]
    fn an_exact_time_is_valid_to_its_last_character() {
        for good in ["0001-01-01T00:00:00.0000000", "2024-02-29T23:59:59.9999999", "9999-12-31T23:59:59.9999999"] {
            assert_eq!(Timestamp::parse_exact(good.as_bytes()).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "2026-01-01",
            "2026-01-01T00:00:00.123456Z",
            "2026-01-01T00:00:00.1234567Z",
            "2026-01-01T00:00:00.123+01:0",
            "2026-01-01 00:00:00.0000000",
            "2026-13-01T00:00:00.0000000",
            "2026-00-01T00:00:00.0000000",
            "2026-02-30T00:00:00.0000000",
            "2025-02-29T00:00:00.0000000",
            "2026-01-01T24:00:00.0000000",
            "2026-01-01T23:60:00.0000000",
            "2026-01-01T23:59:60.0000000",
            "0000-01-01T00:00:00.0000000",
            "10000-01-01T00:00:00.000000",
            " 026-01-01T00:00:00.0000000",
            "2026-01-01T00:00:00.000000 ",
            "2026-01-01T00:00:00.000000\0",
            "+026-01-01T00:00:00.0000000",
        ] {
            assert_eq!(Timestamp::parse_exact(bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn text_keeps_every_tick_and_sorts_as_time(a in 0..=Timestamp::MAX.0, b in 0..=Timestamp::MAX.0) {
            let (a, b) = (Timestamp(a), Timestamp(b));
            prop_assert_eq!(Timestamp::parse(&a.to_string()).unwrap(), a);
            prop_assert_eq!(Timestamp::parse_exact(a.to_string().as_bytes()), Some(a));
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
            let whole = Timestamp(a.0 - a.0 % 10);
            prop_assert_eq!(Timestamp::from_unix_micros(a.unix_micros_floor()), Some(whole));
        }
    }
}
