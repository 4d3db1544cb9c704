//! The command: what goes onto the page, and where the page goes.

use super::page::{BEGINNING, Part, page};
use super::{bundles, instance, verified};
use crate::chain;
use crate::cli::answer::Answer;
use crate::cli::look::Appearance;
use crate::cli::out::{Tone, clean};
use crate::cli::report_args::ReportArgs;
use crate::cli::text::Text;
use crate::durable::{Disk, Local, staging_name, write_file};
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::verify::VerifyLevel;
use serde_json::{Map, Value, json};
use std::io::Read as _;
use std::path::Path;

/// Writes the page.
///
/// # Errors
/// Usage: neither bundles nor an instance, or another file at the place of the page; as [`chain::survey`]; Database; Io.
pub fn run(args: &ReportArgs, monitor: &dyn Monitor) -> Result<Answer> {
    check_replaceable(&args.out)?;
    let look = Appearance::of_stdout(false);
    let (mut parts, mut of) = (Vec::new(), Vec::new());
    let is_connected = args.instance.is_named();
    if args.places.is_empty() && !is_connected {
        return Err(Error::usage("there is nothing to report on")
            .hint("name a folder or URL of bundles, or the instance with --connection, or both"));
    }
    if !args.places.is_empty() {
        let access = args.access.read()?;
        let survey = chain::survey(&args.places, &access, monitor)?;
        parts.push(bundles::part(&survey, &look));
        parts.push(match (args.verify, args.deep) {
            (false, false) => verified::not_asked(),
            (_, is_deep) => {
                let level = if is_deep { VerifyLevel::Deep } else { VerifyLevel::Default };
                verified::part(&survey, level, &access, &look, monitor)?
            }
        });
        if !is_connected {
            parts.push(bundles::runs(&survey, &look));
        }
        of.extend(args.places.iter().map(|place| place.display().to_string()));
    }
    if is_connected {
        let mut backend = args.instance.open(false)?;
        let backend = backend.as_mut();
        backend.check_deployed()?;
        parts.push(instance::runs(backend, &look)?);
        parts.push(instance::pending(backend, &look)?);
        parts.push(instance::retention(backend, &args.keep.into(), &look));
        of.push(backend.describe());
    }
    let now: String = look.now.to_string().chars().take(19).collect();
    let made = format!("Made {now}Z by blobdelta {}, of {}", env!("CARGO_PKG_VERSION"), of.join(", "));
    write(&args.out, page(&made, &parts).as_bytes())?;
    Ok(answer(&args.out, &parts))
}

/// A file that is no report of ours is not replaced.
fn check_replaceable(file: &Path) -> Result<()> {
    let Some((there, _)) = Local.read(file)? else { return Ok(()) };
    let mut beginning = Vec::new();
    let read = there.take(BEGINNING.len() as u64).read_to_end(&mut beginning);
    read.map_err(|error| Error::io("read", file, error))?;
    match beginning == BEGINNING.as_bytes() {
        true => Ok(()),
        false => Err(Error::usage("there is a file already, and it is no report").file(file).hint("name another file")),
    }
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::usage("this is not the name of a file").file(file))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let staging = folder.join(staging_name(name, ".new-"));
    let made = write_file(&Local, &staging, bytes).and_then(|()| Local.replace(&staging, file));
    if made.is_err() {
        _ = Local.remove_file(&staging);
    }
    made.and_then(|()| Local.sync_dir(folder))
}

fn answer(file: &Path, parts: &[Part]) -> Answer {
    let path = file.display().to_string();
    let (mut text, mut found) = (Text::new(), Vec::new());
    for (tone, line) in parts.iter().flat_map(|part| &part.found) {
        text.add(*tone, if *tone == Tone::Bad { "wrong: " } else { "look at: " });
        text += &format!("{}\n", clean(line));
        found.push(json!({"is_wrong": *tone == Tone::Bad, "what": line}));
    }
    if found.is_empty() {
        text.add(Tone::Good, "nothing needs attention\n");
    }
    text += &format!("report {}\n", clean(&path));
    let facts = parts
        .iter()
        .filter(|part| !part.json.is_null())
        .map(|part| (part.title.to_lowercase().replace(' ', "_"), part.json.clone()));
    let facts: Map<String, Value> = facts.collect();
    Answer::done(text, json!({"report": path, "found": found, "facts": facts})).with_result([path])
}
