//! `doctor`.

use super::answer::Answer;
use super::args::DoctorArgs;
use super::exit::Exit;
use super::out::Tone;
use super::table::{TableCell, TextTable, plain, prose};
use super::text::Text;
use crate::backend::{Advice, Severity, UnknownName};
use crate::error::Result;
use serde_json::json;

/// Looks at a deployment; a line each, with what to do.
///
/// # Errors
/// As [`crate::backend::Upkeep::doctor`].
pub fn run(args: &DoctorArgs) -> Result<Answer> {
    let mut backend = args.instance.open(false)?;
    let mut advice = backend.doctor()?;
    // Where there is no job database yet, the doctor has said so.
    advice.extend(backend.unknown_names().unwrap_or_default().iter().map(UnknownName::advice));
    let table = advice_table(&advice);
    let count = |severity| advice.iter().filter(|one| one.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let mut text = Text::from(format!("{}\n", backend.describe()));
    text.table(&table);
    let tone = match (errors, warnings) {
        (0, 0) => Tone::Good,
        (0, _) => Tone::Care,
        _ => Tone::Bad,
    };
    text.add(tone, &format!("{errors} errors, {warnings} warnings\n"));
    let json = json!({"instance": backend.describe(), "advice": table.json(), "errors": errors, "warnings": warnings});
    let exit = if errors > 0 { Exit::Usage } else { Exit::Done };
    let wrong: Vec<Advice> = advice.into_iter().filter(|one| one.severity != Severity::Ok).collect();
    let mut result = Text::new();
    if !wrong.is_empty() {
        result.table(&advice_table(&wrong));
    }
    Ok(Answer { text, result, json, exit })
}

/// A line each, what is wrong before what is not.
pub fn advice_table(advice: &[Advice]) -> TextTable {
    let mut table = TextTable::new([plain("Severity"), plain("Subject"), prose("Finding"), prose("WhatToDo")]);
    let mut sorted: Vec<&Advice> = advice.iter().collect();
    sorted.sort_by_key(|one| std::cmp::Reverse(one.severity));
    for one in sorted {
        table.push([
            TableCell::toned(tone_of(one.severity), one.severity.as_str()),
            one.subject.clone().into(),
            one.finding.clone().into(),
            one.what_to_do.clone().into(),
        ]);
    }
    table
}

fn tone_of(severity: Severity) -> Tone {
    match severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Care,
        Severity::Ok => Tone::Good,
    }
}
