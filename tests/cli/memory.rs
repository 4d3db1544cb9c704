//! The one number of memory is kept, whatever the rows are like.

use super::world::World;
use blobdelta::model::id::Guid;
use blobdelta::model::time::Timestamp;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

const MIB: usize = 1 << 20;

/// Rows that are hard to keep small: values just under the usual inline limit, and many of 64 KiB.
fn seed(world: &World) {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((state >> 33) as u32).to_le_bytes()
    };
    let noise: Vec<u8> = (0..4 * MIB).flat_map(next).collect();
    let keys: Vec<_> =
        (100_u16..750).map(|number| (number, [number.to_be_bytes(), [9; 2]].concat().repeat(4))).collect();
    for some in keys.chunks(10) {
        let mut rows = Vec::new();
        for (number, key) in some {
            // No two are alike, and none is made smaller by what stands in it.
            let bytes = if *number < 110 { 15 * MIB } else { 64 << 10 };
            rows.push((guid(key), &key[..], &noise[usize::from(*number)..][..bytes]));
        }
        world.add_rows(&rows, Timestamp::parse("2020-05-01").unwrap());
    }
}

fn guid(bytes: &[u8]) -> Guid {
    Guid::from_bytes(bytes.try_into().unwrap())
}

/// Calls the binary; what it prints, and the most MiB of its own that were seen resident, where the system tells.
fn call(world: &World, args: &[&str]) -> (Value, Option<u64>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
    command.args(args).arg("--json").env("BLOBDELTA_CONNECTION", world.connection());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = None;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        // Before it is this program it is still the tests, with all that they hold. What is mapped of its
        // file is another matter: the program that is tested is several times the one that is shipped.
        if text.starts_with("Name:\tblobdelta") {
            let kib = text.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB"));
            peak = peak.max(kib.map(|kib| kib.parse::<u64>().unwrap() >> 10));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{args:?}");
    (serde_json::from_slice(&done.stdout).unwrap(), peak)
}

fn is_kept(peak: Option<u64>, mib: u64, what: &str) {
    match peak {
        Some(peak) => assert!(peak <= mib, "{what} took {peak} MiB of {mib}"),
        None => println!("SKIPPED: what {what} took: this system does not tell"),
    }
}

#[test]
fn a_run_keeps_to_its_memory() {
    let world = World::new();
    seed(&world);
    for (nth, mib) in [128, 256].into_iter().enumerate() {
        let out = world.path(&format!("out-{nth}"));
        std::fs::create_dir(&out).unwrap();
        let (out, memory) = (out.display().to_string(), mib.to_string());
        let from = "2000-01-01";
        let (run, peak) =
            call(&world, &["run", "--from", from, "--out", &out, "--memory-mib", &memory, "--threads", "4"]);
        is_kept(peak, mib, "a run");
        let bundle = run["bundles"][0].as_str().unwrap();
        let (found, _) = call(&world, &["verify", "--deep", bundle]);
        assert_eq!(found["bundles"][0]["rows"], 653, "{found}");
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_read() {
    let world = World::new();
    let out = world.out();
    let ended = world.call(&["run", "--out", &out, "--inline-mib", "32", "--memory-mib", "128"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("values of 32 MiB") && ended.stderr.contains("--memory-mib"), "{ended:?}");
    let ended = world.call(&["run", "--out", &out, "--zstd-level", "22"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
}
