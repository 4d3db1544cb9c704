//! The rules of the source tree: layers, sizes, and what may stand where.
//!
//! The layer table is read out of the text of `src/lib.rs`, so that table and test cannot drift.
//! Every rule is shown to be able to fail, by a snippet that breaks it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "structure/cited.rs"]
mod cited;
#[path = "structure/imports.rs"]
mod imports;
#[path = "structure/links.rs"]
mod links;
#[path = "structure/measures.rs"]
mod measures;
#[path = "structure/plans.rs"]
mod plans;
#[path = "structure/source.rs"]
mod source;
#[path = "structure/sql.rs"]
mod sql;

use imports::Imports;
use source::{Source, is_test_attribute, used_paths};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;

const FILE_MAX_LINES: usize = 500;
const FUNCTION_MAX_LINES: usize = 70;
const MAIN_MAX_LINES: usize = 20;

/// Crates, and the one folder of `src` that may name each.
const CRATES_AT_HOME: [(&str, &str); 12] = [
    ("rusqlite", "src/backend/sqlite/"),
    ("ssh_key", "src/bundle/signature/"),
    ("object_store", "src/store/"),
    ("reqwest", "src/store/"),
    ("openssl", "src/store/"),
    ("clap", "src/cli/"),
    ("anstream", "src/cli/out.rs"),
    ("anstyle", "src/cli/out.rs"),
    ("terminal_size", "src/cli/out.rs"),
    ("indicatif", "src/cli/"),
    ("ctrlc", "src/cli/"),
    ("rpassword", "src/cli/"),
];

/// What changes files: pairs of path segments, allowed in `src/durable` alone.
const FILE_CHANGES: [(&str, &[&str]); 2] = [
    (
        "fs",
        &[
            "OpenOptions",
            "copy",
            "create_dir",
            "create_dir_all",
            "hard_link",
            "remove_dir",
            "remove_dir_all",
            "remove_file",
            "rename",
            "set_permissions",
            "soft_link",
            "write",
        ],
    ),
    ("File", &["create", "create_new", "options"]),
];

/// What builds and changes tables by hand, for the demo and for tests: production does without.
const SANDBOX: [&str; 2] = ["Sandbox", "open_sandbox"];
const SANDBOX_AT_HOME: [&str; 2] = ["src/backend/", "src/demo/"];

const GIVES_UP: [&str; 3] = ["todo", "unimplemented", "panic"];
const PRINTS: [&str; 5] = ["println", "eprintln", "print", "eprint", "dbg"];

type Layers = BTreeMap<String, u32>;

/// The layer table in the text of `src/lib.rs`.
fn layer_table(lib: &str) -> Layers {
    let mut layers = Layers::new();
    for line in lib.lines() {
        let Some(row) = line.strip_prefix("//! |") else { continue };
        let mut cells = row.split('|').map(str::trim);
        if let (Some(Ok(layer)), Some(modules)) = (cells.next().map(str::parse), cells.next()) {
            let names = modules.split('`').skip(1).step_by(2);
            layers.extend(names.map(|name| (name.to_owned(), layer)));
        }
    }
    layers
}

/// The module at the top of the crate that a path of `source` names, if it leads out of its own.
fn top_module<'a>(source: &'a Source, depth: usize, path: &'a [String]) -> Option<&'a str> {
    let supers = path.iter().take_while(|part| *part == "super").count();
    match path.first().map(String::as_str) {
        Some("crate") => path.get(1).map(String::as_str),
        Some("super") if supers >= source.module().len() + depth => path.get(supers).map(String::as_str),
        _ => None,
    }
}

fn check_layers(layers: &Layers, source: &Source) -> Vec<String> {
    let module = source.module();
    let Some(own) = module.first() else { return Vec::new() };
    let Some(layer) = layers.get(*own) else {
        return vec![source.at(1, &format!("`{own}` is not in the layer table of src/lib.rs"))];
    };
    let mut paths = used_paths(source);
    for (token, [first, colon, _]) in source.windows::<3>() {
        if colon == ":" && (first == "crate" || first == "super") {
            let at = source.tokens.iter().position(|other| std::ptr::eq(other, token)).unwrap_or(0);
            let run = source.tokens[at..].iter().map(|token| token.text.clone()).filter(|text| text != ":");
            let path: Vec<String> = run.take(8).collect();
            paths.push((token.line, token.inline_depth, path));
        }
    }
    let mut problems = BTreeSet::new();
    for (line, depth, path) in &paths {
        let Some(other) = top_module(source, *depth, path) else { continue };
        let word = other.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let allowed = other == *own || (*own == "model" && other == "error");
        if other == "*" {
            problems.insert(source.at(*line, "imports everything with `*`"));
        } else if word && !allowed {
            match layers.get(other) {
                None => problems.insert(source.at(*line, &format!("`{other}` is not in the layer table"))),
                Some(lower) if lower < layer => false,
                Some(_) => problems.insert(source.at(*line, &format!("`{own}` may not import `{other}`"))),
            };
        }
    }
    problems.into_iter().collect()
}

