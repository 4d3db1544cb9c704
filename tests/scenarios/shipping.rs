//! What a run has still to ship: kept from the moment a bundle is recorded, told, tried again.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, World, minute};
use blobdelta::backend::{BundleRecord, PendingShipment};
use blobdelta::durable::{Faulty, When};
use blobdelta::engine::RunReport;
use blobdelta::error::{Error, Kind, Result};
use blobdelta::model::id::Guid;
use blobdelta::model::run::{Scope, Selection};
use blobdelta::monitor::Silent;
use blobdelta::shipping::{ShipmentOutcome, ship_each, unshipped};
use std::collections::BTreeMap;

const FIRST: &str = "s3://first/weekly";
const SECOND: &str = "az://second/weekly";

/// Destinations as they are seen from outside: what stands under which name, and which are down.
#[derive(Default)]
struct Outside {
    existing: BTreeMap<(String, String), String>,
    down: Vec<&'static str>,
    tried: Vec<String>,
}

impl Outside {
    fn take(&mut self, bundle: &PendingShipment) -> Result<()> {
        self.tried.push(bundle.name.clone());
        if self.down.contains(&bundle.ship_to.as_str()) {
            return Err(Error::new(Kind::Io, "nobody answers"));
        }
        let place = (bundle.ship_to.clone(), bundle.name.clone());
        let stands = self.existing.entry(place).or_insert_with(|| bundle.root_sha256.to_string());
        assert_eq!(*stands, bundle.root_sha256.to_string(), "another bundle under the same name");
        Ok(())
    }

    fn ship(&mut self, world: &mut World) -> Vec<ShipmentOutcome> {
        self.try_to_ship(world).unwrap()
    }

    fn try_to_ship(&mut self, world: &mut World) -> Result<Vec<ShipmentOutcome>> {
        let unshipped = unshipped(&mut *world.backend, &Selection { table: None, scope: Scope::All })?.own;
        Ok(ship_each(&mut *world.backend, unshipped, &mut |bundle| self.take(bundle), &Silent))
    }

    fn names_at(&self, destination: &str) -> Vec<&str> {
        let here = self.existing.keys().filter(|(place, _)| place == destination);
        here.map(|(_, name)| name.as_str()).collect()
    }
}

/// A run whose bundle goes to this destination.
fn run_for(world: &mut World, at: i64, destination: &str) -> RunReport {
    world.at(at);
    try_to_run(world, destination).unwrap()
}

fn try_to_run(world: &mut World, destination: &str) -> Result<RunReport> {
    let mut options = world.options();
    options.pack.ship_to = Some(destination.into());
    world.run_with(&options)
}

fn record(world: &mut World, run: Guid) -> BundleRecord {
    let mut records = world.backend.bundles(run).unwrap();
    assert_eq!(records.len(), 1);
    records.remove(0)
}

fn seeded(on: &Instance) -> World {
    let mut world = World::new(on);
    world.put(1, None, b"one", 10, A);
    world
}

pub fn a_bundle_is_owed_from_its_record_on_until_it_is_shipped(on: &Instance) {
    let (mut world, mut outside) = (seeded(on), Outside::default());
    let silent = world.run(1000).run.id;
    assert_eq!(record(&mut world, silent).ship_to, None);
    let run = run_for(&mut world, 2000, FIRST).run.id;
    let unshipped = record(&mut world, run);
    assert_eq!((unshipped.ship_to.as_deref(), unshipped.shipped_at), (Some(FIRST), None));
    world.at(2010);
    let shipments = outside.ship(&mut world);
    assert_eq!(shipments.len(), 1);
    assert_eq!(shipments[0].bundle.root_sha256, unshipped.root_sha256);
    assert_eq!(outside.names_at(FIRST), [unshipped.name.as_str()]);
    let shipped = record(&mut world, run);
    assert_eq!((shipped.ship_to.as_deref(), shipped.shipped_at), (Some(FIRST), Some(minute(2010))));
    assert!(outside.ship(&mut world).is_empty(), "nothing is unshipped any more");
}

