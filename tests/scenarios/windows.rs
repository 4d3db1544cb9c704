//! Rule 1: `MaxWindow` and `--until`. What is more than one window may take comes in several, each a slice and a bundle.

use crate::scenarios::drift::last_table;
use crate::scenarios::instance::Instance;
use crate::scenarios::read::{COLUMNS, Rows, SliceRow};
use crate::scenarios::stamped::Stamped;
use crate::scenarios::world::{A, B, BUFFER, World, into_copy, key, minute, name, unit};
use blobdelta::bundle::Bundle;
use blobdelta::engine::{self, RunOptions, RunReport, plan};
use blobdelta::error::{Kind, Result, Unfinished};
use blobdelta::model::column::Column;
use blobdelta::model::drift::SchemaDrift;
use blobdelta::model::id::Guid;
use blobdelta::model::max_window::MaxWindow;
use blobdelta::model::run::{Scope, Status};
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::{Event, Monitor, Silent};
use blobdelta::replay::replay;
use blobdelta::verify::{VerifyLevel, verify};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const DAY: i64 = 1440;

fn bounded(world: &mut World, most: &str) {
    world.table.max_window = Some(MaxWindow::parse(most).unwrap());
    world.backend.save_table(&world.table).unwrap();
}

/// Rows of the given days, numbered from 1.
fn seeded(on: &Instance, days: &[i64], most: &str) -> World {
    let mut world = World::new(on);
    for (number, day) in (1..).zip(days) {
        world.put(number, None, format!("row {number}").as_bytes(), day * DAY, A);
    }
    bounded(&mut world, most);
    world
}

fn try_windows(world: &mut World, options: &RunOptions) -> Result<Vec<RunReport>> {
    engine::run_windows(&mut *world.backend, options, &*Arc::clone(&world.disk), &Silent, &mut |_, _| ())
}

fn windows_at(world: &mut World, at: i64) -> Vec<RunReport> {
    world.at(at);
    let options = world.options();
    try_windows(world, &options).unwrap()
}

fn bounds(reports: &[RunReport]) -> Vec<(Timestamp, Timestamp)> {
    reports.iter().map(|report| report.tables[0].window.unwrap()).map(|window| (window.start, window.end)).collect()
}

/// The rows of steps 1 and 3 of each run.
fn rows(reports: &[RunReport]) -> Vec<u64> {
    let counts = |report: &RunReport| report.tables[0].counts.clone().unwrap();
    reports.iter().map(counts).map(|counts| counts.roots + counts.children).collect()
}

