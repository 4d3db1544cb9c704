//! `mask`: the secret and the policy as they are typed.

use super::world::World;

const SECRET: &str = "5f0c1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7";

fn called(world: &World, secret: Option<&str>, args: &[&str]) -> (i32, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_blobdelta"));
    command.arg("mask").args(args).current_dir(world.path(".")).env_remove("BLOBDELTA_MASK_KEY");
    if let Some(secret) = secret {
        command.env("BLOBDELTA_MASK_KEY", secret);
    }
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
        assert!(!said.contains(secret), "the secret was printed: {said}");
    }
    (done.status.code().unwrap(), said)
}

#[test]
fn a_first_policy_masks_and_a_secret_is_needed_and_never_printed() {
    let world = World::new();
    let bundle = world.bundle().display().to_string();
    let (code, policy) = called(&world, None, &["--init", &bundle]);
    assert_eq!(code, 0, "{policy}");
    std::fs::write(world.path("policy.toml"), &policy).unwrap();
    std::fs::create_dir(world.path("masked")).unwrap();
    let args = [bundle.as_str(), "--policy", "policy.toml", "--out", "masked"];
    let short = &SECRET[4..];
    for (secret, due) in [
        (None, "no masking secret"),
        (Some(""), "no masking secret"),
        (Some("a passphrase of more than thirty-two characters"), "hexadecimal"),
        (Some(short), "30 bytes"),
    ] {
        let (code, said) = called(&world, secret, &args);
        assert!(code == 2 && said.contains(due), "{said}");
    }
    assert_eq!(std::fs::read_dir(world.path("masked")).unwrap().count(), 0);
    for format in [&[][..], &["--json"], &["--log-format", "json"]] {
        let (code, said) = called(&world, Some(SECRET), &[&args[..], format].concat());
        assert_eq!(code, 0, "{said}");
    }
    let masked = std::fs::read_dir(world.path("masked")).unwrap().next().unwrap().unwrap().path().display().to_string();
    let (code, said) = called(&world, None, &["--check", &masked, "--against", &bundle]);
    assert!(code == 0 && said.contains("masked values differ"), "{said}");
    let (code, said) = called(&world, None, &["--check", &bundle, "--against", &masked]);
    assert!(code == 2 && said.contains("not masked"), "{said}");
    for (file, bytes) in super::world::tree(&world.path("masked")) {
        let holds = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!holds, "the secret is in {}", file.display());
    }
}

#[cfg(unix)]
#[test]
fn a_secret_in_a_file_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let bundle = world.bundle().display().to_string();
    let (_, policy) = called(&world, None, &["--init", &bundle]);
    std::fs::write(world.path("policy.toml"), &policy).unwrap();
    std::fs::create_dir(world.path("masked")).unwrap();
    std::fs::write(world.path("key"), format!("{SECRET}\n")).unwrap();
    let args = [bundle.as_str(), "--policy", "policy.toml", "--out", "masked", "--mask-key-file", "key"];
    for (mode, due) in [(0o644, 2), (0o600, 0)] {
        std::fs::set_permissions(world.path("key"), std::fs::Permissions::from_mode(mode)).unwrap();
        let (code, said) = called(&world, None, &args);
        assert!(code == due && !said.contains(SECRET), "{mode:o}: {said}");
    }
    let (code, said) = called(&world, Some(SECRET), &[&bundle, "--policy", "key", "--out", "masked"]);
    assert!(code == 2 && said.contains("not TOML") && !said.contains(SECRET), "{said}");
}

#[test]
fn lines_to_add_can_be_copied_and_masked_bundles_are_left_alone() {
    let world = World::new();
    let bundle = world.bundle().display().to_string();
    let (_, policy) = called(&world, None, &["--init", &bundle]);
    let (_, after) = policy.split_once("[tables").unwrap();
    let (section, _) = after.split_once('\n').unwrap();
    let mut policy = format!("version = 1\n[tables{section}\n");
    std::fs::write(world.path("policy.toml"), &policy).unwrap();
    // Originals and masked bundles in one folder.
    let args = ["out", "--policy", "policy.toml", "--out", "out"];
    let (code, said) = called(&world, Some(SECRET), &args);
    assert!(code != 0 && said.contains("add these lines"), "{said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with('"')).collect();
    assert!(lines.len() > 1 && lines.iter().all(|line| line.contains(" = ")), "{said}");
    policy.extend(lines.iter().map(|line| format!("{line}\n")));
    std::fs::write(world.path("policy.toml"), &policy).unwrap();
    for due in ["", "is masked already, and is left as it is"] {
        let (code, said) = called(&world, Some(SECRET), &args);
        assert!(code == 0 && said.contains(due), "{said}");
    }
    assert_eq!(std::fs::read_dir(world.path("out")).unwrap().count(), 2);
}

#[test]
fn what_is_typed_wrongly_is_refused() {
    let world = World::new();
    let bundle = world.bundle().display().to_string();
    for (args, due) in [
        (&[bundle.as_str()][..], "--policy"),
        (&[&bundle, "--init", "--out", "x"], "cannot be used"),
        (&[&bundle, "--policy", "nothing.toml", "--out", "out"], "nothing.toml"),
        (&["nothing", "--init"], "no such folder"),
    ] {
        let (code, said) = called(&world, Some(SECRET), args);
        assert!(code != 0 && said.contains(due), "{args:?}: {said}");
    }
}
