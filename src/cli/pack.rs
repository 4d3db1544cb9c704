//! `pack`.

use super::again::connected;
use super::answer::Answer;
use super::bundles::PackingArgs;
use super::exit::Exit;
use super::instance::Instance;
use super::json::error_object;
use super::out::{Tone, clean};
use super::render::{error_text, exit_of};
use super::shipping::ShippingArgs;
use super::text::Text;
use super::waiver::WaiverArgs;
use crate::backend::Backend;
use crate::durable::Local;
use crate::engine::{self, GivenUp, PackOptions, PackReport, PackRequest};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::monitor::Monitor;
use crate::shipping;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const SECONDS_PER_MINUTE: u32 = 60;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
If the run was started with a signing key or recipients, name them again, or leave them out with
--unsigned or --unencrypted.

With --ship, if the run was packed already, its bundles are shipped from the folder in which they were
published. This destination replaces the one recorded before. --waive-shipment cancels the pending
shipments of the run.

--give-up is for slices of the run that are in no bundle. They will never be packed: their watermarks go
back to where they were before the run, and the next run of the same units copies all their rows
again. It is also for a run that started while the server's clock was ahead, because all other runs are
refused until that time has come. Such a run is given up even if it is in a bundle; remove that bundle.

Examples:
  blobdelta pack --connection sqlite:./instance --run 6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061 \\
      --out ./bundles
  blobdelta pack --connection sqlite:./instance --run 6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061 \\
      --give-up --table Files.dbo.Attachment")]
pub struct PackArgs {
    #[command(flatten)]
    pub instance: Instance,
    /// The run to pack
    #[arg(long, value_name = "RUNID", value_parser = Guid::parse)]
    pub run: Guid,
    /// Publish the bundle in this folder, which has to exist
    #[arg(long, value_name = "FOLDER", required_unless_present_any = ["give_up", "waive_shipment"])]
    pub out: Option<PathBuf>,
    /// Cancel the pending shipments of the run and ship nothing: for a destination that does not exist any more, or for
    /// receivers who should not get the bundle
    #[arg(long, conflicts_with_all = ["out", "give_up", "archive", "sign_key", "ship_to"])]
    pub waive_shipment: bool,
    /// Give the slices up instead of packing them; the next run copies their rows again
    #[arg(long, conflicts_with_all = ["out", "archive", "sign_key", "ship_to"])]
    pub give_up: bool,
    /// Give up only the slice of this table
    #[arg(long, value_name = "NAME", value_parser = TableName::parse, requires = "give_up", conflicts_with = "out")]
    pub table: Option<TableName>,
    /// Take over the leases that this dead run still holds; it can be the run to pack or another one
    #[arg(long, value_name = "RUNID", value_parser = Guid::parse)]
    pub take_over: Option<Guid>,
    #[command(flatten)]
    pub packing: PackingArgs,
    #[command(flatten)]
    pub waiver: WaiverArgs,
    #[command(flatten)]
    pub shipping: ShippingArgs,
    /// Minutes after which a lease expires if this program dies
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub lease_minutes: u32,
}

/// Publishes the bundle of a finished run, and ships it if asked to; or gives up what it left.
///
/// # Errors
/// As [`engine::pack`] and [`engine::give_up`].
pub fn run(args: &PackArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let ship_to = args.shipping.destination()?;
    let options = PackOptions { ship_to, waive: args.waiver.waiver(), ..args.packing.options()? };
    let mut backend = args.instance.open_over(args.packing.connections, false)?;
    args.take_over.map_or(Ok(()), |dead| backend.take_over(dead))?;
    if args.waive_shipment {
        return waive(args, backend.as_mut());
    }
    match &args.out {
        Some(out) if !args.give_up => pack(args, out, &options, backend.as_mut(), monitor),
        _ => give_up(args, backend.as_mut()),
    }
}

fn pack(
    args: &PackArgs,
    out: &Path,
    options: &PackOptions,
    backend: &mut dyn Backend,
    monitor: &dyn Monitor,
) -> Result<Answer> {
    let seconds = args.lease_minutes * SECONDS_PER_MINUTE;
    let selection = backend.run(args.run)?.selection();
    if let Some(destination) = &options.ship_to {
        shipping::check_others(backend, &selection, destination, options.waive.place, monitor)?;
    }
    let unshipped = match &options.ship_to {
        Some(destination) => shipping::set_destination(backend, args.run, destination)?,
        None => Vec::new(),
    };
    let report = match unshipped.is_empty() {
        true => {
            let request = PackRequest { run_id: args.run, out, options, lease_seconds: seconds };
            engine::pack(backend, &request, &Local, monitor)?
        }
        false => PackReport { bundles: unshipped, failed: Vec::new() },
    };
    let mut answer = answer_of(args, &report);
    if options.ship_to.is_some() {
        shipping::ship_pending(backend, &selection, monitor).add_to(&mut answer);
    } else {
        shipping::look(backend, &selection).add_to(&mut answer);
    }
    Ok(answer)
}

