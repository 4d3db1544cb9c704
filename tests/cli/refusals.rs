//! Bad input: one clear error, its exit code, and nothing changed.

use crate::world::{DOCS, Ended, World, tree};
use blobdelta::model::sqltype::SqlType;

const UNKNOWN: &str = "6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061";

/// The call ends with this code and one error that says all of `says`, as text and as JSON; no
/// bundle is left behind.
fn refused(world: &World, args: &[&str], code: i32, says: &[&str]) {
    refused_on(world, &world.connection(), args, code, says);
}

fn refused_on(world: &World, connection: &str, args: &[&str], code: i32, says: &[&str]) {
    let before = tree(&world.path("out"));
    let text = world.call_on(connection, args);
    assert_eq!(text.code, code, "{args:?}: {text:?}");
    assert_eq!(text.stderr.matches("error: ").count(), 1, "{args:?}: {text:?}");
    for word in says {
        assert!(text.stderr.contains(word), "{args:?}: {word:?} is missing in {}", text.stderr);
    }
    let json = world.call_on(connection, &[args, &["--json"]].concat());
    assert_eq!(json.code, code, "{args:?}: {json:?}");
    let error = &json.json()["error"];
    assert_eq!(error["exit_code"], code, "{args:?}: {json:?}");
    assert!(error["what"].is_string() && error["place"].is_object(), "{json:?}");
    assert_eq!(tree(&world.path("out")), before, "{args:?} left something behind");
}

#[test]
fn an_unknown_or_missing_connection() {
    let world = World::bare();
    let nowhere = format!("sqlite:{}", world.path("nowhere").display());
    refused_on(&world, "", &["status"], 2, &["no connection", "BLOBDELTA_CONNECTION"]);
    refused_on(&world, "oracle:x", &["status"], 2, &["sqlite:FOLDER", "ADO.NET"]);
    refused_on(&world, "Server=x;Password=secret", &["status"], 2, &["names no login", "User ID"]);
    refused_on(&world, &nowhere, &["status"], 2, &["nowhere", "deploy"]);
    refused_on(&world, &nowhere, &["run", "--out", &world.out()], 2, &["nowhere"]);
    assert!(!world.path("nowhere").exists());
    let reported: Ended = world.call_on("Server=x;Password=secret", &["status"]);
    assert!(!reported.stderr.contains("secret"), "{reported:?}");
}

#[test]
fn an_unknown_table_unit_or_run() {
    let world = World::new();
    let out = world.out();
    refused(&world, &["run", "--table", "Src.dbo.Nothing", "--out", &out], 2, &["Src.dbo.Nothing", DOCS]);
    refused(&world, &["run", "--table", "Docs", "--out", &out], 2, &["three-part"]);
    refused(&world, &["run", "--business-unit", UNKNOWN, "--out", &out], 2, &[UNKNOWN]);
    refused(&world, &["run", "--business-unit", "x", "--out", &out], 2, &["GUID"]);
    refused(&world, &["run", "--resume", UNKNOWN, "--out", &out], 2, &[UNKNOWN]);
    refused(&world, &["pack", "--run", UNKNOWN, "--out", &out], 2, &[UNKNOWN]);
    refused(&world, &["status", "--run", UNKNOWN], 2, &[UNKNOWN]);
    refused(&world, &["run", "--from", "yesterday", "--out", &out], 2, &["yesterday"]);
    refused(&world, &["run", "--batch-size", "0", "--out", &out], 2, &["batch-size"]);
    assert_eq!(world.good(&["status", "--json"]).json()["runs"].as_array().unwrap().len(), 0);
}

