//! Rule 7 and rule 13: the tree in a slice is whole, and parents stand first.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, World, X, key, minute};
use blobdelta::model::run::Status;
use blobdelta::model::sqltype::SqlType;

pub fn rule_7_every_ancestor_comes_whatever_its_metadata_or_window(on: &Instance) {
    let mut world = World::new(on);
    world.blob(1, None, b"");
    world.put(2, Some(1), b"", 1, A);
    world.put(3, Some(2), b"", 1, X);
    world.run(5000);
    world.put(4, Some(3), b"new", 5000, A);
    let report = world.run(9000);
    let slice = world.slice();
    assert_eq!(world.numbers(), [1, 2, 3, 4]);
    let counts = report.tables[0].counts.clone().unwrap();
    assert_eq!((counts.roots, counts.missing_parents, counts.children), (0, 3, 1));
    assert_eq!(slice[&key(4)].parent, Some(key(3)));
    assert_eq!([1, 2, 3, 4].map(|n| slice[&key(n)].depth), [0, 1, 2, 3]);
    assert_eq!([1, 2, 3, 4].map(|n| slice[&key(n)].step), [2, 2, 2, 3]);
}

pub fn rule_7_an_ancestor_of_another_unit_comes_without_its_blob_and_loses(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"of B", 10, B);
    world.put(2, Some(1), b"of A", 10, A);
    world.run_unit(1000, A);
    let slice = world.slice();
    assert_eq!((&slice[&key(1)].bytes, slice[&key(1)].modified), (&None, None));
    assert_eq!(slice[&key(2)].bytes.as_deref(), Some(&b"of A"[..]));
}

pub fn rule_7_an_ancestor_stamped_in_the_future_comes_without_its_stamp(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"future", 99_999, A);
    world.put(2, Some(1), b"now", 10, A);
    world.run(1000);
    let slice = world.slice();
    assert_eq!((slice[&key(1)].bytes.as_deref(), slice[&key(1)].modified), (Some(&b"future"[..]), None));
}

pub fn rule_7_an_ancestor_that_is_held_back_comes_as_a_missing_parent(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"hot", 990, A);
    world.put(2, Some(1), b"cold", 10, A);
    world.run(1000);
    let slice = world.slice();
    assert_eq!((slice[&key(1)].step, slice[&key(1)].modified), (2, Some(minute(990))));
}

pub fn rule_7_what_step_3_leaves_without_a_parent_is_closed_after_it(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"", 10, A);
    world.put(2, Some(1), b"folder", 10, A);
    world.put(3, Some(2), b"file", 10, A);
    world.at(1000);
    let run = world.start_run();
    world.backend.start_table(&run, &world.table.clone(), 600).unwrap();
    // The folder is queued, and stamped again before its turn comes: it is held back, its file is not.
    world.stamp(2, 995, A);
    world.at(1011);
    let mut options = world.options();
    options.resume = Some(run.id);
    let report = world.run_with(&options).unwrap();
    assert_eq!(report.tables[0].counts.as_ref().unwrap().held_back, 1);
    assert_eq!(world.numbers(), [1, 2, 3]);
    assert_eq!(world.slice()[&key(2)].step, 2);
}

pub fn rule_7_parents_that_the_source_lacks_or_that_are_excluded_are_listed(on: &Instance) {
    let mut world = World::new(on);
    world.put(2, Some(1), b"orphan", 10, A);
    world.put(3, None, b"excluded", 10, A);
    world.put(4, Some(3), b"child of it", 10, A);
    world.backend.exclude_key(&world.table.name.clone(), key(3), "cannot be read").unwrap();
    let report = world.run(1000);
    assert_eq!(report.tables[0].status, Status::Completed);
    assert_eq!(world.numbers(), [2, 4]);
    let fence = world.backend.take_lease(report.run.id, &world.table.name.clone(), 60).unwrap();
    let absent = world.backend.absent_parents(&fence, None, 10).unwrap();
    let pairs: Vec<_> = absent.iter().map(|absent| (absent.child, absent.parent)).collect();
    assert_eq!(pairs, [(key(2), None), (key(4), Some(key(3)))]);
}

pub fn rule_7_a_cycle_is_an_error_that_names_its_rows_and_excluding_one_frees_the_others(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"", 10, A);
    for number in 2..=6 {
        world.put(number, Some(number - 1), b"", 10, A);
    }
    world.script(
        "UPDATE Src.Docs SET parent_path_locator = (SELECT path_locator FROM Src.Docs WHERE name = 'file 2')
         WHERE name = 'file 1'",
        "UPDATE Src.dbo.Docs SET parent_path_locator =
             (SELECT d.path_locator FROM Src.dbo.Docs AS d WHERE d.name = N'file 2') WHERE name = N'file 1'",
    );
    let report = world.run(1000);
    let outcome = &report.tables[0];
    assert_eq!(outcome.status, Status::Failed);
    let error = outcome.error.as_ref().unwrap();
    assert!(error.to_string().contains("form a cycle"), "{error}");
    assert!([1, 2].iter().all(|n| error.to_string().contains(&key(*n).to_string())), "{error}");
    assert!((3..=6).all(|n| !error.to_string().contains(&key(n).to_string())), "{error}");
    assert_eq!(world.mark().last_high_water, None);
    assert!(!world.mark().is_running);

    world.backend.exclude_key(&world.table.name.clone(), key(1), "its parent is wrong").unwrap();
    assert_eq!(world.run(1000).tables[0].status, Status::Completed);
    let slice = world.slice();
    let depths: Vec<_> = (1..=6).map(|number| slice.get(&key(number)).map(|row| row.depth)).collect();
    assert_eq!(depths, [None, Some(0), Some(1), Some(2), Some(3), Some(4)]);
}

pub fn rule_7_a_flat_table_has_step_1_alone(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"root", 10, A);
    world.put(2, Some(1), b"child", 10, A);
    let mut flat = world.table.clone();
    (flat.path_column, flat.parent_path_column) = (None, None);
    world.backend.save_table(&flat).unwrap();
    let report = world.run(1000);
    let counts = report.tables[0].counts.clone().unwrap();
    assert_eq!((counts.roots, counts.missing_parents, counts.children), (2, 0, 0));
}

pub fn rule_13_two_hundred_levels_stand_in_order(on: &Instance) {
    let mut world = World::new(on);
    for number in 1..=200 {
        world.put(number, (number > 1).then(|| number - 1), b"", 10, A);
    }
    world.run(1000);
    let slice = world.slice();
    assert!((1..=200).all(|number| slice[&key(number)].depth == i64::from(number) - 1));
}

pub fn a_key_column_of_another_type_is_refused(on: &Instance) {
    let mut world = World::new(on);
    let mut wrong = world.table.clone();
    wrong.key_column = "name".into();
    let error = world.backend.save_table(&wrong).unwrap_err();
    assert!(error.to_string().contains("has to be uniqueidentifier"), "{error}");
    assert_eq!(SqlType::parse("uniqueidentifier").unwrap(), SqlType::UniqueIdentifier);
}
