//! Rule 24: the source's columns change.

use crate::scenarios::instance::Instance;
use crate::scenarios::session::Session;
use crate::scenarios::world::{A, BUFFER, World, key, source_columns, unit};

use blobdelta::bundle::{Bundle, TableInfo};
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::engine::{RunReport, plan};
use blobdelta::error::{Kind, Result};
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::column::Column;
use blobdelta::model::drift::{ChangeKind, SchemaDrift, listed};
use blobdelta::model::name::TableName;
use blobdelta::model::run::{Scope, Status, Step};
use blobdelta::model::sqltype::SqlType;
use blobdelta::monitor::Silent;
use blobdelta::replay::{ReplayOptions, replay};
use std::path::PathBuf;

fn seeded(on: &Instance) -> World {
    let mut world = World::new(on);
    world.at(500);
    world.put(1, None, b"one", 100, A);
    world.put(2, Some(1), b"two", 110, A);
    world
}

/// A statement for the source, in both dialects the same but for the name of the table.
pub fn alter(world: &mut World, change: &str) {
    let quoted = change.replace("nvarchar(max)", "\"nvarchar(max)\"");
    world.script(&format!("ALTER TABLE Src.Docs {quoted}"), &format!("ALTER TABLE Src.dbo.Docs {change}"));
}

fn set_owner(world: &mut World, number: u32, owner: &str) {
    let (sqlite, tsql) = (world.keys.sqlite(number), world.keys.tsql(number));
    let sqlite = format!("UPDATE Src.Docs SET owner = '{owner}' WHERE stream_id = {sqlite}");
    world.script(&sqlite, &format!("UPDATE Src.dbo.Docs SET owner = N'{owner}' WHERE stream_id = {tsql}"));
}

pub fn last_table(report: &RunReport) -> TableInfo {
    let bundle = Bundle::open(report.bundles.last().unwrap()).unwrap();
    bundle.manifest().tables[0].clone()
}

fn changes_of(table: &TableInfo) -> String {
    listed(&table.schema_changes)
}

pub fn has(table: &TableInfo, column: &str) -> bool {
    table.columns.iter().any(|info| info.name == column)
}

pub fn rule_24_an_added_column_is_in_the_next_bundle_and_told(on: &Instance) {
    let mut world = seeded(on);
    assert!(last_table(&world.run(1000)).schema_changes.is_empty(), "the first of its chain");
    alter(&mut world, "ADD owner nvarchar(50) NULL");
    world.put(2, Some(1), b"two again", 1500, A);
    set_owner(&mut world, 2, "Ada");
    world.restart();
    world.at(2000);
    let request = world.options().request;
    let planned = plan(&mut *world.backend, &request).unwrap();
    assert_eq!(listed(&planned[0].schema_changes), "owner added (nvarchar(50))");
    assert_eq!(planned[0].refused, None);
    assert!(doctor(&mut world).contains("owner added"));
    let report = world.run(2000);
    assert_eq!(report.tables[0].schema_changes[0].change, ChangeKind::Added);
    let table = last_table(&report);
    assert!(has(&table, "owner"));
    assert_eq!(changes_of(&table), "owner added (nvarchar(50))");
    assert_eq!(owners(&mut world), [None, Some("Ada".to_owned())]);
    assert!(!doctor(&mut world).contains("owner"), "it is carried by now");
    let report = world.run(3000);
    assert!(report.tables[0].schema_changes.is_empty() && last_table(&report).schema_changes.is_empty(), "said once");
}

/// The texts of a column, in the order of keys.
#[derive(Default)]
struct Texts(Vec<Option<String>>);

impl CellSink for Texts {
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        if column == 1 {
            self.0.push(if let Cell::Text(text) = cell { Some(text.to_owned()) } else { None });
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        Ok(())
    }
}

fn owners(world: &mut World) -> Vec<Option<String>> {
    let all = world.backend.columns(&world.table.target).unwrap();
    let named = |name: &str| all.iter().find(|column| column.name == name).unwrap().clone();
    let columns: [Column; 2] = [named("stream_id"), named("owner")];
    let mut texts = Texts::default();
    world.backend.scan(&world.table.target, &columns, "stream_id", &mut texts).unwrap();
    texts.0
}

