//! Rule 18, third promise: a place of one unit takes that unit's bundles alone, unless somebody says so by name.

use crate::scenarios::destinations::{pack, reported, stopped};
use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, B, World, unit};
use blobdelta::bundle::{Bundle, check_coming};
use blobdelta::engine::{self, RunOptions};
use blobdelta::error::{Error, Kind};
use blobdelta::model::run::{Run, Scope};
use blobdelta::monitor::Silent;
use std::path::{Path, PathBuf};

const DROP_A: &str = "s3://a/weekly";

fn seeded(on: &Instance) -> World {
    let mut world = World::new(on);
    world.put(1, None, b"of a", 10, A);
    world.put(2, None, b"of b", 10, B);
    world
}

fn run_at(world: &mut World, at: i64, options: &RunOptions) -> Run {
    world.at(at);
    world.run_with(options).unwrap().run
}

/// Names of what stands in a folder.
fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

fn is_refusal(error: &Error) {
    assert_eq!(error.kind(), Kind::Usage, "{error}");
    let (text, hint) = (error.to_string(), error.what_to_do().unwrap());
    assert!(text.contains(&format!("this place is of business unit {}", unit(A))), "{text}");
    assert!(text.contains("nothing was written") && hint.contains("--shared-place"), "{text}: {hint}");
}

/// The run is refused before there is one.
fn refused(world: &mut World, at: i64, folder: &str, letter: Option<u8>, ship_to: Option<&str>) {
    let options = &reported(world, folder, letter, ship_to);
    world.at(at);
    let before = (world.backend.recent_runs(9).unwrap().len(), world.numbers(), names(options.out.as_ref().unwrap()));
    let error = world.run_with(options).unwrap_err();
    is_refusal(&error);
    let after = (world.backend.recent_runs(9).unwrap().len(), world.numbers(), names(options.out.as_ref().unwrap()));
    assert_eq!(before, after);
}

pub fn rule_18_a_folder_of_one_unit_takes_no_row_of_another_or_of_all(on: &Instance) {
    let mut world = seeded(on);
    let of_a = reported(&world, "a", Some(A), Some(DROP_A));
    run_at(&mut world, 1000, &of_a);
    for other in [Some(B), None] {
        refused(&mut world, 2000, "a", other, None);
        refused(&mut world, 2000, "a/inside", other, None);
        // The destination, however it is written, and what lies in it.
        for drop in [DROP_A, "s3://a/weekly/b", of_a.out.as_ref().unwrap().to_str().unwrap()] {
            refused(&mut world, 2000, "other", other, Some(drop));
        }
    }
    let own = reported(&world, "a", Some(A), Some(DROP_A));
    run_at(&mut world, 3000, &own);
    assert_eq!(names(of_a.out.as_ref().unwrap()).len(), 3, "two bundles, and the folder of this test");
}

pub fn rule_18_a_run_is_packed_into_no_folder_of_others(on: &Instance) {
    let mut world = seeded(on);
    let of_a = reported(&world, "a", Some(A), None);
    run_at(&mut world, 1000, &of_a);
    for (at, other) in [(2000, Some(B)), (3000, None)] {
        let elsewhere = reported(&world, &format!("of {other:?}"), other, None);
        let left = stopped(&mut world, at, &elsewhere);
        is_refusal(&pack(&mut world, left, &of_a).unwrap_err());
        let resumed = RunOptions { resume: Some(left), ..of_a.clone() };
        is_refusal(&world.run_with(&resumed).unwrap_err());
        let recorded = world.backend.run(left).unwrap().destination.unwrap();
        assert_eq!(PathBuf::from(recorded.out_folder), *elsewhere.out.as_ref().unwrap());
        pack(&mut world, left, &elsewhere).unwrap();
        // What is packed already is not written again there, and is not shipped there.
        is_refusal(&pack(&mut world, left, &of_a).unwrap_err());
        let drop = of_a.out.as_ref().unwrap().to_str().unwrap();
        is_refusal(&blobdelta::shipping::set_destination(&mut *world.backend, left, drop).unwrap_err());
    }
    assert_eq!(names(of_a.out.as_ref().unwrap()).len(), 1);
}

pub fn rule_18_a_place_that_is_shared_by_name_stays_so(on: &Instance) {
    let mut world = seeded(on);
    let of_a = reported(&world, "a", Some(A), Some(DROP_A));
    run_at(&mut world, 1000, &of_a);
    let of_b = reported(&world, "a", Some(B), Some(DROP_A));
    let mut by_name = of_b.clone();
    by_name.pack.waive.place = true;
    run_at(&mut world, 2000, &by_name);
    run_at(&mut world, 3000, &of_b);
    run_at(&mut world, 4000, &of_a);
    assert_eq!(names(of_a.out.as_ref().unwrap()).len(), 4);
    world.at(5000);
    let all = reported(&world, "a", None, None);
    let error = world.run_with(&all).unwrap_err();
    assert!(error.to_string().contains(&unit(B).to_string()), "it is both units': {error}");
}

