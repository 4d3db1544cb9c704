//! `deploy`.

use super::answer::Answer;
use super::args::DeployArgs;
use super::table::Table;
use crate::backend::{Backend, DeployStep, Servers};
use crate::error::{Error, Result};
use serde_json::{Value, json};

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
    let steps = steps(args, backend.as_mut())?;
    let source_id = backend.source_id()?;
    let mut table = Table::new(&["Name", "Outcome", "NeedsAttention"]);
    for step in &steps {
        table.push([step.name.clone().into(), step.outcome.clone().into(), step.needs_attention.into()]);
    }
    let text = format!("{}\n{}source id {source_id}\n", backend.describe(), table.text());
    let servers = backend.servers()?;
    let text = format!("{text}server {}\n", servers.here);
    let json = json!({"instance": backend.describe(), "source_id": source_id, "server": server_object(&servers), "steps": table.json()});
    Ok(Answer::done(text, json))
}

/// A move is said before anything else, because a deployment is refused on a server that is not known.
fn steps(args: &DeployArgs, backend: &mut dyn Backend) -> Result<Vec<DeployStep>> {
    let mut steps = Vec::new();
    if args.moved {
        backend.add_server()?;
    }
    if args.copied {
        // A job database of a version that knew nothing of servers is brought up to this one first.
        if backend.servers()?.known.is_empty() {
            steps.extend(backend.deploy()?);
        }
        steps.extend(backend.become_own_source()?);
    }
    steps.extend(backend.deploy()?);
    Ok(steps)
}

/// Where the job database stands, for programs.
pub fn server_object(servers: &Servers) -> Value {
    json!({"here": servers.here, "is_known": servers.is_known, "known": servers.known})
}
