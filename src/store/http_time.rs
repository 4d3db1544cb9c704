//! Times as HTTP and Azure write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use std::time::{Duration, SystemTime};

/// `Mon, 30 Nov 2026 12:00:00 GMT` (RFC 9110, section 5.6.7).
pub(super) fn of_header(text: &str) -> Option<SystemTime> {
    let at = DateTime::parse_from_rfc2822(&text.replace("GMT", "+0000")).ok()?;
    since_epoch(at.timestamp())
}

/// `2026-11-30T12:00:00Z`, or shorter, as the end of a SAS; its colons may be coded.
pub(super) fn of_sas(text: &str) -> Option<SystemTime> {
    let text = text.replace("%3A", ":").replace("%3a", ":");
    let text = text.trim_end_matches('Z');
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let at = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let at = at.or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    since_epoch(at.and_utc().timestamp())
}

fn since_epoch(seconds: i64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// By how many whole minutes `here` is ahead of `there`.
pub(super) fn minutes_between(there: SystemTime, here: SystemTime) -> i64 {
    let minutes = |span: Duration| i64::try_from(span.as_secs() / 60).unwrap_or(i64::MAX);
    match here.duration_since(there) {
        Ok(ahead) => minutes(ahead),
        Err(behind) => -minutes(behind.duration()),
    }
}
