//! `receive`.

use super::access::{AccessArgs, FreshArgs};
use super::answer::Answer;
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
Every byte is checked on its way, against the bundle's lists and its marker. A bundle that is in
FOLDER already is not fetched again; what has no marker at the source is not there.

FOLDER remembers the newest bundle of each chain that came from a place. Where the place does not show
it any more, that is an error (3): it withholds what it had. A compacted bundle that lists it stands for
it where somebody vouches for that one (--signer, --root-sha256), or where what was received is still in
FOLDER and the compacted bundle holds all of it.

Examples:
  blobdelta receive s3://acme-deltas/weekly --out ./bundles
  blobdelta receive az://deltas/weekly/20261122T180000Z-6f1c2a34-1.bundle --out ./bundles \\
      --signer ./allowed_signers
  blobdelta receive file:///mnt/drop --out ./bundles")]
pub struct ReceiveArgs {
    /// The URL that holds bundles, or of one; or a folder to which they were shipped
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// The folder into which they come
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// A place without any bundle is none to be told of: what is shipped there may still be to come
    #[arg(long)]
    pub allow_empty: bool,
    /// Hash every file of what is in FOLDER already, too; else its names, sizes and tag files are checked
    #[arg(long)]
    pub check_all: bool,
    #[command(flatten)]
    pub fresh: FreshArgs,
    #[command(flatten)]
    pub place: PlaceArgs,
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
        let stood = if one.stood { ", which stood there already" } else { "" };
        let _ = writeln!(text, "bundle {}{stood}  ({})\n  marker {}", clean(&place), bytes(one.bytes), one.root_sha256);
        objects.push(json!({
            "name": one.name, "bundle": place, "root_sha256": one.root_sha256, "stood": one.stood, "bytes": one.bytes,
        }));
    }
    if received.is_empty() && !args.allow_empty {
        return Err(Error::usage("there is no bundle with a marker at this place").file(source.to_string()).hint(
            "check the address; a bundle without a marker was not shipped to its end. --allow-empty is for a place that may still \
             be empty",
        ));
    }
    if received.is_empty() {
        text += &format!("there is no bundle with a marker at {}\n", clean(&source.to_string()));
    }
    let places = received.iter().map(|one| one.path.display().to_string());
    Ok(Answer::done(text, json!({"bundles": objects})).with_result(places))
}
