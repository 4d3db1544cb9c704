//! Where the bundles of a business unit go: `{unit}` in paths and URLs, the sections of a profile, and that no two units
//! share a place.

use super::again::{UNIT, UnitOptions};
use super::config::{self, UnitSection};
use super::run_args::RunArgs;
use super::shipping::ShippingArgs;
use crate::durable::{Disk as _, Local};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::store::Location;
use std::path::{Component, Path, PathBuf};

/// The arguments of the run of one unit: what was typed goes before what the unit's section says, and that before what the
/// profile says. `{unit}` is replaced: a GUID has no character that leads elsewhere.
///
/// # Errors
/// Usage: a path that is no text.
pub fn of_unit(args: &RunArgs, unit: Guid, section: &UnitSection) -> Result<RunArgs> {
    let is_free = |setting: &str, is_given: bool| !is_given || config::is_from_profile(setting);
    let mut own = RunArgs { business_unit: Some(unit), each_business_unit: false, ..args.clone() };
    if let Some(out) = section.out.clone().filter(|_| is_free("out", args.out.is_some())) {
        own.out = Some(out.into());
    }
    if let Some(ship) = section.ship.clone().filter(|_| is_free("ship", args.shipping.given().is_some())) {
        own.shipping = ShippingArgs::to(Some(ship));
    }
    let (key, recipients) = args.packing.given();
    if let Some(key) = section.sign_key.clone().filter(|_| is_free("sign_key", key.is_some())) {
        own.packing = own.packing.signed_by(key.into());
    }
    if !section.encrypt_to.is_empty() && is_free("encrypt_to", !recipients.is_empty()) {
        own.packing = own.packing.encrypted_to(section.encrypt_to.clone());
    }
    own.metrics = Default::default();
    own.notify = Default::default();
    named(own)
}

/// What the command says that goes on with the run of a unit; none for a run of all.
pub fn to_go_on(args: &RunArgs) -> Option<UnitOptions> {
    let (key, recipients) = args.packing.given();
    let path = |path: &Path| path.display().to_string();
    let one = [
        args.out.as_deref().map(|out| ("--out", path(out))),
        args.shipping.given().map(|ship| ("--ship", ship.to_owned())),
        key.map(|key| ("--sign-key", path(key))),
    ];
    let options = one.into_iter().flatten();
    let options = options.chain(recipients.iter().map(|recipient| ("--encrypt-to", recipient.clone()))).collect();
    args.business_unit.map(|unit| UnitOptions { unit, options })
}

/// The arguments of a run with the GUID of its unit for `{unit}`.
///
/// # Errors
/// Usage: it is a run of all units; or a path that is no text.
pub fn named(mut args: RunArgs) -> Result<RunArgs> {
    let unit = args.business_unit;
    args.out = args.out.map(|path| replaced_in_path(path, unit, "--out")).transpose()?;
    let ship = args.shipping.given().map(|text| replaced(text, unit, "--ship")).transpose()?;
    args.shipping = ShippingArgs::to(ship);
    if let Some(key) = args.packing.given().0.map(Path::to_owned) {
        args.packing = args.packing.signed_by(replaced_in_path(key, unit, "--sign-key")?);
    }
    Ok(args)
}

fn replaced(text: &str, unit: Option<Guid>, option: &str) -> Result<String> {
    match (text.contains(UNIT), unit) {
        (false, _) => Ok(text.to_owned()),
        (true, Some(unit)) => Ok(text.replace(UNIT, &unit.to_string())),
        (true, None) => Err(Error::usage(format!("{option} has {UNIT}, and this is a run of all business units"))
            .hint("add --each-business-unit or --business-unit GUID, or name another place")),
    }
}

fn replaced_in_path(path: PathBuf, unit: Option<Guid>, option: &str) -> Result<PathBuf> {
    if !path.to_string_lossy().contains(UNIT) {
        return Ok(path);
    }
    let text = path.to_str().ok_or_else(|| Error::usage(format!("{option} has {UNIT}, and is no text")).file(&path))?;
    replaced(text, unit, option).map(PathBuf::from)
}

/// That each unit has a folder, and no unit's folder or destination is that of another, or lies in it: whoever reads the one
/// would read the other.
///
/// # Errors
/// Usage, with both units.
pub fn check_apart(units: &[(Guid, &RunArgs)]) -> Result<()> {
    let mut places: Vec<(String, Guid)> = Vec::new();
    for (unit, args) in units {
        if let Some(out) = &args.out {
            places.push((place_of(out), *unit));
        } else if !args.plan {
            return Err(Error::usage(format!(
                "nothing says in which folder the bundles of business unit {unit} are published"
            ))
            .hint(format!("add --out with {UNIT} in it, or out to the unit's section of the profile")));
        }
        if let Some(ship) = args.shipping.given() {
            let location = Location::parse(ship)?;
            places.push((location.folder().map_or_else(|| folded(&location.to_string()), place_of), *unit));
        }
    }
    // What lies in a place comes right behind it, or behind something else that lies in it.
    places.sort();
    let mut open: Vec<&(String, Guid)> = Vec::new();
    for place in &places {
        while open.last().is_some_and(|above| !place.0.starts_with(&above.0)) {
            open.pop();
        }
        if let Some((_, other)) = open.iter().find(|(_, unit)| *unit != place.1) {
            let what = format!(
                "business units {other} and {} would share a place, or one place lies in the other: {}",
                place.1, place.0
            );
            return Err(Error::usage(format!("{what}; nothing was run"))
                .hint(format!("whoever reads it would read the rows of both: put {UNIT} into --out and --ship, or give each unit a place of its own")));
        }
        open.push(place);
    }
    Ok(())
}

/// A folder by where it really lies, as far as it is there, with a slash at its end.
fn place_of(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let there = absolute.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let (mut real, rest) = match there {
        Some((above, real)) => (real, absolute.strip_prefix(above).unwrap_or(Path::new("")).to_owned()),
        None => (PathBuf::new(), absolute.clone()),
    };
    // What is not there yet is no link, so two dots behind it lead back to where it would be.
    for part in rest.components() {
        match part {
            Component::ParentDir => _ = real.pop(),
            part => real.push(part),
        }
    }
    folded(&real.to_string_lossy())
}

/// Two names that differ in case alone are one on some file systems.
fn folded(place: &str) -> String {
    format!("{}/", place.trim_end_matches(['/', '\\']).to_lowercase())
}

/// The folder of a unit that is not there and is made for it: what was named for all of them ends in `{unit}`, and a new unit
/// needs nobody at the keyboard.
fn new_folder(args: &RunArgs, unit: Guid) -> Option<&Path> {
    let out = args.out.as_deref().filter(|out| !out.exists() && out.ends_with(unit.to_string()))?;
    out.parent().is_none_or(|above| above.as_os_str().is_empty() || above.is_dir()).then_some(out)
}

/// Whether [`make_folder`] would make one.
pub fn makes_folder(args: &RunArgs, unit: Guid) -> bool {
    new_folder(args, unit).is_some()
}

/// Makes the folder of a unit, if it is one that is made.
///
/// # Errors
/// Io.
pub fn make_folder(args: &RunArgs, unit: Guid) -> Result<()> {
    new_folder(args, unit).map_or(Ok(()), |out| Local.create_dir(out))
}
