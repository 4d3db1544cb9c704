//! Rules are cited by number, and docs/rules.md is where each of them is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The numbers of the rules that a page has: `**7. Closure.**` at the beginning of a line.
fn written(page: &str) -> Vec<u32> {
    let starts = page.lines().filter_map(|line| line.strip_prefix("**")?.split_once(". "));
    starts.filter_map(|(number, _)| number.parse().ok()).collect()
}

/// The numbers that a text cites: `rule 7`, `rules 3 and 4`, `rules 16, 17 and 22`, `rule_7_`.
fn cited(text: &str) -> BTreeSet<u32> {
    let text = text.to_lowercase().replace("rule_", "rule ").replace('_', " ");
    let mut found = BTreeSet::new();
    for after in text.split("rule").skip(1) {
        let after = after.strip_prefix('s').unwrap_or(after);
        let Some(after) = after.strip_prefix(' ') else { continue };
        for word in after.split([' ', ',']).filter(|word| !word.is_empty() && *word != "and") {
            let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
            let Ok(number) = digits.parse() else { break };
            found.insert(number);
            if word.len() > digits.len() {
                break;
            }
        }
    }
    found
}

/// The files below some folders of the project that may cite rules, each with the numbers that it cites.
fn citations(folders: &[&str]) -> Vec<(PathBuf, BTreeSet<u32>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if ["rs", "sql", "md"].contains(&ending) && !path.ends_with("structure/cited.rs") {
                let numbers = cited(&fs::read_to_string(&path).unwrap());
                found.push((path, numbers));
            }
        }
    }
    found
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md")).unwrap()
}

#[test]
fn every_rule_that_is_cited_is_on_its_page() {
    let rules = written(&page());
    assert_eq!(rules, (1..=rules.len() as u32).collect::<Vec<_>>(), "the rules are numbered from 1 without a gap");
    let mut all = BTreeSet::new();
    for (path, numbers) in citations(&["src", "sql", "tests", "docs", "manifests"]) {
        let lost: Vec<&u32> = numbers.iter().filter(|number| !rules.contains(number)).collect();
        assert!(lost.is_empty(), "{} cites rules {lost:?}, which docs/rules.md does not have", path.display());
        all.extend(numbers);
    }
    assert!(all.len() > 20, "the citations were not found: {all:?}");
}

/// Whoever searches for the number of a rule finds its code and its tests.
#[test]
fn every_rule_that_is_built_is_cited_by_code_and_by_tests() {
    let page = page();
    let lines: Vec<&str> = page.lines().filter(|line| !line.contains("*Not built yet.*")).collect();
    let built = written(&lines.join("\n"));
    for folders in [&["src", "sql"][..], &["tests"]] {
        let all: BTreeSet<u32> = citations(folders).into_iter().flat_map(|(_, numbers)| numbers).collect();
        let missing: Vec<&u32> = built.iter().filter(|number| !all.contains(number)).collect();
        assert!(missing.is_empty(), "nothing in {folders:?} cites rules {missing:?}");
    }
}

#[test]
fn citations_of_every_form_are_found() {
    assert_eq!(
        cited("Rule 7: x. fn rule_8_a() (rules 3 and 4; rules 16, 17 and 22) ruler 9, rule of 10"),
        BTreeSet::from([3, 4, 7, 8, 16, 17, 22])
    );
    assert_eq!(written("**1. Window.** x\n**2. Open.**\n3. no\n**4 no**"), [1, 2]);
}
