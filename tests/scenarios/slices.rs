//! Whose slice it is: rules 8 to 11.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, BUFFER, World, key, minute, unit};
use blobdelta::backend::PackState;
use blobdelta::engine::{self, PackOptions, PackRequest, RunOptions};
use blobdelta::error::Kind;
use blobdelta::model::run::{Scope, Status, Step};
use blobdelta::model::slice::SliceState;
use blobdelta::monitor::Silent;

pub fn rule_8_a_second_run_is_told_who_holds_the_lease(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.at(1000);
    let mut other = world.another();
    let run = other.start_run(&world.options().request, None).unwrap();
    other.start_table(&run, &world.table, 600).unwrap();
    let report = world.run_with(&world.options()).unwrap();
    let error = report.tables[0].error.as_ref().unwrap();
    assert_eq!(error.kind(), Kind::LeaseHeld);
    assert!(error.to_string().contains(&run.id.to_string()), "{error}");
    // Not every server writes the T.
    assert!(error.to_string().replace("01 16", "01T16").contains("2026-01-01T16:50:00"), "until when: {error}");
}

pub fn rule_8_who_lost_the_lease_writes_nothing_more(on: &Instance) {
    let mut world = World::new(on);
    for number in 1..=4 {
        world.put(number, None, b"x", 10, A);
    }
    world.at(1000);
    let mut first = world.another();
    let run = first.start_run(&world.options().request, None).unwrap();
    let table_run = first.start_table(&run, &world.table, 600).unwrap();
    first.run_batch(&table_run, Step::Roots, 2).unwrap();
    world.at(1011);
    let report = world.run_with(&world.options()).unwrap();
    assert_eq!(report.tables[0].status, Status::Completed, "an expired lease may be taken");
    let before = world.slice();
    for error in [
        first.run_batch(&table_run, Step::Roots, 2).unwrap_err(),
        first.queue_missing_parents(&table_run).unwrap_err(),
        first.finish_table(&table_run, false).unwrap_err(),
        first.lease_keeper().unwrap().renew(&table_run.fence, 600).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Superseded, "{error}");
    }
    assert_eq!(world.slice(), before);
    let error = first.start_table(&run, &world.table, 600).unwrap_err();
    assert_eq!(error.kind(), Kind::Superseded, "its slice was taken: {error}");
}

pub fn rule_8_the_same_run_resumed_twice_is_fenced_by_the_epoch(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.at(1000);
    let run = world.start_run();
    let old = world.backend.start_table(&run, &world.table.clone(), 600).unwrap();
    let error = world.another().start_table(&run, &world.table, 600).unwrap_err();
    assert_eq!(error.kind(), Kind::LeaseHeld, "also for itself");
    world.at(1011);
    let new = world.another().start_table(&run, &world.table, 600).unwrap();
    assert_eq!(new.fence.epoch, old.fence.epoch + 1);
    let error = world.backend.run_batch(&old, Step::Roots, 2).unwrap_err();
    assert_eq!(error.kind(), Kind::Superseded);
}

pub fn rule_9_a_fresh_run_empties_the_slice_so_that_updates_are_taken(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"old", 900 - BUFFER, A);
    world.run(900);
    world.put(1, None, b"new", 1000, A);
    world.run(2000);
    assert_eq!(world.slice()[&key(1)].bytes.as_deref(), Some(&b"new"[..]));
}

pub fn rule_9_every_batch_checks_whose_the_slice_is(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.at(1000);
    let run = world.start_run();
    let table_run = world.backend.start_table(&run, &world.table.clone(), 600).unwrap();
    world.script(
        "UPDATE Src_Delta.BlobDeltaSlice SET RunId = randomblob(16)",
        "UPDATE Src_Delta.dbo.BlobDeltaSlice SET RunId = NEWID()",
    );
    for error in [
        world.backend.run_batch(&table_run, Step::Roots, 2).unwrap_err(),
        world.backend.queue_missing_parents(&table_run).unwrap_err(),
        world.backend.finish_table(&table_run, false).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Superseded, "{error}");
    }
    assert!(world.slice().is_empty());
}

