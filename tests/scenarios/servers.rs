//! Rule 28: a copy is not the original. A job database that stands where it was not deployed runs nothing
//! until it is said whether it moved or is a copy.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, World, minute};
use blobdelta::backend::{PackState, Retention};
use blobdelta::bundle::Bundle;
use blobdelta::durable::Local;
use blobdelta::engine::{self, PackOptions, PackRequest};
use blobdelta::error::{Error, Kind};
use blobdelta::model::id::Guid;
use blobdelta::model::slice::SliceState;
use blobdelta::monitor::Silent;
use blobdelta::reconcile::{ReconcileOptions, reconcile};
use blobdelta::shipping::ship_each;

const OWED: &str = "s3://production/weekly";

/// One bundle that is unshipped, one complete slice that is in none, and a lease that nobody released.
struct Original {
    world: World,
    source: Guid,
    packed: Guid,
    unpacked: Guid,
}

fn original(on: &Instance) -> Original {
    let mut world = World::new(on);
    world.put(1, None, b"one", 10, A);
    world.at(1000);
    let mut options = world.options();
    options.pack.ship_to = Some(OWED.into());
    let packed = world.run_with(&options).unwrap().run.id;
    world.table.require_bundle = Some(false);
    world.backend.save_table(&world.table.clone()).unwrap();
    world.put(2, None, b"two", 1100, A);
    world.at(2000);
    options = world.options();
    options.out = None;
    let unpacked = world.run_with(&options).unwrap().run.id;
    assert_eq!(world.backend.run_tables(unpacked).unwrap()[0].1, PackState::Unpacked);
    let source = world.backend.source_id().unwrap();
    Original { world, source, packed, unpacked }
}

/// Its databases are restored elsewhere.
fn restored_elsewhere(world: &mut World) {
    world.script(
        "UPDATE BlobDeltaKnownServer SET ServerIdentity = 'the original'",
        "UPDATE dbo.BlobDeltaKnownServer SET ServerIdentity = N'the original', DatabaseGuid = N''",
    );
}

fn assert_refused(error: &Error) {
    assert_eq!(error.kind(), Kind::Config, "{error}");
    assert!(error.to_string().contains("was deployed on the original"), "{error}");
    let reported = format!("{error} {}", error.what_to_do().unwrap_or_default());
    assert!(reported.contains("deploy --moved") && reported.contains("deploy --copied"), "{reported}");
}

pub fn rule_28_on_another_server_nothing_runs_until_it_is_said_what_it_is(on: &Instance) {
    let Original { mut world, unpacked, .. } = original(on);
    let mark = format!("{:?}", world.mark());
    let hanging = world.start_run().id;
    restored_elsewhere(&mut world);
    world.at(3000);
    let (options, request) = (world.options(), world.options().request);
    let (out, table) = (world.out(), world.table.clone());
    let pack = PackOptions::default();
    let (key, retention) =
        (ReconcileOptions { pend: true, ..Default::default() }, Retention { keep_runs: Some(1), keep_days: None });
    assert_refused(&world.run_with(&options).unwrap_err());
    assert_refused(&world.backend.start_run(&request, None).unwrap_err());
    assert_refused(&world.backend.resume_run(hanging).unwrap_err());
    assert_refused(&world.backend.take_lease(unpacked, &table.name, 600).unwrap_err());
    let backend = &mut *world.backend;
    assert_refused(
        &engine::pack(
            backend,
            &PackRequest { run_id: unpacked, out: &out, options: &pack, lease_seconds: 600 },
            &Local,
            &Silent,
        )
        .unwrap_err(),
    );
    let unshipped = backend.unshipped().unwrap();
    let shipments = ship_each(backend, unshipped, &mut |_| panic!("shipped"), &Silent);
    assert_eq!(shipments.len(), 1);
    assert_refused(shipments[0].error.as_ref().unwrap());
    assert_refused(&reconcile(&[], backend, &key, &Silent).unwrap_err());
    assert_refused(&backend.prune(&retention, false).unwrap_err());
    assert_refused(&backend.deploy().unwrap_err());
    // What looks, works, and tells.
    assert!(!backend.servers().unwrap().is_known);
    assert_eq!(engine::plan(backend, &request).unwrap().len(), 1);
    assert_eq!(backend.recent_runs(10).unwrap().len(), 3, "nothing was begun");
    let advice = backend.doctor().unwrap();
    let server = advice.iter().find(|one| one.subject == "server").unwrap();
    assert!(server.what_to_do.as_ref().unwrap().contains("deploy --copied"), "{server:?}");
    assert_eq!(format!("{:?}", world.mark()), mark);
    if !world.is_embedded() {
        // As a job of the server's agent calls it.
        let called = world.backend.execute_script("EXEC dbo.usp_BlobDelta_RunOperator @Mode = N'AllTables'");
        let reported = called.unwrap_err().to_string();
        assert!(reported.contains("was deployed on the original"), "{reported}");
        assert_eq!(world.backend.recent_runs(10).unwrap().len(), 3);
    }
}

