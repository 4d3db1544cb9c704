//! [`Container`]: where the files of a bundle lie, a folder or an archive, behind one way of
//! listing and opening them.

use super::archive::{self, Archive, Identities};
use super::content::{Content, ReadAt};
use super::folder::{self, Entry};
use super::layout::BundleName;
use super::manifest::Manifest;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module's text.
pub struct Container {
    path: PathBuf,
    form: Form,
}

enum Form {
    Folder,
    Archive(Archive),
}

impl Container {
    /// Looks at what stands at `path`: a folder; an archive, whose headers are all read; or an
    /// encrypted archive, for which one of the identities is needed. What the files hold is not
    /// looked at.
    ///
    /// # Errors
    /// Usage, if there is nothing, something that is neither, or no identity that opens it;
    /// Verification, for an archive in another form than the one it can have; Io.
    pub fn open(path: &Path, identities: &Identities) -> Result<Self> {
        let form = Self::form(path, identities).map_err(|error| error.file(path))?;
        Ok(Self { path: path.to_owned(), form })
    }

    /// A folder that is known to be one.
    pub(super) fn folder(path: &Path) -> Self {
        Self { path: path.to_owned(), form: Form::Folder }
    }

    fn form(path: &Path, identities: &Identities) -> Result<Form> {
        let neither = |what: &str| {
            Error::usage(format!("there is no such bundle: this is {what}"))
                .hint("name a folder that ends in .bundle, or an archive that ends in .bundle.tar or .bundle.tar.age")
        };
        let metadata = match path.metadata() {
            Ok(metadata) if metadata.is_dir() => return Ok(Form::Folder),
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(neither("nowhere")),
            Err(error) => return Err(Error::io("open", path, error)),
        };
        if !metadata.is_file() {
            return Err(neither("neither a folder nor a file"));
        }
        let failed = |error| Error::io("read", path, error);
        let mut file = File::open(path).map_err(failed)?;
        let mut start = [0; 32];
        let read = file.read(&mut start).map_err(failed)?;
        file.rewind().map_err(failed)?;
        let (source, bytes): (Arc<dyn ReadAt>, u64) = if archive::is_encrypted(&start[..read]) {
            let (source, bytes) = archive::decrypt(file, identities)?;
            (Arc::new(source), bytes)
        } else {
            (Arc::new(file), metadata.len())
        };
        Archive::open(source, bytes).map(Form::Archive)
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How a file of the bundle is called in messages.
    pub fn place(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// Everything in it, in the order of paths. Links are listed, not followed.
    ///
    /// # Errors
    /// Io; Verification, for a folder that is deeper than any bundle.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        match &self.form {
            Form::Folder => folder::list(&self.path),
            Form::Archive(archive) => Ok(archive.entries()),
        }
    }

    /// Holds what the container says by itself against the manifest: the bundle's name, and in
    /// an archive the time of its files. A folder may be renamed, but not to the name of another
    /// bundle.
    ///
    /// # Errors
    /// Verification.
    pub fn check_claims(&self, manifest: &Manifest) -> Result<()> {
        let (name, modified) = match &self.form {
            Form::Folder => {
                let name = self.path.file_name().and_then(|name| name.to_str());
                (name.and_then(BundleName::parse), None)
            }
            Form::Archive(archive) => (Some(archive.name().clone()), Some(archive.modified())),
        };
        let own = manifest.bundle_name();
        if let Some(name) = name.filter(|name| *name != own) {
            return Err(Error::verification(format!(
                "this bundle is called {name}, and its manifest is that of {own}"
            ))
            .hint("somebody renamed it: do not use it under this name"));
        }
        if modified.is_some_and(|modified| modified != manifest.started_seconds()) {
            return Err(Error::verification("the time of the archive's files is not that of the run"));
        }
        Ok(())
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self.form, Form::Folder)
    }

    /// Opens a file; `file` is a path that the grammar of paths let through.
    ///
    /// # Errors
    /// Verification, if it is not there, a link stands in its way, or it is no regular file; Io.
    pub(super) fn content(&self, file: &str) -> Result<Content> {
        match &self.form {
            Form::Folder => {
                let (file, bytes) = folder::open(&self.path, file)?;
                Ok(Content::new(Arc::new(file), 0, bytes))
            }
            Form::Archive(archive) => archive.content(file).ok_or_else(|| missing(self.place(file))),
        }
    }

    /// Reads a small file whole.
    ///
    /// # Errors
    /// Verification, if it is larger than `most` bytes; else as [`Container::content`].
    pub fn read(&self, file: &str, most: u64) -> Result<Vec<u8>> {
        let content = self.content(file)?;
        if content.bytes() > most {
            return Err(Error::verification(format!("this file is over {most} bytes long")).file(self.place(file)));
        }
        let mut bytes = Vec::new();
        let read = content.reader(0).read_to_end(&mut bytes);
        read.map_err(|error| read_failed(&self.place(file), error))?;
        Ok(bytes)
    }
}

/// A file that a list names and that is not there.
pub(super) fn missing(place: PathBuf) -> Error {
    Error::verification("a file of the bundle is missing").file(place)
}

/// A read that failed: of a disk, or of an encrypted archive that was changed.
pub(super) fn read_failed(place: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::verification("this file cannot be read: the archive that holds it was changed")
                .file(place)
                .caused_by(error)
        }
        _ => Error::io("read", place, error),
    }
}
