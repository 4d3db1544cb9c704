//! A hostile neighbour: whoever may write in the folder that a command works in, and acts between any two of its steps,
//! at the very name that the next step is about.
//!
//! What has to hold, whatever is done where and when: nothing outside of the folder is touched; nothing of the
//! neighbour's is removed but what stands under a name of ours; the command ends well or says why not; and done again,
//! beside what the neighbour left, it says why not, or all that it vouches for is whole.

use crate::faults::{points, tally};
use crate::ship::folders::{Site, names};
use crate::ship::prune::{Weeks, copy};
use blobdelta::bundle::{self, Access, Bundle, places};
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::{Disk, DurableFile, FolderEntry, Local, Sharing};
use blobdelta::error::{Kind, Result};
use blobdelta::monitor::Silent;
use blobdelta::ship::{PruneOptions, ReceiveOptions, ShipOptions, prune, receive, ship};
use blobdelta::store::Location;
use blobdelta::unpack::{UnpackOptions, unpack};
use blobdelta::verify::{VerifyLevel, verify};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const DIARY: &str = "diary.txt";
const PRECIOUS: &str = "nobody else's";
/// What is outside has the names that a bundle has, so that whoever follows a link finds what it looks for.
const OUTSIDE: [&str; 4] =
    ["precious", "manifest.json", "tagmanifest-sha256.txt", "data/t001-Files/part-00000.parquet"];

/// What the neighbour does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// The folder in which the next step works becomes a link to one outside.
    SwapFolder,
    /// What the next step is about becomes a link.
    Link,
    /// … or a folder with something in it.
    Folder,
    /// … or a file of the neighbour's.
    File,
    /// … or is gone.
    Gone,
    /// Something of the neighbour's comes beside it.
    Beside,
}

const DEEDS: [Deed; 6] = [Deed::SwapFolder, Deed::Link, Deed::Folder, Deed::File, Deed::Gone, Deed::Beside];

/// What is worked on meanwhile.
#[derive(Clone, Copy, Debug)]
enum Work {
    Ship,
    Mend,
    Prune,
    Receive,
    Extract,
    Archive,
    Compact,
    Unpack,
}

/// Does something before the n-th step of a disk, reading steps included.
#[derive(Clone)]
struct Watched {
    shared: Arc<Shared>,
    inner: Arc<dyn Disk>,
}

struct Shared {
    at: u64,
    count: AtomicU64,
    deed: Deed,
    /// The folder in which the neighbour may write, and where he keeps what he takes.
    folder: PathBuf,
    outside: PathBuf,
    stolen: PathBuf,
}

impl Watched {
    fn new(dir: &Path, folder: &str, (at, deed): (u64, Deed)) -> Self {
        let (outside, stolen) = (dir.join("outside"), dir.join("stolen"));
        for file in OUTSIDE {
            let path = outside.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, PRECIOUS).unwrap();
        }
        fs::create_dir_all(&stolen).unwrap();
        let shared = Shared { at, count: AtomicU64::new(0), deed, folder: dir.join(folder), outside, stolen };
        Self { shared: Arc::new(shared), inner: Arc::new(Local) }
    }

    fn count(&self) -> u64 {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// Steps at names in the folder are counted.
    fn step(&self, path: &Path) {
        let is_in = path.strip_prefix(&self.shared.folder).is_ok_and(|below| below.file_name().is_some());
        if is_in && self.shared.count.fetch_add(1, Ordering::SeqCst) + 1 == self.shared.at {
            self.shared.act(path);
        }
    }
}

impl Shared {
    fn act(&self, path: &Path) {
        let above = path.parent().filter(|above| *above != self.folder);
        match self.deed {
            Deed::SwapFolder => {
                // What lies right in the folder is swapped itself.
                let place = above.unwrap_or(path);
                self.take(place);
                let _ = symlink(&self.outside, place);
            }
            Deed::Link => {
                self.take(path);
                let _ = symlink(self.outside.join("precious"), path);
            }
            Deed::Folder => {
                self.take(path);
                if fs::create_dir(path).is_ok() {
                    fs::write(path.join(DIARY), PRECIOUS).unwrap();
                }
            }
            Deed::File => {
                self.take(path);
                let _ = fs::write(path, PRECIOUS);
            }
            Deed::Gone => self.take(path),
            Deed::Beside => _ = fs::write(path.with_file_name(DIARY), PRECIOUS),
        }
    }

