//! The SQL that stands in the sources of the backend: each piece of it that is written as it stands there.

use blobdelta::scripts::statement::statements;
use proc_macro2::{TokenStream, TokenTree};
use std::path::Path;

/// A piece of SQL, and where it is written.
pub struct Piece {
    pub place: String,
    pub text: String,
}

/// Pieces shorter than this may stand anywhere.
const SHORT: usize = 8;

/// Words by which SQL is known; messages for people have none of them in capitals.
const WORDS: [&str; 24] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "FROM",
    "WHERE",
    "ORDER BY",
    "EXEC",
    "CREATE",
    "DROP",
    "DECLARE",
    "BACKUP DATABASE",
    "RESTORE",
    "COMMIT",
    "BEGIN",
    "ROLLBACK",
    "CONVERT(",
    "CASE",
    "EXISTS",
    "AND ",
    "UNION",
    "GROUP BY",
    "usp_",
    "COLLATE",
];

/// What these functions are given is read by people.
const FOR_PEOPLE: [&str; 4] = ["hint", "config", "usage", "internal"];

/// Of all sources of the backend for servers, and of the files that they include.
pub fn chunks() -> Vec<Piece> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend/sqlserver");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // What tests compare with is not sent.
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        visit(code.parse().unwrap(), &name, &mut found);
    }
    found
}

fn visit(tokens: TokenStream, file: &str, found: &mut Vec<Piece>) {
    let (mut is_documentation, mut is_message) = (false, false);
    for token in tokens {
        match &token {
            TokenTree::Group(group) if !is_message => visit(group.stream(), file, found),
            TokenTree::Literal(literal) if !is_documentation => {
                let place = format!("{file}:{}", literal.span().start().line);
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    add(&text.value(), &place, found);
                }
            }
            _ => {}
        }
        is_message = matches!(&token, TokenTree::Ident(ident) if FOR_PEOPLE.iter().any(|known| ident == known));
        is_documentation = match &token {
            TokenTree::Ident(ident) => *ident == "doc",
            TokenTree::Punct(punct) => is_documentation && punct.as_char() == '=',
            _ => false,
        };
    }
}

/// The longest run of a text without a place for values.
fn add(text: &str, place: &str, found: &mut Vec<Piece>) {
    if let Some(name) = text.strip_prefix("../../../sql/sqlserver/") {
        let included = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/sqlserver").join(name);
        let file = std::fs::read_to_string(included).unwrap().leak();
        return statements(file).for_each(|(of, text)| add(text, &format!("{of} of {name}"), found));
    }
    let is_sql = WORDS.iter().any(|word| text.contains(word));
    let runs = text.split(['{', '}', '\0']).step_by(2).map(|run| run.trim().trim_matches(['[', ']']).trim());
    let longest = runs.max_by_key(|run| run.len()).filter(|run| is_sql && run.len() >= SHORT);
    found.extend(longest.map(|run| Piece { place: place.to_owned(), text: run.to_owned() }));
}
