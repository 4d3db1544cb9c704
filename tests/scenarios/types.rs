//! Every type that is carried, with the values of `fixtures/types/types.json`: from a source through slice,
//! bundle and replay, equal at the end.

use crate::scenarios::bundles::findings;
use crate::scenarios::instance::Instance;
use crate::scenarios::session::Session;
use crate::scenarios::world::{World, key, minute, name};
use blobdelta::backend::{Connection, OpenOptions, Sandbox};
use blobdelta::error::Result;
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::column::Column;
use blobdelta::model::decimal;
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::table::TableConfig;
use blobdelta::model::time::{TICKS_PER_DAY, Timestamp};
use blobdelta::monitor::Silent;
use blobdelta::replay::{ReplayOptions, replay};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const FIXTURE: &str = include_str!("../../fixtures/types/types.json");

/// Some values are over it, and lie in `blob/`.
const INLINE_BYTES: u64 = 4096;

/// What is said of a table's cells, by key and column; a table is small enough for it.
type Said = BTreeMap<(Guid, String), String>;

/// A value that holds what its cell borrows.
enum Held {
    Text(String),
    Bytes(Vec<u8>),
    Plain(Cell<'static>),
}

impl Held {
    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Text(text) => Cell::Text(text),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
            Self::Plain(cell) => *cell,
        }
    }

    fn parse(sql_type: SqlType, value: &Value) -> Self {
        use SqlType as T;
        let part = |name: &str| value[name].as_str().unwrap_or_default();
        let times = usize::try_from(value["times"].as_u64().unwrap_or(0)).unwrap();
        let text = value.as_str().map_or_else(
            || [part("prefix"), &part("repeat").repeat(times), part("suffix")].concat(),
            ToOwned::to_owned,
        );
        let scale = if let T::Decimal { scale, .. } = sql_type { scale } else { 4 };
        let float = || text.parse::<f64>().unwrap();
        Self::Plain(match sql_type {
            T::Char(_) | T::VarChar(_) | T::NChar(_) | T::NVarChar(_) | T::Text | T::NText | T::Xml | T::Variant => {
                return Self::Text(text);
            }
            T::Binary(_) | T::VarBinary(_) | T::Image | T::RowVersion | T::HierarchyId | T::Geography | T::Geometry => {
                return Self::Bytes(hex(&text));
            }
            T::Bit => Cell::Bool(text == "1"),
            T::TinyInt | T::SmallInt | T::Int | T::BigInt => Cell::Int(text.parse().unwrap()),
            T::Real => Cell::Float(f64::from(text.parse::<f32>().unwrap())),
            T::Float => Cell::Float(float()),
            T::Decimal { .. } | T::Money | T::SmallMoney => Cell::Decimal(decimal::parse(&text, scale).unwrap()),
            T::UniqueIdentifier => Cell::Guid(Guid::parse(&text).unwrap()),
            T::Date => Cell::Date(i32::try_from(at(&text).ticks() / TICKS_PER_DAY).unwrap()),
            T::Time(_) => Cell::Time(at(&format!("0001-01-01T{text}")).ticks()),
            T::DateTime2(_) | T::DateTime | T::SmallDateTime => Cell::DateTime(at(&text)),
            T::DateTimeOffset(_) => {
                let (moment, offset) = text.split_at(text.len() - 6);
                let minutes: i16 = offset[1..3].parse::<i16>().unwrap() * 60 + offset[4..].parse::<i16>().unwrap();
                Cell::DateTimeOffset(at(moment), if offset.starts_with('-') { -minutes } else { minutes })
            }
        })
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// `0x…`, one or more.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.split("0x").collect::<String>().into_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// What a column holds after it was given this: types of fixed length fill up, on servers.
fn filled(sql_type: SqlType, cell: Cell<'_>) -> String {
    match (sql_type, cell) {
        (SqlType::Char(length) | SqlType::NChar(length), Cell::Text(text)) => {
            format!("{:?}", Cell::Text(&format!("{text:<width$}", width = usize::from(length))))
        }
        (_, cell) => format!("{cell:?}"),
    }
}

struct Reader<'a> {
    columns: &'a [Column],
    row: Vec<String>,
    key: Option<Guid>,
    said: Said,
}

impl CellSink for Reader<'_> {
    fn cell(&mut self, _: usize, cell: Cell<'_>) -> Result<()> {
        if let (true, Cell::Guid(key)) = (self.row.is_empty(), cell) {
            self.key = Some(key);
        }
        self.row.push(format!("{cell:?}"));
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        let key = self.key.take().unwrap();
        let named = self.columns.iter().map(|column| (key, column.name.clone()));
        self.said.extend(named.zip(std::mem::take(&mut self.row)));
        Ok(())
    }
}

/// All cells of these columns, of which the first is the key; names in lower case, as some servers keep them.
fn read(backend: &mut dyn Sandbox, table: &TableName, names: &[String]) -> Said {
    let found = backend.columns(table).unwrap();
    let find = |name: &String| found.iter().find(|column| column.name.eq_ignore_ascii_case(name)).unwrap().clone();
    let columns: Vec<Column> = names.iter().map(find).collect();
    let lower: Vec<Column> =
        columns.iter().map(|column| Column { name: column.name.to_lowercase(), ..column.clone() }).collect();
    let mut reader = Reader { columns: &lower, row: Vec::new(), key: None, said: Said::new() };
    backend.scan(table, &columns, &names[0], &mut reader).unwrap();
    reader.said
}

