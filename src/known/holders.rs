//! [`Holders`]: bundles at hand, by what others call them that lean on them.

use crate::bundle::manifest::BundleKind;
use crate::bundle::{Bundle, TableInfo};
use crate::convert::BatchRows;
use crate::error::Result;
use crate::links::ChainId;
use crate::model::digest::Sha256;
use crate::rows::TableRows;
use std::collections::{BTreeMap, BTreeSet};

/// See the module's text.
pub struct Holders<'b> {
    tables: Vec<TableRows<'b>>,
    /// By chain and root digest: the tables that have the values, that of the bundle itself first.
    by_root: BTreeMap<(ChainId, Sha256), Vec<usize>>,
}

impl<'b> Holders<'b> {
    /// The tables of these bundles. A compacted one holds what the bundles held whose place it takes.
    pub fn of(bundles: impl IntoIterator<Item = &'b Bundle>) -> Self {
        let (mut tables, mut by_root) = (Vec::new(), BTreeMap::<_, Vec<usize>>::new());
        let (mut deltas, mut compacted, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for bundle in bundles.into_iter().filter(|bundle| seen.insert(bundle.root_sha256())) {
            match bundle.manifest().kind {
                BundleKind::Delta => deltas.push(bundle),
                BundleKind::Compacted => compacted.push(bundle),
            }
        }
        for bundle in deltas.into_iter().chain(compacted) {
            let inputs = bundle.manifest().inputs.iter().copied();
            let roots: Vec<Sha256> = inputs.chain([bundle.root_sha256()]).collect();
            for table in &bundle.manifest().tables {
                for root in &roots {
                    by_root.entry((chain_of(bundle, table), *root)).or_default().push(tables.len());
                }
                tables.push(TableRows { bundle, table });
            }
        }
        Self { tables, by_root }
    }

    /// The bundles that a table leans on and that are not here.
    pub fn absent<'s>(&'s self, source: TableRows<'s>) -> impl Iterator<Item = Sha256> + 's {
        let known = source.table.known_content.iter().map(|known| known.root_sha256);
        known.filter(move |root| self.named(source, *root).is_empty())
    }

    /// The table in whose `blob/` a value lies that a row names: its own, or another one of its chain.
    pub fn holder_of(&self, source: TableRows<'b>, reference: &str) -> TableRows<'b> {
        if source.table.blob_file(reference).is_some() {
            return source;
        }
        let mut of_chain = self.of_chain(source).into_iter().map(|nth| self.tables[nth]);
        of_chain.find(|other| other.table.blob_file(reference).is_some()).unwrap_or(source)
    }

    /// Says how many bytes values in `blob/` have, wherever they lie.
    ///
    /// # Errors
    /// As [`TableRows::blob_file`].
    pub fn supply_sizes(&self, source: TableRows<'b>, rows: &mut BatchRows) -> Result<()> {
        for large in rows.large_refs()? {
            let file = self.holder_of(source, &large.reference).blob_file(&large.reference)?;
            rows.supply_size(&large, file.content_bytes.unwrap_or(0));
        }
        Ok(())
    }

    /// The tables that have what a bundle holds on which a table of the same chain leans.
    pub(super) fn named(&self, source: TableRows<'_>, root: Sha256) -> &[usize] {
        let found = self.by_root.get(&(chain_of(source.bundle, source.table), root));
        found.map(Vec::as_slice).unwrap_or_default()
    }

    /// All tables of the same chain as another's.
    pub(super) fn of_chain(&self, source: TableRows<'_>) -> Vec<usize> {
        let chain = chain_of(source.bundle, source.table);
        let is_of_it = |(_, other): &(usize, &TableRows<'_>)| chain_of(other.bundle, other.table) == chain;
        self.tables.iter().enumerate().filter(is_of_it).map(|(nth, _)| nth).collect()
    }

    pub(super) fn tables(&self) -> &[TableRows<'b>] {
        &self.tables
    }
}

fn chain_of(bundle: &Bundle, table: &TableInfo) -> ChainId {
    ChainId { table: table.name.clone(), scope: table.scope.0, source_id: bundle.manifest().run.source_id }
}
