//! Measures of the source tree, to be compared before and after a change:
//! `cargo test --test structure -- measures --nocapture`.

use super::imports::Imports;
use super::source::Source;
use super::{rust_files, test_files};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use syn::visit::{self, Visit};

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

#[test]
fn measures() {
    let files = rust_files("src");
    let in_tests = test_files(&files);
    let files = files.iter().filter(|(path, _)| !in_tests.contains(Path::new(path)));
    let sources: Vec<Source> = files.map(|(path, text)| Source::parse(path, text)).collect();
    let functions: Vec<usize> =
        sources.iter().flat_map(|source| &source.functions).map(|(_, _, lines)| *lines).collect();
    let types = repeated_types(&sources);
    let imports = Imports::of(&sources);
    let readme = fs::metadata(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap().len();
    let lines = |files: &[(String, String)]| files.iter().map(|(_, text)| text.lines().count()).sum::<usize>();
    println!("lines of src, without its tests   {}", sources.iter().map(|source| source.lines).sum::<usize>());
    println!("lines of tests                    {}", lines(&rust_files("tests")));
    println!("files of src                      {}", sources.len());
    println!("functions of src                  {}", functions.len());
    println!("lines of the longest function     {}", functions.iter().max().unwrap());
    println!("type names that stand twice       {}: {types:?}", types.len());
    let circles: Vec<String> = imports.circles().iter().map(|circle| format!("{circle:?}")).collect();
    println!("circles of imports                {}\n  {}", circles.len(), circles.join("\n  "));
    println!("bytes of README.md                {readme}");
    assert!(functions.len() > 1000, "the sources were not found");
}
