//! What a login does not see. The server that these run on has no masks and no policies, so the procedure that looks for
//! them is replaced by one that finds some.

use crate::scenarios::instance::Instance;
use crate::scenarios::world::{A, World};
use blobdelta::error::Result;
use blobdelta::model::run::Status;
use std::path::Path;

const LOOK: &str = "dbo.usp_BlobDelta_ListHidden";
const INPUTS: &str = "@Role nvarchar(20), @Db nvarchar(128), @Schema nvarchar(128), @Table nvarchar(128)";

/// Lets the engine find this for the source, or for another role.
fn hide(world: &mut World, role: &str, rows: &str) {
    let insert = "INSERT INTO #Hidden (Role, Name, ColumnName, Kind) VALUES";
    let script = format!("ALTER PROCEDURE {LOOK} {INPUTS} AS BEGIN IF @Role = N'{role}' {insert} {rows}; END;");
    world.backend.execute_script(&script).unwrap();
}

/// What the only table of a run says, or nothing where it completed.
fn outcome(world: &mut World, at: i64) -> (Option<String>, String) {
    let report = world.run(at);
    let table = &report.tables[0];
    let manifest = report.bundles.last().map(|bundle| manifest(bundle)).unwrap_or_default();
    let error = table.error.as_ref().map(|error| format!("{error} {error:?}"));
    assert_eq!(error.is_none(), table.status == Status::Completed);
    (error, manifest)
}

fn manifest(bundle: &Path) -> String {
    std::fs::read_to_string(bundle.join("manifest.json")).unwrap()
}

fn accept(world: &mut World, names: &str) -> Result<()> {
    world.table.accepted_hidden = Some(names.to_owned());
    let table = world.table.clone();
    world.backend.save_table(&table)
}

pub fn rule_25_what_a_login_does_not_see_is_refused_by_name_unless_it_is_accepted(on: &Instance) {
    let mut world = World::new(on);
    world.put(1, None, b"root", 10, A);
    let rows = "(@Role, N'Src.dbo.Docs.name', N'name', N'masked'), (@Role, N'Src.dbo.Docs', NULL, N'filtered')";
    hide(&mut world, "Source", rows);
    let refused = outcome(&mut world, 1000);
    let one = accept(&mut world, "Src.dbo.Docs.name").map_err(|error| error.to_string());
    let both = accept(&mut world, "Src.dbo.Docs.name, Src.dbo.Docs");
    let accepted = outcome(&mut world, 1001);
    hide(&mut world, "Metadata", "(@Role, N'Meta.dbo.Docs.ModifiedOn', N'ModifiedOn', N'masked')");
    let needed = accept(&mut world, "Meta.dbo.Docs.ModifiedOn").map_err(|error| error.to_string());
    hide(&mut world, "Metadata", "(@Role, N'Meta.dbo.Docs.Other', N'Other', N'masked')");
    let unread = accept(&mut world, "");
    // As it was, before anything ends this scenario.
    world.deploy();
    let refused = refused.0.unwrap();
    assert!(refused.contains("Src.dbo.Docs.name is masked") && refused.contains("AcceptedHidden="), "{refused}");
    let one = one.unwrap_err();
    assert!(one.contains("has its rows filtered") && !one.contains("is masked"), "{one}");
    both.unwrap();
    assert_eq!(accepted.0, None);
    assert!(accepted.1.contains(r#""accepted_hidden":["Src.dbo.Docs.name","Src.dbo.Docs"]"#), "{}", accepted.1);
    let needed = needed.unwrap_err();
    assert!(needed.contains("Meta.dbo.Docs.ModifiedOn is masked for this login, and the column is needed"), "{needed}");
    unread.unwrap();
}