#[test]
fn a_configuration_that_names_what_is_not_there() {
    let world = World::new();
    let before = world.good(&["table", "list", "--json"]).stdout;
    for (setting, says) in [
        ("Source=Nowhere.dbo.Docs", "Nowhere"),
        ("Source=Src.dbo.Nothing", "Nothing"),
        ("Metadata=Meta.dbo.Nothing", "Nothing"),
        ("MetadataModifiedOnCol=Changed", "Changed"),
        ("MetadataCreatedOnCol=Made", "MetadataCreatedOnCol names the column Made"),
        ("MetadataCreatedOnCol=Id", "has to be datetime2"),
        ("MetadataIdColumn=Nr", "Nr"),
        ("KeyColumn=nr", "nr"),
        ("KeyColumn=extra", "has to be uniqueidentifier, bigint, int, smallint, tinyint or binary of 1 to 16 bytes"),
        ("PathColumn=place", "place"),
        ("SafetyBufferMinutes=soon", "soon"),
        ("Target=Src.dbo.Docs", "TargetTable"),
        ("Buffer=1", "SafetyBufferMinutes"),
        ("nothing", "FIELD=VALUE"),
    ] {
        refused(&world, &["table", "set", DOCS, setting], 2, &[says]);
    }
    refused(&world, &["table", "add", "Src.dbo.Nothing"], 2, &["Nothing"]);
    refused(&world, &["table", "add", DOCS, "--metadata", "Meta.dbo.Docs"], 2, &["table set"]);
    assert_eq!(world.good(&["table", "list", "--json"]).stdout, before);
}

#[test]
fn a_column_that_vanished_fails_its_table_before_anything_is_emptied() {
    let world = World::new();
    world.bundle();
    world.backend().execute_script("ALTER TABLE Meta.Docs RENAME COLUMN ModifiedOn TO Changed").unwrap();
    refused_or_failed(&world, &["run", "--out", &world.out()], "ModifiedOn");
}

/// A mistake that shows only when a run begins: the run is refused or its table fails.
fn refused_or_failed(world: &World, args: &[&str], says: &str) {
    let before = tree(&world.path("out"));
    let ended = world.call(args);
    assert_eq!(ended.code, 2, "{ended:?}");
    let reported = ended.stdout.clone() + &ended.stderr;
    assert_eq!(reported.matches("error: ").count(), 1, "{ended:?}");
    assert!(reported.contains(says), "{ended:?}");
    assert_eq!(tree(&world.path("out")), before);
}

#[test]
fn a_column_of_a_type_that_cannot_be_carried() {
    let world = World::new();
    world.seed("Src.dbo.Odd", SqlType::Int);
    world.backend().execute_script("ALTER TABLE Src.Odd ADD COLUMN v tree").unwrap();
    let args = ["table", "add", "Src.dbo.Odd", "--metadata", "Meta.dbo.Odd", "MetadataIdColumn=Id"];
    refused(&world, &args, 2, &["tree", "column v"]);
}

#[test]
fn an_output_folder_that_cannot_be_used() {
    let world = World::new();
    std::fs::write(world.path("file"), "x").unwrap();
    for name in ["missing", "file"] {
        let out = world.path(name).display().to_string();
        refused(&world, &["run", "--out", &out], 2, &[name]);
    }
    refused(&world, &["run"], 2, &["--out"]);
    refused(&world, &["run", "--no-bundle"], 2, &["RequireBundle"]);
    assert_eq!(world.good(&["status", "--json"]).json()["runs"].as_array().unwrap().len(), 0);
}

#[test]
fn a_foreign_folder_under_the_name_of_the_bundle() {
    let world = World::new();
    world.good(&["table", "set", DOCS, "RequireBundle=0"]);
    let run = world.good(&["run", "--no-bundle", "--json"]).json()["run"].clone();
    let id = run["RunId"].as_str().unwrap();
    let started = run["RunStartedAt"].as_str().unwrap()[..19].replace(['-', ':'], "");
    let foreign = world.path("out").join(format!("{started}Z-{}-1.bundle", &id[..8]));
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("mine.txt"), "precious").unwrap();
    let ended = world.call(&["pack", "--run", id, "--out", &world.out()]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains(&foreign.display().to_string()), "{ended:?}");
    assert_eq!(tree(&world.path("out")).len(), 1, "nothing half published");
    std::fs::remove_dir_all(&foreign).unwrap();
    world.good(&["pack", "--run", id, "--out", &world.out()]);
}

