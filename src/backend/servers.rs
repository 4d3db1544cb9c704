//! [`Servers`]: on which server a job database stands, and on which it may (rule 28); and what it
//! knows of its chains.

use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::time::Timestamp;

/// A bundle of a chain that the job database has a record of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainRecord {
    /// Its run.
    pub run_id: Guid,
    /// When that started, UTC.
    pub run_started_at: Timestamp,
    /// Root digest of the bundle.
    pub root_sha256: Sha256,
    /// That of the bundle before it.
    pub previous_root_sha256: Option<Sha256>,
    /// The bundle's name.
    pub name: String,
}

/// One table of a bundle that was published by a job database which is lost, as its manifest tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "field for field of the manifest, see manifests/FORMAT.md")]
pub struct AdoptedBundle {
    pub run_id: Guid,
    pub run_type: String,
    pub requested_by: String,
    pub run_started_at: Timestamp,
    pub business_unit: Option<Guid>,
    pub pack_number: u32,
    pub root_sha256: Sha256,
    pub previous_root_sha256: Option<Sha256>,
    /// The bundle's name.
    pub name: String,
    /// Where it stands: a folder or a URL.
    pub folder: String,
    /// The scope's watermark after its run.
    pub watermark: Timestamp,
    /// The columns of its rows.
    pub columns: Vec<Column>,
}

/// What a bundle brought the receivers of a scope of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// The row.
    Whole,
    /// The row without its blob: an ancestor out of the unit's scope.
    WithoutBlob,
    /// That it left the unit.
    Left,
}

/// Where a job database stands, and which places it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// The identity of the server, or of the folder of an embedded instance.
    pub here: String,
    /// Whether it is one of those below.
    pub is_known: bool,
    /// Those on which it was deployed, and to which it was said to have moved, oldest first; none before
    /// the first deployment.
    pub known: Vec<String>,
}

impl Servers {
    /// That the job database stands where it was deployed, or where it was said to have moved. A copy,
    /// which has the same SourceId, would go on with the original's chains.
    ///
    /// # Errors
    /// Config, with the two commands of which one is due.
    pub fn check(&self) -> Result<()> {
        if self.is_known {
            return Ok(());
        }
        let Some(last) = self.known.last() else {
            return Err(Error::config("the job database does not know on which server it is").hint("run deploy"));
        };
        let what =
            format!("this job database was deployed on {last}, and is on {} now; nothing was changed", self.here);
        Err(Error::config(what).hint(
            "if the original moved here, or this is its failover partner, say so once with `blobdelta deploy --moved`; \
             if this is a copy, and the original may go on, `blobdelta deploy --copied` makes it a source of its own, \
             which begins with a full load and ships nothing of what the original had still to ship",
        ))
    }
}
