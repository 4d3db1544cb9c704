//! [`Bundle`]: a bundle that was opened, and what may be read of it.
//!
//! Nothing is parsed before its hash is checked. Opening goes from the root digest down: the
//! list of tag files is hashed, then each tag file against it, and only then the manifest and
//! the list of payload files are parsed, and held against each other. Payload files are read
//! through [`CheckedFile`] alone, which exists only after the file's bytes were hashed in this
//! process.

use super::access::{Access, Distrust};
use super::blob::BlobReader;
use super::canonical::MAX_BYTES;
use super::checksums::{self, Checksum};
use super::container::Container;
use super::content::Content;
use super::folder::{missing, read_failed};
use super::layout::{
    BAG_INFO_TXT, BAGIT_DECLARATION, BAGIT_TXT, MANIFEST_JSON, PAYLOAD_LIST, PayloadFile, PayloadPath, SIGNATURE,
    TAG_LIST, check_tag_path, folder_of, is_schema, what_is_foreign,
};
use super::manifest::{FileInfo, FileRole, Manifest};
use super::part::threads;
use super::pinned::Pins;
use super::schema_sql::makes;
use super::signature::{MAX_SIGNATURE_BYTES, SignedBy};
use crate::durable::EntryKind;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::monitor::{Event, Monitor};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// See the module's text.
pub struct Bundle {
    container: Container,
    root_sha256: Sha256,
    signed_by: Option<SignedBy>,
    tags: Vec<Checksum>,
    payload: Vec<Checksum>,
    manifest: Manifest,
}

/// A payload file whose bytes are those of the manifest.
#[derive(Clone, Debug)]
pub struct CheckedFile {
    pub(super) content: Content,
    pub(super) path: PathBuf,
    pub(super) info: FileInfo,
}

impl CheckedFile {
    /// The manifest's entry.
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Bundle {
    /// Opens a folder or an archive that is not encrypted, for which nobody has to vouch: one of our own; see
    /// [`Bundle::open_in`].
    ///
    /// # Errors
    /// As [`Container::open`] and [`Bundle::open_in`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_in(Container::open(path, &Access::own())?)
    }

    /// Opens a bundle. Who is asked to vouch for it does; its tag files are hashed and hold together, its manifest
    /// is readable and names the files that the list of payload files names. Payload files are not looked at.
    ///
    /// # Errors
    /// Verification, with the file; Io.
    pub fn open_in(container: Container) -> Result<Self> {
        let path = container.path().to_owned();
        Self::open_unplaced(container).map_err(|error| error.file(path))
    }

    fn open_unplaced(container: Container) -> Result<Self> {
        let TagLines { root_sha256, signed_by, lines: tags } = tag_lines(&container)?;
        let declaration = tag_bytes(&container, &tags, BAGIT_TXT)?;
        if declaration != BAGIT_DECLARATION.as_bytes() {
            return Err(
                Error::verification("this is not the declaration of BagIt 1.0").file(container.place(BAGIT_TXT))
            );
        }
        tag_bytes(&container, &tags, BAG_INFO_TXT)?;
        let payload = tag_bytes(&container, &tags, PAYLOAD_LIST)?;
        let payload = checksums::parse(&payload, |path| PayloadPath::parse(path).map(drop))
            .map_err(|error| error.file(container.place(PAYLOAD_LIST)))?;
        let manifest = manifest_in(&container, &tags, signed_by.as_ref())?;
        let bundle = Self { container, root_sha256, signed_by, tags, payload, manifest };
        bundle.check_lists()?;
        Ok(bundle)
    }

    /// What a bundle says of itself: its manifest, of which the hash is checked as [`Bundle::open_in`] does. Nothing else of it
    /// is read, so that looking at many bundles of a store costs few requests for each.
    ///
    /// # Errors
    /// As [`Bundle::open_in`].
    pub(super) fn manifest_of(container: &Container) -> Result<Manifest> {
        let read = tag_lines(container).and_then(|tags| manifest_in(container, &tags.lines, tags.signed_by.as_ref()));
        read.map_err(|error| error.file(container.path()))
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        self.container.path()
    }

    /// Whether it is a folder.
    pub(super) fn is_folder(&self) -> bool {
        self.container.is_folder()
    }

    /// Whether only who has an identity can look into it.
    pub fn was_encrypted(&self) -> bool {
        self.container.was_encrypted()
    }

