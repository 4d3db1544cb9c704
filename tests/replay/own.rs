//! Targets with something of their own: columns named as SQLite's rowid, triggers, indexes and constraints; rows that were
//! changed by hand, and tables that were dropped.

use crate::made::{Content, Made, Row, key, table_name};
use crate::replay::place::{Into, Place};
use blobdelta::error::{Error, Kind};
use blobdelta::model::column::Column;
use blobdelta::model::key::KeyType;
use blobdelta::model::sqltype::SqlType;
use blobdelta::monitor::Silent;
use blobdelta::replay::{CheckKind, ReplayOptions, check, plan, replay};
use std::path::PathBuf;

const COLUMNS: &str =
    "\"stream_id\" \"uniqueidentifier BLOB\" NOT NULL PRIMARY KEY, \"path_locator\" \"varbinary(892) BLOB\" NOT NULL,
    \"parent_path_locator\" \"varbinary(892) BLOB\", \"file_stream\" \"varbinary(max) BLOB\"";

/// An embedded target of its own name with this SQL run in it; `{}` stands for the source's columns.
fn stand(place: &Place, name: &str, sql: &str) -> Into {
    let into = place.target(name);
    let mut backend = into.open().unwrap();
    backend.create_database(&into.database).unwrap();
    backend.execute_script(&sql.replace("{}", COLUMNS)).unwrap();
    into
}

/// Fails unless the query gives this number.
fn holds(into: &Into, count: u32, query: &str) {
    let sql = format!("SELECT CASE WHEN ({query}) = {count} THEN 1 ELSE abs(-9223372036854775808) END");
    let done = into.open().unwrap().execute_script(&format!("CREATE TEMP TABLE asked AS {sql}"));
    done.unwrap_or_else(|error| panic!("not {count}: {query}: {error:?}"));
}

fn bundle(place: &Place, run: u8, rows: Vec<Row>) -> PathBuf {
    let mut made = Made::new(run, i64::from(run) * 1000, (0, 500));
    made.rows = rows;
    made.sort();
    made.write(place.folder())
}

fn large(nth: u8, at: i64, byte: u8) -> Row {
    Row { content: Content::Blob(vec![byte; 5000]), ..Row::root(nth, Some(at), b"") }
}

/// What a plan and a replay refuse alike.
fn refused(into: &Into, bundles: &[PathBuf]) -> Error {
    let options = ReplayOptions { create: false, ..into.options(false) };
    let mut backend = into.open().unwrap();
    let planned = plan(bundles, &mut *backend, &options, &Silent).unwrap_err();
    let error = replay(bundles, &mut *backend, &options, &Silent).unwrap_err();
    assert_eq!(format!("{planned:?}"), format!("{error:?}"));
    error
}

pub fn columns_named_as_the_rowid_lead_to_no_other_row(place: &Place) {
    let bundle = [bundle(place, 1, vec![large(1, 100, b'A'), Row::root(2, Some(100), b"two")])];
    for (nth, own) in [
        "RowId integer DEFAULT 1",
        "_ROWID_ integer DEFAULT 1, \"rowid\" integer DEFAULT 1",
        "rowid integer DEFAULT 1, Oid integer DEFAULT 1, _rowid_ integer DEFAULT 1",
        "oid integer DEFAULT 1) WITHOUT ROWID; CREATE TABLE Other (x",
        "rowid integer AS (1)",
    ]
    .iter()
    .enumerate()
    {
        let own_row = "INSERT INTO Files (stream_id, path_locator, file_stream)
                       VALUES (x'99999999999999999999999999999999', x'99', zeroblob(5000))";
        let into = stand(place, &format!("Into{nth}"), &format!("CREATE TABLE Files ({{}}, {own}); {own_row};"));
        into.apply(&bundle, false).unwrap();
        let rows = into.existing();
        assert_eq!(rows[&key(1)], Some(vec![b'A'; 5000]), "{own}");
        assert_eq!(rows[&key(0x99)], Some(vec![0; 5000]), "{own}");
        let found = check(&bundle, &mut *into.open().unwrap(), &into.options(false), &Silent).unwrap();
        assert!(found.counts.is_empty() && found.equal == 2, "{own}: {found:?}");
    }
}

