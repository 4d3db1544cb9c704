//! The columns that a table's stamp is read from, and what a stamp of each type is as a time.
//!
//! Everything behind a run's statements knows a stamp as a `datetime2(7)` in the clock of the table (the *effective* stamp):
//! `ModifiedOn`, or `CreatedOn` where `ModifiedOn` is NULL and a column for it is configured.

use super::clock::ClockKind;
use super::column::Column;
use super::sqltype::SqlType;
use super::table::TableConfig;
use crate::error::{Error, Result};

/// A row that is stamped with today's date may change until midnight: a table with such stamps needs at least this buffer.
pub const DAY_MIN_BUFFER_MINUTES: u32 = 1_440;

/// What a column of stamps holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampKind {
    /// `datetime2`, `datetime`, `smalldatetime`: a time in the clock of the table.
    PointInTime,
    /// `datetimeoffset`: counts as the instant that it is, in UTC.
    Instant,
    /// `date`: counts as the last microsecond of its day; one of today as the last before the run's start, for that row may
    /// still be deleted today.
    Day,
}

impl StampKind {
    /// Of a column of this type; `None` for one that is no stamp.
    pub fn of(sql_type: SqlType) -> Option<Self> {
        match sql_type {
            SqlType::Date => Some(Self::Day),
            SqlType::DateTimeOffset(_) => Some(Self::Instant),
            other => other.is_point_in_time().then_some(Self::PointInTime),
        }
    }
}

/// A column of stamps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StampColumn {
    /// Its name, as the configuration spells it.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// What it holds.
    pub kind: StampKind,
}

/// The columns of a table's stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// `MetadataModifiedOnCol`.
    pub modified: StampColumn,
    /// `MetadataCreatedOnCol`, which counts where the other is NULL.
    pub created: Option<StampColumn>,
}

impl Stamps {
    /// Looks the columns up in those of the metadata table, and checks what they need of the configuration.
    ///
    /// # Errors
    /// Config: a column that is not there or is no stamp, a clock that contradicts it, or a buffer that is too small.
    pub fn find(table: &TableConfig, metadata: &[Column]) -> Result<Self> {
        let column = |setting: &str, name: &str| {
            let at = |error: Error| error.table(&table.name).column(name);
            // To SQL, names are the same in upper and lower case.
            let Some(found) = metadata.iter().find(|column| column.name.eq_ignore_ascii_case(name)) else {
                let names: Vec<&str> = metadata.iter().map(|column| column.name.as_str()).collect();
                return Err(at(Error::config(format!("{setting} names the column {name}, which is not there"))
                    .hint(format!("the table has: {}", names.join(", ")))));
            };
            let sql_type = found.sql_type;
            let Some(kind) = StampKind::of(sql_type) else {
                let text = format!(
                    "{setting} is {sql_type}, and has to be datetime2, datetime, smalldatetime, datetimeoffset or date"
                );
                return Err(at(Error::config(text).hint(format!("set {setting} to a column of such a type"))));
            };
            Ok(StampColumn { name: name.to_owned(), sql_type, kind })
        };
        let modified = column("MetadataModifiedOnCol", &table.metadata_modified_on_column)?;
        let created = table.metadata_created_on_column.as_deref();
        let created = created.map(|name| column("MetadataCreatedOnCol", name)).transpose()?;
        let stamps = Self { modified, created };
        stamps.check(table)?;
        Ok(stamps)
    }

    fn check(&self, table: &TableConfig) -> Result<()> {
        let wrong = |column: &StampColumn, text: String, hint: &str| {
            Err(Error::config(text).table(&table.name).column(&column.name).hint(hint))
        };
        if let Some(column) = self.of_kind(StampKind::Instant).filter(|_| table.clock == ClockKind::Local) {
            let text = format!("{} is a datetimeoffset, which counts in UTC, and ModifiedOnIsUtc is 0", column.name);
            return wrong(column, text, "set ModifiedOnIsUtc=1");
        }
        if let Some(column) =
            self.of_kind(StampKind::Day).filter(|_| table.safety_buffer_minutes < DAY_MIN_BUFFER_MINUTES)
        {
            let text = format!(
                "{} is a date, and a row that is stamped today may change until midnight, so the table needs a safety buffer \
                 of at least {DAY_MIN_BUFFER_MINUTES} minutes; it has {}",
                column.name, table.safety_buffer_minutes
            );
            return wrong(column, text, "set SafetyBufferMinutes=1440, or more");
        }
        Ok(())
    }

    /// The columns, in the order in which they count.
    pub fn columns(&self) -> impl Iterator<Item = &StampColumn> {
        std::iter::once(&self.modified).chain(&self.created)
    }

    fn of_kind(&self, kind: StampKind) -> Option<&StampColumn> {
        self.columns().find(|column| column.kind == kind)
    }

    /// Whether windows begin and end at midnight.
    pub fn in_days(&self) -> bool {
        self.of_kind(StampKind::Day).is_some()
    }

    /// Whether the column `ModifiedOn` is the stamp as it stands, so that scripts may name it.
    pub fn is_plain(&self) -> bool {
        self.created.is_none() && self.modified.kind == StampKind::PointInTime
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::TableName;

    fn find(modified: SqlType, created: Option<SqlType>, change: impl Fn(&mut TableConfig)) -> Result<Stamps> {
        let name = TableName::parse("Db.dbo.T").unwrap();
        let mut table = TableConfig::new(name.clone(), name);
        table.metadata_created_on_column = created.map(|_| "CreatedOn".to_owned());
        change(&mut table);
        let mut columns = vec![Column::new("MODIFIEDON", modified, true)];
        columns.extend(created.map(|sql_type| Column::new("createdon", sql_type, true)));
        Stamps::find(&table, &columns)
    }

    #[test]
    fn rule_1_a_date_needs_the_buffer_of_a_day() {
        let buffer = |minutes| move |table: &mut TableConfig| table.safety_buffer_minutes = minutes;
        assert!(find(SqlType::Date, None, buffer(1_439)).unwrap_err().to_string().contains("1440"));
        assert!(find(SqlType::Date, None, buffer(1_440)).unwrap().in_days());
        assert!(find(SqlType::DateTime2(7), Some(SqlType::Date), buffer(240)).is_err());
        assert!(find(SqlType::DateTime2(7), Some(SqlType::Date), buffer(1_440)).unwrap().in_days());
    }

    #[test]
    fn rule_1_an_instant_has_no_local_clock() {
        let local = |table: &mut TableConfig| table.clock = ClockKind::Local;
        assert!(find(SqlType::DateTimeOffset(7), None, local).is_err());
        assert!(find(SqlType::DateTime, Some(SqlType::DateTimeOffset(3)), local).is_err());
        assert!(find(SqlType::DateTimeOffset(7), Some(SqlType::SmallDateTime), |_| ()).is_ok());
    }

    #[test]
    fn what_is_no_stamp_is_refused_by_its_setting() {
        let error = find(SqlType::DateTime, Some(SqlType::Int), |_| ()).unwrap_err().to_string();
        assert!(error.contains("MetadataCreatedOnCol is int"), "{error}");
        let absent = |table: &mut TableConfig| table.metadata_created_on_column = Some("Made".into());
        let error = find(SqlType::DateTime, None, absent).unwrap_err();
        assert!(error.to_string().contains("MetadataCreatedOnCol names the column Made"), "{error}");
        assert!(find(SqlType::DateTime, None, |_| ()).unwrap().is_plain());
    }
}
