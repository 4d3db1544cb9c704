//! [`HookUrl`]: where an operator is told by HTTP how a command ended.
//!
//! Such a URL often is a secret: whoever knows it can speak in the operator's name. So it is shown by its host alone, and
//! stands in no error. No redirect is followed, and no answer is read.

use super::engine;
use crate::error::{Error, Kind, Result};
use reqwest::{StatusCode, Url, header};
use std::fmt;
use std::time::{Duration, Instant};

/// To connect; for one request.
const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(10);
/// Before the second try; each wait is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The URL of a hook: https, or http on this machine.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl(Url);

/// How often a hook is tried, and for how long all in all.
#[derive(Clone, Copy, Debug)]
pub struct HookLimits {
    /// Tries, of which there is at least one.
    pub tries: u32,
    /// For all tries and the waits between them.
    pub total: Duration,
}

impl HookUrl {
    /// Understands a URL.
    ///
    /// # Errors
    /// Usage: no URL, or one over which everybody on the way reads. It is not repeated.
    pub fn parse(text: &str) -> Result<Self> {
        let url = Url::parse(text.trim()).map_err(|_| {
            Error::usage("the URL of a hook cannot be understood")
                .hint("write it as https://HOST/PATH, or @FILE for a file that has it")
        })?;
        let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
            return Err(Error::usage(
                "the URL of a hook has to begin with https://, because what is sent may not be read on the way",
            )
            .hint("http:// is taken for localhost, 127.0.0.1 and [::1] alone"));
        }
        Ok(Self(url))
    }

    /// The same with another last part of its path: `/start` for `https://host/id` is `https://host/id/start`.
    pub fn below(&self, name: &str) -> Self {
        let mut url = self.0.clone();
        let path = format!("{}/{name}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Self(url)
    }

    /// Sends a JSON document.
    ///
    /// # Errors
    /// Io: the hook did not take it in time. Neither URL nor document is repeated.
    pub fn post(&self, document: &str, limits: HookLimits) -> Result<()> {
        let failed = |source: reqwest::Error| self.failed("cannot be called").caused_by(source.without_url());
        let client = reqwest::ClientBuilder::new()
            .user_agent(concat!("blobdelta/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(REQUEST.min(limits.total))
            .build()
            .map_err(failed)?;
        let (begun, mut wait) = (Instant::now(), FIRST_WAIT);
        let mut tried = 0;
        loop {
            tried += 1;
            let request =
                client.post(self.0.clone()).header(header::CONTENT_TYPE, "application/json").body(document.to_owned());
            let answer = engine::run(async move { request.send().await.map(|answer| answer.status()) })?;
            let (error, is_final) = match answer {
                Ok(status) if status.is_success() => return Ok(()),
                Ok(status) => (self.failed(&format!("answers {status}")), !may_be_tried_again(status)),
                Err(source) => (self.failed("cannot be reached").caused_by(source.without_url()), false),
            };
            if is_final || tried >= limits.tries || begun.elapsed() + wait >= limits.total {
                return Err(
                    error.hint("correct the URL, or ask whoever runs the hook; the command itself is not concerned")
                );
            }
            std::thread::sleep(wait);
            wait *= 2;
        }
    }

    fn failed(&self, what: &str) -> Error {
        Error::new(Kind::Io, format!("the hook {self} {what}"))
    }
}

fn may_be_tried_again(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// Its host alone.
impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_shown_by_its_host_alone() {
        let hook = HookUrl::parse("https://user:Canary@hooks.example.org:8443/Canary?sig=Canary").unwrap();
        assert_eq!(format!("{hook} {hook:?}"), "https://hooks.example.org/… https://hooks.example.org/…");
        for text in ["Canary", "http://h/Canary", "ftp://h/Canary", "https://", "//Canary", "http://127.0.0.1.Canary/x"]
        {
            let error = HookUrl::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("Canary"), "{text}");
        }
        assert!(HookUrl::parse("http://127.0.0.1:1/x").is_ok() && HookUrl::parse(" https://h/x\n").is_ok());
    }

    #[test]
    fn a_ping_goes_below_the_path() {
        let below = |text: &str| HookUrl::parse(text).unwrap().below("fail").0.to_string();
        assert_eq!(below("https://h/id"), "https://h/id/fail");
        assert_eq!(below("https://h/id/?x=1"), "https://h/id/fail?x=1");
        assert_eq!(below("https://h"), "https://h/fail");
    }

    #[test]
    fn nobody_there_is_an_error_without_the_url() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let hook = HookUrl::parse(&format!("http://127.0.0.1:{port}/Canary")).unwrap();
        let error = hook.post("{}", HookLimits { tries: 2, total: Duration::from_secs(5) }).unwrap_err();
        let reported = format!("{error} {error:?}");
        assert!(reported.contains("cannot be reached") && !reported.contains("Canary"), "{reported}");
    }
}