pub fn whatever_looks_at_a_row_sees_its_large_value(place: &Place) {
    let first = bundle(place, 1, vec![large(1, 100, b'A')]);
    let second = bundle(place, 2, vec![large(1, 200, b'B')]);
    let mirrors = "CREATE TABLE Mirror (k blob PRIMARY KEY, body blob);
        CREATE TRIGGER m AFTER INSERT ON Files BEGIN INSERT OR REPLACE INTO Mirror VALUES (new.stream_id, new.file_stream); END;
        CREATE TRIGGER n AFTER UPDATE ON Files BEGIN INSERT OR REPLACE INTO Mirror VALUES (new.stream_id, new.file_stream); END;";
    for (nth, own) in [
        mirrors,
        "CREATE INDEX e ON Files (path_locator) WHERE substr(file_stream, 1, 1) IN (x'41', x'42');",
        "CREATE INDEX e ON Files (substr(file_stream, 1, 1));",
        "CREATE INDEX e ON Files (file_stream);",
        "CREATE INDEX e ON Files (lower(path_locator));",
        "DROP TABLE Files; CREATE TABLE Files ({}, CHECK (substr(file_stream, 1, 1) <> x'00'));",
    ]
    .iter()
    .enumerate()
    {
        let into = stand(place, &format!("Into{nth}"), &format!("CREATE TABLE Files ({{}}); {own}"));
        for (bundle, byte) in [(&first, b'A'), (&second, b'B')] {
            into.apply(std::slice::from_ref(bundle), false).unwrap();
            assert_eq!(into.existing()[&key(1)], Some(vec![byte; 5000]), "{own}");
            holds(&into, 0, "SELECT count(*) FROM pragma_integrity_check('Files') WHERE integrity_check <> 'ok'");
            if *own == mirrors {
                holds(&into, 1, "SELECT count(*) FROM Mirror, Files WHERE k = stream_id AND body = file_stream");
            }
        }
    }
}

pub fn a_value_that_must_be_whole_and_does_not_fit_is_refused_before_anything_is_written(place: &Place) {
    let mut made = Made::new(1, 1000, (0, 500));
    made.rows = vec![large(1, 100, b'A')];
    made.spoil = |manifest| {
        let values = manifest.tables[0].files.iter_mut().filter(|file| file.content_bytes.is_some());
        values.for_each(|file| file.content_bytes = Some(1 << 30));
    };
    let sql = "CREATE TABLE Files ({}); CREATE TRIGGER seen AFTER INSERT ON Files BEGIN SELECT 1; END;";
    let into = stand(place, "Into", sql);
    let error = refused(&into, &[made.write(place.folder())]);
    assert!(error.kind() == Kind::Config && error.to_string().contains("the trigger seen"), "{error:?}");
    assert!(error.what_to_do().unwrap().contains("--memory-mib"), "{error:?}");
    assert!(into.existing().is_empty());
}

pub fn a_type_whose_affinity_changes_values_is_refused_with_its_mend(place: &Place) {
    let bundles = [bundle(place, 1, vec![Row::root(1, Some(100), b"one")])];
    // A bit is an integer, a text would stand there afterwards; stamps and blobs stay what they are.
    let into = stand(place, "Text", "CREATE TABLE Files ({}, DeltaEarly \"bit TEXT\", DeltaModifiedOn datetime2(7))");
    let error = refused(&into, &bundles);
    assert_eq!((error.kind(), error.place().column.as_deref()), (Kind::Config, Some("DeltaEarly")), "{error:?}");
    let mend = error.what_to_do().unwrap().split_once(": ").unwrap().1.to_owned();
    into.open().unwrap().execute_script(&mend).unwrap();
    into.apply(&bundles, false).unwrap();
    holds(&into, 1, "SELECT count(*) FROM Files WHERE typeof(DeltaEarly) = 'integer'");
    let plain = COLUMNS
        .replace("\"uniqueidentifier BLOB\"", "uniqueidentifier")
        .replace("\"varbinary(892) BLOB\"", "varbinary(892)");
    let into = stand(place, "Plain", &format!("CREATE TABLE Files ({plain}, DeltaStep tinyint)"));
    into.apply(&bundles, false).unwrap();
    holds(&into, 1, "SELECT count(*) FROM Files WHERE typeof(stream_id) = 'blob' AND DeltaStep = 1");
}

pub fn a_table_that_was_dropped_is_filled_again(place: &Place) {
    let into = place.target("Into");
    let bundles = [Made::sample().write(place.folder())];
    into.apply(&bundles, false).unwrap();
    let rows = into.existing();
    into.open().unwrap().execute_script("DROP TABLE Files").unwrap();
    let planned = plan(&bundles, &mut *into.open().unwrap(), &into.options(false), &Silent).unwrap();
    assert_eq!((planned[0].creates_table, planned[0].inserted), (true, 7));
    let report = into.apply(&bundles, false).unwrap();
    assert_eq!((report.bundles[0].tables[0].written, into.existing()), (7, rows));
    assert!(into.apply(&bundles, false).unwrap().bundles[0].was_applied_before());
}

