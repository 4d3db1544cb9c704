//! [`StagedBundle`]: a bundle in the making, under a name that is not its own.
//!
//! Staging folder → parts, blobs, schema → manifest and lists of hashes → everything synced
//! ([`Sealed`]) → rename ([`super::Published`]). The staging folder lies in the output folder,
//! so that the rename stays on one file system, and is removed when the value is dropped before
//! that. After a crash it stays, and [`sweep_staging`](super::sweep_staging) removes it.

use super::blob::{BlobWriter, Blobs};
use super::canonical::MAX_BYTES;
use super::checksums::{self, Checksum};
use super::container::Container;
use super::folder;
use super::layout::{
    BAG_INFO_TXT, BAGIT_DECLARATION, BAGIT_TXT, BundleName, MANIFEST_JSON, PAYLOAD_LIST, PayloadFile, PayloadPath,
    SIGNATURE, TAG_LIST, TableFolder,
};
use super::manifest::{FileInfo, FileRole, Manifest};
use super::part::{PartOptions, PartWriter};
use super::read::Bundle;
use super::signature::Signer;
use super::staging::{Staging, is_of_bundle, remove_staged};
use crate::durable::{Disk, EntryKind, in_the_way, write_file};
use crate::error::{Error, Kind, Result};
use crate::model::digest::Sha256;
use crate::model::name::TableName;
use crate::monitor::Monitor;
use arrow::datatypes::SchemaRef;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module's text.
pub struct StagedBundle {
    staging: Staging,
    out_dir: PathBuf,
    name: BundleName,
    tables: u32,
    signer: Option<Arc<Signer>>,
}

impl StagedBundle {
    /// Makes the staging folder `.<name>.staging-<random>` in the output folder.
    ///
    /// # Errors
    /// Usage, if the output folder is not a folder; Io.
    pub fn create(disk: &dyn Disk, out_dir: &Path, name: BundleName) -> Result<Self> {
        let mut staging = Staging::new(disk, out_dir, name.as_str(), true)?;
        staging.make_folder()?;
        staging.disk.create_dir(&staging.path.join("data"))?;
        staging.disk.create_dir(&staging.path.join("schema"))?;
        Ok(Self { staging, out_dir: out_dir.to_owned(), name, tables: 0, signer: None })
    }

    /// The bundle will be signed by this key, if one is given.
    #[must_use]
    pub fn signed_by(mut self, signer: Option<Arc<Signer>>) -> Self {
        self.signer = signer;
        self
    }

    /// The name that the bundle will have.
    pub fn name(&self) -> &BundleName {
        &self.name
    }

    /// Makes the folder of the next table, and writes its DDL.
    ///
    /// # Errors
    /// Io.
    pub fn add_table(&mut self, table: &TableName, ddl: &str) -> Result<TableStage> {
        self.tables += 1;
        let folder = TableFolder::new(self.tables, table);
        let (disk, root) = (Arc::clone(&self.staging.disk), self.staging.path.clone());
        disk.create_dir(&root.join(folder.data_path()))?;
        write_file(disk.as_ref(), &root.join(folder.schema_path()), ddl.as_bytes())?;
        Ok(TableStage { disk, root, folder, blobs: BTreeMap::new() })
    }

