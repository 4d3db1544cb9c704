//! Stamps of other types than datetime2, and the column that counts where ModifiedOn is NULL. The scenarios of rules run with such
//! stamps as well ([`Stamped`]); here is what is theirs alone.

use crate::scenarios::instance::Instance;
use crate::scenarios::read::{COLUMNS, Rows};
use crate::scenarios::stamped::Stamped;
use crate::scenarios::world::{A, World, into_copy, key, minute, name};
use blobdelta::model::cell::Cell;
use blobdelta::model::clock::ClockKind;
use blobdelta::model::column::Column;
use blobdelta::model::run::Status;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::table::TableConfig;
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use blobdelta::reconcile::{ReconcileOptions, reconcile};
use blobdelta::replay::replay;
use std::path::PathBuf;

const DAY: i64 = 1440;
const MICROSECOND: i64 = 10;

fn world(on: &Instance, stamped: Stamped) -> World {
    let mut made = None;
    stamped.during(|| made = Some(World::new(on)));
    made.unwrap()
}

/// The last microsecond of a day.
fn end_of(day: i64) -> Timestamp {
    minute((day + 1) * DAY).plus_ticks(-MICROSECOND)
}

fn bundles(world: &World) -> Vec<PathBuf> {
    std::fs::read_dir(world.out()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

pub fn rule_1_a_date_counts_as_the_end_of_its_day(on: &Instance) {
    for stamped in [Stamped::Days, Stamped::CreatedDays] {
        let mut world = world(on, stamped);
        world.put(2, None, b"before", 10 * DAY + 5, A);
        world.put(4, None, b"on the day of the window's end", 11 * DAY, A);
        // What lies after the cut at midnight waits, whatever its type.
        world.put(5, None, b"in the buffer", 11 * DAY, A);
        let report = world.run(12 * DAY + 700);
        assert_eq!(world.numbers(), [2]);
        assert_eq!(world.slice()[&key(2)].modified, Some(end_of(10)));
        assert_eq!(report.tables[0].window.unwrap().end, minute(11 * DAY));
        let report = world.run(13 * DAY);
        assert_eq!(world.numbers(), [2, 4, 5]);
        let window = report.tables[0].window.unwrap();
        assert_eq!((window.start, window.end), (minute(10 * DAY), minute(12 * DAY)));
        let counts = report.tables[0].counts.clone().unwrap();
        assert_eq!((counts.early, counts.held_back, counts.future), (0, 0, 0));
    }
}

pub fn rule_4_a_row_that_is_stamped_each_day_does_not_starve_and_is_outranked_by_its_deletion(on: &Instance) {
    for stamped in [Stamped::Days, Stamped::CreatedDays] {
        let mut world = world(on, stamped);
        world.put(2, None, b"v1", 12 * DAY, A);
        world.put(4, None, b"of tomorrow", 13 * DAY, A);
        let report = world.run(12 * DAY + 700);
        let counts = report.tables[0].counts.clone().unwrap();
        assert_eq!((counts.future, counts.held_back), (1, 1), "today is not the future");
        world.put(2, None, b"v2", 13 * DAY, A);
        world.run(13 * DAY + 700);
        let row = world.slice()[&key(2)].clone();
        // Whoever deletes it later today is later than it.
        let before = minute(13 * DAY + 700).plus_ticks(-MICROSECOND);
        assert_eq!((row.modified, row.early, row.bytes.as_deref()), (Some(before), true, Some(&b"v2"[..])));
        world.remove(2);
        world.log_deletion(2, 13 * DAY + 900);
        world.run(20 * DAY);
        let mut target = world.target();
        replay(&bundles(&world), &mut *target, &into_copy(), &Silent).unwrap();
        let all = target.columns(&name("Copy.dbo.Docs")).unwrap();
        let columns: Vec<Column> =
            COLUMNS.iter().map(|name| all.iter().find(|column| column.name == *name).unwrap().clone()).collect();
        let mut rows = Rows::default();
        target.scan(&name("Copy.dbo.Docs"), &columns, "stream_id", &mut rows).unwrap();
        assert_eq!(rows.done.into_keys().collect::<Vec<_>>(), [key(4)]);
    }
}

pub fn rule_1_a_stamp_that_its_configuration_does_not_fit_is_refused_before_anything_is_written(on: &Instance) {
    let refused = |stamped: Stamped, change: &dyn Fn(&mut TableConfig), expected: &str| {
        let mut world = world(on, stamped);
        let before = world.backend.table(&world.table.name.clone()).unwrap();
        let mut wrong = before.clone();
        change(&mut wrong);
        let error = world.backend.save_table(&wrong).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(world.backend.table(&before.name).unwrap(), before);
    };
    refused(Stamped::Days, &|table| table.safety_buffer_minutes = 1_439, "1440");
    refused(Stamped::CreatedDays, &|table| table.safety_buffer_minutes = 240, "CreatedOn is a date");
    refused(Stamped::Instants, &|table| table.clock = ClockKind::Local, "ModifiedOnIsUtc is 0");
    refused(Stamped::Created, &|table| table.clock = ClockKind::Local, "CreatedOn is a datetimeoffset");
    let created =
        |name: &'static str| move |table: &mut TableConfig| table.metadata_created_on_column = Some(name.into());
    refused(Stamped::Times, &created("MadeOn"), "MetadataCreatedOnCol names the column MadeOn");
    refused(Stamped::Times, &created("Id"), "uniqueidentifier, and has to be datetime2");
    let modified = |table: &mut TableConfig| table.metadata_modified_on_column = "BusinessUnit".into();
    refused(Stamped::Times, &modified, "uniqueidentifier, and has to be datetime2");
}

/// A table of other stamps takes the place of the metadata, as an ALTER COLUMN does.
pub fn rule_14_a_stamp_of_another_type_goes_on_where_the_last_one_was(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"old", 10, A);
    world.put(2, None, b"stays", 20, A);
    world.run(1000);
    let (mark, units) = (world.mark().last_high_water, Some(name("Src.dbo.Units")));
    assert_eq!((mark, world.table.business_unit_table.clone()), (Some(minute(760)), units));
    world.table.metadata = name("Meta.dbo.Instants");
    world.stamped = Stamped::Instants;
    let mut columns = vec![
        Column::new("RowId", SqlType::UniqueIdentifier, false),
        Column::new("Id", SqlType::UniqueIdentifier, false),
    ];
    columns.extend(world.stamped.columns());
    columns.push(Column::new("BusinessUnit", SqlType::UniqueIdentifier, true));
    world.backend.create_table(&world.table.metadata, &columns, "RowId", &[&["ModifiedOn"]]).unwrap();
    world.backend.save_table(&world.table.clone()).unwrap();
    world.stamp(2, 20, A);
    // 800 minutes in UTC, at an offset by which its text says another day.
    world.put(1, None, b"new", 800, A);
    let report = world.run(2000);
    assert_eq!(report.tables[0].status, Status::Completed, "{:?}", report.tables[0].error);
    assert_eq!(world.numbers(), [1]);
    let row = world.slice()[&key(1)].clone();
    assert_eq!((row.modified, row.bytes.as_deref()), (Some(minute(800)), Some(&b"new"[..])));
    assert_eq!(report.tables[0].window.unwrap().start, minute(760 - 240));
    let mut target = world.target();
    replay(&bundles(&world), &mut *target, &into_copy(), &Silent).unwrap();
}

pub fn rule_20_a_row_without_both_stamps_is_reported_as_one_without_a_stamp(on: &Instance) {
    for stamped in [Stamped::Created, Stamped::CreatedDays, Stamped::Instants, Stamped::Days] {
        let mut world = world(on, stamped);
        world.put(2, None, b"created", 10, A);
        world.blob(3, None, b"neither");
        world.stamp_as(3, 3, None, Some(A));
        let report = world.run(4 * DAY);
        assert_eq!(world.numbers(), [2], "{stamped:?}");
        assert_eq!(report.tables[0].counts.clone().unwrap().without_stamp, 1, "{stamped:?}");
        let advice = world.backend.doctor().unwrap();
        assert!(advice.iter().any(|line| line.finding.contains("no stamp")), "{advice:?}");
    }
}

/// A server's columns hold nothing else than their type.
pub fn rule_20_what_is_no_stamp_of_its_type_fails_the_table_by_its_key(on: &Instance) {
    let odd = [
        (Stamped::Instants, "ModifiedOn", "'2026-01-01T00:10:00.0000000'"),
        (Stamped::Instants, "ModifiedOn", "'2026-01-01T00:10:00.0000000+15:00'"),
        (Stamped::Days, "ModifiedOn", "'2026-01-01T00:00:00.0000000'"),
        (Stamped::Days, "ModifiedOn", "'2026-02-30'"),
        (Stamped::Created, "CreatedOn", "'yesterday'"),
    ];
    for (stamped, column, text) in odd {
        let mut world = world(on, stamped);
        if !world.is_embedded() {
            return;
        }
        world.put(2, None, b"odd", 10, A);
        world.script(&format!("UPDATE Meta.Docs SET {column} = {text}"), "");
        let report = world.run(4 * DAY);
        let error = report.tables[0].error.as_ref().unwrap();
        assert_eq!(error.place().column.as_deref(), Some(column), "{error}");
        assert_eq!(error.place().key.as_deref(), Some(world.keys.shown(2).as_str()), "{error}");
        world.backend.exclude_key(&world.table.name.clone(), key(2), "odd").unwrap();
        assert_eq!(world.run(4 * DAY + 1).tables[0].status, Status::Completed);
    }
}

pub fn a_template_that_names_a_column_that_is_not_the_stamp_is_refused(on: &Instance) {
    let text = "INSERT INTO BlobDeltaWindowQueue (RunId) SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataModifiedOnCol} > @WindowStart";
    let add = |table: &str| {
        format!(
            "INSERT INTO {table} (TableName, QueueName, ScriptText) VALUES ('Src.dbo.Docs', 'WindowQueue', '{text}')"
        )
    };
    for stamped in [Stamped::Created, Stamped::Instants, Stamped::Days] {
        let mut world = world(on, stamped);
        world.put(2, None, b"row", 10, A);
        world.script(&add("BlobDeltaQueuePopulationScript"), &add("dbo.BlobDeltaQueuePopulationScript"));
        world.at(4 * DAY);
        let error = match world.run_with(&world.options()) {
            Ok(mut report) => report.tables.remove(0).error.unwrap(),
            Err(error) => error,
        };
        let reported = format!("{error} {}", error.what_to_do().unwrap_or_default());
        assert!(reported.contains("MetadataModifiedOnCol") && reported.contains("write {ModifiedOn}"), "{reported}");
        assert_eq!(world.mark().last_high_water, None);
    }
}

pub fn doctor_asks_for_one_index_over_both_stamps(on: &Instance) {
    let mut world = world(on, Stamped::Created);
    let asked = |world: &mut World| {
        let found = world.backend.doctor().unwrap();
        let lines = found.into_iter().filter_map(|advice| advice.what_to_do);
        lines.filter(|line| line.contains("CREATE INDEX") && line.contains("CreatedOn")).collect::<Vec<_>>()
    };
    assert_eq!(asked(&mut world), [] as [String; 0], "the world has one");
    let table = name("Meta.dbo.Other");
    let columns = [
        Column::new("Id", SqlType::UniqueIdentifier, false),
        Column::new("ModifiedOn", SqlType::DateTime2(7), true),
        Column::new("CreatedOn", SqlType::DateTime2(7), true),
        Column::new("BusinessUnit", SqlType::UniqueIdentifier, true),
    ];
    world.backend.create_table(&table, &columns, "Id", &[&["ModifiedOn", "Id"], &["CreatedOn"]]).unwrap();
    world.table.metadata = table;
    world.backend.save_table(&world.table.clone()).unwrap();
    let asked = asked(&mut world);
    assert_eq!(asked.len(), 1, "{asked:?}");
    let lower = asked[0].to_lowercase();
    assert!(lower.replace(['[', ']', '"'], "").contains("(modifiedon, createdon)"), "{asked:?}");
    let cells =
        vec![Cell::Guid(key(1)), Cell::Null, Cell::DateTime(minute(10)), Cell::Guid(crate::scenarios::world::unit(A))];
    world.backend.insert(&world.table.metadata.clone(), &columns, &[cells]).unwrap();
    world.blob(1, None, b"by its creation");
    world.run(1000);
    assert_eq!(world.slice()[&key(1)].modified, Some(minute(10)));
}

pub fn what_is_stamped_by_day_or_creation_is_reconciled(on: &Instance) {
    for stamped in [Stamped::Days, Stamped::CreatedDays, Stamped::Created, Stamped::Instants] {
        let mut world = world(on, stamped);
        world.put(1, None, b"folder", 10 * DAY, A);
        world.put(2, Some(1), b"file", 10 * DAY + 5, A);
        world.put(4, Some(1), b"later", 11 * DAY, A);
        world.run(15 * DAY);
        world.put(4, Some(1), b"not due", 15 * DAY, A);
        world.at(15 * DAY + 10);
        let found = reconcile(&bundles(&world), &mut *world.backend, &ReconcileOptions::default(), &Silent).unwrap();
        assert!(found[0].is_good(), "{stamped:?} {found:?}");
        assert_eq!((found[0].equal, found[0].not_due), (2, 1), "{stamped:?}");
        let at = world.slice()[&key(2)].modified.unwrap();
        let expected =
            if stamped == Stamped::Days || stamped == Stamped::CreatedDays { end_of(10) } else { minute(10 * DAY + 5) };
        assert_eq!(at, expected, "{stamped:?}");
    }
}
