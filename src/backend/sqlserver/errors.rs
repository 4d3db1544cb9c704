//! What a server answers when something is wrong, in words a user can act on.

use crate::error::{Error, Kind};
use std::time::Duration;
use tiberius::error::{Error as Tds, IoErrorKind, TokenError};

/// Errors after which the same unit of work may succeed: deadlock victim, lock timeout, and those
/// that Microsoft lists as transient
/// (<https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues>).
const TRANSIENT: [u32; 27] = [
    1204, 1205, 1222, 40143, 40197, 40501, 40540, 40613, 49918, 49919, 49920, 10928, 10929, 233, 997, 10060, 4060,
    4221, 64, // A server that shuts down, a database that is recovered, a replica that takes over.
    6005, 921, 922, 976, 978, 983, 3906, 17187,
];

/// Logins that a server refuses for who it is that logs in (sys.messages 18450 to 18499), but for those that it refuses while it
/// starts.
fn is_refusal(code: u32) -> bool {
    (18450..18500).contains(&code) && !matches!(code, 18451 | 18461)
}

/// What became of the connection, and whether the unit may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The unit failed for good.
    Final,
    /// The server asks to try again.
    Transient,
    /// The connection is gone. Whether the last statement was done is not known.
    Lost,
}

/// Sorts a failure.
pub(super) fn trouble(error: &Tds) -> Trouble {
    match error {
        Tds::Server(token) if TRANSIENT.contains(&token.code()) => Trouble::Transient,
        Tds::Io { .. } | Tds::Protocol(_) => Trouble::Lost,
        // Severity 20 and higher ends the session (sys.messages).
        Tds::Server(token) if token.class() >= 20 => Trouble::Lost,
        _ => Trouble::Final,
    }
}

/// Sorts a login that failed at a server that was reached before: what is not its refusal may pass when it has restarted.
pub(super) fn trouble_of_login(error: &Tds) -> Trouble {
    match error {
        Tds::Server(token) if is_refusal(token.code()) => Trouble::Final,
        _ => Trouble::Lost,
    }
}

/// A server that was reached before, and is not any more.
pub(super) fn not_reached_again(server: &str, waited: Duration, error: Tds) -> Error {
    let waited = waited.as_secs_f64() / 60.0;
    Error::new(Kind::Database, format!("cannot log in to {server} again, which was tried for {waited:.1} minutes"))
        .caused_by(error)
        .hint(
            "committed work is kept; continue when the server is back. --reconnect-minutes says how long one that restarts or \
             fails over is waited for",
        )
}

/// A failure; `doing` is an infinitive.
pub(super) fn failed(doing: &str, error: Tds) -> Error {
    if let Tds::Server(token) = &error {
        return answered(doing, token);
    }
    let base = Error::new(Kind::Database, format!("cannot {doing}"));
    match &error {
        Tds::Io { .. } | Tds::Protocol(_) => {
            base.caused_by(error).hint("the connection was lost; committed work is kept, continue with --resume")
        }
        Tds::Utf16 => base.caused_by(error).hint(
            "a text holds half of a character (an unpaired surrogate); mend the row, or leave it out with \
             `blobdelta key exclude`",
        ),
        _ => base.caused_by(error),
    }
}

fn answered(doing: &str, token: &TokenError) -> Error {
    let message = token.message().trim_end();
    // THROW of the procedures: their message is whole and says what to do, some in a line of its own.
    let ours = match token.code() {
        51000 => Some(Kind::Config),
        51001 => Some(Kind::Usage),
        51002 => Some(Kind::LeaseHeld),
        51003 => Some(Kind::Superseded),
        51004 => Some(Kind::Blocked),
        51005 => Some(Kind::Internal),
        _ => None,
    };
    if let Some(kind) = ours {
        return match message.split_once('\n') {
            Some((what, hint)) => Error::new(kind, what.trim_end()).server_number(token.code()).hint(hint),
            None => Error::new(kind, message).server_number(token.code()),
        };
    }
    let mut place = format!("error {}", token.code());
    if !token.procedure().is_empty() {
        place.push_str(&format!(", procedure {}", token.procedure()));
    }
    let error = Error::new(Kind::Database, format!("cannot {doing}: {message} ({place}, line {})", token.line()))
        .server_number(token.code());
    match hint(token.code()) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn hint(code: u32) -> Option<&'static str> {
    match code {
        229 | 230 | 262 | 297 | 300 | 916 => {
            Some("have the right granted that the message names; doctor lists the GRANTs")
        }
        208 | 2812 => Some("run deploy, or correct the name in the configuration"),
        1105 | 9002 => Some("the server's disk or log is full; make room, then go on with --resume"),
        1205 | 1222 => Some("other sessions hold locks; go on with --resume when the server is quieter"),
        _ => None,
    }
}

/// A login that failed. `server` is without secrets.
pub(super) fn not_connected(server: &str, error: Tds) -> Error {
    let what = format!("cannot log in to {server}");
    match &error {
        Tds::Server(token) => {
            let hint = match token.code() {
                18456 => "check login and password; a login that Entra ID knows needs BLOBDELTA_ACCESS_TOKEN",
                4060 => "check the database of the connection string, or have this login mapped to a user in it",
                18470 | 18486 | 18487 | 18488 => "have the login enabled, or its password renewed",
                _ => "see the server's error log",
            };
            let text = format!("{what}: {} (error {})", token.message().trim_end(), token.code());
            Error::new(Kind::Database, text).server_number(token.code()).hint(hint)
        }
        // It hung up before it showed a certificate.
        Tds::Tls(why) if ["EOF", "reset", "closed"].iter().any(|word| why.contains(word)) => Error::new(
            Kind::Database,
            what,
        )
        .caused_by(error)
        .hint(
            "the server closed the connection when TLS was to begin: see that host and port are those of SQL Server, \
                 that it is up, and in its error log which version of TLS it takes",
        ),
        Tds::Tls(_) => Error::new(Kind::Database, what).caused_by(error).hint(
            "the server's certificate was not accepted: have it renewed, or name the authority that signed it with \
             TrustServerCertificateCA=FILE; TrustServerCertificate=true skips the check, on networks that you trust",
        ),
        Tds::Io { kind: IoErrorKind::TimedOut, .. } => Error::new(Kind::Database, what)
            .caused_by(error)
            .hint("the server did not answer in time; check name, port and firewall"),
        _ => Error::new(Kind::Database, what).caused_by(error).hint(
            "check the server's name and port, and whether it wants encryption; Encrypt=DANGER_PLAINTEXT switches \
             that off, on networks that you trust",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_not_a_final_failure() {
        let lost = Tds::Io { kind: IoErrorKind::ConnectionReset, message: "reset".into() };
        assert_eq!(trouble(&lost), Trouble::Lost);
        assert_eq!(trouble(&Tds::Utf16), Trouble::Final);
        assert_eq!(trouble_of_login(&lost), Trouble::Lost);
        assert!(is_refusal(18456) && is_refusal(18488) && !is_refusal(18401) && !is_refusal(17187));
    }

    #[test]
    fn who_hangs_up_before_the_certificate_is_not_told_to_renew_it() {
        let hint = |why: &str| format!("{:?}", not_connected("Server=x", Tds::Tls(why.into())));
        assert!(!hint("unexpected EOF").contains("certificate") && hint("unexpected EOF").contains("error log"));
        assert!(hint("self-signed certificate in certificate chain").contains("was not accepted"));
    }
}
