//! `--ship` of `run` and `pack`: what is still to be shipped to destinations, shipped when the work is done.

use super::again::connected;
use super::answer::Answer;
use super::exit::Exit;
use super::json::error_object;
use super::out::{Tone, clean};
use super::render::error_text;
use super::text::Text;
use crate::backend::{Backend, PendingShipment};
use crate::bundle::Bundle;
use crate::durable::Local;
use crate::engine::{self, ShipmentOutcome};
use crate::error::{Error, Kind, Result};
use crate::model::destination::{ship_command, waive_command};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Selection;
use crate::monitor::{Event, Monitor};
use crate::ship::{self, ShipOptions};
use crate::store::Location;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// Where bundles are shipped.
#[derive(clap::Args, Debug)]
pub struct ShippingArgs {
    /// Ship the bundle to this destination when it is recorded, and before it what earlier runs could
    /// not ship: s3://BUCKET/PREFIX, az://CONTAINER/PREFIX, gs://BUCKET/PREFIX, file:///FOLDER or a
    /// folder. Keys come from the cloud's usual environment, as for `ship`
    #[arg(long = "ship", value_name = "DESTINATION", requires = "out")]
    ship_to: Option<String>,
}

impl ShippingArgs {
    /// The destination as it was typed.
    pub fn given(&self) -> Option<&str> {
        self.ship_to.as_deref()
    }

    /// The destination as it is recorded. A folder is recorded from the root on, because the next run
    /// may be called from elsewhere.
    ///
    /// # Errors
    /// Usage: no destination, or one with a secret in it.
    pub fn destination(&self) -> Result<Option<String>> {
        let Some(text) = &self.ship_to else { return Ok(None) };
        let location = Location::parse(text)?;
        let Some(folder) = location.folder() else { return Ok(Some(location.to_string())) };
        let absolute = std::path::absolute(folder).map_err(|error| Error::io("find", folder, error))?;
        match absolute.to_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(Error::usage("a destination that is recorded has to be text").file(folder)),
        }
    }
}

/// What became of what was unshipped.
#[derive(Debug)]
pub struct Shipping {
    /// What was tried; `None` where the network was not asked for.
    shipments: Option<Vec<ShipmentOutcome>>,
    /// What stays unshipped and was not tried.
    left: Vec<PendingShipment>,
    /// Why the list of what is unshipped could not be read.
    error: Option<Error>,
}

/// Ships everything that is unshipped by runs of this selection. Whatever fails here is reported and stays unshipped;
/// the slices and bundles of the run before it stand.
pub fn ship_pending(backend: &mut dyn Backend, selection: &Selection, monitor: &dyn Monitor) -> Shipping {
    match engine::unshipped(backend, selection) {
        Ok(unshipped) => {
            let mut forks = forks(backend, &unshipped.own, monitor);
            let mut deliver = |bundle: &PendingShipment| match forks.remove(&(bundle.run_id, bundle.pack_number)) {
                Some(fork) => Err(fork),
                None => deliver(bundle, monitor),
            };
            let shipments = engine::ship_pending(backend, unshipped.own, &mut deliver, monitor);
            Shipping { shipments: Some(shipments), left: unshipped.of_others, error: None }
        }
        Err(error) => Shipping { shipments: Some(Vec::new()), left: Vec::new(), error: Some(error) },
    }
}

/// Rules 18 and 28: those whose destinations are others', and those that would be a second successor there. A destination that cannot be looked
/// at is told by shipping there.
fn forks(
    backend: &mut dyn Backend,
    unshipped: &[PendingShipment],
    monitor: &dyn Monitor,
) -> BTreeMap<(Guid, u32), Error> {
    let mut forks = BTreeMap::new();
    for bundle in unshipped {
        let Ok(records) = backend.bundles(bundle.run_id) else { continue };
        let own: Vec<_> = records.into_iter().filter(|record| record.pack_number == bundle.pack_number).collect();
        let Some(scope) = own.first().map(|record| record.scope) else { continue };
        let tables: Vec<TableName> = own.into_iter().map(|record| record.table).collect();
        let place = Path::new(&bundle.ship_to);
        let others = engine::find_others(backend, scope, place, Some(bundle.run_id), monitor).ok().flatten();
        let why = others.or_else(|| engine::find_fork(backend, &tables, scope, place, monitor).ok().flatten());
        forks.extend(why.map(|why| ((bundle.run_id, bundle.pack_number), why)));
    }
    forks
}

/// Rule 28, before a run begins: that what it makes may be added at its destination. One that cannot be looked at
/// now is reported, and looked at again before anything is shipped there.
///
/// # Errors
/// Config, with the command that mends it; Usage, for a place that is others' (rule 18).
pub fn check_destination(
    backend: &mut dyn Backend,
    selection: &Selection,
    destination: &str,
    is_shared: bool,
    monitor: &dyn Monitor,
) -> Result<()> {
    check_others(backend, selection, destination, is_shared, monitor)?;
    match engine::find_fork_of(backend, selection, Path::new(destination), monitor) {
        Ok(fork) => fork.map_or(Ok(()), Err),
        Err(error) => passed_by(error, destination, monitor),
    }
}

/// Rule 18, before anything is to go to a destination: that it is not others'.
///
/// # Errors
/// Usage, with what to type.
pub fn check_others(
    backend: &mut dyn Backend,
    selection: &Selection,
    destination: &str,
    is_shared: bool,
    monitor: &dyn Monitor,
) -> Result<()> {
    let place = Path::new(destination);
    match engine::find_others(backend, selection.scope, place, None, monitor) {
        Ok(others) => engine::refuse_or_share(backend, others, selection.scope, place, is_shared),
        Err(error) => passed_by(error, destination, monitor),
    }
}

