//! `reconcile`.

use super::access::AccessArgs;
use super::again;
use super::answer::Answer;
use super::bundles::named;
use super::exit::Exit;
use super::instance::Instance;
use super::out::Tone;
use super::render::number;
use super::table::{TextTable, line, plain, time};
use super::text::Text;
use crate::error::Result;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::monitor::Monitor;
use crate::reconcile::{self, DifferenceKind, NotReported, ReconcileOptions, TableDifferences};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The arguments of `reconcile`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Compares each key in scope that is stamped before the watermark with its latest version in the bundles.
Exit code 3 means that a receiver of these bundles has something wrong. Rows without a stamp, or with a
stamp in the future, are reported, but do not change the exit code.

Example:
  blobdelta reconcile --connection sqlite:./instance --bundles ./bundles --pend --log-deletions")]
pub struct ReconcileArgs {
    #[command(flatten)]
    pub instance: Instance,
    /// Folders or archives of bundles, or a folder that holds bundles; may be repeated
    #[arg(long, value_name = "BUNDLE", required = true, num_args = 1..)]
    pub bundles: Vec<PathBuf>,
    /// Compare only this configured table, Db.schema.Table; without it, all active tables
    #[arg(long, value_name = "NAME", value_parser = TableName::parse)]
    pub table: Option<TableName>,
    /// Compare only the rows of this business unit; use the bundles of its own runs too
    #[arg(long, value_name = "GUID", value_parser = Guid::parse)]
    pub business_unit: Option<Guid>,
    /// Also compare content hashes, to find blobs that changed without a new ModifiedOn. The database reads every
    /// blob that should be in the bundles once
    #[arg(long)]
    pub content: bool,
    /// Make missing, older, moved or changed rows pending, so that the next run copies them
    #[arg(long)]
    pub pend: bool,
    /// Write rows that are gone, or that left the scope, to the deletion log, each with the reason
    #[arg(long)]
    pub log_deletions: bool,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Holds the source against bundles.
///
/// # Errors
/// As [`reconcile::reconcile`].
pub fn run(args: &ReconcileArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let mut backend = args.instance.open(false)?;
    let options = ReconcileOptions {
        table: args.table.clone(),
        unit: args.business_unit,
        content: args.content,
        pend: args.pend,
        log_deletions: args.log_deletions,
        access: args.access.read()?,
    };
    let reports = reconcile::reconcile(&named(&args.bundles, monitor)?, backend.as_mut(), &options, monitor)?;
    let is_good = reports.iter().all(TableDifferences::is_good);
    let json = json!({"good": is_good, "tables": reports.iter().map(object).collect::<Vec<_>>()});
    let exit = if is_good { Exit::Done } else { Exit::Verification };
    let text = text(&reports, is_good);
    let result = if is_good { Text::new() } else { text.clone() };
    Ok(Answer { text, result, json, exit })
}

fn text(reports: &[TableDifferences], is_good: bool) -> Text {
    let mut summary = TextTable::new([
        plain("TableName"),
        plain("Bundles"),
        plain("Keys"),
        plain("Equal"),
        plain("Findings"),
        time("Before").if_room(),
        plain("NotDue").if_room(),
        plain("Pending").if_room(),
        plain("Excluded").if_room(),
    ]);
    for report in reports {
        summary.push([
            report.table.to_string().into(),
            report.bundles.into(),
            report.keys.into(),
            report.equal.into(),
            report.counts.values().sum::<u64>().into(),
            report.reached.map(|reached| reached.to_string()).into(),
            report.not_due.into(),
            report.pending.into(),
            report.excluded.into(),
        ]);
    }
    let mut text = Text::new();
    text.table(&summary);
    text += "\n";
    let found = findings(reports);
    if !found.is_empty() {
        text.table(&found);
        text += "\n";
    }
    for report in reports {
        for (kind, count) in &report.counts {
            let what_to_do = again::connected_text(&report.what_to_do(*kind));
            text += &format!("{}: {} {}: {what_to_do}\n", report.table, number(*count), kind.as_str());
        }
        text += &whole_text(report);
        let done = [
            (report.foreign_bundles, "bundles of another source were ignored"),
            (report.logged, "logged deletions are not shipped yet; the next run ships them"),
            (report.pended, "made pending"),
            (report.deletions, "written to the deletion log"),
            (
                report.unfit,
                "gone rows have keys that do not fit the key column any more: none is logged, for no bundle could have it; \
                 give the key column its wider type back, then call --log-deletions and run",
            ),
        ];
        for (count, what) in done.into_iter().filter(|(count, _)| *count > 0) {
            text += &format!("{}: {} {what}\n", report.table, number(count));
        }
    }
    let kinds: BTreeSet<DifferenceKind> = reports.iter().flat_map(|report| report.counts.keys().copied()).collect();
    let verdict = match (is_good, kinds.is_empty()) {
        (true, true) => "the bundles hold everything that was due\n",
        (true, false) => "the bundles hold everything that was due; rows that no window can include are listed above\n",
        (false, _) => "the bundles do not hold what the source has\n",
    };
    text.add(if is_good { Tone::Good } else { Tone::Bad }, verdict);
    text
}

/// What was counted over the whole table.
fn whole_text(report: &TableDifferences) -> String {
    let whole = &report.whole;
    let (lost, future) = (whole.without_metadata, whole.future_deletions);
    let reported = [
        (lost > 0, lost, "rows of the source have no metadata: no run copies them"),
        (future > 0, future, "deletions are dated in the future: correct DeletedOn in BlobDeltaDeletionLog"),
        (whole.logged_deletions == 0, 0, "deletions are logged; receivers keep rows that are deleted at the source"),
    ];
    let lines = reported.iter().filter(|(is_reported, ..)| *is_reported);
    lines.map(|(_, count, what)| format!("{}: {} {what}\n", report.table, number(*count))).collect()
}

fn findings(reports: &[TableDifferences]) -> TextTable {
    let mut table = TextTable::new([
        plain("Key"),
        plain("Finding"),
        time("ModifiedOn").if_room(),
        time("InBundles").if_room(),
        line("TableName"),
    ]);
    for report in reports {
        for finding in &report.findings {
            table.push([
                report.key_type.shown(finding.key).to_string().into(),
                finding.kind.as_str().into(),
                finding.at_source.map(|at| at.to_string()).into(),
                finding.in_bundles.map(|at| at.to_string()).into(),
                report.table.to_string().into(),
            ]);
        }
    }
    table
}

fn object(report: &TableDifferences) -> Value {
    let counts: Map<String, Value> =
        report.counts.iter().map(|(kind, count)| (kind.as_str().to_owned(), json!(count))).collect();
    json!({
        "table": report.table.to_string(),
        "before": report.reached.map(|reached| reached.to_string()),
        "bundles": report.bundles,
        "foreign_bundles": report.foreign_bundles,
        "keys": report.keys,
        "equal": report.equal,
        "not_due": report.not_due,
        "pending": report.pending,
        "excluded": report.excluded,
        "logged": report.logged,
        "not_reported": report.not_reported.map(|why| match why {
            NotReported::DeletionsAreOff => "deletions-are-off",
            NotReported::UnitIsGone(_) => "unit-is-gone",
        }),
        "counts": counts,
        "without_metadata": report.whole.without_metadata,
        "logged_deletions": report.whole.logged_deletions,
        "future_deletions": report.whole.future_deletions,
        "findings": findings(std::slice::from_ref(report)).json(),
        "pended": report.pended,
        "deletions": report.deletions,
        "unfit": report.unfit,
    })
}