#[test]
fn a_second_run_is_told_who_holds_the_lease() {
    let world = World::new();
    world.good(&["table", "set", DOCS, "RequireBundle=0"]);
    let run = world.good(&["run", "--no-bundle", "--json"]).json()["run"]["RunId"].as_str().unwrap().to_owned();
    let table = blobdelta::model::name::TableName::parse(DOCS).unwrap();
    let id = blobdelta::model::id::Guid::parse(&run).unwrap();
    world.backend().take_lease(id, &table, 600).unwrap();
    let ended = world.call(&["run", "--out", &world.out()]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!((ended.stdout.clone() + &ended.stderr).contains(&run), "{ended:?}");
    // What goes on is printed as it has to be typed; and who is dead is taken over by name.
    let printed = ended.stdout.lines().find_map(|line| line.trim().strip_prefix("go on with: blobdelta "));
    let mut typed: Vec<&str> = printed.unwrap_or_else(|| panic!("{ended:?}")).split(' ').collect();
    assert_eq!(world.call(&typed).code, 4, "{typed:?}");
    typed.extend(["--take-over", &run]);
    let ended = world.good(&typed);
    assert!(ended.stderr.contains(&format!("run {run} is taken for dead")), "{ended:?}");
}

#[test]
fn a_table_that_is_configured_is_not_added_under_another_spelling() {
    let world = World::new();
    let ended = world.call(&["table", "add", &DOCS.to_uppercase()]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("configured already"), "{ended:?}");
    world.good(&["table", "set", &DOCS.to_lowercase(), "SafetyBufferMinutes=300"]);
    let listed = world.good(&["table", "list"]).stdout;
    assert!(listed.contains(DOCS) && listed.contains("300"), "{listed}");
}

#[test]
fn a_run_from_the_future_is_a_usage_error() {
    let world = World::new();
    for plan in [&["--plan"][..], &["--out", &world.out()]] {
        let ended = world.call(&[&["run", "--from", "2999-01-01"][..], plan].concat());
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains("lies in the future"), "{ended:?}");
    }
}

#[test]
fn a_mistyped_folder_is_no_new_instance() {
    let world = World::bare();
    let nowhere = format!("sqlite:{}", world.path("nowhere").display());
    let ended = world.call(&["deploy", "--connection", &nowhere]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("--create") && !world.path("nowhere").exists(), "{ended:?}");
    world.good(&["deploy", "--connection", &nowhere, "--create"]);
    let listed = world.good(&["table", "list", "--connection", &nowhere, "--json"]).json();
    assert_eq!(listed["tables"], serde_json::Value::Array(Vec::new()), "nobody configured any");
}

#[test]
fn nothing_is_made_in_an_instance_or_in_a_bundle() {
    let world = World::new();
    let bundle =
        world.good(&["run", "--out", &world.out(), "--json"]).json()["bundles"][0].as_str().unwrap().to_owned();
    let run = world.good(&["status", "--json"]).json()["runs"][0]["RunId"].as_str().unwrap().to_owned();
    let into_bundle = format!("sqlite:{bundle}/copy");
    std::fs::create_dir(world.path("source/inside")).unwrap();
    for folder in ["source", "source/inside", "source/new", bundle.as_str(), &format!("{bundle}/data")] {
        for args in [
            &["run", "--out", folder][..],
            &["run", "--out", "out", "--ship", folder],
            &["pack", "--run", &run, "--out", folder],
            &["compact", &bundle, "--out", folder],
            &["archive", &bundle, "--out", folder],
            &["extract", &bundle, "--out", folder],
            &["unpack", &bundle, "--out", folder],
            &["receive", "out", "--out", folder],
            &["ship", &bundle, folder],
        ] {
            refused(&world, args, 2, &["nothing was written"]);
        }
        let demo = world.call_on("", &["demo", "--dir", folder]);
        assert!(demo.code == 2 && demo.stderr.contains("nothing was written"), "{demo:?}");
    }
    for into in ["sqlite:source/inside", "sqlite:source/new", into_bundle.as_str()] {
        let ended = world.call_on("", &["replay", &bundle, "--into", into, "--create"]);
        assert!(ended.code == 2 && ended.stderr.contains("nothing was written"), "{ended:?}");
        let ended = world.call_on(into, &["deploy", "--create"]);
        assert!(ended.code == 2 || into == "sqlite:source/inside", "{ended:?}");
    }
    assert_eq!(world.good(&["status", "--json"]).json()["runs"].as_array().unwrap().len(), 1, "no run was begun");
}

