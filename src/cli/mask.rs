//! `mask`: bundles of the same shape, in which nothing of the masked columns is left.

use super::access::{AccessArgs, FreshArgs};
use super::answer::Answer;
use super::bundles::{FormArgs, PartArgs, PlainArgs, named};
use super::exit::Exit;
use super::login::secret;
use super::out::{Tone, clean};
use super::render::{bytes, counted};
use super::sign::SignArgs;
use super::table::{TextTable, plain};
use super::text::Text;
use super::waiver::PlaceArgs;
use crate::bundle::{Bundle, Container, Manifest, Newest, warn_of_failed};
use crate::durable::Local;
use crate::error::{Error, Result};
use crate::mask::{self, MaskCheck, MaskOptions, MaskPolicy, MaskProof, MaskSecret, MaskedBundle};
use crate::monitor::{Event, Monitor};
use serde_json::json;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

const SECRET: &str = "BLOBDELTA_MASK_KEY";
/// No policy and no secret is larger.
const MAX_BYTES: u64 = 4 << 20;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
The policy says of each column how it is masked; a column that it does not name is refused, with the
lines to add. --init prints a first policy for a bundle; look at each of its lines. docs/masking.md has
all masks, and what masked bundles still give away.

The masks follow from a secret of at least 64 hexadecimal digits (openssl rand -hex 32), in
BLOBDELTA_MASK_KEY or the file of --mask-key-file. The same secret and policy mask the same value in the
same way each week, so the masked bundles of a source make a chain. Mask them in their order, all into one
folder. Masking the same bundle again gives the same bytes.

--check holds a masked bundle against its original, if you may have both: keys, tree and NULLs fit, kept
values are equal, masked values differ, and no 16 bytes of a masked value are anywhere in the masked
bundle. Where keys or paths are masked, it needs the secret. Exit code 3 means that something was found.

