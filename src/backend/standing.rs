//! [`Standing`]: what a target keeps of one key, and what becomes of it (rules 14, 15 and 17).
//!
//! A target may receive several chains of one table, say that of all units and that of one. A key has one row in
//! it, whoever delivered it, so beside the row stand the versions that other chains have delivered: where the
//! row leaves the scope of the chain that wrote it, it stays as long as another chain has it too. Whatever the
//! order in which bundles come, what stands at the end is the latest version that some chain holds.

use crate::model::run::Scope;
use crate::model::version::Version;
use std::collections::BTreeMap;

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The row's rank; the least that there is, if it came by another way.
    pub row: Option<Version>,
    /// The scope of the chain that wrote the row, where that is known.
    pub row_scope: Option<Scope>,
    /// The latest deletion of the key: it outranks rows of every chain.
    pub deleted: Option<Version>,
    /// When the key last left a scope: outranks rows of that chain alone.
    pub left: BTreeMap<Scope, Version>,
    /// The latest version of other chains than the row's. Each is later than the tombstones that concern it, and
    /// no later than the row; there is none where no row stands.
    pub others: BTreeMap<Scope, Version>,
}

impl Standing {
    /// The latest tombstone that concerns rows of a chain.
    pub fn tombstone(&self, scope: Scope) -> Option<Version> {
        self.deleted.max(self.left.get(&scope).copied())
    }

    /// A row comes. Returns whether it is to be written.
    pub fn take_row(&mut self, scope: Scope, version: Version) -> bool {
        let version = Version { tombstone: false, ..version };
        if self.tombstone(scope) >= Some(version) {
            return false;
        }
        if self.row >= Some(version) {
            if self.row_scope != Some(scope) {
                keep(&mut self.others, scope, version);
            }
            return false;
        }
        if let (Some(before), Some(of)) = (self.row, self.row_scope.filter(|of| *of != scope)) {
            keep(&mut self.others, of, before);
        }
        self.others.remove(&scope);
        (self.row, self.row_scope) = (Some(version), Some(scope));
        true
    }

    /// The key was deleted. Returns whether its row is to be removed.
    pub fn take_deletion(&mut self, version: Version) -> bool {
        let version = Version { tombstone: true, ..version };
        self.deleted = self.deleted.max(Some(version));
        self.others.retain(|_, other| *other > version);
        self.remove_row_if(|row, _| row < version)
    }

    /// The key left a scope. Returns whether its row is to be removed; a row that another chain has too stays,
    /// with that chain's rank.
    pub fn take_leaving(&mut self, scope: Scope, version: Version) -> bool {
        let version = Version { tombstone: true, ..version };
        keep(&mut self.left, scope, version);
        self.others.retain(|of, other| *of != scope || *other > version);
        let is_lost = self.row_scope == Some(scope) && self.row.is_some_and(|row| row < version);
        let heir = self.others.iter().map(|(of, other)| (*other, *of)).max().filter(|_| is_lost);
        let Some((other, of)) = heir else { return self.remove_row_if(|_, _| is_lost) };
        self.others.remove(&of);
        (self.row, self.row_scope) = (Some(other), Some(of));
        false
    }

    fn remove_row_if(&mut self, is_lost: impl FnOnce(Version, Option<Scope>) -> bool) -> bool {
        let lost = self.row.is_some_and(|row| is_lost(row, self.row_scope));
        if lost {
            (self.row, self.row_scope) = (None, None);
        }
        lost
    }
}

fn keep(latest: &mut BTreeMap<Scope, Version>, scope: Scope, version: Version) {
    let kept = latest.entry(scope).or_insert(version);
    *kept = version.max(*kept);
}

/// One entry of a [`Standing`], as stores keep them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The row, and the scope of its chain where that is known.
    Row(Option<Scope>),
    /// The deletion.
    Deleted,
    /// The tombstone of a scope that the key left.
    Left(Scope),
    /// What another chain has of it.
    Other(Scope),
}

impl Standing {
    /// All entries.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Entry, Version)> {
        let row = self.row.map(|row| (Entry::Row(self.row_scope), row));
        let deleted = self.deleted.map(|deleted| (Entry::Deleted, deleted));
        let left = self.left.iter().map(|(scope, version)| (Entry::Left(*scope), *version));
        let others = self.others.iter().map(|(scope, version)| (Entry::Other(*scope), *version));
        row.into_iter().chain(deleted).chain(left).chain(others)
    }

    /// Puts an entry that was read into its place.
    pub(super) fn put(&mut self, entry: Entry, version: Version) {
        let tombstone = matches!(entry, Entry::Deleted | Entry::Left(_));
        let version = Version { tombstone, ..version };
        match entry {
            Entry::Row(scope) => (self.row, self.row_scope) = (Some(version), scope),
            Entry::Deleted => self.deleted = Some(version),
            Entry::Left(scope) => drop(self.left.insert(scope, version)),
            Entry::Other(scope) => drop(self.others.insert(scope, version)),
        }
    }
}
