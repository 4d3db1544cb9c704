//! What is asked of the demo, and what it answers.

use super::compare::Comparison;
use super::server::ServerReport;
use crate::backend::Connection;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// See [`super::run_demo`].
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// The folder whose files become the source. Nothing in it is ever written.
    pub from: PathBuf,
    /// Where everything is left: `source/`, `bundles/`, `target/`. Missing, or empty.
    pub dir: PathBuf,
    /// A server to play on instead of embedded instances in `dir`; nothing of the demo may stand there, and nothing of it
    /// does at the end unless it is to be kept.
    pub into: Option<Connection>,
    /// So many small rows instead of the files, and a full load alone: for measuring.
    pub rows: Option<u64>,
    /// Weeks of changes after the full load, each with a run at its end.
    pub weeks: u32,
    /// Whether what is made on a server stays there.
    pub keep: bool,
    /// Whether bundles leave out content that earlier ones have.
    pub omit_known_content: bool,
}

/// What the demo did.
#[derive(Debug, Default)]
pub struct DemoReport {
    /// The bundles, in the order in which they were made.
    pub bundles: Vec<PathBuf>,
    /// What the comparison of source and target found.
    pub comparison: Option<Comparison>,
    /// With `rows`: how long a row took.
    pub pace: Option<Pace>,
    /// On a server: what of it was tried.
    pub server: Option<ServerReport>,
}

/// How long a row takes as a run goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Batches that were measured.
    pub batches: usize,
    /// Microseconds a row in the first tenth of them.
    pub first_micros: f64,
    /// Microseconds a row in the last tenth.
    pub last_micros: f64,
}

/// The folders of a demo.
pub(super) struct Folders {
    pub source: PathBuf,
    pub bundles: PathBuf,
    pub target: PathBuf,
}

impl Folders {
    pub(super) fn of(dir: &Path) -> Self {
        Self { source: dir.join("source"), bundles: dir.join("bundles"), target: dir.join("target") }
    }
}

impl DemoOptions {
    /// Refuses folders that would be read and written at once, or that hold something already.
    ///
    /// # Errors
    /// Usage.
    pub fn check(&self) -> Result<()> {
        let is_taken = match std::fs::read_dir(&self.dir) {
            // The files may lie in the folder, and nothing else.
            Ok(mut entries) => entries.any(|entry| entry.is_ok_and(|entry| entry.path() != self.from)),
            Err(_) => self.dir.symlink_metadata().is_ok(),
        };
        if is_taken {
            return Err(Error::usage("this folder exists already; the demo overwrites nothing")
                .file(&self.dir)
                .hint("remove it, or name another folder with --dir"));
        }
        let parent = self.dir.ancestors().skip(1).find_map(|above| {
            let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            above.canonicalize().ok()
        });
        let from = self.from.canonicalize().ok();
        if self.rows.is_none()
            && from.is_some()
            && parent.is_some_and(|parent| parent.starts_with(from.unwrap_or_default()))
        {
            return Err(Error::usage("the demo would write into the folder that it reads")
                .file(&self.dir)
                .hint("name a folder outside of it with --dir"));
        }
        Ok(())
    }
}
