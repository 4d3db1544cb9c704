//! `deploy`.

use super::answer::Answer;
use super::args::DeployArgs;
use super::table::Table;
use crate::error::{Error, Result};
use serde_json::json;

/// Creates or upgrades the job database.
///
/// # Errors
/// Usage, if the folder is not there; as [`crate::backend::Jobs::deploy`].
pub fn run(args: &DeployArgs) -> Result<Answer> {
    if let (false, Some(folder)) = (args.create, args.instance.missing_folder()?) {
        return Err(Error::usage("there is no such folder, so no instance to deploy to")
            .file(folder)
            .hint("check its name; to make a new embedded instance there, add --create"));
    }
    let mut backend = args.instance.open(true)?;
    let steps = backend.deploy()?;
    let source_id = backend.source_id()?;
    let mut table = Table::new(&["Name", "Outcome", "NeedsAttention"]);
    for step in &steps {
        table.push([step.name.clone().into(), step.outcome.clone().into(), step.needs_attention.into()]);
    }
    let text = format!("{}\n{}source id {source_id}\n", backend.describe(), table.text());
    let json = json!({"instance": backend.describe(), "source_id": source_id, "steps": table.json()});
    Ok(Answer::done(text, json))
}
