//! Two ships of one bundle to one folder at once: at every durable operation of the one, the other
//! runs, whole or until it dies. Whatever comes of it, a marker stands with its exact files alone, and
//! shipping again ends well, without litter.

use crate::List;
use crate::faults::is_full;
use crate::ship::crashes::assert_whole;
use crate::ship::folders::{Site, assert_same, names};
use crate::ship::prune::{Weeks, copy};
use blobdelta::durable::{Disk, DurableFile, Faulty, FolderEntry, Local, Sharing, When};
use blobdelta::error::{Error, Kind, Result};
use blobdelta::monitor::Silent;
use blobdelta::ship::{ShipOptions, Shipped, ship};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub fn add_to(list: &mut List) {
    list.add("two_ships_at_once_leave_no_marker_without_a_file", None, || run_both(|_| ()));
    list.add("two_mends_at_once_leave_no_marker_without_a_file", None, || run_both(damage));
    list.add("a_prune_at_any_step_of_a_ship_leaves_no_marker_without_a_file", None, || beside_a_prune(false));
    list.add("a_ship_at_any_step_of_a_prune_leaves_no_marker_without_a_file", None, || beside_a_prune(true));
    list.add("attack_another_bundle_has_the_name_first", None, another_has_the_name);
}

/// Does something else before its n-th operation, and may die so many operations after it.
#[derive(Clone)]
struct Interrupted {
    shared: Arc<Shared>,
    inner: Arc<dyn Disk>,
}

struct Shared {
    at: u64,
    lives: Option<u64>,
    count: AtomicU64,
    is_done: AtomicBool,
    /// Where the other one works: while this one holds it, the other one waits, and acts a little later.
    folder: PathBuf,
    act: Box<dyn Fn() + Send + Sync>,
}

impl Interrupted {
    fn new(at: u64, lives: Option<u64>, folder: PathBuf, act: impl Fn() + Send + Sync + 'static) -> Self {
        let (count, is_done) = (AtomicU64::new(0), AtomicBool::new(false));
        let shared = Shared { at, lives, count, is_done, folder, act: Box::new(act) };
        Self { shared: Arc::new(shared), inner: Arc::new(Local) }
    }

    fn count(&self) -> u64 {
        self.shared.count.load(Ordering::SeqCst)
    }

    fn reached(&self, path: &Path) -> Result<()> {
        let Shared { at, lives, count, is_done, folder, act } = &*self.shared;
        let nth = count.fetch_add(1, Ordering::SeqCst) + 1;
        if nth >= *at && !is_done.load(Ordering::SeqCst) && Local.hold(folder).is_some() {
            is_done.store(true, Ordering::SeqCst);
            act();
        }
        match lives {
            Some(lives) if nth >= at + lives => Err(Error::new(Kind::Io, "it has died").file(path)),
            _ => Ok(()),
        }
    }
}

impl Disk for Interrupted {
    fn beneath(&self, root: &Path, sharing: Sharing) -> Result<Box<dyn Disk>> {
        let inner = Arc::from(self.inner.beneath(root, sharing)?);
        Ok(Box::new(Self { shared: Arc::clone(&self.shared), inner }))
    }

