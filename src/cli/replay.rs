//! `replay`.

use super::answer::Answer;
use super::args::ReplayArgs;
use super::bundles::named;
use super::render::{clean, number};
use super::table::Table;
use crate::backend::OpenOptions;
use crate::error::Result;
use crate::monitor::Monitor;
use crate::replay::{self, BundleOutcome, ReplayOptions};
use serde_json::{Value, json};

/// Applies bundles in the order of their chains, each once.
///
/// # Errors
/// As [`replay::replay`].
pub fn run(args: &ReplayArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let connection = args.login.connection(&args.into)?;
    let options = ReplayOptions {
        database: args.database.clone(),
        create: args.create,
        allow_gap: args.allow_gap,
        identities: args.keys.read()?,
    };
    let bundles = named(&args.bundles)?;
    let main_database = replay::target_database(&bundles, &options)?;
    let mut backend = connection.open(&OpenOptions { main_database, create: args.create, ..OpenOptions::default() })?;
    let report = replay::replay(&bundles, backend.as_mut(), &options, monitor)?;
    let text = report.bundles.iter().map(bundle_text).collect();
    let bundles: Vec<Value> = report.bundles.iter().map(object).collect();
    Ok(Answer::done(text, json!({"into": connection.to_string(), "bundles": bundles})))
}

fn outcomes(bundle: &BundleOutcome) -> Table {
    let mut table = Table::new(&["TableName", "Target", "Rows", "Written", "Tombstones", "Removed"]);
    for outcome in &bundle.tables {
        table.push([
            outcome.table.to_string().into(),
            outcome.target.to_string().into(),
            outcome.rows.into(),
            outcome.written.into(),
            outcome.tombstones.into(),
            outcome.removed.into(),
        ]);
    }
    table
}

fn bundle_text(bundle: &BundleOutcome) -> String {
    let path = clean(&bundle.path.display().to_string());
    if bundle.was_applied_before() {
        return format!("{path}: nothing to do, it was applied before or holds no rows\n");
    }
    let written = bundle.tables.iter().map(|table| table.written).sum();
    let removed = bundle.tables.iter().map(|table| table.removed).sum();
    let summed = format!("{} rows written, {} removed", number(written), number(removed));
    format!("{path}: {summed}\n{}\n", outcomes(bundle).text())
}

fn object(bundle: &BundleOutcome) -> Value {
    json!({
        "bundle": bundle.path.display().to_string(),
        "root_sha256": bundle.root_sha256,
        "applied_before": bundle.was_applied_before(),
        "tables": outcomes(bundle).json(),
    })
}
