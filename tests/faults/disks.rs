//! A disk that is full or may not be written: a small file system of the machine's memory, where one may
//! be mounted.

use crate::faults::site::Site;
use crate::faults::{is_slice, points, tally};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Unmounted when it is dropped.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path, kib: usize) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={kib}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output().ok()?;
        mounted.status.success().then(|| Self(at.to_owned()))
    }

    /// So much room, or no right to write; what is in it stays.
    fn change(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success(), "{options}");
    }

    fn used_kib(&self) -> usize {
        let found = rustix::fs::statvfs(&self.0).unwrap();
        usize::try_from((found.f_blocks - found.f_bfree) * found.f_frsize / 1024).unwrap()
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

/// What is done into the small file system, and the folders of a site that lie in it.
struct Case {
    name: &'static str,
    args: &'static [&'static str],
    inside: &'static [&'static str],
}

const CASES: [Case; 8] = [
    Case { name: "run", args: &["run", "--out", "small"], inside: &[] },
    Case { name: "run, of the instance", args: &["run", "--out", "out"], inside: &["source"] },
    Case { name: "pack", args: &["pack", "--run", "RUN", "--out", "small"], inside: &[] },
    Case { name: "replay", args: &["replay", "--create", "--into", "sqlite:small/target", "out"], inside: &[] },
    Case { name: "compact", args: &["compact", "out", "--out", "small"], inside: &[] },
    Case { name: "unpack", args: &["unpack", "out", "--latest", "--out", "small/files"], inside: &[] },
    Case { name: "archive", args: &["archive", "FIRST", "--out", "small"], inside: &[] },
    Case { name: "extract", args: &["extract", "TAR", "--out", "small"], inside: &[] },
];

/// As much as the journals of a run may take.
const JOURNAL_PAGES: usize = 40;

/// A site, with what is in the small file system there.
struct Place {
    // Dropped first: a folder that something is mounted on cannot be removed.
    small: Small,
    site: Site,
    args: Vec<String>,
}

impl Case {
    fn prepared(&self) -> Site {
        let site = Site::loaded();
        if self.name == "pack" {
            site.unpacked_run();
        } else if !self.name.starts_with("run") {
            site.good(&["run", "--out", "out"]);
        }
        if self.name == "extract" {
            site.good(&["archive", &site.bundles("out")[0], "--out", "."]);
        }
        site
    }

    fn placed(&self, site: &Site) -> Place {
        let site = site.copied();
        let small = Small::mount(&site.path("small"), 1 << 20).unwrap();
        for name in self.inside {
            site.move_into(name, "small");
        }
        site.report_moved();
        let named = |arg: &&str| match *arg {
            "FIRST" => site.bundles("out")[0].clone(),
            "TAR" => site.bundles(".")[0].clone(),
            "RUN" => site.last_run(),
            other => other.to_owned(),
        };
        let args = self.args.iter().map(named).collect();
        Place { site, small, args }
    }
}

impl Place {
    fn call(&self) -> std::process::Output {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.site.call(&args)
    }

    /// Nothing is lost, and the work is done when there is room.
    fn settle(self, class: &str, context: &str) {
        let reported = |ended: &std::process::Output| String::from_utf8_lossy(&ended.stderr).into_owned();
        let ended = self.call();
        assert!(!reported(&ended).contains("panicked"), "{context}: {ended:?}");
        assert!(
            ended.status.success()
                || ["what to do: ", "free some space"].iter().any(|it| reported(&ended).contains(it)),
            "{context}: it says what to do: {}",
            reported(&ended)
        );
        self.small.change("size=1g,rw");
        self.site.expire_leases();
        let small = self.site.bundles("small");
        if !small.is_empty() {
            self.site
                .good(&[&["verify", "--deep"], &small.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
        }
        let _ = std::fs::remove_dir_all(self.site.path("small/files"));
        let again = self.call();
        // What the run had completed, a later one packs; then this one has nothing to pack.
        assert!(again.status.success(), "{context}: {again:?}");
        for bundle in self.site.bundles("small") {
            self.site.good(&["verify", "--deep", &bundle]);
            let to = self.site.path("out").join(bundle.trim_start_matches("small/"));
            if self.args[0] == "run" || self.args[0] == "pack" {
                self.site.good(&["archive", &bundle, "--out", "."]);
                self.site.good(&["extract", &self.site.bundles(".")[0], "--out", "out"]);
                std::fs::remove_file(self.site.path(&self.site.bundles(".")[0])).unwrap();
                assert!(to.is_dir());
            }
        }
        self.site.good(&["run", "--out", "out"]);
        let found = self.site.lost_and_extra();
        assert_eq!(found, (0, 0), "{context}");
        tally(class, found);
    }
}

pub fn full() {
    for (_, case) in CASES.into_iter().enumerate().filter(|(nth, _)| !is_slice() || nth % 2 == 1) {
        let prepared = case.prepared();
        let whole = case.placed(&prepared);
        let before = whole.small.used_kib();
        assert!(whole.call().status.success(), "{}", case.name);
        // Pages of the file system are of 4 KiB.
        let pages = (whole.small.used_kib() - before) / 4;
        drop(whole);
        // An instance grows by its journals, which are gone at the end.
        let pages = if case.inside.is_empty() { pages.saturating_sub(1) } else { pages + JOURNAL_PAGES };
        for page in points(pages, 1) {
            let place = case.placed(&prepared);
            let kib = before + page * 4;
            place.small.change(&format!("size={kib}k"));
            place.settle(&format!("disk full: {}", case.name), &format!("{} in {kib} KiB", case.name));
        }
    }
}

pub fn read_only() {
    for (_, case) in CASES.into_iter().enumerate().filter(|(nth, _)| !is_slice() || nth % 2 == 0) {
        let place = case.placed(&case.prepared());
        place.small.change("ro");
        place.settle("read-only folder", &format!("{} where nothing may be written", case.name));
    }
}
