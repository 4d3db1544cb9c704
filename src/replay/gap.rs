//! What is missing before a bundle, and what a target notes of it.

use crate::backend::AppliedBundle;
use crate::bundle::{Bundle, TableInfo, Uncovered};
use crate::error::Result;
use crate::links::{Span, brings_again};
use crate::model::column::is_delta;
use crate::model::digest::Sha256;
use crate::model::time::Timestamp;
use std::fmt;

/// What a target notes of what a compacted bundle was made without.
const MADE_WITHOUT: &str = "the bundle that came was compacted without this one";

/// Why a bundle does not follow what the target has of its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReplayGap {
    /// No window covers the time before the bundle's.
    Missing(Span),
    /// It names a bundle before it that was never applied here.
    Foreign { previous: Sha256 },
    /// The same, and it is the first of its chain that comes here.
    NotTheStart { previous: Sha256 },
    /// It was compacted without a bundle that was never applied here.
    MadeWithout { root: Sha256 },
}

impl fmt::Display for ReplayGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(Span { start, end }) => {
                write!(f, "bundles of this chain are missing: nothing covers the time from {start} to {end}")
            }
            Self::Foreign { previous } => {
                write!(f, "this bundle follows one with the root digest {previous}, which was never applied here")
            }
            Self::NotTheStart { previous } => {
                write!(
                    f,
                    "this bundle is not the first of its chain: it follows one with the root digest {previous}, which \
                     was never applied here"
                )
            }
            Self::MadeWithout { root } => {
                write!(
                    f,
                    "this bundle was compacted without one with the root digest {root}, which was never applied here"
                )
            }
        }
    }
}

impl ReplayGap {
    /// `since`: up to when the target has everything of the chain, where it does.
    pub(super) fn hint(&self, table: &TableInfo, since: Option<Timestamp>) -> String {
        let todo = match self {
            Self::Missing(_) => "replay the bundles between as well",
            Self::Foreign { .. } => {
                "replay that bundle too; if the source was set back to an earlier state, replay into a new database"
            }
            Self::NotTheStart { .. } => {
                "replay the chain from its start, or from a compacted bundle that begins with it"
            }
            Self::MadeWithout { .. } => "replay that bundle too",
        };
        let since = since.unwrap_or(Timestamp::MIN);
        format!(
            "{todo}; if it is lost for good, allow the gap with --allow-gap, and {}",
            brings_again(table, since.minus_minutes(table.window.buffer_minutes))
        )
    }
}

/// What the target notes of a bundle once it is applied: itself, what was compacted into it, and what it was compacted
/// without: a bundle under its root digest, time under a digest of its own.
pub(super) fn noted(
    bundle: &Bundle,
    table: &TableInfo,
    (gap, is_other_source): (Option<&ReplayGap>, bool),
) -> Result<Vec<AppliedBundle>> {
    let mut columns = table.model_columns()?;
    columns.retain(|column| !is_delta(&column.name));
    let whole = AppliedBundle {
        source_id: bundle.manifest().run.source_id,
        table: table.name.clone(),
        scope: table.scope.0.to_string(),
        root_sha256: bundle.root_sha256(),
        previous: table.previous.map(|previous| previous.root_sha256),
        window: Some((table.window.start, table.window.end)),
        gap: gap.map(ReplayGap::to_string),
        is_other_source,
        within: None,
        columns,
    };
    let within = |input: &Sha256| AppliedBundle {
        root_sha256: *input,
        previous: None,
        window: None,
        gap: None,
        is_other_source: false,
        within: Some(bundle.root_sha256()),
        columns: Vec::new(),
        ..whole.clone()
    };
    let lost = |root: Sha256, window| AppliedBundle { window, gap: Some(MADE_WITHOUT.into()), ..within(&root) };
    let inputs = bundle.manifest().inputs.iter().map(within);
    let bundles = table.missing.bundles.iter().map(|root| lost(*root, None));
    let windows = table.missing.windows.iter().map(|Uncovered { start, end }| {
        lost(Sha256::of(format!("{} {start} {end}", bundle.root_sha256()).as_bytes()), Some((*start, *end)))
    });
    Ok(std::iter::once(whole.clone()).chain(inputs).chain(bundles).chain(windows).collect())
}
