//! One run, and `--plan` of one.

use super::answer::Answer;
use super::exit::Exit;
use super::json::{error_object, table_time};
use super::out::Tone;
use super::render::{counted, error_text, exit_of, number, window_bounds};
use super::run_args::RunArgs;
use super::summary;
use super::table::{TableCell, TextTable, line, plain, prose, time};
use super::text::Text;
use crate::backend::{Backend, PackState};
use crate::durable::Local;
use crate::engine::{self, PackOptions, RunOptions, RunReport};
use crate::error::{Error, Result};
use crate::model::clock::ClockKind;
use crate::model::drift;
use crate::model::run::{Run, RunRequest, Scope, Status, TablePlan};
use crate::model::window::Window;
use crate::monitor::Monitor;
use crate::shipping;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SECONDS_PER_MINUTE: u32 = 60;

/// How a run is packed, with its key opened: to be called before anything else. Nothing for `--plan`, which opens no key.
///
/// # Errors
/// As [`PackingArgs::options`](super::bundles::PackingArgs::options); Usage: a destination that is none.
pub fn packing(args: &RunArgs) -> Result<Option<PackOptions>> {
    if args.plan {
        return Ok(None);
    }
    let ship_to = args.shipping.destination()?;
    Ok(Some(PackOptions { ship_to, waive: args.waiver.waiver(), ..args.packing.options()? }))
}

/// Packs what is unpacked, extracts, packs; or says what it would do.
///
/// # Errors
/// As [`engine::run`]. Tables that failed are in the answer.
pub fn run_one(
    args: &RunArgs,
    pack: Option<PackOptions>,
    backend: &mut dyn Backend,
    monitor: &dyn Monitor,
) -> Result<Answer> {
    let Some(pack) = pack else { return plan(args, backend, monitor) };
    let ships = pack.ship_to.is_some();
    let options = RunOptions {
        request: request(args),
        resume: args.resume,
        take_over: args.take_over,
        out: args.out.clone(),
        backup_slice: args.backup_slice.clone(),
        pack,
        lease_seconds: args.lease_minutes * SECONDS_PER_MINUTE,
    };
    if let Some(destination) = &options.pack.ship_to {
        let selection = match options.resume {
            Some(id) => backend.run(id)?.selection(),
            None => options.request.selection(),
        };
        shipping::check_destination(backend, &selection, destination, options.pack.waive.place, monitor)?;
    }
    let mut shipped = Vec::new();
    // No lease is held by then: a slow network must keep nobody else from a table, and what dies on it
    // has forgotten nothing, because what is unshipped was recorded with the bundle.
    let mut ship = |backend: &mut dyn Backend, report: &RunReport| {
        let selection = report.run.selection();
        shipped.push(match (ships, &args.out) {
            (true, _) => Some(shipping::ship_pending(backend, &selection, monitor)),
            (false, Some(_)) => Some(shipping::look(backend, &selection)),
            (false, None) => None,
        });
    };
    let reports = engine::run_windows(backend, &options, &Local, monitor, &mut ship)?;
    let answers = reports.iter().zip(shipped).map(|(report, shipped)| {
        let (text, result, json) = (summary::text(report), summary::result(report), summary::json(report));
        let mut answer = Answer { text, result, json, exit: Exit::Done };
        shipped.into_iter().for_each(|shipped| shipped.add_to(&mut answer));
        answer
    });
    Ok(one_answer(answers, exit_of_reports(&reports)))
}

/// One answer of those of several windows: its tables, bundles and shipments are those of all, the rest is that of the last.
fn one_answer(answers: impl Iterator<Item = Answer>, exit: Exit) -> Answer {
    const LISTS: [&str; 3] = ["tables", "bundles", "shipments"];
    let mut all = answers.reduce(|mut all, mut next| {
        for name in LISTS {
            if let (Some(before), Some(list)) = (all.json[name].as_array(), next.json[name].as_array()) {
                next.json[name] = before.iter().chain(list).cloned().collect();
            }
        }
        all.text += "\n";
        all.text.append(next.text);
        all.result.append(next.result);
        all.json = next.json;
        all.exit = if all.exit == Exit::Done { next.exit } else { all.exit };
        all
    });
    if let Some(all) = all.as_mut().filter(|_| exit != Exit::Done) {
        all.exit = exit;
    }
    all.unwrap_or_else(|| Answer::done(Text::new(), Value::Null).ending(exit))
}

