//! Rule 24: twelve weeks of a source with a change of its columns in each second one. Whatever a receiver does with the bundles,
//! it ends with what the source has.

use crate::scenarios::drift::{alter, content, content_in, into};
use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, World};
use blobdelta::bundle::Bundle;
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::Local;
use blobdelta::model::name::TableName;
use blobdelta::model::run::Status;
use blobdelta::monitor::Silent;
use blobdelta::replay::{ReplayOptions, replay};
use std::path::PathBuf;

fn set(world: &mut World, number: u32, change: &str) {
    let (sqlite, tsql) = (world.keys.sqlite(number), world.keys.tsql(number));
    world.script(
        &format!("UPDATE Src.Docs SET {change} WHERE stream_id = {sqlite}"),
        &format!("UPDATE Src.dbo.Docs SET {change} WHERE stream_id = {tsql}"),
    );
}

/// Gives a column another type and leaves its values.
fn retype(world: &mut World, column: &str, sql_type: &str, spare: &str) {
    alter(world, &format!("ADD {spare} {sql_type} NULL"));
    let copy = |table: &str, into: &str, from: &str| format!("UPDATE {table} SET {into} = {from}");
    world.script(&copy("Src.Docs", spare, column), &copy("Src.dbo.Docs", spare, column));
    alter(world, &format!("DROP COLUMN {column}"));
    alter(world, &format!("ADD {column} {sql_type} NULL"));
    world.script(&copy("Src.Docs", column, spare), &copy("Src.dbo.Docs", column, spare));
    alter(world, &format!("DROP COLUMN {spare}"));
}

/// What changes about the columns before the run of a week.
fn change_columns(world: &mut World, week: u32) {
    match week {
        2 => alter(world, "ADD owner nvarchar(50) NULL"),
        4 => {
            alter(world, "ADD flag bit NULL");
            alter(world, "ADD size smallint NULL");
        }
        6 => retype(world, "size", "int", "spare"),
        8 => alter(world, "DROP COLUMN flag"),
        10 => alter(world, "ADD note nvarchar(max) NULL"),
        12 => {
            alter(world, "ADD flag int NULL");
            retype(world, "size", "bigint", "spare");
        }
        _ => {}
    }
}

/// The values of a row that is new or changed in a week, in the columns that the source has then.
fn fill(world: &mut World, number: u32, week: u32) {
    let columns = [
        (2..=12, "owner", format!("'owner {number} of week {week}'")),
        (4..=7, "flag", "1".to_owned()),
        (12..=12, "flag", format!("{}", 1000 + week)),
        (4..=5, "size", format!("{}", 30_000 + week)),
        (6..=11, "size", format!("{}", 2_000_000_000 + week)),
        (12..=12, "size", "9000000000000000000".to_owned()),
        (10..=12, "note", format!("'{}'", "long ".repeat(1_000))),
    ];
    for (_, column, value) in columns.into_iter().filter(|(weeks, ..)| weeks.contains(&week)) {
        set(world, number, &format!("{column} = {value}"));
    }
}

/// The bundles of twelve weeks. In each a row is new and another one changes, in each third one is deleted. A row that had a value
/// in a column that is dropped is stamped again after that.
fn twelve_weeks(world: &mut World) -> Vec<PathBuf> {
    let mut bundles = Vec::new();
    world.put(1, None, b"folder", 100, A);
    for week in 1..=12_u32 {
        let at = i64::from(week) * 10_000;
        change_columns(world, week);
        let (new, changed) = (100 + week, 100 + week.saturating_sub(2).max(1));
        let mut touched = vec![new, changed];
        if week == 8 {
            touched.extend([102, 103, 104, 105, 107]);
        }
        for number in touched {
            world.put(number, Some(1), format!("{number} of week {week}").as_bytes(), at - 1000, A);
            fill(world, number, week);
        }
        if week % 3 == 0 {
            let gone = 100 + week - 2;
            world.log_deletion(gone, at - 900);
            world.remove(gone);
        }
        world.restart();
        let report = world.run(at);
        assert_eq!(report.tables[0].status, Status::Completed, "{report:?}");
        bundles.extend(report.bundles);
    }
    assert_eq!(bundles.len(), 12);
    bundles
}

fn compacted(world: &World, bundles: &[PathBuf]) -> PathBuf {
    let bundles = bundles.iter().map(|path| Bundle::open(path).unwrap()).collect();
    compact(bundles, &Local, &world.out(), &CompactOptions::default(), &Silent).unwrap().path().to_owned()
}

pub fn rule_24_twelve_weeks_of_changes_leave_every_receiver_with_the_source(on: &Instance) {
    let mut world = World::new(on);
    let bundles = twelve_weeks(&mut world);
    let table = world.table.source.clone();
    let source = content_in(&mut world.backend, &table);
    let names: Vec<&str> = source.iter().map(|(name, _)| name.as_str()).collect();
    assert!(["flag", "note", "owner", "size"].iter().all(|name| names.contains(name)), "{names:?}");
    assert_eq!(source[0].1.len(), 10, "twelve that were new and the folder; of four that were deleted one came again");
    let check = |database: &str, what: &str| {
        let found = content(&world, database);
        let of_source: Vec<_> = found.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect();
        assert_eq!(of_source, source, "{what}");
    };
    let replayed = |bundles: &[PathBuf], options: &ReplayOptions| {
        replay(bundles, &mut *world.target(), options, &Silent).unwrap();
    };
    replayed(&bundles, &into("CopyA"));
    check("CopyA", "all at once");
    for bundle in &bundles {
        replayed(std::slice::from_ref(bundle), &into("CopyB"));
    }
    check("CopyB", "week by week");
    let out_of_order = [7, 2, 11, 0, 5, 9, 1, 10, 3, 8, 6, 4];
    for at in out_of_order {
        replayed(std::slice::from_ref(&bundles[at]), &ReplayOptions { allow_gap: true, ..into("CopyC") });
    }
    check("CopyC", "out of order");
    let table = TableName { db: "Copy".into(), ..world.table.source.clone() };
    world.target().create_table(&table, &world.keys.source_columns(), "stream_id", &[]).unwrap();
    let standing = ReplayOptions { create: false, evolve: true, ..into("Copy") };
    for at in out_of_order {
        replayed(std::slice::from_ref(&bundles[at]), &ReplayOptions { allow_gap: true, ..standing.clone() });
    }
    check("Copy", "out of order, into a standing table");
    for (database, weeks) in [("CopyD", 3), ("CopyE", 5)] {
        let groups: Vec<PathBuf> = bundles.chunks(weeks).map(|group| compacted(&world, group)).collect();
        replayed(&groups, &into(database));
        check(database, "compacted");
    }
}
