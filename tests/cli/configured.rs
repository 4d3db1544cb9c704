//! The configuration file: which one counts, what goes before what, who may write it, and what is said of a wrong one.
//! `BLOBDELTA_WRITE_PAGES=1 cargo test --test cli -- configured` writes docs/blobdelta.schema.json anew.

use crate::world::{Ended, World};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A configuration file that nobody else can write, in a new folder below that of the world.
fn written(world: &World, folder: &str, text: &str) -> PathBuf {
    let folder = world.path(folder);
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("blobdelta.toml");
    fs::write(&file, text).unwrap();
    chmod(&file, 0o600);
    file
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A call in this environment alone, in the world's folder.
fn call(world: &World, envs: &[(&str, &str)], args: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
    command.args(args).current_dir(world.path("")).env_clear().envs(envs.iter().copied());
    let done = command.output().unwrap();
    Ended {
        code: done.status.code().unwrap(),
        stdout: String::from_utf8(done.stdout).unwrap(),
        stderr: String::from_utf8(done.stderr).unwrap(),
    }
}

/// Value and origin of a setting, as `config show` has them.
fn shown(world: &World, envs: &[(&str, &str)], args: &[&str], setting: &str) -> (String, String) {
    let ended = call(world, envs, &[&["config", "show", "--json"], args].concat());
    assert_eq!(ended.code, 0, "{ended:?}");
    let document = ended.json();
    let rows = document["settings"].as_array().unwrap();
    let row = rows.iter().find(|row| row["Setting"] == setting).unwrap_or_else(|| panic!("{setting}: {document}"));
    (row["Value"].as_str().unwrap_or("-").to_owned(), row["Origin"].as_str().unwrap().to_owned())
}

#[test]
fn a_run_takes_its_profile_and_what_was_typed_goes_before_it() {
    let world = World::new();
    let text = format!(
        "[profile.default]\nconnection = '{}'\nout = '{}'\nzstd_level = 3\n[profile.empty]\n",
        world.connection(),
        world.out()
    );
    let file = written(&world, "conf", &text).display().to_string();
    let other = world.path("other").display().to_string();
    fs::create_dir(&other).unwrap();
    let by = [("BLOBDELTA_CONFIG", file.as_str())];
    let bundles = |folder: &str| fs::read_dir(folder).unwrap().count();
    assert_eq!(call(&world, &by, &["run"]).code, 0);
    assert_eq!((bundles(&world.out()), bundles(&other)), (1, 0));
    assert_eq!(call(&world, &[], &["--config", &file, "run", "--from", "0001-01-01", "--out", &other]).code, 0);
    assert_eq!((bundles(&world.out()), bundles(&other)), (1, 1));
    let refused = call(&world, &by, &["run", "--profile", "empty"]);
    assert!(refused.code == 2 && refused.stderr.contains("--out"), "{refused:?}");
    let refused = call(&world, &by, &["run", "--no-bundle"]);
    assert!(refused.stderr.contains("requires a bundle of every run"), "out gave way: {refused:?}");
    // Each origin, in its order.
    let none = [("BLOBDELTA_CONFIG", "")];
    let both = [by[0], ("BLOBDELTA_CONNECTION", "sqlite:/environment")];
    let typed = ["run", "--connection", "sqlite:/typed", "--zstd-level=9"];
    assert_eq!(shown(&world, &both, &typed, "connection"), ("sqlite:/typed".into(), "command line".into()));
    assert_eq!(shown(&world, &both, &typed, "zstd_level"), ("9".into(), "command line".into()));
    let environment = ("sqlite:/environment".to_owned(), "environment BLOBDELTA_CONNECTION".to_owned());
    assert_eq!(shown(&world, &both, &["run"], "connection"), environment);
    assert_eq!(shown(&world, &both, &[], "connection"), environment);
    assert_eq!(shown(&world, &by, &["run"], "connection"), (world.connection(), "profile".into()));
    assert_eq!(shown(&world, &[by[0], ("BLOBDELTA_CONNECTION", "")], &["run"], "connection").1, "profile");
    assert_eq!(shown(&world, &by, &[], "zstd_level"), ("3".into(), "profile".into()));
    assert_eq!(shown(&world, &none, &["run"], "zstd_level"), ("1".into(), "default".into()));
    assert_eq!(shown(&world, &by, &["run", "--no-bundle"], "out").1, "profile, gave way");
    assert_eq!(shown(&world, &by, &["--profile", "empty"], "out"), ("-".into(), "default".into()));
    // A value of the profile that the option refuses, with where it comes from.
    let wrong = written(&world, "wrong", &text.replace("zstd_level = 3", "zstd_level = 30")).display().to_string();
    let refused = call(&world, &[], &["--config", &wrong, "run"]);
    assert!(refused.code == 2 && refused.stderr.contains("profile default of"), "{refused:?}");
    let refused = call(&world, &[], &["--config", &wrong, "run", "--json"]);
    assert!(refused.json()["error"]["hint"].as_str().unwrap().contains("--zstd-level"), "{refused:?}");
}

#[test]
fn the_users_file_counts_and_none_of_the_working_folder() {
    let world = World::bare();
    let profile = |name: &str| format!("[profile.default]\nout = '/{name}'\n");
    written(&world, "", &profile("working"));
    written(&world, "home/.config/blobdelta", &profile("home"));
    written(&world, "xdg/blobdelta", &profile("xdg"));
    let (home, xdg) = (world.path("home").display().to_string(), world.path("xdg").display().to_string());
    let out = |envs: &[(&str, &str)]| shown(&world, envs, &[], "out").0;
    assert_eq!(out(&[("HOME", &home)]), "/home");
    assert_eq!(out(&[("HOME", &home), ("XDG_CONFIG_HOME", &xdg)]), "/xdg");
    assert_eq!(out(&[("HOME", &home), ("XDG_CONFIG_HOME", "xdg")]), "/home", "a relative folder does not count");
    assert_eq!(out(&[("HOME", &home), ("BLOBDELTA_CONFIG", "blobdelta.toml")]), "/working", "it was asked for");
    if Path::new("/etc/blobdelta/blobdelta.toml").exists() {
        println!("skipped: this machine has a configuration file of its own");
        return;
    }
    for envs in [&[] as &[(&str, &str)], &[("HOME", "")], &[("HOME", ".")], &[("XDG_CONFIG_HOME", ".")]] {
        assert_eq!(out(envs), "-", "{envs:?}");
    }
}

#[test]
fn attack_a_configuration_that_others_may_write_is_refused() {
    let world = World::new();
    let text = format!("[profile.default]\nconnection = '{}'\n", world.connection());
    let file = written(&world, "conf", &text);
    let by = [("BLOBDELTA_CONFIG", file.to_str().unwrap())];
    assert_eq!(call(&world, &by, &["status"]).code, 0);
    for (path, mode, back) in
        [(file.clone(), 0o660, 0o600), (file.clone(), 0o602, 0o600), (world.path("conf"), 0o770, 0o700)]
    {
        chmod(&path, mode);
        for args in [&["status"] as &[&str], &["config", "show"], &["verify", "x"]] {
            let refused = call(&world, &by, args);
            assert!(refused.code == 2 && refused.stderr.contains("chmod go-w"), "{args:?}: {refused:?}");
            assert!(refused.stderr.contains(&format!("file {}", path.display())), "{refused:?}");
        }
        assert_eq!(call(&world, &by, &["status", "--help"]).code, 0);
        assert_eq!(call(&world, &by, &["--config", "", "status", "--connection", &world.connection()]).code, 0);
        chmod(&path, back);
    }
}

#[test]
fn what_is_not_there_or_not_known_is_named() {
    let world = World::bare();
    let file = written(&world, "conf", "[profile.week]\nconection = 'x'\n").display().to_string();
    for (args, says) in [
        (vec!["status", "--config", &file], vec!["line 2", "conection", "did you mean connection?"]),
        (vec!["config", "show", "--config", &file], vec!["line 2"]),
        (vec!["status", "--config", "nowhere.toml"], vec!["no configuration file", "nowhere.toml"]),
        (vec!["status", "--config=", "--profile", "week"], vec!["no profile \"week\"", "--config"]),
        (vec!["config", "show", "rum"], vec!["no command", "rum"]),
    ] {
        for json in [false, true] {
            let line: Vec<&str> =
                if json { ["--json"].into_iter().chain(args.clone()).collect() } else { args.clone() };
            let refused = call(&world, &[], &line);
            assert_eq!(refused.code, 2, "{args:?}: {refused:?}");
            let reported = if json { refused.json().to_string().replace("\\\"", "\"") } else { refused.stderr };
            assert!(says.iter().all(|word| reported.contains(word)), "{args:?}: {reported}");
        }
    }
    fs::write(&file, "[profile.week]\nout = '/x'\n").unwrap();
    let refused = call(&world, &[], &["run", "--config", &file, "--profile", "weak"]);
    assert!(refused.code == 2 && refused.stderr.contains("did you mean week?"), "{refused:?}");
    let refused = call(&world, &[], &["run", "--config", &file, "--profile", "week", "--without", "ot"]);
    assert!(refused.code == 2 && refused.stderr.contains("did you mean out?"), "{refused:?}");
}

#[test]
fn a_secret_is_neither_shown_nor_repeated() {
    let world = World::bare();
    let text = "[profile.default]\nconnection = 'Server=tcp:127.0.0.1,1;User ID=u;TrustServerCertificate=true'\n\
                password_command = 'echo Canary; exit 3'\n";
    let file = written(&world, "conf", text).display().to_string();
    let by = [("BLOBDELTA_CONFIG", file.as_str()), ("PATH", "/usr/bin:/bin")];
    for args in [
        &["config", "show"] as &[&str],
        &["config", "show", "--json", "status", "--connection", "Server=h;User ID=u;Password=Canary"],
        &["status"],
        &["run", "--nonsense"],
        &["status", "--password-command", "echo Canary", "--password-command", "x"],
    ] {
        let ended = call(&world, &by, args);
        assert!(!format!("{ended:?}").contains("Canary"), "{args:?}: {ended:?}");
    }
    assert_eq!(shown(&world, &by, &["status"], "password_command"), ("(set, not shown)".into(), "profile".into()));
    let environment = [by[0], ("BLOBDELTA_PASSWORD", "Canary")];
    assert_eq!(shown(&world, &environment, &["status"], "password_command").1, "profile, gave way");
    let failed = call(&world, &by, &["status"]);
    assert!(failed.stderr.contains("the command for a password failed"), "{failed:?}");
}

#[test]
fn the_schema_and_the_example_are_of_this_version() {
    let world = World::bare();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = call(&world, &[], &["config", "schema"]);
    assert_eq!(schema.code, 0);
    let file = root.join("docs/blobdelta.schema.json");
    if std::env::var_os("BLOBDELTA_WRITE_PAGES").is_some() {
        fs::write(&file, &schema.stdout).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == schema.stdout,
        "docs/blobdelta.schema.json is not what `config schema` prints now"
    );
    let example = fs::read_to_string(root.join("examples/blobdelta.toml")).unwrap();
    let file = written(&world, "conf", &example).display().to_string();
    assert_eq!(shown(&world, &[], &["--config", &file], "out"), ("/srv/blobdelta/bundles".into(), "profile".into()));
    // Every setting is of a command, and every command's own are found by it.
    let document: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
    for (name, property) in document["$defs"]["profile"]["properties"].as_object().unwrap() {
        assert_ne!(property["description"], "", "{name} is no option of any command");
    }
}

#[test]
fn a_file_that_is_meant_and_not_used_is_told() {
    let world = World::new();
    let text = format!("[profile.weekly]\nconnection = '{}'\n[profile.monthly]\n", world.connection());
    let file = written(&world, "conf", &text).display().to_string();
    let by = [("BLOBDELTA_CONFIG", file.as_str())];
    let unused = call(&world, &by, &["status"]);
    let told = unused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unused.code == 2 && told.contains("add --profile with one of monthly, weekly"), "{unused:?}");
    assert!(call(&world, &by, &["config", "show"]).stdout.contains("none of them is named \"default\""));
    assert_eq!(call(&world, &by, &["--profile", "weekly", "status"]).code, 0);
    // A link that leads nowhere is no file that nobody made.
    let home = world.path("home");
    fs::create_dir_all(home.join(".config")).unwrap();
    std::os::unix::fs::symlink("/nowhere/blobdelta", home.join(".config/blobdelta")).unwrap();
    let dangling = call(&world, &[("HOME", home.to_str().unwrap())], &["status"]);
    assert!(dangling.code == 2 && dangling.stderr.contains("leads to nothing"), "{dangling:?}");
}