/// What a run with these arguments would do, or go on with; or what it would be refused for, which is looked for before any row
/// is read. No passphrase is asked, and nothing is changed.
fn plan(args: &RunArgs, backend: &mut dyn Backend, monitor: &dyn Monitor) -> Result<Answer> {
    let ship_to = args.shipping.destination()?;
    let resumed = args.resume.map(|id| backend.run(id)).transpose()?;
    let selection = resumed.as_ref().map_or_else(|| request(args).selection(), Run::selection);
    let mut refusals = args.packing.refusals();
    refusals.extend(engine::would_be_refused(backend, &selection, args.out.as_deref(), args.no_bundle)?);
    if let Some(destination) = &ship_to {
        let shared = args.waiver.waiver().place;
        let seen = shipping::check_destination(backend, &selection, destination, shared, monitor);
        refusals.extend(seen.err());
    }
    match (refusals.is_empty(), &resumed) {
        (false, _) => Ok(refused_answer(&refusals)),
        (true, Some(run)) => resumed_answer(backend, run),
        (true, None) => Ok(plan_answer(&engine::plan(backend, &request(args))?)),
    }
}

/// Every reason; the exit code is that of the first, as the run's would be.
fn refused_answer(refusals: &[Error]) -> Answer {
    let mut text = Text::new();
    for error in refusals {
        text += "a run started now would be refused:\n";
        text.append(error_text(error));
    }
    let objects: Vec<Value> = refusals.iter().map(error_object).collect();
    let exit = refusals.first().map_or(Exit::Done, exit_of);
    Answer::shown(text, json!({"refused": objects.first(), "refusals": objects})).ending(exit)
}

/// What a run that is resumed would go on with.
fn resumed_answer(backend: &mut dyn Backend, run: &Run) -> Result<Answer> {
    let steps = backend.run_steps(run.id)?;
    let mut table = TextTable::new([
        plain("State"),
        plain("RowsProcessed"),
        time("WindowStart"),
        time("WindowEnd"),
        line("TableName"),
    ]);
    let mut waiting = 0;
    for (name, state) in backend.run_tables(run.id)? {
        let own = || steps.iter().filter(|step| step.table == name);
        let is_waiting = state == PackState::NotCompleted;
        waiting += u64::from(is_waiting);
        let state = match (is_waiting, own().next()) {
            (true, None) => TableCell::toned(Tone::Care, "to begin"),
            (true, Some(_)) => TableCell::toned(Tone::Care, "to continue"),
            (false, _) => "complete".into(),
        };
        table.push([
            state,
            own().map(|step| step.rows_processed).sum::<u64>().into(),
            table_time(own().find_map(|step| step.window_start)).into(),
            table_time(own().find_map(|step| step.window_end)).into(),
            name.to_string().into(),
        ]);
    }
    let mut text = Text::new();
    text.table(&table);
    let tables = counted(waiting, "table", "tables");
    text += &format!("\nrun {} resumed now would go through {tables}; nothing was changed\n", run.id);
    Ok(Answer::shown(text, json!({"resumes": run.id, "plan": table.json()})))
}

fn request(args: &RunArgs) -> RunRequest {
    RunRequest {
        requested_by: requested_by(),
        table: args.table.clone(),
        scope: Scope::from(args.business_unit),
        batch_size: args.batch_size,
        max_dop: args.max_dop,
        from: args.from,
        until: args.until,
        continues: None,
    }
}

/// The account that runs this program.
fn requested_by() -> String {
    let named = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| "blobdelta".to_owned())
}

/// 0 if every table is done, 6 if some are; if none is, what they failed of, where that is one
/// thing, and 1 otherwise. Of several windows of a table the last one counts.
fn exit_of_reports(reports: &[RunReport]) -> Exit {
    let tables = reports.iter().flat_map(|report| &report.tables).map(|table| (&table.table, table));
    let tables: BTreeMap<_, _> = tables.collect();
    let failed: Vec<_> = tables.values().filter(|table| table.status != Status::Completed).collect();
    let code = |error: &Option<Error>| error.as_ref().map_or(Exit::Failed, |error| Exit::from(error.kind()));
    match failed.first() {
        None => Exit::Done,
        Some(_) if failed.len() < tables.len() => Exit::SomeFailed,
        Some(first) if failed.iter().all(|table| code(&table.error) == code(&first.error)) => code(&first.error),
        Some(_) => Exit::Failed,
    }
}

