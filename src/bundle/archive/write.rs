//! A bundle as the one archive that it can be.

use super::header::{BLOCK, MemberHeader};
use super::transport::Recipients;
use crate::bundle::layout::{ARCHIVE_SUFFIX, BundleName, ENCRYPTED_SUFFIX};
use crate::bundle::read::Bundle;
use crate::durable::DurableFile;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use age::stream::StreamWriter;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// `<name>.tar`, or `<name>.tar.age`.
pub(in crate::bundle) fn file_name(name: &BundleName, is_encrypted: bool) -> String {
    format!("{name}{ARCHIVE_SUFFIX}{}", if is_encrypted { ENCRYPTED_SUFFIX } else { "" })
}

/// Where an archive is written: into a file, or encrypted into one.
pub(in crate::bundle) enum ArchiveSink {
    Plain(BufWriter<Box<dyn DurableFile>>),
    Encrypted(StreamWriter<BufWriter<Box<dyn DurableFile>>>),
}

impl ArchiveSink {
    pub(in crate::bundle) fn new(
        file: Box<dyn DurableFile>,
        path: &Path,
        recipients: Option<&Recipients>,
    ) -> Result<Self> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let Some(recipients) = recipients else { return Ok(Self::Plain(file)) };
        let sealed = recipients.encryptor()?.wrap_output(file);
        sealed.map(Self::Encrypted).map_err(|error| Error::io("write", path, error))
    }

    /// Writes what is left, and syncs.
    ///
    /// # Errors
    /// Io.
    pub(in crate::bundle) fn finish(self, path: &Path) -> Result<()> {
        let failed = |error| Error::io("write", path, error);
        let buffered = match self {
            Self::Plain(buffered) => buffered,
            Self::Encrypted(stream) => stream.finish().map_err(failed)?,
        };
        buffered.into_inner().map_err(|error| failed(error.into_error()))?.sync()
    }
}

impl Write for ArchiveSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Encrypted(stream) => stream.flush(),
        }
    }
}

/// Writes the archive of a bundle to `sink`, which is the file at `path`. Every file is hashed
/// on its way and held against the bundle's lists.
///
/// # Errors
/// Verification, if the bundle is not what it says; Io; Cancelled.
pub(in crate::bundle) fn write(
    bundle: &Bundle,
    sink: &mut ArchiveSink,
    path: &Path,
    monitor: &dyn Monitor,
) -> Result<()> {
    bundle.check_file_set()?;
    let failed = |error| Error::io("write", path, error);
    let (name, modified) = (bundle.manifest().bundle_name(), bundle.manifest().started_seconds());
    for (file, due) in bundle.files()? {
        let bytes = bundle.content(file)?.bytes();
        let header = MemberHeader { path: format!("{name}/{file}"), bytes, modified };
        sink.write_all(&header.encode()?).map_err(failed)?;
        if bundle.copy_file(file, due, sink, path, monitor)? != bytes {
            return Err(Error::verification("this file changed while it was read").file(bundle.place(file)));
        }
        let padding = usize::try_from(header.padded() - bytes).unwrap_or(0);
        sink.write_all(&vec![0; padding]).map_err(failed)?;
    }
    sink.write_all(&[0; 2 * BLOCK as usize]).map_err(failed)
}