    /// Writes the manifest, the lists of hashes and the signature, and syncs everything. The
    /// manifest must name exactly the files that were written.
    ///
    /// # Errors
    /// Io; as [`Signer::sign`]; Verification, if somebody else put something among the files; Internal, if manifest and
    /// files differ or there is no table.
    pub fn finish(self, manifest: &Manifest) -> Result<Sealed> {
        if manifest.tables.is_empty() {
            return Err(Error::internal("a bundle without a table was to be published"));
        }
        let bytes = manifest.to_bytes()?;
        self.check_files(manifest)?;
        let payload: Vec<&FileInfo> = manifest.tables.iter().flat_map(|table| &table.files).collect();
        let lines = payload.iter().map(|file| Checksum { path: file.path.clone(), sha256: file.sha256 }).collect();
        let mut tags = vec![
            self.tag(BAGIT_TXT, BAGIT_DECLARATION.as_bytes())?,
            self.tag(BAG_INFO_TXT, self.bag_info(manifest, &payload).as_bytes())?,
            self.tag(MANIFEST_JSON, &bytes)?,
            self.tag(PAYLOAD_LIST, &checksums::to_bytes(lines))?,
        ];
        for table in &manifest.tables {
            let sha256 = Sha256::of(
                &Container::folder(Arc::clone(&self.staging.disk), &self.staging.path)
                    .read(&table.schema_file, MAX_BYTES)?,
            );
            tags.push(Checksum { path: table.schema_file.clone(), sha256 });
        }
        let list = checksums::to_bytes(tags);
        let root_sha256 = self.tag(TAG_LIST, &list)?.sha256;
        let signature = self.signer.as_ref().map(|signer| signer.sign(&list)).transpose()?;
        if let Some(signature) = &signature {
            self.tag(SIGNATURE, signature)?;
        }
        sync_folders(self.staging.disk.as_ref(), &self.staging.path)?;
        let payload_bytes = payload.iter().map(|file| file.bytes).sum();
        let Self { staging, out_dir, name, .. } = self;
        let payload_files = payload.len() as u64;
        Ok(Sealed { staging, out_dir, name, root_sha256, signature, payload_bytes, payload_files })
    }

    fn tag(&self, path: &str, bytes: &[u8]) -> Result<Checksum> {
        write_file(self.staging.disk.as_ref(), &self.staging.path.join(path), bytes)?;
        Ok(Checksum { path: path.to_owned(), sha256: Sha256::of(bytes) })
    }

    fn bag_info(&self, manifest: &Manifest, payload: &[&FileInfo]) -> String {
        let octets: u64 = payload.iter().map(|file| file.bytes).sum();
        let (run, files) = (&manifest.run, payload.len());
        let date = &run.started_at.0.to_string()[..10];
        format!(
            "Bagging-Date: {date}\nBag-Software-Agent: {} {}\nExternal-Identifier: {}\nPayload-Oxum: {octets}.{files}\n",
            run.producer.name, run.producer.version, self.name
        )
    }

    fn check_files(&self, manifest: &Manifest) -> Result<()> {
        let mut due: BTreeMap<&str, Option<u64>> = BTreeMap::new();
        for table in &manifest.tables {
            due.insert(&table.schema_file, None);
            due.extend(table.files.iter().map(|file| (file.path.as_str(), Some(file.bytes))));
        }
        for entry in folder::list(self.staging.disk.as_ref(), &self.staging.path)? {
            if entry.kind == EntryKind::Folder {
                continue;
            }
            let at = self.staging.path.join(&entry.path);
            match due.remove(entry.path.as_str()) {
                Some(bytes) if bytes.is_none_or(|bytes| bytes == entry.bytes) => {}
                None if entry.kind == EntryKind::File && is_of_bundle(&entry.path) => {
                    return Err(Error::internal("a file that was written is not in the manifest").file(&entry.path));
                }
                // Whoever else can write in the output folder has been here.
                _ => return Err(in_the_way(&at)),
            }
        }
        match due.first_key_value() {
            Some((missing, _)) => Err(Error::new(Kind::Io, "a file of the bundle has gone while it was made")
                .file(self.staging.path.join(missing))
                .hint("see who else writes in the output folder, or choose another one, and repeat this")),
            None => Ok(()),
        }
    }
}

/// Syncs a folder and all folders in it.
pub(super) fn sync_folders(disk: &dyn Disk, root: &Path) -> Result<()> {
    let entries = folder::list(disk, root)?;
    let folders: BTreeSet<&str> =
        entries.iter().filter(|entry| entry.kind == EntryKind::Folder).map(|entry| entry.path.as_str()).collect();
    // The deepest first: a name is only as safe as the folder that holds it.
    for path in folders.into_iter().rev() {
        disk.sync_dir(&root.join(path))?;
    }
    disk.sync_dir(root)
}

