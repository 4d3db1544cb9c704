//! One target that receives the chain of all units and those of two units, in every order, late and twice: what
//! stands in the source, and was handed out, stands in the end.
//!
//! The source is gone through key by key: rows are stamped, move between units with a stamp or without, are deleted and come
//! back. Each chain runs in weeks of its own, and hands out what its window holds, what left its unit and what was
//! deleted, as runs do.

use crate::made::{Content, Made, Row, key};
use crate::replay::place::{Into, Place};
use blobdelta::bundle::Manifest;
use blobdelta::bundle::manifest::ScopeText;
use blobdelta::model::id::Guid;
use blobdelta::model::run::Scope;
use blobdelta::monitor::{Event, Monitor, Silent};
use blobdelta::replay::{check, plan};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const KEYS: u8 = 3;
const WEEKS: usize = 5;
const UNITS: [u8; 2] = [0xA0, 0xB0];

/// What happens to one key in one week.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    /// It is stamped in this unit; it comes to be, or moves there, if it was elsewhere.
    Stamp(usize),
    /// It moves to this unit and keeps its stamp.
    Move(usize),
    Delete,
}

#[derive(Clone, Debug)]
struct History {
    /// Week by week, key by key.
    changes: Vec<Vec<Change>>,
    /// Which chains run at the end of a week: all units, and each unit. In the last week all do.
    runs: Vec<[bool; 3]>,
    /// In which order bundles come.
    order: Vec<prop::sample::Index>,
}

fn histories() -> impl Strategy<Value = History> {
    let change = prop_oneof![
        2 => Just(Change::Nothing),
        3 => (0..2_usize).prop_map(Change::Stamp),
        2 => (0..2_usize).prop_map(Change::Move),
        1 => Just(Change::Delete),
    ];
    let changes = prop::collection::vec(prop::collection::vec(change, usize::from(KEYS)), WEEKS);
    let runs = prop::collection::vec(any::<[bool; 3]>(), WEEKS);
    let order = prop::collection::vec(any::<prop::sample::Index>(), 6);
    (changes, runs, order).prop_map(|(changes, runs, order)| History { changes, runs, order })
}

#[derive(Clone, Copy)]
struct Live {
    unit: usize,
    stamp: i64,
}

/// One chain: what it has handed out.
#[derive(Default)]
struct Chain {
    end: i64,
    shipped: BTreeMap<u8, i64>,
}

#[derive(Default)]
struct Source {
    rows: BTreeMap<u8, Live>,
    /// When each key was last deleted.
    deleted: BTreeMap<u8, i64>,
    chains: [Chain; 3],
    bundles: Vec<Made>,
}

impl Source {
    fn change(&mut self, nth: u8, change: Change, now: i64) {
        match change {
            Change::Stamp(unit) => drop(self.rows.insert(nth, Live { unit, stamp: now })),
            Change::Move(unit) => {
                self.rows.entry(nth).and_modify(|row| row.unit = unit).or_insert(Live { unit, stamp: now }).unit = unit
            }
            Change::Delete => {
                if self.rows.remove(&nth).is_some() {
                    self.deleted.insert(nth, now);
                }
            }
            Change::Nothing => {}
        }
    }

    /// A run of one chain, with the window since its last one.
    fn run(&mut self, which: usize, now: i64) {
        let chain = &mut self.chains[which];
        let run = u8::try_from(self.bundles.len()).unwrap() + 1;
        let mut made = Made::new(run, 1000 + i64::from(run), (chain.end, now));
        (made.spoil, made.unit) = (SPOILS[which], which.checked_sub(1).map(|unit| key(UNITS[unit])));
        let is_in = |row: &Live| which == 0 || row.unit == which - 1;
        for (nth, row) in self.rows.iter().filter(|(_, row)| is_in(row) && row.stamp >= chain.end) {
            made.rows.push(Row::root(*nth, Some(row.stamp), &[*nth, u8::try_from(row.stamp).unwrap()]));
            chain.shipped.insert(*nth, row.stamp);
        }
        let left = |nth: &u8| self.rows.get(nth).filter(|row| !is_in(row));
        let gone: Vec<u8> = chain.shipped.keys().copied().collect();
        for nth in gone {
            if let Some(row) = left(&nth) {
                made.left.push((key(nth), row.stamp.max(chain.shipped[&nth])));
                chain.shipped.remove(&nth);
            } else if !self.rows.contains_key(&nth) {
                made.tombstones.push((key(nth), self.deleted[&nth]));
                chain.shipped.remove(&nth);
            }
        }
        made.sort();
        chain.end = now;
        self.bundles.push(made);
    }

