//! What other programs make of our files, and we of theirs.
//!
//! A machine without one of the programs reports its tests as skipped, by name and count; with `CI`
//! set they fail there instead.

mod archives;

use crate::List;
use crate::world::World;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

type Case = fn(&World);

/// Each test, and the Debian packages whose programs it calls, with those programs.
const LIST: &[(&str, Case, &[Program])] = &[
    ("tar_opens_an_archive", archives::tar_opens_an_archive, &[TAR, COREUTILS]),
    ("age_opens_ours_and_we_open_its_own", archives::age_opens_ours_and_we_open_its_own, &[AGE, TAR, COREUTILS]),
];

/// A Debian package, and a program in it.
type Program = (&'static str, &'static str);
const AGE: Program = ("age", "age");
const COREUTILS: Program = ("coreutils", "sha256sum");
const TAR: Program = ("tar", "tar");

/// The list of this folder.
pub fn list() -> List {
    let is_ci = std::env::var_os("CI").is_some();
    let mut list = List::new("programs");
    for (name, case, programs) in LIST {
        let absent = programs.iter().filter(|(_, program)| !is_there(program));
        let absent: Vec<&str> = absent.map(|(package, _)| *package).collect();
        let reason = format!("not installed here: {} (Debian packages)", absent.join(", "));
        list.add(name, (!absent.is_empty() && !is_ci).then_some(reason), || case(&World::new()));
    }
    list
}

/// Whether a program can be called.
fn is_there(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// The only file in a folder.
fn only(folder: &Path) -> PathBuf {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

/// A call that has to succeed.
fn run_program(program: &str, args: &[&str], folder: &Path) -> Output {
    let done = Command::new(program).args(args).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{program} {args:?}: {done:?}");
    done
}
