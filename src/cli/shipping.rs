//! `--ship` of `run` and `pack`: where to, and what is said of it.

use super::again::connected;
use super::answer::Answer;
use super::bandwidth::BandwidthArgs;
use super::exit::Exit;
use super::json::error_object;
use super::out::{Tone, clean};
use super::render::error_text;
use super::text::Text;
use crate::backend::PendingShipment;
use crate::error::{Error, Result};
use crate::model::destination::{ship_command, waive_command};
use crate::model::id::Guid;
use crate::shipping::{ShipmentOutcome, Shipping};
use crate::store::Location;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Where bundles are shipped.
#[derive(clap::Args, Clone, Debug)]
pub struct ShippingArgs {
    /// Also ship the bundle to this destination, after pending shipments of earlier runs: s3://BUCKET/PREFIX,
    /// az://CONTAINER/PREFIX, gs://BUCKET/PREFIX, file:///FOLDER or a folder. Access keys are read from the
    /// environment, as by `ship`
    #[arg(long = "ship", value_name = "DESTINATION", requires = "out")]
    ship_to: Option<String>,
    /// How fast.
    #[command(flatten)]
    pub bandwidth: BandwidthArgs,
}

impl ShippingArgs {
    /// The destination as it was typed.
    pub fn given(&self) -> Option<&str> {
        self.ship_to.as_deref()
    }

    /// Another destination.
    pub fn to(destination: Option<String>) -> Self {
        Self { ship_to: destination, bandwidth: BandwidthArgs::default() }
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

/// The command that ships a bundle that is unshipped.
pub fn command(unshipped: &PendingShipment) -> String {
    connected(&ship_command(unshipped.run_id, &unshipped.folder, &unshipped.ship_to))
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
                "pending shipment, not tried by this command: {name} to {to}\n  ship it with: {}\n  or cancel it with: {}",
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
            text += ": the pending shipments could not be read\n";
            text.append(error_text(error).indented(2));
        }
        if self.has_failed() {
            text += "the shipment is still pending: the next `run --ship` of the same tables and units tries again\n";
            for (run, folder) in self.failed_runs() {
                let _ = writeln!(
                    text,
                    "  or, if the destination is wrong, ship it elsewhere with: {}",
                    connected(&ship_command(run, folder, "DESTINATION"))
                );
                let _ = writeln!(
                    text,
                    "  or, if nobody should get the bundle, cancel the shipment with: {}",
                    connected(&waive_command(run))
                );
            }
        }
        text
    }

    /// Those of which a bundle was not shipped, with where it was published.
    fn failed_runs(&self) -> BTreeMap<Guid, &str> {
        let failed = self.shipments.iter().flatten().filter(|shipment| shipment.error.is_some());
        failed.map(|shipment| (shipment.bundle.run_id, shipment.bundle.folder.as_str())).collect()
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
