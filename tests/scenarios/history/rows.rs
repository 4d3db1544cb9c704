//! What the source holds of one table, and whose it is.

use super::scopes;
use crate::scenarios::deletions::entry;
use crate::scenarios::world::{World, X, key as of, minute, unit};
use blobdelta::model::clock::ClockKind;
use blobdelta::model::run::Scope;
use blobdelta::model::table::TableConfig;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What happens to a key.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Inserts the row, or changes its bytes; under this parent, if it is there.
    Put { parent: u32, bytes: u8, unit: u8 },
    /// Metadata alone: that of a blob that is still to come or came before it, or another unit, stamped.
    Stamp { unit: u8 },
    /// A blob alone, where there is none.
    Blob { parent: u32, bytes: u8 },
    /// Another unit, without a stamp.
    Reassign { unit: u8 },
    /// Another parent, stamped; what lies below it gets new paths and no stamp.
    Move { parent: u32 },
    /// It goes, and its deletion is logged; by others so long before or after, as their entry says.
    Delete { logged: Option<i64> },
    /// A deletion is logged of what stands.
    Log,
    /// The blob of what lies in nothing goes, and nobody logs it; what lies in it stays.
    Lose,
    /// No run takes it.
    Exclude,
    /// They do again.
    Include,
}

pub(super) fn change(keys: u32) -> impl Strategy<Value = Change> {
    let unit = super::letter;
    prop_oneof![
        8 => (0..=keys, any::<u8>(), unit()).prop_map(|(parent, bytes, unit)| Change::Put { parent, bytes, unit }),
        4 => unit().prop_map(|unit| Change::Stamp { unit }),
        3 => (0..=keys, any::<u8>()).prop_map(|(parent, bytes)| Change::Blob { parent, bytes }),
        2 => unit().prop_map(|unit| Change::Reassign { unit }),
        2 => (0..=keys).prop_map(|parent| Change::Move { parent }),
        2 => prop_oneof![3 => Just(None), 1 => (-20_000_i64..20_000).prop_map(Some)]
            .prop_map(|logged| Change::Delete { logged }),
        1 => Just(Change::Log),
        2 => Just(Change::Lose),
        1 => Just(Change::Exclude),
        2 => Just(Change::Include),
    ]
}

/// A key of the source, of its metadata, or of both.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) parent: Option<u32>,
    /// And when it came, in true time.
    pub(super) blob: Option<(Vec<u8>, i64)>,
    pub(super) metadata: Option<Metadata>,
    /// Whether it was stamped since it has its name.
    pub(super) is_stamped: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Metadata {
    pub(super) modified: i64,
    /// Whether its key never had a greater stamp.
    pub(super) is_latest: bool,
    pub(super) unit: u8,
}

impl Row {
    pub(super) fn is_in(&self, scope: Scope) -> bool {
        self.metadata.as_ref().is_some_and(|metadata| match scope {
            Scope::All => metadata.unit != X,
            Scope::BusinessUnit(one) => unit(metadata.unit) == one,
        })
    }
}

/// A moment in true time, and what the clock of a table says.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: i64,
    pub(super) stamp: i64,
}

/// By its bytes, so that who changes them renames it.
pub(super) fn name_of(bytes: &[u8]) -> String {
    format!("named {}", bytes[0])
}

/// See the module's text.
pub(super) struct Rows {
    pub(super) config: TableConfig,
    pub(super) rows: BTreeMap<u32, Row>,
    /// When a deletion was logged, in true time, and whether it is the latest stamp of its key.
    pub(super) deleted: BTreeMap<u32, (i64, bool)>,
    /// The greatest stamp of each key. A change under a clock that was set back may have a lesser one,
    /// and loses against what was shipped before it: latest is what `ModifiedOn` says (rule 14).
    stamps: BTreeMap<u32, i64>,
    /// Keys that were ever in a scope; of all units, those also that were ever without metadata, which an
    /// ancestor may be.
    pub(super) seen: BTreeSet<(Scope, u32)>,
    /// When a key left a scope, in true time.
    pub(super) left: BTreeMap<(Scope, u32), i64>,
    /// Keys that came into a scope without a stamp, which no window can see.
    pub(super) unseen: BTreeSet<(Scope, u32)>,
    pub(super) excluded: BTreeSet<u32>,
    /// When an exclusion was taken back, in true time.
    pub(super) included: BTreeMap<u32, i64>,
    /// The type of its extra column, where it has one.
    extra: Option<&'static str>,
}

