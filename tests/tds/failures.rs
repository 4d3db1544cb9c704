//! What goes wrong after the login: errors by their number, what is tried again and what is not,
//! and connections that break.

use crate::tds::endpoint::Endpoint;
use crate::tds::reply::Reply;
use crate::tds::specs::spec;
use crate::tds::types::{Datum, Type};
use blobdelta::backend::{AppliedBundle, Backend, OpenOptions};
use blobdelta::error::{Error, Kind, Result};
use blobdelta::model::digest::Sha256;
use blobdelta::model::id::Guid;
use blobdelta::model::time::{TICKS_PER_DAY, Timestamp};
use std::time::{Duration, Instant};

const READ: &str = "SELECT Part, [Rows], Complete, AppliedAt";
const WRITE: &str = "INSERT INTO dbo.BlobDeltaReplayBundle";
const DEADLOCK: &str = "Transaction was deadlocked on lock resources with another process.";
/// A unit is tried so often in all.
const MOST_TRIES: usize = 5;

/// There are the table and its ledger.
fn has_target(endpoint: &Endpoint) {
    let names = [("", Type::NVarChar(Some(256))), ("", Type::NVarChar(Some(256)))];
    let found = [vec![Datum::Text("dbo".into()), Datum::Text("Docs".into())]];
    endpoint.answers("AND o.name = ", [Reply::rows(&names, &found)]);
    endpoint.answers("OBJECT_ID(N'dbo.BlobDeltaReplayBundle')", [Reply::number(1)]);
}

fn session(endpoint: &Endpoint) -> Box<dyn Backend> {
    has_target(endpoint);
    let options = OpenOptions { main_database: "Copy".into(), ..OpenOptions::default() };
    endpoint.connection().open(&options).unwrap()
}

/// One statement that is a unit.
fn read(session: &mut dyn Backend) -> Result<Option<Timestamp>> {
    Ok(session.ledger(&spec("Docs", &[]), Sha256::of(b"x"))?.first().map(|entry| entry.applied_at))
}

/// One transaction that is a unit.
fn write(session: &mut dyn Backend) -> Result<()> {
    let bundle = AppliedBundle {
        columns: Vec::new(),
        source_id: Guid::from_bytes([7; 16]),
        table: spec("Docs", &[]).table,
        scope: "all".into(),
        root_sha256: Sha256::of(b"x"),
        window: Some((Timestamp::MIN, end())),
        previous: None,
        gap: None,
        is_other_source: false,
        within: None,
    };
    session.note_bundles(&spec("Docs", &[]), &[bundle])
}

fn end() -> Timestamp {
    Timestamp::from_ticks(3 * TICKS_PER_DAY + 1).unwrap()
}

const COLUMNS: [(&str, Type); 4] = [
    ("Part", Type::NVarChar(Some(800))),
    ("Rows", Type::Int(8)),
    ("Complete", Type::Bit),
    ("AppliedAt", Type::DateTime2(7)),
];

fn row() -> Vec<Datum> {
    vec![Datum::Text("data/part".into()), Datum::Int(1), Datum::Int(1), Datum::DateTime2(3, 1)]
}

fn found() -> Reply {
    Reply::rows(&COLUMNS, &[row()])
}

/// All that is said of an error: its text, and what to do.
fn reported(error: &Error) -> String {
    format!("{error} {error:?}")
}

pub fn the_numbers_of_the_procedures_are_kinds_and_their_messages_stand_as_they_are() {
    for (number, kind) in [
        (51000, Kind::Config),
        (51001, Kind::Usage),
        (51002, Kind::LeaseHeld),
        (51003, Kind::Superseded),
        (51004, Kind::Blocked),
        (51005, Kind::Internal),
    ] {
        let endpoint = Endpoint::start();
        let message = format!("Src.dbo.Docs: what error {number} says");
        endpoint.answers(READ, [Reply::error(number, 16, &message)]);
        let error = read(&mut *session(&endpoint)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(&message), "{error}");
        assert_eq!(endpoint.heard(READ), 1, "{number} is final");
    }
}

pub fn any_other_number_says_where_it_comes_from_and_is_not_tried_again() {
    let endpoint = Endpoint::start();
    let message = "The SELECT permission was denied on the object 'BlobDeltaReplayLedger'.";
    endpoint.answers(READ, [Reply::new().failed(229, 14, message, "usp_Some")]);
    let mut session = session(&endpoint);
    let error = read(&mut *session).unwrap_err();
    assert_eq!(error.kind(), Kind::Database);
    for part in [message, "error 229", "procedure usp_Some", "line 7", "GRANT"] {
        assert!(reported(&error).contains(part), "{part}: {}", reported(&error));
    }
    assert_eq!(endpoint.heard(READ), 1);
    endpoint.answers(READ, [found()]);
    assert_eq!(read(&mut *session).unwrap(), Some(end()), "the session goes on");
    assert_eq!(endpoint.logins().len(), 1);
}