fn plan_answer(plans: &[TablePlan]) -> Answer {
    let mut table = TextTable::new([
        plain("Keys"),
        time("WindowStart"),
        time("WindowEnd"),
        plain("Clock"),
        plain("Tombstones").if_room(),
        prose("WindowEnds"),
        plain("Pending").if_room(),
        plain("Excluded").if_room(),
        plain("OutOfScope").if_room(),
        plain("WithoutBusinessUnit").if_room(),
        plain("Filtered").if_room(),
        plain("Future").if_room(),
        line("TableName"),
        prose("SchemaChanges"),
        prose("Refused"),
    ]);
    for plan in plans {
        let (start, end) = window_bounds(&plan.window);
        table.push([
            plan.keys.into(),
            start.into(),
            end.into(),
            clock(plan.window.clock).into(),
            plan.counts.tombstones.into(),
            ends_text(plan).into(),
            plan.counts.pending.into(),
            plan.counts.excluded.into(),
            plan.counts.out_of_scope.into(),
            plan.counts.without_business_unit.into(),
            plan.counts.filtered.into(),
            plan.counts.future.into(),
            plan.table.to_string().into(),
            (!plan.schema_changes.is_empty()).then(|| drift::listed(&plan.schema_changes)).into(),
            plan.refused.clone().into(),
        ]);
    }
    let keys = plans.iter().map(|plan| plan.keys).sum();
    let mut text = Text::new();
    text.table(&table);
    text += &format!("\na run started now would go through {} keys; nothing was changed\n", number(keys));
    let mut json = table.json();
    for (row, plan) in json.as_array_mut().into_iter().flatten().zip(plans) {
        row["WindowEnds"] = ends(plan).into();
        row["HasMoreWindows"] = plan.has_more_ends.into();
    }
    Answer::shown(text, json!({"plan": json}))
}

/// Where the first windows would end.
fn ends(plan: &TablePlan) -> Vec<String> {
    plan.ends.iter().map(|end| window_bounds(&Window { end: *end, ..plan.window }).1).collect()
}

/// The same for people, if there are several.
fn ends_text(plan: &TablePlan) -> Option<String> {
    let more = if plan.has_more_ends { ", and more" } else { "" };
    (plan.ends.len() > 1 || plan.has_more_ends).then(|| ends(plan).join(", ") + more)
}

fn clock(clock: ClockKind) -> Value {
    match clock {
        ClockKind::Utc => "utc".into(),
        ClockKind::Local => "local".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::TableRunOutcome;
    use crate::error::Kind;
    use crate::model::clock::{Clock as _, SystemClock};
    use crate::model::id::Guid;
    use crate::model::name::TableName;

    fn report(outcomes: &[Option<Kind>]) -> RunReport {
        let outcome = |(nth, kind): (usize, &Option<Kind>)| TableRunOutcome {
            schema_changes: Vec::new(),
            table: TableName::parse(&format!("D.s.T{nth}")).unwrap(),
            cut: None,
            status: if kind.is_none() { Status::Completed } else { Status::Failed },
            window: None,
            counts: None,
            new_business_units: Vec::new(),
            took_over: None,
            error: kind.map(|kind| Error::new(kind, "x")),
        };
        let run = Run {
            id: Guid::from_bytes([1; 16]),
            run_type: "AllTables".into(),
            requested_by: "x".into(),
            started_at: SystemClock.now(),
            completed_at: None,
            status: Status::Failed,
            error: None,
            scope: Scope::All,
            table: None,
            batch_size: 500,
            max_dop: 2,
            from: None,
            until: None,
            continues: None,
            attempt: 1,
            destination: None,
        };
        RunReport {
            run,
            tables: outcomes.iter().enumerate().map(outcome).collect(),
            left_out: Vec::new(),
            open: Vec::new(),
            bundles: Vec::new(),
            unknown_names: Vec::new(),
        }
    }

    #[test]
    fn the_exit_code_tells_some_from_all() {
        let cases: [(&[Option<Kind>], Exit); 8] = [
            (&[], Exit::Done),
            (&[None, None], Exit::Done),
            (&[None, Some(Kind::LeaseHeld)], Exit::SomeFailed),
            (&[Some(Kind::LeaseHeld), Some(Kind::LeaseHeld)], Exit::LeaseHeld),
            (&[Some(Kind::Config)], Exit::Usage),
            (&[Some(Kind::Database), Some(Kind::LeaseHeld)], Exit::Failed),
            (&[Some(Kind::Blocked)], Exit::SomeFailed),
            (&[Some(Kind::NotPacked)], Exit::SomeFailed),
        ];
        for (outcomes, exit) in cases {
            assert_eq!(exit_of_reports(&[report(outcomes)]), exit, "{outcomes:?}");
        }
        let windows = [report(&[None, None]), report(&[Some(Kind::Config)])];
        assert_eq!(exit_of_reports(&windows), Exit::SomeFailed, "the second window of one of two tables");
        assert_eq!(exit_of_reports(&[report(&[Some(Kind::Config)]), report(&[None])]), Exit::Done);
    }
}
