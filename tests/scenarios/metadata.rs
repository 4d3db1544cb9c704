//! `MetadataColumns`: what the metadata says of a row comes along with it.

use crate::scenarios::drift::{content, has, into, last_table};
use crate::scenarios::instance::Instance;
use crate::scenarios::read::id;
use crate::scenarios::world::{A, B, World, X, key, minute};
use blobdelta::bundle::Bundle;
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::error::{Kind, Result};
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::column::{Column, ColumnOrigin};
use blobdelta::model::drift::listed;
use blobdelta::model::id::Guid;
use blobdelta::model::run::{Status, Step};
use blobdelta::monitor::Silent;
use blobdelta::reconcile::{ReconcileOptions, reconcile};
use blobdelta::replay::replay;
use blobdelta::verify::{VerifyLevel, verify};
use std::collections::BTreeMap;

/// A statement for the metadata, in both dialects the same but for the name of the table.
pub(crate) fn alter(world: &mut World, change: &str) {
    let quoted = change.replace("nvarchar(max)", "\"nvarchar(max)\"");
    world.script(&format!("ALTER TABLE Meta.Docs {quoted}"), &format!("ALTER TABLE Meta.dbo.Docs {change}"));
}

/// Sets columns of one row of the metadata.
pub(crate) fn set(world: &mut World, row: u32, values: &str) {
    let (sqlite, tsql) = (key(row).to_string().replace('-', ""), key(row));
    world.script(
        &format!("UPDATE Meta.Docs SET {values} WHERE RowId = x'{sqlite}'"),
        &format!("UPDATE Meta.dbo.Docs SET {values} WHERE RowId = '{tsql}'"),
    );
}

/// Three columns that come along; a folder of unit B, and below it two files of unit A.
fn seeded(on: &Instance) -> World {
    let mut world = World::new(on);
    world.at(500);
    for change in ["ADD title nvarchar(50) NULL", "ADD weight int NULL", "ADD note nvarchar(max) NULL"] {
        alter(&mut world, change);
    }
    world.table.metadata_columns = ["Title", "weight", "note"].map(str::to_owned).into();
    save(&mut world).unwrap();
    world.put(1, None, b"folder", 100, B);
    set(&mut world, 1, "title = 'Folder of B', weight = 1");
    world.put(2, Some(1), b"two", 110, A);
    set(&mut world, 2, "title = 'Two', weight = 2, note = 'A long story'");
    world.put(3, Some(1), b"three", 120, A);
    world
}

pub(crate) fn save(world: &mut World) -> Result<()> {
    let config = world.table.clone();
    world.backend.save_table(&config)
}

/// The values of a column of the slice, by the number of the key; `-` for NULL.
fn values(world: &mut World, name: &str) -> BTreeMap<u32, String> {
    let all = world.backend.columns(&world.table.target).unwrap();
    let named = |name: &str| all.iter().find(|column| column.name.eq_ignore_ascii_case(name)).unwrap().clone();
    let columns: [Column; 2] = [named("stream_id"), named(name)];
    let mut found = Values::default();
    world.backend.scan(&world.table.target, &columns, "stream_id", &mut found).unwrap();
    found.done
}

#[derive(Default)]
struct Values {
    done: BTreeMap<u32, String>,
    key: Option<Guid>,
}

impl CellSink for Values {
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        match (column, cell) {
            (0, key) => self.key = id(key),
            (_, cell) => {
                let number = u32::from_be_bytes(self.key.unwrap().as_bytes()[12..].try_into().unwrap());
                let shown = match cell {
                    Cell::Text(text) => text.to_owned(),
                    Cell::Int(number) => number.to_string(),
                    Cell::Null => "-".to_owned(),
                    other => panic!("unexpected cell {other:?}"),
                };
                self.done.insert(number, shown);
            }
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        Ok(())
    }
}

fn of<const N: usize>(values: [(u32, &str); N]) -> BTreeMap<u32, String> {
    values.map(|(number, text)| (number, text.to_owned())).into()
}

