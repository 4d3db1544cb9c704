//! The summary of a run: what was copied, and all that no window can catch (rule 6).

use super::again;
use super::json::{error_object, utc};
use super::out::{Tone, clean};
use super::render::{counted, error_text, window, window_bounds};
use super::table::{TextTable, line, plain};
use super::text::Text;
use crate::backend::UnknownName;
use crate::bundle::{Bundle, FileRole};
use crate::engine::{RunReport, TableRunOutcome};
use crate::error::Unfinished;
use crate::model::drift::{self, ChangeKind, SchemaChange};
use crate::model::name::TableName;
use crate::model::run::{Run, Scope, Status, TableCounts};
use crate::model::window::Window;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// For people.
pub fn text(report: &RunReport) -> Text {
    let run = &report.run;
    let scope = match run.scope {
        Scope::All => "all business units".to_owned(),
        Scope::BusinessUnit(unit) => format!("business unit {unit}"),
    };
    let mut text = Text::from(format!("run {}  ", run.id));
    text.add(tone_of(run.status), run.status.as_str());
    text += &format!("  {scope}\n\n");
    if report.tables.is_empty() {
        text += "no table is active, so there was nothing to do\n";
    }
    let in_bundles = in_bundles(report);
    for outcome in &report.tables {
        text.append(table_text(outcome, run.scope, in_bundles.get(&outcome.table)));
    }
    for table in &report.left_out {
        let _ = writeln!(text, "{table}  left out: it has no business units\n");
    }
    for unknown in &report.unknown_names {
        let _ = writeln!(text, "{}\n  {}\n", clean(&unknown.finding()), unknown.what_to_do());
    }
    let units = new_units(report);
    if !units.is_empty() {
        text.table(&units);
        text += "\n";
    }
    if let Some(command) = go_on_with(report) {
        let _ = writeln!(text, "go on with: {}", clean(&command));
    }
    for bundle in &report.bundles {
        let _ = writeln!(text, "bundle {}", clean(&bundle.display().to_string()));
    }
    text
}

/// Of it, what a script goes on with: the bundles, and what failed.
pub fn result(report: &RunReport) -> Text {
    let mut text = Text::new();
    for bundle in &report.bundles {
        text += &format!("{}\n", bundle.display());
    }
    for outcome in report.tables.iter().filter(|table| table.error.is_some()) {
        text.append(table_text(outcome, report.run.scope, None));
    }
    text
}

/// A status as a verdict.
pub fn tone_of(status: Status) -> Tone {
    match status {
        Status::Completed => Tone::Good,
        Status::Waiting | Status::Running | Status::GivenUp => Tone::Care,
        Status::Failed | Status::Blocked | Status::Superseded => Tone::Bad,
    }
}

/// The command that goes on with a run of which tables failed, or whose windows go on, unless it is somebody else's by now.
fn go_on_with(report: &RunReport) -> Option<String> {
    let is_open = |table: &TableRunOutcome| !matches!(table.status, Status::Completed | Status::Superseded);
    let is_unfinished = report.tables.iter().any(is_open) || !report.open.is_empty();
    is_unfinished.then(|| again::command(&Unfinished::Run(report.run.id.to_string())))
}

/// What the bundles that this run published say of a table.
#[derive(Clone, Default)]
struct InBundle {
    /// Rule 7: parents that the source lacks or that are excluded. A slice without a bundle lists them itself.
    absent_parents: u64,
    /// Rule 24: what changed since the bundle before, of the chain's receivers.
    schema_changes: Vec<SchemaChange>,
}

fn in_bundles(report: &RunReport) -> BTreeMap<TableName, InBundle> {
    let opened = report.bundles.iter().filter_map(|path| Bundle::open(path).ok());
    let own = opened.filter(|bundle| bundle.manifest().run.run_id == report.run.id);
    let mut found = BTreeMap::new();
    for table in own.flat_map(|bundle| bundle.manifest().tables.clone()) {
        let absent_parents = table.files_of(FileRole::AbsentParents).filter_map(|file| file.rows).sum();
        found.insert(table.name, InBundle { absent_parents, schema_changes: table.schema_changes });
    }
    found
}

