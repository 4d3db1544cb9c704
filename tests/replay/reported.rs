//! What is told of a bundle by whoever takes it.

use crate::made::{Made, Row, table_name};
use crate::replay::place::Place;
use blobdelta::bundle::manifest::FailedTable;
use blobdelta::bundle::{Access, Bundle, Manifest};
use blobdelta::chain::survey;
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::model::name::TableName;
use blobdelta::monitor::{Event, Monitor, Silent};
use blobdelta::replay::{check, plan, replay};
use blobdelta::unpack::{UnpackOptions, unpack};
use blobdelta::verify::{FindingKind, FindingSeverity, VerifyLevel, verify};
use std::cell::RefCell;
use std::path::PathBuf;

/// Keeps warnings.
#[derive(Default)]
struct Warnings(std::sync::Mutex<RefCell<Vec<String>>>);

impl Monitor for Warnings {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().borrow_mut().push(text.to_owned());
        }
    }
}

impl Warnings {
    /// How often a failed table was told since.
    fn reported(&self) -> usize {
        self.with("1 table failed in the run of this bundle, and what changed in it is not here: Db.dbo.Broken")
    }

    /// How many said this since.
    fn with(&self, said: &str) -> usize {
        self.0.lock().unwrap().take().iter().filter(|text| text.contains(said)).count()
    }
}

fn fail(manifest: &mut Manifest) {
    let table = TableName::new("Db", "dbo", "Broken").unwrap();
    manifest.failed_tables.push(FailedTable { table, error: "it broke".into() });
}

pub fn tables_that_failed_are_reported_by_whoever_takes_the_bundle(place: &Place) {
    let bundle = |run: u8, spoil| {
        let mut made = Made { spoil, ..Made::new(run, i64::from(run) * 1000, (0, 500)) };
        made.rows = vec![Row::root(run, Some(10), &[run])];
        made.write(place.folder())
    };
    let bundles: [PathBuf; 2] = [bundle(1, fail), bundle(2, |_| {})];
    let warnings = Warnings::default();
    let into = place.target("Into");
    let options = into.options(true);
    let mut backend = into.open().unwrap();
    plan(&bundles, &mut *backend, &options, &warnings).unwrap();
    assert_eq!(warnings.reported(), 1, "plan");
    replay(&bundles, &mut *backend, &options, &warnings).unwrap();
    assert_eq!(warnings.reported(), 1, "replay");
    check(&bundles, &mut *backend, &options, &warnings).unwrap();
    assert_eq!(warnings.reported(), 1, "check");
    survey(&[place.folder().to_owned()], &Access::default(), &warnings).unwrap();
    assert_eq!(warnings.reported(), 1, "chain");
    let report = verify(&bundles[0], VerifyLevel::Quick, &Silent).unwrap();
    let notice = |finding: &blobdelta::verify::Finding| {
        finding.kind == FindingKind::FailedTables && finding.severity == FindingSeverity::Notice
    };
    assert!(report.is_good() && report.findings.iter().any(notice), "{report:?}");
    let out = place.folder().join("compacted");
    std::fs::create_dir(&out).unwrap();
    let opened = bundles.iter().map(|path| Bundle::open(path).unwrap()).collect();
    let compacted = compact(opened, &Local, &out, &CompactOptions::default(), &Silent);
    let compacted = compacted.unwrap_or_else(|error| panic!("{error:?}"));
    let manifest = Bundle::open(compacted.path()).unwrap().manifest().clone();
    let failed: Vec<String> = manifest.failed_tables.iter().map(|failed| failed.table.to_string()).collect();
    assert_eq!(failed, ["Db.dbo.Broken"]);
    assert_eq!(manifest.tables[0].name, table_name());
}

pub fn a_chain_that_forks_is_reported_by_whoever_takes_it_together(place: &Place) {
    let bundle = |run: u8, previous| {
        let start = i64::from(run) * 100;
        let mut made = Made { previous, ..Made::new(run, 10_000 + start, (start, start + 200)) };
        made.rows = vec![Row::root(run, Some(start), &[run])];
        made.write(place.folder())
    };
    let first = bundle(1, None);
    let root = Some(Bundle::open(&first).unwrap().root_sha256());
    let bundles = [first, bundle(2, root), bundle(3, root)];
    let warnings = Warnings::default();
    let out = place.folder().join("compacted");
    std::fs::create_dir(&out).unwrap();
    let opened = bundles.iter().map(|path| Bundle::open(path).unwrap()).collect();
    let compacted = compact(opened, &Local, &out, &CompactOptions::default(), &warnings);
    compacted.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(warnings.with("a job database was set back"), 1, "compact");
    let options = UnpackOptions { latest: true, ..UnpackOptions::new(place.folder().join("files")) };
    unpack(&bundles, &options, &Local, &warnings, &mut |_| {}).unwrap();
    assert_eq!(warnings.with("a job database was set back"), 1, "unpack");
}