pub fn rows_before_an_error_are_no_result() {
    let endpoint = Endpoint::start();
    let reply = Reply::new().columns(&COLUMNS).row(&COLUMNS, &row()).failed(824, 16, "a page is torn", "");
    endpoint.answers(READ, [reply]);
    let error = read(&mut *session(&endpoint)).unwrap_err();
    assert!(error.to_string().contains("a page is torn"), "{error}");
}

pub fn a_deadlock_victim_tries_the_whole_unit_again_after_pauses() {
    let endpoint = Endpoint::start();
    let victim = || Reply::error(1205, 13, DEADLOCK);
    endpoint.answers(WRITE, [victim(), victim(), Reply::done(1)]);
    let mut session = session(&endpoint);
    let started = Instant::now();
    write(&mut *session).unwrap();
    assert!(started.elapsed() > Duration::from_millis(300), "it backs off");
    assert_eq!(endpoint.heard(WRITE), 3);
    assert_eq!(endpoint.heard("BEGIN TRANSACTION"), 3, "from its beginning");
    assert_eq!(endpoint.heard("ROLLBACK TRANSACTION"), 2);
    assert_eq!(endpoint.heard("COMMIT TRANSACTION"), 1);
    assert_eq!(endpoint.logins().len(), 1, "on the same connection");
}

pub fn a_deadlock_that_stays_ends_with_its_error() {
    let endpoint = Endpoint::start();
    endpoint.answers(READ, [Reply::error(1205, 13, DEADLOCK)]);
    let error = read(&mut *session(&endpoint)).unwrap_err();
    assert_eq!(endpoint.heard(READ), MOST_TRIES);
    assert!(reported(&error).contains(DEADLOCK) && reported(&error).contains("--resume"), "{error:?}");
}

pub fn a_connection_cut_in_a_row_costs_that_unit_alone() {
    let endpoint = Endpoint::start();
    endpoint.answers(READ, [Reply::new().columns(&COLUMNS).row(&COLUMNS, &row()).cut(), found()]);
    let mut session = session(&endpoint);
    assert_eq!(read(&mut *session).unwrap(), Some(end()));
    assert_eq!((endpoint.heard(READ), endpoint.logins().len()), (2, 2));
    assert_eq!(endpoint.heard("XACT_ABORT"), 2, "the new connection is set up like the first");
    assert_eq!(endpoint.heard("USE [Copy]"), 2);
    assert_eq!(read(&mut *session).unwrap(), Some(end()));
    assert_eq!(endpoint.logins().len(), 2, "and kept");
}

pub fn a_connection_cut_in_a_transaction_begins_it_again() {
    let endpoint = Endpoint::start();
    endpoint.answers(WRITE, [Reply::done(1).cut(), Reply::done(1)]);
    write(&mut *session(&endpoint)).unwrap();
    assert_eq!((endpoint.heard("BEGIN TRANSACTION"), endpoint.heard(WRITE)), (2, 2));
    assert_eq!(endpoint.heard("COMMIT TRANSACTION"), 1, "nothing is committed that was not begun anew");
    assert_eq!(endpoint.logins().len(), 2);
}

pub fn an_error_that_ends_the_session_is_a_lost_connection() {
    let endpoint = Endpoint::start();
    endpoint.answers(READ, [Reply::error(3624, 20, "A system assertion check has failed."), found()]);
    assert_eq!(read(&mut *session(&endpoint)).unwrap(), Some(end()));
    assert_eq!(endpoint.logins().len(), 2);
}

pub fn a_connection_that_breaks_again_and_again_is_reported_with_what_to_do() {
    let endpoint = Endpoint::start();
    endpoint.answers(READ, [Reply::new().columns(&COLUMNS).cut()]);
    let error = read(&mut *session(&endpoint)).unwrap_err();
    assert_eq!(endpoint.heard(READ), MOST_TRIES);
    assert!(reported(&error).contains("the connection was lost"), "{error:?}");
}

pub fn a_server_that_speaks_nonsense_is_left_and_asked_again() {
    for tokens in [vec![0x81, 0xFF, 0xFE], vec![0x42; 64], vec![0xD1, 1, 2, 3], vec![0xAA, 0xFF, 0xFF, 1]] {
        let endpoint = Endpoint::start();
        endpoint.answers(READ, [Reply { tokens, is_whole: false, is_mute: false }, found()]);
        assert_eq!(read(&mut *session(&endpoint)).unwrap(), Some(end()));
        assert_eq!(endpoint.logins().len(), 2);
    }
}

