//! The pages' links: what a link names is there, and so is the heading that it leads to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The lines of a page that are prose, with their numbers: without code.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut in_fence = false;
    let lines = text.lines().enumerate().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_fence ^= is_fence;
        !in_fence && !is_fence && !line.starts_with("    ")
    });
    lines.map(|(nth, line)| (nth + 1, line.split('`').step_by(2).collect::<Vec<_>>().join("`")))
}

/// The names under which GitHub shows a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut in_fence = false;
    for line in text.lines() {
        in_fence ^= line.starts_with("```");
        let title = line.trim_start_matches('#');
        if in_fence || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        let name = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let repeated = (1..).map(|n| format!("{name}-{n}"));
        let free = [name.clone()].into_iter().chain(repeated).find(|name| !found.contains(name));
        found.extend(free);
    }
    found
}

/// The links of a line: what stands in the round brackets.
fn links(line: &str) -> Vec<&str> {
    let starts = line.match_indices("](").map(|(at, found)| &line[at + found.len()..]);
    starts.filter_map(|rest| rest.split(')').next()).collect()
}

/// Why a link of a page leads nowhere, if it does.
fn broken(page: &Path, link: &str) -> Option<&'static str> {
    if link.starts_with("https://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { page.to_owned() } else { page.parent()?.join(file) };
    if !target.exists() {
        return Some("is not there");
    }
    let anchor = anchor?;
    let is_there = fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor));
    (!is_there).then_some("has no such heading")
}

fn broken_links(page: &Path, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (nth, line) in prose(text) {
        let bad = links(&line).into_iter().filter_map(|link| Some((link, broken(page, link)?)));
        problems.extend(bad.map(|(link, why)| format!("{}:{nth}: {link} {why}", page.display())));
    }
    problems
}

/// Files and folders of the project that a page names in its prose, and that are not there.
fn unknown_paths(text: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["benches/", "docs/", "examples/", "fixtures/", "manifests/", "sql/", "src/", "tests/"];
    let spans = text.split('`').skip(1).step_by(2).filter(|span| folders.iter().any(|folder| span.starts_with(folder)));
    let paths = spans.filter(|span| span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)));
    paths.filter(|path| !root.join(path).exists()).map(str::to_owned).collect()
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut pages, mut folders) =
        (Vec::new(), ["docs", "examples", "manifests", "sql"].map(|name| root.join(name)).to_vec());
    pages.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name)));
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let pages = pages();
    let problems: Vec<String> =
        pages.iter().flat_map(|page| broken_links(page, &fs::read_to_string(page).unwrap())).collect();
    assert!(pages.len() > 12, "the pages were not found");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The history in CHANGELOG.md may name what is no more.
#[test]
fn every_file_that_a_page_names_is_there() {
    for page in pages().iter().filter(|page| !page.ends_with("CHANGELOG.md")) {
        let text = fs::read_to_string(page).unwrap();
        let prose = text.split("```").step_by(2).collect::<String>();
        assert_eq!(unknown_paths(&prose), [""; 0], "{} names what is not there", page.display());
    }
    assert_eq!(unknown_paths("`src/lib.rs`, `src/libs.rs` and `sql/…`"), ["src/libs.rs"]);
}

/// Who looks for something begins at README.md.
#[test]
fn every_page_is_linked_from_another_and_readme_is_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = pages();
    let mut linked = BTreeSet::new();
    for page in &pages {
        for (_, line) in prose(&fs::read_to_string(page).unwrap()) {
            let files = links(&line).into_iter().map(|link| link.split('#').next().unwrap_or_default().to_owned());
            linked.extend(files.filter_map(|file| page.parent()?.join(file).canonicalize().ok()));
        }
    }
    let readme = root.join("README.md");
    let lost: Vec<&PathBuf> = pages.iter().filter(|page| **page != readme && !linked.contains(*page)).collect();
    assert!(lost.is_empty(), "no page has a link to {lost:?}");
    assert!(fs::metadata(&readme).unwrap().len() <= 10 * 1024, "README.md is over 10 KiB");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = "# A `b`, c & d\n[x](nowhere.md) [y](docs/rules.md#no-such) [r](docs/rules.md#the-rules)\n\
        ```\n[code](nowhere.md)\n```\n`[code](nowhere.md)` [w](https://example.org)\n[v](#x)";
    let problems = broken_links(&page, text);
    let expected = ["2: nowhere.md is not there", "2: docs/rules.md#no-such has no such heading"];
    assert!(
        problems.len() == 3 && expected.iter().zip(&problems).all(|(end, found)| found.ends_with(end)),
        "{problems:?}"
    );
    assert!(anchors(text).contains("a-b-c--d"), "{:?}", anchors(text));
}