fn answer_of(args: &PackArgs, report: &PackReport) -> Answer {
    let paths: Vec<String> = report.bundles.iter().map(|path| path.display().to_string()).collect();
    let (mut text, mut failures) = (Text::new(), Text::new());
    for path in &paths {
        text += &format!("bundle {}\n", clean(path));
    }
    for (table, error) in &report.failed {
        failures.add(Tone::Bad, "NOT PACKED");
        failures += &format!(" {table}\n");
        failures.append(error_text(error));
    }
    text.append(failures.clone());
    if text.is_empty() {
        text += &format!("run {} left nothing to pack\n", args.run);
    }
    let failed: Vec<Value> =
        report.failed.iter().map(|(table, error)| json!({"table": table, "error": error_object(error)})).collect();
    let json = json!({"run": args.run, "bundles": &paths, "failed": failed});
    let mut answer = Answer::done(text, json).with_result(paths).ending(exit_of_report(report));
    answer.result.append(failures);
    answer
}

/// As for a run: 6 if some tables could not be packed; if none could, what they failed of.
fn exit_of_report(report: &PackReport) -> Exit {
    let codes: Vec<Exit> = report.failed.iter().map(|(_, error): &(_, Error)| exit_of(error)).collect();
    match codes.first() {
        None => Exit::Done,
        Some(_) if !report.bundles.is_empty() => Exit::SomeFailed,
        Some(first) if codes.iter().all(|code| code == first) => *first,
        Some(_) => Exit::Failed,
    }
}

fn waive(args: &PackArgs, backend: &mut dyn Backend) -> Result<Answer> {
    let destinations = shipping::waive(backend, args.run)?;
    let text = match destinations.as_slice() {
        [] => format!("run {} has no pending shipment\n", args.run),
        some => {
            format!("canceled the pending shipments of run {} to {}\n", args.run, clean(&some.join(" and ")))
        }
    };
    Ok(Answer::done(text, json!({"run": args.run, "waived": destinations})))
}

fn give_up(args: &PackArgs, backend: &mut dyn Backend) -> Result<Answer> {
    let seconds = args.lease_minutes * SECONDS_PER_MINUTE;
    let tables = engine::give_up(backend, args.run, args.table.as_ref(), seconds)?;
    // A job database that was restored may not know the run.
    let run = backend.run(args.run).ok();
    let (mut text, mut objects) = (String::new(), Vec::new());
    for GivenUp { table, withdrawn, was_emptied } in tables {
        let mut of = format!("--table {}", table.shell_word());
        if let Some(Scope::BusinessUnit(unit)) = run.as_ref().map(|run| run.scope) {
            of += &format!(" --business-unit {unit}");
        }
        let from = run.as_ref().and_then(|run| run.from).map_or(String::new(), |from| format!(" --from {from}"));
        let command = connected(&format!("blobdelta run {of}{from} --out FOLDER"));
        let _ = writeln!(
            text,
            "gave up the slice of {table}: its watermark is back where it was before run {}\n  \
             the next run of the same units copies its rows again, such as: {command}",
            args.run
        );
        for bundle in &withdrawn {
            let (folder, name) = (clean(&bundle.folder), &bundle.name);
            let shipped = bundle.ship_to.as_ref().map_or(String::new(), |to| format!(", and from {}", clean(to)));
            let _ = writeln!(
                text,
                "  its bundle {name} is no longer recorded: remove it from {folder}{shipped}. Receivers refuse it until the time \
                 of its run has come, and should remove it too"
            );
        }
        if was_emptied {
            let _ = writeln!(
                text,
                "  another run has filled the slice since: to find rows that had waited for their blobs and came with this run, call: {}",
                connected(&format!("blobdelta reconcile {of} --bundles FOLDER --pend"))
            );
        }
        let withdrawn: Vec<_> = withdrawn
            .iter()
            .map(|one| json!({"name": one.name, "folder": one.folder, "ship_to": one.ship_to}))
            .collect();
        objects.push(json!({"table": table, "command": command, "withdrawn_bundles": withdrawn}));
    }
    Ok(Answer::done(text, json!({"run": args.run, "given_up": objects})))
}
