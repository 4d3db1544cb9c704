//! Logging in: what is said of us, and what we say where it fails.

use crate::tds::endpoint::Endpoint;
use crate::tds::reply::Reply;
use blobdelta::backend::OpenOptions;
use blobdelta::error::{Error, Kind};

fn refused(endpoint: &Endpoint) -> Error {
    endpoint.connection().open(&OpenOptions::default()).err().unwrap()
}

pub fn a_session_says_who_it_is_and_sets_itself_up() {
    let endpoint = Endpoint::start();
    endpoint.connection().open(&OpenOptions::default()).unwrap();
    let login = endpoint.logins().remove(0);
    assert_eq!((login.user.as_str(), login.password.as_str()), ("tester", "secret"));
    assert_eq!((login.application.as_str(), login.packet_bytes), ("blobdelta", 32_767));
    assert_eq!(endpoint.heard("XACT_ABORT"), 1);
    assert_eq!(endpoint.heard("DEADLOCK_PRIORITY LOW"), 1);
    assert_eq!(endpoint.heard("USE [BlobDeltaJobs]"), 1);
}

pub fn a_wrong_password_is_reported_with_what_to_do_and_not_tried_again() {
    let endpoint = Endpoint::start();
    endpoint.refuses(Reply::error(18456, 14, "Login failed for user 'tester'."));
    let error = refused(&endpoint);
    assert_eq!(error.kind(), Kind::Database);
    let text = error.to_string();
    assert!(text.contains("Login failed for user 'tester'") && text.contains("18456"), "{text}");
    assert!(format!("{error:#?}").contains("check login and password"), "{error:?}");
    assert!(!format!("{error:?} {text}").contains("secret"));
    assert_eq!(endpoint.logins().len(), 1, "a locked account is worse than an error");
}

pub fn a_server_that_hangs_up_in_the_login_is_reported() {
    let endpoint = Endpoint::start();
    endpoint.refuses(Reply::login_accepted().cut());
    let error = refused(&endpoint);
    assert!(error.to_string().contains("cannot log in to Server=127.0.0.1"), "{error}");
}

pub fn nobody_at_the_port_is_reported() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!("Server=127.0.0.1,{closed};User ID=x;Password=y;Encrypt=DANGER_PLAINTEXT");
    let connection = blobdelta::backend::Connection::parse(&text, &Default::default()).unwrap();
    let error = connection.open(&OpenOptions::default()).err().unwrap();
    assert!(error.to_string().contains("cannot log in to"), "{error}");
}

pub fn a_server_that_cannot_encrypt_gets_no_password_unless_that_was_asked_for() {
    let endpoint = Endpoint::start();
    let plain = endpoint.connection().to_string();
    let text = format!("{plain};Password=secret;Encrypt=true");
    let connection = blobdelta::backend::Connection::parse(&text, &Default::default()).unwrap();
    assert!(connection.open(&OpenOptions::default()).is_err());
    assert_eq!(endpoint.logins().len(), 0);
}

pub fn a_missing_job_database_is_reported() {
    let endpoint = Endpoint::start();
    endpoint.answers("DB_ID(", [Reply::number(0)]);
    let error = refused(&endpoint);
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains("there is no database BlobDeltaJobs"), "{error}");
}
