//! Man pages and completions, made from the arguments themselves. With `BLOBDELTA_PAGES=FOLDER` they are written into `man` and
//! `completions` there, for packages.

use clap_complete::Shell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The page of a command and those of the commands below it, by the names of their files.
fn add_pages(command: &clap::Command, name: &str, pages: &mut BTreeMap<String, String>) {
    // Clap keeps no names but those of a program's text.
    let own = command.clone().name(&*name.to_owned().leak()).bin_name(name.replace('-', " "));
    let mut page = Vec::new();
    clap_mangen::Man::new(own).render(&mut page).unwrap();
    pages.insert(format!("{name}.1"), String::from_utf8(page).unwrap());
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        add_pages(below, &format!("{name}-{}", below.get_name()), pages);
    }
}

fn completions() -> BTreeMap<String, String> {
    let shells = [("blobdelta.bash", Shell::Bash), ("_blobdelta", Shell::Zsh), ("blobdelta.fish", Shell::Fish)];
    let made = |shell| {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut blobdelta::cli::command(), "blobdelta", &mut script);
        String::from_utf8(script).unwrap()
    };
    shells.into_iter().map(|(name, shell)| (name.to_owned(), made(shell))).collect()
}

fn write(folder: &Path, files: &BTreeMap<String, String>) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

#[test]
fn man_pages_and_completions_have_every_command() {
    let mut command = blobdelta::cli::command();
    command.build();
    let mut pages = BTreeMap::new();
    add_pages(&command, "blobdelta", &mut pages);
    let scripts = completions();
    assert!(pages.len() > 30, "{:?}", pages.keys());
    for name in ["blobdelta.1", "blobdelta-run.1", "blobdelta-table-add.1", "blobdelta-report.1"] {
        let page = &pages[name];
        assert!(page.contains(".SH NAME") && page.contains(".SH OPTIONS"), "{name}: {page}");
    }
    assert!(pages["blobdelta-run.1"].contains("each\\-business\\-unit"), "{}", pages["blobdelta-run.1"]);
    for (name, script) in &scripts {
        assert!(script.contains("reconcile") && script.contains("each-business-unit"), "{name}");
    }
    if let Some(folder) = std::env::var_os("BLOBDELTA_PAGES").map(PathBuf::from) {
        write(&folder.join("man"), &pages);
        write(&folder.join("completions"), &scripts);
    }
}

#[test]
fn the_version_names_the_target() {
    let world = crate::world::World::bare();
    let told = world.call_on("", &["--version"]).stdout;
    assert!(told.starts_with(concat!("blobdelta ", env!("CARGO_PKG_VERSION"), " (commit ")), "{told}");
    assert!(told.contains(std::env::consts::ARCH) && told.contains(std::env::consts::OS), "{told}");
}
