//! A source file taken apart: its tokens, functions, imports, and the lines that exist in tests only.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// One token of a file, with what a rule needs to know about its place.
pub struct Token {
    pub text: String,
    pub line: usize,
    /// Inline modules around it.
    pub inline_depth: usize,
}

/// A file, taken apart.
pub struct Source {
    /// With `/`, from the root of the repository.
    pub path: String,
    pub lines: usize,
    pub opening: String,
    pub tokens: Vec<Token>,
    /// (name, first line, lines), of all functions, those in macros and tests included.
    pub functions: Vec<(String, usize, usize)>,
    pub syntax: syn::File,
    test_lines: Vec<(usize, usize)>,
}

impl Source {
    pub fn parse(path: &str, text: &str) -> Self {
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut finder = TestLines::default();
        finder.visit_file(&syntax);
        let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let (mut tokens, mut functions) = (Vec::new(), Vec::new());
        flatten(stream, 0, &mut tokens, &mut functions);
        Self {
            path: path.to_owned(),
            lines: text.lines().count(),
            opening: text.lines().next().unwrap_or_default().to_owned(),
            tokens,
            functions,
            syntax,
            test_lines: finder.0,
        }
    }

    pub fn is_test(&self, line: usize) -> bool {
        self.test_lines.iter().any(|(first, last)| (*first..=*last).contains(&line))
    }

    /// Its module path: `src/backend/sqlite/mod.rs` is `[backend, sqlite]`.
    pub fn module(&self) -> Vec<&str> {
        let body = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        body.split('/').filter(|part| !["mod", "lib", "main"].contains(part)).collect()
    }

    /// Runs of tokens outside of tests, of this length.
    pub fn windows<const N: usize>(&self) -> impl Iterator<Item = (&Token, [&str; N])> {
        let starts = 0..self.tokens.len().saturating_sub(N - 1);
        let runs = starts.map(|at| (&self.tokens[at], std::array::from_fn(|n| self.tokens[at + n].text.as_str())));
        runs.filter(|(token, _)| !self.is_test(token.line))
    }

    pub fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// The lines of items that exist in tests only.
#[derive(Default)]
struct TestLines(Vec<(usize, usize)>);

impl<'ast> Visit<'ast> for TestLines {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if attributes.iter().any(is_test_attribute) {
            self.0.push((item.span().start().line, item.span().end().line));
        } else {
            visit::visit_item(self, item);
        }
    }
}

pub fn is_test_attribute(attribute: &syn::Attribute) -> bool {
    let cfg_test = attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"));
    cfg_test || attribute.path().is_ident("test")
}

fn flatten(
    stream: TokenStream,
    inline_depth: usize,
    tokens: &mut Vec<Token>,
    functions: &mut Vec<(String, usize, usize)>,
) {
    // The function whose body is still to come: its name and first line.
    let mut function: Option<(String, usize)> = None;
    let mut last_words = [String::new(), String::new()];
    for tree in stream {
        let line = tree.span().start().line;
        if let TokenTree::Group(group) = tree {
            let (open, close) = match group.delimiter() {
                Delimiter::Parenthesis => ("(", ")"),
                Delimiter::Brace => ("{", "}"),
                Delimiter::Bracket => ("[", "]"),
                Delimiter::None => ("", ""),
            };
            let last_line = group.span_close().end().line;
            let is_module = open == "{" && last_words[0] == "mod";
            if let (true, Some((name, first))) = (open == "{", function.take_if(|_| open == "{")) {
                functions.push((name, first, last_line + 1 - first));
            }
            tokens.push(Token { text: open.to_owned(), line, inline_depth });
            flatten(group.stream(), inline_depth + usize::from(is_module), tokens, functions);
            tokens.push(Token { text: close.to_owned(), line: last_line, inline_depth });
            last_words = Default::default();
        } else {
            let text = tree.to_string();
            if last_words[1] == "fn" && matches!(tree, TokenTree::Ident(_)) {
                function = Some((text.clone(), line));
            } else if text == ";" {
                function = None;
            }
            last_words = [std::mem::take(&mut last_words[1]), text.clone()];
            tokens.push(Token { text, line, inline_depth });
        }
    }
}

/// All paths that `use` lines outside of tests bring in, with `*` for a glob.
pub fn used_paths(source: &Source) -> Vec<(usize, usize, Vec<String>)> {
    struct Uses<'a> {
        source: &'a Source,
        depth: usize,
        found: Vec<(usize, usize, Vec<String>)>,
    }
    impl<'ast> Visit<'ast> for Uses<'_> {
        fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
            self.depth += 1;
            visit::visit_item_mod(self, item);
            self.depth -= 1;
        }
        fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
            let line = item.span().start().line;
            if !self.source.is_test(line) {
                let mut paths = Vec::new();
                spread(&item.tree, &mut Vec::new(), &mut paths);
                self.found.extend(paths.into_iter().map(|path| (line, self.depth, path)));
            }
        }
    }
    let mut uses = Uses { source, depth: 0, found: Vec::new() };
    uses.visit_file(&source.syntax);
    uses.found
}

/// What a `use` brings in: under which name, and its path.
pub fn used_names(item: &syn::ItemUse) -> Vec<(String, Vec<String>)> {
    fn named(tree: &syn::UseTree, prefix: &mut Vec<String>, found: &mut Vec<(String, Vec<String>)>) {
        let (name, leaf) = match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                named(&path.tree, prefix, found);
                prefix.pop();
                return;
            }
            syn::UseTree::Group(group) => return group.items.iter().for_each(|item| named(item, prefix, found)),
            syn::UseTree::Name(name) => (&name.ident, &name.ident),
            syn::UseTree::Rename(rename) => (&rename.rename, &rename.ident),
            syn::UseTree::Glob(_) => return,
        };
        let path = prefix.iter().cloned().chain([leaf.to_string()]).collect();
        found.push((name.to_string(), path));
    }
    let mut found = Vec::new();
    named(&item.tree, &mut Vec::new(), &mut found);
    found
}

fn spread(tree: &syn::UseTree, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    let leaf = match tree {
        syn::UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            spread(&path.tree, prefix, paths);
            prefix.pop();
            return;
        }
        syn::UseTree::Group(group) => return group.items.iter().for_each(|item| spread(item, prefix, paths)),
        syn::UseTree::Name(name) => name.ident.to_string(),
        syn::UseTree::Rename(rename) => rename.ident.to_string(),
        syn::UseTree::Glob(_) => "*".to_owned(),
    };
    paths.push(prefix.iter().cloned().chain([leaf]).collect());
}
