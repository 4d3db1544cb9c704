//! Points at which a test has the process killed: every durable operation of the program and every
//! statement of an embedded database, in the order in which it comes to them. A release build has
//! none of this.
//!
//! `BLOBDELTA_POINTS=FILE` writes the name of each point on a line of its own;
//! `BLOBDELTA_DIE_AT=N` ends the process by SIGKILL before the N-th, counted from 1.

#[cfg(debug_assertions)]
pub(super) fn reached(name: &str) {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nth = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(file) = std::env::var_os("BLOBDELTA_POINTS") {
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
        // A test that finds no points fails.
        let _ = opened.and_then(|mut file| writeln!(file, "{name}"));
    }
    if std::env::var("BLOBDELTA_DIE_AT").is_ok_and(|at| at == nth.to_string()) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// The statement is named by its first words.
#[cfg(debug_assertions)]
pub(super) fn reached_statement(sql: &str) {
    let words: Vec<&str> = sql.split_whitespace().filter(|word| !word.starts_with("--")).take(4).collect();
    reached(&format!("statement: {}", words.join(" ")));
}

#[cfg(not(debug_assertions))]
pub(super) fn reached(_: &str) {}

#[cfg(not(debug_assertions))]
pub(super) fn reached_statement(_: &str) {}
