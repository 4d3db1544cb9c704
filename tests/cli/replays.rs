//! `replay --plan`, `--check` and `--displace`: what each says, its exit code, and what it leaves alone.

use crate::world::{DOCS, World};
use blobdelta::backend::{Connection, OpenOptions, Sandbox};
use blobdelta::model::cell::Cell;
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;

const COPY: &str = "Copy.dbo.Docs";

fn target(world: &World) -> Box<dyn Sandbox> {
    let options = OpenOptions { main_database: "Copy".into(), create: true, ..OpenOptions::default() };
    Connection::Embedded(world.path("target")).open_sandbox(&options).unwrap()
}

#[test]
fn a_plan_changes_nothing_and_a_check_ends_with_3_where_something_differs() {
    let world = World::new();
    let bundle = world.bundle().display().to_string();
    let replay = |more: &[&str]| {
        let args = ["replay", &bundle, "--into", "sqlite:target", "--database", "Copy"];
        world.call(&[&args[..], more].concat())
    };
    assert_eq!(replay(&["--plan", "--create"]).code, 2, "it has nothing to look at, and makes nothing");
    assert!(!world.path("target").exists());
    drop(target(&world));
    let planned = replay(&["--plan", "--create", "--json"]);
    assert_eq!((planned.code, &planned.json()["plan"][0]["Inserted"]), (0, &3.into()), "{planned:?}");
    assert!(replay(&["--plan", "--create"]).stdout.contains("Copy.dbo.Docs would be created"));
    assert_eq!(replay(&["--check"]).code, 2, "there is nothing to check");
    assert_eq!(replay(&["--create"]).code, 0);
    assert_eq!(replay(&["--check"]).code, 0);
    let table = TableName::parse(COPY).unwrap();
    assert!(target(&world).delete(&table, ("stream_id", Guid::from_bytes([2; 16]))).unwrap());
    let found = replay(&["--check", "--json"]);
    assert_eq!((found.code, &found.json()["differences"]["missing"]), (3, &1.into()), "{found:?}");
    assert!(replay(&["--check"]).stdout.contains("02020202-0202-0202-0202-020202020202"));
    assert_eq!(replay(&["--check", "--create"]).code, 2, "a check creates nothing");
}

#[test]
fn a_row_under_a_new_key_is_in_the_way_of_its_old_one_and_displaces_it_on_demand() {
    let world = World::new();
    world.good(&["table", "set", DOCS, "SafetyBufferMinutes=0"]);
    let (source, metadata) = (TableName::parse(DOCS).unwrap(), TableName::parse("Meta.dbo.Docs").unwrap());
    let (old, new) = (Guid::from_bytes([1; 16]), Guid::from_bytes([9; 16]));
    let mut backend = target(&world);
    let columns = world.backend().columns(&source).unwrap();
    backend.create_table(&TableName::parse(COPY).unwrap(), &columns, "stream_id", &[]).unwrap();
    backend.execute_script("CREATE UNIQUE INDEX OnePath ON Docs (path_locator)").unwrap();
    world.bundle();
    // The same path under another key, and nobody logged that the old one went.
    let mut at_source = world.backend();
    assert!(at_source.delete(&source, ("stream_id", old)).unwrap());
    let row = [Cell::Guid(new), Cell::Bytes(b"new"), Cell::Bytes(&[1]), Cell::Null, Cell::Null];
    at_source.insert(&source, &columns, &[row.to_vec()]).unwrap();
    let of_metadata = at_source.columns(&metadata).unwrap();
    let stamp = [Cell::Guid(new), Cell::DateTime(at_source.now().unwrap().utc)];
    at_source.insert(&metadata, &of_metadata, &[stamp.to_vec()]).unwrap();
    world.bundle();
    let out = world.out();
    let args = ["replay", &out, "--into", "sqlite:target", "--database", "Copy"];
    let refused = world.call(&args);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains(&old.to_string()) && refused.stderr.contains(&new.to_string()), "{refused:?}");
    assert!(refused.stderr.contains("OnePath") && refused.stderr.contains("--displace"), "{refused:?}");
    let displaced = world.good(&[&args[..], &["--displace", "--json"]].concat()).json();
    assert_eq!(displaced["bundles"][1]["tables"][0]["Displaced"], 1, "{displaced}");
    assert_eq!(world.call(&[&args[..], &["--check"]].concat()).code, 0);
}

