//! The effective stamp ([`crate::model::stamp`]) in SQL, of a row of the metadata AS m. Texts of every type of stamp compare as
//! times do, so that an index over a column serves each condition.

use super::sql::quote;
use crate::model::stamp::{StampColumn, StampKind, Stamps};
use crate::model::time::{TICKS_PER_MICROSECOND, Timestamp};

/// The day of a time that stands behind a parameter, as a `date` is stored.
fn day(parameter: &str) -> String {
    format!("substr({parameter}, 1, 10)")
}

/// What stands in scripts for the stamp, and for the conditions on it.
pub(super) fn placeholders(stamps: &Stamps) -> [(&'static str, String); 7] {
    let between =
        |from: &str, to: &str| either(stamps, |column| format!("{} AND {}", since(column, from), before(column, to)));
    [
        ("ModifiedOn", value_in_run(stamps)),
        ("InWindow", between("@WindowStart", "@WindowEnd")),
        ("InBuffer", between("@WindowEnd", RUN_START)),
        ("FromWindowStart", either(stamps, |column| since(column, "@WindowStart"))),
        ("FromRunStart", either(stamps, |column| since(column, RUN_START))),
        ("BeforeRunStart", either(stamps, |column| before(column, RUN_START))),
        ("WithoutStamp", without(stamps)),
    ]
}

const RUN_START: &str = "@RunStart";

/// The stamp in a run.
pub(super) fn value_in_run(stamps: &Stamps) -> String {
    value(stamps, (&day(RUN_START), "@BeforeRunStart"))
}

/// The stamp outside of a run, at this time in the table's clock.
pub(super) fn value_at(stamps: &Stamps, now: Timestamp) -> String {
    value(stamps, (&day(&format!("'{now}'")), &format!("'{}'", now.plus_ticks(-TICKS_PER_MICROSECOND))))
}

/// By which the rows of one key are ordered, of a row of the metadata under this alias. The stamp, but that one of today is the end
/// of its day.
pub(super) fn order(stamps: &Stamps, alias: &str) -> String {
    let value = |column: &StampColumn| {
        let name = format!("{alias}.{}", quote(&column.name));
        match column.kind {
            StampKind::PointInTime => name,
            StampKind::Instant => format!("substr({name}, 1, 27)"),
            StampKind::Day => format!("{name} || 'T23:59:59.9999990'"),
        }
    };
    first_of(stamps.columns().map(value).collect())
}

/// With the day of a run's start, and the last microsecond before that.
fn value(stamps: &Stamps, today: (&str, &str)) -> String {
    first_of(stamps.columns().map(|column| value_of(column, today)).collect())
}

fn first_of(values: Vec<String>) -> String {
    match values.as_slice() {
        [one] => one.clone(),
        several => format!("coalesce({})", several.join(", ")),
    }
}

fn value_of(column: &StampColumn, (today, before): (&str, &str)) -> String {
    let name = format!("m.{}", quote(&column.name));
    match column.kind {
        StampKind::PointInTime => name,
        StampKind::Instant => format!("substr({name}, 1, 27)"),
        StampKind::Day => {
            format!("CASE WHEN {name} = {today} THEN {before} ELSE {name} || 'T23:59:59.9999990' END")
        }
    }
}

/// At a time or later. Every stamp of a day is at the end of it, and so not before any time of that day: but for the run's start.
fn since(column: &StampColumn, time: &str) -> String {
    let name = format!("m.{}", quote(&column.name));
    match column.kind {
        StampKind::Day if time == RUN_START => format!("{name} > {}", day(time)),
        StampKind::Day => format!("{name} >= {}", day(time)),
        _ => format!("{name} >= {time}"),
    }
}

/// Before a time. A `datetimeoffset` has its offset behind its instant, and so is greater than that.
fn before(column: &StampColumn, time: &str) -> String {
    let name = format!("m.{}", quote(&column.name));
    match column.kind {
        StampKind::Day if time == RUN_START => format!("{name} <= {}", day(time)),
        StampKind::Day => format!("{name} < {}", day(time)),
        _ => format!("{name} < {time}"),
    }
}

/// A condition on the column that counts: a seek in each of the two.
fn either(stamps: &Stamps, condition: impl Fn(&StampColumn) -> String) -> String {
    let modified = condition(&stamps.modified);
    match &stamps.created {
        None => format!("({modified})"),
        Some(created) => {
            format!("({modified} OR (m.{} IS NULL AND {}))", quote(&stamps.modified.name), condition(created))
        }
    }
}

fn without(stamps: &Stamps) -> String {
    let nulls: Vec<String> = stamps.columns().map(|column| format!("m.{} IS NULL", quote(&column.name))).collect();
    format!("({})", nulls.join(" AND "))
}
