//! What commands on bundles have in common: which bundles, what opens them, and in which form one
//! is published.

use crate::bundle::{Form, Identities, Recipients, places};
use crate::error::{Error, Result};
use std::path::PathBuf;
use std::sync::Arc;

/// How a bundle is published.
#[derive(clap::Args, Debug)]
pub struct FormArgs {
    /// Publish one file, an archive that ends in .bundle.tar, instead of a folder
    #[arg(long)]
    pub archive: bool,
    /// Encrypt the archive so that this recipient of age (age1…) can open it; may be repeated
    #[arg(long, value_name = "RECIPIENT", requires = "archive")]
    pub encrypt_to: Vec<String>,
}

impl FormArgs {
    /// The form that was asked for.
    ///
    /// # Errors
    /// Usage, for a recipient that is none.
    pub fn form(&self) -> Result<Form> {
        match (self.archive, self.encrypt_to.is_empty()) {
            (false, _) => Ok(Form::Folder),
            (true, true) => Ok(Form::Archive),
            (true, false) => Ok(Form::Encrypted(Arc::new(Recipients::parse(&self.encrypt_to)?))),
        }
    }
}

/// The bundles that arguments name: each one itself, or all in a folder.
///
/// # Errors
/// Usage: nothing there, or a folder without a bundle; Io.
pub fn named(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let found: Vec<PathBuf> = places(paths)?.into_iter().map(|place| place.path).collect();
    match (found.is_empty(), paths.first()) {
        (true, Some(folder)) => Err(Error::usage("there is no bundle in this folder")
            .file(folder)
            .hint("name a folder that holds folders that end in .bundle, or archives that end in .bundle.tar")),
        _ => Ok(found),
    }
}

/// What opens encrypted archives.
#[derive(clap::Args, Debug)]
pub struct KeyArgs {
    /// A file of identities, as age-keygen writes it, that opens encrypted archives; may be repeated
    #[arg(long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
}

impl KeyArgs {
    /// Reads the identities.
    ///
    /// # Errors
    /// As [`Identities::read`].
    pub fn read(&self) -> Result<Identities> {
        Identities::read(&self.identity)
    }
}
