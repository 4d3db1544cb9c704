//! What is missing before a bundle, and what a target notes of it.

use crate::backend::AppliedBundle;
use crate::bundle::{Bundle, TableInfo};
use crate::links::Span;
use crate::model::digest::Sha256;
use std::fmt;

/// Why a bundle does not follow what the target has of its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// No window covers the time before the bundle's.
    Missing(Span),
    /// It names a bundle before it that was never applied here.
    Foreign { previous: Sha256 },
    /// The same, and it is the first of its chain that comes here.
    NotTheStart { previous: Sha256 },
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(Span { start, end }) => {
                write!(f, "bundles of this chain are missing: it ends at {start}, and this one starts at {end}")
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
        }
    }
}

impl Gap {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Missing(_) => "replay the bundles between as well, or allow the gap with --allow-gap",
            Self::Foreign { .. } => {
                "replay that bundle too; if the source was set back to an earlier state, replay into a new database; \
                 or allow the gap with --allow-gap"
            }
            Self::NotTheStart { .. } => {
                "replay the chain from its start, or from a compacted bundle that begins with it; or allow the gap \
                 with --allow-gap, and all that was never changed since is missing here"
            }
        }
    }
}

/// What the target notes of a bundle once it is applied: itself, and what was compacted into it.
pub(super) fn noted(
    bundle: &Bundle,
    table: &TableInfo,
    (gap, is_other_source): (Option<&Gap>, bool),
) -> Vec<AppliedBundle> {
    let whole = AppliedBundle {
        source_id: bundle.manifest().run.source_id,
        table: table.name.clone(),
        scope: table.scope.0.to_string(),
        root_sha256: bundle.root_sha256(),
        previous: table.previous.map(|previous| previous.root_sha256),
        window: Some((table.window.start, table.window.end)),
        gap: gap.map(Gap::to_string),
        is_other_source,
        within: None,
    };
    let within = |input: &Sha256| AppliedBundle {
        root_sha256: *input,
        previous: None,
        window: None,
        gap: None,
        is_other_source: false,
        within: Some(bundle.root_sha256()),
        ..whole.clone()
    };
    let inputs: Vec<AppliedBundle> = bundle.manifest().inputs.iter().map(within).collect();
    std::iter::once(whole.clone()).chain(inputs).collect()
}
