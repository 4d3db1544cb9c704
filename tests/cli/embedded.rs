//! The instance of docs/embedded.md: its files make one, and the page's commands do what the page says.

use crate::world::World;
use rusqlite::Connection;
use std::path::Path;

fn make(file: &Path, script: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/embedded").join(script);
    Connection::open(file).unwrap().execute_batch(&std::fs::read_to_string(script).unwrap()).unwrap();
}

#[test]
fn the_instance_of_the_page_is_captured_and_replayed() {
    let world = World::bare();
    std::fs::create_dir(world.path("source")).unwrap();
    make(&world.path("source/Files.sqlite"), "Files.sql");
    make(&world.path("source/Meta.sqlite"), "Meta.sql");
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/embedded.md")).unwrap();
    let line = page.split("blobdelta table add").nth(1).and_then(|rest| rest.split("\nblobdelta").next()).unwrap();
    let settings = line.split_whitespace().filter(|word| *word != "\\");
    world.good(&["deploy"]);
    world.good(&["table", "add"].into_iter().chain(settings).collect::<Vec<_>>());
    assert_eq!(world.good(&["doctor", "--json"]).code, 0);
    let run = world.good(&["run", "--out", &world.out(), "--json"]).json();
    let counts = &run["tables"][0]["counts"];
    assert_eq!((counts["roots"].as_u64(), counts["children"].as_u64()), (Some(1), Some(1)), "{run}");
    assert_eq!(counts["out_of_scope"], 1, "{run}");
    let target = format!("sqlite:{}", world.path("copy").display());
    world.good(&["verify", "--deep", &world.out()]);
    world.good(&["replay", &world.out(), "--into", &target, "--database", "Copy", "--create"]);
    let copy = Connection::open(world.path("copy/Copy.sqlite")).unwrap();
    let row = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(
        row("SELECT group_concat(name, ', ') FROM (SELECT name FROM Attachment ORDER BY name)"),
        "Letters, hello.txt"
    );
    assert_eq!(
        row("SELECT price || ' ' || CAST(file_stream AS TEXT) FROM Attachment WHERE price IS NOT NULL"),
        "1.50 Hello"
    );
}
