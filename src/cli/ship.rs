//! `ship`.

use super::access::AccessArgs;
use super::answer::Answer;
use super::bandwidth::BandwidthArgs;
use super::bundles::named;
use super::out::clean;
use super::render::{bytes, counted};
use super::waiver::PlaceArgs;
use crate::bundle::{Access, Bundle, open_or_skip, warn_of_failed};
use crate::durable::Local;
use crate::error::Result;
use crate::monitor::Monitor;
use crate::ship::{self, ShipOptions, Shipped};
use crate::store::Location;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
A destination is s3://BUCKET/PREFIX, az://CONTAINER/PREFIX, abfss://CONTAINER@ACCOUNT…/PREFIX,
gs://BUCKET/PREFIX, file:///FOLDER or a folder. Access keys are read from the usual variables of the
cloud (AWS_ACCESS_KEY_ID …, AWS_PROFILE, AZURE_STORAGE_ACCOUNT_NAME …, GOOGLE_APPLICATION_CREDENTIALS),
never from the command line.

The parts are sent first, then the tag files, and last a marker, <name>.complete. Readers ignore a
bundle without its marker. A file that is there with the right hash is not sent again, so you can
repeat the command after a failure: it continues where it stopped. If a complete bundle is there
already, its names and sizes are checked (and its hashes, if the store has them), and files that are
missing or wrong are sent again. If another bundle has the same name, that is an error; nothing is
overwritten.

A destination with bundles of one business unit accepts no bundles of other units or of all units,
unless you add --shared-place.

Examples:
  blobdelta ship ./bundles/20261122T180000Z-6f1c2a34-1.bundle s3://acme-deltas/weekly
  blobdelta ship ./bundles az://deltas/weekly
  blobdelta ship ./bundles/*.bundle file:///mnt/drop")]
pub struct ShipArgs {
    /// Folders or archives of bundles, or a folder that holds bundles
    #[arg(value_name = "BUNDLE", required = true, num_args = 1..)]
    pub bundles: Vec<PathBuf>,
    /// Ship the bundles to this URL or folder
    #[arg(value_name = "DESTINATION", required = true)]
    pub destination: String,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub bandwidth: BandwidthArgs,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Ships bundles, one after the other.
///
/// # Errors
/// As [`ship::ship`]; what was shipped before stays.
pub fn run(args: &ShipArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let destination = Location::parse(&args.destination)?;
    let options = ShipOptions { access: args.access.read()? };
    let (mut text, mut objects, mut places) = (String::new(), Vec::new(), Vec::new());
    let bundles = named(&args.bundles, monitor)?;
    check_place(args, &options.access, &bundles, &destination, monitor)?;
    for path in bundles {
        let shipped = ship::ship(&path, &destination, &options, &Local, monitor)?;
        text += &shipped_text(&shipped);
        objects.push(object(&shipped));
        places.push(shipped.place.display().to_string());
    }
    Ok(Answer::done(text, json!({"bundles": objects})).with_result(places))
}

/// Rule 18, before the first of them is sent. What is encrypted cannot be opened here, and is reported.
fn check_place(
    args: &ShipArgs,
    access: &Access,
    bundles: &[PathBuf],
    destination: &Location,
    monitor: &dyn Monitor,
) -> Result<()> {
    let opened = bundles.iter().map(|path| open_or_skip(path, access, monitor)).collect::<Result<Vec<_>>>()?;
    opened.iter().flatten().for_each(|bundle| warn_of_failed(bundle.path(), bundle.manifest(), monitor));
    let place = destination.folder().map_or_else(|| PathBuf::from(destination.to_string()), PathBuf::from);
    args.place.check(opened.iter().flatten().map(Bundle::manifest), &place, monitor)
}

fn shipped_text(shipped: &Shipped) -> String {
    let mut text = format!("shipped {}", clean(&shipped.place.display().to_string()));
    if shipped.stood {
        text += ", which was there already";
    } else if shipped.mended {
        text += ", which was damaged there and is complete again";
    }
    let files = |files| counted(files, "file", "files");
    let _ = writeln!(
        text,
        "  ({} in {} sent, {} in {} there already)\n  marker {}",
        bytes(shipped.bytes_sent),
        files(shipped.files_sent),
        bytes(shipped.bytes_skipped),
        files(shipped.files_skipped),
        shipped.root_sha256
    );
    text
}

/// What was shipped, for programs.
pub fn object(shipped: &Shipped) -> Value {
    json!({
        "name": shipped.name,
        "place": shipped.place.display().to_string(),
        "root_sha256": shipped.root_sha256,
        "stood": shipped.stood,
        "mended": shipped.mended,
        "files_sent": shipped.files_sent,
        "bytes_sent": shipped.bytes_sent,
        "files_skipped": shipped.files_skipped,
        "bytes_skipped": shipped.bytes_skipped,
    })
}
