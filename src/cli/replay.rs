//! `replay`.

use super::access::{AccessArgs, FreshArgs};
use super::answer::Answer;
use super::bundles::{MemoryArgs, named};
use super::exit::Exit;
use super::login::Login;
use super::out::{Tone, clean};
use super::render::number;
use super::signals;
use super::table::{TextTable, line, plain};
use super::text::Text;
use crate::backend::{Connection, OpenOptions};
use crate::bundle::scopes_text;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::replay::{
    BundleOutcome, CheckReport, OpenedBundles, PlannedTable, ReplayOptions, SourceTable, TableReplayOutcome,
    TargetScopes,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The arguments of `replay`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Verifies the bundles, orders them by their links and runs, and applies each once. The target then has the
row with the latest ModifiedOn of each key. A chain has to begin with its first bundle, or with a
compacted bundle that contains the first one. If a replay was interrupted, repeat it.

Examples:
  blobdelta replay ./bundles/*.bundle --into sqlite:./replayed --database Restored --create")]
pub struct ReplayArgs {
    /// Folders or archives of bundles, or a folder that holds bundles
    #[arg(value_name = "BUNDLE", required = true)]
    pub bundles: Vec<PathBuf>,
    /// Replay into this instance: a connection string of SQL Server, or sqlite:FOLDER
    #[arg(long, value_name = "CONNECTION")]
    pub into: String,
    #[command(flatten)]
    pub login: Login,
    /// Replay into this database. Required on a server; in a folder, the default is the name of the source's database
    #[arg(long, value_name = "NAME")]
    pub database: Option<String>,
    /// Create the database and its tables if they do not exist
    #[arg(long)]
    pub create: bool,
    /// Apply bundles although one before them is missing. Its changes are then missing in the target, which records
    /// this in BlobDeltaReplayBundle
    #[arg(long)]
    pub allow_gap: bool,
    /// Allow rows of this source table in a target that has rows of another one: GUID/Database.schema.Table. May be
    /// repeated
    #[arg(long, value_name = "SOURCE", value_parser = SourceTable::parse)]
    pub also_from: Vec<SourceTable>,
    /// Allow a replay into the instance that the bundles come from, or into a table that is captured there. This
    /// overwrites rows of the source
    #[arg(long)]
    pub into_source: bool,
    /// Add columns that the target lacks, and widen columns that are too narrow. For tables that a replay made,
    /// --create is enough
    #[arg(long)]
    pub evolve: bool,
    /// If the source dropped a column, keep its values in the target. Without it, rows that come without the column
    /// get NULL
    #[arg(long)]
    pub keep_dropped: bool,
    /// If a unique constraint of the target does not allow two rows together, remove the older one and record it in
    /// BlobDeltaReplayDisplaced
    #[arg(long)]
    pub displace: bool,
    /// Apply bundles again that were applied before. This restores rows that were changed or deleted in the target
    /// since; --check finds them
    #[arg(long)]
    pub repair: bool,
    /// Print what would be inserted, replaced and deleted, and change nothing
    #[arg(long)]
    pub plan: bool,
    /// Compare the target with the bundles, by version and content hash, and change nothing. The database computes
    /// the hashes. Exit code 3 if anything differs
    #[arg(long, conflicts_with_all = ["create", "evolve", "keep_dropped", "displace", "repair"])]
    pub check: bool,
    #[command(flatten)]
    pub memory: MemoryArgs,
    #[command(flatten)]
    pub fresh: FreshArgs,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Applies bundles in the order of their chains, each once; or says what that would do, or whether
/// the target holds what was applied.
///
/// # Errors
/// As [`crate::replay::replay`].
pub fn run(args: &ReplayArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let connection = args.login.connection(&args.into)?;
    let options = ReplayOptions {
        database: args.database.clone(),
        create: args.create,
        allow_gap: args.allow_gap,
        also_from: args.also_from.clone(),
        into_source: args.into_source,
        evolve: args.evolve,
        keep_dropped: args.keep_dropped,
        displace: args.displace,
        repair: args.repair,
        access: args.access.read_fresh(&args.fresh)?,
        memory: args.memory.memory(),
    };
    if matches!(connection, Connection::Server(_)) && args.database.is_none() {
        return Err(Error::usage(
            "a replay into a server needs --database: it is never the bundles that say which one",
        )
        .hint("name the database to write with --database, and add --create if it is to be made"));
    }
    let bundles = named(&args.bundles, monitor)?;
    let bundles = OpenedBundles::open(&bundles, &options.access, monitor)?;
    let main_database = bundles.target_database(&options)?;
    let create = args.create && !args.plan;
    let opened =
        connection.open(&OpenOptions { main_database, create, give_up: signals::is_overdue, ..OpenOptions::default() });
    let mut backend = opened.map_err(|error| match args.plan && args.create {
        true => error.hint("--plan creates nothing: create the database first, or replay without --plan"),
        false => error,
    })?;
    let into = connection.to_string();
    if args.plan && !args.check {
        return Ok(planned(&bundles.plan(backend.as_mut(), &options, monitor)?, &into));
    }
    if args.check {
        return Ok(checked(&bundles.check(backend.as_mut(), &options, monitor)?, &into));
    }
    let report = bundles.replay(backend.as_mut(), &options, monitor)?;
    let mut text = Text::new();
    report.bundles.iter().for_each(|bundle| text.append(bundle_text(bundle)));
    let bundles: Vec<Value> = report.bundles.iter().map(object).collect();
    report.scopes.iter().for_each(|of| text += &mingled(of));
    let of_tables = |of: &TargetScopes| json!({"target": of.target.to_string(), "scopes": of.scopes.iter().map(ToString::to_string).collect::<Vec<_>>()});
    let tables: Vec<Value> = report.scopes.iter().map(of_tables).collect();
    Ok(Answer::done(text, json!({"into": into, "bundles": bundles, "scopes": tables})))
}

/// A table in which rows of several scopes meet.
fn mingled(of: &TargetScopes) -> String {
    match of.scopes.len() {
        0 | 1 => String::new(),
        some => format!("{}: rows of {some} scopes: {}\n", of.target, scopes_text(&of.scopes)),
    }
}

fn planned(tables: &[PlannedTable], into: &str) -> Answer {
    let mut shown = TextTable::new([
        plain("Rows"),
        plain("Inserted"),
        plain("Replaced"),
        plain("Outranked"),
        plain("Tombstones"),
        plain("Removed"),
        plain("Parts").wide(),
        line("Bundle"),
        line("TableName"),
        line("Target"),
    ]);
    let mut notes = String::new();
    let mut created = BTreeSet::new();
    for table in tables {
        let path = clean(&table.path.display().to_string());
        shown.push([
            table.rows.into(),
            table.inserted.into(),
            table.replaced.into(),
            table.outranked.into(),
            table.tombstones.into(),
            table.removed.into(),
            table.parts.into(),
            table.path.file_name().unwrap_or_default().to_string_lossy().into_owned().into(),
            table.table.to_string().into(),
            table.target.to_string().into(),
        ]);
        if table.creates_table && created.insert(&table.target) {
            notes.push_str(&format!("{} would be created\n", table.target));
        }
        if let Some(gap) = &table.gap {
            notes.push_str(&format!("{path}: allowed: {gap}\n"));
        }
        for reported in &table.reported {
            notes.push_str(&format!("{path}: note: it {reported}\n"));
        }
    }
    let mut text = Text::new();
    text.table(&shown);
    text += &format!("\n{notes}nothing was changed: this is what a replay would do\n");
    Answer::shown(text, json!({"into": into, "plan": shown.json()}))
}

fn checked(report: &CheckReport, into: &str) -> Answer {
    let found: u64 = report.counts.values().sum();
    let mut text = Text::from(format!(
        "{} rows of the bundles: {} are here at the version and with the large binary values that the bundle says (other \
         columns are not compared), {} were outranked by something later; {} tombstones; ",
        number(report.rows),
        number(report.equal),
        number(report.outranked),
        number(report.tombstones),
    ));
    text.add(if found > 0 { Tone::Bad } else { Tone::Good }, &format!("{} differences\n", number(found)));
    let mut shown =
        TextTable::new([plain("Key"), plain("Finding"), plain("Column").if_room(), line("Target"), line("Bundle")]);
    for finding in &report.findings {
        shown.push([
            finding.key.to_string().into(),
            finding.kind.as_str().into(),
            finding.column.clone().unwrap_or_default().into(),
            finding.target.to_string().into(),
            finding.path.file_name().unwrap_or_default().to_string_lossy().into_owned().into(),
        ]);
    }
    if found > 0 {
        text += "\n";
        text.table(&shown);
        text += "\n";
        text += "these rows were changed or deleted here after the replay, or not all of these bundles were replayed: replay \
             the bundles with --repair to restore the rows\n";
    }
    let counts: serde_json::Map<String, Value> =
        report.counts.iter().map(|(kind, count)| (kind.as_str().to_owned(), json!(count))).collect();
    let json = json!({
        "into": into,
        "rows": report.rows,
        "equal": report.equal,
        "outranked": report.outranked,
        "tombstones": report.tombstones,
        "differences": counts,
        "findings": shown.json(),
    });
    let result = if found > 0 { text.clone() } else { Text::new() };
    Answer { exit: if found > 0 { Exit::Verification } else { Exit::Done }, text, result, json }
}

fn outcomes(bundle: &BundleOutcome) -> TextTable {
    let mut table = TextTable::new([
        plain("Rows"),
        plain("Written"),
        plain("Tombstones"),
        plain("Removed"),
        plain("Displaced"),
        line("TableName"),
        line("Target"),
    ]);
    for outcome in &bundle.tables {
        table.push([
            outcome.rows.into(),
            outcome.written.into(),
            outcome.tombstones.into(),
            outcome.removed.into(),
            outcome.displaced.into(),
            outcome.table.to_string().into(),
            outcome.target.to_string().into(),
        ]);
    }
    table
}

/// What the numbers do not say.
fn notes(outcome: &TableReplayOutcome) -> String {
    let mut notes = String::new();
    if !outcome.skipped.is_empty() {
        let names = clean(&outcome.skipped.join(", "));
        notes.push_str(&format!(
            "{}: skipped columns, because the target computes or lacks them: {names}\n",
            outcome.target
        ));
    }
    if outcome.displaced > 0 {
        let what = "the displaced rows are listed in BlobDeltaReplayDisplaced";
        notes.push_str(&format!("{}: {what}\n", outcome.target));
    }
    if let Some(gap) = &outcome.gap {
        notes.push_str(&format!("{}: allowed: {gap}\n", outcome.target));
    }
    for reported in &outcome.reported {
        notes.push_str(&format!("{}: note: this bundle {reported}\n", outcome.target));
    }
    notes
}

fn bundle_text(bundle: &BundleOutcome) -> Text {
    let path = clean(&bundle.path.display().to_string());
    if bundle.was_applied_before() {
        let reported = |table: &TableReplayOutcome| notes(&TableReplayOutcome { skipped: Vec::new(), ..table.clone() });
        let reported: String = bundle.tables.iter().map(reported).collect();
        return format!("{path}: nothing to do, because it was applied before or has no rows\n{reported}").into();
    }
    let written = bundle.tables.iter().map(|table| table.written).sum();
    let removed = bundle.tables.iter().map(|table| table.removed).sum();
    let summed = format!("{} rows written, {} removed", number(written), number(removed));
    let notes: String = bundle.tables.iter().map(notes).collect();
    let mut text = Text::from(format!("{path}: {summed}\n"));
    text.table(&outcomes(bundle));
    text += &format!("{notes}\n");
    text
}

fn object(bundle: &BundleOutcome) -> Value {
    json!({
        "bundle": bundle.path.display().to_string(),
        "root_sha256": bundle.root_sha256,
        "applied_before": bundle.was_applied_before(),
        "tables": outcomes(bundle).json(),
        "notes": bundle.tables.iter().map(|table| json!({"skipped": table.skipped, "gap": table.gap, "reported": table.reported})).collect::<Value>(),
    })
}
