//! Exit codes: one exhaustive match, so that a new kind of error has to choose its code.

use crate::error::Kind;
use std::process::ExitCode;

/// What the caller of the process is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed.
    Failed,
    /// 2: wrong arguments or configuration.
    Usage,
    /// 3: verification found something.
    Verification,
    /// 4: another run holds the lease.
    LeaseHeld,
    /// 5: the chain has a gap.
    ChainGap,
    /// 6: some tables failed, the others are done.
    SomeFailed,
    /// 7: done, but not shipped.
    NotShipped,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Verification => 3,
            Self::LeaseHeld => 4,
            Self::ChainGap => 5,
            Self::SomeFailed => 6,
            Self::NotShipped => 7,
        }
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Usage | Kind::Config => Self::Usage,
            Kind::Database | Kind::Io | Kind::Superseded | Kind::Cancelled | Kind::Internal => Self::Failed,
            Kind::Verification => Self::Verification,
            Kind::LeaseHeld => Self::LeaseHeld,
            Kind::ChainGap => Self::ChainGap,
            Kind::Blocked | Kind::NotPacked | Kind::PartlyFailed => Self::SomeFailed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The name of a kind, as `--json` spells it.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Usage => "usage",
        Kind::Config => "config",
        Kind::Database => "database",
        Kind::Io => "io",
        Kind::Verification => "verification",
        Kind::LeaseHeld => "lease_held",
        Kind::Superseded => "superseded",
        Kind::ChainGap => "chain_gap",
        Kind::NotPacked => "not_packed",
        Kind::Blocked => "blocked",
        Kind::PartlyFailed => "partly_failed",
        Kind::Cancelled => "cancelled",
        Kind::Internal => "internal",
    }
}
