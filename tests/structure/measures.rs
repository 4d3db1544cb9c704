//! Measures of the source tree, to be compared before and after a change:
//! `cargo test --test structure -- measures --nocapture`.

use super::imports::Imports;
use super::source::Source;
use super::sql::long_statements;
use super::{rust_files, test_files};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use syn::visit::{self, Visit};

/// Methods of a type of the backends: those that traits ask of the engine are seventy.
const METHODS_MAX: usize = 75;
const OWN_METHODS_MAX: usize = 40;

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

/// How many methods a type has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Methods {
    /// Outside of traits.
    own: usize,
    all: usize,
}

/// The methods of each type below a folder, wherever its `impl` blocks stand.
fn methods(sources: &[Source], folder: &str) -> BTreeMap<String, Methods> {
    let within = sources.iter().filter(|source| source.path.starts_with(folder));
    let mut found: BTreeMap<String, Methods> = BTreeMap::new();
    for item in within.flat_map(|source| &source.syntax.items) {
        let syn::Item::Impl(item) = item else { continue };
        let syn::Type::Path(path) = &*item.self_ty else { continue };
        let Some(name) = path.path.segments.last() else { continue };
        let count = item.items.iter().filter(|item| matches!(item, syn::ImplItem::Fn(_))).count();
        let methods = found.entry(name.ident.to_string()).or_default();
        methods.all += count;
        methods.own += if item.trait_.is_none() { count } else { 0 };
    }
    found
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
    let text = "struct S; impl S { fn f() { g(\"SELECT 1\", \"no SQL\"); } } impl T for S<'_> { fn h() {} } impl R { fn i() {} }";
    let sources = [Source::parse("src/room/a.rs", text)];
    let found = methods(&sources, "src/room/");
    assert_eq!((found["S"], found["R"].all), (Methods { own: 1, all: 2 }, 1));
    assert_eq!(statements(&sources), 1);
}

/// The sources of a folder, without files that exist in tests only.
fn sources(folder: &str) -> Vec<Source> {
    let files = rust_files(folder);
    let in_tests = test_files(&files);
    let files = files.iter().filter(|(path, _)| !in_tests.contains(Path::new(path)));
    files.map(|(path, text)| Source::parse(path, text)).collect()
}

const BACKENDS: [&str; 2] = ["sqlite", "sqlserver"];

/// A type that everything is a method of says nothing of what needs what.
#[test]
fn no_type_of_a_backend_serves_everything() {
    let sources = sources("src/backend");
    for backend in BACKENDS {
        let found = methods(&sources, &format!("src/backend/{backend}/"));
        assert!(found.contains_key("Engine") && found.contains_key("Database"), "{backend}: the types were not found");
        for (name, methods) in found {
            let is_fine = methods.own <= OWN_METHODS_MAX && methods.all <= METHODS_MAX;
            assert!(is_fine, "{backend}: {name} has {methods:?}; allowed are {OWN_METHODS_MAX} and {METHODS_MAX}");
        }
    }
}

/// The traits that `Backend` is made of, with their methods.
fn asked_of_a_backend(sources: &[Source]) -> BTreeMap<String, Vec<String>> {
    let traits: BTreeMap<String, &syn::ItemTrait> = sources
        .iter()
        .flat_map(|source| &source.syntax.items)
        .filter_map(|item| if let syn::Item::Trait(item) = item { Some((item.ident.to_string(), item)) } else { None })
        .collect();
    let named = |bound: &syn::TypeParamBound| match bound {
        syn::TypeParamBound::Trait(bound) => bound.path.get_ident().map(ToString::to_string),
        _ => None,
    };
    let methods = |item: &syn::ItemTrait| {
        let methods = item.items.iter();
        methods
            .filter_map(
                |item| if let syn::TraitItem::Fn(item) = item { Some(item.sig.ident.to_string()) } else { None },
            )
            .collect()
    };
    let parts = traits["Backend"].supertraits.iter().filter_map(named);
    parts.map(|name| (name.clone(), methods(traits[&name]))).collect()
}

/// A method with a body in its trait would be that body, whatever a servant does, if it were not handed on.
#[test]
fn a_session_hands_on_every_method() {
    let sources = sources("src/backend");
    let session = sources.iter().find(|source| source.path == "src/backend/session.rs").unwrap();
    let handed_on: Vec<String> =
        session.windows::<2>().filter(|(_, [word, _])| *word == "fn").map(|(_, [_, name])| name.to_owned()).collect();
    let asked = asked_of_a_backend(&sources);
    assert!(asked["Jobs"].len() > 20 && asked.len() > 5, "the traits were not found");
    let forgotten: Vec<&String> = asked.values().flatten().filter(|name| !handed_on.contains(name)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

#[test]
fn measures() {
    let sources = sources("src");
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
    for backend in BACKENDS {
        let found = methods(&sources, &format!("src/backend/{backend}/"));
        let most = found.iter().max_by_key(|(_, methods)| methods.all).unwrap();
        let own = found.iter().max_by_key(|(_, methods)| methods.own).unwrap();
        println!("most methods, {backend:<19} {} of {}", most.1.all, most.0);
        println!("outside of traits, {backend:<14} {} of {}", own.1.own, own.0);
    }
    println!("statements of SQL in strings      {}", statements(&sources));
    println!("  of them of more than a line     {}", sources.iter().flat_map(long_statements).count());
    println!("type names that stand twice       {}: {types:?}", types.len());
    let circles: Vec<String> = imports.circles().iter().map(|circle| format!("{circle:?}")).collect();
    println!("circles of imports                {}\n  {}", circles.len(), circles.join("\n  "));
    println!("bytes of README.md                {readme}");
    assert!(functions.len() > 1000, "the sources were not found");
}