    fn take(&self, path: &Path) {
        let nth = fs::read_dir(&self.stolen).unwrap().count();
        let _ = fs::rename(path, self.stolen.join(nth.to_string()));
    }
}

impl Disk for Watched {
    fn beneath(&self, root: &Path, sharing: Sharing) -> Result<Box<dyn Disk>> {
        self.step(root);
        let inner = Arc::from(self.inner.beneath(root, sharing)?);
        Ok(Box::new(Self { shared: Arc::clone(&self.shared), inner }))
    }

    fn look(&self, path: &Path) -> Result<Option<FolderEntry>> {
        self.step(path);
        self.inner.look(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<FolderEntry>> {
        self.step(path);
        self.inner.list(path)
    }

    fn read(&self, path: &Path) -> Result<Option<(File, u64)>> {
        self.step(path);
        self.inner.read(path)
    }

    fn hold(&self, path: &Path) -> Option<File> {
        self.step(path);
        self.inner.hold(path)
    }

    fn lock(&self, path: &Path, timeout: Duration) -> Result<Option<File>> {
        self.step(path);
        self.inner.lock(path, timeout)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.step(path);
        self.inner.create_dir(path)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DurableFile>> {
        self.step(path);
        self.inner.create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.step(from);
        self.step(to);
        self.inner.rename(from, to)
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<()> {
        self.step(from);
        self.step(to);
        self.inner.replace(from, to)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.step(path);
        self.inner.sync_dir(path)
    }

    fn sync_tree(&self, path: &Path) -> Result<()> {
        self.step(path);
        self.inner.sync_tree(path)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.step(path);
        self.inner.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.step(path);
        self.inner.remove_dir(path)
    }
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Ship => "a ship",
            Self::Mend => "a ship that mends",
            Self::Prune => "a prune",
            Self::Receive => "a receive",
            Self::Extract => "an extraction",
            Self::Archive => "an archive",
            Self::Compact => "a compaction",
            Self::Unpack => "an unpacking",
        }
    }

    /// The folder in which the neighbour may write.
    fn folder(self) -> &'static str {
        match self {
            Self::Ship | Self::Mend | Self::Prune => "drop",
            Self::Receive | Self::Extract | Self::Archive | Self::Compact | Self::Unpack => "in",
        }
    }

    /// What trials are copied from, and the name of a bundle in it.
    fn ground(self) -> (Site, String) {
        match self {
            Self::Ship | Self::Unpack | Self::Archive => {
                let site = Site::new();
                let name = site.name();
                (site, name)
            }
            Self::Mend | Self::Receive => {
                let site = Site::new();
                site.ship(&site.bundle).unwrap();
                if matches!(self, Self::Mend) {
                    fs::remove_file(site.there("data/t001-Files/part-00000.parquet")).unwrap();
                }
                let name = site.name();
                (site, name)
            }
            Self::Extract => {
                let site = Site::new();
                let bundle = Bundle::open(&site.bundle).unwrap();
                bundle::archive(&bundle, &Local, &site.path("made"), None, &Silent).unwrap();
                let name = site.name();
                (site, name)
            }
            Self::Prune | Self::Compact => {
                let weeks = Weeks::new();
                if matches!(self, Self::Prune) {
                    weeks.compacted(2);
                }
                let name = weeks.first();
                (weeks.site, name)
            }
        }
    }

    fn act(self, dir: &Path, name: &str, disk: &dyn Disk) -> Result<()> {
        let (made, into) = (dir.join("made").join(name), dir.join("in"));
        let drop_folder = Location::of_folder(&dir.join("drop"))?;
        match self {
            Self::Ship | Self::Mend => ship(&made, &drop_folder, &ShipOptions::default(), disk, &Silent).map(drop),
            Self::Prune => {
                let options = PruneOptions { keep_weeks: 1, is_plan: false, access: Access::default() };
                prune(&drop_folder, &options, disk, &Silent).map(drop)
            }
            Self::Receive => receive(&drop_folder, &into, &ReceiveOptions::default(), disk, &Silent).map(drop),
            Self::Extract => {
                let archive = Bundle::open(&dir.join("made").join(format!("{name}.tar")))?;
                bundle::extract(&archive, disk, &into, &Silent).map(drop)
            }
            Self::Archive => bundle::archive(&Bundle::open(&made)?, disk, &into, None, &Silent).map(drop),
            Self::Compact => {
                let all = names(&dir.join("drop")).into_iter().filter(|name| name.ends_with(".bundle")).take(3);
                let all = all.map(|name| Bundle::open(&dir.join("drop").join(name))).collect::<Result<_>>()?;
                // With intermediate bundles.
                let options = CompactOptions { side_by_side: 2, ..CompactOptions::default() };
                compact(all, disk, &into, &options, &Silent).map(drop)
            }
            Self::Unpack => {
                let options = UnpackOptions::new(into.join("files"));
                unpack(&[made], &options, disk, &Silent, &mut |_| ()).map(drop)
            }
        }
    }

    /// Whether all is whole that readers take for a bundle.
    fn is_whole(self, dir: &Path) -> bool {
        let place = match self {
            Self::Ship | Self::Mend => Location::of_folder(&dir.join("drop")).unwrap().to_string().into(),
            Self::Receive | Self::Extract | Self::Archive | Self::Compact => dir.join("in"),
            Self::Prune | Self::Unpack => return true,
        };
        let found = places(&[place]).unwrap();
        found.iter().all(|one| verify(&one.path, VerifyLevel::Deep, &Silent).is_ok_and(|report| report.is_good()))
    }
}

/// Every file below a folder that is called so; links are not followed.
fn find(folder: &Path, name: &str) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let count = |entry: fs::DirEntry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => find(&entry.path(), name),
        kind => usize::from(kind.is_file() && entry.file_name() == name),
    };
    entries.map(|entry| count(entry.unwrap())).sum()
}

