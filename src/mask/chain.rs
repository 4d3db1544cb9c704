//! The links of masked bundles. Which masked bundle is made of which original is found by what stands in it for the root
//! digest of the original, which only who has the secret can compute.

use super::secret::MaskSecret;
use crate::bundle::{Access, Bundle, MaskedInfo, MaskedTable, TableInfo, open_or_skip, places};
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
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
    /// Those that stand there, by their root digests.
    standing: BTreeMap<Sha256, StandingBundle>,
}

/// What a masked bundle that stands in the folder says of itself.
struct StandingBundle {
    path: PathBuf,
    masked: MaskedInfo,
    inputs: Vec<Sha256>,
    /// What each of its tables follows.
    previous: BTreeMap<TableName, Sha256>,
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
        let mut chain = Self { secret, roots: BTreeMap::new(), standing: BTreeMap::new() };
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
                let follows = |table: &TableInfo| Some((table.name.clone(), table.previous?.root_sha256));
                let standing = StandingBundle {
                    path: bundle.path().to_owned(),
                    masked: masked.clone(),
                    inputs: manifest.inputs.clone(),
                    previous: manifest.tables.iter().filter_map(follows).collect(),
                };
                chain.standing.insert(bundle.root_sha256(), standing);
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

    fn standing(&self, original: Sha256) -> Option<&StandingBundle> {
        self.standing.get(&self.known(original)?)
    }

    /// That an original whose masked bundle stands there would become that one again. `coming` are all originals of the call.
    ///
    /// # Errors
    /// Config: by another policy, or behind other masked bundles.
    pub(super) fn check_again(&self, original: &Bundle, policy: Sha256, coming: &BTreeSet<Sha256>) -> Result<()> {
        let Some(standing) = self.standing(original.root_sha256()) else { return Ok(()) };
        if !standing.masked.policies.contains(&policy) {
            let text = "this bundle was masked already, by another policy";
            return Err(Error::config(text).file(&standing.path).hint(
                "keep the masked bundle that stands there, and leave its original out; if no receiver has it, remove it, and \
                 those that follow it, and mask their originals again",
            ));
        }
        let manifest = original.manifest();
        let is_to_come = |root: &Sha256| self.known(*root).is_none() && coming.contains(root);
        let due = |root: &Sha256| self.root(*root);
        let follows_others = manifest.tables.iter().any(|table| {
            let before = table.previous.map(|previous| previous.root_sha256);
            before.is_some_and(|root| is_to_come(&root))
                || before.as_ref().map(due) != standing.previous.get(&table.name).copied()
        });
        let has_others = manifest.inputs.iter().any(is_to_come) || self.inputs(&manifest.inputs) != standing.inputs;
        if !follows_others && !has_others {
            return Ok(());
        }
        let text = "this bundle was masked already, when other masked bundles stood there than do now";
        Err(Error::config(text).file(&standing.path).hint(
            "masked bundles are linked to the masked bundles before them: keep it, and leave its original out; if no receiver \
             has it, remove it, and those that follow it, and mask their originals again, all in one call",
        ))
    }

    /// That a table is masked as in the masked bundle of an original, if that stands there: rows of both meet in one target.
    ///
    /// # Errors
    /// Config: a column that was masked and is not, or by another mask or domain.
    pub(super) fn check_alike(&self, original: Sha256, table: &TableInfo, now: &MaskedTable) -> Result<()> {
        let Some(standing) = self.standing(original) else { return Ok(()) };
        let Some(before) = standing.masked.tables.iter().find(|before| before.table == table.name) else {
            return Ok(());
        };
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