impl Rows {
    /// An empty table, configured.
    pub(super) fn new(world: &mut World, table: &str, clock: ClockKind, omits: bool) -> Self {
        let mut config = world.config(table);
        (config.clock, config.omit_known_content) = (clock, omits);
        // Blobs that come late are no sign of a wrong configuration here.
        (config.accepted_absent_percent, config.accepted_orphan_percent) = (100, 100);
        world.backend.save_table(&config).unwrap();
        Self {
            config,
            rows: BTreeMap::new(),
            deleted: BTreeMap::new(),
            stamps: BTreeMap::new(),
            seen: BTreeSet::new(),
            left: BTreeMap::new(),
            unseen: BTreeSet::new(),
            excluded: BTreeSet::new(),
            included: BTreeMap::new(),
            extra: None,
        }
    }

    /// Rule 24: a column comes, becomes a wider one, and goes.
    pub(super) fn alter(&mut self, world: &mut World) {
        let next = match self.extra {
            None => Some("int"),
            Some("int") => Some("bigint"),
            Some(_) => None,
        };
        let gone = self.extra.map(|_| "DROP COLUMN extra".to_owned());
        let come = next.map(|of_type| format!("ADD extra {of_type} NULL"));
        for change in gone.into_iter().chain(come) {
            let table = &self.config.source;
            let (embedded, server) = (format!("Src.{}", table.table), format!("Src.dbo.{}", table.table));
            world.script(&format!("ALTER TABLE {embedded} {change}"), &format!("ALTER TABLE {server} {change}"));
        }
        self.extra = next;
    }

    pub(super) fn change(&mut self, world: &mut World, at: Moment, key: u32, change: &Change) {
        world.table = self.config.clone();
        match *change {
            Change::Put { parent, bytes, unit } => {
                self.bring(world, at, key, parent, bytes);
                self.stamp(world, at, key, unit);
            }
            Change::Stamp { unit } => self.stamp(world, at, key, unit),
            Change::Blob { parent, bytes } => {
                if self.rows.get(&key).is_none_or(|row| row.blob.is_none()) {
                    self.bring(world, at, key, parent, bytes);
                }
            }
            Change::Reassign { unit } => self.reassign(world, at, key, unit),
            Change::Move { parent } => self.move_to(world, at, key, self.parent_of(parent)),
            Change::Delete { logged } => self.delete(world, at, key, logged),
            Change::Log => self.log(world, at, key),
            Change::Lose => self.lose(world, key),
            Change::Exclude => {
                world.backend.exclude_key(&self.config.name, of(key), "a history").unwrap();
                self.excluded.insert(key);
            }
            Change::Include if self.excluded.remove(&key) => {
                world.backend.include_key(&self.config.name, of(key)).unwrap();
                self.included.insert(key, at.now);
            }
            Change::Include => {}
        }
    }

    /// Notes a stamp of a key; whether it is greater than all before.
    fn note_stamp(&mut self, key: u32, stamp: i64) -> bool {
        let highest = self.stamps.entry(key).or_insert(i64::MIN);
        let is_latest = stamp > *highest;
        *highest = stamp.max(*highest);
        is_latest
    }

    /// Whoever has a blob may be a parent.
    fn parent_of(&self, number: u32) -> Option<u32> {
        Some(number).filter(|parent| self.rows.get(parent).is_some_and(|row| row.blob.is_some()))
    }

    /// A blob comes, or has other bytes; one that is there stays where it is.
    fn bring(&mut self, world: &mut World, at: Moment, number: u32, parent: u32, bytes: u8) {
        let existing = self.rows.get(&number).filter(|row| row.blob.is_some());
        let came = existing.and_then(|row| row.blob.as_ref()).map_or(at.now, |blob| blob.1);
        // What lies in it stays where it is.
        let stays = existing.or_else(|| self.rows.get(&number).filter(|_| self.has_child(number)));
        let parent = stays.map_or_else(|| self.parent_of(parent).filter(|parent| *parent != number), |row| row.parent);
        // What is shorter is never left out.
        let bytes = vec![bytes; if self.config.omit_known_content { 1100 } else { 5 }];
        world.named(number, parent, &name_of(&bytes), &bytes);
        let new = Row { parent, blob: None, metadata: None, is_stamped: false };
        let row = self.rows.entry(number).or_insert(new);
        (row.parent, row.blob, row.is_stamped) = (parent, Some((bytes, came)), false);
        if row.metadata.is_none() {
            self.seen.insert((Scope::All, number));
        }
    }

