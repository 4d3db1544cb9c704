//! How the columns of a row group are written: one that zstd makes no smaller is left as it is.
//!
//! Most attachments are compressed already (JPEG, PDF, docx). zstd finds that out for itself, but only
//! by trying each page, and readers have to undo it; so chunks of a large column's first values in a row
//! group are tried, and the rest goes by them. Of the same batches the same is tried.

use super::page_pool::PagePool;
use crate::error::{Error, Result};
use crate::model::column::SQL_TYPE_KEY;
use crate::model::sqltype::SqlType;
use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowColumnWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use std::io;
use std::sync::Arc;

/// The `created_by` of every part: fixed, so that bytes depend on rows alone.
const CREATED_BY: &str = "blobdelta bundle format 1";
/// Pieces that are tried, spread over the values of a batch: 128 KiB of the up to 32 MiB that go by
/// them.
const CHUNKS: usize = 8;
const CHUNK_BYTES: usize = 16 << 10;
/// Compressing pays if it saves at least one byte of so many.
const SAVES_ONE_OF: usize = 32;

/// The properties of a part whose columns are all compressed.
///
/// # Errors
/// Usage: a level that zstd does not have.
pub(super) fn properties(schema: &Schema, zstd_level: i32) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(zstd_level)
        .map_err(|error| Error::usage(format!("there is no level {zstd_level} of zstd")).caused_by(error))?;
    let mut builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(None)
        .set_bloom_filter_enabled(false);
    for field in schema.fields() {
        let path = path_of(field);
        // A dictionary of values of any length would let few bytes stand for many, so readers
        // refuse it.
        if matches!(field.data_type(), DataType::Utf8 | DataType::Binary) {
            builder = builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::PLAIN);
        }
        if is_large(field) {
            builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
        }
    }
    Ok(builder.build())
}

/// Writers for the columns of a row group that begins with this batch.
///
/// # Errors
/// A level that zstd does not have; what Parquet says of the schema.
pub(super) fn writers(
    first: &RecordBatch,
    of_part: &WriterProperties,
    zstd_level: i32,
    pages: &PagePool,
) -> std::result::Result<Vec<ArrowColumnWriter>, ParquetError> {
    let mut builder = of_part.clone().into_builder();
    let schema = first.schema();
    for (field, array) in schema.fields().iter().zip(first.columns()) {
        if is_large(field) && !pays(array, zstd_level)? {
            builder = builder.set_column_compression(path_of(field), Compression::UNCOMPRESSED);
        }
    }
    // Writers of columns are made by that of a file, and know nothing of it but its properties.
    let file = ArrowWriter::try_new(io::sink(), SchemaRef::clone(&schema), Some(builder.build()))?;
    let (_, factory) = file.into_serialized_writer()?;
    factory.with_page_store_factory(Arc::new(pages.clone())).create_column_writers(0)
}

fn path_of(field: &Field) -> ColumnPath {
    ColumnPath::new(vec![field.name().clone()])
}

/// Whether a field holds values that may be large: no statistics or bloom filter is of use there,
/// and each would hold copies of them.
fn is_large(field: &Field) -> bool {
    field.metadata().get(SQL_TYPE_KEY).and_then(|text| SqlType::parse(text).ok()).is_some_and(SqlType::is_large)
}

/// Whether zstd makes chunks of these values smaller. What is too little to be tried is compressed.
fn pays(array: &dyn Array, zstd_level: i32) -> std::result::Result<bool, ParquetError> {
    let (offsets, data) = match (array.as_binary_opt::<i32>(), array.as_string_opt::<i32>()) {
        (Some(array), _) => (array.value_offsets(), array.value_data()),
        (_, Some(array)) => (array.value_offsets(), array.value_data()),
        _ => return Ok(true),
    };
    let bound = |offset: Option<&i32>| offset.and_then(|at| usize::try_from(*at).ok()).unwrap_or(0);
    let values = data.get(bound(offsets.first())..bound(offsets.last())).unwrap_or_default();
    let apart = values.len() / CHUNKS;
    if apart < CHUNK_BYTES {
        return Ok(true);
    }
    let mut compressor = zstd::bulk::Compressor::new(zstd_level)?;
    let mut left = 0;
    for chunk in values.chunks_exact(apart).take(CHUNKS) {
        left += compressor.compress(&chunk[..CHUNK_BYTES])?.len();
    }
    let tried = CHUNKS * CHUNK_BYTES;
    Ok(left <= tried - tried / SAVES_ONE_OF)
}
