//! date, time, datetime2, datetime, smalldatetime and datetimeoffset.
//!
//! Arrow's nanoseconds end in 2262 and `datetime2` in 9999, so points in time are microseconds.
//! Those of scale 7 are rounded **down** in the timestamp and exact in `<name>__ticks`, which is
//! what values are read back from, and what to order by.

use super::encode::{Encoder, Pair, Primitive, value};
use crate::model::cell::Cell;
use crate::model::sqltype::SqlType;
use crate::model::time::{Timestamp, UNIX_EPOCH_DAYS};
use arrow::array::Array;
use arrow::datatypes::{
    DataType, Date32Type, Int16Type, Int64Type, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
};

const NANOS_PER_TICK: i64 = 100;

/// The Arrow type, if the type is of this family.
pub(super) fn arrow_type(sql_type: SqlType) -> Option<DataType> {
    Some(match sql_type {
        SqlType::Date => DataType::Date32,
        SqlType::Time(_) => DataType::Time64(TimeUnit::Nanosecond),
        SqlType::DateTime2(_) | SqlType::DateTime | SqlType::SmallDateTime => {
            DataType::Timestamp(TimeUnit::Microsecond, None)
        }
        SqlType::DateTimeOffset(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => return None,
    })
}

pub(super) fn encoder(sql_type: SqlType) -> Option<Box<dyn Encoder>> {
    let micros = || Some(Primitive::<TimestampMicrosecondType>::new(micros).with_type(arrow_type(sql_type)?));
    let ticks = || Primitive::<Int64Type>::new(|cell| Some(moment(cell)?.ticks()));
    let offset = || Primitive::<Int16Type>::new(offset);
    match sql_type {
        SqlType::Date => Primitive::<Date32Type>::new(unix_days).boxed(),
        SqlType::Time(_) => Primitive::<Time64NanosecondType>::new(nanos).boxed(),
        SqlType::DateTime2(7) => Some(Box::new(Pair(micros()?, ticks()))),
        SqlType::DateTime2(_) | SqlType::DateTime | SqlType::SmallDateTime => micros()?.boxed(),
        SqlType::DateTimeOffset(7) => Some(Box::new(Pair(micros()?, Pair(ticks(), offset())))),
        SqlType::DateTimeOffset(_) => Some(Box::new(Pair(micros()?, offset()))),
        _ => None,
    }
}

/// The arrays of one column; ticks and offset where the type has them.
#[derive(Clone, Copy)]
pub(super) struct Moments<'a> {
    pub(super) value: &'a dyn Array,
    pub(super) ticks: Option<&'a dyn Array>,
    pub(super) offset: Option<&'a dyn Array>,
}

/// The cell at a row whose value is not NULL; `None` also where the fields contradict each other.
pub(super) fn decode(sql_type: SqlType, arrays: Moments<'_>, row: usize) -> Option<Cell<'static>> {
    let moment = || {
        let micros = value::<TimestampMicrosecondType>(arrays.value, row)?;
        let Some(ticks) = arrays.ticks else { return Timestamp::from_unix_micros(micros) };
        let exact = Timestamp::from_ticks(present::<Int64Type>(ticks, row)?)?;
        (exact.unix_micros_floor() == micros).then_some(exact)
    };
    Some(match sql_type {
        SqlType::Date => {
            let days = i64::from(value::<Date32Type>(arrays.value, row)?) + UNIX_EPOCH_DAYS;
            Cell::Date(i32::try_from(days).ok()?)
        }
        SqlType::Time(_) => {
            let nanos = value::<Time64NanosecondType>(arrays.value, row)?;
            if nanos % NANOS_PER_TICK != 0 {
                return None;
            }
            Cell::Time(nanos / NANOS_PER_TICK)
        }
        SqlType::DateTime2(_) | SqlType::DateTime | SqlType::SmallDateTime => Cell::DateTime(moment()?),
        SqlType::DateTimeOffset(_) => Cell::DateTimeOffset(moment()?, present::<Int16Type>(arrays.offset?, row)?),
        _ => return None,
    })
}

fn present<T: arrow::array::ArrowPrimitiveType>(array: &dyn Array, row: usize) -> Option<T::Native> {
    if array.is_null(row) { None } else { value::<T>(array, row) }
}

fn moment(cell: Cell<'_>) -> Option<Timestamp> {
    match cell {
        Cell::DateTime(at) | Cell::DateTimeOffset(at, _) => Some(at),
        _ => None,
    }
}

fn micros(cell: Cell<'_>) -> Option<i64> {
    Some(moment(cell)?.unix_micros_floor())
}

fn offset(cell: Cell<'_>) -> Option<i16> {
    if let Cell::DateTimeOffset(_, minutes) = cell { Some(minutes) } else { None }
}

fn unix_days(cell: Cell<'_>) -> Option<i32> {
    if let Cell::Date(days) = cell { i32::try_from(i64::from(days) - UNIX_EPOCH_DAYS).ok() } else { None }
}

fn nanos(cell: Cell<'_>) -> Option<i64> {
    if let Cell::Time(ticks) = cell { ticks.checked_mul(NANOS_PER_TICK) } else { None }
}
