//! `erase`: whether the values of rows are left in bundles, and what is still to be done.

use super::access::AccessArgs;
use super::answer::Answer;
use super::bundles::named;
use super::exit::Exit;
use super::out::clean;
use super::render::counted;
use super::table::{TextTable, plain};
use super::text::Text;
use crate::erase::{self, ErasedKey, Erasure, ErasureState};
use crate::error::Result;
use crate::model::name::TableName;
use crate::monitor::Monitor;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Looks through every bundle of a place for these rows, changes nothing, and prints what is still to be done
until no bundle there has a value of them. Their keys stay, in tombstones: receivers that replay the
tombstone remove the row. docs/erasure.md explains each step, and where else the values may be.

Exit code 0 means that no bundle there has a value of these rows; 3, that there is still something to do.
A bundle that cannot be opened is an error: nobody knows what it holds.

Examples:
  blobdelta erase ./bundles --table Files.dbo.Attachment --key 6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061
  blobdelta erase s3://acme-deltas/weekly --table Files.dbo.Attachment --key 4711 --key 4712")]
pub struct EraseArgs {
    /// Folders or archives of bundles, a folder that holds bundles, or a destination
    #[arg(value_name = "PLACE", required = true)]
    pub places: Vec<PathBuf>,
    /// The configured table, Db.schema.Table
    #[arg(long, value_name = "NAME", value_parser = TableName::parse)]
    pub table: TableName,
    /// The key of a row that has to leave; may be repeated
    #[arg(long, value_name = "KEY", required = true, allow_hyphen_values = true)]
    pub key: Vec<String>,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Says what is left, and what to do.
///
/// # Errors
/// As [`erase::survey`].
pub fn run(args: &EraseArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let paths = named(&args.places, monitor)?;
    let erasure = erase::survey(&paths, (&args.table, &args.key), &args.access.read()?, monitor)?;
    let is_erased = erasure.keys.iter().all(|key| key.state == ErasureState::Erased);
    let mut text = Text::new();
    let mut table = TextTable::new([plain("Key"), plain("Bundles with values"), plain("Tombstone"), plain("State")]);
    for key in &erasure.keys {
        let tombstone = if key.has_tombstone { "yes" } else { "no" };
        table.push([
            key.key.to_string().into(),
            (key.held_by.len() as u64).into(),
            tombstone.into(),
            state(key.state).into(),
        ]);
    }
    text.table(&table);
    let looked = counted(erasure.bundles as u64, "bundle", "bundles");
    let _ = writeln!(text, "{looked} looked through, {} of them with this table", erasure.of_table);
    for path in holders(&erasure) {
        let _ = writeln!(text, "  has values: {}", clean(&path));
    }
    for step in steps(&erasure, &args.table) {
        let _ = writeln!(text, "to do: {step}");
    }
    let key_json = |key: &ErasedKey| {
        json!({
            "key": key.key.to_string(),
            "state": state(key.state),
            "tombstone": key.has_tombstone,
            "held_by": key.held_by.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        })
    };
    let json = json!({
        "erased": is_erased,
        "bundles": erasure.bundles,
        "keys": erasure.keys.iter().map(key_json).collect::<Vec<_>>(),
        "to_do": steps(&erasure, &args.table),
    });
    let exit = if is_erased { Exit::Done } else { Exit::Verification };
    let result = if is_erased { Text::new() } else { text.clone() };
    Ok(Answer { text, result, json, exit })
}

fn state(state: ErasureState) -> &'static str {
    match state {
        ErasureState::NotDeleted => "not deleted",
        ErasureState::ValuesLeft => "deleted, values left",
        ErasureState::Erased => "no value left",
    }
}

/// The bundles that have values, each once.
fn holders(erasure: &Erasure) -> Vec<String> {
    let paths = erasure.keys.iter().flat_map(|key| &key.held_by).map(|path| path.display().to_string());
    paths.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// What is to be done next, in order.
fn steps(erasure: &Erasure, table: &TableName) -> Vec<String> {
    let is = |state: ErasureState| erasure.keys.iter().any(|key| key.state == state);
    let mut steps = Vec::new();
    if is(ErasureState::NotDeleted) {
        let word = table.shell_word();
        steps.push(
            "delete the rows at the source, and log that in BlobDeltaDeletionLog (TableName, stream_id, DeletedOn)"
                .to_owned(),
        );
        steps.push(format!(
            "ship the deletion: blobdelta run --table {word} --out FOLDER; it empties the slice too; receivers replay the bundle"
        ));
    }
    if is(ErasureState::NotDeleted) || is(ErasureState::ValuesLeft) {
        steps.push("compact all bundles of the chain, the one with the deletion included: blobdelta compact PLACE --out FOLDER".to_owned());
        steps.push(
            "put the compacted bundle beside them, and remove those that it replaces: blobdelta prune DESTINATION --keep-weeks 1, \
             or by hand what is younger"
                .to_owned(),
        );
        steps.push("call this command again: exit code 0 is the proof".to_owned());
    }
    steps
}
