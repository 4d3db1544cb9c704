//! What other programs make of our files, and we of theirs.
//!
//! A machine without one of the programs reports its tests as skipped, by name and count; with `CI`
//! set they fail there instead.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod archives;

#[expect(dead_code, reason = "what only the tests of the commands need")]
#[path = "../cli/world.rs"]
mod world;

use libtest_mimic::{Arguments, Trial};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use world::World;

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

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let is_ci = std::env::var_os("CI").is_some();
    let mut missing = BTreeSet::new();
    let mut trials = Vec::new();
    for (name, case, programs) in LIST {
        let absent: Vec<_> = programs.iter().filter(|(_, program)| !is_there(program)).collect();
        missing.extend(absent.iter().map(|(package, _)| *package));
        let is_skipped = !absent.is_empty() && !is_ci;
        let trial = Trial::test(*name, move || {
            case(&World::new());
            Ok(())
        });
        trials.push(trial.with_ignored_flag(is_skipped));
    }
    let done = libtest_mimic::run(&arguments, trials);
    if !is_ci && !missing.is_empty() && !arguments.list {
        println!("SKIPPED {} tests: not installed here: {missing:?} (Debian packages)\n", done.num_ignored);
    }
    done.exit_code()
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