pub fn what_was_changed_by_hand_is_what_the_bundles_say_after_a_repair(place: &Place) {
    let into = place.target("Into");
    let bundles = [Made::sample().write(place.folder())];
    into.apply(&bundles, false).unwrap();
    let (rows, files) = (into.existing(), into.files());
    let mut backend = into.open().unwrap();
    let columns = crate::made::columns();
    let (path, ahead) = (blobdelta::model::cell::Cell::Bytes(b"by hand"), crate::made::at(900_000_000));
    assert!(backend.delete(&files, ("stream_id", key(1))).unwrap());
    assert!(backend.update(&files, ("stream_id", key(5)), &[(&columns[3], path)]).unwrap());
    let modified = columns.iter().find(|column| column.name == "DeltaModifiedOn").unwrap();
    let ahead = [(modified, blobdelta::model::cell::Cell::DateTime(ahead))];
    assert!(backend.update(&files, ("stream_id", key(6)), &ahead).unwrap());
    let checked = |backend: &mut dyn blobdelta::backend::Backend| {
        check(&bundles, backend, &into.options(false), &Silent).unwrap().counts.into_iter().collect::<Vec<_>>()
    };
    let due = [(CheckKind::Missing, 1), (CheckKind::Ahead, 1), (CheckKind::OtherContent, 1)];
    assert_eq!(checked(&mut *backend), due);
    assert!(into.apply(&bundles, false).unwrap().bundles[0].was_applied_before(), "a replay alone mends nothing");
    let repair = ReplayOptions { repair: true, ..into.options(false) };
    replay(&bundles, &mut *backend, &repair, &Silent).unwrap();
    assert_eq!((checked(&mut *backend), into.existing()), (Vec::new(), rows));
    assert_eq!(table_name().table, "Files");
}

pub fn no_row_goes_by_a_constraint_s_own_clause(place: &Place) {
    let bundles = [bundle(place, 1, vec![Row { path: vec![b'm'], ..Row::root(1, Some(100), b"coming") }])];
    let own_row = "INSERT INTO Files (stream_id, path_locator) VALUES (x'99999999999999999999999999999999', x'4D')";
    for (nth, clause) in ["REPLACE", "IGNORE"].iter().enumerate() {
        let sql = format!(
            "CREATE TABLE Files ({{}}, up text AS (upper(CAST(path_locator AS text))) UNIQUE ON CONFLICT {clause}); {own_row};"
        );
        let into = stand(place, &format!("Into{nth}"), &sql);
        let error = into.apply(&bundles, false).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains(&key(1).to_string()) && said.contains(&key(0x99).to_string()), "{said}");
        assert_eq!(into.existing().into_keys().collect::<Vec<_>>(), [key(0x99)], "{clause}");
        let into = stand(
            place,
            &format!("With{nth}"),
            &format!("{sql}; CREATE TRIGGER t AFTER INSERT ON Files BEGIN SELECT 1; END;"),
        );
        assert!(refused(&into, &bundles).to_string().contains("ON CONFLICT"));
    }
}

pub fn rows_that_an_index_of_expressions_keeps_apart_are_named_or_displaced(place: &Place) {
    let rows = |path: u8, nth, at| Row { path: vec![path], ..Row::root(nth, Some(at), b"x") };
    let bundles = [bundle(place, 1, vec![rows(b'a', 1, 100), rows(b'A', 2, 200)])];
    for (nth, index) in [
        "(upper(CAST(path_locator AS text)))",
        "(substr(path_locator, 9), DeltaStep) WHERE path_locator IS NOT NULL",
        "(DeltaStep) WHERE path_locator > x'40'",
    ]
    .iter()
    .enumerate()
    {
        let sql = format!(
            "CREATE TABLE Files ({{}}, DeltaStep \"tinyint INTEGER\"); CREATE UNIQUE INDEX u ON Files {index};"
        );
        let into = stand(place, &format!("Into{nth}"), &sql);
        let error = into.apply(&bundles, false).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(error.kind() == Kind::Config, "{index}: {said}");
        assert!(said.contains(&key(1).to_string()) && said.contains(&key(2).to_string()), "{index}: {said}");
        assert!(into.existing().is_empty(), "{index}");
        let displace = ReplayOptions { displace: true, ..into.options(false) };
        let report = replay(&bundles, &mut *into.open().unwrap(), &displace, &Silent).unwrap();
        assert_eq!(report.bundles[0].tables[0].displaced, 1, "{index}");
        assert_eq!(into.existing().into_keys().collect::<Vec<_>>(), [key(2)], "{index}");
    }
}

