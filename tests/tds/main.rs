//! The way over the network, without a server: a small endpoint that speaks TDS says what the test
//! wants, and the library's own calls are made against it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod endpoint;
mod reply;
mod types;
mod wire;

mod failures;
mod login;
mod rows;
mod values;
