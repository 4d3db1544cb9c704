//! A machine that loses power: what was not synced is thrown away at the n-th durable operation, and
//! the work is done again on what is left.
//!
//! The model holds every file that went through the disk with what of it was synced, and of every
//! folder the names that it has and those that it had when it was synced last. What becomes of the
//! rest, a file system may choose; [`Loss`] lists choices. SQLite's own syncs are trusted
//! (`synchronous = FULL`), but for the last commit: its journal's removal is not synced, so that one may
//! be undone, and then its files are as they stood before it.

use crate::faults::site::Site;
use crate::faults::work::Work;
use crate::faults::{points, tally};
use blobdelta::durable::{Disk, DurableFile, FolderEntry, Local, Sharing};
use blobdelta::error::{Error, Kind, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// What becomes of names and bytes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// Both are gone.
    Everything,
    /// The names are there, the files end where they were synced.
    Bytes,
    /// The names are there, and zeros or rubbish where bytes were.
    Zeros,
    Rubbish,
    /// Some of them, and the last commit of a database is undone.
    Some(u64),
}

const LOSSES: [Loss; 6] =
    [Loss::Everything, Loss::Bytes, Loss::Zeros, Loss::Rubbish, Loss::Some(1), Loss::Some(0x9E37_79B9)];

#[derive(Clone)]
enum Node {
    File { bytes: Vec<u8>, synced: usize },
    Folder { now: Names, kept: Names },
}

type Names = BTreeMap<OsString, usize>;

struct State {
    dies_at: u64,
    count: u64,
    nodes: Vec<Node>,
    /// Databases and their journals as they stood before the last commit.
    before_commit: BTreeMap<PathBuf, Vec<u8>>,
}

/// See the module's text. Of a site.
#[derive(Clone)]
struct Power {
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

fn is_database(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(".sqlite"))
}

fn databases(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = super::work::files(root);
    found.retain(|path, _| is_database(path));
    found
}

impl State {
    /// What stands there already is durable.
    fn import(&mut self, path: &Path) -> usize {
        let node = if path.is_dir() {
            let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
            let entries: Vec<_> = entries.filter(|entry| !is_database(&entry.path())).collect();
            let names: Names = entries.iter().map(|entry| (entry.file_name(), self.import(&entry.path()))).collect();
            Node::Folder { now: names.clone(), kept: names }
        } else {
            let bytes = std::fs::read(path).unwrap();
            Node::File { synced: bytes.len(), bytes }
        };
        self.add(node)
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn at(&self, path: &Path) -> usize {
        path.iter().fold(0, |at, name| match &self.nodes[at] {
            Node::Folder { now, .. } => now[name],
            Node::File { .. } => panic!("a file that is a folder: {}", path.display()),
        })
    }

    fn names(&mut self, path: &Path) -> (&mut Names, OsString) {
        let at = self.at(path.parent().unwrap());
        let Node::Folder { now, .. } = &mut self.nodes[at] else { panic!("{}", path.display()) };
        (now, path.file_name().unwrap().to_owned())
    }

    fn sync_file(&mut self, at: usize) {
        if let Node::File { bytes, synced } = &mut self.nodes[at] {
            *synced = bytes.len();
        }
    }

    fn sync_folder(&mut self, at: usize) {
        if let Node::Folder { now, kept } = &mut self.nodes[at] {
            *kept = now.clone();
        }
    }
}

impl Power {
    /// Of the site's root; the nodes' first.
    fn new(site: &Site, dies_at: u64) -> Self {
        let mut state = State { dies_at, count: 0, nodes: Vec::new(), before_commit: BTreeMap::new() };
        let node = Node::Folder { now: Names::new(), kept: Names::new() };
        state.add(node);
        let root = state.import(&site.path(""));
        state.nodes[0] = state.nodes[root].clone();
        Self { root: site.path(""), state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.root).unwrap()
    }

    fn step(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        state.count += 1;
        if state.count >= state.dies_at { Err(io::Error::other("the power is gone")) } else { Ok(state) }
    }

    fn operation(&self, what: &str, path: &Path) -> Result<MutexGuard<'_, State>> {
        self.step().map_err(|error| Error::io(what, path, error))
    }

