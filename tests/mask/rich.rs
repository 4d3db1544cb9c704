//! A bundle with columns of many types, and the values that its people have.

use crate::world::World;
use blobdelta::bundle::{Bundle, PartOptions};
use blobdelta::durable::Local;
use blobdelta::error::Result;
use blobdelta::mask::{MaskOptions, MaskPolicy, MaskSecret, MaskedBundle, mask};
use blobdelta::model::cell::Cell;
use blobdelta::model::column::Column;
use blobdelta::model::id::Guid;
use blobdelta::model::memory::Memory;
use blobdelta::model::name::TableName;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::time::Timestamp;
use blobdelta::monitor::Silent;
use std::path::{Path, PathBuf};

pub const SECRET: &str = "5f0c1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7";

/// Of each column.
pub const POLICY: &str = r#"
version = 1
[tables."Src.dbo.*"]
name = "file_name"
file_type = "extension"
file_stream = { mask = "placeholder", extension = "file_type" }
size = { mask = "size_of", column = "file_stream" }
client = { mask = "person", domain = "person" }
worker = { mask = "person", domain = "person" }
mail = "email"
phone = "phone"
number = "token"
notes = "words"
born = { mask = "date_shift", days = 40 }
seen = { mask = "date_shift", days = 40 }
weight = { mask = "number", within = "2.5" }
visits = { mask = "number", within = 3 }
"case" = { mask = "rekey", domain = "case" }
scan = "noise"
remark = { mask = "fixed", value = "masked", also_empty = true }
other = "null"
"#;

/// What stands in masked columns, and must be in no masked bundle.
pub const PRIVATE: [&str; 9] = [
    "Discharge letter of Joan Example",
    "Joan Example",
    "Dr Who",
    "joan@clinic.example",
    "01632 960001",
    "NHS 943 476 5919",
    "fell down the stairs and broke her wrist",
    "allergic to penicillin",
    "a remark that nobody should read",
];

pub fn columns() -> Vec<Column> {
    let text = |name: &str, length: u16| Column::new(name, SqlType::NVarChar(Some(length)), true);
    vec![
        Column::new("stream_id", SqlType::UniqueIdentifier, false),
        text("name", 255),
        text("file_type", 20),
        Column::new("file_stream", SqlType::VarBinary(None), true),
        Column::new("size", SqlType::BigInt, true),
        Column::new("path_locator", SqlType::VarBinary(Some(892)), false),
        Column::new("parent_path_locator", SqlType::VarBinary(Some(892)), true),
        Column::new("is_directory", SqlType::Bit, false),
        text("client", 60),
        text("worker", 60),
        text("mail", 80),
        text("phone", 30),
        text("number", 30),
        Column::new("notes", SqlType::NVarChar(None), true),
        Column::new("born", SqlType::Date, true),
        Column::new("seen", SqlType::DateTime2(3), true),
        Column::new("weight", SqlType::Decimal { precision: 9, scale: 2 }, true),
        Column::new("visits", SqlType::Int, true),
        Column::new("case", SqlType::UniqueIdentifier, true),
        Column::new("scan", SqlType::VarBinary(Some(200)), true),
        text("remark", 60),
        text("other", 60),
    ]
}

