//! `run --each-business-unit`: a run for each unit, one after the other, because a table has one slice.
//!
//! The units and where each one's bundles go are settled before anything is run. A run that fails costs its own unit alone.

use super::again::speak_of;
use super::answer::Answer;
use super::config::{UnitSection, unit_sections};
use super::exit::Exit;
use super::json::error_object;
use super::notify::NotifyArgs;
use super::out::{Tone, clean};
use super::render::{counted, error_text, exit_of};
use super::run::{packing, run_one};
use super::run_args::RunArgs;
use super::table::{TableCell, TextTable, line, plain};
use super::text::Text;
use super::unit_places::{check_apart, make_folder, makes_folder, of_unit, to_go_on};
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::monitor::Monitor;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What became of a unit.
struct UnitOutcome {
    unit: Guid,
    args: RunArgs,
    answer: Answer,
}

impl UnitOutcome {
    /// Of what failed, the answer says what there is to say of it: while its unit is spoken of.
    fn new(unit: Guid, args: RunArgs, result: Result<Answer>) -> Self {
        let answer = result.unwrap_or_else(|error| {
            let mut named = Text::new();
            let _ = writeln!(named, "business unit {unit}");
            named.append(error_text(&error).indented(2));
            let json = json!({"error": error_object(&error)});
            Answer { text: error_text(&error), result: named, json, exit: exit_of(&error) }
        });
        Self { unit, args, answer }
    }
}

/// Runs for every unit in scope, or for those that the profile has sections for.
///
/// # Errors
/// Usage: there is no unit, or two would share a place; Database. What the run of a unit fails of is in the answer.
pub fn run_each(args: &RunArgs, backend: &mut dyn Backend, monitor: &dyn Monitor) -> Result<Answer> {
    let (in_scope, sections) = (backend.units()?, unit_sections());
    let units: Vec<Guid> = match sections.is_empty() {
        true => in_scope.iter().copied().collect(),
        false => sections.keys().copied().collect(),
    };
    if units.is_empty() {
        return Err(Error::usage("no active table has a business unit in its table of units")
            .hint("`blobdelta table list` shows the tables of units; run without --each-business-unit"));
    }
    let none = UnitSection::default();
    let section = |unit: &Guid| sections.get(unit).unwrap_or(&none);
    let runs = units.iter().map(|unit| of_unit(args, *unit, section(unit)).map(|own| (*unit, own)));
    let runs = runs.collect::<Result<Vec<_>>>()?;
    let places: Vec<(Guid, &RunArgs)> = runs.iter().map(|(unit, own)| (*unit, own)).collect();
    if !args.waiver.place.is_shared() {
        check_apart(&places)?;
    }
    let mut outcomes = Vec::new();
    for (unit, own) in runs {
        let section = section(&unit);
        speak_of(to_go_on(&own));
        let hooks = NotifyArgs::of_unit(section.notify.clone(), section.ping.clone());
        let result = match monitor.check() {
            Err(stopped) => Err(stopped),
            Ok(()) if own.plan => run_one(&without_new_folder(&own, unit), None, backend, monitor),
            Ok(()) => hooks.around(&format!("blobdelta run --business-unit {unit}"), || {
                let pack = packing(&own)?;
                make_folder(&own, unit)?;
                run_one(&own, pack, backend, monitor)
            }),
        };
        outcomes.push(UnitOutcome::new(unit, own, result));
    }
    speak_of(None);
    let left_out: Vec<Guid> = in_scope.into_iter().filter(|unit| !units.contains(unit)).collect();
    Ok(answer(&outcomes, &left_out))
}

/// A run makes the folder of a unit, so a plan does not miss it.
fn without_new_folder(own: &RunArgs, unit: Guid) -> RunArgs {
    let out = own.out.clone().filter(|_| !makes_folder(own, unit));
    RunArgs { out, ..own.clone() }
}

/// The worst exit code: the least but 0, in the order in which all commands have it.
fn worst(exits: impl Iterator<Item = Exit>) -> Exit {
    exits.filter(|exit| *exit != Exit::Done).min_by_key(|exit| exit.code()).unwrap_or(Exit::Done)
}

fn answer(outcomes: &[UnitOutcome], left_out: &[Guid]) -> Answer {
    let mut table =
        TextTable::new([plain("BusinessUnit"), plain("ExitCode"), plain("Rows"), line("Bundle"), line("Destination")]);
    let (mut text, mut result, mut units) = (Text::new(), Text::new(), Vec::new());
    for outcome in outcomes {
        let _ = writeln!(text, "== business unit {}\n", outcome.unit);
        text.append(outcome.answer.text.clone());
        result.append(outcome.answer.result.clone());
        let (mut json, exit) = (outcome.answer.json.clone(), outcome.answer.exit);
        text += "\n";
        let tone = if exit == Exit::Done { Tone::Good } else { Tone::Bad };
        let bundles: Vec<&str> = json["bundles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        table.push([
            outcome.unit.to_string().into(),
            TableCell::toned(tone, exit.code()),
            rows(&json).into(),
            bundles.join(", ").into(),
            outcome.args.shipping.given().map(clean).into(),
        ]);
        json["business_unit"] = outcome.unit.to_string().into();
        json["exit_code"] = exit.code().into();
        json["out"] = outcome.args.out.as_ref().map(|out| out.display().to_string()).into();
        json["ship_to"] = outcome.args.shipping.given().into();
        units.push(json);
    }
    text.table(&table);
    if !left_out.is_empty() {
        let named: Vec<String> = left_out.iter().map(ToString::to_string).collect();
        let note = format!(
            "{} in scope without a section in the profile, so nothing was run for it: {}\n",
            counted(left_out.len() as u64, "business unit is", "business units are"),
            named.join(", ")
        );
        text.add(Tone::Care, &note);
        result.add(Tone::Care, &note);
    }
    let json = json!({"units": units, "left_out_units": left_out});
    Answer { text, result, json, exit: worst(outcomes.iter().map(|outcome| outcome.answer.exit)) }
}

/// Rows that the run copied.
fn rows(answer: &Value) -> Option<u64> {
    let of_table = |table: &Value| -> u64 {
        ["roots", "missing_parents", "children"].iter().filter_map(|kind| table["counts"][kind].as_u64()).sum()
    };
    answer["tables"].as_array().map(|tables| tables.iter().map(of_table).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_exit_code_is_the_first_of_the_documented_order() {
        let worst = |exits: &[Exit]| worst(exits.iter().copied());
        assert_eq!(worst(&[]), Exit::Done);
        assert_eq!(worst(&[Exit::Done, Exit::NotShipped]), Exit::NotShipped);
        assert_eq!(worst(&[Exit::NotShipped, Exit::SomeFailed, Exit::LeaseHeld]), Exit::LeaseHeld);
        assert_eq!(worst(&[Exit::Usage, Exit::Failed, Exit::Done]), Exit::Failed);
    }
}
