//! SIGKILL, at named points and at random moments.

use crate::faults::site::{FOREIGN, Site};
use crate::faults::{moments, points, tally};
use std::process::Output;
use std::time::{Duration, Instant};

/// Statements of a kind of work before which it is killed, at most.
const MOST_STATEMENTS: usize = 100;

/// The points that a command comes to, by name in their order. What it does to the site stays.
fn names_of_points(site: &Site, args: &[&str]) -> Vec<String> {
    let log = site.path("points");
    let ended = site.command(args).env("BLOBDELTA_POINTS", &log).output().unwrap();
    assert!(ended.status.success(), "{args:?}: {ended:?}");
    std::fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect()
}

/// Kills a command before its durable operations, of which there are so many at least, and before
/// statements, on a copy of the site, and has `recover` go on.
fn campaign(class: &str, least: usize, site: &Site, args: &[&str], recover: fn(&Site) -> (u64, u64)) {
    let names = names_of_points(&site.copied(), args);
    let (statements, durable): (Vec<usize>, Vec<usize>) =
        (1..=names.len()).partition(|nth| names[nth - 1].starts_with("statement: "));
    assert!(durable.len() >= least, "{names:?}");
    // Of statements there are many, and little lies between two.
    let of_statements = points(statements.len(), 1).into_iter().map(|nth| statements[nth - 1]);
    let of_statements = of_statements.step_by(statements.len().div_ceil(MOST_STATEMENTS).max(1));
    let of_durable = points(durable.len(), 3).into_iter().map(|nth| durable[nth - 1]);
    for nth in of_durable.chain(of_statements) {
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
    assert!(site.path("out").join(FOREIGN).join("bagit.txt").is_file(), "and those of others are not");
    assert!(!site.good(&["status", "--json"]).contains("\"IsRunning\":true"));
    site.lost_and_extra()
}

pub fn full_load() {
    campaign("kill -9 at a point of a full load", 25, &Site::new(), &["run", "--out", "out"], run_again);
}

pub fn delta() {
    let site = Site::loaded();
    campaign("kill -9 at a point of a delta", 25, &site, &["run", "--out", "out"], run_again);
}

pub fn pack() {
    let site = Site::loaded();
    site.unpacked_run();
    let run = site.last_run();
    let class = "kill -9 at a point of a pack";
    campaign(class, 25, &site, &["pack", "--run", &run, "--out", "out"], run_again);
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
    campaign("kill -9 at a point of a replay", 4, &site, &args, replay_again);
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
    campaign("kill -9 at a point of a compaction", 20, &site, &args, compact_again);
}

/// What is killed at random moments, and who goes on.
struct Victim {
    class: &'static str,
    site: Site,
    args: Vec<String>,
    recover: fn(&Site) -> (u64, u64),
}

fn victims() -> [Victim; 4] {
    let victim = |name, site: Site, args: &[&str], recover| Victim {
        class: name,
        site,
        args: args.iter().map(ToString::to_string).collect(),
        recover,
    };
    let delta = Site::loaded();
    let unpacked = Site::loaded();
    unpacked.unpacked_run();
    let run = unpacked.last_run();
    let packed = Site::loaded();
    packed.good(&["run", "--out", "out"]);
    std::fs::create_dir(packed.path("compacted")).unwrap();
    let (replay, compact) = (["replay", "--into", "sqlite:target", "--create", "out"], ["compact", "out", "--out"]);
    [
        victim("a run", delta, &["run", "--out", "out"], run_again),
        victim("a pack", unpacked, &["pack", "--run", &run, "--out", "out"], run_again),
        victim("a replay", packed.copied(), &replay, replay_again),
        victim("a compaction", packed, &[&compact[..], &["compacted"]].concat(), compact_again),
    ]
}

pub fn random_moments() {
    for Victim { class, site, args, recover } in victims() {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let whole = (0..2).map(|_| timed(&site.copied(), &args)).min().unwrap();
        let (trials, mut killed) = (moments(2, 300), 0);
        for nth in 0..trials {
            let victim = site.copied();
            let mut child = victim.command(&args).spawn().unwrap();
            std::thread::sleep(moment(whole, nth));
            // It may have ended by itself: then nothing was to be lost.
            let _ = child.kill();
            killed += u32::from(was_killed(&child.wait_with_output().unwrap()));
            let found = recover(&victim);
            assert_eq!(found, (0, 0), "{class} killed after {:?} of {whole:?}", moment(whole, nth));
            tally(&format!("kill -9 at a random moment of {class}"), found);
        }
        assert!(killed * 3 >= trials, "{class}: {killed} of {trials} were killed");
    }
}

fn timed(site: &Site, args: &[&str]) -> Duration {
    let began = Instant::now();
    site.good(args);
    began.elapsed()
}

/// Uneven moments over the whole (the fractional parts of multiples of the golden ratio).
fn moment(whole: Duration, nth: u32) -> Duration {
    whole.mul_f64((f64::from(nth + 1) * 0.618_033_988_75).fract())
}
