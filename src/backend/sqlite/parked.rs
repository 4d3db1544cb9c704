//! Rows that stand in each other's way and both come: two that swap a unique value, or many that pass theirs on.
//!
//! SQLite holds a unique constraint row by row, so the one that stands gives its unique values up first, and gets those that
//! come with it later. Until it has, nothing is committed. What is still without its values when its table
//! ends did not come: that is the clash that it looked like, and all of it is undone.

use super::session::{Session, failed, quote};
use super::types;
use crate::backend::TargetSpec;
use crate::backend::fit::Clash;
use crate::error::Result;
use crate::model::column::Column;
use crate::model::id::Guid;
use rusqlite::config::DbConfig;
use std::collections::BTreeMap;

/// Rows whose unique values were taken from them, and for which row.
#[derive(Default)]
pub(super) struct Parked(BTreeMap<Guid, Clash>);

impl Parked {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A row has its values, or is gone.
    pub(super) fn forget(&mut self, key: Guid) {
        self.0.remove(&key);
    }
}

impl Session {
    /// Takes the unique values of the row that stands. Whether that was possible: a constraint of the table's own may
    /// not let it have others. No trigger sees it.
    pub(super) fn park(&self, spec: &TargetSpec, columns: &[&Column], clash: &Clash) -> Result<bool> {
        let sets: Vec<String> = columns
            .iter()
            .map(|column| format!("{} = {}", quote(&column.name), types::random(column.sql_type)))
            .collect();
        if sets.is_empty() {
            return Ok(false);
        }
        let (target, key) = (self.quoted(&spec.target), quote(&spec.key_column));
        let sql = format!("UPDATE OR ABORT {target} SET {} WHERE {key} = ?1", sets.join(", "));
        self.set_triggers(false)?;
        let parked = self.prepare(&sql).and_then(|mut statement| statement.execute([clash.standing.0]));
        self.set_triggers(true)?;
        match parked {
            Ok(_) => self.parked.borrow_mut().0.insert(clash.standing.0, clash.clone()),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
                return Ok(false);
            }
            Err(error) => return Err(failed("free the unique values of a row", error)),
        };
        Ok(true)
    }

    fn set_triggers(&self, on: bool) -> Result<()> {
        let set = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, on);
        set.map(drop).map_err(|error| failed("switch triggers", error))
    }

    /// # Errors
    /// Config, with both keys: a row whose unique values were taken did not come.
    pub(super) fn check_parked(&self) -> Result<()> {
        let first = self.parked.borrow_mut().0.pop_first();
        // The transaction is undone, and with it all the others.
        self.parked.take();
        first.map_or(Ok(()), |(_, clash)| Err(clash.refused()))
    }
}
