//! What somebody may try who has masked bundles, or writes what is masked.

use super::bundles::rows;
use super::keys::REKEYED;
use super::rich::{self, POLICY, SECRET, masked};
use crate::made::{Made, Row};
use crate::world::{World, tree};
use blobdelta::error::Kind;
use std::process::Command;

/// Calls `mask` with the secret in this file, or in the environment; whether it succeeded, and what it said.
fn call(world: &World, key_file: Option<&str>, args: &[&str]) -> (bool, Vec<u8>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
    command.arg("mask").args(args).current_dir(world.path(".")).env("RUST_BACKTRACE", "full");
    command.env("BLOBDELTA_CONFIG", "").env_remove("BLOBDELTA_MASK_KEY");
    match key_file {
        Some(file) => command.args(["--mask-key-file", file]),
        None => command.env("BLOBDELTA_MASK_KEY", SECRET),
    };
    let done = command.output().unwrap();
    (done.status.success(), [done.stdout, done.stderr].concat())
}

pub fn attack_the_masking_secret_is_in_no_output_and_no_file() {
    let (world, original) = rich::bundle(b"A letter of Joan Example.", &[]);
    let key = tempfile::tempdir().unwrap();
    let key_file = key.path().join("key").display().to_string();
    std::fs::write(&key_file, SECRET).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(world.path("policy.toml"), POLICY).unwrap();
    std::fs::write(world.path("bad.toml"), POLICY.replace("\"token\"", "\"rekey\"")).unwrap();
    std::fs::create_dir(world.path("masked")).unwrap();
    let original = original.display().to_string();
    let good = [original.as_str(), "--policy", "policy.toml", "--out", "masked"];
    let bytes: Vec<u8> = SECRET
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let holds = |bytes_of: &[u8]| {
        let lower = bytes_of.to_ascii_lowercase();
        lower.windows(SECRET.len()).any(|at| at == SECRET.as_bytes())
            || bytes_of.windows(bytes.len()).any(|at| at == bytes)
    };
    assert!(call(&world, None, &good).0);
    let masked = std::fs::read_dir(world.path("masked")).unwrap().next().unwrap().unwrap().path().display().to_string();
    for format in [&[][..], &["--json"], &["--log-format", "json"]] {
        for (args, succeeds) in [
            (&good[..], true),
            (&["--check", &masked, "--against", &original], true),
            (&[&original, "--policy", "bad.toml", "--out", "masked"], false),
            (&[&original, "--policy", "policy.toml", "--out", "nothing"], false),
            (&["--check", &original, "--against", &masked], false),
        ] {
            for file in [None, Some(key_file.as_str())] {
                let args = [args, format].concat();
                let (is_done, said) = call(&world, file, &args);
                assert!(!holds(&said), "{args:?}: {}", String::from_utf8_lossy(&said));
                assert_eq!(is_done, succeeds, "{args:?}: {}", String::from_utf8_lossy(&said));
            }
        }
    }
    for (path, bytes) in tree(&world.path(".")) {
        assert!(!holds(&bytes), "{}", path.display());
    }
}

pub fn attack_a_column_that_no_rule_names_is_not_kept() {
    let (world, original) = rich::bundle(b"A letter.", &[]);
    let out = world.path("masked");
    let rules: Vec<&str> = POLICY.lines().filter(|line| line.contains(" = ") && !line.starts_with("version")).collect();
    assert_eq!(rules.len(), 18);
    for rule in rules {
        let error = masked(&[&original], &POLICY.replace(&format!("{rule}\n"), ""), &out).unwrap_err();
        let said = error.to_string();
        assert!(error.kind() == Kind::Config && said.contains("does not name"), "{rule}: {said}");
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0, "{rule}");
    }
}

pub fn attack_the_order_of_rows_does_not_tell_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    // All in one place, so that keys alone decide their order.
    let row = |nth: u8| Row { path: vec![1], ..Row::root(nth, Some(150), &[nth]) };
    let made = Made { rows: (1..=100).map(row).collect(), ..Made::new(1, 1000, (100, 500)) };
    let original = made.write(folder.path());
    let done = masked(&[&original], REKEYED, &folder.path().join("masked")).unwrap();
    let order =
        |path: &std::path::Path| rows(path).into_values().map(|row| row["file_stream"].clone()).collect::<Vec<_>>();
    let (before, after) = (order(&original), order(done[0].published.path()));
    let stayed = before.iter().zip(&after).filter(|(one, other)| one == other).count();
    assert!(before.len() == after.len() && stayed < 10, "{stayed}");
}
