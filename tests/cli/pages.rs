//! The pages that show commands: docs/commands is what `--help` prints, and every command that a page
//! shows is one that the binary takes.
//!
//! `BLOBDELTA_WRITE_PAGES=1 cargo test --test cli -- pages` writes docs/commands anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NOT_TAKEN: &str = "For more information, try '--help'";
const SOME_GUID: &str = "00000000-0000-0000-0000-000000000001";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The binary in this folder, in which nothing stands, without anything of our environment.
fn binary(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
    command.current_dir(folder).env_clear().env("COLUMNS", "100").env("BLOBDELTA_CONNECTION", "sqlite:nowhere");
    command
}

fn help(words: &[&str]) -> String {
    let ended = binary(root()).env_remove("BLOBDELTA_CONNECTION").args(words).arg("--help").output().unwrap();
    assert!(ended.status.success(), "{words:?} --help: {ended:?}");
    let text = String::from_utf8(ended.stdout).unwrap();
    text.trim_end().lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The commands that a help text lists.
fn listed(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    names.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The page of one command, its own commands below it.
fn page(name: &str) -> String {
    let own = help(&[name]);
    let mut text =
        format!("# blobdelta {name}\n\nThis is what `blobdelta {name} --help` prints.\n\n```text\n{own}```\n");
    for below in listed(&own) {
        let help = help(&[name, &below]);
        text += &format!("\n## blobdelta {name} {below}\n\n```text\n{help}```\n");
    }
    text
}

#[test]
fn the_pages_of_the_commands_are_what_help_prints() {
    let folder = root().join("docs/commands");
    let commands = listed(&help(&[]));
    assert!(commands.len() > 15, "{commands:?}");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut pages = BTreeSet::from(["README.md".to_owned()]);
    for name in &commands {
        let (file, text) = (format!("{name}.md"), page(name));
        if std::env::var_os("BLOBDELTA_WRITE_PAGES").is_some() {
            fs::write(folder.join(&file), &text).unwrap();
        }
        let written = fs::read_to_string(folder.join(&file)).unwrap_or_default();
        assert!(
            written == text,
            "docs/commands/{file} is not what --help prints now; \
             BLOBDELTA_WRITE_PAGES=1 cargo test --test cli -- pages writes it"
        );
        assert!(index.contains(&format!("]({file})")), "docs/commands/README.md has no link to {file}");
        pages.insert(file);
    }
    let there = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(there.collect::<BTreeSet<_>>(), pages);
}

/// A command that a page shows: whether as a line of its own, or within a sentence, where it may lack arguments.
struct Shown {
    at: String,
    words: Vec<String>,
    is_whole: bool,
}

fn markdown() -> Vec<PathBuf> {
    let (mut pages, mut folders) = (Vec::new(), ["docs", "sql", "manifests"].map(|name| root().join(name)).to_vec());
    pages.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)));
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

fn shown_in(name: &str, text: &str) -> Vec<Shown> {
    let (mut found, mut in_fence) = (Vec::new(), false);
    let mut lines = text.lines().enumerate();
    while let Some((nth, line)) = lines.next() {
        let at = format!("{name}:{}", nth + 1);
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        } else if in_fence || line.starts_with("    ") {
            let mut line = line.trim_start().trim_start_matches("$ ").to_owned();
            while line.ends_with('\\') {
                line.pop();
                line += lines.next().unwrap().1.trim_start();
            }
            let whole = commands(&line).into_iter().map(|words| (words, true));
            found.extend(whole.map(|(words, is_whole)| Shown { at: at.clone(), words, is_whole }));
        } else {
            let spans = line.split('`').skip(1).step_by(2).flat_map(commands);
            found.extend(spans.map(|words| Shown { at: at.clone(), words, is_whole: false }));
        }
    }
    found
}

/// The words of a shell's line, without its comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut depth) = (Vec::new(), String::new(), None, 0);
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') if depth == 0 => quote = Some(c),
            (None, '(') if depth > 0 || word.ends_with('$') => depth += 1,
            (None, ')') if depth > 0 => depth -= 1,
            (None, '[' | ']') if depth == 0 => {}
            (None, ' ') if depth == 0 => match std::mem::take(&mut word) {
                comment if comment.starts_with('#') => break,
                word => words.push(word),
            },
            _ => word.push(c),
        }
    }
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

/// The calls of the binary in a shell's line, each without the name of the binary, and with something of the right
/// form where a page has a placeholder.
fn commands(line: &str) -> Vec<Vec<String>> {
    let meant = |word: &String| match word.as_str() {
        "RUNID" | "GUID" | "KEY" => SOME_GUID.to_owned(),
        "TABLE" | "NAME" => "Files.dbo.Attachment".to_owned(),
        "N" => "1".to_owned(),
        server if server.starts_with("Server=") => "sqlite:nowhere".to_owned(),
        url if url.contains("://") && !url.starts_with("file:") => "nowhere".to_owned(),
        other => other.to_owned(),
    };
    let words = words(line);
    let calls = words.split(|word| ["&&", ";", "|"].contains(&word.as_str()));
    let calls = calls.map(|call| call.split(|word| word.starts_with('>')).next().unwrap_or_default());
    let calls = calls.filter(|call| call.len() > 1 && call[0] == "blobdelta");
    calls.map(|call| call[1..].iter().map(meant).collect()).collect()
}

/// Why the binary does not take a command, if it does not. Nothing that is there is touched: a whole command is called
/// in an empty folder, where it fails for want of what it names; the rest, and what needs nothing, with `--help`.
fn refusal(shown: &Shown, folder: &Path) -> Option<String> {
    let mut command = binary(folder);
    command.args(shown.words.iter().filter(|word| *word != "…"));
    let is_cut = shown.words.iter().any(|word| word == "…");
    let needs_nothing = shown.words[0] == "demo" || shown.words.iter().any(|word| word == "--create");
    if !shown.is_whole || is_cut || needs_nothing {
        command.arg("--help");
    }
    let ended = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    stderr.contains(NOT_TAKEN).then(|| format!("{}: {}\n{stderr}", shown.at, shown.words.join(" ")))
}

#[test]
fn every_command_that_a_page_shows_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut shown = Vec::new();
    for path in markdown() {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        shown.extend(shown_in(&name, &fs::read_to_string(&path).unwrap()));
    }
    assert!(shown.iter().filter(|shown| shown.is_whole).count() > 60, "the pages show fewer commands than they did");
    let refused: Vec<String> = shown.iter().filter_map(|shown| refusal(shown, folder.path())).collect();
    assert!(refused.is_empty(), "{} of {} commands are not taken:\n{}", refused.len(), shown.len(), refused.join("\n"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a command of a page did something");
}

#[test]
fn a_command_that_is_not_taken_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let page = "`blobdelta verify --deeply`\n\n    blobdelta pack --out \\\n        bundles\n\n```text\n$ blobdelta run --all\n```\n\
        ```sh\nblobdelta chain bundles  # --what\nblobdelta deploy && blobdelta doktor\n```\n";
    let shown = shown_in("page", page);
    let refused: Vec<bool> = shown.iter().map(|shown| refusal(shown, folder.path()).is_some()).collect();
    assert_eq!(refused, [true, true, true, false, false, true]);
}
