//! `reconcile`: exit codes, and a row that was committed too late.

use crate::world::{DOCS, World};
use blobdelta::model::cell::Cell;
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::model::time::Timestamp;

#[test]
fn reconcile_ends_with_3_where_a_row_is_missing_and_pending_mends_it() {
    let world = World::new();
    world.good(&["run", "--out", &world.out()]);
    let reconcile = |more: &[&str]| world.call(&[&["reconcile", "--json", "--bundles", &world.out()], more].concat());
    let whole = reconcile(&["--content"]);
    assert_eq!((whole.code, &whole.json()["tables"][0]["equal"]), (0, &serde_json::json!(3)), "{whole:?}");
    // Stamped before the watermark, and committed after the run.
    let columns = world.backend().columns(&TableName::parse(DOCS).unwrap()).unwrap();
    let row = [Cell::Guid(Guid::from_bytes([9; 16])), Cell::Bytes(b"late"), Cell::Bytes(&[9]), Cell::Null, Cell::Null];
    world.backend().insert(&TableName::parse(DOCS).unwrap(), &columns, &[row.to_vec()]).unwrap();
    let metadata = TableName::parse("Meta.dbo.Docs").unwrap();
    let columns = world.backend().columns(&metadata).unwrap();
    let stamp = [Cell::Guid(Guid::from_bytes([9; 16])), Cell::DateTime(Timestamp::parse("2020-05-01").unwrap())];
    world.backend().insert(&metadata, &columns, &[stamp.to_vec()]).unwrap();
    let found = reconcile(&["--pend"]);
    assert_eq!((found.code, &found.json()["tables"][0]["counts"]["missing"]), (3, &serde_json::json!(1)), "{found:?}");
    world.good(&["run", "--out", &world.out()]);
    assert_eq!(reconcile(&[]).code, 0);
    let text = world.call(&["reconcile", "--bundles", &world.out()]);
    assert!(text.stdout.contains("the bundles hold everything that was due"), "{text:?}");
}
