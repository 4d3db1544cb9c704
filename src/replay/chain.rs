//! What is missing before the bundles that come, held against what the target has (rules 16 and 22).

use super::gap::ReplayGap;
use super::options::ReplayOptions;
use super::sources;
use super::work::TableWork;
use crate::backend::{AppliedBundle, Backend, TargetSpec};
use crate::bundle::{Missing, Uncovered};
use crate::error::{Error, Kind, Result};
use crate::links::{ChainFault, ChainId, Link, RunOrder, judge};
use crate::model::clock::ClockKind;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::time::Timestamp;
use crate::model::window::Window;
use std::collections::{BTreeMap, BTreeSet};

/// A note in a target that does not say what holds any more.
pub(super) struct Renoted {
    pub(super) spec: TargetSpec,
    pub(super) root: Sha256,
    pub(super) gap: Option<String>,
}

/// Holds each table of a bundle against what the target has and against all that comes, and leaves with
/// each what is wrong with it and what there is to tell. Gives the notes of what was applied before that
/// have to change once all of it is applied: a gap that is filled then, or one that nobody saw.
///
/// # Errors
/// For the first with one: Config, where it is of another source than the target's rows; ChainGap; unless that is allowed.
/// Database.
pub(super) fn settle(
    works: &mut [TableWork<'_>],
    backend: &mut dyn Backend,
    options: &ReplayOptions,
) -> Result<Vec<Renoted>> {
    let mut by_target: BTreeMap<TableName, Vec<usize>> = BTreeMap::new();
    for (nth, work) in works.iter().enumerate() {
        by_target.entry(work.spec().target.clone()).or_default().push(nth);
    }
    let mut renoted = Vec::new();
    let mut refused: Option<(usize, Error)> = None;
    let mut refuse = |nth: usize, error: Error| {
        if refused.as_ref().is_none_or(|(first, _)| nth < *first) {
            refused = Some((nth, error));
        }
    };
    for nths in by_target.into_values() {
        let Some(spec) = nths.first().map(|nth| works[*nth].spec().clone()) else { continue };
        let applied = backend.applied_bundles(&spec)?;
        if let Err((nth, error)) = sources::check(works, &nths, &applied, &options.also_from) {
            refuse(nth, error);
            continue;
        }
        for FoundGap { nth, root, gap, since } in TableLinks::new(works, &nths, &applied)?.judge(works) {
            let text = gap.as_ref().map(ReplayGap::to_string);
            if let (Some(gap), false) = (gap, options.allow_gap) {
                let bundle = nth.unwrap_or(nths[0]);
                let work = &works[bundle];
                let hint = gap.hint(work.table, since);
                let error = Error::new(Kind::ChainGap, gap.to_string()).table(&work.table.name).hint(hint);
                refuse(bundle, error.file(work.bundle.path()));
            }
            if nth.is_none() {
                renoted.push(Renoted { spec: spec.clone(), root, gap: text });
            }
        }
    }
    match refused {
        Some((_, error)) => Err(error),
        None => Ok(renoted),
    }
}

/// Whose link it is.
enum Whose<'a> {
    /// That of a bundle that comes: which of the works.
    Coming(usize),
    /// That of one that was applied before.
    Applied(&'a AppliedBundle),
}

/// The links of one table by chain, of the target and of what comes.
struct TableLinks<'a>(BTreeMap<ChainId, Vec<(Link, Whose<'a>)>>);

