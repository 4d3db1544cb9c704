//! Replay against a plain map: any bundles, in any order, any number of times.

use crate::made::{Made, Row, at, key};
use crate::replay::place::Place;
use blobdelta::model::id::Guid;
use blobdelta::model::slice::DeletionReason;
use blobdelta::model::version::Version;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Few keys and few stamps, so that ties and overlaps are common.
const KEYS: u8 = 4;
const STAMPS: i64 = 4;

type Content = (BTreeMap<u8, Option<i64>>, BTreeMap<u8, i64>);

#[derive(Clone, Debug)]
struct History {
    /// Of each bundle: rows and tombstones, key to stamp.
    bundles: Vec<Content>,
    /// Which bundles each replay gets.
    replays: Vec<Vec<prop::sample::Index>>,
}

fn histories() -> impl Strategy<Value = History> {
    let stamp = || 0..STAMPS;
    let rows = prop::collection::btree_map(1..=KEYS, prop::option::weighted(0.8, stamp()), 0..=KEYS as usize);
    let tombstones = prop::collection::btree_map(1..=KEYS, stamp(), 0..3);
    let bundles = prop::collection::vec((rows, tombstones), 1..4);
    let replays = prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 1..3), 1..4);
    (bundles, replays).prop_map(|(bundles, replays)| History { bundles, replays })
}

fn made(nth: usize, (rows, tombstones): &Content) -> Made {
    let run = u8::try_from(nth).unwrap() + 1;
    // Two runs start at once, so that the RunId decides.
    let mut made = Made::new(run, 1000 + i64::from(run / 2), (0, 500));
    made.rows = rows.iter().map(|(nth, stamp)| Row::root(*nth, *stamp, &[run, *nth])).collect();
    made.sort();
    made.tombstones = tombstones.iter().map(|(nth, stamp)| (key(*nth), *stamp)).collect();
    made
}

/// Fewer on a server, where every replay takes its time.
fn cases(place: &Place) -> u32 {
    if place.server.is_some() { 6 } else { 24 }
}

pub fn rule_14_whatever_the_order_the_latest_stands(place: &Place) {
    let config = ProptestConfig { cases: cases(place), failure_persistence: None, ..ProptestConfig::default() };
    let checked = TestRunner::new(config).run(&histories(), |history| {
        check(place, &history);
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}

fn check(place: &Place, history: &History) {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<Made> = history.bundles.iter().enumerate().map(|(nth, bundle)| made(nth, bundle)).collect();
    let paths: Vec<PathBuf> = all.iter().map(|made| made.write(folder.path())).collect();
    // An embedded target is emptied by being another one.
    let name = if place.server.is_some() { "Into".to_owned() } else { Guid::random().short() };
    let into = place.target(&name);
    let mut model: BTreeMap<Guid, (Version, Option<Vec<u8>>)> = BTreeMap::new();
    for some in &history.replays {
        let chosen: Vec<usize> = some.iter().map(|index| index.index(all.len())).collect();
        let bundles: Vec<PathBuf> = chosen.iter().map(|nth| paths[*nth].clone()).collect();
        into.apply(&bundles, true).unwrap();
        chosen.iter().for_each(|nth| note(&mut model, &all[*nth]));
        let due: BTreeMap<Guid, Option<Vec<u8>>> =
            model.iter().filter_map(|(key, (_, value))| Some((*key, Some(value.clone()?)))).collect();
        assert_eq!(into.existing(), due);
    }
}

/// What a bundle does to the plain map.
fn note(model: &mut BTreeMap<Guid, (Version, Option<Vec<u8>>)>, made: &Made) {
    let rows = made.rows.iter().map(|row| (row.key, row.modified, Some(vec![made.run, row.path[0]])));
    let tombstones = made.tombstones.iter().map(|(key, stamp)| (*key, Some(*stamp), None));
    for (row_key, modified, value) in rows.chain(tombstones) {
        let version = Version {
            modified_on: modified.map(at),
            tombstone: value.is_none().then_some(DeletionReason::Deleted),
            run_started_at: at(made.started),
            run_id: key(made.run),
        };
        let existing = model.entry(row_key).or_insert_with(|| (version, value.clone()));
        if version > existing.0 {
            *existing = (version, value);
        }
    }
}