    /// What has to stand where all bundles came: the rows that some chain has.
    fn due(&self) -> BTreeMap<Guid, Option<Vec<u8>>> {
        let held: BTreeSet<u8> = self.chains.iter().flat_map(|chain| chain.shipped.keys().copied()).collect();
        let row = |nth: u8| (key(nth), Some(vec![nth, u8::try_from(self.rows[&nth].stamp).unwrap()]));
        held.into_iter().map(row).collect()
    }
}

const SPOILS: [fn(&mut Manifest); 3] =
    [|_| {}, |manifest| of_unit(manifest, UNITS[0]), |manifest| of_unit(manifest, UNITS[1])];

fn of_unit(manifest: &mut Manifest, unit: u8) {
    manifest.tables[0].scope = ScopeText(Scope::BusinessUnit(key(unit)));
}

fn run_history(history: &History) -> Source {
    let mut source = Source::default();
    for (week, changes) in (0_i64..).zip(&history.changes) {
        for (nth, change) in (1..).zip(changes) {
            source.change(nth, *change, week * 10 + i64::from(nth));
        }
        let is_last = week as usize + 1 == WEEKS;
        for which in 0..3 {
            if is_last || history.runs[week as usize][which] {
                source.run(which, week * 10 + 9);
            }
        }
    }
    source
}

