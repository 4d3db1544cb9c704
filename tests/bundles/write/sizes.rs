//! Parts, row groups and batches stay within their bounds, whatever the rows are.

use super::sample::{RUN_ID, key, manifest, started_at, table_info, table_name};
use arrow::array::AsArray as _;
use blobdelta::bundle::{Bundle, BundleName, FileRole, PartOptions, PartRead, PublishForm, StagedBundle, create_table};
use blobdelta::convert::{BatchBuilder, ColumnPlan, RunStamp};
use blobdelta::durable::{Faulty, InjectedFault, Local, When};
use blobdelta::model::cell::Cell;
use blobdelta::model::column::Column;
use blobdelta::model::sqltype::SqlType;
use blobdelta::monitor::Silent;
use parquet::basic::Compression;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use std::path::Path;
use std::sync::Arc;

/// Bytes that do not compress (xorshift).
fn noise(bytes: usize, mut state: u64) -> Vec<u8> {
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

fn write(out_dir: &Path, batches: u8, rows: u8, bytes: usize, options: &PartOptions) -> Bundle {
    let value = |batch: u8, row: u8| noise(bytes, u64::from(batch) * 256 + u64::from(row) + 1);
    let batches = (0..batches).map(|batch| (0..rows).map(|row| value(batch, row)).collect());
    write_values(out_dir, &batches.collect::<Vec<Vec<_>>>(), options)
}

/// A bundle of batches of rows with these values.
fn write_values<V: AsRef<[u8]>>(out_dir: &Path, batches: &[Vec<V>], options: &PartOptions) -> Bundle {
    let columns =
        [Column::new("stream_id", SqlType::UniqueIdentifier, false), Column::new("b", SqlType::VarBinary(None), true)];
    let plan = Arc::new(ColumnPlan::rows(&columns, "stream_id").unwrap());
    let mut staged = StagedBundle::create(&Local, out_dir, BundleName::new(started_at(), RUN_ID, 1)).unwrap();
    let ddl = create_table(&table_name(), &columns, "stream_id").unwrap();
    let stage = staged.add_table(&table_name(), &ddl).unwrap();
    let mut parts = stage.parts(FileRole::Rows, plan.schema(), options).unwrap();
    let mut rows = 0;
    let mut builder = BatchBuilder::new(plan.clone(), RunStamp { started_at: started_at(), run_id: RUN_ID });
    for values in batches {
        for value in values {
            rows += 1;
            builder.push_row(&[Cell::Guid(key(rows)), Cell::Bytes(value.as_ref())]).unwrap();
        }
        assert!(builder.bytes() >= values.iter().map(|value| value.as_ref().len() as u64).sum());
        parts.write(&builder.finish().unwrap()).unwrap();
        assert!(builder.is_empty() && builder.bytes() == 0);
    }
    let folder = stage.folder().as_str().to_owned();
    let mut table = table_info(&folder, stage.finish(parts.finish().unwrap()));
    let info = |(nth, column)| {
        blobdelta::bundle::manifest::ColumnInfo::new(column, plan.arrow_type_name(nth), plan.companion_names(nth))
    };
    table.columns = columns.iter().enumerate().map(info).collect();
    (table.path_column, table.parent_path_column) = (None, None);
    (table.counts.roots, table.counts.children, table.counts.tombstones) = (rows.into(), 0, 0);
    Bundle::open(staged.finish(&manifest(vec![table])).unwrap().publish(&PublishForm::Folder, &Silent).unwrap().path())
        .unwrap()
}

#[test]
fn parts_and_row_groups_stay_within_their_bounds() {
    let folder = tempfile::tempdir().unwrap();
    // 12 batches of 1 MiB; a part takes what is over the 16 MiB that are kept free.
    let options = PartOptions { row_group_bytes: 2_200_000, part_bytes: 21 << 20, ..PartOptions::default() };
    let bundle = write(folder.path(), 12, 16, 64 << 10, &options);
    let table = &bundle.manifest().tables[0];
    let parts: Vec<_> = table.files_of(FileRole::Rows).collect();
    assert_eq!(parts.len(), 3);
    assert_eq!(parts.iter().map(|part| part.row_groups.unwrap()).collect::<Vec<_>>(), [2, 2, 2]);
    for part in parts {
        assert!(part.bytes <= options.part_bytes);
        let checked = bundle.check_file(part, &Silent).unwrap();
        let read = PartRead { batch_bytes: 256 << 10, ..PartRead::default() };
        let mut rows = 0;
        for batch in bundle.open_part(checked, &read).unwrap() {
            let batch = batch.unwrap();
            assert!(batch.num_rows() <= 4, "{} rows of 64 KiB in a batch of 256 KiB", batch.num_rows());
            rows += batch.num_rows();
        }
        assert_eq!(rows as u64, part.rows.unwrap());
    }
}

#[test]
fn how_many_threads_there_are_does_not_show_in_the_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |threads: usize| {
        let out = folder.path().join(threads.to_string());
        std::fs::create_dir(&out).unwrap();
        // Parts end where a row group is in the making, and where the row groups before it may be done or not.
        let options = PartOptions { row_group_bytes: 2 << 20, part_bytes: 22 << 20, threads, ..PartOptions::default() };
        write(&out, 15, 16, 64 << 10, &options).root_sha256()
    };
    let one = write(1);
    assert_eq!([2, 3, 16].map(write), [one; 3]);
}