pub fn rule_24_what_the_metadata_knows_goes_the_whole_way(on: &Instance) {
    let mut world = seeded(on);
    world.blob(4, None, b"a folder without metadata");
    world.put(5, Some(4), b"five", 130, A);
    // Of two rows of the metadata the later one counts, whatever the other says.
    world.stamp_as(15, 5, Some(minute(140)), Some(A));
    set(&mut world, 5, "title = 'Five, older', weight = 50, note = 'old'");
    set(&mut world, 15, "title = 'Five, newer'");
    let mut bundles = world.run(1000).bundles;
    assert_eq!(
        values(&mut world, "Meta_Title"),
        of([(1, "Folder of B"), (2, "Two"), (3, "-"), (4, "-"), (5, "Five, newer")])
    );
    assert_eq!(values(&mut world, "Meta_weight"), of([(1, "1"), (2, "2"), (3, "-"), (4, "-"), (5, "-")]));
    assert_eq!(values(&mut world, "Meta_note"), of([(1, "-"), (2, "A long story"), (3, "-"), (4, "-"), (5, "-")]));
    let table = Bundle::open(&bundles[0]).unwrap().manifest().tables[0].clone();
    let origins: Vec<&str> =
        table.columns.iter().filter(|c| c.origin == Some(ColumnOrigin::Metadata)).map(|c| c.name.as_str()).collect();
    assert!(origins.len() == 3 && ["Meta_Title", "Meta_weight", "Meta_note"].iter().all(|name| origins.contains(name)));
    // A new stamp brings what is said now; without one nothing is said anew.
    world.put(2, Some(1), b"two", 1100, A);
    set(&mut world, 2, "title = 'Two again'");
    set(&mut world, 1, "title = 'Folder of B, without a stamp'");
    bundles.extend(world.run(2000).bundles);
    assert_eq!(values(&mut world, "Meta_Title")[&2], "Two again");
    for bundle in &bundles {
        assert!(verify(bundle, VerifyLevel::Deep, &Silent).unwrap().is_good());
    }
    let reconciled = ReconcileOptions { content: true, ..ReconcileOptions::default() };
    let report = reconcile(&bundles, &mut *world.backend, &reconciled, &Silent).unwrap().remove(0);
    assert!(report.is_good() && report.counts.is_empty(), "{report:?}");
    replay(&bundles, &mut *world.target(), &into("CopyA"), &Silent).unwrap();
    let expected = content(&world, "CopyA");
    let titles = &expected.iter().find(|(name, _)| name.eq_ignore_ascii_case("Meta_Title")).unwrap().1;
    assert_eq!(titles.iter().flatten().count(), 3, "{titles:?}");
    let opened = bundles.iter().map(|path| Bundle::open(path).unwrap()).collect();
    let compacted = compact(opened, &Local, &world.out(), &CompactOptions::default(), &Silent).unwrap();
    let table = Bundle::open(compacted.path()).unwrap().manifest().tables[0].clone();
    assert_eq!(table.columns.iter().filter(|column| column.origin.is_some()).count(), 3);
    replay(&[compacted.path().to_owned()], &mut *world.target(), &into("CopyB"), &Silent).unwrap();
    assert_eq!(content(&world, "CopyB"), expected, "compacted");
}

pub fn rule_7_an_ancestor_of_another_unit_comes_without_what_its_metadata_says(on: &Instance) {
    let mut world = seeded(on);
    // In scope of no unit, and above a row that is.
    world.put(6, None, b"of a unit out of scope", 100, X);
    set(&mut world, 6, "title = 'Of X'");
    world.put(7, Some(6), b"seven", 110, A);
    set(&mut world, 7, "title = 'Seven'");
    world.run_unit(1000, A);
    assert_eq!(values(&mut world, "Meta_Title"), of([(1, "-"), (2, "Two"), (3, "-"), (6, "-"), (7, "Seven")]));
    assert_eq!(values(&mut world, "Meta_note"), of([(1, "-"), (2, "A long story"), (3, "-"), (6, "-"), (7, "-")]));
    // A row that two units have: each gets what its own row of the metadata says.
    world.stamp_as(12, 2, Some(minute(200)), Some(B));
    set(&mut world, 12, "title = 'Two, as B has it'");
    world.run_unit(1010, B);
    assert_eq!(values(&mut world, "Meta_Title"), of([(1, "Folder of B"), (2, "Two, as B has it")]));
    world.run(1020);
    assert_eq!(values(&mut world, "Meta_Title")[&6], "-");
    assert_eq!(values(&mut world, "Meta_Title")[&2], "Two, as B has it");
}

pub fn rule_3_of_metadata_rows_with_one_stamp_the_greatest_counts(on: &Instance) {
    let mut world = seeded(on);
    let at = Some(minute(130));
    for (row, title, weight) in [(20, "Zeta", 1), (21, "alpha", 9), (22, "alpha", 10), (23, "Omega", 99)] {
        world.stamp_as(row, 2, at, Some(A));
        set(&mut world, row, &format!("title = '{title}', weight = {weight}"));
    }
    world.run(1000);
    assert_eq!(values(&mut world, "Meta_Title")[&2], "alpha", "lower case comes after upper case");
    assert_eq!(values(&mut world, "Meta_weight")[&2], "10");
    assert_eq!(values(&mut world, "Meta_note")[&2], "-", "nothing is of another row");
}