/// What doctor says of columns.
fn doctor(world: &mut World) -> String {
    let found = world.backend.doctor().unwrap();
    let about = found.iter().filter(|advice| advice.finding.contains("columns are not those of the slice"));
    about.map(|advice| advice.finding.clone()).collect::<Vec<_>>().join("\n")
}

pub fn rule_24_each_chain_is_reported_what_changed_since_its_own_last_bundle(on: &Instance) {
    let mut world = seeded(on);
    world.run(1000);
    world.run_unit(1010, A);
    alter(&mut world, "ADD owner nvarchar(50) NULL");
    world.restart();
    assert_eq!(changes_of(&last_table(&world.run(2000))), "owner added (nvarchar(50))");
    // The slice has it already; this unit's receivers have not.
    let report = world.run_unit(2010, A);
    assert!(report.tables[0].schema_changes.is_empty());
    assert_eq!(changes_of(&last_table(&report)), "owner added (nvarchar(50))");
    assert_eq!(last_table(&report).scope.0, Scope::BusinessUnit(unit(A)));
}

pub fn rule_24_dropped_and_retyped_columns_are_carried(on: &Instance) {
    let mut world = seeded(on);
    alter(&mut world, "ADD owner nvarchar(50) NULL");
    alter(&mut world, "ADD size int NULL");
    world.run(1000);
    alter(&mut world, "DROP COLUMN owner");
    alter(&mut world, "DROP COLUMN size");
    alter(&mut world, "ADD size bigint NULL");
    world.put(1, None, b"one again", 1500, A);
    world.restart();
    let table = last_table(&world.run(2000));
    assert_eq!(changes_of(&table), "size widened (int, now bigint), owner dropped (nvarchar(50))");
    assert!(!has(&table, "owner") && has(&table, "size"));
    assert_eq!(world.slice()[&key(1)].bytes.as_deref(), Some(&b"one again"[..]));
}

pub fn rule_24_what_is_in_no_bundle_yet_is_packed_as_it_was(on: &Instance) {
    let mut world = seeded(on);
    world.at(1000);
    let mut options = world.options();
    options.out = None;
    world.table.require_bundle = Some(false);
    let config = world.table.clone();
    world.backend.save_table(&config).unwrap();
    let first = world.run_with(&options).unwrap();
    assert_eq!(first.run.status, Status::Completed);
    alter(&mut world, "ADD owner nvarchar(50) NULL");
    world.put(2, Some(1), b"two again", 1500, A);
    world.restart();
    let report = world.run(2000);
    assert_eq!(report.bundles.len(), 2, "what the first run left, and its own");
    let old = Bundle::open(&report.bundles[0]).unwrap().manifest().tables[0].clone();
    assert!(!has(&old, "owner") && old.counts.rows() == 2);
    assert_eq!(changes_of(&last_table(&report)), "owner added (nvarchar(50))");
}

pub fn rule_24_a_table_that_refuses_changes_fails_and_takes_nothing(on: &Instance) {
    let mut world = seeded(on);
    world.add_table("More");
    world.table.schema_drift = SchemaDrift::Refuse;
    let config = world.table.clone();
    world.backend.save_table(&config).unwrap();
    world.run(1000);
    let reached = world.mark().last_high_water;
    alter(&mut world, "ADD owner nvarchar(50) NULL");
    world.put(2, Some(1), b"two again", 1500, A);
    world.restart();
    world.at(2000);
    let report = world.run_with(&world.options()).unwrap();
    assert_eq!(report.tables.iter().map(|table| table.status).collect::<Vec<_>>(), [Status::Failed, Status::Completed]);
    let error = report.tables[0].error.as_ref().unwrap();
    assert_eq!(error.kind(), Kind::Config);
    let said = format!("{error} {}", error.what_to_do().unwrap_or_default());
    assert!(said.contains("owner") && said.contains("SchemaDrift is Refuse"), "{said}");
    assert!(said.contains("table refresh"), "{said}");
    assert_eq!(world.mark().last_high_water, reached);
    // What it says to do works.
    world.backend.refresh_slice(&config).unwrap();
    let table = last_table(&world.run(3000));
    assert!(has(&table, "owner") && table.counts.rows() == 2, "{table:?}");
}

