//! Replay against a plain map: any bundles, in any order, any number of times.

use super::made::{Made, Row, at, key};
use super::replay::{apply, standing};
use blobdelta::model::id::Guid;
use blobdelta::model::version::Version;
use proptest::prelude::*;
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn rule_14_whatever_the_order_the_latest_stands(history in histories()) {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<Made> = history.bundles.iter().enumerate().map(|(nth, bundle)| made(nth, bundle)).collect();
        let paths: Vec<PathBuf> = all.iter().map(|made| made.write(folder.path())).collect();
        let into = folder.path().join("into");
        let mut model: BTreeMap<Guid, (Version, Option<Vec<u8>>)> = BTreeMap::new();
        for some in &history.replays {
            let chosen: Vec<usize> = some.iter().map(|index| index.index(all.len())).collect();
            let bundles: Vec<PathBuf> = chosen.iter().map(|nth| paths[*nth].clone()).collect();
            apply(&bundles, &into, true).unwrap();
            for made in chosen.iter().map(|nth| &all[*nth]) {
                let rows = made.rows.iter().map(|row| {
                    (row.key, row.modified, Some(vec![made.run, row.path[0]]))
                });
                let tombstones = made.tombstones.iter().map(|(key, stamp)| (*key, Some(*stamp), None));
                for (key, modified, value) in rows.chain(tombstones) {
                    let version = Version {
                        modified_on: modified.map(at),
                        tombstone: value.is_none(),
                        run_started_at: at(made.started),
                        run_id: super::made::key(made.run),
                    };
                    let standing = model.entry(key).or_insert_with(|| (version, value.clone()));
                    if version > standing.0 {
                        *standing = (version, value);
                    }
                }
            }
            let due: BTreeMap<Guid, Option<Vec<u8>>> = model
                .iter()
                .filter_map(|(key, (_, value))| Some((*key, Some(value.clone()?))))
                .collect();
            prop_assert_eq!(standing(&into), due);
        }
    }
}
