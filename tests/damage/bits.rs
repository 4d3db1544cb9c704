//! Single bits, of every file of a signed bundle, and of the same bundle as an archive.

use crate::damage::bundle::{Copy, files, fixture, options};
use crate::damage::tally;
use blobdelta::monitor::Silent;
use blobdelta::verify::verify_with;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file in which bits are flipped, and the bundle that it belongs to.
struct Target {
    bundle: PathBuf,
    path: PathBuf,
    bytes: Vec<u8>,
}

/// A copy of the folder and one of the archive, and all their files.
fn targets() -> (Copy, tempfile::TempDir, Vec<Target>) {
    let (copy, folder) = (Copy::new(), tempfile::tempdir().unwrap());
    let archive = folder.path().join("archive");
    fs::copy(
        fixture("-1.bundle.tar").with_file_name(copy.path.with_extension("bundle.tar").file_name().unwrap()),
        &archive,
    )
    .unwrap();
    let of_folder =
        |(file, bytes): (String, Vec<u8>)| Target { bundle: copy.path.clone(), path: copy.path.join(file), bytes };
    let mut targets: Vec<_> = files(&copy.path).into_iter().map(of_folder).collect();
    let size: usize = targets.iter().map(|target| target.bytes.len()).sum();
    assert!(size >= 30_000, "the bundle has {size} bytes");
    targets.push(Target { bundle: archive.clone(), bytes: fs::read(&archive).unwrap(), path: archive });
    (copy, folder, targets)
}

fn put(file: &mut File, at: usize, byte: u8) {
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[byte]).unwrap();
}

impl Target {
    fn class(&self) -> &'static str {
        if self.bundle == self.path { "a bit of the archive flipped" } else { "a bit of a file of the folder flipped" }
    }

    fn open(&self) -> File {
        OpenOptions::new().write(true).open(&self.path).unwrap()
    }

    /// Flips one bit, verifies, and flips it back.
    fn flip(&self, file: &mut File, bit: usize, options: &blobdelta::verify::VerifyOptions) {
        let (at, mask) = (bit / 8, 1 << (bit % 8));
        put(file, at, self.bytes[at] ^ mask);
        let report = verify_with(&self.bundle, options, &Silent);
        put(file, at, self.bytes[at]);
        let is_rejected = report.is_ok_and(|report| !report.is_good());
        tally(self.class(), is_rejected);
        assert!(is_rejected, "bit {bit} of {}", self.path.display());
    }
}

fn is_good(bundle: &Path, options: &blobdelta::verify::VerifyOptions) -> bool {
    verify_with(bundle, options, &Silent).unwrap().is_good()
}

pub fn a_random_thousand() {
    let (_copy, _folder, targets) = targets();
    let options = options(true);
    assert!(targets.iter().all(|target| is_good(&target.bundle, &options)));
    // Others each time; a bit that is not rejected is named by the message.
    let random = RandomState::new();
    let all: usize = targets.iter().map(|target| target.bytes.len() * 8).sum();
    for nth in 0..1000 {
        let mut bit = usize::try_from(random.hash_one(nth)).unwrap() % all;
        let target = targets.iter().find(|target| {
            let bits = target.bytes.len() * 8;
            let is_here = bit < bits;
            bit -= if is_here { 0 } else { bits };
            is_here
        });
        let target = target.unwrap();
        target.flip(&mut target.open(), bit, &options);
    }
    assert!(targets.iter().all(|target| is_good(&target.bundle, &options)));
}

/// In two halves at once, each on a copy of its own.
pub fn every_one() {
    let half = |nth: usize| {
        let (_copy, _folder, targets) = targets();
        let options = options(true);
        for target in &targets {
            let mut file = target.open();
            (0..target.bytes.len() * 8).skip(nth).step_by(2).for_each(|bit| target.flip(&mut file, bit, &options));
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        half(0);
        other.join().unwrap();
    });
}
