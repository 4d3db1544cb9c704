//! Tables whose keys are integers or binaries, in a tree by the key of the parent: what is typed, and what messages say to type.

use crate::world::{Ended, World, tree};
use blobdelta::model::cell::Cell;
use blobdelta::model::column::Column;
use blobdelta::model::name::TableName;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::time::Timestamp;

const NUMBERS: &str = "Src.dbo.Numbers";
const ADD: [&str; 8] = [
    "table",
    "add",
    NUMBERS,
    "--metadata",
    "Meta.dbo.Numbers",
    "KeyColumn=Id",
    "PathColumn=Id",
    "ParentPathColumn=ParentId",
];

fn columns(key: SqlType) -> [Column; 3] {
    [
        Column::new("Id", key, false),
        Column::new("ParentId", key, true),
        Column::new("file_stream", SqlType::VarBinary(None), true),
    ]
}

/// Rows, each with the key of its parent.
fn seed(world: &World, key: SqlType, rows: &[(Cell<'static>, Cell<'static>)]) {
    let mut backend = world.backend();
    let source = TableName::parse(NUMBERS).unwrap();
    let metadata = TableName { db: "Meta".into(), ..source.clone() };
    let stamps = [Column::new("Id", key, false), Column::new("ModifiedOn", SqlType::DateTime2(7), true)];
    backend.create_database("Src").unwrap();
    backend.create_database("Meta").unwrap();
    backend.create_table(&source, &columns(key), "Id", &[&["ParentId"]]).unwrap();
    backend.create_table(&metadata, &stamps, "Id", &[&["ModifiedOn"]]).unwrap();
    let at = Timestamp::parse("2020-05-01").unwrap();
    for (key_cell, parent) in rows {
        backend.insert(&source, &columns(key), &[vec![*key_cell, *parent, Cell::Bytes(b"x")]]).unwrap();
        backend.insert(&metadata, &stamps, &[vec![*key_cell, Cell::DateTime(at)]]).unwrap();
    }
}

fn numbers(rows: &[(i64, Option<i64>)]) -> World {
    let world = World::bare();
    let cells = |(key, parent): &(i64, Option<i64>)| (Cell::Int(*key), parent.map_or(Cell::Null, Cell::Int));
    seed(&world, SqlType::SmallInt, &rows.iter().map(cells).collect::<Vec<_>>());
    world.good(&["deploy"]);
    world.good(&[&ADD[..], &["MetadataIdColumn=Id"]].concat());
    world
}

/// The command that a message says to type and that begins so, with its words.
fn said(ended: &Ended, begins: &str) -> Vec<String> {
    let text = ended.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let at = text.find(&format!("`blobdelta {begins}")).unwrap_or_else(|| panic!("no {begins}: {ended:?}"));
    let command = text[at + 1..].split('`').next().unwrap();
    command.split(' ').skip(1).map(str::to_owned).collect()
}

