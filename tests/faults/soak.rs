//! A long soak: runs without end on one embedded instance, with random changes between them; pruned
//! and compacted along the way. Neither the job database nor the process grows without bound, and at
//! the end the bundles give the source.
//!
//! It runs in a process of its own, so that what it counts is nobody else's.

use crate::faults::rows::rows;
use crate::faults::{is_full, tally};
use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, World, into_copy, unit};
use blobdelta::backend::Retention;
use blobdelta::bundle::Bundle;
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::model::name::TableName;
use blobdelta::model::run::{Scope, Status};
use blobdelta::monitor::Silent;
use blobdelta::replay::replay;
use blobdelta::verify::{VerifyLevel, verify};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const RUNS: &str = "BLOBDELTA_SOAK_RUNS";
const KEYS: u32 = 150;
/// Folders, which are made at first and stay.
const FOLDERS: u32 = 12;
const MIB: u64 = 1024 * 1024;
/// What the process may be larger at the end than after its first fifth.
const MOST_GROWTH: u64 = 32 * MIB;

pub fn soak() {
    let runs = if is_full() { 2_000 } else { 30 };
    let itself = std::env::current_exe().unwrap();
    let args = ["--exact", "--ignored", "faults::a_long_soak_in_this_process"];
    let ended = Command::new(itself).args(args).env(RUNS, runs.to_string()).output().unwrap();
    let reported = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && reported.contains("1 passed"),
        "{reported}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    reported.lines().filter(|line| line.starts_with("soak:")).for_each(|line| println!("{line}"));
    (0..runs).for_each(|_| tally("a run of a long soak", (0, 0)));
}

/// What must not grow.
#[derive(Clone, Copy, Debug)]
struct Size {
    resident: u64,
    handles: usize,
    job_database: u64,
}

struct Soak {
    world: World,
    now: i64,
    dice: u64,
    alive: BTreeSet<u32>,
    compacted: Option<PathBuf>,
    keep: u32,
}

pub fn in_this_process() {
    let runs: u32 = std::env::var(RUNS).map_or(30, |runs| runs.parse().unwrap());
    let mut soak = Soak::new(if runs >= 500 { 20 } else { 3 });
    let (mut early, mut late) = (None, None);
    for nth in 1..=runs {
        soak.week(nth);
        if nth % soak.keep == 0 {
            soak.prune();
            late = Some(soak.size());
            early = early.or_else(|| late.filter(|_| nth >= runs / 5));
        }
        if nth % 50 == 0 || nth == runs {
            soak.compact();
        }
    }
    let (early, late) = (early.unwrap(), late.unwrap());
    println!("soak: {runs} runs; after a fifth {early:?}; at the end {late:?}");
    assert!(late.job_database <= early.job_database * 3 / 2, "the job database grows: {early:?}, {late:?}");
    assert!(late.handles <= early.handles, "handles are left open: {early:?}, {late:?}");
    assert!(late.resident <= early.resident + MOST_GROWTH, "memory is left: {early:?}, {late:?}");
    assert_eq!(soak.lost_and_extra(), (0, 0));
}

impl Soak {
    fn new(keep: u32) -> Self {
        let mut world = World::new(&Instance::Embedded);
        std::fs::create_dir(world.dir.path().join("units")).unwrap();
        std::fs::create_dir(world.dir.path().join("compacted")).unwrap();
        (1..=FOLDERS).for_each(|folder| world.put(folder, None, b"", 0, A));
        let alive = (1..=FOLDERS).collect();
        Self { world, now: 10_000, dice: 1, alive, compacted: None, keep }
    }

    /// A number below `most`, by xorshift: the same in every soak.
    fn roll(&mut self, most: u32) -> u32 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        u32::try_from(self.dice % u64::from(most)).unwrap()
    }

    /// Changes, then a run; every seventh for one unit alone, on a session of its own.
    fn week(&mut self, nth: u32) {
        for _ in 0..=self.roll(5) {
            self.change();
        }
        self.now += 30 + i64::from(self.roll(2000));
        self.world.at(self.now);
        let mut options = self.world.options();
        options.request.batch_size = Some(100);
        if nth.is_multiple_of(7) {
            options.request.scope = Scope::BusinessUnit(unit(B));
            options.out = Some(self.world.dir.path().join("units"));
            self.world.restart();
        }
        let report = self.world.run_with(&options).unwrap();
        assert_eq!(report.run.status, Status::Completed, "{report:?}");
    }

    fn change(&mut self) {
        self.now += 1;
        self.world.at(self.now);
        let key = FOLDERS + 1 + self.roll(KEYS);
        if self.roll(5) == 0 && self.alive.remove(&key) {
            self.world.remove(key);
            self.world.log_deletion(key, self.now);
            return;
        }
        let parent = 1 + self.roll(FOLDERS);
        let bytes = vec![u8::try_from(self.roll(256)).unwrap(); self.roll(2000) as usize];
        let letter = if key.is_multiple_of(3) { B } else { A };
        self.world.put(key, Some(parent), &bytes, self.now, letter);
        self.alive.insert(key);
    }

    fn prune(&mut self) {
        let retention = Retention { keep_runs: Some(self.keep), keep_days: None };
        let pruned = self.world.backend.prune(&retention, false).unwrap();
        let runs = pruned.iter().find(|one| one.table == "BlobDeltaRun").unwrap();
        // The newest, and one that a scope or a chain may need.
        assert!(runs.rows - runs.removed <= u64::from(self.keep) + 3, "{pruned:?}");
    }

    fn size(&self) -> Size {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
        let handles = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let jobs = self.world.dir.path().join("source/BlobDeltaJobs.sqlite");
        Size { resident: kib * 1024, handles, job_database: std::fs::metadata(jobs).unwrap().len() }
    }

    /// All bundles over all units become one with what they were compacted into before.
    fn compact(&mut self) {
        let fresh = bundles(&self.world.out());
        let inputs: Vec<PathBuf> = self.compacted.take().into_iter().chain(fresh.iter().cloned()).collect();
        let opened: Vec<Bundle> = inputs.iter().map(|path| Bundle::open(path).unwrap()).collect();
        let folder = self.world.dir.path().join("compacted").join(self.now.to_string());
        std::fs::create_dir(&folder).unwrap();
        let published = compact(opened, &Local, &folder, &CompactOptions::default(), &Silent).unwrap();
        let report = verify(published.path(), VerifyLevel::Deep, &Silent).unwrap();
        assert!(report.is_good(), "{report:?}");
        inputs.iter().for_each(|path| std::fs::remove_dir_all(path).unwrap());
        self.compacted = Some(published.path().to_owned());
    }

    /// After a last run, behind the buffer of everything: rows of the source that the bundles do not
    /// give, and rows that they give and the source has not.
    fn lost_and_extra(&mut self) -> (usize, usize) {
        self.now += 1000;
        self.world.run(self.now);
        let units = bundles(&self.world.dir.path().join("units"));
        let all = bundles(&self.world.out()).into_iter().chain(self.compacted.clone()).chain(units).collect::<Vec<_>>();
        let options = into_copy();
        let mut target = self.world.target();
        replay(&all, &mut *target, &options, &Silent).unwrap();
        let due = rows(&mut *self.world.backend, &self.world.table.source);
        let found = rows(&mut *target, &TableName::new("Copy", "dbo", "Docs").unwrap());
        assert_eq!(due.len(), self.alive.len());
        let lost = due.iter().filter(|(key, bytes)| found.get(key) != Some(bytes)).count();
        (lost, found.keys().filter(|key| !due.contains_key(key)).count())
    }
}

fn bundles(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}
