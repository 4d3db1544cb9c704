//! `unpack`: the values of bundles as files.

use super::access::{AccessArgs, FreshArgs};
use super::answer::Answer;
use super::bundles::named;
use super::out::clean;
use super::render::{bytes, counted};
use crate::bundle::{Access, Scopes, open_or_skip, scopes_of, scopes_text, warn_of_failed};
use crate::durable::Local;
use crate::error::Result;
use crate::model::name::TableName;
use crate::monitor::Monitor;
use crate::unpack::{self, Filter, UnpackOptions, Written, WrittenKind};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Each table has a folder of its own under FOLDER; in it rows lie where the hierarchy puts them. Where the
key that a row carries for its parent leads nowhere, the one row that has the parent's path is its
folder. A row without either lies in _orphans/<key of the parent>, a folder whose path would be too long
in _deep/<its key>. Characters that Windows or Unix would not take stand as % and two
hexadecimal digits; of two names that differ in case alone, the second gets the first digits of its
key. The time of a file is its DeltaModifiedOn. Hashes are checked before anything is decoded, and
each value against its own. --json lists every file; it is held in memory until the end.

Examples:
  blobdelta unpack ./bundles/20261122T180000Z-6f1c2a34-1.bundle --out ./files
  blobdelta unpack ./bundles --latest --table Files.dbo.Attachment --out ./files
  blobdelta unpack ./bundles --latest --where name~invoice --where file_type~pdf --out ./found
  blobdelta unpack ./bundles --latest --key 6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061 --out ./one")]
pub struct UnpackArgs {
    /// Bundles: their folders or archives, or a folder that holds bundles
    #[arg(value_name = "BUNDLE", required = true)]
    pub bundles: Vec<PathBuf>,
    /// The folder to write, which is not there yet or is empty
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Take several bundles together: of each row the latest version, and none that was deleted
    /// after it
    #[arg(long)]
    pub latest: bool,
    /// Take rows alone whose COLUMN contains TEXT, letters of ASCII in any case; may be repeated,
    /// and then all have to
    #[arg(long = "where", value_name = "COLUMN~TEXT", value_parser = Filter::parse)]
    pub filters: Vec<Filter>,
    /// Take the row of this key alone
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub key: Option<String>,
    /// Take this configured table alone
    #[arg(long, value_name = "NAME", value_parser = TableName::parse)]
    pub table: Option<TableName>,
    /// The column of names; without it `name`, and in tables without one the key
    #[arg(long, value_name = "COLUMN")]
    pub name_column: Option<String>,
    /// The column of values; without it `file_stream`, or the only one of a large binary type
    #[arg(long, value_name = "COLUMN")]
    pub blob_column: Option<String>,
    /// With --latest, go on where bundles are missing between: what they hold, deletions too, is then not here
    #[arg(long, requires = "latest")]
    pub allow_gap: bool,
    #[command(flatten)]
    pub fresh: FreshArgs,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Writes the files. The listing is gathered only if it was asked for.
///
/// # Errors
/// As [`unpack::unpack`].
pub fn run(args: &UnpackArgs, list: bool, monitor: &dyn Monitor) -> Result<Answer> {
    let options = UnpackOptions {
        latest: args.latest,
        table: args.table.clone(),
        key: args.key.clone(),
        filters: args.filters.clone(),
        name_column: args.name_column.clone(),
        blob_column: args.blob_column.clone(),
        allow_gap: args.allow_gap,
        access: args.access.read_fresh(&args.fresh)?,
        ..UnpackOptions::new(&args.out)
    };
    let mut listing: Vec<Value> = Vec::new();
    let mut on_written = |written: &Written<'_>| {
        if list {
            listing.push(object(written));
        }
    };
    let bundles = named(&args.bundles, monitor)?;
    let report = unpack::unpack(&bundles, &options, &Local, monitor, &mut on_written)?;
    let scopes = scopes(&bundles, &options.access, monitor)?;
    let mut text = format!(
        "{}: {} with {}, {}\n",
        clean(&args.out.display().to_string()),
        counted(report.files, "file", "files"),
        bytes(report.bytes),
        counted(report.folders, "folder", "folders"),
    );
    for (count, one, many) in [
        (report.without_value, "row has no value, and was not written", "rows have no value, and were not written"),
        (
            report.by_path,
            "lies in the folder of its parent's path: the one whose key it carries is not here",
            "lie in the folder of their parent's path: the one whose key they carry is not here",
        ),
        (report.orphans, "lies in _orphans: its parent is not here", "lie in _orphans: their parents are not here"),
        (report.marked, "has its key in its name, which was taken", "have their key in their name, which was taken"),
    ] {
        if count > 0 {
            let _ = writeln!(text, "  {}", counted(count, one, many));
        }
    }
    if scopes.len() > 1 {
        let _ = writeln!(text, "  rows of {} scopes: {}", scopes.len(), scopes_text(&scopes));
    }
    let json = json!({
        "scopes": scopes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "out": args.out.display().to_string(),
        "files": report.files,
        "folders": report.folders,
        "bytes": report.bytes,
        "without_value": report.without_value,
        "by_path": report.by_path,
        "orphans": report.orphans,
        "marked": report.marked,
        "written": listing,
    });
    Ok(Answer::done(text, json))
}

/// Whose rows were taken together.
fn scopes(bundles: &[PathBuf], access: &Access, monitor: &dyn Monitor) -> Result<Scopes> {
    let mut scopes = Scopes::new();
    for path in bundles {
        if let Some(bundle) = open_or_skip(path, access, monitor)? {
            warn_of_failed(path, bundle.manifest(), monitor);
            scopes.extend(scopes_of(bundle.manifest()));
        }
    }
    Ok(scopes)
}

fn object(written: &Written<'_>) -> Value {
    json!({
        "path": written.path.display().to_string(),
        "kind": match written.kind { WrittenKind::File => "file", WrittenKind::Folder => "folder" },
        "table": written.table.to_string(),
        "key": written.key.to_string(),
        "bytes": written.bytes,
        "modified_on": written.modified_on.map(|at| at.to_string()),
        "bundle": written.bundle.display().to_string(),
    })
}