fn assert_untouched(outside: &Path, context: &str) {
    for file in OUTSIDE {
        let read = fs::read_to_string(outside.join(file));
        assert!(read.is_ok_and(|read| read == PRECIOUS), "{context}: {file}");
    }
    assert_eq!(names(outside), ["data", "manifest.json", "precious", "tagmanifest-sha256.txt"], "{context}");
    assert_eq!(names(&outside.join("data")), ["t001-Files"], "{context}");
    assert_eq!(names(&outside.join("data/t001-Files")), ["part-00000.parquet"], "{context}");
}

fn assert_reported(ended: &Result<()>, context: &str) {
    if let Err(error) = ended {
        assert!(
            matches!(error.kind(), Kind::Io | Kind::Usage | Kind::Verification | Kind::Config),
            "{context}: {error}"
        );
        assert!(error.place().file.is_some(), "{context}: {error}");
    }
}

fn run_work(work: Work) {
    let (site, name) = work.ground();
    let trial = || {
        let dir = crate::faults::site::scratch();
        for folder in ["made", "drop", "in"] {
            copy(&site.path(folder), &dir.path().join(folder));
        }
        dir
    };
    let counting = trial();
    let alone = Watched::new(counting.path(), work.folder(), (0, Deed::Gone));
    work.act(counting.path(), &name, &alone).unwrap();
    assert!(alone.count() > 3, "{work:?} came to {} steps", alone.count());
    for deed in DEEDS {
        for at in points(usize::try_from(alone.count()).unwrap(), 3) {
            let dir = trial();
            let context = format!("{deed:?} at {at} of {} in {}", alone.count(), work.name());
            let watched = Watched::new(dir.path(), work.folder(), (at as u64, deed));
            let ended = work.act(dir.path(), &name, &watched);
            let context = format!("{context}: {ended:?}");
            assert_reported(&ended, &context);
            assert_untouched(&watched.shared.outside, &context);
            let diaries = find(dir.path(), DIARY);
            let again = work.act(dir.path(), &name, &Local);
            assert_reported(&again, &context);
            assert!(again.is_err() || work.is_whole(dir.path()), "{context}: again: {:?}", names(dir.path()));
            assert_untouched(&watched.shared.outside, &context);
            let is_kept = find(dir.path(), DIARY) == diaries && (deed != Deed::Beside || diaries == 1);
            assert!(is_kept, "{context}: the diary is gone");
            tally(&format!("a hostile neighbour beside {}", work.name()), (0, 0));
        }
    }
}

pub fn of_ship() {
    run_work(Work::Ship);
}

pub fn of_mend() {
    run_work(Work::Mend);
}

pub fn of_prune() {
    run_work(Work::Prune);
}

pub fn of_receive() {
    run_work(Work::Receive);
}

pub fn of_extract() {
    run_work(Work::Extract);
}

pub fn of_archive() {
    run_work(Work::Archive);
}

pub fn of_compact() {
    run_work(Work::Compact);
}

pub fn of_unpack() {
    run_work(Work::Unpack);
}