/// The types of the fixture that the instance has, each with its values; and what is skipped, by name.
fn fixture(world: &mut World) -> (Vec<(Column, Vec<Held>)>, Vec<String>) {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let is_exact = world.finest_ticks() == 1;
    let (mut types, mut skipped) = (Vec::new(), Vec::new());
    for entry in fixture["types"].as_array().unwrap() {
        let declared = entry["type"].as_str().unwrap();
        if entry["needs"].as_str().is_some_and(|needs| !world.has_type(needs)) {
            skipped.push(declared.to_owned());
            continue;
        }
        let sql_type = SqlType::parse(declared).unwrap();
        let mut values = Vec::new();
        for value in entry["values"].as_array().unwrap() {
            if value["needs"].is_string() && !is_exact {
                skipped.push(format!("{declared} {}", value["what"]));
            } else {
                values.push(Held::parse(sql_type, &value["value"]));
            }
        }
        types.push((Column::new(declared, sql_type, true), values));
    }
    (types, skipped)
}

pub fn every_value_of_every_type_comes_through(on: &Instance) {
    let mut world = World::new(on);
    let (types, skipped) = fixture(&mut world);
    if !skipped.is_empty() {
        eprintln!("SKIPPED {} types and values that this server does not have: {}", skipped.len(), skipped.join(", "));
    }
    assert!(types.len() >= 39 && skipped.len() <= 12, "{skipped:?}");
    let table = name("Src.dbo.Types");
    let mut config = TableConfig::new(table.clone(), table.clone());
    (config.path_column, config.parent_path_column) = (None, None);
    let mut columns = vec![
        Column::new("stream_id", SqlType::UniqueIdentifier, false),
        Column::new("ModifiedOn", SqlType::DateTime2(7), false),
    ];
    columns.extend(types.iter().map(|(column, _)| column.clone()));
    world.backend.create_table(&table, &columns, "stream_id", &[&["ModifiedOn", "stream_id"]]).unwrap();

    // Row n has the n-th value of each type; the last row has NULLs alone.
    let rows = types.iter().map(|(_, values)| values.len()).max().unwrap() + 1;
    let mut due = Said::new();
    for nth in 0..rows {
        let key = key(u32::try_from(nth).unwrap());
        let mut row = vec![Cell::Guid(key), Cell::DateTime(minute(10))];
        for (column, values) in &types {
            let cell = values.get(nth).map_or(Cell::Null, Held::cell);
            due.insert((key, column.name.to_lowercase()), world.said(column.sql_type, cell));
            row.push(cell);
        }
        world.backend.insert(&table, &columns, &[row]).unwrap();
    }
    world.backend.save_table(&config).unwrap();
    let names: Vec<String> =
        columns.iter().map(|column| column.name.clone()).filter(|name| name != "ModifiedOn").collect();
    let source = read(&mut *world.backend, &table, &names);
    let held: Said =
        source.iter().filter(|((_, name), _)| name != "stream_id").map(|(k, v)| (k.clone(), v.clone())).collect();
    assert_same(&held, &due, "the source holds what was put into it");

    world.at(1000);
    let mut options = world.options();
    options.request.table = Some(table.clone());
    options.pack.parts.inline_bytes = Some(INLINE_BYTES);
    let report = world.run_with(&options).unwrap();
    assert_eq!(findings(&report.bundles[0]), [] as [String; 0]);
    let blobs = std::fs::read_dir(report.bundles[0].join("data/t001-Types/blob")).unwrap().count();
    assert!(blobs >= 8, "{blobs} values lie in blob/");
    keep_as_fixture(&report.bundles[0]);

    let folder = world.dir.path().join("embedded");
    let create = OpenOptions { main_database: "Copy".into(), create: true, ..OpenOptions::default() };
    let embedded = Session::own(&Connection::Embedded(folder), &create);
    for (what, mut target) in [("the same kind of instance", world.target()), ("an embedded instance", embedded)] {
        let into = ReplayOptions {
            database: Some("Copy".into()),
            create: true,
            into_source: true,
            ..ReplayOptions::default()
        };
        replay(&report.bundles, &mut *target, &into, &Silent).unwrap();
        let copy = read(&mut *target, &name("Copy.dbo.Types"), &names);
        assert_same(&copy, &source, what);
    }
}

/// For `fixtures/bundles`, of which a later format may need more: the bundle is published once
/// more into the folder that the environment names.
fn keep_as_fixture(bundle: &Path) {
    if let Some(folder) = std::env::var_os("BLOBDELTA_KEEP_TYPES_BUNDLE") {
        let bundle = blobdelta::bundle::Bundle::open(bundle).unwrap();
        blobdelta::bundle::extract(&bundle, &blobdelta::durable::Local, Path::new(&folder), &Silent).unwrap();
    }
}

/// Names the first cells that differ, and not the whole table.
fn assert_same(found: &Said, due: &Said, what: &str) {
    assert_eq!(found.len(), due.len(), "{what}");
    let short = |text: &str| text.chars().take(80).collect::<String>();
    let differ: Vec<String> = due
        .iter()
        .filter(|(place, value)| found.get(*place) != Some(*value))
        .map(|((key, column), value)| {
            let there = found.get(&(*key, column.clone())).map_or("nothing", String::as_str);
            format!("{column} of {key}: {} is due, {} is there", short(value), short(there))
        })
        .collect();
    assert!(differ.is_empty(), "{what}: {differ:#?}");
}

impl World {
    /// Whether the instance has a type that not every server has.
    fn has_type(&mut self, sql_type: &str) -> bool {
        let ask = format!("IF TYPE_ID(N'{sql_type}') IS NULL RAISERROR (N'there is no such type', 16, 1);");
        self.is_embedded() || self.backend.execute_script(&ask).is_ok()
    }

    /// What the instance says of a cell that a column was given.
    fn said(&self, sql_type: SqlType, cell: Cell<'_>) -> String {
        if self.is_embedded() { format!("{cell:?}") } else { filled(sql_type, cell) }
    }
}
