//! What is asked of the engine, and what it answers.

use crate::backend::UnknownName;
use crate::bundle::signature::Signer;
use crate::bundle::{PartOptions, PublishForm};
use crate::error::Error;
use crate::model::drift::SchemaChange;
use crate::model::id::Guid;
use crate::model::memory::Memory;
use crate::model::name::TableName;
use crate::model::run::{Run, RunRequest, Status, TableCounts};
use crate::model::window::{Cut, Window};
use std::path::PathBuf;
use std::sync::Arc;

/// How bundles are written.
#[derive(Clone, Debug)]
pub struct PackOptions {
    /// What a run or a pack may take of memory.
    pub memory: Memory,
    /// How its parts are written, out of [`Memory::pipeline`] of it.
    pub parts: PartOptions,
    /// Whether a folder or an archive is published.
    pub form: PublishForm,
    /// The key that signs, if any.
    pub signer: Option<Arc<Signer>>,
    /// The destination that the bundle is recorded to be shipped to, as it was given. `shipping` does that.
    pub ship_to: Option<String>,
    /// Whether content that the chain has is left out.
    pub content: ContentChoice,
    /// What a run that is packed or gone on with by name was told, and these leave out.
    pub waive: Waiver,
}

/// Whether bundles leave out content that their chain has shipped for the same key (known content).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentChoice {
    /// As the table's `OmitKnownContent` says.
    #[default]
    Configured,
    /// They do, whatever the table says.
    LeaveOut,
    /// They have all content, whatever the table says.
    Whole,
}

/// Rule 18: nothing goes out unsigned or in plain that was to be signed or encrypted, or to a place that is others',
/// unless somebody says so by name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiver {
    /// Publish it without a signature.
    pub signature: bool,
    /// Publish it in plain.
    pub encryption: bool,
    /// Publish and ship it where rows of others go.
    pub place: bool,
}

impl Default for PackOptions {
    fn default() -> Self {
        let (memory, parts) = (Memory::default(), PartOptions::default());
        Self {
            memory,
            parts,
            form: PublishForm::Folder,
            signer: None,
            ship_to: None,
            content: ContentChoice::default(),
            waive: Waiver::default(),
        }
    }
}

/// See [`super::run`].
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// What a fresh run takes. A resumed run takes what it was started with.
    pub request: RunRequest,
    /// The run to go on with.
    pub resume: Option<Guid>,
    /// A run that is dead, as the operator says: leases that it holds are taken before they expire.
    pub take_over: Option<Guid>,
    /// Where bundles are published; `None` leaves the slices for somebody else to restore.
    pub out: Option<PathBuf>,
    /// A folder of the server to which the slices are backed up after packing.
    pub backup_slice: Option<String>,
    /// How bundles are written.
    pub pack: PackOptions,
    /// How long a lease lives without being renewed. Renewed three times as often.
    pub lease_seconds: u32,
}

/// What a run did to one table.
#[derive(Debug)]
pub struct TableRunOutcome {
    /// The table.
    pub table: TableName,
    /// How its part of the run ended.
    pub status: Status,
    /// Its window, if it got that far.
    pub window: Option<Window>,
    /// What `MaxWindow` made of its window, if it got that far in this call.
    pub cut: Option<Cut>,
    /// What there is to tell, if it was completed.
    pub counts: Option<TableCounts>,
    /// Rule 12: units new in scope, whose older rows no run has taken.
    pub new_business_units: Vec<Guid>,
    /// Rule 24: what changed about the source's columns, as far as this run's slice follows it.
    pub schema_changes: Vec<SchemaChange>,
    /// The run whose lease was taken over, because the operator says that it is dead.
    pub took_over: Option<Guid>,
    /// Why it failed.
    pub error: Option<Error>,
}

/// What a run did.
#[derive(Debug)]
pub struct RunReport {
    /// The run, as it ended.
    pub run: Run,
    /// Its tables.
    pub tables: Vec<TableRunOutcome>,
    /// Active tables that a run for one business unit leaves out, because they have no units.
    pub left_out: Vec<TableName>,
    /// Tables whose windows go on, if no other run of the same call took the next ones.
    pub open: Vec<TableName>,
    /// Bundles that were published, those of earlier runs first.
    pub bundles: Vec<PathBuf>,
    /// What others wrote under names of no configured table.
    pub unknown_names: Vec<UnknownName>,
}

/// What a pack did.
#[derive(Debug, Default)]
pub struct PackReport {
    /// Bundles that were published.
    pub bundles: Vec<PathBuf>,
    /// Tables that could not be packed, and why; their slices stand as they were.
    pub failed: Vec<(TableName, Error)>,
}
