//! `--ship` of `run` and `pack`: what is owed to destinations, shipped when the work is done.

use super::answer::Answer;
use super::json::error_object;
use super::render::{clean, error_text};
use crate::backend::{Backend, OwedBundle};
use crate::bundle::Bundle;
use crate::durable::Local;
use crate::engine::{self, Shipment};
use crate::error::{Error, Kind, Result};
use crate::monitor::Monitor;
use crate::ship::{self, ShipOptions};
use crate::store::Location;
use serde_json::{Value, json};
use std::fmt::Write as _;

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

/// What became of everything that was owed.
#[derive(Debug)]
pub struct Shipping {
    shipments: Vec<Shipment>,
    /// Why the list of what is owed could not be read.
    error: Option<Error>,
}

/// Ships everything that is owed. Whatever fails here is told and stays owed; it is no failure of the
/// run before it, whose slices and bundles stand.
pub fn ship_owed(backend: &mut dyn Backend, monitor: &dyn Monitor) -> Shipping {
    match engine::ship_owed(backend, &mut |bundle| deliver(bundle, monitor), monitor) {
        Ok(shipments) => Shipping { shipments, error: None },
        Err(error) => Shipping { shipments: Vec::new(), error: Some(error) },
    }
}

fn deliver(owed: &OwedBundle, monitor: &dyn Monitor) -> Result<()> {
    let path = owed.path();
    // An encrypted archive can be opened by its receivers alone; its name and file are what there is.
    if !owed.name.ends_with(".age") && Bundle::open(&path)?.root_sha256() != owed.root_sha256 {
        return Err(Error::new(Kind::Verification, "the bundle is not the one that was recorded; it was not shipped")
            .run(owed.run_id)
            .file(&path)
            .hint("put back the one with the root digest that `status --run` shows"));
    }
    ship::ship(&path, &Location::parse(&owed.ship_to)?, &ShipOptions::default(), &Local, monitor).map(drop)
}

impl Shipping {
    fn text(&self) -> String {
        let mut text = String::new();
        for shipment in &self.shipments {
            let (name, to) = (clean(&shipment.bundle.name), clean(&shipment.bundle.ship_to));
            let _ = match &shipment.error {
                None => writeln!(text, "shipped {name} to {to}"),
                Some(error) => writeln!(text, "NOT SHIPPED {name} to {to}\n{}", why(error).trim_end()),
            };
        }
        if let Some(error) = &self.error {
            let _ = writeln!(text, "NOT SHIPPED: what is to be shipped could not be read\n{}", why(error).trim_end());
        }
        if self.is_owing() {
            text += "what was not shipped is kept: the next `run --ship` tries it again\n";
        }
        text
    }

    fn is_owing(&self) -> bool {
        self.error.is_some() || self.shipments.iter().any(|shipment| shipment.error.is_some())
    }

    /// Adds what is to be told to a command's answer.
    pub fn tell(&self, answer: &mut Answer) {
        answer.text += &self.text();
        answer.json["shipments"] = self.json();
        answer.json["shipping_error"] = self.error.as_ref().map(error_object).into();
    }

    fn json(&self) -> Value {
        let object = |shipment: &Shipment| {
            json!({
                "bundle": shipment.bundle.name,
                "run": shipment.bundle.run_id,
                "root_sha256": shipment.bundle.root_sha256,
                "ship_to": shipment.bundle.ship_to,
                "shipped": shipment.error.is_none(),
                "error": shipment.error.as_ref().map(error_object),
            })
        };
        self.shipments.iter().map(object).collect()
    }
}

/// The error, further in than what it is about.
fn why(error: &Error) -> String {
    error_text(error).lines().map(|line| format!("  {line}\n")).collect()
}