pub fn rule_24_excluded_columns_are_in_no_slice_and_named(on: &Instance) {
    let mut world = seeded(on);
    alter(&mut world, "ADD secret nvarchar(50) NULL");
    world.table.excluded_columns = vec!["SECRET".into()];
    let config = world.table.clone();
    world.backend.save_table(&config).unwrap();
    world.restart();
    let report = world.run(1000);
    assert!(report.tables[0].schema_changes.is_empty(), "{report:?}");
    let table = last_table(&report);
    assert!(!has(&table, "secret"));
    assert_eq!(table.excluded_columns, ["SECRET"]);
    // One that was carried before goes.
    world.table.excluded_columns = vec!["Secret".into(), "name".into()];
    let config = world.table.clone();
    world.backend.save_table(&config).unwrap();
    world.put(2, Some(1), b"two again", 1500, A);
    world.restart();
    let table = last_table(&world.run(2000));
    assert!(!has(&table, "name"));
    assert_eq!(changes_of(&table), "name dropped (nvarchar(255))");
    for needed in ["stream_id", "path_locator", "parent_path_locator"] {
        world.table.excluded_columns = vec![needed.into()];
        let config = world.table.clone();
        let refused = world.backend.save_table(&config).unwrap_err();
        assert!(refused.to_string().contains("without which no row has a key and a place"), "{refused}");
    }
}

pub fn rule_24_a_change_while_a_run_copies_fails_the_table(on: &Instance) {
    for after in [Some(Step::Roots), None] {
        let mut world = seeded(on);
        world.run(1000);
        world.put(1, None, b"one again", 1500, A);
        world.put(2, Some(1), b"two again", 1500, A);
        world.at(2000);
        let run = world.start_run();
        let config = world.table.clone();
        let table_run = world.backend.start_table(&run, &config, 600).unwrap();
        world.backend.run_batch(&table_run, Step::Roots, 10).unwrap();
        alter(&mut world, "ADD owner nvarchar(50) NULL");
        let error = match after {
            // Somebody goes on with it.
            Some(_) => {
                world.restart();
                world.at(2000 + BUFFER);
                let run = world.backend.resume_run(run.id).unwrap();
                world.backend.start_table(&run, &config, 600).unwrap_err()
            }
            None => {
                world.backend.run_batch(&table_run, Step::Children, 10).unwrap();
                world.backend.finish_table(&table_run, false).unwrap_err()
            }
        };
        assert_eq!(error.kind(), Kind::Config, "{error}");
        assert!(error.to_string().contains("changed while this run copied"), "{error}");
        world.restart();
        let report = world.run(3000 + BUFFER);
        assert_eq!(report.tables[0].status, Status::Completed, "{report:?}");
        assert!(has(&last_table(&report), "owner"));
        assert_eq!(world.slice()[&key(2)].bytes.as_deref(), Some(&b"two again"[..]));
    }
}

pub fn rule_24_a_slice_follows_by_hand_only_when_nothing_of_it_is_needed(on: &Instance) {
    let mut world = seeded(on);
    let config = world.table.clone();
    world.at(1000);
    let mut options = world.options();
    options.out = None;
    world.table.require_bundle = Some(false);
    let loose = world.table.clone();
    world.backend.save_table(&loose).unwrap();
    let run = world.run_with(&options).unwrap().run.id;
    world.backend.refresh_slice(&config).unwrap();
    assert_eq!(world.slice().len(), 2, "nothing differs, so nothing is done");
    alter(&mut world, "ADD owner nvarchar(50) NULL");
    world.restart();
    world.at(1100);
    let refused = world.backend.refresh_slice(&config).unwrap_err();
    let said = format!("{refused} {}", refused.what_to_do().unwrap_or_default());
    assert!(said.contains("in no bundle yet") && said.contains(&format!("pack --run {run}")), "{said}");
    assert_eq!(world.slice().len(), 2);
}