impl<'a> TableLinks<'a> {
    fn new(works: &[TableWork<'_>], nths: &[usize], applied: &'a [AppliedBundle]) -> Result<Self> {
        let mut links: BTreeMap<ChainId, Vec<_>> = BTreeMap::new();
        let mut within: BTreeMap<Sha256, Within> = BTreeMap::new();
        for bundle in applied {
            if let Some(whole) = bundle.within {
                within.entry(whole).or_default().add(bundle);
            }
        }
        let mut roots = BTreeSet::new();
        for bundle in applied {
            if let Some(link) = applied_link(bundle, within.remove(&bundle.root_sha256).unwrap_or_default())? {
                roots.insert(link.root);
                links.entry(link.chain.clone()).or_default().push((link, Whose::Applied(bundle)));
            }
        }
        for nth in nths {
            let link = Link::of(works[*nth].bundle, works[*nth].table);
            if roots.insert(link.root) {
                links.entry(link.chain.clone()).or_default().push((link, Whose::Coming(*nth)));
            }
        }
        Ok(Self(links))
    }

    /// Gaps that are not noted yet, and notes that do not hold any more, each with the work or without.
    fn judge(&self, works: &mut [TableWork<'_>]) -> Vec<FoundGap> {
        let mut found = Vec::new();
        for links in self.0.values() {
            let judgement = judge(&links.iter().map(|(link, _)| link).collect::<Vec<_>>());
            let mut gaps: BTreeMap<usize, ReplayGap> =
                judgement.gaps.iter().map(|gap| (gap.before, ReplayGap::Missing(gap.span))).collect();
            let mut reported: BTreeMap<usize, Vec<String>> = BTreeMap::new();
            for (nth, fault) in judgement.faults {
                let mut add = |text: String| reported.entry(nth).or_default().push(text);
                match fault {
                    ChainFault::NotTheStart(previous) => _ = gaps.insert(nth, ReplayGap::NotTheStart { previous }),
                    ChainFault::PreviousIsMissing(previous) => _ = gaps.insert(nth, ReplayGap::Foreign { previous }),
                    ChainFault::Fork(other) => add(format!(
                        "follows the same bundle as the one with the root digest {}: the source's job database was set \
                         back between them",
                        links[other].0.root
                    )),
                    ChainFault::MadeWithout(root) => _ = gaps.insert(nth, ReplayGap::MadeWithout { root }),
                    // Their windows say what they hold.
                    ChainFault::SecondStart | ChainFault::AnotherClock => {}
                }
            }
            for (nth, (link, place)) in links.iter().enumerate() {
                let gap = gaps.remove(&nth);
                let since = links[..nth].iter().map(|(link, _)| link.window.end).max();
                match place {
                    Whose::Coming(work) => {
                        let work = (&mut works[*work], *work);
                        work.0.reported.extend(reported.remove(&nth).unwrap_or_default());
                        if let Some(gap) = &gap {
                            found.push(FoundGap { nth: Some(work.1), root: link.root, gap: Some(gap.clone()), since });
                        }
                        work.0.gap = gap;
                    }
                    // One that was allowed stays allowed.
                    Whose::Applied(applied) if applied.gap.is_some() != gap.is_some() => {
                        found.push(FoundGap { nth: None, root: link.root, gap, since });
                    }
                    Whose::Applied(_) => {}
                }
            }
        }
        found
    }
}

/// A gap that is not noted yet, with the work before which it lies; or a note that does not hold any more.
struct FoundGap {
    nth: Option<usize>,
    root: Sha256,
    gap: Option<ReplayGap>,
    /// Up to when the chain has something before.
    since: Option<Timestamp>,
}

/// What the target notes of a compacted bundle beside itself.
#[derive(Default)]
struct Within {
    inputs: Vec<Sha256>,
    missing: Missing,
}

impl Within {
    fn add(&mut self, noted: &AppliedBundle) {
        match (noted.was_missing(), noted.window) {
            (false, _) => self.inputs.push(noted.root_sha256),
            (true, None) => self.missing.bundles.push(noted.root_sha256),
            (true, Some((start, end))) => self.missing.windows.push(Uncovered { start, end }),
        }
    }
}

/// The link of a bundle that was applied whole; none of one that came in another, or was missing there.
fn applied_link(applied: &AppliedBundle, within: Within) -> Result<Option<Link>> {
    let Some((start, end)) = applied.window.filter(|_| applied.within.is_none()) else { return Ok(None) };
    let scope = match applied.scope.as_str() {
        "all" => Scope::All,
        unit => Scope::BusinessUnit(Guid::parse(unit)?),
    };
    Ok(Some(Link {
        chain: ChainId { table: applied.table.clone(), scope, source_id: applied.source_id },
        root: applied.root_sha256,
        previous: applied.previous,
        inputs: within.inputs,
        missing: within.missing,
        window: Window { start, end, clock: ClockKind::Utc },
        // It stands before all that comes.
        run_order: RunOrder { started_at: Timestamp::MIN, run_id: [0; 16], pack_number: 0 },
    }))
}
