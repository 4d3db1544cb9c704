//! A plausible answer to any statement, by the names of what it selects: enough for a caller to go on
//! to his next statement.

use crate::tds::reply::Reply;
use crate::tds::types::{Datum, Type};

/// Days since 0001-01-01, in 2026.
const DAY: u32 = 739_600;

/// See the module's text. `before` is what was said before.
pub fn reply(statement: &str, before: &[String]) -> Reply {
    if let Some((_, table)) = statement.split_once("TOP 0 * FROM ") {
        return staging(table, before);
    }
    let Some(at) = statement.rfind("SELECT ").filter(|at| !is_within(statement, *at)).or_else(|| first(statement))
    else {
        return Reply::done(1);
    };
    let (columns, row): (Vec<_>, Vec<_>) =
        select_list(&statement[at + 7..]).iter().map(|expression| guessed(expression)).unzip();
    let columns: Vec<_> = columns.into_iter().map(|of_type| ("", of_type)).collect();
    Reply::rows(&columns, &[row])
}

/// The metadata for which a bulk load asks: those of the table as it was made.
fn staging(table: &str, before: &[String]) -> Reply {
    let head = format!("CREATE TABLE {} (", table.trim());
    let made = before.iter().rev().find_map(|statement| statement.strip_prefix(head.as_str()));
    let columns: Vec<(&str, Type)> = parts(made.unwrap_or_default())
        .into_iter()
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap_or_default(), declared(words.next().unwrap_or_default()))
        })
        .collect();
    Reply::rows(&columns, &[])
}

fn declared(name: &str) -> Type {
    match name {
        "int" => Type::Int(4),
        "bigint" => Type::Int(8),
        "bit" => Type::Bit,
        "float" => Type::Float(8),
        "date" => Type::Date,
        "uniqueidentifier" => Type::Guid,
        "time(7)" => Type::Time(7),
        "datetime2(7)" => Type::DateTime2(7),
        "datetimeoffset(7)" => Type::DateTimeOffset(7),
        "nvarchar(50)" => Type::NVarChar(Some(100)),
        "nvarchar(max)" => Type::NVarChar(None),
        name if name.starts_with("varbinary(") && name != "varbinary(max)" => Type::VarBinary(Some(892)),
        _ => Type::VarBinary(None),
    }
}

/// Whether a place is in brackets, and so in another statement.
fn is_within(statement: &str, at: usize) -> bool {
    let count = |of: char| statement[..at].matches(of).count();
    count('(') > count(')')
        || ["INTO ", ")\n", "N'"].iter().any(|end| statement[..at].trim_end_matches(' ').ends_with(end))
}

/// The first SELECT that gives rows.
fn first(statement: &str) -> Option<usize> {
    let found = statement.match_indices("SELECT ").map(|(at, _)| at).find(|at| !is_within(statement, *at))?;
    (!statement.contains("INSERT ") || statement.starts_with("SELECT")).then_some(found)
}

/// The expressions between SELECT and its FROM.
fn select_list(text: &str) -> Vec<&str> {
    let text = text.trim_start();
    let text = match text.strip_prefix("TOP (") {
        Some(top) => top.split_once(')').map_or("", |(_, rest)| rest),
        None => text,
    };
    parts(text)
}

/// What stands between commas, up to the end of the list.
fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0_u32, 0, Vec::new());
    for (at, one) in text.char_indices() {
        let is_end = depth == 0 && (one == ')' || one == ';' || ends_here(&text[at..]));
        match one {
            _ if is_end => {
                found.push(text[from..at].trim());
                return found;
            }
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                found.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(text[from..].trim());
    found
}

fn ends_here(text: &str) -> bool {
    ["FROM", "WHERE"].iter().any(|word| text.trim_start().starts_with(word) && text.starts_with(char::is_whitespace))
}

/// The type and value of an expression, by what it is called.
fn guessed(expression: &str) -> (Type, Datum) {
    let text = |text: &str| (Type::NVarChar(Some(4000)), Datum::Text(text.into()));
    let number = (Type::Int(8), Datum::Int(1));
    let time = (Type::DateTime2(7), Datum::DateTime2(DAY, 1));
    let guid = (Type::Guid, Datum::Guid([7; 16]));
    let last = |at: char| expression.rsplit(at).next().unwrap_or_default();
    let name = match expression.rsplit_once(" AS ") {
        Some((_, name)) if !name.contains(')') => name,
        _ if expression.ends_with(')') || expression.ends_with("END") => "",
        _ => last('.').trim_matches(['[', ']']),
    };
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    match name {
        "ExcludedStreamId" | "BusinessUnitId" | "BusinessUnit" => (Type::Guid, Datum::Null),
        "OutFolder" | "MaxWindow" => (Type::NVarChar(Some(256)), Datum::Null),
        "Ends" => text("2026-01-01T00:00:00"),
        "KeyColumn" => text("stream_id"),
        "PathColumn" => text("path_locator"),
        "ParentPathColumn" => text("parent_path_locator"),
        "TableName" => text("S.dbo.Files"),
        "Scope" => text("all"),
        "Status" => text("Completed"),
        "State" => text("Complete"),
        "Counts" => text("{}"),
        "NewBusinessUnits" | "Columns" => text("[]"),
        "SchemaDrift" => text("Carry"),
        "KeyType" => text("uniqueidentifier"),
        _ if ends(&["Schema"]) => text("dbo"),
        _ if ends(&["Sha256"]) => text(&"0".repeat(64)),
        "k" | "vr" | "g" | "TookOver" | "stream_id" | "LeaseOwner" | "SourceId" | "Child" | "Parent" => guid,
        _ if ends(&["RunId"]) => guid,
        "vm" | "vs" | "Utc" | "Local" | "ModifiedOn" | "DeletedOn" | "WindowGoal" | "WindowUntil" => time,
        _ if ends(&["At", "AtLocal", "Start", "End", "Floor", "Before", "After", "Baseline", "WindowFrom"]) => time,
        _ if ends(&["ModifiedOn", "SYSUTCDATETIME()", "DeletionsFrom"]) => time,
        _ if name.contains("Is")
            || name.starts_with("Include")
            || name.starts_with("Require")
            || name.starts_with("Omit") =>
        {
            number
        }
        "LagOnly" | "SliceChanged" | "Processed" | "Complete" | "n" | "Rows" | "Keys" | "Waiting" | "Version"
        | "Moved" | "Result" | "Written" | "Removed" | "OneStampRows" | "HasMore" => number,
        _ if ends(&[
            "Number",
            "Attempt",
            "Minutes",
            "Seconds",
            "Epoch",
            "Size",
            "DOP",
            "Processed",
            "Keys",
            "Percent",
        ]) =>
        {
            number
        }
        "" if ["CONVERT(nvarchar", "LOWER("].iter().any(|start| expression.starts_with(start)) => text("stream_id"),
        "" if expression.starts_with("HASHBYTES") => (Type::VarBinary(Some(32)), Datum::Bytes(vec![0; 32])),
        "" if expression.contains("datetime2") || expression.contains("DATETIME") => time,
        "" => number,
        _ => text("c"),
    }
}