pub fn rule_9_a_run_that_a_later_one_of_its_scope_has_passed_is_not_gone_on_with(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"one", 10, A);
    world.at(1000);
    let dead = world.start_run();
    let later = world.run(9000);
    let mark = world.mark().last_high_water;
    world.at(9010);
    let options = RunOptions { resume: Some(dead.id), ..world.options() };
    let report = world.run_with(&options).unwrap();
    let outcome = &report.tables[0];
    let error = outcome.error.as_ref().unwrap();
    assert_eq!((outcome.status, report.bundles.len()), (Status::Superseded, 0), "{error}");
    assert!(error.to_string().contains("a later run has taken this table"), "{error}");
    assert_eq!(world.mark().last_high_water, mark);
    assert_eq!(world.backend.slice_marker(&world.table.clone()).unwrap().run_id, Some(later.run.id));
    // One of another scope has passed nobody.
    let mut unit_alone = world.options();
    unit_alone.request.scope = Scope::BusinessUnit(unit(A));
    world.at(9020);
    let dead = world.backend.start_run(&unit_alone.request, None).unwrap();
    world.run(19_000);
    unit_alone.resume = Some(dead.id);
    assert_eq!(world.run_with(&unit_alone).unwrap().tables[0].status, Status::Completed);
}

pub fn rule_9_without_a_marker_row_nothing_is_deleted(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.run(1000);
    world.script("DELETE FROM Src_Delta.BlobDeltaSlice", "DELETE FROM Src_Delta.dbo.BlobDeltaSlice");
    world.at(2000);
    let report = world.run_with(&world.options()).unwrap();
    let error = report.tables[0].error.as_ref().unwrap();
    assert!(error.to_string().contains("has no marker row"), "{error}");
    assert_eq!(world.numbers(), [1]);
    let deployed = world.deploy();
    let slice = deployed.iter().find(|step| step.name.contains("Src.dbo.Docs")).unwrap();
    assert!(slice.needs_attention && slice.outcome.contains("no marker row says"), "{slice:?}");
}

pub fn rule_10_a_complete_slice_is_packed_before_it_is_emptied(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.at(1000);
    let mut options = world.options();
    world.table.require_bundle = None;
    world.backend.save_table(&world.table.clone()).unwrap();
    options.out = None;
    let unpacked = world.run_with(&options).unwrap().run.id;
    assert_eq!(world.backend.run_tables(unpacked).unwrap()[0].1, PackState::Unpacked);
    let report = world.run(2000);
    assert_eq!(report.bundles.len(), 2);
    assert_eq!(world.backend.bundles(unpacked).unwrap().len(), 1);
    let error = world.run_with(&options).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "the first bundle made bundles the rule: {error}");
}

pub fn rule_10_start_table_refuses_to_empty_what_must_be_packed(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.at(1000);
    let run = world.start_run();
    let table_run = world.backend.start_table(&run, &world.table.clone(), 600).unwrap();
    while world.backend.run_batch(&table_run, Step::Roots, 2).unwrap().keys > 0 {}
    world.backend.finish_table(&table_run, false).unwrap();
    let next = world.start_run();
    let error = world.backend.start_table(&next, &world.table.clone(), 600).unwrap_err();
    assert!(error.to_string().contains("is in no bundle yet"), "{error}");
    assert_eq!(world.numbers(), [1]);
    assert!(!world.mark().is_running, "the lease was released");
}

pub fn rule_11_the_watermark_moves_with_the_complete_slice_and_never_back(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.at(1000);
    let run = world.start_run();
    let table_run = world.backend.start_table(&run, &world.table.clone(), 600).unwrap();
    let error = world.backend.finish_table(&table_run, false).unwrap_err();
    assert!(error.to_string().contains("1 keys have not ended"), "{error}");
    assert_eq!(world.mark().last_high_water, None);
    while world.backend.run_batch(&table_run, Step::Roots, 2).unwrap().keys > 0 {}
    world.backend.finish_table(&table_run, false).unwrap();
    let mark = world.mark().last_high_water;
    assert_eq!(mark, Some(minute(1000 - BUFFER)));
    assert_eq!(world.backend.slice_marker(&world.table.clone()).unwrap().state, SliceState::Complete);
    world.run(1000 - 1);
    assert_eq!(world.mark().last_high_water, mark);
}

pub fn packing_a_finished_run_again_gives_the_same_root(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    world.put(2, Some(1), &[7; 100_000], 10, A);
    let run = world.run(1000).run.id;
    let again = world.dir.path().join("again");
    std::fs::create_dir(&again).unwrap();
    let disk = std::sync::Arc::clone(&world.disk);
    let packed = engine::pack(
        &mut *world.backend,
        &PackRequest { run_id: run, out: &again, options: &PackOptions::default(), lease_seconds: 600 },
        &*disk,
        &Silent,
    )
    .unwrap()
    .bundles;
    assert_eq!(packed.len(), 1);
    let (one, two) = (tree(&world.out().join(packed[0].file_name().unwrap())), tree(&packed[0]));
    assert_eq!(one, two);
    assert!(one.len() > 6);
}

