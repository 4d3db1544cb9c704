//! Pairs of commands at one place at once, each a process of its own, at many moments. What has to hold after each pair:
//! every marker has its files, everything under a bundle's name is whole, each command ended well or said why it did
//! not, one of them at least got through, and the same commands, one after the other, end well and leave no litter.
//!
//! `BLOBDELTA_FAULTS=200 cargo test --test suite -- ship::pairs` tries 200 of each pair; the table says how they ended.

use crate::List;
use crate::faults::moments;
use crate::faults::site;
use crate::ship::crashes::assert_whole;
use crate::ship::folders::{Site, in_folder, names};
use crate::ship::prune::{Weeks, copy};
use crate::world::tree;
use blobdelta::bundle::places;
use blobdelta::monitor::Silent;
use blobdelta::store::Location;
use blobdelta::verify::{VerifyLevel, verify};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// By pair: tried, both ended well, one was told.
static TALLY: Mutex<BTreeMap<&str, [u64; 3]>> = Mutex::new(BTreeMap::new());

/// What is done at once, and what is to be there in the end.
struct Pair {
    name: &'static str,
    /// The command lines, with `ONE` for a bundle and `WEEK` for one that a compacted one stands for.
    calls: [&'static str; 2],
    /// What is made before, once.
    prepare: fn() -> Ground,
    /// What has to be true beside what always has to.
    check: fn(&Trial, &[Output]),
    /// Whether one of them has to be told, because only one can have its way.
    only_one: bool,
}

const PAIRS: [Pair; 16] = [
    Pair::new("ship beside ship", ["ship made/ONE drop", "ship made/ONE drop"], one, has_one),
    Pair::new("a mend beside a mend", ["ship made/ONE drop", "ship made/ONE drop"], damaged, has_one),
    Pair::new(
        "ship of an archive beside the same",
        ["ship made/ONE.tar drop", "ship made/ONE.tar drop"],
        archived,
        |_, _| (),
    ),
    Pair {
        only_one: true,
        ..Pair::new(
            "ship beside ship of another of that name",
            ["ship made/ONE drop", "ship other/ONE drop"],
            another,
            one_root,
        )
    },
    Pair::new("receive beside ship", ["receive drop --out in --allow-empty", "ship made/ONE drop"], one, |_, _| ()),
    Pair::new("receive beside a mend", ["receive drop --out in", "ship made/ONE drop"], damaged, |_, _| ()),
    Pair::new(
        "receive beside receive",
        ["receive drop --out in", "receive drop --out in"],
        weeks_shipped,
        all_received,
    ),
    Pair::new(
        "receive beside receive from elsewhere",
        ["receive drop --out in", "receive elsewhere --out in"],
        at_two_places,
        both_remembered,
    ),
    Pair::new(
        "receive into where ship ships to",
        ["receive drop --out in", "ship made/ONE in"],
        one_shipped,
        |_, _| (),
    ),
    Pair::new("prune beside ship", ["prune drop --keep-weeks 1", "ship made/WEEK drop"], weeks_covered, |_, _| ()),
    Pair::new(
        "prune beside prune",
        ["prune drop --keep-weeks 1", "prune drop --keep-weeks 1"],
        weeks_covered,
        |_, _| (),
    ),
    Pair::new("prune beside receive", ["prune drop --keep-weeks 1", "receive drop --out in"], weeks_covered, |_, _| ()),
    Pair {
        only_one: true,
        ..Pair::new(
            "unpack beside unpack",
            ["unpack made/ONE --out files", "unpack made/ONE --out files"],
            one,
            unpacked,
        )
    },
    Pair::new("archive beside archive", ["archive made/ONE --out in", "archive made/ONE --out in"], one, |_, _| ()),
    Pair::new(
        "extract beside extract",
        ["extract made/ONE.tar --out in", "extract made/ONE.tar --out in"],
        archived,
        |_, _| (),
    ),
    Pair::new(
        "compact beside compact",
        ["compact weeks --out in", "compact weeks --out in"],
        weeks_gathered,
        |_, _| (),
    ),
];

impl Pair {
    const fn new(
        name: &'static str,
        calls: [&'static str; 2],
        prepare: fn() -> Ground,
        check: fn(&Trial, &[Output]),
    ) -> Self {
        Self { name, calls, prepare, check, only_one: false }
    }
}

/// Adds the cases.
pub fn add_to(list: &mut List) {
    for pair in &PAIRS {
        list.add(&format!("pairs::{}", pair.name.replace(' ', "_")), None, || run_pair(pair));
    }
    list.add("pairs::pack_beside_run", None, pack_beside_run);
    list.table = Some(table);
}

fn table() {
    let tally = TALLY.lock().unwrap_or_else(PoisonError::into_inner);
    if tally.is_empty() {
        return;
    }
    println!("| pair | tried | both ended well | one was told |\n|---|---|---|---|");
    for (name, [tried, both, reported]) in tally.iter() {
        println!("| {name} | {tried} | {both} | {reported} |");
    }
    println!();
}

fn note(name: &'static str, ended: &[Output]) {
    let well = ended.iter().filter(|one| one.status.success()).count();
    let mut tally = TALLY.lock().unwrap_or_else(PoisonError::into_inner);
    let [tried, both, reported] = tally.entry(name).or_default();
    *tried += 1;
    *(if well == ended.len() { both } else { reported }) += 1;
}

/// What trials are copied from.
enum Ground {
    One(Site),
    Weeks(Weeks),
}

impl Ground {
    fn site(&self) -> &Site {
        match self {
            Self::One(site) | Self::Weeks(Weeks { site, .. }) => site,
        }
    }
}

/// A copy in which a pair is tried.
struct Trial {
    dir: tempfile::TempDir,
    one: String,
    week: String,
}

impl Trial {
    fn of(ground: &Ground) -> Self {
        let dir = site::scratch();
        let week = if let Ground::Weeks(weeks) = ground { weeks.first() } else { String::new() };
        let site = ground.site();
        for name in names(&site.path("")) {
            copy(&site.path(&name), &dir.path().join(name));
        }
        Self { dir, one: site.name(), week }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let line = line.replace("ONE", &self.one).replace("WEEK", &self.week);
        let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
        command.args(line.split(' ')).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// At each place: markers have their files, and what readers see is whole.
    fn assert_whole(&self, context: &str) {
        let urls = ["drop", "in"].map(|place| Location::of_folder(&self.path(place)).unwrap().to_string().into());
        for place in urls.into_iter().chain([self.path("drop"), self.path("in")]) {
            for found in places(&[place]).unwrap() {
                let report = verify(&found.path, VerifyLevel::Default, &Silent).unwrap();
                assert!(report.is_good(), "{context}: {:?}", report.findings);
            }
        }
    }

    /// What is on its way, or beside bundles and none of theirs.
    fn litter(&self) -> Vec<String> {
        let all = ["drop", "in"].iter().flat_map(|place| in_folder(&self.path(place)));
        all.filter(|name| name.starts_with('.') || name.ends_with(".shipping") || name.contains(".pruning-")).collect()
    }
}

/// Both at once, the second one a little later; in the other order every other time.
fn at_once(nth: u64, mut commands: [Command; 2]) -> Vec<Output> {
    if nth % 2 == 1 {
        commands.reverse();
    }
    let [first, second] = &mut commands;
    let first = first.spawn().unwrap();
    std::thread::sleep(Duration::from_micros(nth * 1_777 % 40_000));
    let second = second.spawn().unwrap();
    [first, second].map(|child| child.wait_with_output().unwrap()).to_vec()
}

/// It ended well, or said why not.
fn assert_reported(ended: &[Output], context: &str) {
    for one in ended {
        let reported = String::from_utf8_lossy(&one.stderr);
        let is_reported =
            reported.starts_with("error") && !reported.contains("panicked") && !reported.contains("defect");
        assert!(
            one.status.success() || (matches!(one.status.code(), Some(1..=3)) && is_reported),
            "{context}: {one:?}"
        );
    }
}

fn run_pair(pair: &Pair) {
    let ground = (pair.prepare)();
    for nth in 0..u64::from(moments(2, 200)) {
        let trial = Trial::of(&ground);
        let context = format!("{} {nth}", pair.name);
        let ended = at_once(nth, pair.calls.map(|line| trial.command(line)));
        let context = format!("{context}: {ended:?}");
        assert_reported(&ended, &context);
        let well = ended.iter().filter(|one| one.status.success()).count();
        assert!(well == 1 || (well == 2 && !pair.only_one), "{context}");
        trial.assert_whole(&context);
        (pair.check)(&trial, &ended);
        note(pair.name, &ended);
        if pair.only_one {
            continue;
        }
        for line in pair.calls {
            let again = trial.command(line).output().unwrap();
            assert!(again.status.success(), "{context}: and again: {again:?}");
        }
        assert_eq!(trial.litter(), [] as [String; 0], "{context}");
    }
}

fn one() -> Ground {
    Ground::One(Site::new())
}

fn one_shipped() -> Ground {
    let site = Site::new();
    site.ship(&site.bundle).unwrap();
    Ground::One(site)
}

fn at_two_places() -> Ground {
    let ground = one_shipped();
    copy(&ground.site().path("drop"), &ground.site().path("elsewhere"));
    ground
}

fn damaged() -> Ground {
    let ground = one_shipped();
    std::fs::remove_file(ground.site().there("data/t001-Files/part-00000.parquet")).unwrap();
    ground
}

fn archived() -> Ground {
    let site = Site::new();
    let bundle = blobdelta::bundle::Bundle::open(&site.bundle).unwrap();
    blobdelta::bundle::archive(&bundle, &blobdelta::durable::Local, &site.path("made"), None, &Silent).unwrap();
    Ground::One(site)
}

fn another() -> Ground {
    let site = Site::new();
    site.other();
    Ground::One(site)
}

fn weeks_shipped() -> Ground {
    Ground::Weeks(Weeks::new())
}

fn weeks_gathered() -> Ground {
    let weeks = Weeks::new();
    std::fs::create_dir(weeks.site.path("weeks")).unwrap();
    for bundle in &weeks.bundles {
        copy(bundle, &weeks.site.path("weeks").join(bundle.file_name().unwrap()));
    }
    empty(&weeks.site.path("drop"));
    Ground::Weeks(weeks)
}

fn weeks_covered() -> Ground {
    let weeks = Weeks::new();
    weeks.compacted(3);
    empty(&weeks.site.path("in"));
    Ground::Weeks(weeks)
}

fn empty(folder: &Path) {
    names(folder).iter().for_each(|name| remove(&folder.join(name)));
}

fn remove(path: &Path) {
    if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
}

/// Both shipped it, or one was told, and it is there.
fn has_one(trial: &Trial, ended: &[Output]) {
    assert!(trial.path("drop").join(format!("{}.complete", trial.one)).exists(), "{ended:?}");
}

fn one_root(trial: &Trial, ended: &[Output]) {
    has_one(trial, ended);
    let there = tree(&trial.path("drop").join(&trial.one));
    let whole = ["made", "other"].map(|folder| tree(&trial.path(folder).join(&trial.one)));
    assert!(whole.contains(&there), "neither the one nor the other: {ended:?}");
}

fn all_received(trial: &Trial, ended: &[Output]) {
    if ended.iter().all(|one| one.status.success()) {
        assert_eq!(in_folder(&trial.path("in")).len(), 6, "{ended:?}");
    }
}

/// What either saw is remembered.
fn both_remembered(trial: &Trial, ended: &[Output]) {
    if ended.iter().all(|one| one.status.success()) {
        let memory = std::fs::read_to_string(trial.path("in").join(".blobdelta-received.json")).unwrap();
        assert!(memory.contains("/drop\"") && memory.contains("/elsewhere\""), "{memory}: {ended:?}");
    }
}

fn unpacked(trial: &Trial, ended: &[Output]) {
    let alone = trial.command("unpack made/ONE --out alone").output().unwrap();
    assert!(alone.status.success(), "{alone:?}");
    assert_eq!(tree(&trial.path("files")), tree(&trial.path("alone")), "{ended:?}");
}

/// What a run left is packed by an operator and by the next run at once: no bundle stands that the job database
/// does not know, and none is missing that it knows.
fn pack_beside_run() {
    let site = site::Site::loaded();
    site.unpacked_run();
    let run = site.last_run();
    for nth in 0..u64::from(moments(2, 200)) {
        let trial = site.copied();
        let pack = trial.command(&["pack", "--run", &run, "--out", "out"]);
        let ended = at_once(nth, [pack, trial.command(&["run", "--out", "out"])]);
        let context = format!("pack beside run {nth}: {ended:?}");
        let settled = |one: &Output| matches!(one.status.code(), Some(0 | 1 | 2 | 4 | 6));
        let is_reported = |one: &Output| !String::from_utf8_lossy(&one.stderr).contains("panicked");
        assert!(ended.iter().all(settled) && ended.iter().all(is_reported), "{context}");
        assert!(ended.iter().any(|one| one.status.success()), "{context}");
        let assert_recorded = || {
            let mut known: Vec<String> = trial.recorded_bundles();
            known.sort();
            known.dedup();
            let mut there: Vec<String> =
                trial.bundles("out").iter().map(|path| path.trim_start_matches("out/").to_owned()).collect();
            there.sort();
            assert_eq!(there, known, "{context}");
        };
        assert_recorded();
        assert_whole(trial.path("out"), &context);
        trial.good(&["run", "--out", "out"]);
        assert_recorded();
        assert_eq!(trial.litter("out"), [] as [String; 0], "{context}");
        assert_eq!(trial.lost_and_extra(), (0, 0), "{context}");
        note("pack beside run", &ended);
    }
}
