//! Plans of SQL Server: a statement is planned for the numbers that it first met, and its text is the same for ten rows and
//! for ten million. What reads a table of the user's, or holds two sets of keys against each other, is planned anew
//! (`OPTION (RECOMPILE)`), but for what reads no more than a batch; templates keep to the run's MAXDOP.

use blobdelta::scripts::statement::statements as statements_of;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Tables of the user's, as templates name them; the deletions of a slice grow with its rows.
const OF_THE_USER: [&str; 5] =
    ["{SourceTable}", "{TargetTable}", "{MetadataTable}", "{BusinessUnitTable}", "{SliceSchema}.BlobDeltaDeletion"];

/// A batch and what was left of it: no more rows than `@BatchSize`.
const OF_A_BATCH: [&str; 2] = ["#Batch", "#Later"];

/// The rows that the program stages, in a table of its own making: of a statement that it sends, no more than a page.
const STAGED: &str = "#BlobDeltaStage";

/// A text without its comments, and what its literals say, each once; in the text they are empty.
fn without_literals(text: &str) -> (String, Vec<String>) {
    let (mut code, mut literals) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find(['\'', '-']) {
        let (before, from) = rest.split_at(at);
        code.push_str(before);
        if let Some(comment) = from.strip_prefix("--") {
            rest = &comment[comment.find('\n').unwrap_or(comment.len())..];
        } else if let Some(literal) = from.strip_prefix('\'') {
            let end = end_of_literal(literal);
            literals.push(literal[..end].replace("''", "'"));
            code.push_str("''");
            rest = literal.get(end + 1..).unwrap_or_default();
        } else {
            code.push('-');
            rest = &from[1..];
        }
    }
    code.push_str(rest);
    (code, literals)
}

/// Where the quote stands that ends a literal; two are one that it says.
fn end_of_literal(text: &str) -> usize {
    let mut quotes = text.match_indices('\'').map(|(at, _)| at).peekable();
    while let Some(at) = quotes.next() {
        if quotes.next_if_eq(&(at + 1)).is_none() {
            return at;
        }
    }
    text.len()
}

/// The statements of a text without literals, with what stands before them (`IF … BEGIN`).
fn statements(code: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0_i32, 0, Vec::new());
    for (at, letter) in code.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ';' if depth == 0 => {
                found.push(code[from..at].trim());
                from = at + 1;
            }
            _ => (),
        }
    }
    found.push(code[from..].trim());
    found
}

/// The words of a text, names of tables whole.
fn words(text: &str) -> Vec<&str> {
    text.split(|letter: char| !(letter.is_alphanumeric() || "#@_.{}".contains(letter)))
        .map(|word| word.strip_prefix("dbo.").unwrap_or(word))
        .filter(|word| !word.is_empty())
        .collect()
}

/// Where the bracket stands that closes one before this text.
fn end_of_brackets(text: &str) -> usize {
    let mut depth = 1;
    let end = text.char_indices().find(|(_, letter)| {
        depth += i32::from(*letter == '(') - i32::from(*letter == ')');
        depth == 0
    });
    end.map_or(text.len(), |(at, _)| at)
}

/// Tables that have a row for each key.
fn key_tables(scripts: &[(String, String)]) -> BTreeSet<String> {
    let mut tables = BTreeSet::from([STAGED.to_owned()]);
    for (_, text) in scripts {
        for made in text.split("CREATE TABLE ").skip(1) {
            let Some((name, columns)) = made.split_once(" (") else { continue };
            let columns = &columns[..end_of_brackets(columns)];
            if words(columns).windows(2).any(|pair| pair == ["stream_id", "uniqueidentifier"]) {
                tables.insert(name.strip_prefix("dbo.").unwrap_or(name).to_owned());
            }
        }
    }
    tables
}

/// What a statement lacks, if it is one whose plan goes by how many rows there are.
fn lacks(statement: &str, keys: &BTreeSet<String>, is_template: bool, is_of_batch: bool) -> Option<&'static str> {
    let found = words(statement);
    let is_one = |verb: &str| found.contains(&verb);
    if is_one("TRUNCATE") || is_one("DROP") || !["SELECT", "UPDATE", "DELETE"].into_iter().any(is_one) {
        return None;
    }
    // The table that rows are put into is no question of the plan.
    let read = found.windows(2).filter(|pair| pair[0] != "INTO").map(|pair| pair[1]);
    let (mut of_user, mut of_keys) = (0, 0);
    for word in read {
        of_user += usize::from(OF_THE_USER.contains(&word));
        of_keys += usize::from(keys.contains(word));
    }
    if of_user == 0 && of_keys < 2 {
        return None;
    }
    let is_bounded =
        is_of_batch || statement.contains("TOP (@") || OF_A_BATCH.iter().any(|batch| found.contains(batch));
    let option = statement.rsplit_once("OPTION (").map_or("", |(_, option)| option);
    match () {
        () if !is_bounded && !option.contains("RECOMPILE") => Some("OPTION (RECOMPILE)"),
        () if is_template && !option.contains("MAXDOP {MaxDOP}") => Some("MAXDOP {MaxDOP}"),
        () => None,
    }
}

