//! The kinds of stamps that a world's tables may have. Each kind says the same times, so that every scenario goes the same way.

use blobdelta::model::cell::Cell;
use blobdelta::model::column::Column;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::table::TableConfig;
use blobdelta::model::time::{TICKS_PER_DAY, TICKS_PER_MINUTE, Timestamp};

thread_local! {
    /// The stamps of the worlds that this thread makes.
    static ASKED_FOR: std::cell::Cell<Stamped> = const { std::cell::Cell::new(Stamped::Times) };
}

/// What the stamps of a world's tables are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamped {
    /// datetime2.
    #[default]
    Times,
    /// datetimeoffset, of as many offsets as there are rows.
    Instants,
    /// Of some rows datetime2, of others a datetimeoffset in CreatedOn. CreatedOn of the former is later and counts for nothing.
    Created,
    /// date: whoever is stamped at any time of a day is stamped with that day.
    Days,
    /// Of some rows datetime2, of others a date in CreatedOn.
    CreatedDays,
}

impl Stamped {
    pub fn asked_for() -> Self {
        ASKED_FOR.get()
    }

    /// Runs a scenario whose worlds have stamps of this kind.
    pub fn during(self, scenario: impl FnOnce()) {
        ASKED_FOR.set(self);
        scenario();
        ASKED_FOR.set(Self::Times);
    }

    pub fn columns(self) -> Vec<Column> {
        let modified = |sql_type| Column::new("ModifiedOn", sql_type, true);
        match self {
            Self::Times => vec![modified(SqlType::DateTime2(7))],
            Self::Instants => vec![modified(SqlType::DateTimeOffset(7))],
            Self::Days => vec![modified(SqlType::Date)],
            Self::CreatedDays => {
                vec![modified(SqlType::DateTime2(7)), Column::new("CreatedOn", SqlType::Date, true)]
            }
            Self::Created => {
                vec![modified(SqlType::DateTime2(7)), Column::new("CreatedOn", SqlType::DateTimeOffset(7), true)]
            }
        }
    }

    /// The cells of [`Stamped::columns`] for a row that is stamped so.
    pub fn cells(self, row: u32, stamp: Option<Timestamp>) -> Vec<Cell<'static>> {
        // Offsets of datetimeoffset are of whole minutes, from -14 to +14 hours.
        let offset = i16::try_from(row * 97 % 1681).unwrap() - 840;
        let instant = |at: Option<Timestamp>| at.map_or(Cell::Null, |at| Cell::DateTimeOffset(at, offset));
        let time = |at: Option<Timestamp>| at.map_or(Cell::Null, Cell::DateTime);
        let day = |at: Timestamp| Cell::Date(i32::try_from(at.ticks() / TICKS_PER_DAY).unwrap());
        let day = |at: Option<Timestamp>| at.map_or(Cell::Null, day);
        match self {
            Self::Days => vec![day(stamp)],
            Self::CreatedDays if row.is_multiple_of(2) => vec![Cell::Null, day(stamp)],
            Self::CreatedDays => vec![time(stamp), day(stamp)],
            Self::Times => vec![time(stamp)],
            Self::Instants => vec![instant(stamp)],
            Self::Created if row.is_multiple_of(2) => vec![Cell::Null, instant(stamp)],
            Self::Created => {
                let later = stamp.map(|at| at.plus_ticks(100 * TICKS_PER_MINUTE));
                vec![time(stamp), instant(later)]
            }
        }
    }

    pub fn configure(self, config: &mut TableConfig) {
        if matches!(self, Self::Days | Self::CreatedDays) {
            config.safety_buffer_minutes = 1_440;
        }
        if matches!(self, Self::Created | Self::CreatedDays) {
            config.metadata_created_on_column = Some("CreatedOn".into());
        }
    }
}
