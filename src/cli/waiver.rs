//! `--unsigned` and `--unencrypted`: leaving out by name what a run was told.

use crate::engine::Waiver;

/// What is left out of what a run was told that is packed or gone on with.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct WaiverArgs {
    /// Publish without a signature what a run by its number (pack --run, run --resume) was told to sign
    #[arg(long, conflicts_with = "sign_key")]
    unsigned: bool,
    /// Publish in plain what a run by its number (pack --run, run --resume) was told to encrypt
    #[arg(long, conflicts_with = "encrypt_to")]
    unencrypted: bool,
}

impl WaiverArgs {
    /// The same for the engine.
    pub fn waiver(&self) -> Waiver {
        Waiver { signature: self.unsigned, encryption: self.unencrypted }
    }
}
