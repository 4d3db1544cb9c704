//! Where SQL is: a statement of more than a line lies in `sql/`, in the file of the same name as the Rust file that sends it.

use super::rust_files;
use super::source::Source;
use blobdelta::scripts::statement::statements;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What a statement of one line may have in Rust.
const LINE_MAX: usize = 110;

/// How a statement begins, or what it holds wherever it begins; messages for people have no such words in capitals.
const VERBS: [&str; 16] = [
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "EXEC", "MERGE", "WITH", "DECLARE", "IF", "SET",
    "PRAGMA", "EXISTS", "WHEN",
];
const WITHIN: [&str; 5] = ["SELECT", "INSERT", "FROM", "WHERE", "VALUES"];

/// SQL that is applied or shown whole, and has no names.
const WHOLE: [&str; 2] = ["slice_schema.sql", "apply_slice.sql"];

const FOLDERS: [&str; 2] = ["sqlite", "sqlserver"];

/// The text of a literal, if the token is one.
fn literal(token: &str) -> Option<String> {
    token.ends_with(['"', '#']).then(|| syn::parse_str::<syn::LitStr>(token).ok().map(|text| text.value())).flatten()
}

fn begins_as_sql(text: &str) -> bool {
    let first = text.trim_start_matches(['(', ' ', '\n']).split([' ', '\n', '(']).next().unwrap_or_default();
    VERBS.contains(&first) && text.split_whitespace().count() > 1
}

/// Whether a literal is a statement, or part of one, of more than a line: however the line is broken.
fn is_long_statement(token: &str) -> bool {
    let Some(text) = literal(token) else { return false };
    let words: Vec<&str> = text.split(|letter: char| !letter.is_alphanumeric()).collect();
    let is_sql = begins_as_sql(&text) || words.iter().any(|word| WITHIN.contains(word));
    (is_sql && token.contains('\n')) || (begins_as_sql(&text) && text.len() > LINE_MAX)
}

/// Statements of more than a line, outside of tests: their lines.
pub fn long_statements(source: &Source) -> Vec<usize> {
    let literals = source.windows::<1>().filter(|(_, [text])| is_long_statement(text)).map(|(token, _)| token.line);
    let joined = source.windows::<4>().filter(|(_, [name, bang, open, text])| {
        (*name, *bang, *open) == ("concat", "!", "(") && literal(text).is_some_and(|text| begins_as_sql(&text))
    });
    literals.chain(joined.map(|(token, _)| token.line)).collect()
}

pub fn check_sql(source: &Source) -> Vec<String> {
    let text = format!(
        "a statement of more than a line, or of more than {LINE_MAX} characters. Name it in sql/, in the file of this file's name: \
         `-- name: some_name`, and here `const SOME_NAME: &str = statement(SQL, \"some_name\");`"
    );
    long_statements(source).into_iter().map(|line| source.at(line, &text)).collect()
}

#[test]
fn a_long_statement_is_found_however_it_is_broken() {
    let found = |text: &str| long_statements(&Source::parse("src/backend/a.rs", &format!("fn f() {{ g({text}); }}")));
    let long = format!("\"SELECT {} FROM t\"", "column, ".repeat(20));
    let wrong = [
        "\"SELECT a\n    FROM t\"",
        "\"SELECT a \\\n    FROM t\"",
        "r#\"SELECT a\nFROM t\"#",
        "format!(\"(EXISTS (SELECT 1 FROM {t}\n WHERE a))\")",
        "concat!(\"SELECT a \", \"FROM t\")",
        "\"{slice}.t WHERE a = 1\n AND b\"",
        &long,
    ];
    for text in wrong {
        assert_eq!(found(text), [1], "{text}");
    }
    let fine =
        ["\"SELECT a FROM t WHERE b = ?1\"", "\"select a file\nfrom a folder\"", "\"EXEC dbo.p @A = \"", "b\"\\n\""];
    for text in fine {
        assert!(found(text).is_empty(), "{text}");
    }
}

/// The names that a file cuts statements out by.
fn names_cut(source: &Source) -> Vec<String> {
    let cuts = source.windows::<5>().filter(|(_, [cut, open, _, _, _])| (*cut, *open) == ("statement", "("));
    cuts.filter_map(|(_, [_, _, _, _, name])| literal(name)).collect()
}

/// A stranger finds the SQL of a file under its name, and all that he finds there is sent.
#[test]
fn every_named_statement_is_sent_by_the_file_of_the_same_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = 0;
    for folder in FOLDERS {
        let rust = rust_files(&format!("src/backend/{folder}"));
        let mut homes = BTreeSet::new();
        for (path, text) in &rust {
            let cut = names_cut(&Source::parse(path, text));
            let home = format!("sql/{folder}/{}.sql", Path::new(path).file_stem().unwrap().to_string_lossy());
            if cut.is_empty() {
                continue;
            }
            assert!(text.contains(&format!("include_str!(\"../../../{home}\")")), "{path} has its SQL in {home}");
            let file: &'static str = fs::read_to_string(root.join(&home)).unwrap().leak();
            let named: Vec<String> = statements(file).map(|(name, _)| name.to_owned()).collect();
            let (once, sent) = (named.iter().collect::<BTreeSet<_>>(), cut.iter().collect::<BTreeSet<_>>());
            assert_eq!(once.len(), named.len(), "{home} has two statements of one name: {named:?}");
            assert_eq!(once, sent, "on the left what {home} names, on the right what {path} sends");
            all += named.len();
            homes.insert(home);
        }
        for entry in fs::read_dir(root.join("sql").join(folder)).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            let is_named = name.ends_with(".sql") && !name.starts_with(|first: char| first.is_ascii_digit());
            let home = format!("sql/{folder}/{name}");
            assert!(!is_named || WHOLE.contains(&&*name) || homes.contains(&home), "no file of Rust sends {home}");
        }
    }
    assert!(all > 200, "only {all} statements were found");
}