    /// The row's metadata is written, as of a unit, with a stamp.
    fn stamp(&mut self, world: &mut World, at: Moment, number: u32, letter: u8) {
        let (modified, is_latest) = (at.stamp, self.note_stamp(number, at.stamp));
        world.stamp(number, modified, letter);
        let new = Row { parent: None, blob: None, metadata: None, is_stamped: false };
        let row = self.rows.entry(number).or_insert(new);
        let before = row.clone();
        row.is_stamped = true;
        row.metadata = Some(Metadata { modified, is_latest, unit: letter });
        self.note_scopes(at, number, &before);
        self.unseen.retain(|(_, other)| *other != number);
    }

    fn reassign(&mut self, world: &mut World, at: Moment, number: u32, letter: u8) {
        let Some(row) = self.rows.get_mut(&number) else { return };
        let before = row.clone();
        let Some(metadata) = &mut row.metadata else { return };
        metadata.unit = letter;
        world.stamp(number, metadata.modified, letter);
        self.note_scopes(at, number, &before);
    }

    /// Which scopes a key has come into or left by what was done to its metadata.
    fn note_scopes(&mut self, at: Moment, number: u32, before: &Row) {
        let row = &self.rows[&number];
        for scope in scopes() {
            let place = (scope, number);
            match (before.is_in(scope), row.is_in(scope)) {
                (false, true) => {
                    self.seen.insert(place);
                    self.unseen.insert(place);
                }
                (true, false) => {
                    self.left.insert(place, at.now);
                    self.unseen.remove(&place);
                }
                _ => {}
            }
        }
    }

    fn delete(&mut self, world: &mut World, at: Moment, number: u32, logged: Option<i64>) {
        if self.has_child(number) {
            return;
        }
        if let Some(row) = self.rows.remove(&number) {
            world.remove(number);
            let of = scopes().into_iter().filter(|scope| row.is_in(*scope));
            self.left.extend(of.map(|scope| ((scope, number), at.now)));
            match logged {
                None => world.log_deletion(number, at.stamp),
                Some(minutes) => entry(world, None, number, minute(at.stamp), at.stamp + minutes),
            }
            let is_latest = self.note_stamp(number, at.stamp);
            self.deleted.insert(number, (at.now, is_latest));
            self.unseen.retain(|(_, other)| *other != number);
        }
    }

    fn has_child(&self, number: u32) -> bool {
        self.rows.values().any(|row| row.parent == Some(number))
    }

    fn log(&mut self, world: &mut World, at: Moment, number: u32) {
        if self.rows.get(&number).is_none_or(|row| row.blob.is_none()) {
            return;
        }
        world.log_deletion(number, at.stamp);
        let is_latest = self.note_stamp(number, at.stamp);
        self.deleted.insert(number, (at.now, is_latest));
        if let Some(metadata) = self.rows.get_mut(&number).and_then(|row| row.metadata.as_mut()) {
            metadata.is_latest = false;
        }
    }

    fn lose(&mut self, world: &mut World, number: u32) {
        let found = self.rows.get_mut(&number);
        if let Some(row) = found.filter(|row| row.parent.is_none() && row.blob.is_some()) {
            row.blob = None;
            world.lose(number);
        }
    }

    fn move_to(&mut self, world: &mut World, at: Moment, moved: u32, parent: Option<u32>) {
        let mut above = parent;
        while let Some(next) = above {
            if next == moved {
                return;
            }
            above = self.rows.get(&next).and_then(|row| row.parent);
        }
        let Some(Row { blob: Some((bytes, _)), metadata: Some(metadata), .. }) = self.rows.get(&moved).cloned() else {
            return;
        };
        world.named(moved, parent, &name_of(&bytes), &bytes);
        if let Some(row) = self.rows.get_mut(&moved) {
            row.parent = parent;
        }
        self.stamp(world, at, moved, metadata.unit);
        let mut below = vec![moved];
        while let Some(folder) = below.pop() {
            for (child, row) in self.rows.iter().filter(|(_, row)| row.parent == Some(folder)) {
                if let Some((bytes, _)) = &row.blob {
                    world.named(*child, Some(folder), &name_of(bytes), bytes);
                    below.push(*child);
                }
            }
        }
    }
}