fn good(world: &World, words: &[String]) -> Ended {
    world.good(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_key_that_no_row_can_have_is_refused_and_keys_are_listed_as_numbers() {
    let world = numbers(&[(-5, None), (0, None), (3, None)]);
    for (command, key) in [("pend", "40000"), ("exclude", "-32769")] {
        let refused = world.call(&["key", command, NUMBERS, key, "--reason", "x"]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains("keys are from -32768 to 32767"), "{refused:?}");
    }
    for key in ["3", "0", "-5", "-32768", "32767"] {
        world.good(&["key", "pend", NUMBERS, key, "--reason", "x"]);
    }
    let listed = world.good(&["key", "list", NUMBERS, "--json"]).json();
    let keys: Vec<_> = listed["keys"].as_array().unwrap().iter().map(|key| key["Key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["-32768", "-5", "0", "3", "32767"]);
}

#[test]
fn binaries_are_typed_and_shown_as_t_sql_has_them() {
    let world = World::bare();
    let keys = [Cell::Bytes(&[0, 0xA1, 0xFF, 0x30, 0, 0, 0, 0]), Cell::Bytes(&[1, 2, 3, 4, 5, 6, 7, 8])];
    seed(&world, SqlType::Binary(8), &[(keys[0], Cell::Null), (keys[1], Cell::Bytes(&[9; 8]))]);
    world.good(&["deploy"]);
    world.good(&[&ADD[..], &["MetadataIdColumn=Id", "ExcludedStreamId=0xFFFFFFFFFFFFFFFF"]].concat());
    for typed in ["42", "0x01", "00a1ff3000000000", "00000000-0000-0000-0000-00000000002a"] {
        let refused = world.call(&["key", "pend", NUMBERS, typed, "--reason", "x"]);
        assert_eq!(refused.code, 2, "{refused:?}");
        let says = ["is no binary(8)", "write 0x and 16 hexadecimal digits"];
        assert!(says.iter().all(|says| refused.stderr.contains(says)), "{refused:?}");
    }
    for typed in ["0x00A1FF3000000000", "0X0000000000000001"] {
        world.good(&["key", "pend", NUMBERS, typed, "--reason", "x"]);
    }
    let listed = world.good(&["key", "list", NUMBERS, "--json"]).json();
    let shown: Vec<_> = listed["keys"].as_array().unwrap().iter().map(|key| key["Key"].as_str().unwrap()).collect();
    assert_eq!(shown, ["0x0000000000000001", "0x00a1ff3000000000"]);
    let table = world.good(&["table", "list", "--json"]).json();
    assert_eq!(table["tables"][0]["ExcludedStreamId"], "0xffffffffffffffff");
    world.good(&["run", "--out", "out"]);
    world.good(&["unpack", "out", "--latest", "--out", "files"]);
    let found = tree(&world.path("files"));
    assert!(found.keys().any(|path| path.iter().any(|name| name == "0x0909090909090909")), "{found:?}");
}

#[test]
fn a_row_whose_parent_is_missing_is_unpacked_under_the_key_of_that_parent() {
    let world = numbers(&[(1, None), (7, Some(99))]);
    world.good(&["run", "--out", "out"]);
    world.good(&["unpack", "out", "--latest", "--out", "files"]);
    let found = tree(&world.path("files"));
    assert!(found.keys().any(|path| path.iter().any(|name| name == "99")), "{found:?}");
}

#[test]
fn one_row_of_a_cycle_is_excluded_by_the_command_that_the_message_shows() {
    let mut rows = vec![(1, None), (10, Some(11)), (11, Some(10)), (5, Some(5))];
    rows.extend((20..40).map(|key| (key, Some(if key < 30 { 10 } else { key - 1 }))));
    let world = numbers(&rows);
    for _ in 0..2 {
        let failed = world.call(&["run", "--out", "out"]);
        assert_eq!(failed.code, 2, "{failed:?}");
        assert!(["form a cycle", "its own parent"].iter().any(|what| failed.stderr.contains(what)), "{failed:?}");
        let mut exclude = said(&failed, "key exclude");
        assert!(["5", "10", "11"].contains(&exclude[3].as_str()), "{exclude:?}");
        exclude.truncate(4);
        exclude.extend(["--reason".into(), "a cycle".into()]);
        good(&world, &exclude);
    }
    world.good(&["run", "--out", "out"]);
    world.good(&["verify", "--deep", "out"]);
    let listed = world.good(&["key", "list", NUMBERS, "--json"]).json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2);
}

#[test]
fn a_name_keeps_the_type_of_its_keys_and_the_command_that_begins_another_chain_works() {
    let world = numbers(&[(1, None)]);
    world.good(&["run", "--out", "out"]);
    let gone = "DROP TABLE Src.Numbers; DROP TABLE Meta.Numbers";
    world.good(&["deploy"]);
    let mut backend = world.backend();
    backend.create_database("Src").unwrap();
    backend.create_database("Meta").unwrap();
    backend.execute_script(gone).unwrap();
    drop(backend);
    let key = Cell::Guid(blobdelta::model::id::Guid::from_bytes([7; 16]));
    seed(&world, SqlType::UniqueIdentifier, &[(key, Cell::Null)]);

    let failed = world.call(&["run", "--out", "out"]);
    assert_eq!(failed.code, 2, "{failed:?}");
    let another = said(&failed, "table add");
    world.good(&["table", "set", NUMBERS, "IsActive=0"]);
    world.good(&["table", "remove", NUMBERS]);
    for target in [&[][..], &["Target=Src_Delta.dbo.Another"]] {
        let refused = world.call(&[&ADD[..], &["MetadataIdColumn=Id"], target].concat());
        assert_eq!(refused.code, 2, "{refused:?}");
        assert_eq!(said(&refused, "table add"), another);
    }
    good(&world, &another);
    std::fs::create_dir(world.path("other")).unwrap();
    let bundles = world.good(&["run", "--out", "other", "--json"]).json();
    let bundle = bundles["bundles"][0].as_str().unwrap();
    world.good(&["replay", bundle, "--into", "sqlite:copy", "--database", "Copy", "--create"]);
}

#[test]
fn business_units_are_uniqueidentifiers() {
    let world = numbers(&[(1, None)]);
    let units = ["MetadataBusinessUnitCol=Id", "BusinessUnit=Src.dbo.Numbers", "BusinessUnitIdColumn=Id"];
    let refused = world.call(&[&["table", "set", NUMBERS], &units[..]].concat());
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("has to be uniqueidentifier"), "{refused:?}");
}

#[test]
fn a_run_whose_bundle_is_there_is_not_said_to_be_lost() {
    let world = numbers(&[(1, None)]);
    world.good(&["table", "set", NUMBERS, "RequireBundle=0"]);
    let first = world.good(&["run", "--no-bundle", "--json"]).json();
    world.good(&["run", "--out", "out"]);
    let run = first["run"]["RunId"].as_str().unwrap_or_else(|| panic!("{first}"));
    let refused = world.call(&["pack", "--run", run, "--out", "out"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("is in a bundle already"), "{refused:?}");
}