/// Every durable operation of a run that ships fails once, those of shipping among them; on a server,
/// where each history takes long, the last two: the record of the bundle and that of the shipment.
/// What was recorded arrives in the end, each bundle once, and nothing else does.
pub fn a_crash_between_record_and_shipment_forgets_nothing(on: &Instance) {
    let mut unshipped_at_death = 0;
    let run = |when: When| {
        let (mut world, mut outside) = (seeded(on), Outside::default());
        world.at(1000);
        let disk = Faulty::new(when);
        world.fail_with(&disk);
        if try_to_run(&mut world, FIRST).is_ok() {
            let _ = outside.try_to_ship(&mut world);
        }
        (world, outside, disk)
    };
    let operations = run(When::Never).2.count();
    let first = if matches!(on, Instance::Embedded) { 1 } else { operations - 1 };
    for at in first..=operations {
        let (mut world, mut outside, disk) = run(When::CrashAt(at));
        assert!(disk.has_failed());
        world.restart();
        unshipped_at_death += world.backend.unshipped().unwrap().len();
        let runs = world.backend.recent_runs(10).unwrap();
        run_for(&mut world, 1011, FIRST);
        outside.ship(&mut world);
        assert_eq!(world.backend.unshipped().unwrap(), [], "crash at {at}");
        let mut recorded: Vec<String> = Vec::new();
        for run in world.backend.recent_runs(10).unwrap() {
            recorded.extend(world.backend.bundles(run.id).unwrap().into_iter().map(|record| record.name));
        }
        recorded.sort();
        assert_eq!(outside.names_at(FIRST), recorded, "crash at {at}, after {} runs", runs.len());
    }
    assert!(unshipped_at_death > 0, "no crash lay between record and shipment");
}

pub fn what_cannot_be_shipped_is_reported_and_shipped_by_the_next_run(on: &Instance) {
    let (mut world, mut outside) = (seeded(on), Outside { down: vec![FIRST], ..Outside::default() });
    let first = run_for(&mut world, 1000, FIRST);
    let shipments = outside.ship(&mut world);
    let error = shipments[0].error.as_ref().unwrap();
    assert_eq!(error.to_string(), "nobody answers");
    assert_eq!(record(&mut world, first.run.id).shipped_at, None);
    world.restart();
    world.put(2, None, b"two", 1000, A);
    let second = run_for(&mut world, 2000, SECOND);
    outside.down.clear();
    outside.tried.clear();
    let shipments = outside.ship(&mut world);
    assert!(shipments.iter().all(|shipment| shipment.error.is_none()), "{shipments:?}");
    let names = [&first, &second].map(|report| report.bundles[0].file_name().unwrap().to_string_lossy().into_owned());
    assert_eq!(outside.tried, names, "the older one first");
    assert_eq!(outside.names_at(FIRST), [&names[0]], "where it was recorded for, not where the later run ships to");
    assert_eq!(outside.names_at(SECOND), [&names[1]]);
}

pub fn a_destination_that_is_down_is_tried_once_and_keeps_no_other_waiting(on: &Instance) {
    let (mut world, mut outside) = (seeded(on), Outside { down: vec![FIRST], ..Outside::default() });
    for (at, destination) in [(1000, FIRST), (2000, FIRST), (3000, SECOND)] {
        run_for(&mut world, at, destination);
    }
    let shipments = outside.ship(&mut world);
    let failed: Vec<bool> = shipments.iter().map(|shipment| shipment.error.is_some()).collect();
    assert_eq!(failed, [true, true, false]);
    assert_eq!(outside.tried.len(), 2, "{:?}", outside.tried);
    assert_eq!(world.backend.unshipped().unwrap().len(), 2);
}

