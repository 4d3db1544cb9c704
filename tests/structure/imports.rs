//! Which file imports which, and the circles among them.

use crate::source::{Source, used_paths};
use std::collections::{BTreeMap, BTreeSet};
use syn::spanned::Spanned;

/// A path from the root of the crate.
type Path = Vec<String>;

/// Files by what they import from each other.
pub struct Imports {
    /// Each module's file.
    files: BTreeMap<Path, String>,
    /// What a module gives on under another path than its own: `pub use part::Writer` in `bundle/mod.rs`.
    given_on: BTreeMap<Path, Path>,
    /// From a file to those that it imports from.
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Imports {
    /// Of all files of a crate, those that exist in tests only left out.
    pub fn of(sources: &[Source]) -> Self {
        let path = |source: &Source| source.module().into_iter().map(str::to_owned).collect::<Path>();
        let files = sources.iter().map(|source| (path(source), source.path.clone())).collect();
        let mut imports = Self { files, given_on: BTreeMap::new(), edges: BTreeMap::new() };
        for source in sources {
            let own = path(source);
            for item in &source.syntax.items {
                let syn::Item::Use(item) = item else { continue };
                if matches!(item.vis, syn::Visibility::Inherited) {
                    continue;
                }
                for (name, used) in crate::source::used_names(item) {
                    let name = own.iter().cloned().chain([name]).collect();
                    imports.given_on.insert(name, absolute(&own, 0, &used));
                }
            }
        }
        for source in sources {
            imports.add(source, &path(source));
        }
        imports
    }

    fn add(&mut self, source: &Source, own: &[String]) {
        // What a module gives on it does not use itself.
        let given_on: BTreeSet<usize> = source.syntax.items.iter().filter_map(public_use_line).collect();
        let used = used_paths(source).into_iter().filter(|(line, ..)| !given_on.contains(line));
        let inline = inline_paths(source);
        let to: BTreeSet<String> = used
            .chain(inline)
            .filter_map(|(_, depth, path)| self.file(absolute(own, depth, &path)))
            .filter(|file| *file != source.path)
            .collect();
        self.edges.insert(source.path.clone(), to);
    }

    /// The file that defines what a path names.
    fn file(&self, mut path: Path) -> Option<String> {
        for _ in 0..8 {
            // A function may be given on under the name of a module beside it; only a module has something inside.
            let is_free = |len: &usize| *len == path.len() || !self.files.contains_key(&path[..*len]);
            let lengths = (1..=path.len()).rev().filter(is_free);
            let given = lengths.into_iter().find_map(|len| Some((len, self.given_on.get(&path[..len])?)));
            let Some((len, other)) = given else { break };
            path = other.iter().chain(&path[len..]).cloned().collect();
        }
        (1..=path.len()).rev().find_map(|len| self.files.get(&path[..len])).cloned()
    }

    /// Sets of files that can all be reached from each other, of two and more.
    pub fn circles(&self) -> Vec<BTreeSet<&str>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            self.edges.keys().map(|file| (file.as_str(), self.reached_from(file))).collect();
        let mut found = BTreeSet::new();
        for (file, to) in &reached {
            let circle: BTreeSet<&str> = to.iter().copied().filter(|other| reached[other].contains(file)).collect();
            if circle.len() > 1 {
                found.insert(circle);
            }
        }
        found.into_iter().collect()
    }

    fn reached_from(&self, file: &str) -> BTreeSet<&str> {
        let (mut found, mut open) = (BTreeSet::new(), vec![file]);
        while let Some(file) = open.pop() {
            for to in self.edges.get(file).into_iter().flatten() {
                if self.edges.contains_key(to) && found.insert(to.as_str()) {
                    open.push(to);
                }
            }
        }
        found
    }

    /// The imports inside a set of files, a line each.
    pub fn inside(&self, files: &BTreeSet<&str>) -> Vec<String> {
        let lines = files.iter().flat_map(|file| {
            let to = self.edges[*file].iter().filter(|to| files.contains(to.as_str()));
            to.map(move |to| format!("  {file} -> {to}"))
        });
        lines.collect()
    }
}

fn public_use_line(item: &syn::Item) -> Option<usize> {
    match item {
        syn::Item::Use(item) if !matches!(item.vis, syn::Visibility::Inherited) => Some(item.span().start().line),
        _ => None,
    }
}

/// A path as it is written in a module, from the root of the crate; `depth` inline modules lie around it.
fn absolute(own: &[String], depth: usize, path: &[String]) -> Path {
    let supers = path.iter().take_while(|part| *part == "super").count();
    let (base, rest): (&[String], &[String]) = match path.first().map(String::as_str) {
        Some("crate") => (&[], &path[1..]),
        Some("self") => (own, &path[1..]),
        Some("super") => (&own[..(own.len() + depth).saturating_sub(supers).min(own.len())], &path[supers..]),
        // In the edition that is used here a bare path is a child's, or another crate's.
        _ => (own, path),
    };
    base.iter().chain(rest).cloned().collect()
}

/// Paths that stand in code, outside of `use`.
fn inline_paths(source: &Source) -> Vec<(usize, usize, Path)> {
    let mut found = Vec::new();
    let tokens = &source.tokens;
    for (at, token) in tokens.iter().enumerate() {
        let follows = |n: usize, text: &str| tokens.get(at + n).is_some_and(|token| token.text == text);
        let starts = !(at > 1 && tokens[at - 1].text == ":" && tokens[at - 2].text == ":");
        let names = token.text.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_');
        if !starts || !names || !follows(1, ":") || !follows(2, ":") || source.is_test(token.line) {
            continue;
        }
        let (mut path, mut next) = (vec![token.text.clone()], at + 1);
        while tokens.get(next).is_some_and(|token| token.text == ":")
            && tokens.get(next + 1).is_some_and(|token| token.text == ":")
        {
            let Some(part) = tokens.get(next + 2) else { break };
            path.push(part.text.clone());
            next += 3;
        }
        if ["crate", "super", "self"].contains(&path[0].as_str()) {
            found.push((token.line, token.inline_depth, path));
        }
    }
    found
}
