//! [`WantedRows`]: the rows that are written, one after the other.

use super::columns::UnpackColumns;
use super::latest::{SourceVersion, Winners};
use super::options::UnpackOptions;
use super::scan;
use crate::convert::BatchRows;
use crate::error::Result;
use crate::known::{Holders, KnownValues};
use crate::model::cell::RowSource as _;
use crate::model::id::Guid;
use crate::model::time::Timestamp;
use crate::monitor::{Event, Monitor};
use crate::rows::TableRows;

/// See the module's text.
pub(super) struct WantedRows<'a> {
    pub(super) options: &'a UnpackOptions,
    pub(super) monitor: &'a dyn Monitor,
    /// Of several bundles: the latest versions.
    pub(super) winners: Option<Winners>,
}

/// A table of a bundle.
pub(super) struct WantedSource<'b> {
    /// Its number among those that are unpacked together.
    pub(super) nth: u32,
    pub(super) rows: TableRows<'b>,
    pub(super) columns: &'b UnpackColumns,
}

/// Takes a row: its key, and its time.
type TakeRow<'t> = &'t mut dyn FnMut(&BatchRows, usize, (Guid, Option<Timestamp>)) -> Result<()>;

impl WantedRows<'_> {
    /// Finds the values that rows leave out which are written.
    ///
    /// # Errors
    /// As [`KnownValues::need`], [`KnownValues::find`] and [`KnownValues::check_found`].
    pub(super) fn left_out<'h, 'b>(
        &mut self,
        whole: &[(TableRows<'_>, UnpackColumns)],
        holders: &'h Holders<'b>,
    ) -> Result<KnownValues<'h, 'b>> {
        let mut known = KnownValues::new(holders, true);
        for (nth, (source, columns)) in (0_u32..).zip(whole) {
            let Some(blob) = columns.blob.filter(|_| !source.table.known_content.is_empty()) else { continue };
            let wanted = WantedSource { nth, rows: *source, columns };
            self.each(&wanted, None, &mut |rows, row, (key, _)| match rows.known_ref(row, blob)? {
                Some(left) => {
                    let name = &rows.plan().columns()[blob].name;
                    known.need(*source, (key, name), (rows.content_sha256(row, blob)?, left))
                }
                None => Ok(()),
            })?;
        }
        known.find(false, self.monitor)?;
        known.check_found()?;
        Ok(known)
    }

    /// Goes through the rows of a table that are written; with the values that they leave out, where these were found.
    ///
    /// # Errors
    /// As [`scan::rows`]; what `take` gives.
    pub(super) fn each(
        &mut self,
        source: &WantedSource<'_>,
        known: Option<&mut KnownValues<'_, '_>>,
        take: TakeRow<'_>,
    ) -> Result<()> {
        let WantedSource { nth, rows: table, columns } = source;
        let asked = match self.options.key.as_deref().map(|key| table.table.key_type().parse(key)).transpose() {
            // What is no key of this table is one of another's, or nobody's, and that is told at the end.
            Err(_) if self.options.table.is_none() => return Ok(()),
            asked => asked?,
        };
        let is_counted = known.is_some();
        let each = &mut |rows: &BatchRows| {
            for row in 0..rows.rows() {
                let key = rows.key(row)?;
                let version = rows.version(row, false)?;
                let is_latest = match &mut self.winners {
                    Some(winners) => winners.get(key)? == Some(SourceVersion { version, source: *nth }),
                    None => true,
                };
                if is_latest && asked.is_none_or(|asked| asked == key) && columns.is_wanted(rows, row)? {
                    take(rows, row, (key, version.modified_on))?;
                }
            }
            if is_counted {
                self.monitor.event(Event::WorkDone { rows: rows.rows() as u64, bytes: 0 });
            }
            Ok(())
        };
        match known {
            Some(known) => scan::whole_rows(*table, (&columns.read, known), self.monitor, each),
            None => scan::rows(*table, &columns.read, self.monitor, each),
        }
    }
}