/// The values of a row, by its number: 1 has everything, 2 is NULL where it can be, 3 is empty.
fn cells(nth: u8, blob: &[u8]) -> Vec<Cell<'_>> {
    const PATHS: [[u8; 1]; 4] = [[0], [1], [2], [3]];
    let key = Cell::Guid(Guid::from_bytes([nth; 16]));
    let path = Cell::Bytes(&PATHS[usize::from(nth)]);
    let day = i32::try_from(Timestamp::parse("1951-03-04").unwrap().ticks() / 864_000_000_000).unwrap();
    match nth {
        1 => vec![
            key,
            Cell::Text("Discharge letter of Joan Example.txt"),
            Cell::Text("txt"),
            Cell::Bytes(blob),
            Cell::Int(i64::try_from(blob.len()).unwrap()),
            path,
            Cell::Null,
            Cell::Bool(false),
            Cell::Text("Joan Example"),
            Cell::Text("Dr Who"),
            Cell::Text("joan@clinic.example"),
            Cell::Text("01632 960001"),
            Cell::Text("NHS 943 476 5919"),
            Cell::Text(match std::str::from_utf8(blob) {
                Ok(long) if blob.len() > 1 << 20 => long,
                _ => "Joan Example fell down the stairs and broke her wrist; allergic to penicillin",
            }),
            Cell::Date(day),
            Cell::DateTime(Timestamp::parse("2026-03-04T05:06:07").unwrap()),
            Cell::Decimal(6_150),
            Cell::Int(7),
            Cell::Guid(Guid::from_bytes([77; 16])),
            Cell::Bytes(b"Joan Example, allergic to penicillin"),
            Cell::Text("a remark that nobody should read"),
            Cell::Text("Joan Example"),
        ],
        2 => {
            let mut row = vec![key, Cell::Null, Cell::Null, Cell::Null, Cell::Null, path, Cell::Null, Cell::Bool(true)];
            row.extend(vec![Cell::Null; 14]);
            row
        }
        _ => {
            let empty = Cell::Text("");
            let mut row = vec![key, empty, empty, Cell::Bytes(b""), Cell::Int(0), path, Cell::Null, Cell::Bool(false)];
            row.extend([empty, Cell::Text("Joan Example"), empty, empty, empty, empty, Cell::Null, Cell::Null]);
            row.extend([Cell::Null, Cell::Null, Cell::Null, Cell::Bytes(b""), empty, empty]);
            row
        }
    }
}

/// An instance with these rows, of which the first has this value; and the bundle of its first run.
pub fn bundle(blob: &[u8], args: &[&str]) -> (World, PathBuf) {
    stamped("2020-05-01", blob, args)
}

/// The same, with rows that were changed at a time.
pub fn stamped(at: &str, blob: &[u8], args: &[&str]) -> (World, PathBuf) {
    let world = World::bare();
    let mut backend = world.backend();
    let source = TableName::parse("Src.dbo.Letters").unwrap();
    let metadata = TableName::parse("Meta.dbo.Letters").unwrap();
    backend.create_database("Src").unwrap();
    backend.create_database("Meta").unwrap();
    backend.create_table(&source, &columns(), "stream_id", &[]).unwrap();
    let of_metadata =
        [Column::new("Id", SqlType::UniqueIdentifier, false), Column::new("ModifiedOn", SqlType::DateTime2(7), true)];
    backend.create_table(&metadata, &of_metadata, "Id", &[&["ModifiedOn"]]).unwrap();
    for nth in 1..=3 {
        backend.insert(&source, &columns(), &[cells(nth, blob)]).unwrap();
        let stamp = Cell::DateTime(Timestamp::parse(at).unwrap());
        backend.insert(&metadata, &of_metadata, &[vec![Cell::Guid(Guid::from_bytes([nth; 16])), stamp]]).unwrap();
    }
    drop(backend);
    world.good(&["deploy"]);
    world.good(&["table", "add", "Src.dbo.Letters", "--metadata", "Meta.dbo.Letters", "MetadataIdColumn=Id"]);
    let out = world.out();
    let run = [&["run", "--out", &out, "--json"][..], args].concat();
    let document = world.good(&run).json();
    let path = PathBuf::from(document["bundles"][0].as_str().unwrap());
    (world, path)
}

pub fn secret() -> MaskSecret {
    MaskSecret::parse(SECRET).unwrap()
}

/// Masks bundles into a folder, which is made.
pub fn masked(paths: &[&Path], policy: &str, out: &Path) -> Result<Vec<MaskedBundle>> {
    masked_by(paths, policy, &secret(), out)
}

pub fn masked_by(paths: &[&Path], policy: &str, secret: &MaskSecret, out: &Path) -> Result<Vec<MaskedBundle>> {
    masked_on(2, paths, (policy, secret), out)
}

/// The same, on so many cores.
pub fn masked_on(
    threads: usize,
    paths: &[&Path],
    (policy, secret): (&str, &MaskSecret),
    out: &Path,
) -> Result<Vec<MaskedBundle>> {
    std::fs::create_dir_all(out).unwrap();
    let bundles = paths.iter().map(|path| Bundle::open(path)).collect::<Result<Vec<_>>>()?;
    let policy = MaskPolicy::parse(policy)?;
    // Values of 4 KiB lie in blob/.
    let parts = PartOptions { inline_bytes: Some(4 << 10), threads, ..PartOptions::default() };
    let options = MaskOptions::of(Memory::default(), parts);
    mask(bundles, (&policy, secret), &Local, out, &options, &Silent)
}
