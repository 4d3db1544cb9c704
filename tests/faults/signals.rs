//! Ctrl-C and SIGTERM.

use crate::faults::site::Site;
use crate::faults::{is_full, tally};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MOST: Duration = Duration::from_secs(5);

/// Sends a signal with the system's own program.
fn send(signal: &str, pid: u32) {
    let sent = Command::new("kill").args(["-s", signal, &pid.to_string()]).stderr(Stdio::null()).status().unwrap();
    assert!(sent.success() || signal == "INT", "{signal} to {pid}");
}

pub fn asked_to_stop() {
    let site = Site::new();
    let mut asked_in_time = 0;
    for (signal, again) in [("INT", false), ("TERM", false), ("INT", true)] {
        for wait in if is_full() { &[10, 15, 20, 30, 40, 50, 60, 80][..] } else { &[40] } {
            let victim = site.copied();
            let args = ["run", "--out", "out", "--batch-size", "1", "--json"];
            let mut child = victim.command(&args).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(*wait));
            let asked = Instant::now();
            // One that has ended cannot be asked.
            if child.try_wait().unwrap().is_none() {
                asked_in_time += 1;
                send(signal, child.id());
                if again && child.try_wait().unwrap().is_none() {
                    send(signal, child.id());
                }
            }
            let ended = child.wait_with_output().unwrap();
            assert!(asked.elapsed() < MOST, "{signal} after {wait} ms: {:?}", asked.elapsed());
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
            tally(if again { "Ctrl-C twice" } else { "Ctrl-C or SIGTERM, then --resume" }, found);
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
