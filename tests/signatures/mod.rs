//! Signatures, against the programs that everybody else will use: `ssh-keygen`, `ssh-agent` and
//! `ssh-add` (Debian: openssh-client), and on bundles. Where they are missing, every test here is reported as skipped; with
//! `CI` set it fails there instead.
//!
//! Keys are made at run time, in folders that go again.

mod adoption;
mod armour;
mod bundles;
mod doors;
pub mod keys;
mod lines;
mod signer;

use crate::List;

type Test = (&'static str, fn());

const PROGRAMS: [&str; 4] = ["ssh-keygen", "ssh-agent", "ssh-add", "setsid"];

/// The list of this folder.
pub fn list() -> List {
    let is_ci = std::env::var_os("CI").is_some();
    let missing: Vec<&str> = PROGRAMS.into_iter().filter(|program| !keys::is_installed(program)).collect();
    let skipped = (!missing.is_empty() && !is_ci).then(|| format!("{} cannot be run", missing.join(", ")));
    let mut list = List::new("signatures");
    for (name, test) in
        [armour::TESTS, lines::TESTS, signer::TESTS, bundles::TESTS, doors::TESTS, adoption::TESTS].concat()
    {
        list.add(name, skipped.clone(), test);
    }
    list
}