/// What a receiver of all bundles has.
fn received(world: &World) -> BTreeMap<Guid, SliceRow> {
    let bundles: Vec<PathBuf> = std::fs::read_dir(world.out()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(bundles.iter().all(|bundle| verify(bundle, VerifyLevel::Deep, &Silent).unwrap().is_good()));
    let mut target = world.target();
    let strictly = blobdelta::replay::ReplayOptions { allow_gap: false, ..into_copy() };
    replay(&bundles, &mut *target, &strictly, &Silent).unwrap();
    let all = target.columns(&name("Copy.dbo.Docs")).unwrap();
    let columns: Vec<Column> =
        COLUMNS.iter().map(|name| all.iter().find(|column| column.name == *name).unwrap().clone()).collect();
    let mut rows = Rows::default();
    target.scan(&name("Copy.dbo.Docs"), &columns, "stream_id", &mut rows).unwrap();
    rows.done
}

fn has_all(world: &World, numbers: std::ops::RangeInclusive<u32>) {
    let received = received(world);
    assert_eq!(received.len(), numbers.clone().count());
    for number in numbers {
        assert_eq!(received[&key(number)].bytes.as_deref(), Some(format!("row {number}").as_bytes()));
    }
}

pub fn rule_1_a_first_load_comes_in_windows(on: &Instance) {
    let mut world = seeded(on, &[0, 1, 10, 11, 12, 40], "2 days");
    world.at(50 * DAY);
    let options = world.options();
    let planned = plan(&mut *world.backend, &options.request).unwrap();
    let mut done = Vec::new();
    let reports =
        engine::run_windows(&mut *world.backend, &options, &*Arc::clone(&world.disk), &Silent, &mut |backend, _| {
            let mark = &backend.watermarks().unwrap()[0];
            done.push((mark.last_high_water.unwrap(), mark.is_initial_full_load_done));
        })
        .unwrap();
    let goal = minute(50 * DAY - BUFFER);
    let ends = [2 * DAY, 12 * DAY, 14 * DAY].map(minute).into_iter().chain([goal]).collect::<Vec<_>>();
    let starts = std::iter::once(Timestamp::MIN).chain(ends.clone());
    assert_eq!(
        bounds(&reports),
        starts.zip(ends.clone()).collect::<Vec<_>>(),
        "one behind the other, over time without rows"
    );
    assert_eq!(rows(&reports), [2, 2, 1, 1]);
    assert_eq!(done, ends.iter().map(|end| (*end, *end == goal)).collect::<Vec<_>>(), "the load is done in the end");
    assert_eq!(
        (planned[0].keys, planned[0].window.end, &planned[0].ends, planned[0].has_more_ends),
        (6, goal, &ends, false)
    );
    assert_eq!(world.numbers(), [6], "the slice holds one of them");
    assert!(reports.iter().all(|report| report.bundles.len() == 1 && report.tables[0].cut.unwrap().goal == goal));
    has_all(&world, 1..=6);
    let reports = windows_at(&mut world, 51 * DAY);
    assert_eq!(
        bounds(&reports),
        [(minute(50 * DAY - 2 * BUFFER), minute(51 * DAY - BUFFER))],
        "what one window takes is one"
    );
}

pub fn rule_1_rows_of_one_stamp_are_not_parted(on: &Instance) {
    let mut world = seeded(on, &[1, 1, 1, 2, 3], "2 rows");
    let reports = windows_at(&mut world, 10 * DAY);
    assert_eq!(rows(&reports), [3, 2]);
    assert_eq!(bounds(&reports)[0].1, minute(2 * DAY));
    let more = |report: &RunReport| report.tables[0].cut.unwrap().one_stamp_rows;
    assert_eq!((more(&reports[0]), more(&reports[1])), (Some(3), None));
    for number in 6..=10 {
        world.put(number, None, format!("row {number}").as_bytes(), (5 + i64::from(number)) * DAY, A);
    }
    let reports = windows_at(&mut world, 30 * DAY);
    assert_eq!(rows(&reports), [2, 2, 1], "and no more than that");
    assert_eq!(bounds(&reports)[1], (minute(13 * DAY), minute(15 * DAY)));
    has_all(&world, 1..=10);
}

pub fn rule_1_days_are_not_parted(on: &Instance) {
    for (stamped, most) in [(Stamped::Days, "2 rows"), (Stamped::CreatedDays, "2 rows"), (Stamped::Days, "1 day")] {
        let mut made = None;
        stamped.during(|| made = Some(seeded(on, &[1, 1, 1, 2, 4, 5], most)));
        let mut world = made.unwrap();
        let reports = windows_at(&mut world, 10 * DAY + 700);
        let midnights =
            bounds(&reports).iter().all(|(start, end)| (*start, *end) == (start.midnight(), end.midnight()));
        assert!(midnights, "{:?}", bounds(&reports));
        let due: &[u64] = if most == "1 day" { &[3, 1, 1, 1] } else { &[3, 2, 1] };
        assert_eq!(rows(&reports), due, "{stamped:?} {most}");
        has_all(&world, 1..=6);
    }
}

pub fn rule_1_a_window_smaller_than_the_buffer_goes_on(on: &Instance) {
    let mut world = seeded(on, &[], "1 row");
    world.put(1, None, b"row 1", 700, A);
    windows_at(&mut world, 1000);
    for (number, at) in [(2, 770), (3, 780), (4, 790)] {
        world.put(number, None, format!("row {number}").as_bytes(), at, A);
    }
    let reports = windows_at(&mut world, 1100);
    assert_eq!(rows(&reports), [2, 1, 1], "what the buffer takes once more comes in addition, and once");
    assert_eq!(bounds(&reports)[0], (minute(760 - BUFFER), minute(780)));
    assert_eq!(bounds(&reports)[2], (minute(790), minute(1100 - BUFFER)));
    // A call that makes one window at a time gets there too.
    for (number, at) in [(5, 870), (6, 880), (7, 890)] {
        world.put(number, None, format!("row {number}").as_bytes(), at, A);
    }
    for reached in [880, 890, 1200 - BUFFER] {
        world.run(1200);
        assert_eq!(world.mark().last_high_water, Some(minute(reached)));
    }
    has_all(&world, 1..=7);
}

pub fn rule_4_windows_hold_back_what_one_window_would(on: &Instance) {
    let mut world = seeded(on, &[1, 2, 3], "1 row");
    world.put(9, None, b"busy", 20 * DAY - 10, A);
    let reports = windows_at(&mut world, 20 * DAY);
    let early = |reports: &[RunReport]| -> Vec<u64> {
        reports.iter().map(|report| report.tables[0].counts.clone().unwrap().early).collect()
    };
    assert_eq!(
        (rows(&reports), early(&reports)),
        (vec![1, 1, 1], vec![0, 0, 0]),
        "no window takes what the next one brings"
    );
    let held = |report: &RunReport| report.tables[0].counts.clone().unwrap().held_back;
    assert_eq!(reports.iter().map(held).collect::<Vec<_>>(), [0, 0, 1]);
    world.put(4, None, b"row 4", 21 * DAY, A);
    world.put(5, None, b"row 5", 22 * DAY, A);
    world.put(9, None, b"busy again", 30 * DAY - 10, A);
    // On one clock, so that the run before is known by the watermark alone.
    let reports = windows_at(&mut world, 30 * DAY);
    assert_eq!((rows(&reports), early(&reports)), (vec![2, 1], vec![1, 0]));
    assert_eq!(received(&world)[&key(9)].bytes.as_deref(), Some(&b"busy again"[..]));
}

/// Stops what comes after the first window.
#[derive(Default)]
struct StopsAfterOne(AtomicBool);

impl Monitor for StopsAfterOne {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Published { .. }) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

pub fn rule_1_windows_go_on_after_whatever_stopped_them(on: &Instance) {
    let mut world = seeded(on, &[1, 2, 3, 4], "1 row");
    world.at(20 * DAY);
    let options = world.options();
    let stopped = engine::run_windows(
        &mut *world.backend,
        &options,
        &*Arc::clone(&world.disk),
        &StopsAfterOne::default(),
        &mut |_, _| (),
    )
    .unwrap_err();
    assert_eq!(stopped.kind(), Kind::Cancelled);
    let Some(Unfinished::Run(first)) = stopped.what_is_unfinished() else { panic!("{stopped:?}") };
    let first = Guid::parse(first).unwrap();
    assert_eq!(world.mark().last_high_water, Some(minute(2 * DAY)));
    world.restart();
    let resumed = RunOptions { resume: Some(first), ..options.clone() };
    world.at(21 * DAY);
    let reports = try_windows(&mut world, &resumed).unwrap();
    assert_eq!(bounds(&reports)[0], (minute(2 * DAY), minute(3 * DAY)));
    assert_eq!(bounds(&reports)[2].1, minute(20 * DAY - BUFFER), "as far as the first would have gone, and no farther");
    assert!(
        try_windows(&mut world, &resumed).unwrap_err().to_string().contains("completed"),
        "nothing goes on from it"
    );
    // A run that goes back in time is behind the watermark: it goes on where it is resumed.
    let mut back = world.options();
    back.request.from = Some(minute(0));
    let one = world.run_with(&back).unwrap();
    assert_eq!((bounds(std::slice::from_ref(&one))[0], world.numbers()), ((minute(0), minute(2 * DAY)), vec![1]));
    let reports = try_windows(&mut world, &RunOptions { resume: Some(one.run.id), ..options }).unwrap();
    assert_eq!(rows(&reports), [1, 1, 1]);
    assert_eq!(bounds(&reports)[0].0, minute(2 * DAY));
    assert_eq!(bounds(&reports)[2].1, minute(21 * DAY - BUFFER));
    assert_eq!(world.mark().last_high_water, Some(minute(21 * DAY - BUFFER)), "never back");
    has_all(&world, 1..=4);
}

/// A run that goes back in time stops between two windows, and the next run knows nothing of it, as by a schedule.
pub fn rule_1_what_a_run_that_went_back_left_is_taken_by_the_next(on: &Instance) {
    let mut world = seeded(on, &[1, 2, 3, 4], "1 row");
    world.at(20 * DAY);
    let options = world.options();
    try_windows(&mut world, &options).unwrap();
    let mut back = world.options();
    back.request.from = Some(minute(0));
    let one = world.run_with(&back).unwrap();
    assert_eq!(bounds(std::slice::from_ref(&one))[0], (minute(0), minute(2 * DAY)));
    world.at(22 * DAY);
    let reports = try_windows(&mut world, &options).unwrap();
    assert_eq!(bounds(&reports)[0].0, minute(2 * DAY), "where the run that went back stopped");
    assert_eq!(rows(&reports), [1, 1, 1]);
    assert_eq!(bounds(&reports)[2].1, minute(22 * DAY - BUFFER));
    let reports = try_windows(&mut world, &options).unwrap();
    assert_eq!(bounds(&reports)[0].0, minute(22 * DAY - 2 * BUFFER), "once");
    // It ended where it was told to.
    let mut until = back.clone();
    until.request.until = Some(minute(2 * DAY));
    try_windows(&mut world, &until).unwrap();
    world.at(23 * DAY);
    let reports = try_windows(&mut world, &options).unwrap();
    assert_eq!(bounds(&reports)[0].0, minute(22 * DAY - 2 * BUFFER), "the watermark stayed");
}

pub fn rule_1_a_window_in_the_middle_that_fails_leaves_the_rest_for_the_next_run(on: &Instance) {
    let mut world = seeded(on, &[1, 2, 3], "1 row");
    world.table.schema_drift = SchemaDrift::Refuse;
    world.backend.save_table(&world.table).unwrap();
    world.at(20 * DAY);
    let options = world.options();
    let mut another = world.another();
    let (sqlite, tsql) = ("ALTER TABLE Src.Docs ADD owner", "ALTER TABLE Src.dbo.Docs ADD owner nvarchar(50) NULL");
    let sqlite = format!("{sqlite} \"nvarchar(50)\" NULL");
    let text = if world.is_embedded() { sqlite.as_str() } else { tsql };
    let mut changed = false;
    let disk = Arc::clone(&world.disk);
    let reports = engine::run_windows(&mut *world.backend, &options, &*disk, &Silent, &mut |_, _| {
        if !std::mem::replace(&mut changed, true) {
            another.execute_script(text).unwrap();
        }
    })
    .unwrap();
    assert_eq!(
        reports.iter().map(|report| report.tables[0].status).collect::<Vec<_>>(),
        [Status::Completed, Status::Failed]
    );
    assert_eq!(world.mark().last_high_water, Some(minute(2 * DAY)));
    world.restart();
    world.table.schema_drift = SchemaDrift::Carry;
    world.backend.save_table(&world.table).unwrap();
    let reports = windows_at(&mut world, 21 * DAY);
    assert_eq!(rows(&reports), [1, 1]);
    assert_eq!(
        last_table(&reports[0]).schema_changes.len(),
        1,
        "between two windows columns change as between two runs"
    );
    has_all(&world, 1..=3);
}

pub fn rule_1_until_ends_a_run_earlier(on: &Instance) {
    let mut world = seeded(on, &[1, 2, 3, 8], "1 row");
    world.at(20 * DAY);
    let mut until = world.options();
    until.request.until = Some(minute(3 * DAY));
    let reports = try_windows(&mut world, &until).unwrap();
    assert_eq!((rows(&reports), bounds(&reports)[1].1), (vec![1, 1], minute(3 * DAY)), "half-open");
    assert!(!world.mark().is_initial_full_load_done);
    let again = try_windows(&mut world, &until).unwrap();
    let error = again[0].tables[0].error.as_ref().unwrap();
    assert!(error.kind() == Kind::Usage && error.to_string().contains("leaves nothing to take"), "{error}");
    until.request.until = Some(minute(21 * DAY));
    assert_eq!(try_windows(&mut world, &until).unwrap_err().kind(), Kind::Usage, "it is yet to come");
    until.request.from = Some(minute(DAY));
    until.request.until = Some(minute(2 * DAY));
    assert_eq!(rows(&try_windows(&mut world, &until).unwrap()), [1], "back and no farther");
    assert_eq!(rows(&windows_at(&mut world, 20 * DAY)), [1, 1]);
    assert!(world.mark().is_initial_full_load_done);
    has_all(&world, 1..=4);
}

pub fn rule_1_of_several_tables_those_that_were_cut_go_on(on: &Instance) {
    let mut world = seeded(on, &[1, 2, 3], "1 row");
    world.put(4, None, b"row 4", 4 * DAY, B);
    world.add_table("Notes");
    let reports = windows_at(&mut world, 20 * DAY);
    let tables = |report: &RunReport| report.tables.iter().map(|table| table.table.table.clone()).collect::<Vec<_>>();
    assert_eq!(
        reports.iter().map(tables).collect::<Vec<_>>(),
        [vec!["Docs", "Notes"], vec!["Docs"], vec!["Docs"], vec!["Docs"]]
    );
    assert!(
        reports.iter().all(|report| report.run.run_type == "AllTables"),
        "what they leave is packed by the next run"
    );
    // A unit has windows of its own, of its own rows.
    world.at(20 * DAY);
    let mut of_b = world.options();
    of_b.request.scope = Scope::BusinessUnit(unit(B));
    assert_eq!(rows(&try_windows(&mut world, &of_b).unwrap()), [1]);
    let mut of_a = world.options();
    of_a.request.scope = Scope::BusinessUnit(unit(A));
    let reports = try_windows(&mut world, &of_a).unwrap();
    assert_eq!(
        reports.iter().map(|report| report.tables[0].counts.clone().unwrap().roots).collect::<Vec<_>>(),
        [1, 1, 1]
    );
    let marks = world.backend.unit_watermarks().unwrap();
    let of_docs = marks.iter().filter(|mark| mark.table == world.table.name);
    assert!(of_docs.into_iter().all(|mark| mark.last_high_water == minute(20 * DAY - BUFFER)));
    let links: Vec<Bundle> = reports.iter().map(|report| Bundle::open(&report.bundles[0]).unwrap()).collect();
    for pair in links.windows(2) {
        let previous = pair[1].manifest().tables[0].previous.map(|previous| previous.root_sha256);
        assert_eq!(previous, Some(pair[0].root_sha256()));
    }
}

pub fn rule_10_without_a_bundle_there_is_one_window_a_call(on: &Instance) {
    let mut world = seeded(on, &[1, 2, 3], "1 row");
    world.table.require_bundle = Some(false);
    world.backend.save_table(&world.table).unwrap();
    world.at(20 * DAY);
    let mut options = RunOptions { out: None, ..world.options() };
    for number in 1..=3_u32 {
        let reports = try_windows(&mut world, &options).unwrap();
        assert_eq!(
            (reports.len(), world.numbers()),
            (1, vec![number]),
            "the next one would empty what nobody has taken"
        );
        assert_eq!(reports[0].open.is_empty(), number == 3);
        options.resume = Some(reports[0].run.id);
    }
}