/// A bundle that is whole and synced, under its staging name. Dropped, it is removed;
/// [`Sealed::publish`] gives it its name.
pub struct Sealed {
    pub(super) staging: Staging,
    pub(super) out_dir: PathBuf,
    pub(super) name: BundleName,
    pub(super) root_sha256: Sha256,
    pub(super) signature: Option<Vec<u8>>,
    pub(super) payload_bytes: u64,
    pub(super) payload_files: u64,
}

impl Sealed {
    /// The root digest that the bundle will have.
    pub fn root_sha256(&self) -> Sha256 {
        self.root_sha256
    }
}

/// One table of a bundle in the making.
pub struct TableStage {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    folder: TableFolder,
    blobs: Blobs,
}

impl TableStage {
    /// `t001-<slug>`, for the manifest.
    pub fn folder(&self) -> &TableFolder {
        &self.folder
    }

    /// A writer of parts with rows (of tombstones, of absent parents). One of each at most; the
    /// files that its `finish` gives belong into the manifest.
    ///
    /// # Errors
    /// Usage: a level that zstd does not have.
    pub fn parts(&self, role: FileRole, schema: SchemaRef, options: &PartOptions) -> Result<PartWriter> {
        if role == FileRole::Blob {
            return Err(Error::internal("a blob is not a part"));
        }
        PartWriter::new(Arc::clone(&self.disk), &self.root, &self.folder, role, schema, options)
    }

    /// A writer of one value over the inline limit. One at a time.
    ///
    /// # Errors
    /// Io.
    pub fn blob(&mut self, options: &PartOptions) -> Result<BlobWriter<'_>> {
        BlobWriter::create(self.disk.as_ref(), &self.root, &self.folder, &mut self.blobs, options)
    }

    /// Takes a value over the inline limit as it lies in another bundle, once, if it is the value that its name says.
    ///
    /// # Errors
    /// Verification, if it is no value, or its bytes are not those of that bundle's lists; Io.
    pub fn adopt_blob(&mut self, from: &Bundle, info: &FileInfo, monitor: &dyn Monitor) -> Result<()> {
        let PayloadFile::Blob(content) = PayloadPath::parse(&info.path)?.file else {
            return Err(Error::verification("this file is not one value").file(&info.path));
        };
        if self.blobs.contains_key(&content) {
            return Ok(());
        }
        from.check_blob(info, monitor)?;
        let path = PayloadPath { folder: self.folder.clone(), file: PayloadFile::Blob(content) }.to_string();
        let at = self.root.join(&path);
        if self.blobs.is_empty() {
            self.disk.create_dir(&self.root.join(self.folder.data_path()).join("blob"))?;
        }
        let mut out = self.disk.create(&at)?;
        from.copy_file(&info.path, Some(info.sha256), &mut out, &at, monitor)?;
        out.sync()?;
        self.blobs.insert(content, FileInfo { path, ..info.clone() });
        Ok(())
    }

    /// The files of the table for the manifest, in its order: those of its parts, and its blobs.
    pub fn finish(self, parts: impl IntoIterator<Item = FileInfo>) -> Vec<FileInfo> {
        let mut files: Vec<FileInfo> = parts.into_iter().chain(self.blobs.into_values()).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// Takes the table out of the bundle again: it failed, and the others go on.
    ///
    /// # Errors
    /// Io.
    pub fn discard(self) -> Result<()> {
        remove_staged(
            self.disk.as_ref(),
            &self.root.join(self.folder.data_path()),
            &format!("{}/", self.folder.data_path()),
        )?;
        self.disk.remove_file(&self.root.join(self.folder.schema_path()))
    }
}
