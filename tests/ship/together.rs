//! Two ships of one bundle to one folder at once: at every durable operation of the one, the other
//! runs, whole or until it dies. Whatever comes of it, a marker stands with its exact files alone, and
//! shipping again ends well, without litter.

use crate::List;
use crate::faults::is_full;
use crate::ship::crashes::assert_whole;
use crate::ship::folders::{Site, assert_same, names};
use blobdelta::durable::{Disk, DurableFile, Entry, Faulty, Local, Sharing, When};
use blobdelta::error::{Kind, Result};
use blobdelta::monitor::Silent;
use blobdelta::ship::{ShipOptions, ship};
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

pub fn add_to(list: &mut List) {
    list.add("two_ships_at_once_leave_no_marker_without_a_file", None, || play(|_| ()));
    list.add("two_mends_at_once_leave_no_marker_without_a_file", None, || play(damage));
}

/// Does something else before its n-th operation.
struct Interrupted<'a> {
    at: u64,
    count: AtomicU64,
    act: &'a (dyn Fn() + Sync),
}

impl<'a> Interrupted<'a> {
    fn new(at: u64, act: &'a (dyn Fn() + Sync)) -> Self {
        Self { at, count: AtomicU64::new(0), act }
    }

    fn reached(&self) {
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            (self.act)();
        }
    }
}

impl Disk for Interrupted<'_> {
    /// What is done beneath is not counted, and so not interrupted.
    fn beneath(&self, root: &Path, sharing: Sharing) -> Result<Box<dyn Disk>> {
        Local.beneath(root, sharing)
    }

    fn look(&self, path: &Path) -> Result<Option<Entry>> {
        Local.look(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>> {
        Local.list(path)
    }

    fn read(&self, path: &Path) -> Result<Option<(File, u64)>> {
        Local.read(path)
    }

    fn hold(&self, path: &Path) -> Option<File> {
        Local.hold(path)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.reached();
        Local.create_dir(path)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DurableFile>> {
        self.reached();
        Local.create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.reached();
        Local.rename(from, to)
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<()> {
        self.reached();
        Local.replace(from, to)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.reached();
        Local.sync_dir(path)
    }

    fn sync_tree(&self, path: &Path) -> Result<()> {
        self.reached();
        Local.sync_tree(path)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.reached();
        Local.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.reached();
        Local.remove_dir(path)
    }
}

/// A bundle that stands there, and lacks a part.
fn damage(site: &Site) {
    site.ship(&site.bundle).unwrap();
    std::fs::remove_file(site.there("data/t001-Files/part-00000.parquet")).unwrap();
}

fn play(prepare: fn(&Site)) {
    let site = Site::new();
    let send = |disk: &dyn Disk| ship(&site.bundle, &site.drop(), &ShipOptions::default(), disk, &Silent);
    let begin = || {
        std::fs::remove_dir_all(site.path("drop")).unwrap();
        std::fs::create_dir(site.path("drop")).unwrap();
        prepare(&site);
        names(&site.path("drop")).is_empty()
    };
    let (nothing, counting) = (|| (), Faulty::new(When::Never));
    let alone = Interrupted::new(u64::MAX, &nothing);
    let is_new = begin();
    send(&alone).unwrap();
    begin();
    send(&counting).unwrap();
    let (first, other) = (alone.count.load(Ordering::SeqCst), counting.count());
    assert!(first > 10 && other > first, "{first}, {other}");
    // By default a slice, in which each moment of both has its turn.
    let step = if is_full() { 1 } else { 29 };
    let deaths = (1..=first).flat_map(|at| (1..=other).map(move |dies| (at, When::CrashAt(dies)))).step_by(step);
    let moments = (1..=first).step_by(step.min(3)).map(|at| (at, When::Never));
    for (at, when) in deaths.chain(moments) {
        let context = format!("the other one at {at} of {first}: {when:?} of {other}");
        // A damaged bundle stands there as it stood until somebody has begun to mend it.
        let assert_standing = || if is_new { assert_whole(site.drop().to_string().into(), &context) } else { 1 };
        begin();
        let act = || {
            let died = send(&Faulty::new(when));
            assert!(died.is_ok() || when != When::Never, "{context}: {:?}", died.err());
            assert_standing();
        };
        let ended = send(&Interrupted::new(at, &act));
        match &ended {
            Ok(_) => assert_eq!(assert_whole(site.drop().to_string().into(), &context), 1, "{context}"),
            // One whose work was put away by one that died after it is told, and ships again.
            Err(error) => assert!(error.kind() == Kind::Io && when != When::Never, "{context}: {error}"),
        }
        assert_standing();
        site.ship(&site.bundle).unwrap();
        assert_same(&site.bundle, &site.there(""));
        assert_eq!(names(&site.path("drop")), [site.name(), site.name() + ".complete"], "{context}");
    }
}
