//! Which table of which bundle comes first.

use super::model::{ChainId, Link};
use crate::bundle::{Bundle, TableInfo};
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// Links in order, by their places in the list that was asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ordered {
    /// Every link once; those of circles stand at the end, by their runs.
    pub order: Vec<usize>,
    /// Those whose links lead in a circle, or to one: no honest manifests do that.
    pub circle: BTreeSet<usize>,
}

/// Puts the links of any number of chains in order: each after the one that it follows, where that
/// is there, or after the compacted bundle that has its place; and else by their runs.
pub fn in_order(links: &[Link]) -> Ordered {
    let known = KnownLinks::of(links);
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); links.len()];
    let mut ready = BinaryHeap::new();
    let due = |nth: usize| Reverse((links[nth].run_order, links[nth].root, nth));
    for (nth, link) in links.iter().enumerate() {
        match link.previous.and_then(|previous| known.holder(&link.chain, previous)) {
            Some(before) => followers[before].push(nth),
            None => ready.push(due(nth)),
        }
    }
    let mut order = Vec::with_capacity(links.len());
    while let Some(Reverse((_, _, nth))) = ready.pop() {
        order.push(nth);
        ready.extend(followers[nth].iter().map(|follower| due(*follower)));
    }
    let placed: BTreeSet<usize> = order.iter().copied().collect();
    let circle: BTreeSet<usize> = (0..links.len()).filter(|nth| !placed.contains(nth)).collect();
    let mut left: Vec<usize> = circle.iter().copied().collect();
    left.sort_by_key(|nth| (links[*nth].run_order, links[*nth].root, *nth));
    order.extend(left);
    Ordered { order, circle }
}

/// Which link has a root digest, or its place.
struct KnownLinks<'l> {
    own: BTreeMap<(&'l ChainId, Sha256), usize>,
    within: BTreeMap<(&'l ChainId, Sha256), usize>,
}

impl<'l> KnownLinks<'l> {
    fn of(links: &'l [Link]) -> Self {
        let (mut own, mut within) = (BTreeMap::new(), BTreeMap::new());
        for (nth, link) in links.iter().enumerate() {
            own.entry((&link.chain, link.root)).or_insert(nth);
            for input in &link.inputs {
                let holder = within.entry((&link.chain, *input)).or_insert(nth);
                if (link.run_order, link.root) < (links[*holder].run_order, links[*holder].root) {
                    *holder = nth;
                }
            }
        }
        Self { own, within }
    }

    fn holder(&self, chain: &'l ChainId, root: Sha256) -> Option<usize> {
        let place = (chain, root);
        self.own.get(&place).or_else(|| self.within.get(&place)).copied()
    }
}

/// Bundles in the order of their first tables, each once.
///
/// # Errors
/// Verification: links that lead in a circle.
pub fn bundles_in_order(bundles: Vec<Bundle>) -> Result<Vec<Bundle>> {
    let mut places: BTreeMap<Sha256, usize> = BTreeMap::new();
    for (nth, (bundle, _)) in tables_in_order(&bundles)?.into_iter().enumerate() {
        places.entry(bundle.root_sha256()).or_insert(nth);
    }
    let mut bundles = bundles;
    bundles.sort_by_key(|bundle| places.get(&bundle.root_sha256()).copied());
    let mut seen = BTreeSet::new();
    bundles.retain(|bundle| seen.insert(bundle.root_sha256()));
    Ok(bundles)
}

/// The tables of bundles in order; a bundle that is there twice counts once.
///
/// # Errors
/// Verification, with a bundle of it: links that lead in a circle.
pub fn tables_in_order<'b>(bundles: impl IntoIterator<Item = &'b Bundle>) -> Result<Vec<(&'b Bundle, &'b TableInfo)>> {
    let mut seen = BTreeSet::new();
    let once = bundles.into_iter().filter(|bundle| seen.insert(bundle.root_sha256()));
    let tables: Vec<(&'b Bundle, &'b TableInfo)> =
        once.flat_map(|bundle| bundle.manifest().tables.iter().map(move |table| (bundle, table))).collect();
    let links: Vec<Link> = tables.iter().map(|(bundle, table)| Link::of(bundle, table)).collect();
    let ordered = in_order(&links);
    if let Some((bundle, table)) = ordered.circle.first().map(|nth| tables[*nth]) {
        return Err(Error::verification("the links of these bundles to the ones before them lead in a circle")
            .table(&table.name)
            .file(bundle.path())
            .hint("a manifest among them does not say the truth: ask the sender for these bundles again"));
    }
    Ok(ordered.order.into_iter().map(|nth| tables[nth]).collect())
}
