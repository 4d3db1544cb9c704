//! Measures of the source tree, to be compared before and after a change:
//! `cargo test --test structure -- measures --nocapture`.

use super::source::{Source, used_paths};
use super::{rust_files, test_files};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use syn::visit::{self, Visit};

type Graph = BTreeMap<String, BTreeSet<String>>;

/// Names of the types that a file declares.
#[derive(Default)]
struct Types(Vec<String>);

impl<'ast> Visit<'ast> for Types {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let name = match item {
            syn::Item::Struct(item) => Some(&item.ident),
            syn::Item::Enum(item) => Some(&item.ident),
            syn::Item::Trait(item) => Some(&item.ident),
            _ => None,
        };
        self.0.extend(name.map(ToString::to_string));
        visit::visit_item(self, item);
    }
}

/// Type names that stand more than once, with how often.
fn repeated_types(sources: &[Source]) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for source in sources {
        let mut types = Types::default();
        types.visit_file(&source.syntax);
        types.0.into_iter().for_each(|name| *names.entry(name).or_default() += 1);
    }
    names.retain(|_, times| *times > 1);
    names
}

/// What a room gives out under its own name, and the module within it that has it.
fn given_out(source: &Source) -> BTreeMap<String, String> {
    let paths = used_paths(source).into_iter().map(|(_, _, path)| path).filter(|path| path.len() > 1);
    paths.filter_map(|path| Some((path.last()?.clone(), path.first()?.clone()))).collect()
}

/// The path that a `use` line of a module means, from the crate's root on.
fn resolved(module: &[&str], depth: usize, path: &[String]) -> Vec<String> {
    let up = path.iter().take_while(|part| *part == "super").count();
    match path.first().map(String::as_str) {
        Some("crate") => path[1..].to_vec(),
        Some("super") => {
            let within = module.len().saturating_sub(up.saturating_sub(depth));
            module[..within].iter().map(|part| (*part).to_owned()).chain(path[up..].iter().cloned()).collect()
        }
        _ => Vec::new(),
    }
}

/// For each room (a folder of `src`) which of its modules imports which.
fn rooms(sources: &[Source]) -> BTreeMap<String, Graph> {
    let gives: BTreeMap<String, BTreeMap<String, String>> = sources
        .iter()
        .filter(|source| source.path.ends_with("/mod.rs"))
        .map(|source| (source.module().join("::"), given_out(source)))
        .collect();
    let mut rooms: BTreeMap<String, Graph> = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.path.ends_with("/mod.rs")) {
        let module = source.module();
        for (_, depth, path) in used_paths(source) {
            let target = resolved(&module, depth, &path);
            for end in 1..module.len() {
                let room = module[..end].join("::");
                let inside = target.len() > end && target[..end].iter().zip(&module).all(|(one, other)| one == other);
                let (Some(names), true) = (gives.get(&room), inside) else { continue };
                let other = names.get(&target[end]).unwrap_or(&target[end]);
                if other != module[end] {
                    let graph = rooms.entry(room).or_default();
                    graph.entry(module[end].to_owned()).or_default().insert(other.clone());
                }
            }
        }
    }
    rooms
}

fn reached<'a>(graph: &'a Graph, from: &'a str) -> BTreeSet<&'a str> {
    let (mut found, mut due) = (BTreeSet::new(), vec![from]);
    while let Some(next) = due.pop() {
        let further = graph.get(next).into_iter().flatten().map(String::as_str);
        due.extend(further.filter(|other| found.insert(*other)));
    }
    found
}

/// The modules of a room that import each other, in a circle.
fn circles(graph: &Graph) -> Vec<BTreeSet<&str>> {
    let mut found: Vec<BTreeSet<&str>> = Vec::new();
    for module in graph.keys().map(String::as_str) {
        let circle: BTreeSet<&str> =
            reached(graph, module).into_iter().filter(|other| reached(graph, other).contains(module)).collect();
        if circle.contains(module) && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

#[test]
fn measures() {
    let files = rust_files("src");
    let in_tests = test_files(&files);
    let files = files.iter().filter(|(path, _)| !in_tests.contains(Path::new(path)));
    let sources: Vec<Source> = files.map(|(path, text)| Source::parse(path, text)).collect();
    let functions: Vec<usize> =
        sources.iter().flat_map(|source| &source.functions).map(|(_, _, lines)| *lines).collect();
    let types = repeated_types(&sources);
    let rooms = rooms(&sources);
    let readme = fs::metadata(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap().len();
    let lines = |files: &[(String, String)]| files.iter().map(|(_, text)| text.lines().count()).sum::<usize>();
    println!("lines of src, without its tests   {}", sources.iter().map(|source| source.lines).sum::<usize>());
    println!("lines of tests                    {}", lines(&rust_files("tests")));
    println!("files of src                      {}", sources.len());
    println!("functions of src                  {}", functions.len());
    println!("lines of the longest function     {}", functions.iter().max().unwrap());
    println!("type names that stand twice       {}: {types:?}", types.len());
    let circles: Vec<String> = rooms
        .iter()
        .flat_map(|(room, graph)| circles(graph).into_iter().map(move |circle| format!("{room} {circle:?}")))
        .collect();
    println!("circles of imports within rooms   {}\n  {}", circles.len(), circles.join("\n  "));
    println!("bytes of README.md                {readme}");
    assert!(functions.len() > 1000 && rooms.len() > 8, "the sources were not found");
}

#[test]
fn a_circle_is_found() {
    let source = |path: &str, text: &str| Source::parse(path, text);
    let sources = [
        source("src/room/mod.rs", "mod a; mod b; mod c; mod d; pub use b::Thing;"),
        source("src/room/a.rs", "use super::Thing; use crate::other::x;"),
        source("src/room/b.rs", "use super::c::y;"),
        source("src/room/c.rs", "use crate::room::a::z; mod inner { use super::super::d::v; }"),
        source("src/room/d.rs", "#[cfg(test)] mod tests { use super::super::a; }"),
    ];
    let rooms = rooms(&sources);
    assert_eq!(circles(&rooms["room"]), [BTreeSet::from(["a", "b", "c"])]);
    assert_eq!(rooms["room"]["c"], BTreeSet::from(["a".to_owned(), "d".to_owned()]));
}
