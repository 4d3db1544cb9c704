//! `inspect`: what a bundle says of itself. Its tag files are hashed, its parts are not read.

use super::answer::Answer;
use super::args::InspectArgs;
use super::out::{Tone, clean};
use super::render::{bytes, counted};
use super::table::{TextTable, plain};
use super::text::Text;
use crate::bundle::manifest::ColumnInfo;
use crate::bundle::{Bundle, Container, FileRole, Manifest, TableInfo};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Shows windows, tables, columns, rows and bytes.
///
/// # Errors
/// As [`Bundle::open`].
pub fn run(args: &InspectArgs) -> Result<Answer> {
    let bundle = Bundle::open_in(Container::open(&args.bundle, &args.access.read()?)?)?;
    let manifest = bundle.manifest();
    let root = bundle.root_sha256();
    let document: Value = serde_json::to_value(manifest)
        .map_err(|error| Error::internal("the manifest cannot be shown").caused_by(error).file(&args.bundle))?;
    let json = json!({"path": args.bundle.display().to_string(), "root_sha256": root, "manifest": document});
    let mut text = Text::from(head(manifest, &root.to_string()));
    for table in &manifest.tables {
        text.append(table_text(table));
    }
    for failed in &manifest.failed_tables {
        let _ = write!(text, "{}  ", failed.table);
        text.add(Tone::Bad, "not here, because it failed");
        let _ = writeln!(text, ": {}", clean(&failed.error));
    }
    text += "only the hashes of the tag files were checked; verify checks all of it\n";
    Ok(Answer::shown(text, json))
}

fn head(manifest: &Manifest, root: &str) -> String {
    let run = &manifest.run;
    format!(
        "run          {}  {}  requested by {}\nstarted      {}\nsource id    {}\npacked by    {} {}, pack {}\n\
         root sha256  {root}\n\n",
        run.run_id,
        clean(&run.run_type),
        clean(&run.requested_by),
        run.started_at.0.rfc3339_utc(),
        run.source_id,
        clean(&run.producer.name),
        clean(&run.producer.version),
        run.pack_number,
    )
}

fn table_text(table: &TableInfo) -> Text {
    let sum = |role| {
        let files = table.files.iter().filter(|file| file.role == role);
        files.fold((0, 0, 0), |(n, rows, size), file| (n + 1, rows + file.rows.unwrap_or(0), size + file.bytes))
    };
    let mut text = Text::from(format!("{}  scope {}\n", table.name, table.scope.0));
    let _ = writeln!(text, "  window     {}", super::render::window(&table.window.window()));
    let previous =
        table.previous.map_or_else(|| "none: first of its chain".into(), |link| link.root_sha256.to_string());
    let _ = writeln!(text, "  previous   {previous}");
    for (role, name) in [
        (FileRole::Rows, "rows"),
        (FileRole::Tombstones, "tombstones"),
        (FileRole::AbsentParents, "absent parents"),
        (FileRole::Blob, "large values"),
    ] {
        let (files, rows, size): (u64, u64, u64) = sum(role);
        let rows = if role == FileRole::Blob { files } else { rows };
        let _ = writeln!(text, "  {name:<14} {rows} in {}, {}", counted(files, "file", "files"), bytes(size));
    }
    for known in &table.known_content {
        let values = counted(known.values, "value", "values");
        let _ = writeln!(text, "  left out   {values}, {}, that {} holds", bytes(known.bytes), known.root_sha256);
    }
    for script in &table.changed_scripts {
        let _ =
            writeln!(text, "  changed    not the shipped script: {}, SHA-256 {}", clean(&script.name), script.sha256);
    }
    for change in &table.schema_changes {
        let _ = writeln!(text, "  changed    {}", clean(&change.to_string()));
    }
    if !table.excluded_columns.is_empty() {
        let _ = writeln!(text, "  excluded   columns {}", clean(&table.excluded_columns.join(", ")));
    }
    let mut columns =
        TextTable::new([plain("Column"), plain("SqlType"), plain("Nullable"), plain("ArrowType").if_room()]);
    for ColumnInfo { name, sql_type, arrow_type, nullable, .. } in &table.columns {
        columns.push([name.clone().into(), sql_type.clone().into(), (*nullable).into(), arrow_type.clone().into()]);
    }
    text.table_in(4, &columns);
    text += "\n";
    text
}
