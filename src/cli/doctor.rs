//! `doctor`.

use super::answer::Answer;
use super::args::DoctorArgs;
use super::exit::Exit;
use super::table::Table;
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
    let text = format!("{}\n{}{errors} errors, {warnings} warnings\n", backend.describe(), table.text());
    let json = json!({"instance": backend.describe(), "advice": table.json(), "errors": errors, "warnings": warnings});
    let exit = if errors > 0 { Exit::Usage } else { Exit::Done };
    Ok(Answer { text, json, exit })
}

/// A line each.
pub fn advice_table(advice: &[Advice]) -> Table {
    let mut table = Table::new(&["Severity", "Subject", "Finding", "WhatToDo"]);
    for one in advice {
        table.push([
            one.severity.as_str().into(),
            one.subject.clone().into(),
            one.finding.clone().into(),
            one.what_to_do.clone().into(),
        ]);
    }
    table
}