fn check_sizes(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    let most = if source.path == "src/main.rs" { MAIN_MAX_LINES } else { FILE_MAX_LINES };
    if source.lines > most {
        problems.push(source.at(1, &format!("{} lines, {most} are allowed", source.lines)));
    }
    for (name, line, lines) in &source.functions {
        if *lines > FUNCTION_MAX_LINES {
            problems.push(source.at(*line, &format!("`{name}` has {lines} lines, {FUNCTION_MAX_LINES} are allowed")));
        }
    }
    problems
}

/// `mod.rs` declares and re-exports; one that holds a public trait may hold what belongs to it.
fn check_mod_file(source: &Source) -> Vec<String> {
    let public_trait =
        |item: &syn::Item| matches!(item, syn::Item::Trait(it) if matches!(it.vis, syn::Visibility::Public(_)));
    if !source.path.ends_with("/mod.rs") || source.syntax.items.iter().any(public_trait) {
        return Vec::new();
    }
    let declares = |item: &&syn::Item| match item {
        syn::Item::Mod(item) => item.content.is_none(),
        syn::Item::Use(_) => true,
        _ => false,
    };
    let others = source.syntax.items.iter().filter(|item| !declares(item)).map(|item| item.span().start().line);
    let code = others.filter(|line| !source.is_test(*line));
    code.map(|line| source.at(line, "mod.rs may only declare and re-export")).collect()
}

fn check_places(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    if !source.opening.starts_with("//!") {
        problems.push(source.at(1, "a module opens with `//!` text that says what it is for"));
    }
    for token in &source.tokens {
        let home = CRATES_AT_HOME.iter().find(|(name, _)| token.text == *name);
        if let Some((name, folder)) = home.filter(|(_, folder)| !source.path.starts_with(folder)) {
            problems.push(source.at(token.line, &format!("`{name}` may be named in {folder} only")));
        }
    }
    let at_home = SANDBOX_AT_HOME.iter().any(|folder| source.path.starts_with(folder));
    for token in source.tokens.iter().filter(|token| !at_home && SANDBOX.contains(&token.text.as_str())) {
        problems.push(source.at(token.line, &format!("`{}` is for the demo and for tests", token.text)));
    }
    let used = used_paths(source).into_iter().map(|(line, _, path)| (line, path));
    let inline = source.windows::<4>().filter(|(_, [_, a, b, _])| *a == ":" && *b == ":");
    let inline = inline.map(|(token, [first, _, _, last])| (token.line, vec![first.to_owned(), last.to_owned()]));
    for (line, path) in used.chain(inline) {
        let changes = path.windows(2).any(|pair| {
            FILE_CHANGES.iter().any(|(first, lasts)| pair[0] == *first && lasts.contains(&pair[1].as_str()))
        });
        if changes && !source.path.starts_with("src/durable/") {
            problems.push(source.at(line, &format!("`{}` changes files: only src/durable may", path.join("::"))));
        }
    }
    problems
}

fn check_words(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    for (token, [word, bang]) in source.windows::<2>() {
        if bang == "!" && GIVES_UP.contains(&word) {
            problems.push(source.at(token.line, &format!("`{word}!` outside of tests")));
        }
        if bang == "!" && PRINTS.contains(&word) {
            problems.push(source.at(token.line, &format!("`{word}!`: only src/cli/out.rs prints")));
        }
    }
    for (token, [dot, word, open]) in source.windows::<3>() {
        if dot == "." && open == "(" && (word == "unwrap" || word == "expect") {
            problems.push(source.at(token.line, &format!("`.{word}(` outside of tests")));
        }
    }
    for (token, [module, a, b, name]) in source.windows::<4>() {
        let prints = module == "io" && (name == "stdout" || name == "stderr") && source.path != "src/cli/out.rs";
        let exits = module == "process" && name == "exit" && !source.path.starts_with("src/cli/");
        if (prints || exits) && a == ":" && b == ":" {
            let who = "only src/cli/out.rs prints, and only src/cli exits";
            problems.push(source.at(token.line, &format!("`{module}::{name}`: {who}")));
        }
    }
    problems
}

fn check(layers: &Layers, path: &str, text: &str) -> Vec<String> {
    let source = Source::parse(path, text);
    let checks = [check_layers(layers, &source), check_sizes(&source), check_mod_file(&source)];
    checks.into_iter().chain([check_places(&source), check_words(&source), sql::check_sql(&source)]).flatten().collect()
}

