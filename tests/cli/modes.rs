//! Who may read what a command makes.

use crate::world::World;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A call by somebody who hands everything to everybody.
fn called(world: &World, line: &[&str], envs: &[(&str, &str)]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_blobdelta")]).args(line);
    command.current_dir(world.path("")).env("BLOBDELTA_CONNECTION", world.connection()).envs(envs.iter().copied());
    command.output().unwrap()
}

fn good(world: &World, line: &[&str]) {
    let done = called(world, line, &[]);
    assert!(done.status.success(), "{line:?}: {done:?}");
}

/// Everything below a folder, with its permission bits.
fn modes(folder: &Path) -> Vec<(PathBuf, bool, u32)> {
    let (mut found, mut waiting) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = waiting.pop() {
        for path in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            let metadata = path.symlink_metadata().unwrap();
            found.push((path.clone(), metadata.is_dir(), metadata.permissions().mode() & 0o7777));
            if metadata.is_dir() {
                waiting.push(path);
            }
        }
    }
    found
}

fn assert_modes(folder: &Path, (file, inner): (u32, u32), least: usize) {
    let found = modes(folder);
    assert!(found.len() >= least, "{}: {found:?}", folder.display());
    for (path, is_folder, mode) in found {
        assert_eq!(mode, if is_folder { inner } else { file }, "{}: {mode:o}", path.display());
    }
}

fn make(world: &World, folder: &str, mode: u32) {
    std::fs::create_dir(world.path(folder)).unwrap();
    std::fs::set_permissions(world.path(folder), std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Whoever uses the library has a umask of their own.
#[test]
fn attack_others_read_a_database_that_the_library_made() {
    let world = World::bare();
    world.backend().create_database("Src").unwrap();
    assert_modes(&world.path("source"), (0o600, 0o700), 2);
}

/// Bundles in each form, received and unpacked files, databases of instances that are new.
#[test]
fn attack_others_read_what_is_made() {
    for (option, file, folder) in [(&[][..], 0o600, 0o700), (&["--group-readable"][..], 0o640, 0o750)] {
        let world = World::new();
        for (name, mode) in [("drop", 0o700), ("in", 0o755), ("archives", 0o777), ("small", 0o755)] {
            make(&world, name, mode);
        }
        let name = world.bundle().file_name().unwrap().to_str().unwrap().to_owned();
        let (made, archive) = (format!("out/{name}"), format!("archives/{name}.tar"));
        let call = |line: &[&str]| good(&world, &[line, option].concat());
        call(&["archive", &made, "--out", "archives"]);
        call(&["extract", &archive, "--out", "small"]);
        call(&["ship", &made, "drop"]);
        call(&["receive", "drop", "--out", "in"]);
        call(&["unpack", &made, "--out", "files"]);
        call(&["replay", &made, "--into", "sqlite:target", "--create"]);
        for (made, least) in [("archives", 1), ("small", 8), ("in", 9), ("files", 3), ("target", 1)] {
            assert_modes(&world.path(made), (file, folder), least);
        }
    }
}

/// A drop folder says who may read what lies in it: everybody of its group, nobody else, whoever put it there.
#[test]
fn attack_others_read_what_is_shipped() {
    let world = World::new();
    let name = world.bundle().file_name().unwrap().to_str().unwrap().to_owned();
    for (drop, mode, file, folder) in [
        ("private", 0o700, 0o600, 0o700),
        ("shared", 0o2770, 0o660, 0o2770),
        ("readable", 0o750, 0o640, 0o750),
        ("public", 0o1777, 0o666, 0o777),
    ] {
        make(&world, drop, mode);
        good(&world, &["ship", &format!("out/{name}"), drop]);
        assert_modes(&world.path(drop), (file, folder), 9);
    }
}

/// What is there while a command works, journals of databases among it, seen where it was killed.
#[cfg(debug_assertions)]
#[test]
fn attack_others_read_what_is_in_the_making() {
    let counted = World::new();
    let points = counted.path("points");
    let done = called(&counted, &["run", "--out", "out"], &[("BLOBDELTA_POINTS", points.to_str().unwrap())]);
    assert!(done.status.success(), "{done:?}");
    let all = std::fs::read_to_string(points).unwrap().lines().count();
    let mut seen = Vec::new();
    // Most of them are statements; a bundle is put together near the end.
    for at in (1..12).map(|nth| all * nth / 12).chain((1..6).map(|nth| all - 4 * nth)) {
        let world = World::new();
        let killed = called(&world, &["run", "--out", "out"], &[("BLOBDELTA_DIE_AT", &at.to_string())]);
        assert!(!killed.status.success(), "it was killed at {at} of {all}");
        for folder in ["source", "out"] {
            for (path, is_folder, mode) in modes(&world.path(folder)) {
                assert_eq!(mode & 0o077, 0, "{}: {mode:o}, killed at {at}", path.display());
                seen.push(if is_folder {
                    "a folder".to_owned()
                } else {
                    path.extension().unwrap_or_default().to_string_lossy().into_owned()
                });
            }
        }
    }
    let has = |end: &str| seen.iter().any(|one| one.ends_with(end));
    assert!(has("sqlite") && has("a folder"), "{seen:?}");
    assert!(has("-journal") || has("-wal"), "no journal was seen: {seen:?}");
}

/// What nobody else was to read is published for everybody only if that is asked for, and then told.
#[test]
fn attack_what_was_encrypted_becomes_plain() {
    use age::secrecy::ExposeSecret as _;
    let world = World::new();
    let key = age::x25519::Identity::generate();
    std::fs::write(world.path("key"), key.to_string().expose_secret()).unwrap();
    let to = key.to_public().to_string();
    for (folder, mode) in [("sealed", 0o700), ("plain", 0o700)] {
        make(&world, folder, mode);
    }
    let run =
        |from: &[&str]| world.good(&[&["run", "--out", "sealed", "--archive", "--encrypt-to", &to], from].concat());
    run(&[]);
    run(&["--from", "2020-01-01"]);
    let first = std::fs::read_dir(world.path("sealed")).unwrap().next().unwrap().unwrap().path();
    let first = first.to_str().unwrap();
    for made in [&["compact", "sealed"][..], &["compact", "sealed", "--archive"], &["archive", first]] {
        let line = [made, &["--identity", "key", "--out", "plain"]].concat();
        let refused = world.call(&line);
        assert!(refused.code == 2 && refused.stderr.contains("--allow-plain"), "{made:?}: {refused:?}");
        assert_eq!(std::fs::read_dir(world.path("plain")).unwrap().count(), 0, "{made:?}");
        let allowed = world.good(&[&line[..], &["--allow-plain"]].concat());
        assert!(allowed.stderr.contains("in plain"), "{made:?}: {allowed:?}");
        std::fs::remove_dir_all(world.path("plain")).unwrap();
        make(&world, "plain", 0o700);
        if made[0] != "compact" || made.len() == 3 {
            world.good(&[&line[..], &["--encrypt-to", &to]].concat());
            std::fs::remove_dir_all(world.path("plain")).unwrap();
            make(&world, "plain", 0o700);
        }
    }
}