pub fn the_same_bundle_goes_to_a_second_destination(on: &Instance) {
    let (mut world, mut outside) = (seeded(on), Outside::default());
    let run = run_for(&mut world, 1000, FIRST).run.id;
    outside.ship(&mut world);
    world.backend.add_pending_shipment(run, 1, SECOND).unwrap();
    assert_eq!(record(&mut world, run).shipped_at, None);
    world.at(1010);
    outside.ship(&mut world);
    let stands = record(&mut world, run);
    assert_eq!((stands.ship_to.as_deref(), stands.shipped_at), (Some(SECOND), Some(minute(1010))));
    assert_eq!(outside.names_at(FIRST), outside.names_at(SECOND));
    let error = world.backend.add_pending_shipment(run, 2, SECOND).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("has no bundle 2"), "{error}");
}

/// Somebody redirects the bundle while it is on its way.
pub fn a_shipment_counts_for_the_destination_that_it_went_to_alone(on: &Instance) {
    let mut world = seeded(on);
    let run = run_for(&mut world, 1000, FIRST).run.id;
    let mut other = world.another();
    let mut redirect = |_: &PendingShipment| other.add_pending_shipment(run, 1, SECOND);
    let before = world.backend.unshipped().unwrap();
    ship_each(&mut *world.backend, before, &mut redirect, &Silent);
    let unshipped = world.backend.unshipped().unwrap();
    assert_eq!(unshipped.iter().map(|bundle| bundle.ship_to.as_str()).collect::<Vec<_>>(), [SECOND]);
}

pub fn a_bundle_that_is_not_where_it_was_published_is_reported_with_what_to_do(on: &Instance) {
    let (mut world, mut outside) = (seeded(on), Outside::default());
    let first = run_for(&mut world, 1000, FIRST);
    run_for(&mut world, 2000, FIRST);
    let away = world.dir.path().join("away");
    std::fs::rename(&first.bundles[0], &away).unwrap();
    let shipments = outside.ship(&mut world);
    let error = shipments[0].error.as_ref().unwrap();
    assert!(error.to_string().contains("not where it was published"), "{error}");
    assert!(error.what_to_do().unwrap().contains("put it back there"), "{error:?}");
    assert!(shipments[1].error.is_none(), "the other one is shipped all the same");
    std::fs::rename(&away, &first.bundles[0]).unwrap();
    assert!(outside.ship(&mut world)[0].error.is_none());
}

fn set_version(world: &mut World, script: &str, version: &str) {
    let of = |schema: &str| {
        format!("UPDATE {schema}BlobDeltaSchemaVersion SET Version = {version} WHERE Script LIKE '{script}%'")
    };
    world.script(&of(""), &of("dbo."));
    world.restart();
    world.at(2000);
}

pub fn a_job_database_of_another_version_is_refused_by_its_number(on: &Instance) {
    let mut world = seeded(on);
    world.run(1000);
    // No script of an embedded instance has a version yet from which there is a way.
    if !world.is_embedded() {
        set_version(&mut world, "05", "Version - 1");
        let error = try_to_run(&mut world, FIRST).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains("is older than this program"), "{error}");
        assert!(error.what_to_do().unwrap().starts_with("run deploy"), "{error:?}");
        assert!(world.deploy().iter().any(|step| step.outcome == "upgraded"));
        assert!(world.deploy().iter().all(|step| step.outcome != "upgraded"), "it can be deployed again");
    }
    for (version, says, to_do) in [
        ("Version - 1", "from before the first release", "deploy --adopt"),
        ("Version + 2", "by a newer version", "use the newer program"),
    ] {
        set_version(&mut world, "03", version);
        let refused = world.backend.deploy().unwrap_err();
        assert_eq!(refused.kind(), Kind::Config);
        assert!(refused.to_string().contains(says), "{refused}");
        assert!(refused.what_to_do().unwrap().contains(to_do), "{refused:?}");
    }
    set_version(&mut world, "03", "Version - 1");
    assert_eq!(world.backend.recent_runs(10).unwrap().len(), 1, "nothing was written");
    try_to_run(&mut world, FIRST).unwrap();
}