pub fn rule_24_columns_of_the_metadata_change_as_those_of_the_source(on: &Instance) {
    let mut world = seeded(on);
    world.run(1000);
    alter(&mut world, "DROP COLUMN weight");
    alter(&mut world, "ADD weight bigint NULL");
    alter(&mut world, "ADD owner nvarchar(20) NULL");
    world.put(2, Some(1), b"two again", 1500, A);
    set(&mut world, 2, "weight = 22, owner = 'Ada'");
    world.table.metadata_columns = ["weight", "note", "owner"].map(str::to_owned).into();
    save(&mut world).unwrap();
    world.restart();
    let table = last_table(&world.run(2000));
    let told = listed(&table.schema_changes);
    for change in ["Meta_weight widened (int, now bigint)", "Meta_owner added (nvarchar(20))", "Meta_Title dropped"] {
        assert!(told.contains(change), "{told}");
    }
    assert!(has(&table, "Meta_owner") && !has(&table, "Meta_Title"));
    assert_eq!(values(&mut world, "Meta_weight")[&2], "22");
    // One that the metadata has no more is named, and nothing moves.
    alter(&mut world, "DROP COLUMN owner");
    world.restart();
    let reached = world.mark().last_high_water;
    world.at(3000);
    let report = world.run_with(&world.options());
    let error = match report {
        Ok(report) => {
            assert_eq!(report.tables[0].status, Status::Failed);
            format!("{} {:?}", report.tables[0].error.as_ref().unwrap(), report.tables[0].error)
        }
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(error.contains("MetadataColumns names") && error.to_lowercase().contains("owner"), "{error}");
    assert_eq!(world.mark().last_high_water, reached);
    world.table.metadata_columns = vec!["note".into()];
    save(&mut world).unwrap();
    world.restart();
    assert_eq!(world.run(3010).tables[0].status, Status::Completed);
}

pub fn rule_24_columns_of_the_metadata_that_cannot_come_along_are_refused(on: &Instance) {
    let mut world = seeded(on);
    world.script("ALTER TABLE Src.Docs ADD meta_title int", "ALTER TABLE Src.dbo.Docs ADD meta_title int");
    let mut refused = |names: &[&str]| {
        world.table.metadata_columns = names.iter().map(|name| (*name).to_owned()).collect();
        let error = save(&mut world).unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "{error:?}");
        format!("{error} {}", error.what_to_do().unwrap_or_default())
    };
    let taken = refused(&["Title"]).to_lowercase();
    assert!(taken.contains("the source has a column meta_title") && taken.contains("rename"), "{taken}");
    let unknown = refused(&["weight", "no such"]);
    assert!(unknown.contains("no such") && unknown.contains("does not have"), "{unknown}");
    assert!(refused(&["note", "NOTE"]).contains("twice"));
    let long = "a".repeat(124);
    assert!(refused(&[&long]).contains("longer than 128"));
    world.table.metadata_columns = vec!["weight".into()];
    save(&mut world).unwrap();
}

pub fn rule_8_a_resumed_run_reads_what_the_metadata_says_with_each_row(on: &Instance) {
    let mut world = seeded(on);
    world.put(8, None, b"a root", 100, A);
    set(&mut world, 8, "title = 'Root'");
    world.at(1000);
    let run = world.start_run();
    let config = world.table.clone();
    let table_run = world.backend.start_table(&run, &config, 600).unwrap();
    world.backend.run_batch(&table_run, Step::Roots, 10).unwrap();
    // What comes after this is of the next window; what is not copied yet is not copied with a stamp that is not its own.
    world.stamp(2, 990, A);
    set(&mut world, 2, "title = 'Two, in the meantime'");
    set(&mut world, 3, "title = 'Three, without a stamp'");
    world.restart();
    world.at(2000);
    let mut options = world.options();
    options.resume = Some(run.id);
    world.run_with(&options).unwrap();
    assert_eq!(values(&mut world, "Meta_Title"), of([(1, "Folder of B"), (3, "Three, without a stamp"), (8, "Root")]));
    world.run(3000);
    assert_eq!(values(&mut world, "Meta_Title")[&2], "Two, in the meantime");
}
