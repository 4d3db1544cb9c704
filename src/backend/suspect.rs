//! Rule 21: what a configuration that names the wrong column looks like, told from what is usual here.
//!
//! A window in which most keys have no row, or a slice in which most children have no parent, is not an empty
//! week. Nor are receivers emptied for a word in the configuration: most rows of a scope do not leave it at once, logged or not, and
//! what a log says was deleted does not stand in the source. Each fails its table, until somebody accepts the share by
//! name; what was accepted is kept in the table's configuration. The procedures of a server judge by the same numbers,
//! in the same words.

use crate::error::{Error, Result};
use crate::model::table::TableConfig;

/// With fewer of them than this, a sample of the whole table decides too.
pub(super) const FEW: u64 = 20;
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
    /// Rows that a scope was handed, and that are out of it now.
    Left,
    /// Logged deletions of rows that stand.
    StandingRow,
    /// Keys that `DeletedWhen` deletes.
    Flagged,
}

/// What there is to say of one.
struct Words {
    what: &'static str,
    lack: String,
    look: &'static str,
    usual: &'static str,
    setting: &'static str,
}

impl Suspicion {
    /// Judges what a run found; the sample is asked for where that is little.
    ///
    /// # Errors
    /// Config, with what was found and the command that accepts it.
    pub(super) fn judge(self, table: &TableConfig, found: Share, sample: impl FnOnce() -> Result<Share>) -> Result<()> {
        let accepted = self.accepted(table);
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
        let accepted = self.accepted(table);
        (whole.of >= FEW && whole.is_over(accepted)).then(|| self.error(table, whole, None, accepted))
    }

    /// Judges what a run found, of which there is no sample: of few nothing can be said.
    ///
    /// # Errors
    /// As [`Suspicion::judge`].
    pub(super) fn judge_alone(self, table: &TableConfig, found: Share) -> Result<()> {
        self.judge(table, found, || Ok(Share::default()))
    }

    fn accepted(self, table: &TableConfig) -> u8 {
        match self {
            Self::Absent => table.accepted_absent_percent,
            Self::Orphan => table.accepted_orphan_percent,
            Self::Left | Self::Flagged => table.accepted_left_percent,
            Self::StandingRow => table.accepted_standing_percent,
        }
    }

    fn words(self, table: &TableConfig) -> Words {
        match self {
            Self::Absent => Words {
                what: "keys of the metadata",
                lack: format!("have no row in {}", table.source),
                look: "MetadataIdColumn holds the keys of the source",
                usual: "many rows of the metadata have no blob here",
                setting: "AcceptedAbsentPercent",
            },
            Self::Orphan => Words {
                what: "children",
                lack: "have no parent in the source".to_owned(),
                look: "PathColumn and ParentPathColumn name the right columns",
                usual: "many parents are not kept here",
                setting: "AcceptedOrphanPercent",
            },
            Self::Left => Words {
                what: "rows that this scope was handed",
                lack: "are out of it now, and its receivers would be told to delete them".to_owned(),
                look: "MetadataFilter, MetadataBusinessUnitCol and the table of units say what they should, and \
                       BlobDeltaDeletionLog too",
                usual: "they left it",
                setting: "AcceptedLeftPercent",
            },
            Self::StandingRow => Words {
                what: "logged deletions that are due",
                lack: format!("are of rows that stand in {}, and receivers would be told to delete them", table.source),
                look: "what writes BlobDeltaDeletionLog logs rows that are gone, and take out what it should not have",
                usual: "rows that stand count as deleted here",
                setting: "AcceptedStandingPercent",
            },
            Self::Flagged => Words {
                what: "rows of this scope",
                lack: "are deleted by DeletedWhen at once, and receivers would be told to delete them".to_owned(),
                look: "DeletedWhen names the column and the values of rows that are deleted",
                usual: "they are deleted",
                setting: "AcceptedLeftPercent",
            },
        }
    }

    fn error(self, table: &TableConfig, found: Share, whole: Option<Share>, accepted: u8) -> Error {
        let Words { what, lack, look, usual, setting } = self.words(table);
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
            "see whether {look}; if so, {usual}: accept that with `blobdelta table set {} {setting}={line}`, then run again",
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
