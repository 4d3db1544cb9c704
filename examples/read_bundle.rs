//! Reads a bundle through the library: every row, every large value, every deletion.
//!
//! ```text
//! cargo run --example read_bundle -- blobdelta-demo/bundles/<name>.bundle
//! ```
//!
//! Nothing of a file is used before its hash was checked: the library hands out a [`CheckedFile`] only after that. So a
//! damaged bundle ends with an error that names the file, and never with wrong rows.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use blobdelta::bundle::{Access, Bundle, CheckedFile, Container, FileInfo, FileRole, PartRead, TableInfo};
use blobdelta::model::id::Guid;
use blobdelta::monitor::Silent;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    if paths.is_empty() {
        eprintln!("name a bundle: a folder that ends in .bundle, or an archive of one");
        return ExitCode::from(2);
    }
    for path in paths {
        if let Err(error) = read(Path::new(&path), &mut std::io::stdout()) {
            eprintln!("error: {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Writes what the bundle holds, a line each. [`Access`] says who has to vouch for it; its default asks nobody.
pub fn read(path: &Path, out: &mut dyn Write) -> Result<()> {
    let bundle = Bundle::open_in(Container::open(path, &Access::default())?)?;
    writeln!(out, "run {}, root digest {}", bundle.manifest().run.run_id, bundle.root_sha256())?;
    for table in &bundle.manifest().tables {
        writeln!(out, "{}: {} to {}", table.name, table.window.start, table.window.end)?;
        for file in &table.files {
            let checked = bundle.check_file(file, &Silent)?;
            match file.role {
                FileRole::Rows => rows(&bundle, table, checked, out)?,
                FileRole::Tombstones => deletions(&bundle, table, checked, out)?,
                FileRole::Blob => large_value(&bundle, file, checked, out)?,
                FileRole::AbsentParents => {}
            }
        }
    }
    Ok(())
}

/// A line for each row: its key, its `ModifiedOn` in ticks, and its values that may be large.
fn rows(bundle: &Bundle, table: &TableInfo, part: CheckedFile, out: &mut dyn Write) -> Result<()> {
    let large: Vec<_> = table.columns.iter().filter(|column| column.companions.blob_ref.is_some()).collect();
    for batch in bundle.open_part(part, &PartRead::default())? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let ticks = ticks(&batch, "DeltaModifiedOn__ticks", row)?.map_or("NULL".into(), |ticks| ticks.to_string());
            write!(out, "  {}  {ticks}", key(&batch, &table.key_column, row)?)?;
            for column in &large {
                // A value over the inline limit lies in a file of its own, which the row names.
                let reference = column.companions.blob_ref.as_deref().unwrap_or_default();
                match text(&batch, reference, row)? {
                    Some(file) => write!(out, "  {} in {file}", column.name)?,
                    None => write!(out, "  {} {} bytes", column.name, size(&batch, &column.name, row)?)?,
                }
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

fn deletions(bundle: &Bundle, table: &TableInfo, part: CheckedFile, out: &mut dyn Write) -> Result<()> {
    for batch in bundle.open_part(part, &PartRead::default())? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let reason = text(&batch, "DeltaReason", row)?.unwrap_or_default();
            writeln!(out, "  {}  tombstone: {reason}", key(&batch, &table.key_column, row)?)?;
        }
    }
    Ok(())
}

/// A large value is read in pieces, and is never whole in memory. The last read fails if it is not the value that its
/// name says.
fn large_value(bundle: &Bundle, file: &FileInfo, checked: CheckedFile, out: &mut dyn Write) -> Result<()> {
    let bytes = std::io::copy(&mut bundle.open_blob(checked)?, &mut std::io::sink())?;
    Ok(writeln!(out, "  {}  {bytes} bytes", file.path)?)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array> {
    Ok(batch.column_by_name(name).ok_or_else(|| format!("the part has no column {name}"))?)
}

/// A uniqueidentifier: 16 bytes in the order of its text.
fn key(batch: &RecordBatch, name: &str, row: usize) -> Result<Guid> {
    let bytes = column(batch, name)?.as_fixed_size_binary_opt().ok_or("the key is no uniqueidentifier")?.value(row);
    Ok(Guid::from_bytes(bytes.try_into()?))
}

/// 100 ns since 0001-01-01. An ancestor may have none.
fn ticks(batch: &RecordBatch, name: &str, row: usize) -> Result<Option<i64>> {
    let column = column(batch, name)?.as_primitive_opt::<Int64Type>().ok_or("these are no ticks")?;
    Ok(column.is_valid(row).then(|| column.value(row)))
}

fn text<'a>(batch: &'a RecordBatch, name: &str, row: usize) -> Result<Option<&'a str>> {
    let column = column(batch, name)?.as_string_opt::<i32>().ok_or("this is no text")?;
    Ok(column.is_valid(row).then(|| column.value(row)))
}

/// Bytes of a value that stands in the row; 0 for NULL.
fn size(batch: &RecordBatch, name: &str, row: usize) -> Result<usize> {
    let column = column(batch, name)?;
    if column.is_null(row) {
        return Ok(0);
    }
    let binary = column.as_binary_opt::<i32>().map(|column| column.value(row).len());
    let text = column.as_string_opt::<i32>().map(|column| column.value(row).len());
    Ok(binary.or(text).ok_or("this is neither binary nor text")?)
}