    fn count(&self) -> u64 {
        self.lock().count
    }

    /// What is found when the machine has started again, in the place of what stood there.
    fn lose(&self, loss: Loss) {
        let state = self.lock();
        let mut coin = Coin(if let Loss::Some(seed) = loss { seed + state.count } else { 0 });
        let existing = match loss {
            Loss::Some(_) if coin.toss() && !state.before_commit.is_empty() => state.before_commit.clone(),
            _ => databases(&self.root),
        };
        for entry in std::fs::read_dir(&self.root).unwrap().map(|entry| entry.unwrap().path()) {
            std::fs::remove_dir_all(&entry).or_else(|_| std::fs::remove_file(&entry)).unwrap();
        }
        write(&state.nodes, 0, &self.root, loss, &mut coin);
        // A database whose folder was lost is lost with it.
        let there = existing.iter().filter(|(path, _)| path.parent().unwrap().is_dir());
        there.for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    }
}

/// A row of numbers that has no pattern to speak of (xorshift).
struct Coin(u64);

impl Coin {
    fn toss(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 & 4 == 0
    }
}

fn write(nodes: &[Node], at: usize, path: &Path, loss: Loss, coin: &mut Coin) {
    match &nodes[at] {
        Node::Folder { now, kept } => {
            if !path.is_dir() {
                std::fs::create_dir(path).unwrap();
            }
            let names = match loss {
                Loss::Everything => kept,
                Loss::Some(_) if coin.toss() => kept,
                _ => now,
            };
            names.iter().for_each(|(name, node)| write(nodes, *node, &path.join(name), loss, coin));
        }
        Node::File { bytes, synced } => {
            let (mut found, lost) = (bytes[..*synced].to_vec(), bytes.len() - synced);
            match loss {
                Loss::Everything | Loss::Bytes => {}
                Loss::Zeros => found.resize(bytes.len(), 0),
                Loss::Rubbish => found.extend((0..lost).map(|nth| (nth * 167 + 13) as u8)),
                Loss::Some(_) if coin.toss() => found.extend(&bytes[*synced..*synced + lost / 2]),
                Loss::Some(_) => found.clone_from(bytes),
            }
            std::fs::write(path, found).unwrap();
        }
    }
}

struct PoweredFile {
    power: Power,
    file: Box<dyn DurableFile>,
    node: usize,
}

