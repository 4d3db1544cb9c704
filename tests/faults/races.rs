//! Operators that work at once, and one that slept through its lease.

use crate::faults::site::Site;
use crate::faults::{is_full, moments, tally};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The one unit in scope.
const UNIT: &str = "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a";

/// A copied site is another place. The unit's run may be the first to record it, and then rows of all units come there by name
/// alone (rule 18).
const SHARED: &str = "--shared-place";

/// As long as a run is given to take over from one that sleeps. Where that one sleeps over a read, it
/// is waited for, and nobody takes over.
const TAKE_OVER: Duration = Duration::from_secs(4);

/// A run may end well, be told that another one holds the lease or took it, or find a slice of its own
/// gone; it never dies otherwise.
fn is_settled(ended: &Output) -> bool {
    matches!(ended.status.code(), Some(0 | 1 | 2 | 4 | 6))
        && !String::from_utf8_lossy(&ended.stderr).contains("panicked")
}

/// A run that stopped behind its first batch; its lease was let go.
fn stopped_run(site: &Site) -> String {
    // `SIGKILL` before the commit of the second batch.
    let points = site.path("points");
    let args = ["run", "--out", "out", "--batch-size", "1"];
    assert!(site.copied().command(&args).env("BLOBDELTA_POINTS", &points).status().unwrap().success());
    let names = std::fs::read_to_string(&points).unwrap();
    let batches = names.lines().zip(1..).filter(|(name, _)| name.contains("batch"));
    let second = batches.map(|(_, nth): (_, u32)| nth).nth(1).unwrap();
    let killed = site.command(&args).env("BLOBDELTA_DIE_AT", second.to_string()).output().unwrap();
    assert!(!killed.status.success(), "{killed:?}");
    site.expire_leases();
    site.last_run()
}

pub fn operators() {
    let schedules = moments(2, 200) as usize;
    let site = Site::loaded();
    site.in_one_unit(UNIT);
    // One that can be resumed, and after it one that is only to be packed.
    let stopped = stopped_run(&site);
    let unpacked = site.copied();
    unpacked.good(&["run", "--out", "out"]);
    unpacked.unpacked_run();
    let run = unpacked.last_run();
    let of_stopped: [&[&str]; 5] = [
        &["run", "--out", "out", SHARED],
        &["run", "--out", "out", SHARED, "--business-unit", UNIT],
        &["run", "--out", "out", SHARED, "--resume", &stopped],
        &["run", "--out", "out", SHARED, "--batch-size", "3"],
        &["run", "--out", "out", SHARED, "--resume", &stopped],
    ];
    let of_unpacked: [&[&str]; 5] = [
        &["run", "--out", "out", SHARED],
        &["pack", "--run", &run, "--out", "out", SHARED],
        &["run", "--out", "out", SHARED, "--business-unit", UNIT],
        &["pack", "--run", &run, "--out", "out", SHARED],
        &["prune", "--keep-runs", "1"],
    ];
    for schedule in 0..schedules {
        let (site, calls) = if schedule % 2 == 0 { (&site, of_stopped) } else { (&unpacked, of_unpacked) };
        let place = site.copied();
        let mut children = Vec::new();
        for nth in 0..calls.len() {
            // Every order (five is a prime), with pauses that are never the same.
            let args = calls[(nth * (schedule % 4 + 1) + schedule) % calls.len()];
            children.push(place.command(args).spawn().unwrap());
            std::thread::sleep(Duration::from_millis((schedule * 7 + nth * 11) as u64 % 40));
        }
        let mut ended_well = 0;
        for child in children {
            let ended = child.wait_with_output().unwrap();
            assert!(is_settled(&ended), "schedule {schedule}: {ended:?}");
            ended_well += u32::from(ended.status.success());
        }
        assert!(ended_well > 0, "schedule {schedule}: somebody gets through");
        place.expire_leases();
        place.good(&["run", "--out", "out", SHARED]);
        let found = place.lost_and_extra();
        assert_eq!(found, (0, 0), "schedule {schedule}");
        tally("operators at once", found);
    }
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap().success(), "{name} to {pid}");
}

pub fn sleeper() {
    let waits = [20, 40, 60, 30, 50, 70, 80, 90, 100, 120];
    let site = Site::loaded();
    let mut taken_over = 0;
    for wait in waits {
        let place = site.copied();
        let mut sleeper = place.command(&["run", "--out", "out", "--batch-size", "1"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        if sleeper.try_wait().unwrap().is_some() {
            continue;
        }
        // Inside of a transaction it holds the instance, and nobody takes over: it sleeps elsewhere.
        let mut is_asleep = false;
        while !is_asleep && sleeper.try_wait().unwrap().is_none() {
            signal("STOP", sleeper.id());
            is_asleep = place.try_expire_leases().is_some_and(|leases| leases > 0);
            if !is_asleep {
                signal("CONT", sleeper.id());
                std::thread::sleep(Duration::from_millis(3));
            }
        }
        if !is_asleep {
            continue;
        }
        let mut other = place.command(&["run", "--out", "out"]).spawn().unwrap();
        let began = Instant::now();
        while other.try_wait().unwrap().is_none() && began.elapsed() < TAKE_OVER {
            std::thread::sleep(Duration::from_millis(10));
        }
        let took_over = other.try_wait().unwrap().is_some_and(|status| status.success());
        signal("CONT", sleeper.id());
        let ended = sleeper.wait_with_output().unwrap();
        let other = other.wait_with_output().unwrap();
        assert!(is_settled(&ended) && is_settled(&other), "{ended:?} {other:?}");
        if took_over && !ended.status.success() {
            taken_over += 1;
            let reported =
                String::from_utf8_lossy(&ended.stderr).into_owned() + &String::from_utf8_lossy(&ended.stdout);
            assert!(reported.contains("another run") || reported.contains("taken"), "it says why: {reported}");
        }
        place.expire_leases();
        place.good(&["run", "--out", "out"]);
        let found = place.lost_and_extra();
        assert_eq!(found, (0, 0), "stopped after {wait} ms");
        tally("SIGSTOP until another took over, SIGCONT", found);
        if taken_over > 0 && !is_full() {
            break;
        }
    }
    assert!(taken_over > 0, "nobody took over from a sleeper");
}

pub fn replays() {
    let site = Site::loaded();
    site.good(&["run", "--out", "out"]);
    for nth in 0..u64::from(moments(1, 20)) {
        let place = site.copied();
        let args = ["replay", "--into", "sqlite:target", "--create", "--json", "out"];
        let mut children = Vec::new();
        for _ in 0..3 {
            children.push(place.command(&args).spawn().unwrap());
            std::thread::sleep(Duration::from_millis(nth * 3));
        }
        let ended: Vec<Output> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        assert!(ended.iter().all(is_settled), "{ended:?}");
        assert!(ended.iter().any(|one| one.status.success()), "one of them applies: {ended:?}");
        let found = place.compare("target");
        assert_eq!(found, (0, 0), "replays {nth}");
        tally("replays into one target at once", found);
    }
}
