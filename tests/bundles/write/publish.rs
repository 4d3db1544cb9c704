//! One content, one sequence of bytes; whole under its final name, or not there at all.

use super::sample::{LARGE, RUN_ID, key, publish, seal, started_at};
use blobdelta::bundle::{
    Bundle, BundleName, FileRole, PartRead, PublishForm, Scratch, StagedBundle, Swept, list, sweep_staging,
};
use blobdelta::convert::{BatchRows, ColumnPlan};
use blobdelta::durable::{Faulty, InjectedFault, Local, When, is_abandoned};
use blobdelta::error::Kind;
use blobdelta::model::cell::{Cell, RowSource};
use blobdelta::model::column::Column;
use blobdelta::model::digest::Sha256;
use blobdelta::model::sqltype::SqlType;
use blobdelta::monitor::Silent;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Every file with its bytes.
fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = list(&Local, root).unwrap().into_iter().filter(|entry| root.join(&entry.path).is_file());
    files.map(|entry| (entry.path.clone(), fs::read(root.join(&entry.path)).unwrap())).collect()
}

fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn packing_twice_gives_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = publish(&Local, one.path()).unwrap();
    let second = publish(&Local, two.path()).unwrap();
    assert_eq!(first.root_sha256(), second.root_sha256());
    let files = tree(first.path());
    assert_eq!(files, tree(second.path()));
    let due = [
        "bag-info.txt",
        "bagit.txt",
        "data/t001-Referral-Attachment/absent-parents-00000.parquet",
        &format!("data/t001-Referral-Attachment/blob/{}.zst", Sha256::of(LARGE)),
        "data/t001-Referral-Attachment/deletes-00000.parquet",
        "data/t001-Referral-Attachment/part-00000.parquet",
        "manifest-sha256.txt",
        "manifest.json",
        "schema/t001-Referral-Attachment.sql",
        "tagmanifest-sha256.txt",
    ];
    assert_eq!(files.keys().collect::<Vec<_>>(), due);
    let info = String::from_utf8(files["bag-info.txt"].clone()).unwrap();
    let octets: usize = files.iter().filter(|(path, _)| path.starts_with("data/")).map(|(_, bytes)| bytes.len()).sum();
    assert!(info.contains(&format!("\nPayload-Oxum: {octets}.4\n")) && info.contains("Bagging-Date: 2026-11-22\n"));
    assert_eq!(names(one.path()), [first.name().as_str()]);
}

#[test]
fn a_bundle_gives_back_what_was_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = Bundle::open(publish(&Local, folder.path()).unwrap().path()).unwrap();
    bundle.check_file_set().unwrap();
    let table = &bundle.manifest().tables[0];
    let plan = Arc::new(ColumnPlan::rows(&table.model_columns().unwrap(), &table.key_column).unwrap());
    let file = table.files_of(FileRole::Rows).next().unwrap();
    let part = bundle.open_part(bundle.check_file(file, &Silent).unwrap(), &PartRead::default()).unwrap();
    let batches: Vec<_> = part.map(Result::unwrap).collect();
    let mut rows = BatchRows::new(plan.clone(), batches[0].clone()).unwrap();
    assert_eq!(rows.keys().unwrap(), [1, 2, 3, 4, 5].map(key));
    let stream = plan.index_of("file_stream").unwrap();
    assert_eq!(rows.content_sha256(0, stream).unwrap(), None);
    assert_eq!(rows.content_sha256(1, stream).unwrap(), Some(Sha256::of(b"inline")));
    assert!(rows.cell(2, stream).is_err(), "a value that was not supplied is not NULL");
    let large = rows.large_refs().unwrap();
    assert_eq!(large.iter().map(|large| large.row).collect::<Vec<_>>(), [2, 3]);
    for large in large {
        let info = table.blob_file(&large.reference).unwrap();
        assert!(bundle.read_blob(info, 5, &Silent).is_err());
        rows.supply(&large, bundle.read_blob(info, 1 << 20, &Silent).unwrap()).unwrap();
    }
    assert_eq!(rows.cell(3, stream).unwrap(), Cell::Bytes(LARGE));
    assert_eq!(rows.content_sha256(3, stream).unwrap(), Some(Sha256::of(LARGE)));
    assert_eq!(rows.cell(4, stream).unwrap(), Cell::Bytes(b""));
    let version = rows.versions().unwrap()[0];
    assert_eq!((version.modified_on, version.run_id), (Some(started_at()), RUN_ID));
    let deletes = table.files_of(FileRole::Tombstones).next().unwrap();
    let part = bundle.open_part(bundle.check_file(deletes, &Silent).unwrap(), &PartRead::default()).unwrap();
    let plan = Arc::new(ColumnPlan::tombstones(&Column::new("stream_id", SqlType::UniqueIdentifier, false)).unwrap());
    let rows: Vec<_> = part.map(|batch| BatchRows::new(plan.clone(), batch.unwrap()).unwrap()).collect();
    assert_eq!(rows[0].key(0).unwrap(), key(9));
    assert!(rows[0].version(0, true).unwrap().tombstone.is_some());
}