fn rust_files(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut files, mut folders) = (Vec::new(), vec![root.join(folder)]);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// The file of `#[path = "file"] mod name;`.
fn path_attribute(item: &syn::ItemMod) -> Option<String> {
    let value = item.attrs.iter().find(|attribute| attribute.path().is_ident("path"))?;
    match &value.meta.require_name_value().ok()?.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(file), .. }) => Some(file.value()),
        _ => None,
    }
}

/// Files that are declared with `#[cfg(test)] mod name;`.
fn test_files(files: &[(String, String)]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for (path, text) in files {
        let own = Path::new(path);
        let stem = own.file_stem().unwrap().to_string_lossy();
        let inside = ["mod", "lib", "main"].contains(&stem.as_ref());
        let folder = if inside { own.parent().unwrap().to_owned() } else { own.with_extension("") };
        for item in syn::parse_file(text).unwrap().items {
            if let syn::Item::Mod(item) = item
                && item.content.is_none()
                && item.attrs.iter().any(is_test_attribute)
            {
                if let Some(path) = path_attribute(&item) {
                    found.insert(own.parent().unwrap().join(path));
                    continue;
                }
                found.insert(folder.join(format!("{}.rs", item.ident)));
                found.insert(folder.join(item.ident.to_string()).join("mod.rs"));
            }
        }
    }
    found
}

#[test]
fn the_sources_keep_the_rules() {
    let files = rust_files("src");
    let layers = layer_table(&fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap());
    let in_tests = test_files(&files);
    let mut problems = Vec::new();
    for (path, text) in &files {
        if in_tests.contains(Path::new(path)) {
            problems.extend(check_sizes(&Source::parse(path, text)));
        } else {
            problems.extend(check(&layers, path, text));
        }
    }
    assert!(files.len() > 20, "the sources were not found");
    assert!(problems.is_empty(), "{} broken rules:\n{}", problems.len(), problems.join("\n"));
}

/// The circles of imports among files, a text each.
fn circles(sources: &[Source]) -> Vec<String> {
    let imports = Imports::of(sources);
    let text = |circle: &BTreeSet<&str>| {
        format!("{} files import each other in a circle:\n{}", circle.len(), imports.inside(circle).join("\n"))
    };
    imports.circles().iter().map(text).collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = rust_files("src");
    let in_tests = test_files(&files);
    let sources = files.iter().filter(|(path, _)| !in_tests.contains(Path::new(path)));
    let sources: Vec<Source> = sources.map(|(path, text)| Source::parse(path, text)).collect();
    let circles = circles(&sources);
    assert!(circles.is_empty(), "{} circles\n{}", circles.len(), circles.join("\n"));
}

#[test]
fn a_circle_is_found_by_whichever_name_it_goes() {
    let circle = |files: &[(&str, &str)]| {
        let parse = |(path, text): &(&str, &str)| Source::parse(path, &format!("//! Text.\n{text}"));
        circles(&files.iter().map(parse).collect::<Vec<_>>()).join("\n")
    };
    let given_on = ("src/a/mod.rs", "mod one;\nmod two;\npub use one::One;\npub use two::Two;");
    let one = ("src/a/one.rs", "use super::Two;\npub struct One;");
    assert_eq!(circle(&[given_on, one, ("src/a/two.rs", "pub struct Two;")]), "");
    let both = circle(&[given_on, one, ("src/a/two.rs", "use crate::a::one::One;\npub struct Two;")]);
    assert!(both.contains("src/a/one.rs -> src/a/two.rs") && both.contains("src/a/two.rs -> src/a/one.rs"), "{both}");
    let inline = ("src/a/two.rs", "fn two() -> super::One { crate::a::One }");
    assert!(circle(&[given_on, one, inline]).contains("src/a/two.rs -> src/a/one.rs"));
    let in_tests = ("src/a/two.rs", "#[cfg(test)]\nmod tests {\n    use super::super::One;\n}");
    assert_eq!(circle(&[given_on, one, in_tests]), "");
}

#[test]
fn tests_benches_and_examples_keep_their_size() {
    let files = ["tests", "benches", "examples"].into_iter().flat_map(rust_files);
    let problems: Vec<String> = files.flat_map(|(path, text)| check_sizes(&Source::parse(&path, &text))).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_layer_table_names_every_module_and_no_other() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let declared = syn::parse_file(&lib).unwrap().items.into_iter().filter_map(|item| match item {
        syn::Item::Mod(item) => Some(item.ident.to_string()),
        _ => None,
    });
    let layers = layer_table(&lib);
    assert_eq!(declared.collect::<BTreeSet<_>>(), layers.keys().cloned().collect::<BTreeSet<_>>());
    assert_eq!(layers.values().max(), Some(&9));
}

/// The problems of a snippet, under the table of three layers.
fn found(path: &str, text: &str) -> String {
    let layers = layer_table("//! | 0 | `error`, `model` |\n//! | 1 | `bundle`, `backend` |\n//! | 2 | `engine` |");
    check(&layers, path, &format!("//! Text.\n{text}")).join("\n")
}