    fn look(&self, path: &Path) -> Result<Option<FolderEntry>> {
        self.inner.look(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<FolderEntry>> {
        self.inner.list(path)
    }

    fn read(&self, path: &Path) -> Result<Option<(File, u64)>> {
        self.inner.read(path)
    }

    fn hold(&self, path: &Path) -> Option<File> {
        self.inner.hold(path)
    }

    fn lock(&self, path: &Path, timeout: Duration) -> Result<Option<File>> {
        self.reached(path)?;
        self.inner.lock(path, timeout)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.reached(path)?;
        self.inner.create_dir(path)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DurableFile>> {
        self.reached(path)?;
        self.inner.create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.reached(to)?;
        self.inner.rename(from, to)
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<()> {
        self.reached(to)?;
        self.inner.replace(from, to)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.reached(path)?;
        self.inner.sync_dir(path)
    }

    fn sync_tree(&self, path: &Path) -> Result<()> {
        self.reached(path)?;
        self.inner.sync_tree(path)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.reached(path)?;
        self.inner.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.reached(path)?;
        self.inner.remove_dir(path)
    }
}

/// A bundle that stands there, and lacks a part.
fn damage(site: &Site) {
    site.ship(&site.bundle).unwrap();
    std::fs::remove_file(site.there("data/t001-Files/part-00000.parquet")).unwrap();
}

fn send(site: &Site, disk: &dyn Disk) -> Result<Shipped> {
    ship(&site.bundle, &site.drop(), &ShipOptions::default(), disk, &Silent)
}

/// An empty place, prepared; says whether it still is.
fn begin(site: &Site, prepare: fn(&Site)) -> bool {
    std::fs::remove_dir_all(site.path("drop")).unwrap();
    std::fs::create_dir(site.path("drop")).unwrap();
    prepare(site);
    names(&site.path("drop")).is_empty()
}

fn run_both(prepare: fn(&Site)) {
    let site = Arc::new(Site::new());
    let counting = Faulty::new(When::Never);
    let alone = Interrupted::new(u64::MAX, None, site.path("drop"), || ());
    let is_new = begin(&site, prepare);
    send(&site, &alone).unwrap();
    begin(&site, prepare);
    send(&site, &counting).unwrap();
    let (first, other) = (alone.count(), counting.count());
    assert!(first > 10 && other > 10, "{first}, {other}");
    // By default a slice, in which each moment of both has its turn.
    let step = if is_full() { 1 } else { 29 };
    let deaths = (1..=first).flat_map(|at| (1..=other).map(move |dies| (at, When::CrashAt(dies), None))).step_by(step);
    // The other one ends well, and this one goes on with what it saw before, or dies a little later.
    let lives = |at| [None, Some(1), Some(2), Some(3)].map(|lives| (at, When::Never, lives));
    let moments = (1..=first).step_by(if is_new && !is_full() { 5 } else { 1 }).flat_map(lives);
    for (at, when, lives) in deaths.chain(moments) {
        let context = format!("the other one at {at} of {first}: {when:?} of {other}; this one: {lives:?}");
        begin(&site, prepare);
        meet(&site, is_new, (at, when, lives), &context);
        site.ship(&site.bundle).unwrap();
        assert_same(&site.bundle, &site.there(""));
        assert_eq!(names(&site.path("drop")), [site.name(), site.name() + ".complete"], "{context}");
    }
}

fn meet(site: &Arc<Site>, is_new: bool, (at, when, lives): (u64, When, Option<u64>), context: &str) {
    let place = |site: &Site| PathBuf::from(site.drop().to_string());
    // A damaged bundle stands there as it stood until somebody has begun to mend it.
    let assert_existing = move |site: &Site, context: &str| {
        if is_new {
            assert_whole(place(site), context);
        }
    };
    let (other, reported) = (Arc::clone(site), context.to_owned());
    let act = move || {
        let died = send(&other, &Faulty::new(when));
        assert!(died.is_ok() || when != When::Never, "{reported}: {:?}", died.err());
        assert_existing(&other, &reported);
    };
    match &send(site, &Interrupted::new(at, lives, site.path("drop"), act)) {
        Ok(_) => assert_eq!(assert_whole(place(site), context), 1, "{context}"),
        // One whose work was put away by one that died after it is told, and ships again.
        Err(error) => {
            let may_fail = when != When::Never || lives.is_some();
            assert!(error.kind() == Kind::Io && may_fail, "{context}: {error}");
        }
    }
    // What the other one left whole stays whole, or is not there, whatever becomes of this one.
    if when == When::Never {
        assert_whole(place(site), context);
    }
    assert_existing(site, context);
}

/// A bundle that a compacted one stands for is shipped once more and pruned: others act at each step of the one.
fn beside_a_prune(is_ship_second: bool) {
    let weeks = Arc::new(Weeks::new());
    weeks.compacted(2);
    let (there, before) = (weeks.site.path("drop"), weeks.site.path("before"));
    std::fs::rename(&there, &before).unwrap();
    // With it there, and with it gone: then it is sent whole.
    for is_gone in [false, true] {
        let begin = || {
            let _ = std::fs::remove_dir_all(&there);
            copy(&before, &there);
            if is_gone {
                std::fs::remove_dir_all(there.join(weeks.first())).unwrap();
                std::fs::remove_file(there.join(weeks.first() + ".complete")).unwrap();
            }
        };
        let act = |weeks: &Weeks, disk: &dyn Disk, is_ship: bool| match is_ship {
            true => ship(&weeks.bundles[0], &weeks.site.drop(), &ShipOptions::default(), disk, &Silent).map(drop),
            false => weeks.prune(false, disk).map(drop),
        };
        begin();
        let alone = Interrupted::new(u64::MAX, None, there.clone(), || ());
        act(&weeks, &alone, !is_ship_second).unwrap();
        for at in (1..=alone.count()).step_by(if is_full() { 1 } else { 5 }) {
            let context = format!("the other one at {at} of {}, gone: {is_gone}", alone.count());
            begin();
            let other = Arc::clone(&weeks);
            // A second ship shares the claim of the first, and takes it away when it has ended: a prune then goes on.
            let other = move || {
                drop(act(&other, &Local, true));
                if !is_ship_second {
                    drop(act(&other, &Local, false));
                }
            };
            let ended = act(&weeks, &Interrupted::new(at, None, there.clone(), other), !is_ship_second);
            if let Err(error) = &ended {
                assert!(matches!(error.kind(), Kind::Usage | Kind::Io | Kind::Verification), "{context}: {error}");
            }
            assert_whole(weeks.site.drop().to_string().into(), &format!("{context}: {ended:?}"));
            assert_whole(there.clone(), &context);
            act(&weeks, &Local, true).unwrap();
            act(&weeks, &Local, false).unwrap();
            weeks.there();
        }
    }
}

/// Somebody gives a bundle of the same names and sizes, but not the same bytes, the name before we do.
fn another_has_the_name() {
    let site = Arc::new(Site::new());
    let forged = site.path("forged");
    copy(&site.bundle, &forged);
    let part = forged.join("data/t001-Files/part-00000.parquet");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[100] ^= 1;
    std::fs::write(part, bytes).unwrap();
    let alone = Interrupted::new(u64::MAX, None, site.path("drop"), || ());
    send(&site, &alone).unwrap();
    let mut refused = 0;
    for at in 1..=alone.count() {
        begin(&site, |_| ());
        let (other, forged) = (Arc::clone(&site), forged.clone());
        let act = move || {
            let name = other.path("drop").join(other.name());
            if !name.exists() {
                copy(&forged, &name);
            }
        };
        let ended = send(&site, &Interrupted::new(at, None, site.path("drop"), act));
        assert_whole(Site::drop(&site).to_string().into(), &format!("at {at}: {ended:?}"));
        refused += u32::from(ended.is_err());
    }
    assert!(refused > 10, "{refused} of {}", alone.count());
}