#[test]
fn a_projection_reads_only_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = Bundle::open(publish(&Local, folder.path()).unwrap().path()).unwrap();
    let file = bundle.manifest().tables[0].files_of(FileRole::Rows).next().unwrap();
    let checked = || bundle.check_file(file, &Silent).unwrap();
    let read = PartRead { columns: Some(vec!["DeltaRunId".into(), "stream_id".into()]), ..PartRead::default() };
    let batches: Vec<_> = bundle.open_part(checked(), &read).unwrap().map(Result::unwrap).collect();
    assert_eq!(batches[0].schema().fields().len(), 2);
    let read = PartRead { columns: Some(vec!["nobody".into()]), ..PartRead::default() };
    assert!(bundle.open_part(checked(), &read).is_err());
    let read = PartRead { batch_bytes: 1, ..PartRead::default() };
    assert_eq!(bundle.open_part(checked(), &read).unwrap().count(), 5);
}

#[test]
fn the_same_bundle_is_adopted_and_a_foreign_one_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let first = publish(&Local, folder.path()).unwrap();
    let again = publish(&Local, folder.path()).unwrap();
    assert!(!first.adopted() && again.adopted());
    assert_eq!(first.root_sha256(), again.root_sha256());
    assert_eq!(names(folder.path()), [first.name().as_str()]);

    let part = first.path().join("data/t001-Referral-Attachment/part-00000.parquet");
    let whole = fs::read(&part).unwrap();
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    fs::write(&part, &damaged).unwrap();
    let error = publish(&Local, folder.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("something foreign stands under the bundle's name"), "{error}");
    assert_eq!(fs::read(&part).unwrap(), damaged, "nothing was overwritten");
    fs::write(&part, whole).unwrap();
    fs::write(first.path().join("extra"), "x").unwrap();
    assert!(publish(&Local, folder.path()).is_err());

    let other = tempfile::tempdir().unwrap();
    fs::create_dir(other.path().join(first.name().as_str())).unwrap();
    assert!(publish(&Local, other.path()).is_err());
    assert_eq!(names(other.path()), [first.name().as_str()], "no staging folder is left");
}

#[test]
fn an_output_folder_that_is_not_there_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = publish(&Local, &folder.path().join("none")).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("none"), "{error}");
}

/// Rule: a crash at any durable operation leaves nothing under the final name, or all of it; and
/// the next session publishes the same bytes, whatever it finds.
#[test]
fn a_crash_at_every_durable_operation_leaves_all_or_nothing() {
    let counter = Faulty::new(When::Never);
    let folder = tempfile::tempdir().unwrap();
    let whole = publish(&counter, folder.path()).unwrap();
    assert!(counter.count() > 40, "{} operations", counter.count());
    for nth in 1..=counter.count() {
        let folder = tempfile::tempdir().unwrap();
        assert!(publish(&Faulty::new(When::CrashAt(nth)), folder.path()).is_err());
        let path = folder.path().join(whole.name().as_str());
        let stood = path.exists();
        if stood {
            assert_eq!(tree(&path), tree(whole.path()), "crash at {nth}");
        }
        let next = publish(&Local, folder.path()).unwrap();
        assert_eq!((next.adopted(), next.root_sha256()), (stood, whole.root_sha256()), "crash at {nth}");
        sweep_staging(&Local, folder.path(), &|_, _| true).unwrap();
        assert_eq!(names(folder.path()), [whole.name().as_str()], "crash at {nth}");
    }
}

