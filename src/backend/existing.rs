//! [`ExistingVersions`]: what a target keeps of one key, and what becomes of it (rules 14, 15 and 17).
//!
//! A target may receive several chains of one table, say that of all units and that of one. A key has one row in
//! it, whoever delivered it, so beside the row stand the versions that other chains have delivered: where the
//! row leaves the scope of the chain that wrote it, it stays as long as another chain has it too, and without its
//! blobs where that chain has it without them. Whatever the order in which bundles come, what stands at the end is
//! the latest version that some chain holds.

use crate::model::run::Scope;
use crate::model::slice::DeletionReason;
use crate::model::version::Version;
use std::collections::BTreeMap;

/// The latest version that a chain has of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainVersion {
    /// Its version within the chain.
    pub version: Version,
    /// Whether it has no large value: an ancestor that came without its blobs, or a row that has none.
    pub is_part: bool,
}

impl ChainVersion {
    /// Rule 14 between chains: of two of one ModifiedOn the whole row wins, whichever run is later.
    fn wins_over(&self, other: &Self) -> bool {
        let order = |held: &Self| {
            let Version { modified_on, run_started_at, run_id, .. } = held.version;
            (modified_on, !held.is_part, run_started_at, run_id)
        };
        order(self) > order(other)
    }
}

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExistingVersions {
    /// The row's version; the least that there is, if it came by another way.
    pub row: Option<ChainVersion>,
    /// The scope of the chain that wrote the row, where that is known.
    pub row_scope: Option<Scope>,
    /// The latest deletion of the key: it outranks rows of every chain.
    pub deleted: Option<Version>,
    /// When the key last left a scope: outranks rows of that chain alone.
    pub left: BTreeMap<Scope, Version>,
    /// The latest version of other chains than the row's. Each is later than the tombstones that concern it, and
    /// does not outrank the row; there is none where no row stands.
    pub others: BTreeMap<Scope, ChainVersion>,
}

impl ExistingVersions {
    /// The version of the row.
    pub fn version(&self) -> Option<Version> {
        self.row.map(|row| row.version)
    }

    /// The tombstone that concerns rows of a chain and outranks most.
    pub fn tombstone(&self, scope: Scope) -> Option<Version> {
        self.deleted.max(self.left.get(&scope).copied())
    }

    /// A row comes. Returns whether it is to be written. If it is not, what stands may be another chain's by now.
    pub fn add_row(&mut self, scope: Scope, held: ChainVersion) -> bool {
        let held = ChainVersion { version: Version { tombstone: None, ..held.version }, ..held };
        if self.tombstone(scope) >= Some(held.version) {
            return false;
        }
        let is_own = self.row_scope == Some(scope);
        let before = if is_own { self.row } else { self.others.get(&scope).copied() };
        if before.is_some_and(|before| before.version >= held.version) {
            return false;
        }
        let Some(row) = self.row.filter(|_| !is_own) else {
            // Of its own chain, or the first.
            (self.row, self.row_scope) = (Some(held), Some(scope));
            return !self.give_to_heir();
        };
        if !held.wins_over(&row) {
            self.others.insert(scope, held);
            return false;
        }
        self.others.remove(&scope);
        self.others.extend(self.row_scope.map(|of| (of, row)));
        (self.row, self.row_scope) = (Some(held), Some(scope));
        true
    }

    /// Another chain has a version that outranks the row, or there is no row: what stands becomes that chain's.
    fn give_to_heir(&mut self) -> bool {
        let best = self.others.iter().reduce(|best, other| if other.1.wins_over(best.1) { other } else { best });
        let heir = best.map(|(of, held)| (*of, *held));
        let Some((of, heir)) = heir.filter(|(_, heir)| self.row.is_none_or(|row| heir.wins_over(&row))) else {
            return false;
        };
        self.others.remove(&of);
        self.others.extend(self.row_scope.zip(self.row));
        (self.row, self.row_scope) = (Some(heir), Some(of));
        true
    }

    /// The key was deleted. Returns whether its row is to be removed.
    pub fn add_deletion(&mut self, version: Version) -> bool {
        let version = Version { tombstone: Some(DeletionReason::Deleted), ..version };
        self.deleted = self.deleted.max(Some(version));
        self.others.retain(|_, other| other.version > version);
        let is_lost = self.version().is_some_and(|row| row < version);
        if is_lost {
            (self.row, self.row_scope) = (None, None);
        }
        is_lost
    }

    /// The key left a scope. Returns whether its row is to be removed; a row that another chain has too stays,
    /// with that chain's version, and without its blobs where that chain has it without them.
    pub fn add_leaving(&mut self, scope: Scope, version: Version) -> bool {
        let version = Version { tombstone: Some(DeletionReason::LeftScope), ..version };
        let left = self.left.entry(scope).or_insert(version);
        *left = version.max(*left);
        self.others.retain(|of, other| *of != scope || other.version > version);
        if self.row_scope != Some(scope) || self.version().is_none_or(|row| row > version) {
            return false;
        }
        (self.row, self.row_scope) = (None, None);
        !self.give_to_heir()
    }
}

/// One entry of an [`ExistingVersions`], as stores keep them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExistingEntry {
    /// The row, the scope of its chain where that is known, and whether it is a part.
    Row(Option<Scope>, bool),
    /// The deletion.
    Deleted,
    /// The tombstone of a scope that the key left.
    Left(Scope),
    /// What another chain has of it, and whether that is a part.
    Other(Scope, bool),
}

impl ExistingVersions {
    /// All entries.
    pub(super) fn entries(&self) -> impl Iterator<Item = (ExistingEntry, Version)> {
        let row = self.row.map(|row| (ExistingEntry::Row(self.row_scope, row.is_part), row.version));
        let deleted = self.deleted.map(|deleted| (ExistingEntry::Deleted, deleted));
        let left = self.left.iter().map(|(scope, version)| (ExistingEntry::Left(*scope), *version));
        let others = self.others.iter().map(|(scope, held)| (ExistingEntry::Other(*scope, held.is_part), held.version));
        row.into_iter().chain(deleted).chain(left).chain(others)
    }

    /// Puts an entry that was read into its place.
    pub(super) fn put(&mut self, entry: ExistingEntry, version: Version) {
        let tombstone = match entry {
            ExistingEntry::Deleted => Some(DeletionReason::Deleted),
            ExistingEntry::Left(_) => Some(DeletionReason::LeftScope),
            ExistingEntry::Row(..) | ExistingEntry::Other(..) => None,
        };
        let version = Version { tombstone, ..version };
        match entry {
            ExistingEntry::Row(scope, is_part) => {
                (self.row, self.row_scope) = (Some(ChainVersion { version, is_part }), scope)
            }
            ExistingEntry::Deleted => self.deleted = Some(version),
            ExistingEntry::Left(scope) => drop(self.left.insert(scope, version)),
            ExistingEntry::Other(scope, is_part) => drop(self.others.insert(scope, ChainVersion { version, is_part })),
        }
    }
}