/// A proxy, or a server that hangs, which holds the connection and says nothing.
pub fn a_server_that_says_nothing_is_left_after_its_time_and_not_asked_again() {
    let endpoint = Endpoint::start();
    endpoint.answers(READ, [Reply::new().mute(), found()]);
    has_target(&endpoint);
    let options = OpenOptions { main_database: "Copy".into(), ..OpenOptions::default() };
    let mut session = endpoint.connection_with(";Command Timeout=1").open(&options).unwrap();
    let started = Instant::now();
    let error = read(&mut *session).unwrap_err();
    assert!((1..10).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    assert!(
        reported(&error).contains("said nothing for 1 seconds") && reported(&error).contains("Command Timeout"),
        "{error:?}"
    );
    assert_eq!((endpoint.heard(READ), error.kind()), (1, Kind::Database));
    assert_eq!(read(&mut *session).unwrap(), Some(end()), "on a new connection");
    assert_eq!(endpoint.logins().len(), 2);
}

/// What comes after the statement that was broken off says how the work ended.
pub fn a_statement_that_is_to_be_given_up_is_left_at_once_and_the_next_is_done() {
    let endpoint = Endpoint::start();
    endpoint.answers(READ, [Reply::new().mute(), found()]);
    has_target(&endpoint);
    let options = OpenOptions { main_database: "Copy".into(), give_up: || true, ..OpenOptions::default() };
    let mut session = endpoint.connection().open(&options).unwrap();
    let error = read(&mut *session).unwrap_err();
    assert_eq!((endpoint.heard(READ), error.kind()), (1, Kind::Cancelled), "{error}");
    assert_eq!(read(&mut *session).unwrap(), Some(end()));
}

pub fn a_lock_timeout_is_tried_again_like_a_deadlock() {
    let endpoint = Endpoint::start();
    endpoint.answers(READ, [Reply::error(1222, 16, "Lock request time out period exceeded."), found()]);
    assert_eq!(read(&mut *session(&endpoint)).unwrap(), Some(end()));
    assert_eq!((endpoint.heard(READ), endpoint.logins().len()), (2, 1));
}

/// Longer than five tries take; the server's own words while it starts.
pub fn a_server_that_fails_over_is_waited_for_as_long_as_was_said() {
    let endpoint = Endpoint::start();
    endpoint.answers(READ, [Reply::new().columns(&COLUMNS).cut(), found()]);
    let mut session = session(&endpoint);
    endpoint.refuses(Reply::error(983, 14, "Unable to access availability database 'Copy'."));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // More often than a unit is tried; for who waits no longer, the other thread fails.
            let began = std::time::Instant::now();
            while endpoint.logins().len() <= 6 && began.elapsed() < Duration::from_secs(120) {
                std::thread::sleep(Duration::from_millis(20));
            }
            endpoint.accepts();
        });
        assert_eq!(read(&mut *session).unwrap(), Some(end()));
    });
    assert!(endpoint.logins().len() > 6, "more often than a unit is tried");
}

pub fn a_server_that_stays_away_is_reported_with_what_to_do() {
    let endpoint = Endpoint::start();
    endpoint.answers(READ, [Reply::new().columns(&COLUMNS).cut(), found()]);
    has_target(&endpoint);
    let options =
        OpenOptions { main_database: "Copy".into(), reconnect: Duration::from_secs(3), ..OpenOptions::default() };
    let mut session = endpoint.connection().open(&options).unwrap();
    endpoint.refuses(Reply::new().columns(&COLUMNS).cut());
    let began = std::time::Instant::now();
    let error = reported(&read(&mut *session).unwrap_err());
    assert!(
        error.contains("again") && error.contains("--reconnect-minutes") && error.contains("work is kept"),
        "{error}"
    );
    assert!((3..20).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    let logins = endpoint.logins().len();
    read(&mut *session).unwrap_err();
    assert_eq!(endpoint.logins().len(), logins + 1, "whoever asks then waits no second time");
}

pub fn a_password_that_is_refused_in_the_middle_is_not_tried_again() {
    let endpoint = Endpoint::start();
    endpoint.answers(READ, [Reply::new().columns(&COLUMNS).cut(), found()]);
    let mut session = session(&endpoint);
    endpoint.refuses(Reply::error(18456, 14, "Login failed for user 'tester'."));
    let logins = endpoint.logins().len();
    let error = reported(&read(&mut *session).unwrap_err());
    assert!(error.contains("18456") && error.contains("password"), "{error}");
    assert_eq!(endpoint.logins().len(), logins + 1);
}

/// The connection is cut, and for a second nobody can log in.
pub fn a_server_that_restarts_is_waited_for() {
    let endpoint = Endpoint::start();
    endpoint.answers(READ, [Reply::new().columns(&COLUMNS).cut(), found()]);
    let mut session = session(&endpoint);
    endpoint.refuses(Reply::new().columns(&COLUMNS).cut());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(1));
            endpoint.accepts();
        });
        assert_eq!(read(&mut *session).unwrap(), Some(end()));
    });
    assert!(endpoint.logins().len() > 2, "it knocked more than once");
}