fn table_text(outcome: &TableRunOutcome, scope: Scope, in_bundle: Option<&InBundle>) -> Text {
    let mut text = Text::from(format!("{}  ", outcome.table));
    text.add(tone_of(outcome.status), outcome.status.as_str());
    text += "\n";
    if let Some(bounds) = &outcome.window {
        let _ = writeln!(text, "  window   {}", window(bounds));
        if let Some(cut) = outcome.cut.filter(|cut| cut.goal > bounds.end) {
            let _ = writeln!(text, "  cut      by MaxWindow, of {}", window(&Window { end: cut.goal, ..*bounds }));
        }
    }
    if let Some(rows) = outcome.cut.and_then(|cut| cut.one_stamp_rows) {
        let rows = super::render::number(rows);
        let _ =
            writeln!(text, "  note     {rows} rows have one stamp: they are more than MaxWindow, and are never parted");
    }
    if let Some(dead) = outcome.took_over {
        let _ = writeln!(text, "  lease    taken over from run {dead}, as asked");
    }
    let changes = schema_changes(outcome, in_bundle);
    if !changes.is_empty() {
        let _ = writeln!(text, "  columns  {}", clean(&drift::listed(changes)));
        if let Some(command) = bring_again(outcome, scope, changes) {
            let _ = writeln!(text, "  note     {command}");
        }
    }
    if let Some(counts) = &outcome.counts {
        let rows = counted(counts.rows(), "row", "rows");
        let _ = writeln!(text, "  copied   {rows}: {}", listed(&copied(counts)));
        let absent = in_bundle.map(|bundle| ("absent parents", bundle.absent_parents));
        let reported: Vec<_> = reported(counts).into_iter().chain(absent).filter(|(_, count)| *count > 0).collect();
        let said = if reported.is_empty() { "nothing".to_owned() } else { listed(&reported) };
        let _ = writeln!(text, "  reported {said}");
        if let Some(since) = counts.pending_since {
            let _ = writeln!(text, "  pending  since {}", since.rfc3339_utc());
        }
        for note in notes(counts) {
            let _ = writeln!(text, "  note     {note}");
        }
    }
    if let Some(error) = &outcome.error {
        text.append(error_text(error).indented(2));
    }
    text += "\n";
    text
}

fn listed(counts: &[(&str, u64)]) -> String {
    let parts: Vec<String> =
        counts.iter().map(|(name, count)| format!("{name} {}", super::render::number(*count))).collect();
    parts.join(", ")
}

