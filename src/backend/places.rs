//! [`Places`]: whose a place is, a folder or a destination, by what the job database has recorded of it (rule 18);
//! and debts of shipping that are taken back.

use crate::error::Result;
use crate::model::id::Guid;
use crate::model::run::Scope;

/// A place that this source's rows of a scope were published in, shipped to, or allowed to come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceRecord {
    /// A folder or a URL, as it was recorded.
    pub place: String,
    /// Whose rows.
    pub scope: Scope,
    /// The run that was told of it; `None` where somebody allowed it by name.
    pub run_id: Option<Guid>,
}

/// See the module's text.
pub trait Places {
    /// Every place that a run was told of, that a bundle was published or is shipped in, or that was allowed by name.
    ///
    /// # Errors
    /// Database; Config, for a scope that is none.
    fn place_records(&mut self) -> Result<Vec<PlaceRecord>>;

    /// Somebody said by name that rows of this scope may come to a place that is others'. Said once, it holds.
    ///
    /// # Errors
    /// Database.
    fn share_place(&mut self, place: &str, scope: Scope) -> Result<()>;

    /// What the bundles of a run had still to be shipped to destinations need not be any more, and recorded as waived. Gives the destinations;
    /// none, if nothing was unshipped. What was shipped stays recorded as it is.
    ///
    /// # Errors
    /// Database.
    fn waive_shipments(&mut self, run_id: Guid) -> Result<Vec<String>>;
}
