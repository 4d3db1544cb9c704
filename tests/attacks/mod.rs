//! The page of attacks, `docs/security.md`: it names each test whose name begins with `attack_`, and none that is not there.
//! A name in it that ends in `*` stands for all that begin so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const PREFIX: &str = "attack_";

/// The attack that a test is, by its name.
pub fn attack(test: &str) -> Option<String> {
    let name = test.rsplit("::").next().unwrap_or_default();
    name.starts_with(PREFIX).then(|| name.to_owned())
}

/// Holds the page against the attacks of this program's lists, and those that stand in other programs of tests.
pub fn page_and_tests_agree(of_lists: &BTreeSet<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = of_lists.clone();
    for folder in ["src", "tests/cli", "tests/bundles"] {
        tests.extend(functions(&root.join(folder)));
    }
    let page = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `attack_")?.split('`').next());
    let rows: BTreeSet<String> = rows.map(|name| format!("{PREFIX}{name}")).collect();
    let names = |row: &str, test: &str| match row.strip_suffix('*') {
        Some(start) => test.starts_with(start),
        None => row == test,
    };
    let unreported: Vec<&String> = tests.iter().filter(|test| !rows.iter().any(|row| names(row, test))).collect();
    assert!(unreported.is_empty(), "add to the table of attacks in docs/security.md: {unreported:#?}");
    let is_there = |row: &String| tests.iter().any(|test| names(row, test));
    let gone: Vec<&String> = rows.iter().filter(|row| !is_there(row)).collect();
    assert!(gone.is_empty(), "the table of attacks in docs/security.md names what is no test: {gone:#?}");
    assert!(tests.len() > 40, "{tests:?}");
}

/// The attacks among the functions of all files below a folder.
fn functions(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let of_line = |line: &str| line.trim().strip_prefix("fn ")?.split('(').next().and_then(attack);
                found.extend(text.lines().filter_map(of_line));
            }
        }
    }
    found
}