/// What the slice holds.
fn copied(counts: &TableCounts) -> [(&'static str, u64); 6] {
    [
        ("roots", counts.roots),
        ("missing parents", counts.missing_parents),
        ("children", counts.children),
        ("including early", counts.early),
        ("late", counts.late),
        ("tombstones", counts.tombstones),
    ]
}

/// What it does not hold, though somebody may look for it.
pub fn reported(counts: &TableCounts) -> [(&'static str, u64); 14] {
    [
        ("pending", counts.pending),
        ("excluded", counts.excluded),
        ("out of scope", counts.out_of_scope),
        ("without business unit", counts.without_business_unit),
        ("left out by MetadataFilter", counts.filtered),
        ("held back", counts.held_back),
        ("gone", counts.gone),
        ("future", counts.future),
        ("without key", counts.without_key),
        ("without stamp", counts.without_stamp),
        ("buried", counts.buried),
        ("logged deletions", counts.logged_deletions),
        ("future deletions", counts.future_deletions),
        ("withheld deletions", counts.withheld_deletions),
    ]
}

/// What is to be looked at, in words.
fn notes(counts: &TableCounts) -> Vec<String> {
    let shown = super::render::number;
    let mut notes = Vec::new();
    if counts.older_now > 0 || counts.went_back_minutes > 0 {
        notes.push(format!(
            "the source went back in time: shipped rows with an older stamp now: {}; minutes from its newest stamp to that \
             of the last run: {}; if it was restored from a backup, compare it with `blobdelta reconcile --content`",
            shown(counts.older_now),
            shown(counts.went_back_minutes)
        ));
    }
    if counts.buried > 0 {
        notes.push("a logged deletion outranks rows that still exist: `blobdelta reconcile` lists them".to_owned());
    }
    if counts.future_deletions > 0 {
        notes.push("deletions are dated in the future: correct DeletedOn in BlobDeltaDeletionLog".to_owned());
    }
    if let Some(id) = counts.withheld_deletion {
        notes.push(format!(
            "deletions are dated more than 24 hours in the future, and are not shipped until DeletedOn is corrected: the \
             first is DeletionId {id}"
        ));
    }
    if counts.logged_deletions == 0 {
        notes.push(
            "no deletions of this table are logged; receivers keep rows that are deleted at the source".to_owned(),
        );
    }
    notes
}

/// What its receivers are to know of the table's columns: where it is in a bundle, what changed since the one before.
fn schema_changes<'r>(outcome: &'r TableRunOutcome, in_bundle: Option<&'r InBundle>) -> &'r [SchemaChange] {
    in_bundle.map_or(&outcome.schema_changes, |bundle| &bundle.schema_changes)
}

/// Rule 24: rows that were shipped before a column was added carry none of it.
fn bring_again(outcome: &TableRunOutcome, scope: Scope, changes: &[SchemaChange]) -> Option<String> {
    let is_more = |change: &SchemaChange| change.change == ChangeKind::Added;
    changes.iter().any(is_more).then(|| {
        let unit = scope.business_unit().map(|unit| format!(" --business-unit {unit}")).unwrap_or_default();
        let table = outcome.table.shell_word();
        let command = format!("blobdelta run --table {table}{unit} --from 0001-01-01 --out FOLDER");
        again::connected_text(&format!(
            "rows that were shipped before lack the values of an added column until they are stamped again; `{command}` ships \
             all of them now"
        ))
    })
}

fn new_units(report: &RunReport) -> TextTable {
    let mut table = TextTable::new([plain("NewBusinessUnit"), line("Load its older rows with")]);
    for outcome in &report.tables {
        for unit in &outcome.new_business_units {
            table.push([unit.to_string().into(), load_command(&outcome.table).into()]);
        }
    }
    table
}

/// Rule 12: the command that brings the older rows of a new unit to the receivers of all units. A run for the
/// unit would bring them to that unit's own chain alone.
fn load_command(table: &TableName) -> String {
    let name = table.shell_word();
    again::connected(&format!("blobdelta run --table {name} --from 0001-01-01 --out FOLDER"))
}

/// See [`UnknownName`].
pub fn unknown_names(names: &[UnknownName]) -> Value {
    names.iter().map(|one| json!({"list": one.list, "name": one.name, "entries": one.entries})).collect()
}

/// For programs.
pub fn json(report: &RunReport) -> Value {
    let bundles: Vec<String> = report.bundles.iter().map(|path| path.display().to_string()).collect();
    let in_bundles = in_bundles(report);
    let object = |table: &TableRunOutcome| {
        let mut object = table_object(table, in_bundles.get(&table.table));
        object["run"] = report.run.id.to_string().into();
        object
    };
    let tables: Vec<Value> = report.tables.iter().map(object).collect();
    json!({"run": run_object(&report.run), "tables": tables, "left_out": report.left_out, "bundles": bundles,
        "unknown_names": unknown_names(&report.unknown_names),
        "go_on_with": go_on_with(report)})
}

fn table_object(outcome: &TableRunOutcome, in_bundle: Option<&InBundle>) -> Value {
    let absent_parents = in_bundle.map(|bundle| bundle.absent_parents);
    let bounds = outcome.window.as_ref().map(|bounds| {
        let (start, end) = window_bounds(bounds);
        // Where MaxWindow cut nothing, the goal is the end.
        let goal = outcome.cut.map_or_else(|| end.clone(), |cut| window_bounds(&Window { end: cut.goal, ..*bounds }).1);
        let rows = outcome.cut.and_then(|cut| cut.one_stamp_rows);
        json!({"start": start, "end": end, "clock": bounds.clock, "goal": goal, "one_stamp_rows": rows})
    });
    let units: Vec<Value> = outcome
        .new_business_units
        .iter()
        .map(|unit| json!({"business_unit": unit, "command": load_command(&outcome.table)}))
        .collect();
    json!({
        "table": outcome.table,
        "schema_changes": schema_changes(outcome, in_bundle),
        "status": outcome.status.as_str(),
        "window": bounds,
        "counts": outcome.counts,
        "absent_parents": absent_parents,
        "new_business_units": units,
        "took_over": outcome.took_over,
        "error": outcome.error.as_ref().map(error_object),
    })
}

/// The run itself, as one object with the names of its columns.
fn run_object(run: &Run) -> Value {
    json!({
        "RunId": run.id,
        "RunType": run.run_type,
        "RequestedBy": run.requested_by,
        "RunStartedAt": utc(Some(run.started_at.utc)),
        "RunCompletedAt": utc(run.completed_at),
        "Status": run.status.as_str(),
        "ErrorMessage": run.error,
        "Scope": run.scope.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_6_every_count_is_reported() {
        let counts: TableCounts = serde_json::from_value(
            serde_json::to_value(TableCounts::default())
                .unwrap()
                .as_object()
                .unwrap()
                .keys()
                .enumerate()
                .map(|(nth, name)| (name.clone(), Value::from(1001 + nth)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        )
        .unwrap();
        let text = listed(&copied(&counts)) + &listed(&reported(&counts)) + &notes(&counts).join(" ");
        let Value::Object(all) = serde_json::to_value(&counts).unwrap() else { unreachable!() };
        for (name, count) in all {
            let shown = super::super::render::number(count.as_u64().unwrap());
            assert!(text.contains(&shown), "{name} is not told in: {text}");
        }
    }

    #[test]
    fn rule_12_the_command_can_be_pasted_into_a_shell() {
        let table = TableName::parse("D.s.[it's a $HOME]").unwrap();
        let command = load_command(&table);
        assert!(command.contains(r"--table 'D.s.it'\''s a $HOME' "), "{command}");
    }
}
