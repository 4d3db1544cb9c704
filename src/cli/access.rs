//! What commands that act on bundles ask of them: what opens one, and who has to vouch for it.

use super::config::is_from_profile;
use crate::bundle::signature::{AllowedSigners, SignerScope};
use crate::bundle::{Access, Identities, Policy, parse_roots};
use crate::error::{Error, Result};
use crate::model::clock::{Clock as _, SystemClock};
use crate::model::digest::Sha256;
use crate::model::time::Timestamp;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// No file of root digests is larger: a million lines.
const MAX_ROOTS_BYTES: u64 = 128 << 20;

/// How bundles are opened, and who has to vouch for them; asked of each bundle before anything of it is used.
#[derive(clap::Args, Debug, Default)]
pub struct AccessArgs {
    /// Decrypt archives with the identities in this file, as age-keygen writes it; may be repeated
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Refuse a bundle that is not signed by one of the keys in this file of allowed signers (see
    /// ssh-keygen(1))
    #[arg(long, value_name = "FILE", env = "BLOBDELTA_SIGNER")]
    signer: Option<PathBuf>,
    /// Refuse a bundle if this file does not allow its signer to sign for its source and each of its tables. A line is:
    /// FINGERPRINT-OR-PRINCIPAL SOURCE-ID-OR-* TABLE[, TABLE…]
    #[arg(long, value_name = "FILE", requires = "signer", env = "BLOBDELTA_SIGNER_SCOPE")]
    signer_scope: Option<PathBuf>,
    /// Refuse a bundle that does not have this root digest; may be repeated to allow several
    #[arg(long, value_name = "HEX", value_parser = Sha256::parse)]
    root_sha256: Vec<Sha256>,
    /// Refuse a bundle if its root digest is not a line of this file
    #[arg(long, value_name = "FILE", env = "BLOBDELTA_ROOTS")]
    roots: Option<PathBuf>,
}

/// How old what is named may be.
#[derive(clap::Args, Debug, Default)]
pub struct FreshArgs {
    /// Fail if the newest bundle of a chain is older than DAYS days, by the start of its run
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    not_older_than: Option<u32>,
}

impl FreshArgs {
    /// When the run of the newest bundle of a chain may have started at the earliest, UTC.
    pub fn not_before(&self) -> Option<Timestamp> {
        let now = SystemClock.now().utc;
        self.not_older_than.map(|days| now.minus_minutes(days * 24 * 60))
    }
}

impl AccessArgs {
    /// The same as [`AccessArgs::read`], of bundles that may not all be old.
    ///
    /// # Errors
    /// As [`AccessArgs::read`].
    pub fn read_fresh(&self, fresh: &FreshArgs) -> Result<Access> {
        Ok(Access { not_before: fresh.not_before(), ..self.read()? })
    }

    /// Reads the files that are named.
    ///
    /// # Errors
    /// Usage, for a file that cannot be understood; Io.
    pub fn read(&self) -> Result<Access> {
        let signers = self.signer.as_deref().map(|path| {
            let bytes = read(path, "the allowed signers", AllowedSigners::MAX_BYTES)?;
            AllowedSigners::parse(&bytes).map_err(|error| error.file(path))
        });
        let scope = self.signer_scope.as_deref().map(|path| {
            let bytes = read(path, "what signers may speak for", SignerScope::MAX_BYTES)?;
            SignerScope::parse(&bytes).map_err(|error| error.file(path))
        });
        let policy = Policy { signers: signers.transpose()?, scope: scope.transpose()?, roots: self.all_roots()? };
        Ok(Access { identities: Identities::read(&self.identity)?, policy: Arc::new(policy), ..Access::default() })
    }

    /// That none of these was typed, where none of them counts. What the environment or a profile says is said to other
    /// commands too.
    ///
    /// # Errors
    /// Usage.
    pub fn check_not_typed(&self, why: &str) -> Result<()> {
        let is_typed = |path: &Option<PathBuf>, setting: &str, variable: &str| {
            let differs = |path: &PathBuf| std::env::var_os(variable).is_none_or(|value| value != path.as_os_str());
            path.as_ref().is_some_and(differs) && !is_from_profile(setting)
        };
        let typed = [
            ("--identity", !self.identity.is_empty() && !is_from_profile("identity")),
            ("--signer", is_typed(&self.signer, "signer", "BLOBDELTA_SIGNER")),
            ("--signer-scope", is_typed(&self.signer_scope, "signer_scope", "BLOBDELTA_SIGNER_SCOPE")),
            ("--root-sha256", !self.root_sha256.is_empty()),
            ("--roots", is_typed(&self.roots, "roots", "BLOBDELTA_ROOTS")),
        ];
        match typed.iter().find(|(_, is_typed)| *is_typed) {
            None => Ok(()),
            Some((option, _)) => Err(Error::usage(format!("{option} has no effect here: {why}"))
                .hint("name the DESTINATION to prune, or leave the option out")),
        }
    }

    fn all_roots(&self) -> Result<Option<BTreeSet<Sha256>>> {
        let mut roots: BTreeSet<Sha256> = self.root_sha256.iter().copied().collect();
        if let Some(path) = &self.roots {
            let bytes = read(path, "the root digests", MAX_ROOTS_BYTES)?;
            let text = String::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= MAX_ROOTS_BYTES);
            let text = text
                .ok_or_else(|| Error::usage("this file of root digests is not UTF-8, or is over 128 MiB").file(path))?;
            roots.extend(parse_roots(&text).map_err(|error| error.file(path))?);
        }
        Ok((!roots.is_empty()).then_some(roots))
    }
}

/// A file that the user named, up to one byte more than it may have, which its parser refuses.
fn read(path: &Path, what: &str, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| Error::io(&format!("open {what} in"), path, error))?;
    let read = file.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::io(&format!("read {what} in"), path, error))?;
    Ok(bytes)
}
