//! What a profile adds to typed words. (The environment is that of the tests: what needs another is in `tests/cli`.)

use super::*;
use crate::cli::args::Args;
use clap::CommandFactory as _;
use std::os::unix::fs::PermissionsExt as _;

const FILE: &str = "[profile.default]\nconnection = 'sqlite:/i'\nout = '/srv/b'\nship = 's3://b/p'\narchive = true\n\
    encrypt_to = ['age1x']\nsign_key = '/k'\nbatch_size = 7\nbackup_slice = 'D:'\nkeep_runs = 3\nmemory_mib = 64\n\
    password_file = '/p'\nlog_format = 'json'\n[profile.bare]\nship = '/drop'\n";

fn merged(line: &str) -> String {
    let ground = tempfile::tempdir().unwrap();
    let file = ground.path().join("blobdelta.toml");
    std::fs::write(&file, FILE).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let line = format!("blobdelta --config {} {line}", file.display());
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    let number = words.len();
    let merged = with_profile(&Args::command(), words).unwrap().words;
    let at = merged.iter().position(|word| word == "--");
    let added = match at {
        Some(_) => merged[number - 2..merged.len() - 2].to_vec(),
        None => merged[number..].to_vec(),
    };
    added.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_command_takes_its_own_settings_that_nobody_typed() {
    let login = "--connection=sqlite:/i --password-file=/p";
    let run = "--out=/srv/b --ship=s3://b/p --archive --encrypt-to=age1x --sign-key=/k";
    for (line, due) in [
        ("run", format!("{login} {run} --backup-slice=D: --batch-size=7 --memory-mib=64 --log-format=json")),
        (
            "run --out /x --batch-size=9 --log-format text",
            format!(
                "{login} --ship=s3://b/p --archive --encrypt-to=age1x --sign-key=/k --backup-slice=D: --memory-mib=64"
            ),
        ),
        // What was typed contradicts a setting, or what the setting needs.
        (
            "run --no-bundle",
            format!("{login} --archive --encrypt-to=age1x --batch-size=7 --memory-mib=64 --log-format=json"),
        ),
        (
            "run --resume 6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061 --unsigned",
            format!(
                "{login} --out=/srv/b --ship=s3://b/p --archive --encrypt-to=age1x --backup-slice=D: --memory-mib=64 --log-format=json"
            ),
        ),
        (
            "pack --run 6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061 --give-up",
            format!("{login} --memory-mib=64 --log-format=json"),
        ),
        (
            "run --without out --without sign-key",
            format!(
                "{login} --ship=s3://b/p --archive --encrypt-to=age1x --backup-slice=D: --batch-size=7 --memory-mib=64 --log-format=json"
            ),
        ),
        (
            "run --without archive",
            format!(
                "{login} --out=/srv/b --ship=s3://b/p --encrypt-to=age1x --sign-key=/k --backup-slice=D: --batch-size=7 --memory-mib=64 --log-format=json"
            ),
        ),
        (
            "run --password-command x",
            format!("--connection=sqlite:/i {run} --backup-slice=D: --batch-size=7 --memory-mib=64 --log-format=json"),
        ),
        ("prune", format!("{login} --keep-runs=3 --log-format=json")),
        ("prune --keep-weeks 3 s3://b/p", format!("{login} --log-format=json")),
        // `--out` of other commands is somewhere else.
        ("unpack --out /y /b", "--log-format=json".to_owned()),
        ("table list", format!("{login} --log-format=json")),
        ("verify -- b", "--log-format=json".to_owned()),
        ("--profile bare run", "--ship=/drop".to_owned()),
        ("config show", String::new()),
        ("--profile bare", String::new()),
    ] {
        assert_eq!(merged(line), due, "{line}");
    }
}
