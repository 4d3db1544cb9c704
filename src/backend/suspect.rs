//! Rule 21: what a configuration that names the wrong column looks like, told from what is usual here.
//!
//! A window in which most keys have no row, or a slice in which most children have no parent, is not an empty
//! week. It fails its table, until somebody accepts the share by name; what was accepted is kept in the table's
//! configuration. The procedures of a server judge by the same numbers, in the same words.

use crate::error::{Error, Result};
use crate::model::table::TableConfig;

/// With fewer of them than this, a sample of the whole table decides too.
const FEW: u64 = 20;
/// Rows of such a sample.
pub(super) const SAMPLE_ROWS: u32 = 1000;
/// Percent points above the share that was found, for the line that is proposed.
const ABOVE_PERCENT: u64 = 5;

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) of: u64,
    pub(super) lost: u64,
}

impl Share {
    fn is_over(self, accepted: u8) -> bool {
        self.lost.saturating_mul(100) > self.of.saturating_mul(accepted.into())
    }

    /// Rounded up.
    fn percent(self) -> u64 {
        self.lost.saturating_mul(100).div_ceil(self.of.max(1))
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Suspicion {
    /// Keys of the metadata without a row.
    Absent,
    /// Children without a parent.
    Orphan,
}

impl Suspicion {
    /// Judges what a run found; the sample is asked for where that is little.
    ///
    /// # Errors
    /// Config, with what was found and the command that accepts it.
    pub(super) fn judge(self, table: &TableConfig, found: Share, sample: impl FnOnce() -> Result<Share>) -> Result<()> {
        let accepted = match self {
            Self::Absent => table.accepted_absent_percent,
            Self::Orphan => table.accepted_orphan_percent,
        };
        if !found.is_over(accepted) {
            return Ok(());
        }
        let whole = if found.of < FEW { Some(sample()?) } else { None };
        if whole.is_some_and(|whole| whole.of < FEW || !whole.is_over(accepted)) {
            return Ok(());
        }
        Err(self.error(table, found, whole, accepted))
    }

    /// Judges a sample alone, as `table add` and `doctor` see it.
    pub(super) fn of_sample(self, table: &TableConfig, whole: Share) -> Option<Error> {
        let accepted = match self {
            Self::Absent => table.accepted_absent_percent,
            Self::Orphan => table.accepted_orphan_percent,
        };
        (whole.of >= FEW && whole.is_over(accepted)).then(|| self.error(table, whole, None, accepted))
    }

    fn error(self, table: &TableConfig, found: Share, whole: Option<Share>, accepted: u8) -> Error {
        let (what, lack, columns, usual, setting) = match self {
            Self::Absent => (
                "keys of the metadata",
                format!("have no row in {}", table.source),
                "MetadataIdColumn holds the keys of the source",
                "many rows of the metadata have no blob here",
                "AcceptedAbsentPercent",
            ),
            Self::Orphan => (
                "children",
                "have no parent in the source".to_owned(),
                "PathColumn and ParentPathColumn name the right columns",
                "many parents are not kept here",
                "AcceptedOrphanPercent",
            ),
        };
        let share = whole.map_or(found, |whole| if whole.percent() > found.percent() { whole } else { found });
        let of_whole = whole.map_or(String::new(), |whole| {
            format!(", and {} of {} in a sample of the whole table,", whole.lost, whole.of)
        });
        let text = format!(
            "suspect: {} of {} {what}{of_whole} {lack} ({} %), and at most {accepted} % are accepted",
            found.lost,
            found.of,
            share.percent()
        );
        let line = (share.percent() + ABOVE_PERCENT).min(100);
        Error::config(text).table(&table.name).hint(format!(
            "see whether {columns}; if so, {usual}: accept that with `blobdelta table set {} {setting}={line}`, then run again",
            table.name.shell_word()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::TableName;

    fn judged(found: (u64, u64), whole: (u64, u64)) -> std::result::Result<(), String> {
        let name = TableName::parse("D.dbo.T").unwrap();
        let share = |(of, lost)| Share { of, lost };
        let judged = Suspicion::Absent.judge(&TableConfig::new(name.clone(), name), share(found), || Ok(share(whole)));
        judged.map_err(|error| error.what_to_do().unwrap().to_owned())
    }

    #[test]
    fn more_than_half_of_twenty_is_suspect_and_of_fewer_where_the_whole_table_is() {
        assert_eq!(judged((20, 10), (0, 0)), Ok(()));
        assert!(judged((20, 11), (0, 0)).unwrap_err().contains("AcceptedAbsentPercent=60`"));
        assert_eq!(judged((19, 19), (1000, 500)), Ok(()));
        assert!(judged((5, 5), (1000, 501)).unwrap_err().contains("AcceptedAbsentPercent=100`"));
        assert_eq!(judged((5, 5), (19, 19)), Ok(()), "of so few nothing can be said");
        assert_eq!(judged((5, 0), (1000, 1000)), Ok(()));
        assert_eq!(judged((0, 0), (1000, 1000)), Ok(()));
    }
}