/// Six weeks of a source whose columns change in each second one; the bundles.
fn weeks(world: &mut World) -> Vec<PathBuf> {
    let long = "long ".repeat(2_000);
    let mut bundles = Vec::new();
    let mut run = |world: &mut World, week: i64| {
        world.restart();
        let report = world.run(week * 1000);
        assert_eq!(report.tables[0].status, Status::Completed, "{report:?}");
        bundles.extend(report.bundles);
    };
    world.put(3, Some(1), b"three", 120, A);
    world.put(4, None, b"four", 130, A);
    run(world, 1);
    alter(world, "ADD owner nvarchar(50) NULL");
    alter(world, "ADD flag bit NULL");
    world.put(2, Some(1), b"two again", 1500, A);
    set_owner(world, 2, "Ada");
    world.put(6, None, b"six", 1500, A);
    let flagged = |table: &str| format!("UPDATE {table} SET flag = 1 WHERE name = 'file 6'");
    world.script(&flagged("Src.Docs"), &flagged("Src.dbo.Docs"));
    run(world, 2);
    world.put(3, Some(1), b"three again", 2500, A);
    set_owner(world, 3, "Bo");
    run(world, 3);
    alter(world, "DROP COLUMN owner");
    alter(world, "ADD owner nvarchar(max) NULL");
    alter(world, "DROP COLUMN flag");
    alter(world, "ADD flag int NULL");
    world.put(5, None, b"five", 3500, A);
    set_owner(world, 5, &long);
    run(world, 4);
    alter(world, "DROP COLUMN owner");
    world.put(3, Some(1), b"three at last", 4500, A);
    run(world, 5);
    alter(world, "ADD size int NOT NULL DEFAULT 5");
    world.put(4, None, b"four again", 5500, A);
    world.log_deletion(2, 5600);
    world.remove(2);
    run(world, 6);
    bundles
}

/// What a target has of the source's columns, by name.
pub fn content(world: &World, database: &str) -> Vec<(String, Vec<Option<String>>)> {
    content_in(&mut world.target(), &TableName { db: database.into(), ..world.table.source.clone() })
}

/// The same of any table.
pub fn content_in(session: &mut Session, table: &TableName) -> Vec<(String, Vec<Option<String>>)> {
    let all = session.columns(table).unwrap();
    let key = all.iter().find(|column| column.name == "stream_id").unwrap().clone();
    let mut own: Vec<Column> =
        all.into_iter().filter(|column| !column.name.to_ascii_lowercase().starts_with("delta")).collect();
    own.sort_by(|a, b| a.name.cmp(&b.name));
    let values = |column: Column| {
        let name = column.name.clone();
        let mut values = Values::default();
        session.scan(table, &[key.clone(), column], "stream_id", &mut values).unwrap();
        (name, values.0)
    };
    own.into_iter().map(values).collect()
}

#[derive(Default)]
struct Values(Vec<Option<String>>);

impl CellSink for Values {
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        if column == 1 {
            self.0.push((cell != Cell::Null).then(|| format!("{cell:?}")));
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        Ok(())
    }
}

pub fn into(database: &str) -> ReplayOptions {
    ReplayOptions { database: Some(database.into()), create: true, into_source: true, ..ReplayOptions::default() }
}

