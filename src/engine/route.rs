//! Rule 18: a bundle goes where its own run was told, sealed as it was told; what a run left goes
//! there too, or where a run of the same tables and scope is told now.

use super::options::PackOptions;
use super::place::check_out;
use crate::bundle::PublishForm;
use crate::error::{Error, Kind, Result};
use crate::model::destination::{BundleForm, Destination, Seal, give_up_command, pack_command, resume_command};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Run, Selection, Status};
use std::path::{Path, PathBuf};

/// Where one bundle goes.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// The folder in which it is published.
    pub(super) out: PathBuf,
    /// Its form.
    pub(super) form: PublishForm,
    /// The destination that it is recorded to be shipped to.
    pub(super) ship_to: Option<String>,
}

impl PackOptions {
    /// Who vouches for what is packed by these, and who may open it.
    pub fn seal(&self) -> Seal {
        Seal {
            signed_by: self.signer.as_ref().map(|signer| signer.fingerprint()),
            encrypted_to: self.form.recipients().into_iter().flat_map(|recipients| recipients.texts()).collect(),
        }
    }

    /// What is recorded of a run that publishes by these in this folder.
    pub(super) fn destination(&self, out: &Path) -> Result<Destination> {
        let absolute = std::path::absolute(out).map_err(|error| Error::io("find", out, error))?;
        let Some(out_folder) = absolute.to_str().map(str::to_owned) else {
            return Err(Error::usage("a folder that is recorded has to be text").file(out));
        };
        let form = match self.form {
            PublishForm::Folder => BundleForm::Folder,
            PublishForm::Archive | PublishForm::Encrypted(_) => BundleForm::Archive,
        };
        Ok(Destination { out_folder, ship_to: self.ship_to.clone(), form, seal: self.seal() })
    }

    /// What is recorded of a run that somebody names, to pack it or to go on with it, by these: what
    /// this call says, and where it says nothing, what the run was told. A signature or recipients that
    /// the run was told are left out by name alone.
    pub(super) fn destination_of(&self, run: &Run, out: &Path) -> Result<Destination> {
        let given = self.destination(out)?;
        let Some(recorded) = &run.destination else { return Ok(given) };
        let lacks = |what: &str, switch: &str| {
            Err(Error::usage(format!(
                "the bundle of this run was to be {}, and this call names no {what}",
                recorded.seal
            ))
            .run(run.id)
            .hint(format!("name it as in: {}; or leave it out by name, with {switch}", to_type(run))))
        };
        if recorded.seal.signed_by.is_some() && given.seal.signed_by.is_none() && !self.waive.signature {
            return lacks("key to sign with", "--unsigned");
        }
        if !recorded.seal.encrypted_to.is_empty() && given.seal.encrypted_to.is_empty() && !self.waive.encryption {
            return lacks("recipient", "--unencrypted");
        }
        Ok(Destination { ship_to: given.ship_to.or_else(|| recorded.ship_to.clone()), ..given })
    }

    /// Where the bundle of a run with this record goes.
    pub(super) fn route(&self, out: &Path, recorded: &Destination) -> Route {
        Route { out: out.to_owned(), form: self.form.clone(), ship_to: recorded.ship_to.clone() }
    }

    /// Where that goes which this run left, in a call of another run.
    ///
    /// # Errors
    /// NotPacked: it goes nowhere by this call.
    pub(super) fn route_of_leftover(&self, left: &Run, own: &Selection, out: &Path) -> Result<Route> {
        let stays = |why: String| Err(Error::new(Kind::NotPacked, why));
        let is_same = left.selection() == *own;
        let Some(recorded) = &left.destination else {
            if is_same {
                return Ok(Route { out: out.to_owned(), form: self.form.clone(), ship_to: self.ship_to.clone() });
            }
            return stays(format!("it took {}, this one takes {own}, and it was told no folder", left.selection()));
        };
        let seal = self.seal();
        if recorded.seal != seal {
            return stays(format!("its bundle was to be {}, and this call's are {seal}", recorded.seal));
        }
        if is_same {
            let ship_to = self.ship_to.clone().or_else(|| recorded.ship_to.clone());
            return Ok(Route { out: out.to_owned(), form: self.form.clone(), ship_to });
        }
        let form = match recorded.form {
            BundleForm::Folder => PublishForm::Folder,
            // The recipients are the same.
            BundleForm::Archive if !seal.encrypted_to.is_empty() => self.form.clone(),
            BundleForm::Archive => PublishForm::Archive,
        };
        let out = PathBuf::from(&recorded.out_folder);
        check_out(&out)?;
        Ok(Route { out, form, ship_to: recorded.ship_to.clone() })
    }
}

/// The command that packs this run, with the key that it asks for.
fn to_type(run: &Run) -> String {
    let command = pack_command(run.id, run.destination.as_ref());
    match run.destination.as_ref().and_then(|recorded| recorded.seal.signed_by.as_ref()) {
        Some(key) => format!("{command} (FILE is the key {key})"),
        None => command,
    }
}

/// What is to be mended about a slice, or cannot be, is no fault of the call or the configuration.
fn kind_of_a_slice(kind: Kind) -> Kind {
    match kind {
        Kind::Usage | Kind::Config | Kind::Verification | Kind::Internal => Kind::NotPacked,
        other => other,
    }
}

/// A table of a run whose complete slice is in no bundle, and stays as it is.
pub(super) fn not_packed(run: &Run, table: &TableName, error: Error) -> Error {
    let kind = kind_of_a_slice(error.kind());
    let ways = ways(to_type(run), run.id, table);
    let hint = error.what_to_do().map_or(ways.clone(), |hint| format!("{hint}; then {ways}"));
    error.run(run.id).table(table).of_kind(kind).hint(hint)
}

/// Why a table is not taken: its slice is complete and could not be packed.
pub(super) fn kept_back(left: Guid, run: Option<&Run>, table: &TableName, error: &Error) -> Error {
    let command = run.map_or_else(|| pack_command(left, None), to_type);
    let text = format!("the complete slice of run {left} could not be packed first, and was not emptied: {error}");
    let ways = match error.kind() {
        // Before its lease is over nothing else works.
        Kind::LeaseHeld => error.what_to_do().map_or_else(|| command.clone(), str::to_owned),
        _ => ways(command, left, table),
    };
    Error::new(kind_of_a_slice(error.kind()), text).table(table).hint(ways)
}

/// The lease of a run's own complete slice is held by that run: it is packing it, or it died. What goes on with it
/// depends on how far it came.
pub(super) fn held_by_itself(run: &Run, error: Error) -> Error {
    let command = match run.status {
        Status::Completed => format!("{} --take-over {}", to_type(run), run.id),
        _ => resume_command(run.id, run.destination.as_ref()),
    };
    error.hint(format!("wait for it to end; if it died, go on with it: {command}"))
}

fn ways(command: String, run: Guid, table: &TableName) -> String {
    format!("pack it with `{command}`; or give it up with `{}`", give_up_command(run, table))
}