/// The statements of a script that lack something, and how many were looked at.
fn wrong(name: &str, text: &str, keys: &BTreeSet<String>) -> (Vec<String>, usize) {
    let (code, literals) = without_literals(text);
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let templates = literals.iter().filter(|literal| literal.contains('\n') && literal.contains("{KeyColumn}"));
    let templates = templates.map(|template| (without_literals(template).0, true));
    // The program fills those without a number, and sends them whole.
    let is_procedures = name.starts_with(|letter: char| letter.is_ascii_digit());
    let batches = code.split("\nGO\n").filter(|batch| !is_procedures || batch.contains("ALTER PROCEDURE"));
    let bare: Vec<(String, bool)> = batches.map(|batch| (batch.to_owned(), false)).chain(templates).collect();
    for (text, is_template) in &bare {
        let reads = words(text);
        let is_of_batch = (*is_template && reads.contains(&"#Batch")) || (!is_procedures && reads.contains(&STAGED));
        for statement in statements(text) {
            looked_at += 1;
            if let Some(lack) = lacks(statement, keys, *is_template, is_of_batch) {
                let shown = statement.split_whitespace().collect::<Vec<_>>().join(" ");
                found.push(format!("{name} lacks {lack}: {shown}"));
            }
        }
    }
    (found, looked_at)
}

/// The files of the server's SQL; of one with named statements each statement.
fn scripts() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/sqlserver");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let pieces = |path: PathBuf| {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let text: &'static str = fs::read_to_string(path).unwrap().leak();
        let named = statements_of(text).map(|(name, text)| (format!("{name} of {file}"), text.to_owned()));
        let found: Vec<(String, String)> = named.collect();
        if found.is_empty() { vec![(file, text.to_owned())] } else { found }
    };
    paths.flat_map(pieces).collect()
}

#[test]
fn statements_whose_rows_nobody_knows_beforehand_are_planned_anew() {
    let scripts = scripts();
    let keys = key_tables(&scripts);
    for known in ["#Batch", "#Window", "#Left", "BlobDeltaWindowQueue", "BlobDeltaDeletionLog", "BlobDeltaShippedKey"] {
        assert!(keys.contains(known), "{known} is not seen as a table of keys: {keys:?}");
    }
    let all: Vec<_> = scripts.iter().map(|(name, text)| wrong(name, text, &keys)).collect();
    let looked_at: usize = all.iter().map(|(_, looked_at)| looked_at).sum();
    assert!(looked_at > 1000, "only {looked_at} statements were found");
    let found: Vec<String> = all.into_iter().flat_map(|(found, _)| found).collect();
    assert!(found.is_empty(), "{} statements:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_statement_that_would_be_planned_once_is_found() {
    let keys = BTreeSet::from(["BlobDeltaShippedKey".to_owned(), "#Left".to_owned()]);
    let of = |statement: &str| lacks(statement, &keys, true, false);
    assert_eq!(of("SET @Rows = (SELECT COUNT(*) FROM {TargetTable})"), Some("OPTION (RECOMPILE)"));
    assert_eq!(of("SELECT @Rows = (SELECT COUNT(*) FROM {TargetTable}) OPTION (RECOMPILE)"), Some("MAXDOP {MaxDOP}"));
    assert_eq!(of("SELECT 1 FROM {TargetTable} OPTION (RECOMPILE, MAXDOP {MaxDOP})"), None);
    assert_eq!(of("DELETE FROM #Left WHERE k IN (SELECT k FROM dbo.BlobDeltaShippedKey)"), Some("OPTION (RECOMPILE)"));
    assert_eq!(of("INSERT INTO #Left (k) SELECT k FROM dbo.BlobDeltaShippedKey"), None);
    assert_eq!(of("DELETE TOP (@BatchSize) FROM {TargetTable} OPTION (MAXDOP {MaxDOP})"), None);
    let text = "ALTER PROCEDURE p AS -- a ';' and a '\nSELECT N'x;''y' FROM {TargetTable};\n";
    let (found, looked_at) = wrong("05", text, &keys);
    assert_eq!((found.len(), looked_at), (1, 2), "{found:?}");
}
