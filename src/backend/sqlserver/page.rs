//! Reading tables in order, a page a call, from one statement that goes on between the calls.
//!
//! **How it lives.** [`Cursor`] stands behind the last row that was handed out. A call that goes
//! on from there takes the next rows of the open stream; any other call, and one whose stream
//! broke, opens a stream behind the position that it was given. So a lost connection costs a sort,
//! and no row.

use super::database::{Database, watch_of};
use super::key_id::key_value;
use super::large::{self, ValuePlace};
use super::readers::{self, ParallelReaders};
use super::reading::{Cursor, Reading};
use super::stream::{BATCHES_HELD, MOST_BATCH_BYTES, Next, RowReading};
use crate::error::Result;
use crate::model::cell::CellSink;
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::slice::{ReadLimits, SlicePosition};
use std::time::Duration;

/// A stream is opened again so often without a row in between.
const MAX_TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// The next rows of a reading, until a limit is reached. Returns the last row's position,
/// `None` if there was no row.
///
/// # Errors
/// Database; whatever the sink says.
pub(super) fn read_page(
    db: &mut Database,
    reading: Reading,
    after: Option<&SlicePosition>,
    limits: ReadLimits,
    sink: &mut dyn CellSink,
) -> Result<Option<SlicePosition>> {
    // Taken out, so that it is dropped by whatever goes wrong.
    let existing = db.cursor.take().filter(|cursor| cursor.reading == reading && Some(&cursor.at) == after);
    let mut rows = match existing {
        Some(Cursor { rows: None, .. }) => return Ok(None),
        Some(cursor) => cursor.rows,
        None => None,
    };
    let mut last: Option<SlicePosition> = None;
    let (mut bytes, mut count, mut tries) = (0, 0, 0);
    while count < limits.rows && bytes < limits.bytes {
        let open = match &mut rows {
            Some(open) => open,
            None => rows.insert(open_readers(db, &reading, last.as_ref().or(after))?),
        };
        match open.next() {
            Next::Row(row) => {
                let position = reading.position(&row)?;
                // Rows that one connection sees and another does not shift those behind them.
                if last.as_ref().or(after) == Some(&position) {
                    return Err(readers::differ());
                }
                let mut measure = |column: &Column| measure(db, &reading, position.key, column);
                let given = reading.give(&row, &mut measure, sink);
                bytes += given.map_err(|error| error.key(reading.key_type.shown(position.key)))?;
                (last, tries, count) = (Some(position), 0, count + 1);
            }
            Next::End => {
                db.readers = rows.map(ParallelReaders::into_clients).unwrap_or_default();
                db.cursor = last.clone().map(|at| Cursor { reading, at, rows: None });
                return Ok(last);
            }
            Next::Lapsed => rows = None,
            Next::Broken(_, true) if tries < MAX_TRIES => {
                tries += 1;
                std::thread::sleep(PAUSE * tries);
                rows = None;
                db.client.reach()?;
            }
            Next::Broken(error, _) => return Err(error),
        }
    }
    if let (Some(rows), Some(at)) = (rows, &last) {
        db.cursor = Some(Cursor { reading, at: at.clone(), rows: Some(rows) });
    }
    Ok(last)
}

/// Reads over as many connections as were asked for.
fn open_readers(db: &mut Database, reading: &Reading, after: Option<&SlicePosition>) -> Result<ParallelReaders> {
    let readers = db.options.connections.max(1);
    let statements = (0..readers).map(|nth| reading.statement(after, (nth, readers))).collect();
    let batch_bytes = usize::try_from(db.read_ahead_bytes).unwrap_or(usize::MAX) / readers / BATCHES_HELD;
    let batch_bytes = batch_bytes.min(MOST_BATCH_BYTES);
    let timeouts = watch_of(&db.address, &db.options);
    let reading = RowReading { address: db.address.clone(), timeouts, batch_bytes, doing: reading.doing };
    ParallelReaders::open(&reading, &mut db.readers, statements)
}

/// The bytes of UTF-8 of a text that is too large to be read whole.
fn measure(db: &mut Database, reading: &Reading, key: Guid, column: &Column) -> Result<u64> {
    let place = ValuePlace::new(
        reading.table.clone(),
        (&reading.key, key_value(reading.key_type, key)),
        &column.name,
        column.sql_type,
    );
    large::read(&mut db.client, &place, &mut std::io::sink())
}
