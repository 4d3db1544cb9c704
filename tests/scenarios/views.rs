//! Sources and metadata that are views.

use crate::scenarios::deletions::{found, reconciled};
use crate::scenarios::instance::Instance;
use crate::scenarios::left_folders::received_in;
use crate::scenarios::world::{A, B, World, name};
use blobdelta::backend::{DeletionSource, Severity};
use blobdelta::monitor::Silent;
use blobdelta::reconcile::{DifferenceKind, ReconcileOptions};
use blobdelta::verify::{VerifyLevel, verify};

/// The tables of a world behind views, which are configured in their place.
fn behind_views(on: &Instance) -> World {
    let mut world = World::new(on);
    let view = |db: &str, columns: &str| {
        format!("USE {db};\nGO\nCREATE VIEW dbo.Shown AS SELECT {columns} FROM dbo.Docs AS d;\nGO\n")
    };
    let tsql = format!("{}{}USE BlobDeltaJobs;", view("Src", "d.*"), view("Meta", "d.*"));
    world.script(
        "CREATE VIEW Src.Shown AS SELECT d.* FROM Docs AS d; CREATE VIEW Meta.Shown AS SELECT d.* FROM Docs AS d",
        &tsql,
    );
    let mut shown = world.table.clone();
    (shown.source, shown.metadata) = (name("Src.dbo.Shown"), name("Meta.dbo.Shown"));
    world.backend.save_table(&shown).unwrap();
    world
}

pub fn a_source_and_its_metadata_may_be_views(on: &Instance) {
    let mut world = behind_views(on);
    world.put(1, None, b"folder", 10, B);
    world.put(2, Some(1), b"two", 20, A);
    world.put(3, Some(1), b"three", 20, A);
    let mut bundles = world.run(1000).bundles;
    assert_eq!(world.numbers(), [1, 2, 3]);
    world.put(2, Some(1), b"two again", 1100, A);
    world.remove(3);
    world.log_deletion(3, 1200);
    bundles.extend(world.run(2000).bundles);
    assert_eq!(world.numbers(), [1, 2], "the folder comes as an ancestor");
    assert_eq!(bundles.len(), 2);
    for bundle in &bundles {
        assert!(verify(bundle, VerifyLevel::Deep, &Silent).unwrap().is_good(), "{bundle:?}");
    }
    assert_eq!(received_in(&world, "Copy.dbo.Shown"), [(1, true), (2, true)]);
    let report = reconciled(&mut world, &ReconcileOptions { content: true, ..ReconcileOptions::default() });
    assert!(report.counts.is_empty() && found(&report, DifferenceKind::Missing).is_empty(), "{report:?}");
    for advice in world.backend.doctor().unwrap() {
        assert_ne!(advice.severity, Severity::Error, "{advice:?}");
        let makes_an_index = advice.what_to_do.as_ref().is_some_and(|todo| todo.contains("CREATE INDEX"));
        assert!(!makes_an_index, "no index is made on a view: {advice:?}");
    }
    let shown = world.backend.table(&world.table.name.clone()).unwrap();
    assert!(world.backend.deletion_script(&shown, &DeletionSource::Source).is_err(), "a view takes no such trigger");
}
