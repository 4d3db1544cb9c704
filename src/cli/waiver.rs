//! `--unsigned`, `--unencrypted` and `--shared-place`: what is done by name alone.

use crate::bundle::{Manifest, check_coming};
use crate::engine::Waiver;
use crate::error::Result;
use crate::monitor::Monitor;
use std::path::Path;

/// Whose rows may come where (rule 18).
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct PlaceArgs {
    /// Allow these bundles in a folder or destination for other business units: whoever reads it may get these rows
    /// too. Once is enough
    #[arg(long)]
    shared_place: bool,
}

impl PlaceArgs {
    /// Whether it was said.
    pub fn is_shared(&self) -> bool {
        self.shared_place
    }

    /// That bundles may come to a place by what stands there, unless it is said by name.
    ///
    /// # Errors
    /// Usage, if they may not; what a place gives that cannot be listed.
    pub fn check<'a>(
        &self,
        coming: impl Iterator<Item = &'a Manifest>,
        place: &Path,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        if self.shared_place { Ok(()) } else { check_coming(coming, place, monitor) }
    }
}

/// What is left out of what a run was told that is packed or gone on with; and whose rows may come where.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct WaiverArgs {
    /// With pack --run or run --resume: publish without a signature, although the run was started with a key
    #[arg(long, conflicts_with = "sign_key")]
    unsigned: bool,
    /// With pack --run or run --resume: publish without encryption, although the run was started with recipients
    #[arg(long, conflicts_with = "encrypt_to")]
    unencrypted: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

impl WaiverArgs {
    /// The same for the engine.
    pub fn waiver(&self) -> Waiver {
        Waiver { signature: self.unsigned, encryption: self.unencrypted, place: self.place.shared_place }
    }
}
