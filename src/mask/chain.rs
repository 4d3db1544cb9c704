//! The links of masked bundles. Which masked bundle is made of which original is found by what stands in it for the root
//! digest of the original, which only who has the secret can compute.

use super::secret::MaskSecret;
use crate::bundle::{Access, MaskedInfo, open_or_skip, places};
use crate::error::Result;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::monitor::Monitor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The masked bundles that are known, by what stands for their originals.
pub(super) struct MaskedChain<'s> {
    secret: &'s MaskSecret,
    roots: BTreeMap<Sha256, Sha256>,
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
        let mut chain = Self { secret, roots: BTreeMap::new() };
        let folder: PathBuf = out_dir.to_owned();
        for place in places(std::slice::from_ref(&folder))? {
            monitor.check()?;
            let Some(bundle) = open_or_skip(&place.path, &Access::default(), monitor)? else { continue };
            let manifest = bundle.manifest();
            let original = manifest.masked.as_ref().and_then(|masked: &MaskedInfo| masked.original);
            if let Some(original) = original.filter(|_| sources.contains(&manifest.run.source_id)) {
                chain.roots.insert(original, bundle.root_sha256());
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
