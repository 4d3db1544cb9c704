//! What commands on bundles have in common: which bundles, and in which form one is
//! published.

use super::sign::SignArgs;
use crate::bundle::{PartOptions, PublishForm, Recipients, named_places, threads};
use crate::engine::{ContentChoice, PackOptions, Waiver};
use crate::error::{Error, Result};
use crate::model::memory::Memory;
use crate::monitor::Monitor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a bundle is published.
#[derive(clap::Args, Clone, Debug)]
pub struct FormArgs {
    /// Publish the bundle as one file, an archive (.bundle.tar), instead of a folder
    #[arg(long)]
    pub archive: bool,
    /// Encrypt the archive with age for this recipient (age1…); may be repeated
    #[arg(long, value_name = "RECIPIENT", requires = "archive")]
    pub encrypt_to: Vec<String>,
}

impl FormArgs {
    /// The form that was asked for.
    ///
    /// # Errors
    /// Usage, for a recipient that is none.
    pub fn form(&self) -> Result<PublishForm> {
        match (self.archive, self.encrypt_to.is_empty()) {
            (false, _) => Ok(PublishForm::Folder),
            (true, true) => Ok(PublishForm::Archive),
            (true, false) => Ok(PublishForm::Encrypted(Arc::new(Recipients::parse(&self.encrypt_to)?))),
        }
    }
}

/// What may become of encrypted bundles.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct PlainArgs {
    /// Allow that the contents of an encrypted bundle are published without encryption
    #[arg(long)]
    pub allow_plain: bool,
}

/// How much of the machine's memory is taken.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct MemoryArgs {
    /// Limit of the memory that this command uses
    #[arg(long, value_name = "MIB", default_value_t = Memory::USUAL_MIB,
          value_parser = clap::value_parser!(u64).range(Memory::LEAST_MIB..=1 << 20))]
    memory_mib: u64,
}

impl MemoryArgs {
    /// As much as was asked for.
    pub fn memory(&self) -> Memory {
        Memory::of_mib(self.memory_mib)
    }
}

/// How many cores are kept busy.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct ThreadArgs {
    /// How many row groups to compress, or files to hash, at once; the default is the number of cores
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

impl ThreadArgs {
    /// As many as were asked for.
    pub fn count(&self) -> usize {
        self.threads.map_or_else(threads, usize::from)
    }
}

/// How the parts of a bundle are written.
#[derive(clap::Args, Clone, Debug)]
pub struct PartArgs {
    /// Compression level of zstd: a higher level is slower and makes smaller files
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=22))]
    pub zstd_level: i32,
    /// Largest size of the values in one Parquet file, before compression
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(32..=1024))]
    pub part_mib: u64,
    /// Largest size of the values in one row group, before compression. Readers need that much memory
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=32))]
    pub row_group_mib: u64,
    #[command(flatten)]
    pub memory: MemoryArgs,
    #[command(flatten)]
    pub threads: ThreadArgs,
}

impl PartArgs {
    /// The options that were asked for.
    pub fn options(&self) -> PartOptions {
        PartOptions {
            zstd_level: self.zstd_level,
            row_group_bytes: self.row_group_mib << 20,
            part_bytes: self.part_mib << 20,
            inline_bytes: None,
            threads: self.threads.count(),
            memory_bytes: self.memory.memory().pipeline(),
        }
    }
}

/// How a slice is packed.
#[derive(clap::Args, Clone, Debug)]
pub struct PackingArgs {
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    parts: PartArgs,
    /// Write each value over this size as a file of its own, in blob/. The default is 16, or less if --memory-mib or a
    /// high --zstd-level requires it
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=32))]
    inline_mib: Option<u64>,
    /// Read the slice over N connections, on a server; useful if the network limits the speed of one connection
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub connections: u16,
    #[command(flatten)]
    sign: SignArgs,
    /// Leave out content that earlier bundles of the chain have for the same key, also of tables without OmitKnownContent=1
    #[arg(long, conflicts_with = "whole")]
    pub omit_known_content: bool,
    /// Leave no content out, whatever OmitKnownContent of a table says
    #[arg(long)]
    pub whole: bool,
}

impl PackingArgs {
    /// The key and the recipients as they were given.
    pub fn given(&self) -> (Option<&Path>, &[String]) {
        (self.sign.sign_key.as_deref(), &self.form.encrypt_to)
    }

    /// The same with another key that signs.
    pub fn signed_by(mut self, key: PathBuf) -> Self {
        self.sign.sign_key = Some(key);
        self
    }

    /// The same as archives that are encrypted for others.
    pub fn encrypted_to(mut self, recipients: Vec<String>) -> Self {
        self.form = FormArgs { archive: true, encrypt_to: recipients };
        self
    }

    /// What the options would be refused for, but for the passphrase of a key.
    pub fn refusals(&self) -> Vec<Error> {
        let refused = [self.part_options().err(), self.form.form().err(), self.sign.check().err()];
        refused.into_iter().flatten().collect()
    }

    fn part_options(&self) -> Result<PartOptions> {
        let inline_bytes = self.inline_mib.map(|mib| mib << 20);
        let parts = PartOptions { inline_bytes, ..self.parts.options() };
        parts.inline_bytes().map(|_| parts)
    }

    /// The options that were asked for.
    ///
    /// # Errors
    /// As [`FormArgs::form`], [`SignArgs::signer`] and [`PartOptions::inline_bytes`].
    pub fn options(&self) -> Result<PackOptions> {
        let parts = self.part_options()?;
        Ok(PackOptions {
            memory: self.parts.memory.memory(),
            parts,
            form: self.form.form()?,
            signer: self.sign.signer()?,
            ship_to: None,
            content: match (self.omit_known_content, self.whole) {
                (true, _) => ContentChoice::LeaveOut,
                (false, true) => ContentChoice::Whole,
                (false, false) => ContentChoice::Configured,
            },
            waive: Waiver::default(),
        })
    }
}

/// The bundles that arguments name: each one itself, or all in a folder. What only looks like one there is reported.
///
/// # Errors
/// Usage: nothing there, or a folder without a bundle; Io.
pub fn named(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<PathBuf>> {
    Ok(named_places(paths, monitor)?.into_iter().map(|place| place.path).collect())
}