#[test]
fn a_replay_into_the_source_is_refused_under_any_of_its_names() {
    let world = World::new();
    world.bundle();
    let source = world.path("source");
    let before = crate::world::tree(&source);
    let into = |folder: &str, more: &[&str]| {
        let args = ["replay", &world.out(), "--into", folder];
        world.call(&[&args[..], more].concat())
    };
    let named = format!("sqlite:{}", source.display());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&source, world.path("alias")).unwrap();
        std::fs::create_dir(world.path("elsewhere")).unwrap();
        std::os::unix::fs::symlink(source.join("Src.sqlite"), world.path("elsewhere/Src.sqlite")).unwrap();
    }
    for folder in [&named, "sqlite:source", "sqlite:./out/../source", "sqlite:alias", "sqlite:elsewhere"] {
        for more in [&[][..], &["--plan"], &["--create"], &["--database", "Copy", "--create"]] {
            if folder == "sqlite:elsewhere" && more.contains(&"--database") {
                continue;
            }
            let refused = into(folder, more);
            assert_eq!(refused.code, 2, "{folder} {more:?}: {refused:?}");
            assert!(refused.stderr.contains("--into-source"), "{folder} {more:?}: {refused:?}");
        }
    }
    assert!(crate::world::tree(&source) == before, "nothing was changed, and nothing made");
    assert_eq!(into("sqlite:source", &["--into-source", "--plan"]).code, 0);
}

#[test]
fn a_replay_that_is_refused_leaves_no_folder_and_no_table() {
    let world = World::new();
    world.good(&["table", "set", DOCS, "SafetyBufferMinutes=0"]);
    world.bundle();
    let last = world.bundle().display().to_string();
    let gap = world.call(&["replay", &last, "--into", "sqlite:new", "--create"]);
    assert_eq!(gap.code, 5, "{gap:?}");
    assert!(!world.path("new").exists());
    drop(target(&world));
    let before = crate::world::tree(&world.path("target"));
    assert_eq!(world.call(&["replay", &last, "--into", "sqlite:target", "--database", "Copy", "--create"]).code, 5);
    assert!(crate::world::tree(&world.path("target")) == before);
}

#[test]
fn a_column_of_the_source_that_is_named_as_the_rowid_leads_to_no_other_row() {
    let world = World::bare();
    world.seed(DOCS, blobdelta::model::sqltype::SqlType::NVarChar(Some(50)));
    // Each row would be read as another one; 5 MB are copied in chunks.
    let sql =
        "CREATE TABLE Src.Docs2 (\"stream_id\" \"uniqueidentifier BLOB\" NOT NULL PRIMARY KEY, RowId \"int INTEGER\",
            _rowid_ \"int INTEGER\", file_stream \"varbinary(max) BLOB\", path_locator \"varbinary(892) BLOB\" NOT NULL,
            parent_path_locator \"varbinary(892) BLOB\");
        INSERT INTO Src.Docs2 SELECT stream_id, 4 - rowid, 77, CAST(hex(stream_id) || hex(zeroblob(2500000)) AS blob),
            path_locator, parent_path_locator FROM Src.Docs;
        DROP TABLE Src.Docs; ALTER TABLE Src.Docs2 RENAME TO Docs;";
    world.backend().execute_script(sql).unwrap();
    world.good(&["deploy"]);
    world.good(&["table", "add", DOCS, "--metadata", "Meta.dbo.Docs", "MetadataIdColumn=Id"]);
    let bundle = world.bundle().display().to_string();
    let replay = ["replay", &bundle, "--into", "sqlite:target", "--database", "Copy"];
    world.good(&[&replay[..], &["--create"]].concat());
    world.good(&[&replay[..], &["--check"]].concat());
    world.good(&["reconcile", "--bundles", &world.out(), "--content"]);
    let same = "CREATE TABLE Asked AS SELECT CASE WHEN count(*) = 3 THEN 1 ELSE abs(-9223372036854775808) END
        FROM Docs WHERE substr(file_stream, 1, 32) = CAST(hex(stream_id) AS blob) AND length(file_stream) = 5000032";
    target(&world).execute_script(same).unwrap();
}
