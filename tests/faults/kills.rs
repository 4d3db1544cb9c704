//! SIGKILL, at named points and at random moments.

use crate::faults::site::Site;
use crate::faults::{is_full, tally};
use std::process::Output;
use std::time::{Duration, Instant};

/// The points that a command comes to, by name in their order. What it does to the site stays.
fn points(site: &Site, args: &[&str]) -> Vec<String> {
    let log = site.path("points");
    let ended = site.command(args).env("BLOBDELTA_POINTS", &log).output().unwrap();
    assert!(ended.status.success(), "{args:?}: {ended:?}");
    std::fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect()
}

/// Numbers of points, from 1: all, or five spread over the first of each name.
fn chosen(names: &[String]) -> Vec<usize> {
    if is_full() {
        return (1..=names.len()).collect();
    }
    let is_first = |nth: &usize| names.iter().position(|name| *name == names[*nth]) == Some(*nth);
    let firsts: Vec<usize> = (0..names.len()).filter(is_first).map(|nth| nth + 1).collect();
    firsts.iter().copied().step_by(firsts.len().div_ceil(5)).collect()
}

/// Kills a command before each of its points on a copy of the site, and has `recover` go on.
fn campaign(class: &str, site: &Site, args: &[&str], recover: fn(&Site) -> (u64, u64)) {
    let names = points(&site.copied(), args);
    let chosen = chosen(&names);
    assert!(names.len() >= 3 && !chosen.is_empty(), "{names:?}");
    for nth in chosen {
        let victim = site.copied();
        let ended = victim.command(args).env("BLOBDELTA_DIE_AT", nth.to_string()).output().unwrap();
        assert!(was_killed(&ended), "{class}, point {nth}: {ended:?}");
        let found = recover(&victim);
        assert_eq!(found, (0, 0), "{class}, before point {nth}, {}", names[nth - 1]);
        tally(class, found);
    }
}

fn was_killed(ended: &Output) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    ended.status.signal() == Some(9)
}

/// What an operator does after a run that died: waits for its lease to expire, and runs again.
fn run_again(site: &Site) -> (u64, u64) {
    let early = site.call(&["run", "--out", "out"]);
    assert!(matches!(early.status.code(), Some(0 | 4)), "done, or the lease is held: {early:?}");
    site.expire_leases();
    site.good(&["run", "--out", "out"]);
    assert_eq!(site.litter("out"), [] as [String; 0], "staging folders of dead runs are swept");
    assert!(!site.good(&["status", "--json"]).contains("\"IsRunning\":true"));
    site.lost_and_extra()
}

pub fn full_load() {
    campaign("kill -9 before a durable operation of a full load", &Site::new(), &["run", "--out", "out"], run_again);
}

pub fn delta() {
    let site = Site::loaded();
    campaign("kill -9 before a durable operation of a delta", &site, &["run", "--out", "out"], run_again);
}

pub fn pack() {
    let site = Site::loaded();
    site.unpacked_run();
    let run = site.last_run();
    let class = "kill -9 before a durable operation of a pack";
    campaign(class, &site, &["pack", "--run", &run, "--out", "out"], run_again);
}

fn replay_again(site: &Site) -> (u64, u64) {
    let bundles = site.bundles("out");
    let all: Vec<&str> = bundles.iter().map(String::as_str).collect();
    site.good(&[&["replay", "--into", "sqlite:target", "--create"], &all[..]].concat());
    site.compare("target")
}

pub fn replay() {
    let site = Site::loaded();
    site.good(&["run", "--out", "out"]);
    let args = ["replay", "--into", "sqlite:target", "--create", "out"];
    campaign("kill -9 before a durable operation of a replay", &site, &args, replay_again);
}

fn compact_again(site: &Site) -> (u64, u64) {
    // One that died before it said that it lives is taken for one that is about to, for a minute.
    for name in site.litter("compacted") {
        let _ = std::fs::remove_dir(site.path("compacted").join(name));
    }
    site.good(&["compact", "out", "--out", "compacted"]);
    assert_eq!(site.litter("compacted"), [] as [String; 0], "what a dead compaction left is swept");
    let bundles = site.bundles("compacted");
    assert_eq!(bundles.len(), 1, "{bundles:?}");
    site.good(&["verify", "--deep", &bundles[0]]);
    site.good(&["replay", "--into", "sqlite:target", "--create", &bundles[0]]);
    site.compare("target")
}

pub fn compact() {
    let site = Site::loaded();
    site.good(&["run", "--out", "out"]);
    std::fs::create_dir(site.path("compacted")).unwrap();
    let args = ["compact", "out", "--out", "compacted"];
    campaign("kill -9 before a durable operation of a compaction", &site, &args, compact_again);
}

pub fn random_moments() {
    let trials = if is_full() { 300 } else { 3 };
    let site = Site::loaded();
    let whole = Instant::now();
    site.copied().good(&["run", "--out", "out"]);
    let whole = whole.elapsed();
    let mut killed = 0;
    for nth in 0..trials {
        let victim = site.copied();
        let mut child = victim.command(&["run", "--out", "out"]).spawn().unwrap();
        std::thread::sleep(moment(whole, nth));
        // It may have ended by itself: then nothing was to be lost.
        let _ = child.kill();
        killed += u32::from(was_killed(&child.wait_with_output().unwrap()));
        let found = run_again(&victim);
        assert_eq!(found, (0, 0), "killed after {:?} of {whole:?}", moment(whole, nth));
        tally("kill -9 at a random moment of a run", found);
    }
    assert!(killed * 2 > trials, "{killed} of {trials} were killed");
}

/// Uneven moments over the whole (the fractional parts of multiples of the golden ratio).
fn moment(whole: Duration, nth: u32) -> Duration {
    whole.mul_f64((f64::from(nth + 1) * 0.618_033_988_75).fract())
}
