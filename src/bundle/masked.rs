//! What a manifest says of a bundle that was masked (rule 29).

use super::canonical::few;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::name::TableName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskedInfo {
    /// SHA-256 of the policies that it was masked by, ascending: one, and more in a bundle that was compacted from masked
    /// ones.
    #[serde(deserialize_with = "few::<1_000, _, _>")]
    pub policies: Vec<Sha256>,
    /// What stands for the root digest of the original. Only who has the masking secret can tell of which original; null in
    /// a bundle that was compacted from masked ones.
    pub original: Option<Sha256>,
    /// The masked columns, by table.
    #[serde(deserialize_with = "few::<10_000, _, _>")]
    pub tables: Vec<MaskedTable>,
}

/// The masked columns of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskedTable {
    /// The table.
    pub table: TableName,
    /// Its columns that are not kept, in their order.
    #[serde(deserialize_with = "few::<4_096, _, _>")]
    pub columns: Vec<MaskedColumn>,
}

/// How a column was masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskedColumn {
    /// The column.
    pub column: String,
    /// The name of the mask.
    pub mask: String,
    /// The domain that the policy names, if it names one: the same value has the same mask in all columns of it.
    pub domain: Option<String>,
}

impl MaskedInfo {
    /// Of a bundle that is compacted from bundles of these, in order; nothing, if none of them is masked.
    pub fn together<'m>(masked: impl IntoIterator<Item = &'m Self>) -> Option<Self> {
        let masked: Vec<&Self> = masked.into_iter().collect();
        let policies: BTreeSet<Sha256> = masked.iter().flat_map(|masked| masked.policies.clone()).collect();
        let mut tables: BTreeMap<&TableName, Vec<MaskedColumn>> = BTreeMap::new();
        for table in masked.iter().flat_map(|masked| &masked.tables) {
            let columns = tables.entry(&table.table).or_default();
            for column in &table.columns {
                columns.retain(|other| !other.column.eq_ignore_ascii_case(&column.column));
                columns.push(column.clone());
            }
        }
        let tables = tables.into_iter().map(|(table, columns)| MaskedTable { table: table.clone(), columns }).collect();
        (!masked.is_empty()).then(|| Self { policies: policies.into_iter().collect(), original: None, tables })
    }

    /// Whether it agrees with a manifest that has these tables.
    ///
    /// # Errors
    /// Verification: a table that the bundle does not have, or policies that do not ascend.
    pub(super) fn check(&self, is_table: impl Fn(&TableName) -> bool) -> Result<()> {
        if !self.policies.is_sorted_by(|a, b| a < b) || self.policies.is_empty() {
            return Err(Error::verification("the policies that it was masked by do not ascend, or there are none"));
        }
        match self.tables.iter().find(|masked| !is_table(&masked.table)) {
            Some(masked) => {
                Err(Error::verification("it says that a table was masked which it does not have").table(&masked.table))
            }
            None => Ok(()),
        }
    }
}
