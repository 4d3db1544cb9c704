//! Times in a file of allowed signers: `YYYYMMDD[Z]`, `YYYYMMDDHHMM[SS][Z]` (ssh-keygen(1)).

use chrono::{DateTime, Local, MappedLocalTime, NaiveDate, NaiveDateTime, SecondsFormat, TimeZone as _, Utc};

/// Which end of a validity a time is. Where a local time comes twice, the shorter validity counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum ValidityEnd {
    After,
    Before,
}

/// Seconds since 1970, UTC. Without `Z` the time is in this system's zone.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn parse(text: &str, end: ValidityEnd) -> Result<i64, &'static str> {
    let (digits, is_utc) = text.strip_suffix('Z').map_or((text, false), |digits| (digits, true));
    let at = naive(digits).ok_or("a time has the form YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, and maybe a Z")?;
    let seconds = if is_utc { at.and_utc().timestamp() } else { local(at, end)? };
    if seconds > 0 { Ok(seconds) } else { Err("a time lies after 1970") }
}

fn naive(digits: &str) -> Option<NaiveDateTime> {
    if ![8, 12, 14].contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |at: usize, length: usize| digits.get(at..at + length).map_or(Some(0), |part| part.parse().ok());
    let date = NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(4, 2)?, number(6, 2)?)?;
    date.and_hms_opt(number(8, 2)?, number(10, 2)?, number(12, 2)?)
}

fn local(at: NaiveDateTime, end: ValidityEnd) -> Result<i64, &'static str> {
    match (Local.from_local_datetime(&at), end) {
        (MappedLocalTime::Single(at), _)
        | (MappedLocalTime::Ambiguous(_, at), ValidityEnd::After)
        | (MappedLocalTime::Ambiguous(at, _), ValidityEnd::Before) => Ok(at.timestamp()),
        (MappedLocalTime::None, _) => Err("there is no such time in this system's zone: write it with a Z"),
    }
}

/// In RFC 3339, UTC.
pub(super) fn text(seconds: i64) -> String {
    let at: Option<DateTime<Utc>> = DateTime::from_timestamp(seconds, 0);
    at.map_or_else(|| format!("{seconds} s"), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_forms() {
        for (text, seconds) in [
            ("20260102Z", 1_767_312_000),
            ("202601020304Z", 1_767_323_040),
            ("20260102030405Z", 1_767_323_045),
            ("19700102Z", 86_400),
        ] {
            assert_eq!(parse(text, ValidityEnd::After), Ok(seconds), "{text}");
            let local = parse(text.trim_end_matches('Z'), ValidityEnd::Before).unwrap();
            assert!((local - seconds).abs() <= 14 * 3600, "{text}");
        }
        assert_eq!(super::text(1_767_323_045), "2026-01-02T03:04:05Z");
    }

    #[test]
    fn no_other_form_is_a_time() {
        for text in [
            "",
            "Z",
            "2026",
            "2026-01-02",
            "20260132Z",
            "20260229Z",
            "202601022460Z",
            "20260102030460Z",
            "202601020304051Z",
            "+2026012",
            "20260102ZZ",
            "２0260102",
            "19700101Z",
            "00000101Z",
        ] {
            assert!(parse(text, ValidityEnd::After).is_err(), "{text:?}");
        }
    }
}
