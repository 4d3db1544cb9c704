//! Parts, row groups and batches stay within their bounds, whatever the rows are.

use super::sample::{RUN_ID, key, manifest, started_at, table_info, table_name};
use blobdelta::bundle::{Bundle, BundleName, FileRole, Form, PartOptions, PartRead, Staged};
use blobdelta::convert::{BatchBuilder, ColumnPlan, RunStamp};
use blobdelta::durable::Local;
use blobdelta::model::cell::Cell;
use blobdelta::model::column::Column;
use blobdelta::model::sqltype::SqlType;
use blobdelta::monitor::Silent;
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
    let columns =
        [Column::new("stream_id", SqlType::UniqueIdentifier, false), Column::new("b", SqlType::VarBinary(None), true)];
    let plan = Arc::new(ColumnPlan::rows(&columns, "stream_id").unwrap());
    let mut staged = Staged::create(&Local, out_dir, BundleName::new(started_at(), RUN_ID, 1)).unwrap();
    let stage = staged.add_table(&table_name(), "").unwrap();
    let mut parts = stage.parts(FileRole::Rows, plan.schema(), options).unwrap();
    let mut builder = BatchBuilder::new(plan.clone(), RunStamp { started_at: started_at(), run_id: RUN_ID });
    for batch in 0..batches {
        for row in 0..rows {
            let value = noise(bytes, u64::from(batch) * 256 + u64::from(row) + 1);
            builder.push_row(&[Cell::Guid(key(row)), Cell::Bytes(&value)]).unwrap();
        }
        assert!(builder.bytes() >= (usize::from(rows) * bytes) as u64);
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
    (table.counts.roots, table.counts.children, table.counts.tombstones) = (u64::from(batches) * u64::from(rows), 0, 0);
    Bundle::open(staged.finish(&manifest(vec![table])).unwrap().publish(&Form::Folder, &Silent).unwrap().path())
        .unwrap()
}

#[test]
fn parts_and_row_groups_stay_within_their_bounds() {
    let folder = tempfile::tempdir().unwrap();
    // 12 batches of 1 MiB; a part takes what is over the 16 MiB that are kept free.
    let options = PartOptions { zstd_level: 1, row_group_bytes: 2_200_000, part_bytes: 21 << 20 };
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
fn a_table_without_rows_has_one_part() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = write(folder.path(), 0, 0, 0, &PartOptions::default());
    let files = &bundle.manifest().tables[0].files;
    assert_eq!((files.len(), files[0].rows, files[0].row_groups), (1, Some(0), Some(0)));
    let part = bundle.open_part(bundle.check_file(&files[0], &Silent).unwrap(), &PartRead::default()).unwrap();
    assert_eq!(part.count(), 0);
}