impl Write for PoweredFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.power.step()?;
        let taken = self.file.write(bytes)?;
        if let Node::File { bytes: held, .. } = &mut state.nodes[self.node] {
            held.extend(&bytes[..taken]);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DurableFile for PoweredFile {
    fn sync(&mut self) -> Result<()> {
        self.power.operation("sync", Path::new("a file"))?.sync_file(self.node);
        Ok(())
    }

    /// Nothing is promised of what was only begun.
    fn begin_sync(&mut self) -> Result<()> {
        self.power.operation("begin to sync", Path::new("a file")).map(drop)
    }

    fn set_modified(&mut self, at: SystemTime) -> Result<()> {
        self.file.set_modified(at)
    }
}

impl Disk for Power {
    /// Nobody else is here.
    fn beneath(&self, _: &Path, _: Sharing) -> Result<Box<dyn Disk>> {
        Ok(Box::new(self.clone()))
    }

    fn look(&self, path: &Path) -> Result<Option<FolderEntry>> {
        Local.look(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<FolderEntry>> {
        Local.list(path)
    }

    fn read(&self, path: &Path) -> Result<Option<(File, u64)>> {
        Local.read(path)
    }

    fn hold(&self, path: &Path) -> Option<File> {
        Local.hold(path)
    }

    fn lock(&self, path: &Path, timeout: Duration) -> Result<Option<File>> {
        Local.lock(path, timeout)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        let mut state = self.operation("create", path)?;
        Local.create_dir(path)?;
        let node = state.add(Node::Folder { now: Names::new(), kept: Names::new() });
        let (names, name) = state.names(self.inner(path));
        names.insert(name, node);
        Ok(())
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DurableFile>> {
        let mut state = self.operation("create", path)?;
        let file = Local.create(path)?;
        let node = state.add(Node::File { bytes: Vec::new(), synced: 0 });
        let (names, name) = state.names(self.inner(path));
        names.insert(name, node);
        drop(state);
        Ok(Box::new(PoweredFile { power: self.clone(), file, node }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.operation("rename", to)?;
        Local.rename(from, to)?;
        let (names, name) = state.names(self.inner(from));
        let node = names.remove(&name).unwrap();
        let (names, name) = state.names(self.inner(to));
        names.insert(name, node);
        Ok(())
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.operation("rename", to)?;
        Local.replace(from, to)?;
        let (names, name) = state.names(self.inner(from));
        let node = names.remove(&name).unwrap();
        let (names, name) = state.names(self.inner(to));
        names.insert(name, node);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        let mut state = self.operation("sync", path)?;
        let at = state.at(self.inner(path));
        state.sync_folder(at);
        Ok(())
    }

    fn sync_tree(&self, path: &Path) -> Result<()> {
        let mut state = self.operation("sync", path)?;
        let above = state.at(self.inner(path.parent().unwrap()));
        let mut waiting = vec![state.at(self.inner(path))];
        state.sync_folder(above);
        while let Some(at) = waiting.pop() {
            state.sync_file(at);
            state.sync_folder(at);
            if let Node::Folder { now, .. } = &state.nodes[at] {
                waiting.extend(now.values());
            }
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        let mut state = self.operation("remove", path)?;
        Local.remove_file(path)?;
        let (names, name) = state.names(self.inner(path));
        names.remove(&name);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        let mut state = self.operation("remove", path)?;
        Local.remove_dir(path)?;
        let (names, name) = state.names(self.inner(path));
        names.remove(&name);
        Ok(())
    }

    fn before_commit(&self, what: &str) -> Result<()> {
        let failed = |error| Error::new(Kind::Database, format!("cannot commit: {what}")).caused_by(error);
        let mut state = self.step().map_err(failed)?;
        state.before_commit = databases(&self.root);
        Ok(())
    }
}

/// Bundles that the job database knows.
fn recorded(site: &Site) -> BTreeSet<String> {
    site.recorded_bundles().into_iter().map(|name| format!("out/{name}")).collect()
}

/// Loses power at points of a kind of work.
pub fn campaign(work: Work, site: &Site) {
    let whole = site.copied();
    let counting = Power::new(&whole, u64::MAX);
    let disk: Arc<dyn Disk> = Arc::new(counting.clone());
    work.act(&whole, &disk).unwrap();
    let all = usize::try_from(counting.count()).unwrap();
    // The one behind the last: what was done stands when it is told that it was.
    let ends = points(all, 1).into_iter().chain([all + 1]);
    for (nth, loss) in ends.flat_map(|nth| chosen(nth, nth > all).into_iter().map(move |loss| (nth, loss))) {
        let place = site.copied();
        let context = format!("power lost ({loss:?}) in {}, before operation {nth} of {all}", work.name());
        let power = Power::new(&place, nth as u64);
        let disk: Arc<dyn Disk> = Arc::new(power.clone());
        let ended = work.act(&place, &disk);
        drop(disk);
        power.lose(loss);
        place.report_moved();
        work.check(&place, &context);
        let bundles: BTreeSet<String> = place.bundles("out").into_iter().collect();
        assert!(recorded(&place).is_subset(&bundles), "{context}: recorded and not there: {bundles:?}");
        if ended.is_ok() && !matches!(loss, Loss::Some(_)) {
            assert_eq!(work.lost_and_extra(&place), (0, 0), "{context}: it was said to be done");
        }
        let found = work.again(&place, &context);
        assert_eq!(found, (0, 0), "{context}");
        tally(&format!("power lost: {}", work.name()), found);
    }
}

/// All losses in a full campaign, or one after the other; of what was done to its end, the worst.
fn chosen(nth: usize, is_done: bool) -> Vec<Loss> {
    match (super::is_full(), is_done) {
        (true, _) => LOSSES.to_vec(),
        (false, true) => vec![Loss::Everything],
        (false, false) => vec![LOSSES[nth % LOSSES.len()]],
    }
}
