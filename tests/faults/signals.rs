//! Ctrl-C and SIGTERM.

use crate::faults::site::Site;
use crate::faults::{is_full, tally};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const MOST: Duration = Duration::from_secs(5);
const WAITS: [u64; 8] = [10, 15, 20, 30, 40, 50, 60, 80];
/// Longer than the program may take to stop, and than any test.
const LONG: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000000000)
    INSERT INTO BlobDeltaWindowQueue (RunId) SELECT x'''' FROM n WHERE i < 0";

/// Sends a signal with the system's own program.
fn send(signal: &str, pid: u32) {
    let sent = Command::new("kill").args(["-s", signal, &pid.to_string()]).stderr(Stdio::null()).status().unwrap();
    assert!(sent.success() || signal == "INT", "{signal} to {pid}");
}

fn waits() -> &'static [u64] {
    if is_full() { &WAITS } else { &[40] }
}

/// Asks it to stop after a time; says whether it was still there to be asked, and has it end within 5 s.
fn asked(mut child: Child, wait: u64, signal: &str, again: bool) -> (bool, std::process::Output) {
    std::thread::sleep(Duration::from_millis(wait));
    let asked = Instant::now();
    let is_there = child.try_wait().unwrap().is_none();
    if is_there {
        send(signal, child.id());
        if again && child.try_wait().unwrap().is_none() {
            send(signal, child.id());
        }
    }
    let ended = child.wait_with_output().unwrap();
    assert!(asked.elapsed() < MOST, "{signal} after {wait} ms: {:?}", asked.elapsed());
    (is_there, ended)
}

pub fn asked_to_stop() {
    let site = Site::new();
    let mut asked_in_time = 0;
    for (signal, again) in [("INT", false), ("TERM", false), ("INT", true)] {
        for wait in waits() {
            let victim = site.copied();
            let args = ["run", "--out", "out", "--batch-size", "1", "--json"];
            let (is_there, ended) = asked(victim.command(&args).spawn().unwrap(), *wait, signal, again);
            asked_in_time += u32::from(is_there);
            if again {
                victim.expire_leases();
            } else {
                let status = victim.good(&["status", "--json"]);
                assert!(!status.contains("\"IsRunning\":true"), "the lease is released: {ended:?}");
                resume(&victim);
            }
            victim.good(&["run", "--out", "out"]);
            let found = victim.lost_and_extra();
            assert_eq!(found, (0, 0), "{signal} after {wait} ms");
            tally(if again { "Ctrl-C twice: a run" } else { "Ctrl-C or SIGTERM, then --resume: a run" }, found);
        }
    }
    assert!(asked_in_time > 0, "every run had ended before it was asked to");
}

/// Goes on with the run that was stopped, if it was stopped.
fn resume(site: &Site) {
    let runs: serde_json::Value = serde_json::from_str(&site.good(&["status", "--json"])).unwrap();
    let Some(run) = runs["runs"].as_array().and_then(|runs| runs.first()) else { return };
    if run["Status"] != "Completed" {
        site.good(&["run", "--resume", run["RunId"].as_str().unwrap(), "--out", "out"]);
    }
}

/// Work that can be called again: what is half of it, the next call takes up or sweeps.
pub fn work_asked_to_stop() {
    let packed = Site::loaded();
    packed.good(&["run", "--out", "out"]);
    std::fs::create_dir(packed.path("compacted")).unwrap();
    let unpacked = Site::loaded();
    unpacked.unpacked_run();
    let run = unpacked.last_run();
    let pack = ["pack", "--run", &run, "--out", "out"];
    let replay = ["replay", "--into", "sqlite:target", "--create", "out"];
    let compact = ["compact", "out", "--out", "compacted"];
    for (name, site, args) in
        [("a pack", &unpacked, &pack[..]), ("a replay", &packed, &replay), ("a compaction", &packed, &compact)]
    {
        for (signal, again) in [("INT", false), ("TERM", false), ("INT", true)] {
            for wait in waits() {
                let victim = site.copied();
                let context = format!("{name}, {signal} after {} ms", wait / 2);
                let (_, ended) = asked(victim.command(args).spawn().unwrap(), wait / 2, signal, again);
                let is_killed = ended.status.code().is_none();
                if again || is_killed {
                    victim.expire_leases();
                } else {
                    assert_eq!(victim.litter("out"), [] as [String; 0], "{context}: {ended:?}");
                    assert_eq!(victim.litter("compacted"), [] as [String; 0], "{context}: {ended:?}");
                    let status = victim.good(&["status", "--json"]);
                    assert!(!status.contains("\"IsRunning\":true"), "{context}: the lease is released: {ended:?}");
                }
                victim.good(args);
                let found = match name {
                    "a pack" => victim.lost_and_extra(),
                    "a replay" => victim.compare("target"),
                    _ => {
                        victim.good(&[
                            "replay",
                            "--into",
                            "sqlite:target",
                            "--create",
                            &victim.bundles("compacted")[0],
                        ]);
                        victim.compare("target")
                    }
                };
                assert_eq!(found, (0, 0), "{context}");
                tally(&format!("Ctrl-C once or twice, or SIGTERM: {name}"), found);
            }
        }
    }
}

/// A statement that would take hours is broken off, what it did rolled back, the run marked and its
/// lease released.
pub fn a_long_statement() {
    let site = Site::new();
    let script = "INSERT INTO BlobDeltaQueuePopulationScript (TableName, QueueName, ScriptText) VALUES";
    site.script(&format!("{script} ('Src.dbo.Docs', 'WindowQueue', '{LONG}')"));
    let (is_there, ended) = asked(site.command(&["run", "--out", "out"]).spawn().unwrap(), 700, "INT", false);
    assert!(is_there && ended.status.code() == Some(1), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("stopped as asked"), "{ended:?}");
    let status = site.good(&["status", "--json"]);
    assert!(!status.contains("\"IsRunning\":true") && status.contains("stopped by the operator"), "{status}");
    site.script("DELETE FROM BlobDeltaQueuePopulationScript WHERE TableName = 'Src.dbo.Docs'");
    resume(&site);
    let found = site.lost_and_extra();
    assert_eq!(found, (0, 0));
    tally("Ctrl-C in the middle of a long statement", found);
}
