//! Signatures, against the programs that everybody else will use: `ssh-keygen`, `ssh-agent` and
//! `ssh-add` (Debian: openssh-client), and on bundles. Where they are missing, every test here is reported as skipped; with
//! `CI` set it fails there instead.
//!
//! Keys are made at run time, in folders that go again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod adoption;
mod armour;
mod bundles;
mod keys;
mod lines;
mod signer;

#[expect(dead_code, reason = "what only the tests of the commands need")]
#[path = "../cli/world.rs"]
mod world;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

type Test = (&'static str, fn());

const PROGRAMS: [&str; 4] = ["ssh-keygen", "ssh-agent", "ssh-add", "setsid"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let is_ci = std::env::var_os("CI").is_some();
    let missing: Vec<&str> = PROGRAMS.into_iter().filter(|program| !keys::is_installed(program)).collect();
    let all = [armour::TESTS, lines::TESTS, signer::TESTS, bundles::TESTS, adoption::TESTS].concat();
    let trial = |(name, test): Test| {
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(!missing.is_empty() && !is_ci)
    };
    let done = libtest_mimic::run(&arguments, all.into_iter().map(trial).collect());
    if !missing.is_empty() && !is_ci && !arguments.list {
        println!("SKIPPED {} tests of signatures: {} cannot be run\n", done.num_ignored, missing.join(", "));
    }
    done.exit_code()
}
