//! [`DemoNode`]: one row of a blob table in the making, and the rules by which it gets metadata.

use super::names::{FOREIGN_UNIT, UNITS};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::time::{TICKS_PER_DAY, Timestamp};
use std::path::PathBuf;

/// Bytes that one level takes in a path.
pub const LEVEL_BYTES: usize = 4;
/// The most levels that `varbinary(892)` holds.
pub const MAX_LEVELS: usize = 892 / LEVEL_BYTES;
/// Rows with a stamp in the future are stamped so far from now.
const FUTURE_TICKS: i64 = 30 * TICKS_PER_DAY;

/// A folder or file.
#[derive(Clone, Debug)]
pub struct DemoNode {
    /// From the relative path, so that a second demo has the same keys.
    pub key: Guid,
    /// The folder that it lies in, as an index among the nodes of its table.
    pub parent: Option<usize>,
    /// Its place in the tree: a big-endian ordinal a level, so a parent's path is a prefix.
    pub path: Vec<u8>,
    /// Its name; what was no Unicode is replaced.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// The size of its file when the folder was read.
    pub bytes: u64,
    /// The file's time, not yet shifted.
    pub modified: Timestamp,
    /// The file.
    pub disk: PathBuf,
    /// Its row of metadata; some folders have none.
    pub metadata: Option<Meta>,
    /// Whether there is no such row: its file could not be read, or the row was removed.
    pub is_gone: bool,
}

/// A row of metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// `ModifiedOn`.
    pub modified_on: Option<Timestamp>,
    /// `BusinessUnit`.
    pub business_unit: Option<Guid>,
}

impl Meta {
    /// Whether a run may take it: a stamp, not after `now`, and a unit in scope.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let in_scope = self.business_unit.is_some_and(|unit| UNITS.iter().any(|(known, _)| *known == unit));
        in_scope && self.modified_on.is_some_and(|stamp| stamp <= now)
    }
}

/// A deterministic key.
pub fn key_of(table: &str, relative: &[u8]) -> Guid {
    let mut text = table.as_bytes().to_vec();
    text.push(0);
    text.extend_from_slice(relative);
    let digest = Sha256::of(&text);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    // The version and variant of RFC 9562, section 5.8 (free content).
    bytes[6] = bytes[6] & 0x0F | 0x80;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    Guid::from_bytes(bytes)
}

/// The path of the n-th child (from 1) of a folder.
pub fn child_path(parent: &[u8], ordinal: u32) -> Vec<u8> {
    let mut path = parent.to_vec();
    path.extend_from_slice(&ordinal.to_be_bytes());
    path
}

/// The metadata of the n-th file of a table: of fifty, one has no stamp and one a stamp in the
/// future; of twenty, two belong to a unit out of scope and one to none.
pub fn file_meta(nth: usize, stamp: Timestamp, now: Timestamp) -> Meta {
    let modified_on = match nth % 50 {
        3 => None,
        7 => Some(now.plus_ticks(FUTURE_TICKS)),
        _ => Some(stamp),
    };
    let business_unit = match nth % 20 {
        8 | 18 => Some(FOREIGN_UNIT),
        9 => None,
        _ => Some(UNITS[nth % UNITS.len()].0),
    };
    Meta { modified_on, business_unit }
}

/// The metadata of the n-th folder of a table: of three, one has none.
pub fn folder_meta(nth: usize, stamp: Timestamp) -> Option<Meta> {
    let unit = UNITS[nth % UNITS.len()].0;
    (nth % 3 != 1).then_some(Meta { modified_on: Some(stamp), business_unit: Some(unit) })
}
