//! What a server would have: catalogs of four kinds of table, and answers that a guess cannot make.

use crate::tds::reply::Reply;
use crate::tds::types::{Datum, Type};
use blobdelta::scripts::{SQLSERVER_DEPLOY, Script};

/// Names, types and lengths as a catalog has them.
pub const CATALOG: [(&str, &str, i64); 26] = [
    ("stream_id", "uniqueidentifier", 16),
    ("path_locator", "hierarchyid", 892),
    ("parent_path_locator", "hierarchyid", 892),
    ("file_stream", "varbinary", -1),
    ("any", "sql_variant", 8016),
    ("name", "nvarchar", 510),
    ("code", "varchar", 20),
    ("price", "money", 8),
    ("count", "int", 4),
    ("share", "float", 8),
    ("weight", "decimal", 5),
    ("flag", "bit", 1),
    ("day", "date", 3),
    ("hour", "time", 5),
    ("at", "datetime2", 8),
    ("there", "datetimeoffset", 10),
    ("doc", "xml", -1),
    ("memo", "ntext", 16),
    ("letters", "text", 16),
    ("picture", "image", 16),
    ("place", "geography", -1),
    ("stamp", "timestamp", 8),
    ("fixed", "binary", 4),
    ("word", "nchar", 8),
    ("ModifiedOn", "smalldatetime", 4),
    ("DeltaDepth", "smallint", 2),
];
pub const MARKED: [(&str, &str, i64); 8] = [
    ("stream_id", "uniqueidentifier", 16),
    ("path_locator", "varbinary", 892),
    ("parent_path_locator", "varbinary", 892),
    ("name", "nvarchar", -1),
    ("DeltaModifiedOn", "datetime2", 8),
    ("DeltaRunStartedAt", "datetime2", 8),
    ("DeltaRunId", "uniqueidentifier", 16),
    ("DeltaDepth", "smallint", 2),
];
pub const OLD: [(&str, &str, i64); 3] =
    [("stream_id", "uniqueidentifier", 16), ("path_locator", "uniqueidentifier", 16), ("DeltaDepth", "smallint", 2)];
/// A source that lacks what the configuration names.
pub const ODD: [(&str, &str, i64); 2] = [("Turn", "nvarchar", -1), ("stream_id", "uniqueidentifier", 16)];

pub fn catalog(columns: &[(&str, &str, i64)]) -> Reply {
    let text = Type::NVarChar(Some(256));
    let number = Type::Int(4);
    let of = [text, text, number, number, number, number, number, text, text, text].map(|of_type| ("", of_type));
    let word = |word: &str| Datum::Text(word.to_owned());
    let row = |(name, of_type, length): &(&str, &str, i64)| {
        let (precision, scale) = match *of_type {
            "decimal" => (9, 2),
            "datetime2" | "datetimeoffset" | "time" => (0, 7),
            _ => (0, 0),
        };
        let is_text = ["char", "text"].iter().any(|end| of_type.ends_with(end));
        let collation = if is_text { word("Latin1_General_CI_AS") } else { Datum::Null };
        let [length, precision, scale, nullable, computed] =
            [*length, precision, scale, i64::from(*name != "stream_id"), 0].map(Datum::Int);
        vec![
            word(name),
            word(of_type),
            length,
            precision,
            scale,
            nullable,
            computed,
            collation,
            word("dbo"),
            word("Files"),
        ]
    };
    Reply::rows(&of, &columns.iter().map(row).collect::<Vec<_>>())
}

pub fn versions() -> Reply {
    let row = |script: &Script| vec![Datum::Text(script.name.into()), Datum::Int(script.version.into())];
    let rows: Vec<_> = SQLSERVER_DEPLOY.iter().map(row).collect();
    Reply::rows(&[("Script", Type::NVarChar(Some(256))), ("Version", Type::Int(4))], &rows)
}

/// To back up, and to verify.
pub fn rights() -> Reply {
    let columns = [("", Type::Int(4)), ("", Type::Int(4)), ("", Type::NVarChar(Some(256)))];
    Reply::rows(&columns, &[vec![Datum::Int(1), Datum::Int(1), Datum::Text("[blobdelta]".into())]])
}

/// One that is known, and is this one.
pub fn servers() -> Reply {
    let columns = [("", Type::NVarChar(Some(256))), ("", Type::NVarChar(Some(256))), ("", Type::Int(4))];
    Reply::rows(&columns, &[vec![Datum::Text("DB1".into()), Datum::Text("DB1".into()), Datum::Int(1)]])
}

/// The moment whose digits are asked for.
pub fn exact_time() -> Reply {
    Reply::rows(&[("", Type::DateTime2(7))], &[vec![Datum::DateTime2(739_616, 1_234_567)]])
}

/// Two rows that cannot stand side by side.
pub fn clash() -> Reply {
    let version = [Type::Guid, Type::DateTime2(7), Type::DateTime2(7), Type::Guid];
    let columns: Vec<_> = [version, version].concat().into_iter().map(|of_type| ("", of_type)).collect();
    let row = |nth: u8| {
        let at = Datum::DateTime2(739_600, nth.into());
        vec![Datum::Guid([nth; 16]), at.clone(), at, Datum::Guid([nth; 16])]
    };
    Reply::rows(&columns, &[[row(1), row(2)].concat()])
}

/// One on the key, and one beside it.
pub fn indexes() -> Reply {
    let columns = [("", Type::NVarChar(Some(256))); 2];
    let row = |index: &str, column: &str| vec![Datum::Text(index.into()), Datum::Text(column.into())];
    Reply::rows(&columns, &[row("PK", "stream_id"), row("UX", "path_locator"), row("UX", "name")])
}

/// A trigger that keeps no row out.
pub fn trigger() -> Reply {
    let (text, number) = (Type::NVarChar(Some(256)), Type::Int(4));
    let columns = [text, text, text, text, number, number, text].map(|of_type| ("", of_type));
    let word = |word: &str| Datum::Text(word.to_owned());
    let row =
        vec![word("trigger"), word("tells"), Datum::Null, Datum::Null, Datum::Int(0), Datum::Int(0), word("PRINT 1")];
    Reply::rows(&columns, &[row])
}

pub fn keys_in_order() -> Reply {
    let rows: Vec<_> = (0..16)
        .rev()
        .map(|nth| {
            let mut bytes = [0; 16];
            bytes[nth] = 1;
            vec![Datum::Guid(bytes)]
        })
        .collect();
    Reply::rows(&[("g", Type::Guid)], &rows)
}

/// A database that is nobody's, and what stands in it under a name.
pub fn named_database() -> Reply {
    let (text, number) = (Type::NVarChar(Some(256)), Type::Int(4));
    Reply::rows(&[("", text), ("", number)], &[vec![Datum::Text("Copy".into()), Datum::Int(0)]])
}