pub fn rule_28_what_moved_goes_on_and_is_known_in_both_places(on: &Instance) {
    let Original { mut world, source, packed, unpacked } = original(on);
    restored_elsewhere(&mut world);
    world.backend.add_server().unwrap();
    world.deploy();
    let servers = world.backend.servers().unwrap();
    assert_eq!((servers.is_known, servers.known.len()), (true, 2));
    assert!(servers.known.iter().any(|known| known == "the original"), "it may fail back: {servers:?}");
    assert_eq!(world.backend.source_id().unwrap(), source);
    let run = world.run(3000);
    assert_eq!(run.bundles.len(), 2, "what was left is packed first");
    let root = |world: &mut World, run| world.backend.bundles(run).unwrap()[0].root_sha256;
    let first = root(&mut world, packed);
    assert_eq!(world.backend.bundles(unpacked).unwrap()[0].previous_root_sha256, Some(first));
    assert_eq!(world.backend.unshipped().unwrap().len(), 1, "what it had to ship is pending still");
    world.backend.add_server().unwrap();
    assert_eq!(world.backend.servers().unwrap().known.len(), 2);
}

pub fn rule_28_a_copy_becomes_a_source_of_its_own_and_continues_nothing(on: &Instance) {
    let Original { mut world, source, .. } = original(on);
    world.at(2900);
    let hanging = world.start_run();
    let fence = world.backend.take_lease(hanging.id, &world.table.name.clone(), 60_000).unwrap();
    restored_elsewhere(&mut world);
    let steps = world.backend.become_own_source().unwrap();
    let own_slice = steps.iter().find(|step| step.name.ends_with(" Src.dbo.Docs")).unwrap();
    assert!(own_slice.outcome.starts_with("marked as empty"), "{steps:?}");
    assert!(steps.iter().all(|step| !step.needs_attention), "{steps:?}");
    world.deploy();
    let own = world.backend.source_id().unwrap();
    assert_ne!(own, source);
    assert_eq!(world.backend.unshipped().unwrap(), []);
    assert!(world.backend.recent_runs(10).unwrap().is_empty());
    let mark = world.mark();
    assert_eq!((mark.last_high_water, mark.is_running, mark.is_initial_full_load_done), (None, false, false));
    assert!(mark.lease_epoch > fence.epoch, "whoever works on the copy is fenced");
    let marker = world.backend.slice_marker(&world.table.clone()).unwrap();
    assert_eq!((marker.state, marker.run_id), (SliceState::Empty, None));
    assert_eq!(world.backend.servers().unwrap().known.len(), 1, "where the original stands is another's");
    // The first run is a full load, and begins a chain.
    let report = world.run(3000);
    assert_eq!(report.bundles.len(), 1, "what the original left unpacked is not packed");
    assert_eq!(world.numbers(), [1, 2]);
    let manifest = Bundle::open(&report.bundles[0]).unwrap().manifest().clone();
    assert_eq!(manifest.run.source_id, own);
    assert_eq!(manifest.tables[0].previous.as_ref().map(|previous| previous.root_sha256), None);
    assert_eq!(manifest.tables[0].window.window().end, minute(3000 - 240));
}
