//! The links of masked bundles. Which masked bundle is made of which original is found by what stands in it for the root
//! digest of the original, which only who has the secret can compute.

use super::secret::MaskSecret;
use crate::bundle::{Access, MaskedInfo, MaskedTable, TableInfo, open_or_skip, places};
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::monitor::Monitor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What to do where a column is masked otherwise than before.
const OTHERWISE: &str = "rows of both would meet at receivers: use the policy that was used then; or make a new secret, which \
                         begins a new chain, into another folder";

/// The masked bundles that are known, by what stands for their originals.
pub(super) struct MaskedChain<'s> {
    secret: &'s MaskSecret,
    roots: BTreeMap<Sha256, Sha256>,
    /// What the manifests of those that stand there say, by their root digests.
    infos: BTreeMap<Sha256, MaskedInfo>,
}

impl<'s> MaskedChain<'s> {
    /// Those of these sources that stand in a folder. What cannot be opened is reported and passed by.
    ///
    /// # Errors
    /// Io, if the folder cannot be listed; Cancelled.
    pub(super) fn existing(
        secret: &'s MaskSecret,
        sources: &BTreeSet<Guid>,
        out_dir: &Path,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let mut chain = Self { secret, roots: BTreeMap::new(), infos: BTreeMap::new() };
        let folder: PathBuf = out_dir.to_owned();
        for place in places(std::slice::from_ref(&folder))? {
            monitor.check()?;
            let Some(bundle) = open_or_skip(&place.path, &Access::default(), monitor)? else { continue };
            let manifest = bundle.manifest();
            let Some(masked) = manifest.masked.as_ref().filter(|_| sources.contains(&manifest.run.source_id)) else {
                continue;
            };
            if let Some(original) = masked.original {
                chain.roots.insert(original, bundle.root_sha256());
                chain.infos.insert(bundle.root_sha256(), masked.clone());
            }
        }
        Ok(chain)
    }

    /// What stands for an original in its masked bundle.
    pub(super) fn stand_in(&self, original: Sha256) -> Sha256 {
        self.secret.masked_root(original)
    }

    /// The masked bundle of an original was published.
    pub(super) fn add(&mut self, original: Sha256, masked: Sha256) {
        self.roots.insert(self.stand_in(original), masked);
    }

    /// The root digest of the masked bundle of an original, if there is one.
    pub(super) fn known(&self, original: Sha256) -> Option<Sha256> {
        self.roots.get(&self.stand_in(original)).copied()
    }

    /// The same, or what stands for it: no bundle has that, so it is a gap for everybody.
    pub(super) fn root(&self, original: Sha256) -> Sha256 {
        self.known(original).unwrap_or_else(|| self.stand_in(original))
    }

    /// That a table is masked as in the masked bundle of an original, if that stands there: rows of both meet in one target.
    ///
    /// # Errors
    /// Config: a column that was masked and is not, or by another mask or domain.
    pub(super) fn check_alike(&self, original: Sha256, table: &TableInfo, now: &MaskedTable) -> Result<()> {
        let Some(info) = self.known(original).and_then(|root| self.infos.get(&root)) else { return Ok(()) };
        let Some(before) = info.tables.iter().find(|before| before.table == table.name) else { return Ok(()) };
        let places = [Some(&table.key_column), table.path_column.as_ref(), table.parent_path_column.as_ref()];
        let was_kept = |name: &str| before.columns.iter().all(|was| !was.column.eq_ignore_ascii_case(name));
        let places = places.into_iter().flatten();
        for place in places.filter(|place| was_kept(place)) {
            if let Some(now) = now.columns.iter().find(|now| now.column == *place) {
                let text = format!(
                    "the masked bundle before this one has kept this key or path, and the policy has {} for it",
                    now.mask
                );
                return Err(Error::config(text).table(&table.name).column(place).hint(OTHERWISE));
            }
        }
        for was in &before.columns {
            let is = |name: &str| name.eq_ignore_ascii_case(&was.column);
            let is_now = now.columns.iter().find(|column| is(&column.column));
            let is_alike = is_now.is_some_and(|now| now.mask == was.mask && now.domain == was.domain);
            if table.columns.iter().any(|column| is(&column.name)) && !is_alike {
                let now = is_now.map_or("keep", |now| now.mask.as_str());
                let (then, same) = (&was.mask, if now == was.mask { " of another domain" } else { "" });
                let text =
                    format!("the masked bundle before this one has {then} for this column, and the policy {now}{same}");
                return Err(Error::config(text).table(&table.name).column(&was.column).hint(OTHERWISE));
            }
        }
        Ok(())
    }

    /// Of several, ascending.
    pub(super) fn roots(&self, originals: &[Sha256]) -> Vec<Sha256> {
        originals.iter().map(|original| self.root(*original)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Of those that a bundle was compacted from: what stands for each, which does not depend on what is there, and the
    /// masked bundles that are.
    pub(super) fn inputs(&self, originals: &[Sha256]) -> Vec<Sha256> {
        let both = originals.iter().flat_map(|original| [Some(self.stand_in(*original)), self.known(*original)]);
        both.flatten().collect::<BTreeSet<_>>().into_iter().collect()
    }
}
