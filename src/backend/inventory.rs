//! What a source has: the other side of a reconciliation.

use crate::error::Result;
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::sqltype::SqlType;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use std::collections::BTreeSet;

/// A key of the metadata that is in scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryRow {
    /// The key.
    pub key: Guid,
    /// The greatest ModifiedOn of its metadata rows that are in scope, in the table's clock.
    pub modified_on: Option<Timestamp>,
    /// Whether the source has its row.
    pub is_there: bool,
    /// Whether it waits in `BlobDeltaPendingKey`.
    pub is_pending: bool,
    /// Whether it is never captured.
    pub is_excluded: bool,
    /// The bytes of where it lies ([`crate::model::key::place_column`]), as a bundle has them; nothing in a flat table.
    pub path: Option<Vec<u8>>,
}

/// The parent of a row at the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentRow {
    /// The row that lies in it.
    pub child: Guid,
    /// Its key.
    pub key: Guid,
    /// Whether it is in scope by its own metadata.
    pub is_in_scope: bool,
    /// The greatest ModifiedOn of its metadata rows, whatever their scope, in the table's clock.
    pub modified_on: Option<Timestamp>,
    /// Whether the next run of the scope brings it: it was asked for, was absent when rows below it came, or stands though
    /// the scope was told of its deletion.
    pub is_coming: bool,
    /// Whether it is never captured.
    pub is_excluded: bool,
    /// The bytes of its path, as a bundle has them.
    pub path: Option<Vec<u8>>,
}

impl ParentRow {
    /// Whether the row below it carries the key of another folder as its parent's (`carried`): one took the place of the other.
    /// An excluded folder's key says nothing, and what came without one while its folder was absent comes again by itself.
    #[must_use]
    pub fn is_another_than(&self, carried: Option<Guid>) -> bool {
        let comes_again = self.is_coming && carried.is_none();
        !self.is_excluded && !comes_again && carried != Some(self.key)
    }
}

/// What is left of a key at the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// Whether the source has its row.
    pub is_there: bool,
    /// The greatest ModifiedOn of its metadata rows, whatever their scope, in the table's clock.
    pub modified_on: Option<Timestamp>,
    /// Whether the runs of the scope know that they handed it out; of all units always.
    pub is_handed: bool,
    /// The latest DeletedOn that is logged of it and that the next run of the scope tells.
    pub deleted_on: Option<Timestamp>,
    /// The latest that is logged of its leaving the scope, and that the next run of the scope tells.
    pub left_on: Option<Timestamp>,
    /// The latest of its leaving the scope that was reported.
    pub reported_on: Option<Timestamp>,
    /// Whether it is never captured.
    pub is_excluded: bool,
    /// Whether it is deleted by `DeletedWhen`, and what of that.
    pub flagged: Option<Flagged>,
}

/// A key whose row counts as deleted by `DeletedWhen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flagged {
    /// The greatest stamp of its metadata rows that are in scope, in the table's clock.
    pub on: Option<Timestamp>,
    /// Whether it waits in `BlobDeltaPendingKey`.
    pub is_pending: bool,
}

/// What is counted over a whole table, and no run or scan of keys finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WholeTable {
    /// Rows of the source without any metadata row: no window takes them.
    pub without_metadata: u64,
    /// Deletions in the log; 0 says that nobody logs any.
    pub logged_deletions: u64,
    /// Of them, those that are dated after now.
    pub future_deletions: u64,
}

/// See the module's text. Nothing is changed.
pub trait Inventory {
    /// The next keys in scope after `after`, in the server's order of keys, at most `most`; of one
    /// business unit, if one is named. `now` is in the table's clock.
    ///
    /// # Errors
    /// Config, for a configuration that names what is not there; Database.
    fn inventory(
        &mut self,
        table: &TableConfig,
        unit: Option<Guid>,
        now: Timestamp,
        after: Option<Guid>,
        most: u32,
    ) -> Result<Vec<InventoryRow>>;

    /// Where the last completed window of this scope ended.
    ///
    /// # Errors
    /// Database.
    fn reached(&mut self, table: &TableName, scope: Scope) -> Result<Option<Timestamp>>;

    /// Whether one of these tables has this business unit in its table of units, so that there can be a run for it.
    ///
    /// # Errors
    /// Database.
    fn has_unit(&mut self, tables: &[TableConfig], unit: Guid) -> Result<bool>;

    /// The business units for which there can be a run: those in the tables of units of all active tables, by number.
    ///
    /// # Errors
    /// Config: a table of units is not there; Database.
    fn units(&mut self) -> Result<BTreeSet<Guid>>;

    /// What is left of these keys, and what the next run of this scope that starts at `now`, in the table's clock,
    /// tells of them, if it tells what is logged.
    ///
    /// # Errors
    /// As [`Inventory::inventory`].
    fn remains(&mut self, table: &TableConfig, scope: Scope, now: Timestamp, keys: &[Guid]) -> Result<Vec<Remains>>;

    /// The parents of these rows of a tree table, as far as the source has them, a parent once or oftener.
    ///
    /// # Errors
    /// As [`Inventory::inventory`].
    fn parents(&mut self, table: &TableConfig, scope: Scope, now: Timestamp, keys: &[Guid]) -> Result<Vec<ParentRow>>;

    /// What is counted over the whole table; `now` is in the table's clock.
    ///
    /// # Errors
    /// As [`Inventory::inventory`].
    fn whole_table(&mut self, table: &TableConfig, now: Timestamp) -> Result<WholeTable>;

    /// The first logged deletion that a run of this scope tells although no key column of this type can have its key: the
    /// entry's number, and the key. `again` is since when, UTC, what was told is told again.
    ///
    /// # Errors
    /// Database.
    fn unfit_deletion(
        &mut self,
        table: &TableConfig,
        scope: Scope,
        again: Option<Timestamp>,
        key: SqlType,
    ) -> Result<Option<(i64, Guid)>>;

    /// The hashes of these columns of the source's rows, values hashed where they lie; nothing for a
    /// key without a row.
    ///
    /// # Errors
    /// As [`Inventory::inventory`].
    fn source_content(
        &mut self,
        table: &TableConfig,
        columns: &[Column],
        keys: &[Guid],
    ) -> Result<Vec<Option<Vec<Option<Sha256>>>>>;
}