/// A disk that is full once: the error is reported, the staging folder is gone.
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let counter = Faulty::new(When::Never);
    publish(&counter, tempfile::tempdir().unwrap().path()).unwrap();
    let staged = counter.count() - 2;
    for nth in 2..=staged {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            publish(&Faulty::new(When::FailOnceAt(nth, InjectedFault::NoSpace)), folder.path()).is_err(),
            "operation {nth}"
        );
        assert!(names(folder.path()).is_empty(), "operation {nth}: {:?}", names(folder.path()));
    }
}

#[test]
fn sweeping_takes_dead_staging_folders_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let name = BundleName::new(started_at(), RUN_ID, 1);
    for other in [".x", &format!(".{name}.staging-xyz"), &format!("{name}.staging-0123456789abcdef"), name.as_str()] {
        fs::create_dir(folder.path().join(other)).unwrap();
    }
    fs::write(folder.path().join(format!(".{name}.staging-0123456789abcdef")), "a file").unwrap();
    let sealed = seal(&Local, folder.path()).unwrap();
    assert!(sweep_staging(&Local, folder.path(), &|_, _| false).unwrap().is_empty());
    let swept = sweep_staging(&Local, folder.path(), &|dead, _| *dead == name).unwrap();
    assert_eq!(swept.len(), 1);
    assert_eq!(names(folder.path()).len(), 5);
    drop(sealed);
}

/// Whoever works on a bundle holds it from its first file to its last name.
#[test]
fn what_somebody_works_on_is_not_abandoned_and_what_a_dead_one_left_is() {
    let folder = tempfile::tempdir().unwrap();
    let sealed = seal(&Local, folder.path()).unwrap();
    let scratch = Scratch::create(&Local, folder.path(), &BundleName::new(started_at(), RUN_ID, 2)).unwrap();
    fs::write(scratch.path().join("bagit.txt"), "on the way").unwrap();
    let dead = folder.path().join(format!(".{}.staging-0123456789abcdef", BundleName::new(started_at(), RUN_ID, 3)));
    fs::create_dir(&dead).unwrap();
    let sweep = || sweep_staging(&Local, folder.path(), &|_, path| is_abandoned(&Local, path)).unwrap();
    assert!(sweep().is_empty(), "an empty one may have been made this moment");
    fs::write(dead.join("bagit.txt"), "left").unwrap();
    assert_eq!(sweep(), [Swept { path: dead, left: Vec::new() }]);
    drop(scratch);
    let published = sealed.publish(&PublishForm::Folder, &Silent).unwrap();
    assert_eq!(names(folder.path()), [published.name().as_str()]);
}

/// Whoever can write in the output folder can put anything into what a dead process left.
#[cfg(unix)]
#[test]
fn sweeping_removes_files_of_a_bundle_and_follows_no_link() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(other.path().join("part-00000.parquet"), "somebody's").unwrap();
    let name = BundleName::new(started_at(), RUN_ID, 1);
    let dead = folder.path().join(format!(".{name}.staging-0123456789abcdef"));
    fs::create_dir_all(dead.join("data")).unwrap();
    fs::write(dead.join("bagit.txt"), "left").unwrap();
    fs::write(dead.join("notes.txt"), "somebody's").unwrap();
    let link = dead.join("data/t001-x");
    std::os::unix::fs::symlink(other.path(), &link).unwrap();
    let swept = sweep_staging(&Local, folder.path(), &|_, _| true).unwrap();
    let left = vec![link, dead.join("notes.txt")];
    assert!(swept[0].to_string().contains("not ours"), "{}", swept[0]);
    assert_eq!(swept, [Swept { path: dead.clone(), left }]);
    assert!(!dead.join("bagit.txt").exists());
    assert_eq!(names(other.path()), ["part-00000.parquet"]);
}

#[test]
fn a_manifest_that_does_not_name_what_was_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut staged = StagedBundle::create(&Local, folder.path(), BundleName::new(started_at(), RUN_ID, 1)).unwrap();
    let stage = staged.add_table(&super::sample::table_name(), "").unwrap();
    let forgotten = staged.add_table(&super::sample::table_name(), "").unwrap();
    let plan = super::sample::plan();
    let parts = stage.parts(FileRole::Rows, plan.schema(), &Default::default()).unwrap();
    let name = stage.folder().as_str().to_owned();
    let mut table = super::sample::table_info(&name, stage.finish(parts.finish().unwrap()));
    table.counts = Default::default();
    drop(forgotten);
    let error = staged.finish(&super::sample::manifest(vec![table])).map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    assert!(error.to_string().contains("t002-"), "{error}");
    assert!(names(folder.path()).is_empty());
}
