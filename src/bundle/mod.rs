//! Bundles: the format of manifests/FORMAT.md, written, published and read.
//!
//! # How an exporter writes a bundle
//!
//! ```ignore
//! let name = BundleName::new(run.started_at.utc, run.id, pack_number);
//! let mut staged = StagedBundle::create(disk, out_dir, name)?;
//! let ddl = create_table(&config.target, &columns, &config.key_column)?;
//! let mut stage = staged.add_table(&config.name, &ddl)?;
//! let mut parts = stage.parts(FileRole::Rows, plan.schema(), &options)?;
//! // … batches as in `convert`: parts.write(&batch)?, stage.blob(&options)? …
//! let mut files = parts.finish()?;
//! let deletions = Arc::new(ColumnPlan::tombstones(&config.key_column)?);
//! let mut parts = stage.parts(FileRole::Tombstones, deletions.schema(), &options)?;
//! // … builder.push_row(&[Cell::Guid(key), Cell::DateTime(deleted_on), unit])? …
//! files.extend(parts.finish()?);                       // nothing, if there were none
//! let folder = stage.folder().clone();
//! let files = stage.finish(files);                     // with its blobs, in the manifest's order
//! let info = TableInfo { folder: folder.as_str().into(), schema_file: folder.schema_path(), files, … };
//! let published = staged.finish(&manifest)?.publish(&PublishForm::Folder, monitor)?;
//! backend.record_bundle(…)?;                           // only with a `Published`
//! ```
//!
//! # How a reader reads one
//!
//! ```ignore
//! let bundle = Bundle::open(path)?;                    // tag files hashed, manifest parsed
//! bundle.check_file_set()?;
//! for table in &bundle.manifest().tables {
//!     for file in table.files_of(FileRole::Rows) {
//!         let checked = bundle.check_file(file, monitor)?;             // hash first
//!         for batch in bundle.open_part(checked, &PartRead::default())? { … }   // then parse
//!     }
//! }
//! let info = table.blob_file(&large.reference);        // values in blob/
//! let bytes = bundle.read_blob(info, 2 << 30, monitor)?;
//! ```

mod access;
mod archive;
mod blob;
mod block;
mod budget;
mod canonical;
mod check;
pub mod checksums;
mod columns;
mod compacted;
mod container;
mod content;
mod find;
mod folder;
mod fresh;
mod group;
mod hashing;
mod keys;
mod known;
pub mod layout;
mod left_out;
pub mod manifest;
mod masked;
mod missing;
mod page_pool;
mod pages;
mod part;
mod part_read;
mod pinned;
mod publish;
mod read;
mod read_at;
mod remote;
mod reported;
mod schema_sql;
mod send;
pub mod signature;
mod staged;
mod staging;
mod thrift;
mod version;
mod whose;

pub use access::{Access, Distrust, Policy, parse_roots};
pub use archive::{Identities, Recipients, is_identity};
pub use blob::{BlobReader, BlobWriter, StoredBlob};
pub use check::KNOWN_REQUIREMENTS;
pub use compacted::compacted_run_id;
pub use container::Container;
pub use find::{BundlePlace, places};
pub use folder::{BundleEntry, list};
pub use fresh::Newest;
pub use known::{KNOWN_CONTENT, KnownContent};
pub use layout::{BundleName, TableFolder};
pub use manifest::{FailedTable, FileInfo, FileRole, Manifest, TableInfo};
pub use masked::{MaskedColumn, MaskedInfo, MaskedTable};
pub use missing::{Missing, Uncovered};
pub use part::{PartOptions, PartWriter, threads};
pub use part_read::{PartRead, PartReader};
pub use publish::{
    PublishForm, Published, archive, check_plain, check_sealed, extract, fetch_sealed, set_unrecorded_aside,
};
pub use read::{Bundle, CheckedFile};
pub use remote::{marked, marker_of, read_marker};
pub use reported::{failed_text, named_places, warn_of_failed};
pub(crate) use schema_sql::makes;
pub use schema_sql::{create_table, quote_tsql};
pub use send::Outgoing;
pub use staged::{Sealed, StagedBundle, TableStage};
pub use staging::{Scratch, Swept, is_of_bundle, sweep_staging};
pub use version::{FORMAT_URI_BASE, FormatVersion};
pub use whose::{
    Scopes, check_coming, existing, may_come, not_theirs, not_theirs_by, not_theirs_there, open_or_skip, scopes_of,
    scopes_text,
};
