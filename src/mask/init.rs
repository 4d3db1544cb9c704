//! A first policy: for each column a cautious proposal, and why.

use super::column::{is_date, is_text, text_limit};
use super::policy::quoted;
use super::structure::is_structure;
use crate::bundle::{Manifest, TableInfo};
use crate::model::column::Column;
use crate::model::sqltype::SqlType;
use std::fmt::Write as _;

/// A rule as a policy has it, and why.
pub(super) struct Proposal {
    pub(super) rule: String,
    pub(super) why: &'static str,
}

/// A policy for the tables of a bundle, as text.
pub fn init(manifest: &Manifest) -> String {
    let mut text = String::from(
        "# How blobdelta masks these tables. Look at each line: a proposal goes by names and types alone.\n\
         # keys, paths and flags stay unless they are named here.\nversion = 1\n",
    );
    for table in &manifest.tables {
        let Ok(columns) = table.model_columns() else { continue };
        let _ = writeln!(text, "\n[tables.{}]", quoted(&table.name.to_string()));
        for column in columns.iter().filter(|column| !is_structure(table, column)) {
            let proposal = proposal(table, &columns, column);
            let line = format!("{} = {}", quoted(&column.name), proposal.rule);
            let _ = writeln!(text, "{line}  # {}: {}", column.sql_type, proposal.why);
        }
    }
    text
}

/// What is proposed for a column.
pub(super) fn proposal(table: &TableInfo, columns: &[Column], column: &Column) -> Proposal {
    let name = column.name.to_ascii_lowercase();
    let name = name.strip_prefix("meta_").unwrap_or(&name);
    let of = |rule: &str, why| Proposal { rule: format!("\"{rule}\""), why };
    let is_path =
        [&table.path_column, &table.parent_path_column].into_iter().flatten().any(|path| *path == column.name);
    match column.sql_type {
        _ if is_path => of("keep", "NO MASK is for a path that is a text, and names may be in it"),
        sql_type if sql_type.is_large_binary() => blob(columns),
        sql_type if is_text(sql_type) => text(name, column),
        sql_type if is_date(sql_type) => date(name),
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt if name.contains("size") => size(columns),
        _ if column.nullable => of("null", "nothing says what is in it"),
        SqlType::UniqueIdentifier => of("rekey", "it refers to something; give it the domain of what it refers to"),
        SqlType::RowVersion | SqlType::Binary(_) | SqlType::VarBinary(_) => of("noise", "nothing says what is in it"),
        SqlType::HierarchyId | SqlType::Time(_) | SqlType::Variant | SqlType::Geography | SqlType::Geometry => {
            of("keep", "NO MASK is for this type, and it takes no NULL: leave the column out at the source instead")
        }
        _ => Proposal { rule: "{ mask = \"fixed\", value = 0 }".to_owned(), why: "nothing says what is in it" },
    }
}

/// When a row was made or changed can be told by `DeltaModifiedOn`, so these dates do not share their shift with others.
fn date(name: &str) -> Proposal {
    const OF_THE_ROW: [&str; 12] =
        ["creat", "modif", "chang", "updat", "writ", "access", "insert", "added", "upload", "load", "stamp", "sav"];
    match OF_THE_ROW.iter().any(|part| name.contains(part)) {
        true => Proposal {
            rule: "{ mask = \"date_shift\", days = 30, domain = \"of the row\" }".to_owned(),
            why: "by its name when the row was made or changed, which DeltaModifiedOn may tell",
        },
        false => Proposal { rule: "{ mask = \"date_shift\", days = 30 }".to_owned(), why: "a date may tell a person" },
    }
}

fn blob(columns: &[Column]) -> Proposal {
    let named = |name: &str| columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
    let extension = ["file_type", "name", "file_name", "filename"].into_iter().find_map(named);
    let extension = extension.filter(|column| is_text(column.sql_type));
    let rule = match extension {
        Some(column) => format!("{{ mask = \"placeholder\", extension = {} }}", quoted(&column.name)),
        None => "\"placeholder\"".to_owned(),
    };
    Proposal { rule, why: "the content of a file" }
}

fn size(columns: &[Column]) -> Proposal {
    match columns.iter().find(|column| column.sql_type.is_large_binary()) {
        Some(blob) => Proposal {
            rule: format!("{{ mask = \"size_of\", column = {} }}", quoted(&blob.name)),
            why: "by its name the size of a file",
        },
        None => Proposal { rule: "{ mask = \"number\", within = 10 }".to_owned(), why: "by its name a size" },
    }
}

fn text(name: &str, column: &Column) -> Proposal {
    let of = |rule: &str, why| Proposal { rule: format!("\"{rule}\""), why };
    let takes = |characters: u16| match column.sql_type {
        SqlType::Char(n) | SqlType::NChar(n) | SqlType::VarChar(Some(n)) | SqlType::NVarChar(Some(n)) => {
            n >= characters
        }
        _ => true,
    };
    match name {
        "file_type" | "extension" if takes(5) => of("extension", "the type of a file; an unusual one may be a name"),
        "file_namespace_path" if text_limit(column.sql_type).is_some() => {
            of("path", "it holds the names of folders and files")
        }
        "file_namespace_path" => of("token", "it holds the names of folders and files"),
        _ if column.sql_type == SqlType::Xml => of("words", "a text"),
        _ if name.contains("mail") && takes(32) => of("email", "by its name an address"),
        _ if (name.contains("phone") || name.contains("mobile")) && takes(14) => of("phone", "by its name a number"),
        "name" | "file_name" | "filename" if takes(22) && column.sql_type != SqlType::Xml => {
            of("file_name", "by its name the name of a file")
        }
        _ if !takes(4) && column.nullable => of("null", "so short a text can be told by how often it comes"),
        _ if !takes(4) && column.sql_type != SqlType::Xml => Proposal {
            rule: "{ mask = \"fixed\", value = \"x\" }".to_owned(),
            why: "so short a text can be told by how often it comes",
        },
        _ if name.ends_with("name") && takes(8) => of("person", "by its name the name of somebody"),
        _ => of("token", "a text"),
    }
}