#[test]
fn a_table_without_rows_has_one_part() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = write(folder.path(), 0, 0, 0, &PartOptions::default());
    let files = &bundle.manifest().tables[0].files;
    assert_eq!((files.len(), files[0].rows, files[0].row_groups), (1, Some(0), Some(0)));
    let part = bundle.open_part(bundle.check_file(&files[0], &Silent).unwrap(), &PartRead::default()).unwrap();
    assert_eq!(part.count(), 0);
}

#[test]
fn what_zstd_makes_no_smaller_is_not_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let options = PartOptions { row_group_bytes: 1 << 20, ..PartOptions::default() };
    // A row group of noise, one of text, and one that is too small to be tried.
    let values = [noise(1_000_000, 1), b"the same again, ".repeat(62_500), noise(100_000, 2)];
    let write = |name: &str| {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        write_values(&folder.path().join(name), &values.each_ref().map(|value| vec![&value[..]]), &options)
    };
    let bundle = write("one");
    let part = bundle.path().join(&bundle.manifest().tables[0].files[0].path);
    let file = SerializedFileReader::new(std::fs::File::open(part).unwrap()).unwrap();
    let codecs = |column| move |group: &RowGroupMetaData| group.column(column).compression();
    let groups = file.metadata().row_groups();
    let zstd = |codec: &Compression| matches!(codec, Compression::ZSTD(_));
    assert_eq!(groups.iter().map(codecs(1)).map(|codec| zstd(&codec)).collect::<Vec<_>>(), [false, true, true]);
    assert!(groups.iter().map(codecs(0)).all(|codec| zstd(&codec)), "the keys");
    let checked = bundle.check_file(&bundle.manifest().tables[0].files[0], &Silent).unwrap();
    let batches = bundle.open_part(checked, &PartRead::default()).unwrap().map(Result::unwrap);
    let read: Vec<_> = batches.map(|batch| batch.column(1).as_binary::<i32>().value(0).to_vec()).collect();
    assert!(read == values);
    assert_eq!(write("two").manifest().tables[0].files, bundle.manifest().tables[0].files);
}

/// A part is sealed while the next one is made; what goes wrong with it is told all the same.
#[test]
fn a_sync_of_any_of_several_parts_that_fails_is_reported() {
    let columns =
        [Column::new("stream_id", SqlType::UniqueIdentifier, false), Column::new("b", SqlType::VarBinary(None), true)];
    let plan = Arc::new(ColumnPlan::rows(&columns, "stream_id").unwrap());
    let mut builder = BatchBuilder::new(plan.clone(), RunStamp { started_at: started_at(), run_id: RUN_ID });
    builder.push_row(&[Cell::Guid(key(1)), Cell::Bytes(&vec![7; 1 << 20])]).unwrap();
    let batch = builder.finish().unwrap();
    // Over the 16 MiB that are kept free: a part a batch.
    let options = PartOptions { part_bytes: 17 << 20, ..PartOptions::default() };
    let write = |disk: &Faulty| {
        let folder = tempfile::tempdir().unwrap();
        let mut staged = StagedBundle::create(disk, folder.path(), BundleName::new(started_at(), RUN_ID, 1))?;
        let mut parts = staged.add_table(&table_name(), "")?.parts(FileRole::Rows, plan.schema(), &options)?;
        (0..3).try_for_each(|_| parts.write(&batch))?;
        parts.finish()
    };
    assert_eq!(write(&Faulty::new(When::Never)).unwrap().len(), 3);
    // The DDL, and three parts.
    for nth in 1..=4 {
        let disk = Faulty::new(When::FailOnceAt(nth, InjectedFault::FailedSync));
        assert!(write(&disk).is_err() && disk.has_failed(), "sync {nth}");
    }
}
