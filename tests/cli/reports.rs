//! `report`: what is on the page, that nothing on it is somebody else's markup, and what it may replace.

use crate::world::{DOCS, World};
use blobdelta::model::sqltype::SqlType;
use std::fs;

const HOSTILE: &str = "<script>alert(1)</script> & 'x' \"y\"";

/// The page, checked as every page is: all elements are closed in order, and nothing is loaded, called or sent.
fn page(world: &World, name: &str) -> String {
    let page = fs::read_to_string(world.path(name)).unwrap();
    let (mut open, mut rest) = (Vec::new(), page.as_str());
    while let Some(at) = rest.find('<') {
        let end = rest[at..].find('>').expect("a tag ends") + at;
        let tag = &rest[at + 1..end];
        let element = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        match tag {
            _ if tag.starts_with('!') || element == "meta" || tag.ends_with('/') => {}
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(element), "{}", &page[..page.len() - rest.len()]),
            _ => open.push(element),
        }
        rest = &rest[end + 1..];
    }
    assert_eq!(open, Vec::<&str>::new());
    let tags: Vec<&str> = page.split('<').skip(1).filter_map(|part| part.split_once('>')).map(|(tag, _)| tag).collect();
    for tag in tags {
        // What stands in quotes is a value.
        let names: String = tag.split('"').step_by(2).collect();
        for never in ["script", "iframe", "img", "link", "href=", "src=", " on", "object", "embed"] {
            assert!(!names.contains(never), "{tag}");
        }
    }
    let urls = page.matches("://").count() - page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
    assert_eq!(urls, 0, "nothing is referred to");
    page
}

#[test]
fn the_page_shows_chains_gaps_runs_and_what_is_pending() {
    let world = World::new();
    world.good(&["table", "set", DOCS, "SafetyBufferMinutes=0"]);
    let bundles = [world.bundle(), world.bundle(), world.bundle()];
    let good = world.good(&["report", &world.out(), "--out", "page.html"]);
    assert!(good.stdout.contains("nothing needs attention") && good.stdout.contains("report page.html"), "{good:?}");
    let whole = page(&world, "page.html");
    for due in ["Nothing needs attention.", "3 bundles in 1 chain", "Src.dbo.Docs, scope all", "<th scope=\"col\">"] {
        assert!(whole.contains(due), "{due}: {whole}");
    }
    fs::remove_dir_all(&bundles[1]).unwrap();
    world.good(&["key", "pend", DOCS, "55555555-5555-5555-5555-555555555555", "--reason", "asked for"]);
    // The page before is replaced.
    let ended =
        world.good(&["report", &world.out(), "--out", "page.html", "--connection", &world.connection(), "--json"]);
    let document = ended.json();
    let found: Vec<&str> =
        document["found"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert!(found.iter().any(|what| what.starts_with("Src.dbo.Docs, scope all: 1 gap (the longest of ")), "{found:?}");
    assert_eq!(document["facts"]["what_the_bundles_cover"]["gaps"], 1);
    let holed = page(&world, "page.html");
    for due in [
        "class=\"gap\"",
        "1 gap,",
        "gap in Src.dbo.Docs, all: ",
        "the bundle before it is not here",
        "<caption>Runs, newest first</caption>",
        "Completed",
        "<caption>Watermarks and leases</caption>",
        "Pending keys",
        "<caption>Rows of the job database</caption>",
        "the newest 100 runs of each table",
        "Numbers of each week",
    ] {
        assert!(holed.contains(due), "{due}: {holed}");
    }
    assert!(!holed.contains("Nothing needs attention"), "{holed}");
}

#[test]
fn attack_a_name_in_the_source_is_no_markup_on_the_page() {
    let world = World::bare();
    let table = format!("Src.dbo.[{HOSTILE}]");
    world.seed(&table, SqlType::NVarChar(Some(50)));
    world.good(&["deploy"]);
    let metadata = format!("Meta.dbo.[{HOSTILE}]");
    world.good(&["table", "add", &table, "--metadata", &metadata, "MetadataIdColumn=Id"]);
    world.bundle();
    let out = world.path("<b onclick=x>");
    fs::create_dir(&out).unwrap();
    for bundle in fs::read_dir(world.out()).unwrap() {
        let bundle = bundle.unwrap();
        fs::rename(bundle.path(), out.join(bundle.file_name())).unwrap();
    }
    fs::write(out.join("<i>.bundle.tar"), "no archive").unwrap();
    let places = out.display().to_string();
    world.good(&["report", &places, "--out", "page.html", "--verify", "--connection", &world.connection()]);
    let page = page(&world, "page.html");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &apos;x&apos; &quot;y&quot;"), "{page}");
    assert!(page.contains("&lt;b onclick=x&gt;") && page.contains("&lt;i&gt;.bundle.tar"), "{page}");
    assert!(page.contains("default-src &apos;none&apos;") || page.contains("default-src 'none'"), "{page}");
}

#[test]
fn a_damaged_bundle_is_on_the_page_once_it_is_verified() {
    let world = World::new();
    let bundle = world.bundle();
    let data = fs::read_dir(bundle.join("data")).unwrap().next().unwrap().unwrap().path();
    let part = data.join("part-00000.parquet");
    let mut bytes = fs::read(&part).unwrap();
    bytes[100] ^= 1;
    fs::write(&part, bytes).unwrap();
    world.good(&["report", &world.out(), "--out", "page.html"]);
    assert!(page(&world, "page.html").contains("contents were not"));
    for level in ["--verify", "--deep"] {
        let ended = world.good(&["report", &world.out(), "--out", "page.html", level]);
        assert!(ended.stdout.contains("wrong: not good"), "{ended:?}");
        let page = page(&world, "page.html");
        assert!(page.contains("NOT TO BE USED") && page.contains("changed_payload_file"), "{page}");
    }
}

#[test]
fn another_file_is_never_replaced_and_nothing_is_no_report() {
    let world = World::new();
    world.bundle();
    fs::write(world.path("mine.html"), "<!DOCTYPE html>\nmine").unwrap();
    let refused = world.call(&["report", &world.out(), "--out", "mine.html"]);
    assert!(refused.code == 2 && refused.stderr.contains("it is no report"), "{refused:?}");
    assert_eq!(fs::read_to_string(world.path("mine.html")).unwrap(), "<!DOCTYPE html>\nmine");
    let nothing = world.call_on("", &["report", "--out", "page.html"]);
    assert!(nothing.code == 2 && nothing.stderr.contains("--connection"), "{nothing:?}");
    assert!(!world.path("page.html").exists());
    let bundle = fs::read_dir(world.out()).unwrap().next().unwrap().unwrap().path();
    let inside = bundle.join("page.html").display().to_string();
    let refused = world.call(&["report", &world.out(), "--out", &inside]);
    assert!(refused.code == 2 && refused.stderr.contains("a bundle, whose files are counted"), "{refused:?}");
}