#[test]
fn a_column_that_a_bundle_needs_for_itself_is_refused_when_its_table_is_added() {
    for name in ["DeltaRunId", "DeltaRunStartedAt", "DeltaBlobRef", "extra__ticks"] {
        let world = World::bare();
        world.seed(DOCS, blobdelta::model::sqltype::SqlType::DateTime2(7));
        world.backend().execute_script(&format!("ALTER TABLE Src.Docs ADD COLUMN \"{name}\" \"int INTEGER\"")).unwrap();
        world.good(&["deploy"]);
        let refused = world.call(&["table", "add", DOCS, "--metadata", "Meta.dbo.Docs", "MetadataIdColumn=Id"]);
        assert_eq!(refused.code, 2, "{name}: {refused:?}");
        assert!(refused.stderr.contains("rename the column"), "{name}: {refused:?}");
    }
}

#[test]
fn what_does_not_count_is_refused_and_hints_have_the_connection() {
    let world = World::new();
    let connection = format!("--connection {}", world.connection());
    refused(&world, &["prune", "--signer", "nobody"], 2, &["--signer has no effect here", "DESTINATION"]);
    refused(&world, &["prune", "--root-sha256", &"0".repeat(64)], 2, &["--root-sha256 has no effect here"]);
    world.good(&["table", "set", DOCS, "MetadataFilter=Id=00000000-0000-0000-0000-000000000001"]);
    let wider = world.good(&["table", "set", DOCS, "MetadataFilter=", "--connection", &world.connection()]).stdout;
    let command = format!("`blobdelta run --table {DOCS} --from 0001-01-01 --out FOLDER {connection}`");
    assert!(wider.contains(&command), "{wider}");
}

#[test]
fn what_counts_as_deleted_says_what_becomes_of_rows_of_before() {
    let world = World::new();
    let flagged = "DeletedWhen=Id=00000000-0000-0000-0000-000000000001";
    let set = |setting: &str| world.good(&["table", "set", DOCS, setting]).stdout;
    let reconcile = format!("`blobdelta reconcile --bundles FOLDER --table {DOCS} --pend`");
    assert!(!set(flagged).contains(&reconcile), "nobody has captured anything");
    world.good(&["run", "--out", &world.out()]);
    let told = set("DeletedWhen=Id IS NOT NULL");
    assert!(told.contains(&reconcile) && told.contains("--from 0001-01-01"), "{told}");
    assert!(!set("DeletedWhen=Id IS NOT NULL").contains(&reconcile), "nothing changed");
    refused(&world, &["table", "set", DOCS, "DeletedWhen=Id IS NULL"], 2, &["DeletedWhen", "IS NOT NULL"]);
    refused(&world, &["table", "set", DOCS, "IncludeDeletions=0"], 2, &["DeletedWhen", "IncludeDeletions=1"]);
    refused(&world, &["table", "set", DOCS, "DeletedWhen=Nowhere=1"], 2, &["DeletedWhen", "Nowhere"]);
    refused(&world, &["table", "set", DOCS, "MetadataCreatedOnCol=ModifiedOn"], 2, &["MetadataCreatedOnCol"]);
    refused(&world, &["table", "trigger", DOCS], 2, &["--audit", "reconcile --log-deletions"]);
    refused(&world, &["table", "trigger", DOCS, "--audit", "Src.dbo.Audit"], 2, &["--key"]);
}

#[test]
fn a_key_that_is_not_there_is_none_to_make_a_folder_for() {
    let world = World::new();
    for (option, says) in [("--sign-key", "ssh-keygen"), ("--password-file", "correct the path")] {
        let ended = world.call(&["run", "--out", &world.out(), option, "missing"]);
        assert_eq!(ended.code, 1, "{ended:?}");
        let reported = ended.stderr;
        assert!(
            reported.contains("missing") && reported.contains(says) && !reported.contains("make the folder"),
            "{reported}"
        );
    }
}

#[test]
fn another_archive_is_told_by_what_it_is() {
    let world = World::new();
    for (name, begins, says) in [
        ("weekly.zip", &b"PK\x03\x04\x14\0"[..], "this is a zip file"),
        ("one.bundle.tar", b"\x1f\x8b\x08\0", "gzip compressed"),
        ("one.bundle.tar.zst", b"\x28\xb5\x2f\xfd\0", "zstd compressed"),
    ] {
        std::fs::write(world.path(name), [begins, &[0; 600]].concat()).unwrap();
        for command in [&["verify", name][..], &["inspect", name], &["unpack", name, "--out", "files"]] {
            refused(&world, command, 2, &[says, "unpack it", name]);
        }
    }
}

