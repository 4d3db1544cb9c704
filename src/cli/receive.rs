//! `receive`.

use super::access::{AccessArgs, FreshArgs};
use super::answer::Answer;
use super::bandwidth::BandwidthArgs;
use super::out::clean;
use super::render::bytes;
use super::waiver::PlaceArgs;
use crate::durable::Local;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::ship::{self, ReceiveOptions};
use crate::store::Location;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Every file is checked against the bundle's lists of hashes and its marker while it is fetched. A bundle
that is in FOLDER already is not fetched again. A bundle without its marker is ignored, because it was
not shipped completely.

FOLDER remembers the newest bundle of each chain from each place. If that bundle is no longer at the
place, this is an error (exit code 3), because the place may be withholding bundles. A compacted bundle
that lists it is accepted instead, if --signer or --root-sha256 confirms the compacted bundle, or if the
received bundle is still in FOLDER and the compacted bundle has all of it.

Examples:
  blobdelta receive s3://acme-deltas/weekly --out ./bundles
  blobdelta receive az://deltas/weekly/20261122T180000Z-6f1c2a34-1.bundle --out ./bundles \\
      --signer ./allowed_signers
  blobdelta receive file:///mnt/drop --out ./bundles")]
pub struct ReceiveArgs {
    /// The URL of one bundle, or a URL or folder to which bundles were shipped
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// Write the bundles into this folder, which has to exist
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// End with exit code 0 if there is no bundle at the place yet
    #[arg(long)]
    pub allow_empty: bool,
    /// Also check every file that is in FOLDER already against its hash. Without it, only names, sizes and tag files
    /// of those bundles are checked
    #[arg(long)]
    pub check_all: bool,
    #[command(flatten)]
    pub fresh: FreshArgs,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub bandwidth: BandwidthArgs,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Receives bundles.
///
/// # Errors
/// As [`ship::receive`]; what was received before stays. Usage, if there is no bundle at all, unless that is allowed.
pub fn run(args: &ReceiveArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let source = Location::parse(&args.source)?;
    let options = ReceiveOptions {
        access: args.access.read()?,
        check_all: args.check_all,
        shared_place: args.place.is_shared(),
        not_before: args.fresh.not_before(),
    };
    let received = ship::receive(&source, &args.out, &options, &Local, monitor)?;
    let (mut text, mut objects) = (String::new(), Vec::new());
    for one in &received {
        let place = one.path.display().to_string();
        let stood = if one.stood { ", which was there already" } else { "" };
        let _ = writeln!(text, "bundle {}{stood}  ({})\n  marker {}", clean(&place), bytes(one.bytes), one.root_sha256);
        objects.push(json!({
            "name": one.name, "bundle": place, "root_sha256": one.root_sha256, "stood": one.stood, "bytes": one.bytes,
        }));
    }
    if received.is_empty() && !args.allow_empty {
        return Err(Error::usage("there is no bundle with a marker at this place").file(source.to_string()).hint(
            "check the address; a bundle without a marker was not shipped completely. If the place may be empty, add \
             --allow-empty",
        ));
    }
    if received.is_empty() {
        text += &format!("there is no bundle with a marker at {}\n", clean(&source.to_string()));
    }
    let places = received.iter().map(|one| one.path.display().to_string());
    Ok(Answer::done(text, json!({"bundles": objects})).with_result(places))
}
