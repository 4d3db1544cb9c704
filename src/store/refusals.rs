//! [`Refusal`]: what a store says no for, where that is known: told by the status, the code and the clock of its answer.
//!
//! S3 and what speaks its protocol, and Azure, answer with XML that has a `<Code>`; Google's XML API too. What is not known
//! here is told by [`super::failures`] in the store's own words.

use super::http_time::{self, minutes_between};
use crate::error::Error;
use object_store::client::HttpRequest;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap};
use std::time::SystemTime;

/// Beyond this, S3 and Azure refuse a signature for its time.
const MOST_MINUTES: i64 = 15;

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The object lies in an archive tier, or comes from there right now.
    Archived {
        /// Whether somebody asked for it already.
        is_coming: bool,
    },
    /// The clock of this machine is so many minutes ahead of the store's; negative, where it is behind.
    Skewed(i64),
    /// A token, or the signature of a SAS, was good once.
    Expired,
    /// A retention or a legal hold keeps the object.
    Locked,
    /// The store takes no headers with checksums.
    NoChecksums,
    /// The upload was ended, by whom ever.
    NoSuchUpload,
    /// The store does not know what it is asked for.
    Unknown,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Archived { is_coming: false } => f.write_str("the object lies in an archive tier"),
            Self::Archived { is_coming: true } => f.write_str("the object is being brought back from an archive tier"),
            Self::Skewed(minutes) => {
                let side = if *minutes < 0 { "behind" } else { "ahead of" };
                write!(f, "the clock of this machine is {} minutes {side} that of the store", minutes.abs())
            }
            Self::Expired => f.write_str("the token or the SAS has expired"),
            Self::Locked => f.write_str("a retention or a legal hold of the store keeps the object"),
            Self::NoChecksums => f.write_str("the store takes no headers with checksums"),
            Self::Unknown => f.write_str("the store does not know this kind of request"),
            Self::NoSuchUpload => f.write_str("the upload was ended meanwhile"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Whether an error says that a lock of the store keeps an object.
pub fn is_locked(error: &Error) -> bool {
    Refusal::of(error) == Some(&Refusal::Locked)
}

/// Whether a failure says that the store does not know this kind of request.
pub(super) fn is_unknown(failure: &(dyn std::error::Error + 'static)) -> bool {
    Refusal::of(failure) == Some(&Refusal::Unknown)
}

/// Whether an error says that the store knows of no such upload.
pub(super) fn is_unknown_upload(error: &Error) -> bool {
    Refusal::of(error) == Some(&Refusal::NoSuchUpload)
}

impl Refusal {
    /// The one that an error is about, if it is about one.
    pub(super) fn of<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Self> {
        let mut source = Some(error);
        while let Some(error) = source {
            if let Some(refusal) = error.downcast_ref() {
                return Some(refusal);
            }
            source = error.source();
        }
        None
    }
}

/// What a request said that an answer may be about.
#[derive(Clone, Debug, Default)]
pub(super) struct AskedBy {
    has_checksum: bool,
    /// Until when its SAS is good, if it has one.
    sas_ends: Option<SystemTime>,
}

impl AskedBy {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let named = |name: &str| name.starts_with("x-amz-checksum-") || name.starts_with("x-amz-sdk-checksum-");
        let query = request.uri().query().unwrap_or_default();
        // Azure, "Create a service SAS": `se` is its end, always UTC.
        let ends = query.split('&').find_map(|pair| pair.strip_prefix("se="));
        Self {
            has_checksum: request.headers().keys().any(|name| named(name.as_str())),
            sas_ends: ends.and_then(http_time::of_sas),
        }
    }

    /// What an answer says no for, if it is known; `now` is the time of this machine.
    pub(super) fn refusal(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &str,
        now: SystemTime,
    ) -> Option<Refusal> {
        let code = code_of(body);
        if status == StatusCode::NOT_IMPLEMENTED {
            return Some(Refusal::Unknown);
        }
        let there = headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(http_time::of_header);
        let is_denied = matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        match code {
            "InvalidObjectState" | "BlobArchived" => return Some(Refusal::Archived { is_coming: false }),
            "BlobBeingRehydrated" => return Some(Refusal::Archived { is_coming: true }),
            "ExpiredToken" | "TokenRefreshRequired" => return Some(Refusal::Expired),
            "NoSuchUpload" => return Some(Refusal::NoSuchUpload),
            "BlobImmutableDueToPolicy" | "ObjectLocked" | "RetentionPolicyNotMet" => return Some(Refusal::Locked),
            _ => {}
        }
        let minutes = there.map(|there| minutes_between(there, now));
        if let Some(minutes) = minutes
            && is_denied
            && (minutes.abs() >= MOST_MINUTES || code == "RequestTimeTooSkewed")
        {
            return Some(Refusal::Skewed(minutes));
        }
        if is_denied && self.sas_ends.is_some_and(|ends| there.unwrap_or(now) >= ends) {
            return Some(Refusal::Expired);
        }
        // S3 and MinIO have no code of their own for a lock, only these words; other codes say that a header with a checksum is not known.
        if is_denied && ["object lock", "WORM"].iter().any(|words| body.contains(words)) {
            return Some(Refusal::Locked);
        }
        let is_unknown = matches!(code, "InvalidArgument" | "InvalidRequest" | "NotImplemented");
        (self.has_checksum && is_unknown && body.contains("checksum")).then_some(Refusal::NoChecksums)
    }
}

/// Two requests for one name at the same time, of which S3 takes neither or one: whoever asks again is told which.
pub(super) fn is_to_be_asked_again(status: StatusCode, body: &str) -> bool {
    status == StatusCode::CONFLICT && matches!(code_of(body), "ConditionalRequestConflict" | "OperationAborted")
}

fn code_of(body: &str) -> &str {
    let inside = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    inside.map_or("", |(code, _)| code.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(86_400);

    fn xml(code: &str, message: &str) -> String {
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>")
    }

    fn asked(url: &str, header: Option<&'static str>) -> AskedBy {
        let mut request = HttpRequest::new(Vec::new().into());
        *request.uri_mut() = url.parse().unwrap();
        if let Some(header) = header {
            request.headers_mut().insert(header, "x".parse().unwrap());
        }
        AskedBy::of(&request)
    }

    #[test]
    fn a_refusal_is_known_by_what_the_answer_says() {
        let now = http_time::of_header("Mon, 30 Nov 2026 12:00:00 GMT").unwrap();
        let at = |date: &str| HeaderMap::from_iter([(DATE, date.parse().unwrap())]);
        let here = at("Mon, 30 Nov 2026 12:00:00 GMT");
        let plain = asked("https://h/b/k", None);
        let told = |status: u16, headers: &HeaderMap, body: &str| {
            plain.refusal(StatusCode::from_u16(status).unwrap(), headers, body, now)
        };
        assert_eq!(told(403, &here, &xml("InvalidObjectState", "")), Some(Refusal::Archived { is_coming: false }));
        assert_eq!(told(409, &here, &xml("BlobBeingRehydrated", "")), Some(Refusal::Archived { is_coming: true }));
        assert_eq!(told(400, &here, &xml("ExpiredToken", "")), Some(Refusal::Expired));
        assert_eq!(told(409, &here, &xml("BlobImmutableDueToPolicy", "")), Some(Refusal::Locked));
        let locked = xml("AccessDenied", "Access Denied because object protected by object lock.");
        assert_eq!(told(403, &here, &locked), Some(Refusal::Locked));
        let late = at("Mon, 30 Nov 2026 12:40:00 GMT");
        assert_eq!(told(403, &late, &xml("RequestTimeTooSkewed", "")), Some(Refusal::Skewed(-40)));
        assert_eq!(told(403, &at("Mon, 30 Nov 2026 11:40:00 GMT"), "AuthenticationFailed"), Some(Refusal::Skewed(20)));
        for (status, body) in [(403, xml("AccessDenied", "")), (404, xml("NoSuchKey", "")), (400, String::new())] {
            assert_eq!(told(status, &here, &body), None, "{body}");
        }
        assert_eq!(told(404, &late, &xml("NoSuchKey", "")), None, "only what is denied may be denied for the clock");
    }

    #[test]
    fn a_sas_and_checksums_are_known_by_what_was_asked() {
        let now = http_time::of_header("Mon, 30 Nov 2026 12:00:00 GMT").unwrap();
        let denied = |asked: &AskedBy| asked.refusal(StatusCode::FORBIDDEN, &HeaderMap::new(), "", now);
        let sas = |ends: &str| asked(&format!("https://h/c/k?sv=1&se={ends}&sig=x"), None);
        assert_eq!(denied(&sas("2026-11-30T11%3A59%3A59Z")), Some(Refusal::Expired));
        assert_eq!(denied(&sas("2026-11-29")), Some(Refusal::Expired));
        assert_eq!(denied(&sas("2026-12-01T00:00:00Z")), None);
        let refused =
            xml("InvalidArgument", "Unsupported header 'x-amz-sdk-checksum-algorithm' received for this API call.");
        let with = asked("https://h/b/k", Some("x-amz-checksum-sha256"));
        let ask = |asked: &AskedBy| asked.refusal(StatusCode::BAD_REQUEST, &HeaderMap::new(), &refused, now + DAY);
        assert_eq!((ask(&with), ask(&asked("https://h/b/k", None))), (Some(Refusal::NoChecksums), None));
    }

    #[test]
    fn a_conflict_of_two_requests_is_no_answer() {
        let conflict = |code: &str| is_to_be_asked_again(StatusCode::CONFLICT, &xml(code, ""));
        assert!(conflict("ConditionalRequestConflict") && conflict("OperationAborted"));
        assert!(!conflict("BlobAlreadyExists") && !is_to_be_asked_again(StatusCode::BAD_REQUEST, "OperationAborted"));
    }
}