pub fn rule_18_a_place_of_all_units_takes_everything(on: &Instance) {
    let mut world = seeded(on);
    let all = reported(&world, "all", None, Some("s3://everybody/weekly"));
    run_at(&mut world, 1000, &all);
    for letter in [A, B] {
        let one = reported(&world, "all", Some(letter), Some("s3://everybody/weekly"));
        run_at(&mut world, 1000 + i64::from(letter), &one);
    }
    run_at(&mut world, 3000, &all);
    // A folder of one unit may lie in that of all, and is its own all the same.
    let inside = reported(&world, "all/a", Some(A), None);
    run_at(&mut world, 4000, &inside);
    refused(&mut world, 5000, "all/a", None, None);
}

pub fn rule_18_no_unit_publishes_above_the_place_of_another(on: &Instance) {
    let mut world = seeded(on);
    let of_a = reported(&world, "above/a", Some(A), Some("s3://units/above/a"));
    run_at(&mut world, 1000, &of_a);
    // Whoever reads a folder reads what lies in it.
    for (folder, ship_to) in [("above", None), ("b", Some("s3://units/above"))] {
        let of_b = reported(&world, folder, Some(B), ship_to);
        world.at(2000);
        let error = world.run_with(&of_b).unwrap_err();
        let told = error.to_string();
        assert!(told.contains(&format!("lies in this place and is of business unit {}", unit(A))), "{told}");
        assert!(error.kind() == Kind::Usage && error.what_to_do().unwrap().contains("--shared-place"), "{error}");
        assert_eq!(world.backend.recent_runs(9).unwrap().len(), 1, "it is refused before there is a run");
    }
    // The same unit may, and all units, whose readers may see everything.
    let own = reported(&world, "above", Some(A), None);
    run_at(&mut world, 4000, &own);
    let all = reported(&world, "all", None, Some("s3://units"));
    run_at(&mut world, 5000, &all);
    let mut by_name = reported(&world, "above", Some(B), None);
    by_name.pack.waive.place = true;
    run_at(&mut world, 6000, &by_name);
}

pub fn rule_18_what_stands_at_a_place_without_a_record_says_whose_it_is(on: &Instance) {
    let mut world = seeded(on);
    let of_a = reported(&world, "a", Some(A), None);
    run_at(&mut world, 1000, &of_a);
    let brought = reported(&world, "brought", None, None);
    let folder = brought.out.clone().unwrap();
    for bundle in names(of_a.out.as_ref().unwrap()) {
        std::fs::rename(&bundle, folder.join(bundle.file_name().unwrap())).unwrap();
    }
    refused(&mut world, 2000, "brought", None, None);
    refused(&mut world, 2000, "brought", Some(B), None);
    // Whoever has no job database looks at what stands there.
    let of_b = reported(&world, "b", Some(B), None);
    run_at(&mut world, 3000, &of_b);
    let opened = |folder: &Path| Bundle::open(&names(folder)[0]).unwrap();
    let (own, foreign) = (opened(&folder), opened(of_b.out.as_ref().unwrap()));
    let check = |bundle: &Bundle| check_coming([bundle.manifest()].into_iter(), &folder, &Silent);
    assert!(check(&own).is_ok());
    is_refusal(&check(&foreign).unwrap_err());
    let others = |world: &mut World, letter: u8| {
        let scope = Scope::BusinessUnit(unit(letter));
        engine::find_others(&mut *world.backend, scope, &folder, None, &Silent).unwrap().is_some()
    };
    assert_eq!([A, B].map(|letter| others(&mut world, letter)), [false, true]);
}

pub fn what_can_never_be_shipped_is_waived_by_name_and_stays_recorded(on: &Instance) {
    let mut world = seeded(on);
    let all = reported(&world, "all", None, Some("s3://nowhere/ever"));
    let (first, second) = (run_at(&mut world, 1000, &all).id, run_at(&mut world, 2000, &all).id);
    assert_eq!(world.backend.waive_shipments(first).unwrap(), ["s3://nowhere/ever"]);
    let unshipped: Vec<_> = world.backend.unshipped().unwrap().into_iter().map(|bundle| bundle.run_id).collect();
    assert_eq!(unshipped, [second], "of this run alone");
    assert_eq!(world.backend.bundles(first).unwrap()[0].ship_to, None);
    assert!(world.backend.waive_shipments(first).unwrap().is_empty(), "once");
    blobdelta::shipping::set_destination(&mut *world.backend, first, "s3://elsewhere/weekly").unwrap();
    assert_eq!(world.backend.unshipped().unwrap().len(), 2, "it may still have to be shipped to another one");
}
