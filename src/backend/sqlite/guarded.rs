//! What a script template may do: read, and write the slice of its table and the queues that are its to fill.
//!
//! Templates run with the rights of whoever runs, so SQLite asks before it compiles each step of one: no other database
//! is attached, no pragma set, nothing made, dropped or written elsewhere, and no function called that reaches files. It
//! is asked when a statement is compiled, so a template's is compiled each time, and none is kept.

use crate::error::{Error, Result};
use crate::model::table::TableConfig;
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use std::sync::{Arc, Mutex, PoisonError};

/// Functions that reach what is no database, in SQLite itself or in extensions that its shell has.
const FUNCTIONS: [&str; 9] = [
    "load_extension",
    "readfile",
    "writefile",
    "edit",
    "fts3_tokenizer",
    "zipfile",
    "sqlar_compress",
    "fsdir",
    "system",
];

/// The queues that a template fills.
const QUEUES: [&str; 2] = ["BlobDeltaWindowQueue", "BlobDeltaMissingParentsQueue"];

/// The keys of the batch, which are the template's for as long as it runs.
const BATCH: &str = "#Batch";

/// What stands between a template and the databases, for one connection.
#[derive(Clone, Default)]
pub(super) struct Guard(Arc<Mutex<GuardState>>);

#[derive(Default)]
struct GuardState {
    /// SQLite's name of the slice's database, and the slice, while a template is at work.
    slice: Option<(String, String)>,
    /// The first thing that it may not do, and would have done.
    refused: Option<String>,
}

impl Guard {
    /// Stands before this connection from now on.
    pub(super) fn install(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let guard = self.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| guard.ask(&context)))
    }

    /// Does something of a template of this table, which may do no more than templates may; its slice lies in the
    /// database that SQLite knows under this schema.
    ///
    /// # Errors
    /// Config, with the script: what it would have done; else those of the work.
    pub(super) fn over<T>(
        &self,
        schema: &str,
        config: &TableConfig,
        script: &str,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let slice = (schema.to_owned(), config.target.table.clone());
        *self.state() = GuardState { slice: Some(slice), refused: None };
        let done = work();
        let refused = std::mem::take(&mut *self.state()).refused;
        match (done, refused) {
            (Err(error), Some(what)) => Err(Error::config(format!("the script {script} would {what}, which no script may"))
                .table(&config.name)
                .script(script)
                .caused_by(error)
                .hint("a script reads, and writes {TargetTable} and its queue: correct it, or delete its row and run deploy to have ours back")),
            (done, _) => done,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, GuardState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, context: &AuthContext<'_>) -> Authorization {
        let mut state = self.state();
        let Some(slice) = &state.slice else { return Authorization::Allow };
        match refusal(context, slice) {
            None => Authorization::Allow,
            Some(what) => {
                state.refused.get_or_insert(what);
                Authorization::Deny
            }
        }
    }
}

/// Why not; nothing, where it may.
fn refusal(context: &AuthContext<'_>, (schema, slice): &(String, String)) -> Option<String> {
    let database = context.database_name.unwrap_or_default();
    let is = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    let may_write = |table: &str| {
        (is(database, schema) && is(table, slice))
            || (is(database, "main") && QUEUES.iter().any(|queue| is(table, queue)))
            || (is(database, "temp") && is(table, BATCH))
    };
    match context.action {
        AuthAction::Select | AuthAction::Recursive | AuthAction::Read { .. } => None,
        AuthAction::Function { function_name } => {
            FUNCTIONS.iter().any(|known| is(known, function_name)).then(|| format!("call the function {function_name}"))
        }
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. } => {
            (!may_write(table_name)).then(|| format!("write {database}.{table_name}"))
        }
        AuthAction::Attach { .. } => Some("attach a database".to_owned()),
        AuthAction::Detach { .. } => Some("detach a database".to_owned()),
        AuthAction::Pragma { pragma_name, .. } => Some(format!("use the pragma {pragma_name}")),
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => Some("begin or end a transaction".to_owned()),
        _ => Some("make, change or drop something in a database".to_owned()),
    }
}