pub fn a_slice_read_over_several_connections_gives_the_same_root(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"x", 10, A);
    for nth in 2..=24 {
        let bytes: Vec<u8> = (0..1000 * nth).map(|at: u32| at.to_le_bytes()[1]).collect();
        world.put(nth, Some(nth / 2), &bytes, 10, A);
    }
    let run = world.run(1000).run.id;
    for connections in [2, 3, 5] {
        let again = world.dir.path().join(format!("over {connections}"));
        std::fs::create_dir(&again).unwrap();
        let disk = std::sync::Arc::clone(&world.disk);
        let mut over = world.place.open_over(connections);
        let packed = engine::pack(
            &mut *over,
            &PackRequest { run_id: run, out: &again, options: &PackOptions::default(), lease_seconds: 600 },
            &*disk,
            &Silent,
        )
        .unwrap()
        .bundles;
        assert_eq!(tree(&world.out().join(packed[0].file_name().unwrap())), tree(&packed[0]), "{connections}");
    }
}

/// A root, the same as an ancestor, and a child; a small value stands beside it in the batch.
pub fn values_that_are_copied_in_chunks_are_copied_whole(on: &Instance) {
    let big: Vec<u8> = (0..17_000_001_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let mut world = World::new(on);
    world.put(2, None, &big, 5, A);
    world.put(3, Some(2), &big, 1000, A);
    world.put(4, Some(2), b"small", 1000, A);
    let mut options = world.options();
    options.request.batch_size = None;
    world.at(1000);
    world.run_with(&options).unwrap();
    assert!(world.slice()[&key(2)].bytes.as_ref() == Some(&big), "a root");
    world.at(2000);
    world.run_with(&options).unwrap();
    let slice = world.slice();
    assert_eq!(slice[&key(2)].step, 2);
    assert!(slice[&key(2)].bytes.as_ref() == Some(&big), "an ancestor");
    assert!(slice[&key(3)].bytes.as_ref() == Some(&big), "a child");
    assert_eq!(slice[&key(4)].bytes.as_deref(), Some(&b"small"[..]));
}

/// The order of a batch, and the way back to its rows, are those of the source's rowids, where it has them.
pub fn a_source_without_rowids_is_copied_as_any_other(on: &Instance) {
    let columns = "stream_id, file_stream, name, path_locator, parent_path_locator";
    let anew = |more: &str, end: &str| {
        format!(
            "ALTER TABLE Src.Docs RENAME TO Stored; CREATE TABLE Src.Docs (stream_id \"uniqueidentifier BLOB\" NOT NULL
                 PRIMARY KEY, file_stream \"varbinary(max) BLOB\" NULL, name \"nvarchar(255) TEXT\" NOT NULL,
                 path_locator \"varbinary(892) BLOB\" NOT NULL, parent_path_locator \"varbinary(892) BLOB\" NULL
                 {more}) {end}; INSERT INTO Src.Docs ({columns}) SELECT {columns} FROM Src.Stored"
        )
    };
    let shapes = [
        String::new(),
        "ALTER TABLE Src.Docs RENAME TO Stored; CREATE VIEW Src.Docs AS SELECT * FROM Stored".to_owned(),
        anew("", "WITHOUT ROWID"),
        anew(", \"RowId\" \"int INTEGER\" NULL DEFAULT 7", ""),
    ];
    let slices = shapes.map(|shape| {
        let mut world = World::new(on);
        world.blob(9, None, b"an ancestor");
        for (number, parent) in [(8, Some(9)), (1, Some(8)), (7, None), (2, Some(7)), (3, Some(9)), (5, None)] {
            world.put(number, parent, format!("bytes {number}").as_bytes(), 5, A);
        }
        world.stamp(6, 5, A);
        world.script(&shape, "");
        world.at(1000);
        let report = world.run_with(&world.options()).unwrap();
        assert_eq!(report.run.status, Status::Completed, "{shape}");
        assert_eq!(world.numbers(), [1, 2, 3, 5, 7, 8, 9], "{shape}");
        let slice = world.slice();
        assert_eq!((slice[&key(9)].step, slice[&key(8)].step), (2, 3), "{shape}");
        slice.into_values().map(|row| (row.bytes, row.step, row.depth, row.parent)).collect::<Vec<_>>()
    });
    assert!(slices.iter().all(|slice| *slice == slices[0]), "{slices:?}");
}

fn tree(folder: &std::path::Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}
