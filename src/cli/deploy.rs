//! `deploy`.

use super::answer::Answer;
use super::args::DeployArgs;
use super::out::{Tone, clean};
use super::table::{TableCell, TextTable, plain, prose};
use super::text::Text;
use crate::backend::{Backend, DeployStep, Servers};
use crate::engine::{self, Adoption};
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::monitor::Monitor;
use serde_json::{Value, json};
use std::path::Path;

/// Creates or upgrades the job database.
///
/// # Errors
/// Usage, if the folder is not there; as [`crate::backend::Jobs::deploy`].
pub fn run(args: &DeployArgs, monitor: &dyn Monitor) -> Result<Answer> {
    if let (false, Some(folder)) = (args.create, args.instance.missing_folder()?) {
        return Err(Error::usage("this folder does not exist, so there is no instance to deploy to")
            .file(folder)
            .hint("check its name; to make a new embedded instance there, add --create"));
    }
    let mut backend = args.instance.open(true)?;
    let mut steps = steps(args, backend.as_mut())?;
    if let Some(place) = &args.adopt {
        steps.extend(adopted(&engine::adopt(backend.as_mut(), place, &args.access.read()?, monitor)?, place));
    }
    let source_id = backend.source_id()?;
    let mut table = TextTable::new([plain("NeedsAttention"), plain("Name"), prose("Outcome")]);
    for step in &steps {
        let tone = if step.needs_attention { Tone::Care } else { Tone::Plain };
        table.push([
            TableCell::toned(tone, step.needs_attention),
            step.name.clone().into(),
            TableCell::toned(tone, step.outcome.clone()),
        ]);
    }
    let servers = backend.servers()?;
    let mut text = Text::from(format!("{}\n", backend.describe()));
    text.table(&table);
    text += &format!("source id {source_id}\nserver {}\n", servers.here);
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

/// What was taken over, a line a bundle and table.
fn adopted(adoptions: &[Adoption], place: &Path) -> Vec<DeployStep> {
    let step = |name: String, outcome: String| DeployStep { name, outcome, needs_attention: false };
    if adoptions.is_empty() {
        let outcome = "has no bundle of this source that the job database does not know";
        return vec![step(clean(&place.display().to_string()), outcome.to_owned())];
    }
    let of_chain = |one: &Adoption| {
        let (table, scope) = (one.table.to_string(), one.scope);
        let outcome = move |root: &Sha256| format!("the chain of {table}, {scope}, continues after it: {root}");
        let steps = one.bundles.iter().map(|(path, root)| step(clean(&path.display().to_string()), outcome(root)));
        steps.collect::<Vec<_>>()
    };
    adoptions.iter().flat_map(of_chain).collect()
}

/// Where the job database stands, for programs.
pub fn server_object(servers: &Servers) -> Value {
    json!({"here": servers.here, "is_known": servers.is_known, "known": servers.known})
}
