//! What people see: on terminals of several widths, and without one.

use crate::world::{DOCS, World};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};
use unicode_width::UnicodeWidthStr as _;

const ESCAPE: char = '\u{1b}';
const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";

/// What a terminal of so many columns is sent by a call, and how the call ended.
fn on_terminal(world: &World, columns: u16, args: &[&str], environment: &[(&str, &str)]) -> (String, i32) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let name = std::ffi::OsStr::from_bytes(name.as_bytes()).to_owned();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    tcsetwinsize(&terminal, Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
    command.args(args).current_dir(world.path("")).env("BLOBDELTA_CONNECTION", world.connection());
    // On a build machine `CI` alone makes every terminal one with colours.
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "CI"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm").envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(terminal.try_clone().unwrap()).stderr(terminal);
    let mut child = command.spawn().unwrap();
    // Its copies of the terminal would keep the other end open.
    drop(command);
    let mut sent = Vec::new();
    // The end of a terminal that nobody has open any more is an error.
    _ = File::from(master).read_to_end(&mut sent);
    (String::from_utf8(sent).unwrap().replace("\r\n", "\n"), child.wait().unwrap().code().unwrap())
}

/// Without what moves the cursor or colours.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// A world that has run, and the bundle of its run.
fn ran() -> (World, String) {
    let world = World::new();
    let bundle = world.bundle().display().to_string();
    (world, bundle)
}

#[test]
fn tables_fit_the_terminal_and_wide_and_json_have_everything() {
    let (world, _) = ran();
    let run = world.good(&["status", "--json"]).json()["runs"][0]["RunId"].as_str().unwrap().to_owned();
    for columns in [72, 80, 100, 132] {
        for args in [&["status"][..], &["table", "list"], &["run", "--plan"], &["doctor"], &["key", "list", DOCS]] {
            let (shown, code) = on_terminal(&world, columns, args, &[]);
            assert_eq!(code, 0, "{shown}");
            for line in plain(&shown).lines() {
                assert!(line.width() <= usize::from(columns), "{args:?} on {columns} columns: {line}");
            }
        }
    }
    let (shown, _) = on_terminal(&world, 80, &["status"], &[]);
    assert!(shown.contains(" s ago") && shown.contains(&run), "{shown}");
    let seconds = world.good(&["status", "--json"]).json()["runs"][0]["RunStartedAt"].as_str().unwrap().to_owned();
    let (short, rest) = seconds.split_at(19);
    assert!(shown.contains(&format!("{short}Z")) && !shown.contains(rest), "{seconds} in\n{shown}");
    let (wide, _) = on_terminal(&world, 80, &["status", "--wide"], &[]);
    assert!(wide.contains(&seconds) && wide.contains("LeaseEpoch") && wide.contains("ErrorMessage"), "{wide}");
}

#[test]
fn what_is_copied_is_in_one_piece_and_what_is_said_is_below_its_row() {
    let (world, bundle) = ran();
    let run = world.good(&["status", "--json"]).json()["runs"][0]["RunId"].as_str().unwrap().to_owned();
    let (shown, _) = on_terminal(&world, 72, &["status", "--run", &run], &[]);
    let shown = plain(&shown);
    let name = bundle.rsplit('/').next().unwrap();
    assert!(shown.contains(name) && shown.contains(&format!("  Folder: {}\n", world.out())), "{shown}");
    let key = "00000000-0000-0000-0000-000000000001";
    let reason = "its name is longer than the column of the target has room for, ticket 4711";
    world.good(&["key", "exclude", DOCS, key, "--reason", reason]);
    let (shown, _) = on_terminal(&world, 80, &["key", "list", DOCS], &[]);
    let shown = plain(&shown);
    let below: Vec<&str> = shown.lines().skip(3).map(str::trim).collect();
    assert_eq!(below.len(), 2, "{shown}");
    assert_eq!(below.join(" "), format!("Reason: {reason}"), "{shown}");
}

#[test]
fn without_a_terminal_there_is_one_width_and_no_colour() {
    let (world, bundle) = ran();
    let piped = world.good(&["status"]).stdout;
    assert!(piped.lines().all(|line| line.width() <= 120) && piped.contains("RequestedBy"), "{piped}");
    assert!(!world.good(&["verify", &bundle]).stdout.contains(ESCAPE));
    assert!(!world.call(&["verify", "nowhere"]).stderr.contains(ESCAPE));
}

