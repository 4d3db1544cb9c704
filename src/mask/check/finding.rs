//! [`MaskProof`]: what is checked of a masked bundle, and what was found.

use crate::model::name::TableName;

/// Findings that are listed; all are counted.
const MOST_LISTED: usize = 100;

/// What is checked of a masked bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskCheck {
    /// As many rows, tombstones and absent parents, with the same keys, in the same places of the same tree.
    Rows,
    /// Keys, paths and references that are masked are what the secret makes of them, and one to one.
    Keys,
    /// What is NULL was NULL, and the other way round, unless the mask says otherwise.
    Nulls,
    /// Values that are kept are the same.
    Kept,
    /// Values that are masked differ, or are of a kind that may be equal.
    Masked,
    /// Blocks of 16 bytes of masked blobs and texts are nowhere in the masked bundle.
    Blocks,
}

impl MaskCheck {
    /// All, in the order of the table.
    pub const ALL: [Self; 6] = [Self::Rows, Self::Keys, Self::Nulls, Self::Kept, Self::Masked, Self::Blocks];

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Rows => "keys and tree fit",
            Self::Keys => "masked keys are one to one",
            Self::Nulls => "NULLs fit",
            Self::Kept => "kept values are equal",
            Self::Masked => "masked values differ",
            Self::Blocks => "no block of a masked value is left",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskFinding {
    /// What was checked.
    pub check: MaskCheck,
    /// The table.
    pub table: TableName,
    /// The column, if it is about one.
    pub column: Option<String>,
    /// The key of the row in the original, if it is about one.
    pub key: Option<String>,
    /// What is wrong, without any value.
    pub detail: String,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct MaskProof {
    /// Of each check, in the order of [`MaskCheck::ALL`]: how many it looked at, and how many were wrong.
    pub counts: [(u64, u64); 6],
    /// The first findings.
    pub findings: Vec<MaskFinding>,
}

impl MaskProof {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.counts.iter().all(|(_, found)| *found == 0)
    }

    pub(super) fn checked(&mut self, check: MaskCheck, count: u64) {
        self.counts[check as usize].0 += count;
    }

    pub(super) fn found(&mut self, finding: MaskFinding) {
        self.counts[finding.check as usize].1 += 1;
        if self.findings.len() < MOST_LISTED {
            self.findings.push(finding);
        }
    }
}
