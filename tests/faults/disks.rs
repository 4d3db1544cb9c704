//! A disk that is full: a small file system of the machine's memory, where one may be mounted.

use crate::faults::site::Site;
use crate::faults::{is_full, tally};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Unmounted when it is dropped.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path, kib: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={kib}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output().ok()?;
        mounted.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Whether a small file system can be mounted here.
pub fn can_mount() -> bool {
    let folder = tempfile::tempdir().unwrap();
    Small::mount(&folder.path().join("small"), 4).is_some()
}

pub fn full() {
    let site = Site::loaded();
    for (name, args) in [
        ("run", vec!["run", "--out", "small"]),
        ("compact", vec!["compact", "out", "--out", "small"]),
        ("unpack", vec!["unpack", "out", "--out", "small/files"]),
        ("archive", vec!["archive", "FIRST", "--out", "small"]),
        ("replay", vec!["replay", "--create", "--into", "sqlite:small/target", "out"]),
    ] {
        for kib in if is_full() { &[4, 8, 12][..] } else { &[8] } {
            let place = site.copied();
            if name != "run" {
                place.good(&["run", "--out", "out"]);
            }
            let small = Small::mount(&place.path("small"), *kib).unwrap();
            let first = place.bundles("out")[0].clone();
            let args: Vec<&str> = args.iter().map(|arg| if *arg == "FIRST" { first.as_str() } else { arg }).collect();
            let ended = place.call(&args);
            let told = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert!(!ended.status.success() && !told.contains("panicked"), "{name} in {kib} KiB: {ended:?}");
            let published: Vec<String> = place.bundles("small");
            assert_eq!(published, [] as [String; 0], "{name} in {kib} KiB");
            drop(small);
            std::fs::remove_dir_all(place.path("small")).unwrap();
            place.expire_leases();
            place.good(&["run", "--out", "out"]);
            let found = place.lost_and_extra();
            assert_eq!(found, (0, 0), "{name} in {kib} KiB");
            tally(&format!("disk full: {name}"), found);
        }
    }
}