#[test]
fn verdicts_and_errors_are_coloured_where_that_is_wanted() {
    let (world, bundle) = ran();
    let verify = ["verify", bundle.as_str()];
    let always = [&verify[..], &["--color", "always"]].concat();
    let never = [&verify[..], &["--color", "never"]].concat();
    assert!(on_terminal(&world, 80, &verify, &[]).0.contains(&format!("{GREEN}good")));
    assert!(world.good(&always).stdout.contains(&format!("{GREEN}good")));
    for (args, environment) in [(&verify[..], ("NO_COLOR", "1")), (&never, ("A", "B")), (&verify, ("TERM", "dumb"))] {
        let (shown, _) = on_terminal(&world, 80, args, &[environment]);
        assert!(!shown.contains("[32m") && shown.contains("good"), "{args:?} {environment:?}: {shown:?}");
    }
    let (error, code) = on_terminal(&world, 80, &["verify", "nowhere"], &[]);
    assert!(code == 2 && error.contains(&format!("{RED}error:")), "{error:?}");
    let (error, code) = on_terminal(&world, 80, &["verify", "--no-such"], &[]);
    assert!(code == 2 && error.contains(&format!("{RED}error:")), "{error:?}");
    std::fs::remove_file(std::path::Path::new(&bundle).join("bagit.txt")).unwrap();
    let (shown, code) = on_terminal(&world, 80, &verify, &[]);
    assert!(code == 3 && shown.contains(&format!("{RED}NOT TO BE USED")), "{shown:?}");
}

#[test]
fn quiet_leaves_what_a_script_needs_and_what_is_wrong() {
    let world = World::new();
    let run = world.good(&["run", "--out", &world.out(), "--quiet"]);
    let bundle = run.stdout.trim_end();
    assert!(std::path::Path::new(bundle).is_dir() && run.stderr.is_empty(), "{run:?}");
    let verified = world.good(&["verify", "-q", bundle]);
    assert_eq!((verified.stdout.as_str(), verified.stderr.as_str()), ("", ""));
    let archive = world.good(&["archive", bundle, "-q"]);
    assert!(std::path::Path::new(archive.stdout.trim_end()).is_file() && archive.stderr.is_empty(), "{archive:?}");
    assert_eq!(world.good(&["deploy", "-q"]).stdout, "");
    assert!(world.good(&["status", "-q"]).stdout.contains("Completed"), "what was asked for is the answer");
    std::fs::remove_file(std::path::Path::new(bundle).join("bagit.txt")).unwrap();
    let wrong = world.call(&["verify", "-q", bundle]);
    assert!(wrong.code == 3 && wrong.stdout.contains("NOT TO BE USED"), "{wrong:?}");
    let error = world.call(&["verify", "-q", "nowhere"]);
    assert!(error.code == 2 && error.stderr.starts_with("error:"), "{error:?}");
    assert_eq!(world.call(&["status", "-q", "-v"]).code, 2);
}

#[test]
fn verbose_says_each_step() {
    let world = World::new();
    let usual = world.good(&["run", "--out", &world.out()]).stderr;
    assert!(!usual.contains("Roots 1:"), "{usual}");
    let verbose = world.good(&["run", "--out", &world.out(), "--from", "2020-01-01", "-v"]).stderr;
    assert!(verbose.contains("Roots 1: 3 keys, 3 rows") && verbose.contains(": 3 rows, "), "{verbose}");
}

#[test]
fn a_progress_bar_never_takes_two_lines() {
    let (world, bundle) = ran();
    for columns in [30, 60, 80] {
        for args in [&["verify", "--deep", bundle.as_str()][..], &["run", "--out", "out", "--from", "2020-01-01"]] {
            let (sent, code) = on_terminal(&world, columns, args, &[]);
            assert_eq!(code, 0, "{sent}");
            let frames = sent.split(['\r', '\n']).map(plain);
            let bars: Vec<String> = frames.filter(|frame| frame.contains("rows/s") || frame.contains(" %")).collect();
            assert!(!bars.is_empty(), "{args:?}: {sent:?}");
            for bar in bars {
                assert!(bar.width() <= usize::from(columns), "{args:?} on {columns} columns: {bar:?}");
            }
        }
    }
}