    /// How a file of the bundle is called in messages.
    pub(super) fn place(&self, file: &str) -> PathBuf {
        self.container.place(file)
    }

    /// Opens a file whose path a list of the bundle names.
    pub(super) fn content(&self, file: &str) -> Result<Content> {
        self.container.content(file)
    }

    /// The signature beside the list of tag files, if there is one. It was not checked.
    ///
    /// # Errors
    /// Verification, if it is over 64 KiB long or no regular file; Io.
    pub fn signature(&self) -> Result<Option<Vec<u8>>> {
        self.container.signature()
    }

    /// A small file, unchecked.
    ///
    /// # Errors
    /// As [`Container::read`].
    pub fn read_tag(&self, file: &str, most: u64) -> Result<Vec<u8>> {
        self.container.read(file, most)
    }

    /// The hash of `tagmanifest-sha256.txt`.
    pub fn root_sha256(&self) -> Sha256 {
        self.root_sha256
    }

    /// Who vouches for it, where that was asked.
    pub fn signed_by(&self) -> Option<&SignedBy> {
        self.signed_by.as_ref()
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The lines of `tagmanifest-sha256.txt`.
    pub fn tags(&self) -> &[Checksum] {
        &self.tags
    }

    /// The lines of `manifest-sha256.txt`.
    pub fn payload(&self) -> &[Checksum] {
        &self.payload
    }

    /// Whether the folder holds exactly the files that the lists name (and maybe a signature),
    /// each of the manifest's size, and no link.
    ///
    /// # Errors
    /// Verification, with the first file that is wrong.
    pub fn check_file_set(&self) -> Result<()> {
        let holds = |lines: &[Checksum], folder: &str| {
            let inside = format!("{folder}/");
            let at = lines.partition_point(|line| line.path < inside);
            lines.get(at).is_some_and(|line| line.path.starts_with(&inside))
        };
        let mut due: BTreeSet<&str> = self.tags.iter().chain(&self.payload).map(|line| line.path.as_str()).collect();
        due.insert(TAG_LIST);
        for entry in self.container.entries()? {
            let bad = |what: &str| Err(Error::verification(what).file(self.place(&entry.path)));
            match entry.kind {
                EntryKind::Other => return bad("a link or a special file in a bundle"),
                EntryKind::Folder if !holds(&self.tags, &entry.path) && !holds(&self.payload, &entry.path) => {
                    return bad("a folder that the bundle's lists do not know");
                }
                EntryKind::Folder => {}
                EntryKind::File if entry.path == SIGNATURE => {
                    if entry.bytes > MAX_SIGNATURE_BYTES {
                        return bad("a signature of over 64 KiB");
                    }
                }
                EntryKind::File if !due.remove(entry.path.as_str()) => {
                    let error = Error::verification("a file that the bundle's lists do not name");
                    return Err(error.file(self.place(&entry.path)).hint(what_is_foreign(&entry.path)));
                }
                EntryKind::File => {
                    let info = self.file_info(&entry.path);
                    if info.is_some_and(|info| info.bytes != entry.bytes) {
                        return bad("a file that is not of the manifest's size");
                    }
                }
            }
        }
        match due.first() {
            Some(file) => Err(missing(self.place(file))),
            None => Ok(()),
        }
    }

    /// Whether it holds exactly its files, and the bytes of each are those of its lists.
    ///
    /// # Errors
    /// Verification, with the first file that is wrong; Io; Cancelled.
    pub fn check_whole(&self, monitor: &dyn Monitor) -> Result<()> {
        self.check_file_set()?;
        let files: Vec<&FileInfo> = self.manifest.tables.iter().flat_map(|table| &table.files).collect();
        self.check_files(&files, threads(), monitor).into_iter().try_for_each(|checked| checked.map(drop))
    }

    /// All files, in the order in which they stand in an archive, with the hashes that the lists
    /// say; of the signature none is known.
    pub(super) fn files(&self) -> Result<Vec<(&str, Option<Sha256>)>> {
        let lines = self.tags.iter().chain(&self.payload);
        let mut files = vec![(TAG_LIST, Some(self.root_sha256))];
        files.extend(self.signature()?.map(|_| (SIGNATURE, None)));
        files.extend(lines.map(|line| (line.path.as_str(), Some(line.sha256))));
        Ok(files)
    }

    /// Bytes of all files, those beside the payload too: as many as are copied.
    ///
    /// # Errors
    /// Io.
    pub fn all_bytes(&self) -> Result<u64> {
        Ok(self.container.entries()?.iter().map(|entry| entry.bytes).sum())
    }

    /// Copies a file to `out`, which is at `path`, and gives its bytes; what was written is of no
    /// use if this fails.
    ///
    /// # Errors
    /// Verification, if its hash is not the one that is due; Io; Cancelled.
    pub(super) fn copy_file(
        &self,
        file: &str,
        due: Option<Sha256>,
        out: &mut dyn Write,
        path: &Path,
        monitor: &dyn Monitor,
    ) -> Result<u64> {
        let hashed = self.content(file)?.hash(&mut |block| {
            out.write_all(block).map_err(|error| Error::io("write", path, error))?;
            monitor.event(Event::WorkDone { rows: 0, bytes: block.len() as u64 });
            monitor.check()
        });
        let (bytes, sha256) = hashed.map_err(|error| read_failed(&self.place(file), error))??;
        if due.is_some_and(|due| due != sha256) { Err(changed(self.place(file))) } else { Ok(bytes) }
    }

    /// The manifest's entry for a path.
    pub fn file_info(&self, path: &str) -> Option<&FileInfo> {
        let folder = folder_of(path)?;
        let tables = &self.manifest.tables;
        let table = &tables[tables.binary_search_by(|table| table.folder.as_str().cmp(folder)).ok()?];
        let at = table.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        table.files.get(at)
    }

    /// Hashes a payload file and, if it is the manifest's, lets it be read. Progress goes to the
    /// monitor, which may stop it.
    ///
    /// # Errors
    /// Verification: missing, of another size, or of another hash; Io; Cancelled.
    pub fn check_file(&self, info: &FileInfo, monitor: &dyn Monitor) -> Result<CheckedFile> {
        let path = self.place(&info.path);
        let content = self.content(&info.path)?;
        if content.bytes() != info.bytes {
            let what = format!("this file has {} bytes where the manifest says {}", content.bytes(), info.bytes);
            return Err(Error::verification(what).file(&path));
        }
        let mut pins = (!content.is_steady()).then(Pins::new);
        let hashed = content.hash(&mut |block| {
            if let Some(pins) = &mut pins {
                pins.add(block);
            }
            monitor.event(Event::WorkDone { rows: 0, bytes: block.len() as u64 });
            monitor.check()
        });
        let (_, sha256) = hashed.map_err(|error| read_failed(&path, error))??;
        if sha256 != info.sha256 {
            return Err(changed(path));
        }
        let content = match pins {
            Some(pins) => content.pinned(pins),
            None => content,
        };
        Ok(CheckedFile { content, path, info: info.clone() })
    }

    /// The same of several files, up to `threads` side by side. In their order.
    pub fn check_files(&self, files: &[&FileInfo], threads: usize, monitor: &dyn Monitor) -> Vec<Result<CheckedFile>> {
        let workers = threads.min(files.len());
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(info) = files.get(at) else { return done };
                done.push((at, self.check_file(info, monitor)));
            }
        };
        let mut all = std::thread::scope(|scope| {
            let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
            let mut all = work();
            let joined = others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            all.extend(joined.flatten());
            all
        });
        all.sort_unstable_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, checked)| checked).collect()
    }

    /// Reads a value in `blob/` in chunks; the last read fails if it is not the value that its
    /// name says.
    ///
    /// # Errors
    /// Verification, if the file is no blob; Io.
    pub fn open_blob(&self, file: CheckedFile) -> Result<BlobReader> {
        let name = PayloadPath::parse(&file.info.path)?.file;
        match (name, file.info.content_bytes) {
            (PayloadFile::Blob(sha256), Some(bytes)) => {
                BlobReader::new(&file.content, bytes, sha256).map_err(|error| Error::io("read", &file.path, error))
            }
            _ => Err(Error::verification("this file is not one value").file(&file.path)),
        }
    }

    /// Whether a file in `blob/` holds the value that its name says: hashed, decompressed and hashed again.
    ///
    /// # Errors
    /// Verification; Io; Cancelled.
    pub fn check_blob(&self, info: &FileInfo, monitor: &dyn Monitor) -> Result<()> {
        let mut value = self.open_blob(self.check_file(info, monitor)?)?;
        let read = std::io::copy(&mut value, &mut std::io::sink());
        read.map(drop).map_err(|error| {
            Error::verification("this value cannot be read").file(self.place(&info.path)).caused_by(error)
        })
    }

    /// A whole value in `blob/`: opened, hashed, decompressed and checked. `most` bounds its
    /// bytes.
    ///
    /// # Errors
    /// Verification; Io.
    pub fn read_blob(&self, info: &FileInfo, most: u64, monitor: &dyn Monitor) -> Result<Vec<u8>> {
        let due = info.content_bytes.unwrap_or(u64::MAX);
        if info.role != FileRole::Blob || due > most {
            let what = format!("a value of {due} bytes, where at most {most} can be taken");
            return Err(Error::verification(what).file(self.place(&info.path)));
        }
        let file = self.check_file(info, monitor)?;
        let path = file.path.clone();
        let mut bytes = Vec::new();
        let read = self.open_blob(file)?.read_to_end(&mut bytes);
        read.map_err(|error| Error::verification("this value cannot be read").file(path).caused_by(error))?;
        Ok(bytes)
    }

    /// The manifest, the list of payload files and the list of tag files name the same files.
    fn check_lists(&self) -> Result<()> {
        let files = self.manifest.tables.iter().flat_map(|table| &table.files);
        let named = files.map(|file| (file.path.as_str(), file.sha256));
        let listed = self.payload.iter().map(|line| (line.path.as_str(), line.sha256));
        if !named.eq(listed) {
            return Err(Error::verification("the manifest and manifest-sha256.txt do not name the same files"));
        }
        let schemas: BTreeSet<&str> = self.manifest.tables.iter().map(|table| table.schema_file.as_str()).collect();
        let tags = self.tags.iter().map(|line| line.path.as_str()).filter(|path| is_schema(path));
        if !schemas.into_iter().eq(tags) {
            return Err(Error::verification(
                "the manifest and tagmanifest-sha256.txt do not name the same schema files",
            ));
        }
        for table in &self.manifest.tables {
            let text = tag_bytes(&self.container, &self.tags, &table.schema_file)?;
            if !makes(&text, table)? {
                return Err(Error::verification("this is not the statement that makes the table of the manifest")
                    .file(self.place(&table.schema_file))
                    .table(&table.name)
                    .hint("do not run it, and do not use this bundle: ask whoever made it"));
            }
        }
        Ok(())
    }
}

