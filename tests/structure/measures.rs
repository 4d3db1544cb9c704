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

/// Methods of the types of this name below a folder, those of traits included.
fn methods(sources: &[Source], folder: &str, of: &str) -> usize {
    let within = sources.iter().filter(|source| source.path.starts_with(folder));
    let count = |item: &syn::Item| match item {
        syn::Item::Impl(item) => {
            let is_of = matches!(&*item.self_ty, syn::Type::Path(path) if path.path.is_ident(of));
            if is_of { item.items.iter().filter(|item| matches!(item, syn::ImplItem::Fn(_))).count() } else { 0 }
        }
        _ => 0,
    };
    within.flat_map(|source| &source.syntax.items).map(count).sum()
}

/// Statements of SQL that stand in strings, outside of tests.
fn statements(sources: &[Source]) -> usize {
    let verbs = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ", "DROP ", "ALTER ", "EXEC ", "MERGE ", "WITH "];
    let is_sql = |text: &str| {
        let body = text.trim_start_matches(['r', '#', '"']).trim_start_matches(['\\', 'n', ' ']);
        text.ends_with(['"', '#']) && verbs.iter().any(|verb| body.starts_with(verb))
    };
    let tokens = sources.iter().flat_map(|source| source.windows::<1>());
    tokens.filter(|(token, _)| is_sql(&token.text)).count()
}

#[test]
fn methods_and_statements_are_counted() {
    let text =
        "struct S; impl S { fn f() { g(\"SELECT 1\", \"no SQL\"); } } impl T for S { fn h() {} } impl R { fn i() {} }";
    let sources = [Source::parse("src/room/a.rs", text)];
    assert_eq!((methods(&sources, "src/room/", "S"), statements(&sources)), (2, 1));
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
    for backend in ["sqlite", "sqlserver"] {
        let methods = methods(&sources, &format!("src/backend/{backend}/"), "Session");
        println!("methods of Session, {backend:<13} {methods}");
    }
    println!("statements of SQL in strings      {}", statements(&sources));
    println!("type names that stand twice       {}: {types:?}", types.len());
    let circles: Vec<String> = imports.circles().iter().map(|circle| format!("{circle:?}")).collect();
    println!("circles of imports                {}\n  {}", circles.len(), circles.join("\n  "));
    println!("bytes of README.md                {readme}");
    assert!(functions.len() > 1000, "the sources were not found");
}
