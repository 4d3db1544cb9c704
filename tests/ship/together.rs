//! Two ships of one bundle to one folder at once: at every durable operation of the one, the other
//! runs, whole or until it dies. Whatever comes of it, a marker stands with its exact files alone, and
//! shipping again ends well, without litter.

use crate::List;
use crate::faults::is_full;
use crate::ship::crashes::assert_whole;
use crate::ship::folders::{Site, assert_same, names};
use blobdelta::durable::{Disk, DurableFile, Entry, Faulty, Local, Sharing, When};
use blobdelta::error::{Error, Kind, Result};
use blobdelta::monitor::Silent;
use blobdelta::ship::{ShipOptions, ship};
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

pub fn add_to(list: &mut List) {
    list.add("two_ships_at_once_leave_no_marker_without_a_file", None, || play(|_| ()));
    list.add("two_mends_at_once_leave_no_marker_without_a_file", None, || play(damage));
}

/// Does something else before its n-th operation, and may die so many operations after it.
struct Interrupted<'a> {
    at: u64,
    lives: Option<u64>,
    count: AtomicU64,
    act: &'a (dyn Fn() + Sync),
}

impl<'a> Interrupted<'a> {
    fn new(at: u64, lives: Option<u64>, act: &'a (dyn Fn() + Sync)) -> Self {
        Self { at, lives, count: AtomicU64::new(0), act }
    }

    fn reached(&self, path: &Path) -> Result<()> {
        let nth = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if nth == self.at {
            (self.act)();
        }
        match self.lives {
            Some(lives) if nth >= self.at + lives => Err(Error::new(Kind::Io, "it has died").file(path)),
            _ => Ok(()),
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
        self.reached(path)?;
        Local.create_dir(path)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DurableFile>> {
        self.reached(path)?;
        Local.create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.reached(to)?;
        Local.rename(from, to)
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<()> {
        self.reached(to)?;
        Local.replace(from, to)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.reached(path)?;
        Local.sync_dir(path)
    }

    fn sync_tree(&self, path: &Path) -> Result<()> {
        self.reached(path)?;
        Local.sync_tree(path)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.reached(path)?;
        Local.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.reached(path)?;
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
    let alone = Interrupted::new(u64::MAX, None, &nothing);
    let is_new = begin();
    send(&alone).unwrap();
    begin();
    send(&counting).unwrap();
    let (first, other) = (alone.count.load(Ordering::SeqCst), counting.count());
    assert!(first > 10 && other > first, "{first}, {other}");
    // By default a slice, in which each moment of both has its turn.
    let step = if is_full() { 1 } else { 29 };
    let deaths = (1..=first).flat_map(|at| (1..=other).map(move |dies| (at, When::CrashAt(dies), None))).step_by(step);
    // The other one ends well, and this one goes on with what it saw before, or dies a little later.
    let lives = |at| [None, Some(1), Some(2), Some(3)].map(|lives| (at, When::Never, lives));
    let moments = (1..=first).step_by(if is_new && !is_full() { 5 } else { 1 }).flat_map(lives);
    for (at, when, lives) in deaths.chain(moments) {
        let context = format!("the other one at {at} of {first}: {when:?} of {other}; this one: {lives:?}");
        // A damaged bundle stands there as it stood until somebody has begun to mend it.
        let assert_standing = || if is_new { assert_whole(site.drop().to_string().into(), &context) } else { 1 };
        begin();
        let act = || {
            let died = send(&Faulty::new(when));
            assert!(died.is_ok() || when != When::Never, "{context}: {:?}", died.err());
            assert_standing();
        };
        let ended = send(&Interrupted::new(at, lives, &act));
        match &ended {
            Ok(_) => assert_eq!(assert_whole(site.drop().to_string().into(), &context), 1, "{context}"),
            // One whose work was put away by one that died after it is told, and ships again.
            Err(error) => {
                let may_fail = when != When::Never || lives.is_some();
                assert!(error.kind() == Kind::Io && may_fail, "{context}: {error}");
            }
        }
        // What the other one left whole stays whole, or is not there, whatever becomes of this one.
        if when == When::Never {
            assert_whole(site.drop().to_string().into(), &context);
        }
        assert_standing();
        site.ship(&site.bundle).unwrap();
        assert_same(&site.bundle, &site.there(""));
        assert_eq!(names(&site.path("drop")), [site.name(), site.name() + ".complete"], "{context}");
    }
}