pub fn rows_that_swap_unique_values_stay_what_they_are(place: &Place) {
    let rows = |paths: [u8; 3], at| -> Vec<Row> {
        let row = |(nth, path): (usize, u8)| Row { path: vec![path], ..Row::root(nth as u8 + 1, Some(at), &[path]) };
        paths.into_iter().enumerate().map(row).collect()
    };
    let first = bundle(place, 1, rows([1, 2, 3], 100));
    // Two that swap, and three that pass theirs on.
    for (nth, paths) in [[2, 1, 3], [2, 3, 1], [3, 1, 2]].into_iter().enumerate() {
        for displace in [false, true] {
            let sql = "CREATE TABLE Files ({}, note text DEFAULT 'none');
                CREATE UNIQUE INDEX u ON Files (path_locator); CREATE TABLE Seen (k blob, path blob);
                CREATE TRIGGER s AFTER UPDATE ON Files BEGIN INSERT INTO Seen VALUES (new.stream_id, new.path_locator); END;";
            let into = stand(place, &format!("Into{nth}{displace}"), sql);
            into.apply(std::slice::from_ref(&first), false).unwrap();
            into.open().unwrap().execute_script("UPDATE Files SET note = 'own'; DELETE FROM Seen;").unwrap();
            let second = bundle(place, nth as u8 * 2 + u8::from(displace) + 2, rows(paths, 200));
            let options = ReplayOptions { displace, ..into.options(false) };
            let report = replay(&[second], &mut *into.open().unwrap(), &options, &Silent).unwrap();
            let table = &report.bundles[0].tables[0];
            assert_eq!((table.written, table.displaced), (3, 0), "{paths:?}");
            holds(&into, 3, "SELECT count(*) FROM Files WHERE note = 'own' AND path_locator = file_stream");
            holds(&into, 3, "SELECT count(*) FROM Seen, Files WHERE k = stream_id AND path = path_locator");
            holds(&into, 3, "SELECT count(*) FROM Seen");
        }
    }
}

pub fn version_columns_without_the_others_are_reported(place: &Place) {
    let bundles = [bundle(place, 1, vec![Row::root(1, Some(100), b"one")])];
    let sql = "CREATE TABLE Files ({}, DeltaRunStartedAt \"datetime2(7) TEXT\", DeltaRunId \"uniqueidentifier BLOB\")";
    let into = stand(place, "Into", sql);
    let report = into.apply(&bundles, false).unwrap();
    let skipped = &report.bundles[0].tables[0].skipped;
    for name in ["DeltaModifiedOn", "DeltaRunStartedAt", "DeltaRunId"] {
        assert!(skipped.iter().any(|skipped| skipped == name), "{name}: {skipped:?}");
    }
}

pub fn a_trigger_that_undoes_what_was_written_is_reported(place: &Place) {
    let bundles = [bundle(place, 1, vec![Row::root(1, Some(100), b"one"), Row::root(2, Some(100), b"two")])];
    let sql = "CREATE TABLE Files ({}); CREATE TRIGGER t AFTER INSERT ON Files WHEN new.path_locator = x'02'
               BEGIN DELETE FROM Files WHERE path_locator = x'01'; END;";
    let into = stand(place, "Into", sql);
    let error = into.apply(&bundles, false).unwrap_err();
    assert_eq!((error.kind(), error.place().key.clone()), (Kind::Config, Some(key(1).to_string())), "{error:?}");
    assert!(into.existing().is_empty());
}

pub fn a_failed_replay_drops_no_table_that_is_not_its_own(place: &Place) {
    let into = stand(place, "Into", "CREATE TABLE Files ({}); CREATE TABLE BlobDeltaTombstone (own);");
    into.apply(&[bundle(place, 1, vec![Row::root(1, Some(100), b"one")])], false).unwrap_err();
    holds(&into, 2, "SELECT count(*) FROM sqlite_master WHERE type = 'table'");
    holds(&into, 1, "SELECT count(*) FROM pragma_table_info('BlobDeltaTombstone') WHERE name = 'own'");
}

pub fn a_key_that_is_the_rowid_is_unique_by_itself(place: &Place) {
    let into = place.target("Rowid");
    let mut backend = into.open().unwrap();
    backend.create_database(&into.database).unwrap();
    let table = |name: &str, id: &str, rest: &str| {
        format!(
            "CREATE TABLE {name} (id {id}, bytes \"varbinary(max) BLOB\", DeltaModifiedOn \"datetime2(7) TEXT\",
            DeltaRunStartedAt \"datetime2(7) TEXT\", DeltaRunId \"uniqueidentifier BLOB\", other INTEGER{rest});"
        )
    };
    backend.execute_script(&table("Alias", "INTEGER NOT NULL PRIMARY KEY", "")).unwrap();
    backend.execute_script(&table("Pair", "INTEGER NOT NULL", ", PRIMARY KEY (id, other)")).unwrap();
    let of = |name: &str| {
        let mut spec = crate::replay::target::spec(&into, name);
        spec.columns[1] = Column::new("id", SqlType::BigInt, false);
        spec.key_type = KeyType::Integer;
        spec
    };
    into.open().unwrap().prepare_target(&of("Alias"), false).unwrap();
    let error = into.open().unwrap().prepare_target(&of("Pair"), false).unwrap_err();
    assert!(error.to_string().contains("not unique by itself"), "{error}");
}