pub fn rule_24_receivers_have_the_same_whatever_comes_first(on: &Instance) {
    let mut world = seeded(on);
    let bundles = weeks(&mut world);
    let replayed = |bundles: &[PathBuf], options: &ReplayOptions| {
        replay(bundles, &mut *world.target(), options, &Silent).unwrap();
    };
    replayed(&bundles, &into("CopyA"));
    let expected = content(&world, "CopyA");
    let names: Vec<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["file_stream", "flag", "name", "owner", "parent_path_locator", "path_locator", "size", "stream_id"]
    );
    assert_eq!(expected[1].1[4].as_deref(), Some("Int(1)"), "a bit is an int by now");
    let owners: Vec<bool> = expected[3].1.iter().map(Option::is_some).collect();
    assert_eq!(owners, [false, false, false, true, false], "2 is gone, of 3 it was dropped, of 5 it is long");
    for bundle in &bundles {
        replayed(std::slice::from_ref(bundle), &into("CopyB"));
    }
    assert_eq!(content(&world, "CopyB"), expected, "one by one");
    for bundle in bundles.iter().rev() {
        replayed(std::slice::from_ref(bundle), &ReplayOptions { allow_gap: true, ..into("CopyC") });
    }
    assert_eq!(content(&world, "CopyC"), expected, "the last one first");
    let compacted = |bundles: &[PathBuf]| {
        let bundles = bundles.iter().map(|path| Bundle::open(path).unwrap()).collect();
        let made = compact(bundles, &Local, &world.out(), &CompactOptions::default(), &Silent).unwrap();
        made.path().to_owned()
    };
    let (first, second) = (compacted(&bundles[..3]), compacted(&bundles[3..]));
    replayed(&[first.clone(), second.clone()], &into("CopyD"));
    assert_eq!(content(&world, "CopyD"), expected, "three and three");
    replayed(&[compacted(&[first, second])], &into("CopyE"));
    assert_eq!(content(&world, "CopyE"), expected, "all of it");
}

pub fn rule_24_a_standing_table_follows_only_where_that_is_said(on: &Instance) {
    let mut world = seeded(on);
    let bundles = weeks(&mut world);
    let mut target = world.target();
    let table = TableName { db: "Copy".into(), ..world.table.source.clone() };
    let mut columns = source_columns();
    columns.push(Column::new("note", SqlType::Int, true));
    target.create_table(&table, &columns, "stream_id", &[]).unwrap();
    let options = ReplayOptions { create: false, ..into("Copy") };
    let refused = replay(&bundles, &mut *target, &options, &Silent).unwrap_err();
    let said = format!("{refused} {}", refused.what_to_do().unwrap_or_default());
    assert!(said.contains("lacks this column") && said.contains("ALTER TABLE") && said.contains("--evolve"), "{said}");
    assert_eq!(content(&world, "Copy").len(), 6, "nothing was written");
    let mut target = world.target();
    replay(&bundles[..2], &mut *target, &ReplayOptions { evolve: true, ..options.clone() }, &Silent).unwrap();
    // Too narrow by now.
    let refused = replay(&bundles[..4], &mut *world.target(), &options, &Silent).unwrap_err();
    assert!(refused.to_string().contains("is bit, and int comes"), "{refused}");
    let keeping = ReplayOptions { evolve: true, keep_dropped: true, ..options };
    replay(&bundles, &mut *world.target(), &keeping, &Silent).unwrap();
    let found = content(&world, "Copy");
    let owners: Vec<bool> = found[4].1.iter().map(Option::is_some).collect();
    assert_eq!((found[4].0.as_str(), owners), ("owner", vec![false, true, false, true, false]), "of 3 it is kept");
    assert!(found[3].1.iter().all(Option::is_none), "its own column is its own");
}

pub fn rule_24_another_column_may_become_the_path(on: &Instance) {
    let mut world = seeded(on);
    world.run(1000);
    alter(&mut world, "ADD place varbinary(892) NULL");
    world.script("UPDATE Src.Docs SET place = path_locator", "UPDATE Src.dbo.Docs SET place = path_locator");
    world.put(3, None, b"unpacked", 1100, A);
    world.script("UPDATE Src.Docs SET place = path_locator", "UPDATE Src.dbo.Docs SET place = path_locator");
    world.restart();
    world.at(1500);
    world.table.path_column = Some("place".into());
    let config = world.table.clone();
    world.backend.save_table(&config).unwrap();
    world.put(2, Some(1), b"two again", 1600, A);
    world.script("UPDATE Src.Docs SET place = path_locator", "UPDATE Src.dbo.Docs SET place = path_locator");
    let table = last_table(&world.run(2000));
    assert_eq!(table.path_column.as_deref(), Some("place"));
    assert_eq!(table.counts.rows(), 3, "{table:?}");
}