#[test]
fn a_broken_layer_is_found() {
    let upward = [
        "use crate::engine::run;",
        "use crate::{error::Error, engine};",
        "use crate::backend::Jobs;",
        "use super::super::engine::Plan;",
        "fn f() { crate::engine::run() }",
        "fn f() { format!(\"{}\", crate::engine::NAME); }",
        "mod inner { use super::super::super::engine::Plan; }",
        "use crate::nowhere::X;",
        "use crate::*;",
    ];
    for text in upward {
        assert_ne!(found("src/bundle/part.rs", text), "", "{text}");
    }
    assert_ne!(found("src/model/name.rs", "use crate::bundle::X;"), "");
    assert_ne!(found("src/stray.rs", ""), "");
    let fine = [
        "use crate::error::Error; use crate::bundle::Part; use super::super::bundle::Part; use super::Part;",
        "mod inner { use super::super::Part; }",
        "#[cfg(test)] mod tests { use crate::engine::run; fn f() { crate::engine::run().unwrap(); println!(); } }",
        "pub(in crate::bundle) fn f() {}",
    ];
    for text in fine {
        assert_eq!(found("src/bundle/part.rs", text), "", "{text}");
    }
    assert_eq!(found("src/model/name.rs", "use crate::error::Error;"), "");
}

#[test]
fn a_size_that_is_passed_is_found() {
    let body = |lines: usize| "    g();\n".repeat(lines);
    let function = |lines: usize| format!("fn long() {{\n{}}}\n", body(lines - 2));
    assert_eq!(found("src/model/a.rs", &function(70)), "");
    assert!(found("src/model/a.rs", &function(71)).contains("`long` has 71 lines"));
    assert!(found("src/model/a.rs", &format!("proptest! {{\n{}}}", function(71))).contains("71 lines"));
    assert!(found("src/model/a.rs", &format!("#[cfg(test)] mod t {{ {} }}", function(71))).contains("71 lines"));
    assert_eq!(found("src/model/a.rs", &"\n".repeat(499)), "");
    assert!(found("src/model/a.rs", &"\n".repeat(500)).contains("501 lines"));
    assert!(found("src/main.rs", &"\n".repeat(20)).contains("21 lines"));
}

#[test]
fn what_stands_in_a_wrong_place_is_found() {
    let wrong = [
        ("src/engine/mod.rs", "pub fn f() {}"),
        ("src/engine/mod.rs", "mod a { fn f() {} }"),
        ("src/engine/run.rs", "use rusqlite::Connection;"),
        ("src/engine/run.rs", "fn f() { rusqlite::version(); }"),
        ("src/engine/run.rs", "use clap::Parser;"),
        ("src/engine/run.rs", "fn f() { std::fs::write(a, b); }"),
        ("src/engine/run.rs", "use std::fs::{self, OpenOptions};"),
        ("src/engine/run.rs", "use std::fs::rename;"),
        ("src/engine/run.rs", "use crate::backend::Sandbox;"),
        ("src/cli/run.rs", "fn f() { connection.open_sandbox(&options); }"),
        ("src/engine/run.rs", "fn f() { File::create(a); }"),
        ("src/engine/run.rs", "fn f() { todo!() }"),
        ("src/engine/run.rs", "fn f() { panic!() }"),
        ("src/engine/run.rs", "fn f() { g().unwrap(); }"),
        ("src/engine/run.rs", "fn f() { vec![g().expect(\"x\")]; }"),
        ("src/engine/run.rs", "fn f() { eprintln!(); }"),
        ("src/engine/run.rs", "fn f() { std::io::stdout().lock(); }"),
        ("src/engine/run.rs", "fn f() { std::process::exit(1); }"),
    ];
    for (path, text) in wrong {
        assert_ne!(found(path, text), "", "{path} {text}");
    }
    let fine = [
        ("src/engine/mod.rs", "mod a; pub use a::f; #[cfg(test)] mod tests;"),
        ("src/engine/mod.rs", "pub trait T {} impl T for u8 {}"),
        ("src/backend/sqlite/session.rs", "use rusqlite::Connection;"),
        ("src/engine/run.rs", "use std::fs; fn f() { fs::read(a); fs::File::open(a); g().unwrap_or(0); }"),
        ("src/engine/run.rs", "/// let x = y.unwrap(); println!()\nfn f() { g(\"rusqlite panic!()\") }"),
    ];
    for (path, text) in fine {
        assert_eq!(found(path, text), "", "{path} {text}");
    }
    let layers = layer_table("//! | 0 | `model` |");
    assert_ne!(check(&layers, "src/model/a.rs", "fn f() {}").join(""), "");
}