pub fn rule_17_whatever_the_order_of_several_chains_what_stands_in_the_source_stands(place: &Place) {
    let cases = if place.server.is_some() { 2 } else { 40 };
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let checked = TestRunner::new(config).run(&histories(), |history| {
        try_orders(place, &history);
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}

fn try_orders(place: &Place, history: &History) {
    let folder = tempfile::tempdir().unwrap();
    let source = run_history(history);
    let paths: Vec<PathBuf> = source.bundles.iter().map(|made| made.write(folder.path())).collect();
    // Some come twice, and then each once, from another one on and backwards.
    let some = history.order.iter().map(|index| index.index(paths.len()));
    let first = history.order[0].index(paths.len());
    let all = (0..paths.len()).map(|nth| (paths.len() + first - nth) % paths.len());
    let order: Vec<PathBuf> = some.chain(all).map(|nth| paths[nth].clone()).collect();
    let name = if place.server.is_some() { "Into".to_owned() } else { Guid::random().short() };
    let into = place.target(&name);
    for path in &order {
        apply(&into, path);
    }
    assert_eq!(into.existing(), source.due(), "{order:?}");
    let report = check(&paths, &mut *into.open().unwrap(), &into.options(true), &Silent).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

/// Applies a bundle, and holds what was planned against what was done; on a server, where each takes its time, a plan
/// is held so by `existing`.
fn apply(into: &Into, path: &PathBuf) {
    let bundle = std::slice::from_ref(path);
    let is_embedded = into.at.starts_with("sqlite:");
    let planned = is_embedded.then(|| plan(bundle, &mut *into.open().unwrap(), &into.options(true), &Silent).unwrap());
    let report = into.apply(bundle, true).unwrap();
    let done = &report.bundles[0].tables[0];
    if let Some(planned) = planned {
        let planned = (planned[0].inserted + planned[0].replaced, planned[0].removed);
        assert_eq!(planned, (done.written, done.removed), "{path:?}");
    }
}

/// What a replay warns of.
#[derive(Default)]
struct Warnings(std::sync::Mutex<Vec<String>>);

impl Monitor for Warnings {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }
}

pub fn rule_18_a_target_of_one_unit_that_gets_rows_of_others_says_so_once(place: &Place) {
    let (unit, more) = (small(place, 1, 1, Some(5), None), small(place, 2, 0, Some(6), None));
    let into = place.target(if place.server.is_some() { "Into" } else { "mingled" });
    let alone = into.apply(std::slice::from_ref(&unit), true).unwrap();
    assert_eq!(alone.scopes[0].scopes.len(), 1);
    let warned = || {
        let reported = Warnings::default();
        plan(std::slice::from_ref(&more), &mut *into.open().unwrap(), &into.options(true), &reported).unwrap();
        reported.0.into_inner().unwrap()
    };
    for _ in 0..2 {
        let reported = warned();
        assert_eq!(reported.len(), 1, "a plan changes nothing: {reported:?}");
        let of = format!("rows of business unit {} alone", key(UNITS[0]));
        assert!(reported[0].contains(&of) && reported[0].contains("those of all business units"), "{reported:?}");
    }
    let report = into.apply(std::slice::from_ref(&more), true).unwrap();
    let scopes: Vec<Scope> = report.scopes[0].scopes.iter().copied().collect();
    assert_eq!(scopes, [Scope::All, Scope::BusinessUnit(key(UNITS[0]))]);
    assert_eq!(warned(), Vec::<String>::new(), "said once");
}

/// A bundle of a chain, with one row or one key that left it.
fn small(place: &Place, run: u8, which: usize, row: Option<i64>, left: Option<i64>) -> PathBuf {
    let mut made = Made::new(run, 1000 + i64::from(run), (0, 500));
    (made.spoil, made.unit) = (SPOILS[which], which.checked_sub(1).map(|unit| key(UNITS[unit])));
    made.rows.extend(row.map(|stamp| Row::root(1, Some(stamp), &[u8::try_from(stamp).unwrap()])));
    made.left.extend(left.map(|stamp| (key(1), stamp)));
    made.write(place.folder())
}

pub fn rule_17_what_left_one_chain_stays_where_another_has_it(place: &Place) {
    let (all, unit) = (small(place, 1, 0, Some(5), None), small(place, 2, 1, Some(5), None));
    // It moved without a stamp: the tombstone ties with the row, in the chain of that unit alone.
    let left = small(place, 3, 1, None, Some(5));
    let other = small(place, 4, 2, None, Some(400));
    for order in [[&all, &unit, &left, &other], [&unit, &left, &other, &all], [&left, &other, &all, &unit]] {
        let into = place.target(if place.server.is_some() { "Into" } else { "into" });
        order.iter().for_each(|path| apply(&into, path));
        assert_eq!(into.existing(), BTreeMap::from([(key(1), Some(vec![5]))]), "{order:?}");
        if place.server.is_none() {
            std::fs::remove_dir_all(place.folder().join("into")).unwrap();
        }
    }
    // What only that unit's chain delivered goes with it, and comes back with a later stamp.
    let into = place.target(if place.server.is_some() { "Into" } else { "alone" });
    [&unit, &left].iter().for_each(|path| apply(&into, path));
    assert_eq!(into.existing(), BTreeMap::new());
    apply(&into, &small(place, 5, 1, Some(6), None));
    assert_eq!(into.existing(), BTreeMap::from([(key(1), Some(vec![6]))]));
}

/// One version of the key 1: of a chain, and whole, or an ancestor without its blob.
fn version(place: &Place, run: u8, which: usize, is_whole: bool, stamp: Option<i64>) -> PathBuf {
    let mut made = Made::new(run, 1000 + i64::from(run), (0, 500));
    (made.spoil, made.unit) = (SPOILS[which], which.checked_sub(1).map(|unit| key(UNITS[unit])));
    made.rows.push(if is_whole {
        Row::root(1, stamp, b"whole")
    } else {
        Row { step: 2, content: Content::Null, ..Row::root(1, stamp, b"") }
    });
    made.write(place.folder())
}

/// All orders of some bundles.
fn orders(paths: &[PathBuf]) -> Vec<Vec<PathBuf>> {
    if paths.len() < 2 {
        return vec![paths.to_vec()];
    }
    let with_first = |nth: usize| {
        let mut rest = paths.to_vec();
        let first = rest.remove(nth);
        orders(&rest).into_iter().map(move |rest| [vec![first.clone()], rest].concat())
    };
    (0..paths.len()).flat_map(with_first).collect()
}

pub fn rule_14_among_chains_the_whole_row_outranks_a_part_of_the_same_stamp(place: &Place) {
    const ALL: usize = 0;
    const A: usize = 1;
    const B: usize = 2;
    // Run, chain, whether it is whole; and whether it is whole in the end.
    type Versions = &'static [(u8, usize, bool)];
    let cases: [(Versions, Option<i64>, bool); 6] = [
        (&[(1, ALL, true), (2, B, false)], None, true),
        (&[(1, ALL, true), (2, B, false)], Some(5), true),
        (&[(1, A, true), (2, A, false)], Some(5), false),
        (&[(1, ALL, true), (2, A, true), (3, A, false)], Some(5), true),
        (&[(1, ALL, true), (2, A, true), (3, A, false), (4, ALL, false)], Some(5), false),
        (&[(1, A, false), (2, B, false), (3, A, true)], Some(5), true),
    ];
    for (nth, (versions, stamp, is_whole)) in cases.into_iter().enumerate() {
        // The same runs come again in the next case, as others.
        let run = |run: u8| u8::try_from(nth).unwrap() * 10 + run;
        let paths: Vec<PathBuf> =
            versions.iter().map(|(nth, which, is_whole)| version(place, run(*nth), *which, *is_whole, stamp)).collect();
        let all = orders(&paths);
        let tried = if place.server.is_some() { all.len().div_ceil(3) } else { 1 };
        for order in all.iter().step_by(tried) {
            let name = if place.server.is_some() { "Into".to_owned() } else { Guid::random().short() };
            let into = place.target(&name);
            order.iter().for_each(|path| apply(&into, path));
            let due = BTreeMap::from([(key(1), is_whole.then(|| b"whole".to_vec()))]);
            assert_eq!(into.existing(), due, "case {nth}: {order:?}");
        }
    }
}
