//! Slices: the marker row, positions in the total order, deletions.

use super::id::Guid;
use super::name::TableName;
use super::run::Scope;
use super::time::Timestamp;
use super::window::Window;

/// How a slice stands (rule 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceState {
    /// Marked as ours, never filled.
    Empty,
    /// Emptied by its run, and being filled.
    Filling,
    /// All three steps succeeded; the watermark stands at the window's end.
    Complete,
    /// In a bundle that was published and recorded.
    Packed,
}

impl SliceState {
    /// Its text in the marker row.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Filling => "Filling",
            Self::Complete => "Complete",
            Self::Packed => "Packed",
        }
    }

    /// From its text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Empty, Self::Filling, Self::Complete, Self::Packed].into_iter().find(|state| state.as_str() == text)
    }
}

/// The marker row of a slice.
#[derive(Clone, Debug)]
pub struct SliceMarker {
    /// The slice table.
    pub target: TableName,
    /// The run whose rows it holds.
    pub run_id: Option<Guid>,
    /// Their window.
    pub window: Option<Window>,
    /// Their scope.
    pub scope: Scope,
    /// How it stands.
    pub state: SliceState,
}

/// A place in the total order (depth, path, key) of rule 13; rows after it are read next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlicePosition {
    /// `DeltaDepth`.
    pub depth: i64,
    /// The path, empty in flat tables.
    pub path: Vec<u8>,
    /// The key.
    pub key: Guid,
}

/// Bounds of one read of a slice.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Stop after the row that reaches this many bytes of values.
    pub bytes: u64,
    /// Stop after this many rows.
    pub rows: u32,
    /// Values over this many bytes are not read, but given as [`super::cell::Cell::Large`].
    pub inline_bytes: u64,
}

/// Why a key has a tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeletionReason {
    /// The row is gone from the source; outranks older versions of it wherever they stand.
    Deleted,
    /// The row stands in the source, but not in the scope of its chain any more (rule 17); concerns what
    /// that chain wrote, and nothing else.
    LeftScope,
}

impl DeletionReason {
    /// Its text in tables and in parts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "Deleted",
            Self::LeftScope => "LeftScope",
        }
    }

    /// From its text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Deleted, Self::LeftScope].into_iter().find(|reason| reason.as_str() == text)
    }
}

/// A logged deletion, or a key that left the scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The key that is gone, from the source or from the scope.
    pub key: Guid,
    /// When it went, in the table's clock; competes with `ModifiedOn` (rule 15).
    pub deleted_on: Timestamp,
    /// `Deleted`: its business unit, where it is known. `LeftScope`: the unit that it left; `None` where it
    /// left the scope of all units.
    pub business_unit: Option<Guid>,
    /// Why.
    pub reason: DeletionReason,
}