fn changed(place: PathBuf) -> Error {
    Error::verification("this file's bytes were changed: its hash is not the one of the bundle's lists")
        .file(place)
        .hint("do not use this bundle; fetch it again from where it was published")
}

/// The list of tag files, whose hash is the root digest.
struct TagLines {
    root_sha256: Sha256,
    signed_by: Option<SignedBy>,
    lines: Vec<Checksum>,
}

/// Reads the list, once it is known that it is the one of the marker, and that who has to vouch for it does.
fn tag_lines(container: &Container) -> Result<TagLines> {
    let list = container
        .read(TAG_LIST, MAX_BYTES)
        .map_err(|error| error.hint("a bundle has a tagmanifest-sha256.txt; check the path"))?;
    let root_sha256 = Sha256::of(&list);
    container.check_marker(root_sha256)?;
    let signed_by = container.vouched(&list)?;
    let lines = checksums::parse(&list, check_tag_path).map_err(|error| error.file(container.place(TAG_LIST)))?;
    Ok(TagLines { root_sha256, signed_by, lines })
}

/// The manifest, held against its hash, the bundle's name, the clock, and what the signer may sign.
fn manifest_in(container: &Container, tags: &[Checksum], signed_by: Option<&SignedBy>) -> Result<Manifest> {
    let manifest = Manifest::from_bytes(&tag_bytes(container, tags, MANIFEST_JSON)?)
        .map_err(|error| error.file(container.place(MANIFEST_JSON)))?;
    container.check_claims(&manifest)?;
    container.check_clock(&manifest)?;
    container.policy().check_scope(signed_by, &manifest).map_err(Distrust::into_error)?;
    Ok(manifest)
}

/// The bytes of a tag file, if they are those of the list.
fn tag_bytes(container: &Container, tags: &[Checksum], path: &str) -> Result<Vec<u8>> {
    let line = tags.iter().find(|line| line.path == path);
    let line = line.ok_or_else(|| Error::verification(format!("{TAG_LIST} does not name {path}")))?;
    let bytes = container.read(path, MAX_BYTES)?;
    if Sha256::of(&bytes) != line.sha256 {
        return Err(changed(container.place(path)));
    }
    Ok(bytes)
}