Examples:
  blobdelta mask --init ./bundles/20261122T180000Z-6f1c2a34-1.bundle > policy.toml
  blobdelta mask ./bundles/*.bundle --policy ./policy.toml --mask-key-file ./mask.key --out ./masked
  blobdelta mask --check ./masked/20261122T180000Z-0b61f3a9-1.bundle \\
      --against ./bundles/20261122T180000Z-6f1c2a34-1.bundle")]
pub struct MaskArgs {
    /// Folders or archives of bundles, or a folder that holds bundles
    #[arg(value_name = "BUNDLE", required_unless_present = "check")]
    pub bundles: Vec<PathBuf>,
    /// The policy: a TOML file with a rule for each column
    #[arg(long, value_name = "FILE", required_unless_present_any = ["init", "check"])]
    pub policy: Option<PathBuf>,
    /// Publish the masked bundles in this folder, which has to exist
    #[arg(long, value_name = "FOLDER", required_unless_present_any = ["init", "check"])]
    pub out: Option<PathBuf>,
    /// Read the secret from this file instead of BLOBDELTA_MASK_KEY. Nobody else may be able to read the file
    #[arg(long, value_name = "FILE")]
    pub mask_key_file: Option<PathBuf>,
    /// Print a first policy for a bundle: a cautious proposal for each column, and why
    #[arg(long, conflicts_with_all = ["policy", "out", "mask_key_file"])]
    pub init: bool,
    /// Hold this masked bundle against its original
    #[arg(long, value_name = "BUNDLE", requires = "against",
          conflicts_with_all = ["bundles", "policy", "out", "init"])]
    pub check: Option<PathBuf>,
    /// The original of the bundle of --check
    #[arg(long, value_name = "BUNDLE", requires = "check")]
    pub against: Option<PathBuf>,
    #[command(flatten)]
    pub form: FormArgs,
    #[command(flatten)]
    pub plain: PlainArgs,
    #[command(flatten)]
    pub parts: PartArgs,
    #[command(flatten)]
    pub sign: SignArgs,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub fresh: FreshArgs,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Publishes masked bundles, or prints a first policy.
///
/// # Errors
/// As [`mask::mask`]; Usage, for a policy or secret that cannot be had.
pub fn run(args: &MaskArgs, monitor: &dyn Monitor) -> Result<Answer> {
    let access = args.access.read_fresh(&args.fresh)?;
    let open = |path: &PathBuf| Bundle::open_in(Container::open(path, &access)?);
    if let (Some(masked), Some(original)) = (&args.check, &args.against) {
        let secret = known_secret(args.mask_key_file.as_deref())?;
        let memory = args.parts.memory.memory();
        let proof = mask::check((&open(masked)?, &open(original)?), secret.as_ref(), memory, monitor)?;
        return Ok(proof_answer(&proof));
    }
    let bundles = named(&args.bundles, monitor)?.iter().map(open).collect::<Result<Vec<_>>>()?;
    let bundles = originals(bundles, monitor);
    let (Some(policy), Some(out)) = (&args.policy, &args.out) else { return first_policy(&bundles) };
    bundles.iter().for_each(|bundle| warn_of_failed(bundle.path(), bundle.manifest(), monitor));
    Newest::of(bundles.iter().map(Bundle::manifest)).check(access.not_before)?;
    let policy = MaskPolicy::parse(&read(policy, "the policy")?).map_err(|error| error.file(policy))?;
    let key = mask_secret(args.mask_key_file.as_deref())?;
    let options = MaskOptions {
        form: args.form.form()?,
        allows_plain: args.plain.allow_plain,
        signer: args.sign.signer()?,
        ..MaskOptions::of(args.parts.memory.memory(), args.parts.options())
    };
    let coming: Vec<Manifest> = bundles.iter().map(|bundle| key.source_of(bundle.manifest())).collect();
    args.place.check(coming.iter(), out, monitor)?;
    let masked = mask::mask(bundles, (&policy, &key), &Local, out, &options, monitor)?;
    Ok(answer(&masked))
}

fn answer(masked: &[MaskedBundle]) -> Answer {
    let mut text = String::new();
    for one in masked {
        let (place, root) = (one.published.path().display().to_string(), one.published.root_sha256());
        let (rows, size) = (counted(one.rows, "row", "rows"), bytes(one.published.payload_bytes()));
        let _ = writeln!(text, "bundle {}  ({rows}, {size} of payload)\n  root sha256 {root}", clean(&place));
        if one.untyped > 0 {
            let files = counted(one.untyped, "file has", "files have");
            let _ = writeln!(text, "  {files} a type without placeholder, and became what the policy says of those");
        }
    }
    let json = |one: &MaskedBundle| {
        json!({
            "bundle": one.published.path().display().to_string(),
            "root_sha256": one.published.root_sha256(),
            "adopted": one.published.adopted(),
            "rows": one.rows,
            "without_placeholder": one.untyped,
        })
    };
    let places = masked.iter().map(|one| one.published.path().display().to_string());
    Answer::done(text, json!({"bundles": masked.iter().map(json).collect::<Vec<_>>()})).with_result(places)
}

/// The bundles that are not masked yet, if there are any; of the others it is told that they are left alone.
fn originals(bundles: Vec<Bundle>, monitor: &dyn Monitor) -> Vec<Bundle> {
    let (masked, originals): (Vec<_>, Vec<_>) =
        bundles.into_iter().partition(|bundle| bundle.manifest().masked.is_some());
    if originals.is_empty() {
        return masked;
    }
    for bundle in &masked {
        let text = format!("{} is masked already, and is left as it is", bundle.path().display());
        monitor.event(Event::Note(&text));
    }
    originals
}

/// A table of what was checked, and what was found.
fn proof_answer(proof: &MaskProof) -> Answer {
    let mut table = TextTable::new([plain("Check"), plain("Checked"), plain("Wrong")]);
    for (check, (checked, wrong)) in MaskCheck::ALL.into_iter().zip(proof.counts) {
        table.push([check.text().into(), checked.into(), wrong.into()]);
    }
    let mut text = Text::new();
    text.table(&table);
    let mut listed = Text::new();
    for finding in &proof.findings {
        let column = finding.column.as_ref().map(|column| format!(", column {column}")).unwrap_or_default();
        let key = finding.key.as_ref().map(|key| format!(", key {key}")).unwrap_or_default();
        let line = format!("{}{column}{key}: {}", finding.table, finding.detail);
        listed.add(Tone::Bad, &format!("{}\n", clean(&line)));
    }
    text.append(listed.clone());
    let json = json!({
        "good": proof.is_good(),
        "checks": MaskCheck::ALL.into_iter().zip(proof.counts).map(|(check, (checked, wrong))| {
            json!({"check": check.text(), "checked": checked, "wrong": wrong})
        }).collect::<Vec<_>>(),
        "findings": proof.findings.iter().map(|finding| json!({
            "check": finding.check.text(),
            "table": finding.table.to_string(),
            "column": finding.column,
            "key": finding.key,
            "detail": finding.detail,
        })).collect::<Vec<_>>(),
    });
    let exit = if proof.is_good() { Exit::Done } else { Exit::Verification };
    Answer { result: listed, ..Answer::done(text, json) }.ending(exit)
}

/// A policy is for the tables of one bundle: the newest has all columns.
fn first_policy(bundles: &[Bundle]) -> Result<Answer> {
    let newest = bundles.iter().map(Bundle::manifest).max_by_key(|manifest| manifest.run.started_at);
    let newest = newest.ok_or_else(|| Error::usage("there is no bundle to make a policy for"))?;
    let text = mask::init(newest);
    let json = json!({ "policy": text });
    Ok(Answer::shown(text, json))
}

fn mask_secret(file: Option<&Path>) -> Result<MaskSecret> {
    known_secret(file)?.ok_or_else(|| {
        Error::usage("there is no masking secret").hint(format!(
            "make one with `openssl rand -hex 32`, and set {SECRET} or name its file with --mask-key-file"
        ))
    })
}

/// The secret, if one is given.
fn known_secret(file: Option<&Path>) -> Result<Option<MaskSecret>> {
    match file {
        Some(file) => {
            check_private(file)?;
            MaskSecret::parse(&read(file, "the masking secret")?).map(Some).map_err(|error| error.file(file))
        }
        None => secret(SECRET)?.map(|text| MaskSecret::parse(&text)).transpose().map_err(|error| error.file(SECRET)),
    }
}

/// That nobody else can read a file.
fn check_private(file: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().map_err(|error| Error::io("read", file, error))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::usage("others can read the file of the masking secret")
                .file(file)
                .hint(format!("take that from them: chmod 600 {}", file.display())));
        }
    }
    Ok(())
}

fn read(path: &Path, what: &str) -> Result<String> {
    let failed = |error| Error::io("read", path, error);
    let mut text = String::new();
    let read = File::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_string(&mut text);
    match read {
        Ok(read) if read as u64 > MAX_BYTES => Err(Error::usage(format!("{what} is over 4 MiB long")).file(path)),
        Ok(_) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(Error::usage(format!("{what} is not UTF-8")).file(path))
        }
        Err(error) => Err(failed(error)),
    }
}
