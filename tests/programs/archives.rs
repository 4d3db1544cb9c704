//! Archives: opened by tar and age, and made by age.

use super::{only, path_text, run_program};
use crate::world::{DOCS, World};
use std::fs;

pub fn tar_opens_an_archive(world: &World) {
    world.good(&["run", "--table", DOCS, "--archive", "--out", &world.out()]);
    let archive = only(&world.path("out"));
    let folder = world.path("unpacked");
    fs::create_dir(&folder).unwrap();
    let done = run_program("tar", &["xf", &path_text(&archive)], &folder);
    assert!(done.stderr.is_empty(), "{done:?}");
    let bundle = only(&folder);
    for list in ["tagmanifest-sha256.txt", "manifest-sha256.txt"] {
        run_program("sha256sum", &["--strict", "--quiet", "-c", list], &bundle);
    }
    world.good(&["verify", "--deep", &path_text(&bundle)]);
}

pub fn age_opens_ours_and_we_open_its_own(world: &World) {
    let folder = world.path("");
    run_program("age-keygen", &["-o", "key.txt"], &folder);
    let recipient = String::from_utf8(run_program("age-keygen", &["-y", "key.txt"], &folder).stdout).unwrap();
    let recipient = recipient.trim();
    world.good(&["run", "--table", DOCS, "--archive", "--encrypt-to", recipient, "--out", &world.out()]);
    let ours = only(&world.path("out"));
    assert!(ours.display().to_string().ends_with(".bundle.tar.age"));

    // By age and tar alone.
    let (ours_text, key) = (path_text(&ours), path_text(&world.path("key.txt")));
    let plain = path_text(&world.path("plain.tar"));
    run_program("age", &["--decrypt", "-i", "key.txt", "-o", &plain, &ours_text], &folder);
    run_program("tar", &["xf", "plain.tar"], &folder);
    let name = ours.file_name().unwrap().to_str().unwrap().trim_end_matches(".tar.age").to_owned();
    run_program("sha256sum", &["--strict", "--quiet", "-c", "tagmanifest-sha256.txt"], &world.path(&name));
    world.good(&["verify", "--deep", &plain]);

    // Ours and theirs, with the identity; without it a clear refusal.
    let theirs = path_text(&world.path("theirs.age"));
    run_program("age", &["-r", recipient, "-o", &theirs, &plain], &folder);
    for archive in [&ours_text, &theirs] {
        world.good(&["verify", "--deep", archive, "--identity", &key]);
        world.good(&["inspect", archive, "--identity", &key]);
        let refused = world.call(&["verify", archive]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains("--identity FILE"), "{refused:?}");
    }
    let into = format!("sqlite:{}", world.path("target").display());
    world.good(&["replay", &ours_text, "--identity", &key, "--into", &into, "--create"]);
}