#[test]
fn a_foreign_file_in_a_bundle_is_told_by_who_left_it_and_removing_it_mends_it() {
    let world = World::new();
    let bundle = world.bundle();
    let place = bundle.display().to_string();
    for (name, says) in [
        (".DS_Store", "the Finder of macOS left it there"),
        ("data/._t001", "the Finder of macOS left it there"),
        ("data/Thumbs.db", "the Explorer of Windows left it there"),
        ("notes.txt", "it is none of the bundle's files"),
    ] {
        std::fs::write(bundle.join(name), "x").unwrap();
        let ended = world.call(&["verify", &place]);
        assert_eq!(ended.code, 3, "{name}: {ended:?}");
        let reported = ended.stdout;
        assert!(reported.contains(&format!("extra_file: {name}: ")) && reported.contains(says), "{reported}");
        assert!(reported.contains("Remove it, and the bundle is as it was"), "{reported}");
        std::fs::create_dir_all(world.path("drop")).unwrap();
        let shipped = world.call(&["ship", &place, "drop"]);
        assert!(shipped.code == 3 && shipped.stderr.contains(says), "{shipped:?}");
        std::fs::remove_file(bundle.join(name)).unwrap();
        world.good(&["verify", &place]);
    }
}

#[test]
fn an_endpoint_in_plain_text_is_reported_with_what_allows_it() {
    let world = World::new();
    let bundle = world.bundle().display().to_string();
    for (url, endpoint, variable) in [
        ("s3://bucket/p", "AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP"),
        ("az://container/p", "AZURE_STORAGE_ENDPOINT", "AZURE_ALLOW_HTTP"),
    ] {
        let call = |allows: &[(&str, &str)]| {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_blobdelta"));
            command.args(["ship", &bundle, url]).env(endpoint, "http://127.0.0.1:9");
            command.env("AWS_ACCESS_KEY_ID", "k").env("AWS_SECRET_ACCESS_KEY", "s").env("AWS_REGION", "r");
            command.env("AZURE_STORAGE_ACCOUNT_NAME", "a").env("AZURE_STORAGE_ACCOUNT_KEY", "a2V5");
            command.envs(allows.iter().copied()).output().unwrap()
        };
        let refused = call(&[]);
        let reported = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && reported.contains("plain http"), "{reported}");
        assert!(reported.contains(&format!("{variable}=true")), "{reported}");
    }
}

#[test]
fn the_usage_of_ship_names_bundles_and_a_destination() {
    let world = World::new();
    let help = world.good(&["ship", "--help"]).stdout;
    assert!(help.contains("Usage: blobdelta ship [OPTIONS] <BUNDLE>... <DESTINATION>"), "{help}");
    refused(&world, &["ship", "out"], 2, &["<DESTINATION>"]);
}

#[test]
fn a_key_in_another_column_says_what_receivers_need() {
    let world = World::new();
    let other = "ALTER TABLE Src.Docs ADD COLUMN doc_id \"uniqueidentifier BLOB\" NOT NULL DEFAULT x'00'";
    world.backend().execute_script(&format!("{other}; UPDATE Src.Docs SET doc_id = stream_id")).unwrap();
    let set = |column: &str| world.good(&["table", "set", DOCS, &format!("KeyColumn={column}")]).stdout;
    assert!(!set("doc_id").contains("another name"), "no receiver has rows of it");
    world.bundle();
    let said = set("stream_id");
    assert!(said.contains("have the key in doc_id") && said.contains("under another name"), "{said}");
    assert!(said.contains("blobdelta table remove Src.dbo.Docs"), "{said}");
    assert!(!set("stream_id").contains("another name"), "it is that column");
    // What it says works.
    world.good(&["table", "remove", DOCS]);
    let add =
        ["table", "add", "Src.dbo.Files", "Source=Src.dbo.Docs", "--metadata", "Meta.dbo.Docs", "MetadataIdColumn=Id"];
    world.good(&add);
    world.good(&["run", "--out", &world.out()]);
}
