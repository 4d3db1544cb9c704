//! Failures of SQLite, with what to do about them.

use crate::backend::connect::broken_off;
use crate::error::{Error, Kind};

/// A failure of SQLite; `doing` is an infinitive.
pub(super) fn failed(doing: &str, error: rusqlite::Error) -> Error {
    let hint = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            "another process has held the instance for a minute; find it, then run again"
        }
        Some(rusqlite::ErrorCode::OperationInterrupted) => return broken_off(doing),
        Some(rusqlite::ErrorCode::TooBig) => {
            return Error::config(format!("cannot {doing}: a row does not fit into SQLite"))
                .caused_by(error)
                .hint("an embedded instance holds rows up to 2,147,483,647 bytes, or what its SQLite was built for");
        }
        Some(rusqlite::ErrorCode::ReadOnly) => {
            "this account may not write the instance's files: mend its rights or how the disk is mounted, then run again"
        }
        Some(rusqlite::ErrorCode::DiskFull) => "free some space, then go on with --resume",
        _ => return Error::new(Kind::Database, format!("cannot {doing}")).caused_by(error),
    };
    Error::new(Kind::Database, format!("cannot {doing}")).caused_by(error).hint(hint)
}

/// A failure of a statement, which names itself by its beginning.
pub(super) fn failed_sql(sql: &str, error: rusqlite::Error) -> Error {
    let verb: Vec<&str> = sql.split_whitespace().filter(|word| !word.starts_with("--")).take(6).collect();
    failed(&format!("execute \"{} …\"", verb.join(" ")), error)
}