fn passed_by(error: Error, destination: &str, monitor: &dyn Monitor) -> Result<()> {
    if error.kind() == Kind::Cancelled {
        return Err(error);
    }
    monitor.event(Event::Warning(&format!("{destination} cannot be looked at before the run: {error}")));
    Ok(())
}

/// What is unshipped, where nothing is to be shipped now.
pub fn look(backend: &mut dyn Backend, selection: &Selection) -> Shipping {
    match engine::unshipped(backend, selection) {
        Ok(unshipped) => {
            let left = unshipped.own.into_iter().chain(unshipped.of_others).collect();
            Shipping { shipments: None, left, error: None }
        }
        Err(error) => Shipping { shipments: None, left: Vec::new(), error: Some(error) },
    }
}

/// The command that ships a bundle that is unshipped.
pub fn command(unshipped: &PendingShipment) -> String {
    connected(&ship_command(unshipped.run_id, &unshipped.folder, &unshipped.ship_to))
}

fn deliver(unshipped: &PendingShipment, monitor: &dyn Monitor) -> Result<()> {
    let path = unshipped.path();
    // An encrypted archive can be opened by its receivers alone; its name and file are what there is.
    if !unshipped.name.ends_with(".age") && Bundle::open(&path)?.root_sha256() != unshipped.root_sha256 {
        return Err(Error::new(Kind::Verification, "the bundle is not the one that was recorded; it was not shipped")
            .run(unshipped.run_id)
            .file(&path)
            .hint("put back the one with the root digest that `status --run` shows"));
    }
    ship::ship(&path, &Location::parse(&unshipped.ship_to)?, &ShipOptions::default(), &Local, monitor).map(drop)
}

impl Shipping {
    fn text(&self) -> Text {
        let mut text = Text::new();
        for shipment in self.shipments.iter().flatten().filter(|shipment| shipment.error.is_none()) {
            let (name, to) = (clean(&shipment.bundle.name), clean(&shipment.bundle.ship_to));
            let _ = writeln!(text, "shipped {name} to {to}");
        }
        text.append(self.failures());
        for unshipped in &self.left {
            let (name, to) = (clean(&unshipped.name), clean(&unshipped.ship_to));
            let _ = writeln!(
                text,
                "pending shipment, not tried by this call: {name} to {to}\n  ship it with: {}\n  or take it back with: {}",
                command(unshipped),
                connected(&waive_command(unshipped.run_id))
            );
        }
        text
    }

    /// What was not shipped, and what to do.
    fn failures(&self) -> Text {
        let mut text = Text::new();
        for shipment in self.shipments.iter().flatten() {
            let Some(error) = &shipment.error else { continue };
            text.add(Tone::Bad, "NOT SHIPPED");
            let _ = writeln!(text, " {} to {}", clean(&shipment.bundle.name), clean(&shipment.bundle.ship_to));
            text.append(error_text(error).indented(2));
        }
        if let Some(error) = &self.error {
            text.add(Tone::Bad, "NOT SHIPPED");
            text += ": what is to be shipped could not be read\n";
            text.append(error_text(error).indented(2));
        }
        if self.has_failed() {
            text += "what was not shipped is kept: the next `run --ship` of the same tables and units tries it again\n";
            for run in self.failed_runs() {
                let _ = writeln!(
                    text,
                    "  or, if nobody is to have it, take it back with: {}",
                    connected(&waive_command(run))
                );
            }
        }
        text
    }

    fn failed_runs(&self) -> BTreeSet<Guid> {
        let failed = self.shipments.iter().flatten().filter(|shipment| shipment.error.is_some());
        failed.map(|shipment| shipment.bundle.run_id).collect()
    }

    fn has_failed(&self) -> bool {
        let mut shipments = self.shipments.iter().flatten();
        self.shipments.is_some() && (self.error.is_some() || shipments.any(|shipment| shipment.error.is_some()))
    }

    /// Adds what is to be told to a command's answer. What else went wrong has its exit code first.
    pub fn add_to(&self, answer: &mut Answer) {
        answer.text.append(self.text());
        answer.result.append(self.failures());
        if self.has_failed() && answer.exit == Exit::Done {
            answer.exit = Exit::NotShipped;
        }
        answer.json["shipments"] = self.json();
        answer.json["unshipped"] = self.left.iter().map(unshipped_object).collect();
        answer.json["shipping_error"] = self.error.as_ref().map(error_object).into();
    }

    fn json(&self) -> Value {
        let object = |shipment: &ShipmentOutcome| {
            json!({
                "bundle": shipment.bundle.name,
                "run": shipment.bundle.run_id,
                "root_sha256": shipment.bundle.root_sha256,
                "ship_to": shipment.bundle.ship_to,
                "shipped": shipment.error.is_none(),
                "error": shipment.error.as_ref().map(error_object),
            })
        };
        self.shipments.as_ref().map_or(Value::Null, |shipments| shipments.iter().map(object).collect())
    }
}

fn unshipped_object(unshipped: &PendingShipment) -> Value {
    json!({
        "bundle": unshipped.name,
        "run": unshipped.run_id,
        "root_sha256": unshipped.root_sha256,
        "ship_to": unshipped.ship_to,
        "command": command(unshipped),
        "waive_command": connected(&waive_command(unshipped.run_id)),
    })
}
