//! [`ColumnPlan`]: which Arrow fields a column becomes, decided once.
//!
//! A column's fields stand together: the value, then its companions. Companions never share a
//! name with a column, in any case, so that a reader that ignores case (DuckDB) sees one of each.

use super::{binary, guid, numbers, text, times};
use crate::error::{Error, Result};
use crate::model::column::{
    Column, DELTA_BLOB_REF, DELTA_BUSINESS_UNIT, DELTA_CONTENT_SHA256, DELTA_MODIFIED_ON, DELTA_REASON, DELTA_RUN_ID,
    DELTA_RUN_STARTED_AT, SQL_TYPE_KEY,
};
use crate::model::key::KeyType;
use crate::model::sqltype::SqlType;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The column of absent parents that names the row without a parent.
pub const ABSENT_CHILD_KEY: &str = "ChildKey";
/// The column of absent parents with the parent's key, where it is known.
pub const ABSENT_PARENT_KEY: &str = "ParentKey";

const EXTENSION_NAME_KEY: &str = "ARROW:extension:name";

/// Where a column's fields stand in the schema.
#[derive(Clone, Debug)]
pub struct PlannedColumn {
    /// The column.
    pub column: Column,
    /// Index of its value's field.
    pub value: usize,
    /// Index of `<name>__ticks`: 100 ns since 0001-01-01, Int64; types of scale 7.
    pub ticks: Option<usize>,
    /// Index of `<name>__offset`: minutes east of UTC, Int16; `datetimeoffset`.
    pub offset: Option<usize>,
    /// Index of the SHA-256 of the value; blob columns.
    pub content_sha256: Option<usize>,
    /// Index of the path of the file in `blob/` that holds the value; large columns.
    pub blob_ref: Option<usize>,
}

/// See the module's text.
#[derive(Debug)]
pub struct ColumnPlan {
    columns: Vec<Column>,
    planned: Vec<PlannedColumn>,
    schema: SchemaRef,
    key: usize,
    key_type: KeyType,
    has_run: bool,
}

impl ColumnPlan {
    /// The plan of a slice's rows: its columns, closed by [`DELTA_RUN_STARTED_AT`] and
    /// [`DELTA_RUN_ID`].
    ///
    /// # Errors
    /// Config: no such key column, a key of a type that none can have, or a column whose name
    /// a companion needs.
    pub fn rows(columns: &[Column], key_column: &str) -> Result<Self> {
        Self::build(columns, key_column, true)
    }

    /// The plan of tombstones: the key under the table's name for it, `DeltaModifiedOn` (when it
    /// was deleted), `DeltaBusinessUnit`, `DeltaReason`, and the run.
    ///
    /// # Errors
    /// Config: a key column of one of the other names.
    pub fn tombstones(key: &Column) -> Result<Self> {
        let columns = [
            Column::new(&key.name, key.sql_type, false),
            Column::new(DELTA_MODIFIED_ON, SqlType::DateTime2(7), false),
            Column::new(DELTA_BUSINESS_UNIT, SqlType::UniqueIdentifier, true),
            Column::new(DELTA_REASON, SqlType::NVarChar(Some(20)), false),
        ];
        Self::build(&columns, &key.name, true)
    }

    /// The plan of absent parents: [`ABSENT_CHILD_KEY`] and [`ABSENT_PARENT_KEY`], both of the type of the table's key.
    ///
    /// # Errors
    /// Config: a key of a type that none can have.
    pub fn absent_parents(key: &Column) -> Result<Self> {
        let columns =
            [Column::new(ABSENT_CHILD_KEY, key.sql_type, false), Column::new(ABSENT_PARENT_KEY, key.sql_type, true)];
        Self::build(&columns, ABSENT_CHILD_KEY, false)
    }

    fn build(columns: &[Column], key_column: &str, has_run: bool) -> Result<Self> {
        let key = key_index(columns, key_column)?;
        let key_type = KeyType::check(columns[key].sql_type, key_column)?;
        let mut all = columns.to_vec();
        if has_run {
            all.push(Column::new(DELTA_RUN_STARTED_AT, SqlType::DateTime2(7), false));
            all.push(Column::new(DELTA_RUN_ID, SqlType::UniqueIdentifier, false));
        }
        check_names(&all)?;
        let mut fields = FieldsBuilder::new(&all);
        let planned = all.iter().map(|column| fields.plan(column)).collect::<Result<Vec<_>>>()?;
        let schema = Arc::new(Schema::new(fields.fields));
        Ok(Self { columns: columns.to_vec(), planned, schema, key, key_type, has_run })
    }

    /// The Arrow schema, companions and the run's columns included.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Holds the schema of a part against the plan's: the same names and types in the same order; and where it says
    /// more, as of a column's T-SQL type, that is what the plan says.
    ///
    /// # Errors
    /// Verification, with the first column that is another.
    pub fn check_schema(&self, found: &Schema) -> Result<()> {
        let due = self.schema.fields();
        if due.len() != found.fields().len() {
            let what = format!(
                "the file has {} columns where the manifest's columns make {}",
                found.fields().len(),
                due.len()
            );
            return Err(Error::verification(what));
        }
        // What the file says of itself beside the manifest is read by other readers, which know no manifest.
        if let Some(more) = found.metadata().keys().min() {
            return Err(Error::verification(format!("the file says {more:.100?} of itself, which no part does")));
        }
        let says_alike = |due: &Field, found: &Field| found.metadata().is_empty() || found.metadata() == due.metadata();
        let same = |due: &Field, found: &Field| {
            due.name() == found.name() && due.data_type() == found.data_type() && says_alike(due, found)
        };
        match due.iter().zip(found.fields()).find(|(due, found)| !same(due, found)) {
            None => Ok(()),
            Some((due, found)) => {
                let shown = |field: &Field| {
                    let of_metadata = field.metadata().get(SQL_TYPE_KEY);
                    let said = of_metadata.map(|said| format!(" ({said:.100})")).unwrap_or_default();
                    format!("{} {}{said}", field.name(), field.data_type())
                };
                let what = format!("the file has {} where the manifest says {}", shown(found), shown(due));
                Err(Error::verification(what).column(due.name()))
            }
        }
    }

    /// The columns whose cells are given and given back, without the run's.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// All planned columns, the run's included, in the order of the schema.
    pub fn planned(&self) -> &[PlannedColumn] {
        &self.planned
    }

    /// Which of [`ColumnPlan::columns`] is the key.
    pub fn key(&self) -> usize {
        self.key
    }

    /// What the keys are.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// Whether rows carry their run.
    pub fn has_run(&self) -> bool {
        self.has_run
    }

    /// Index of the column of this name among [`ColumnPlan::columns`].
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The names of a column's companions, in the order ticks, offset, content hash, blob
    /// reference; for the manifest.
    pub fn companion_names(&self, column: usize) -> [Option<&str>; 4] {
        let Some(planned) = self.planned.get(column) else { return [None; 4] };
        let name = |field: Option<usize>| field.map(|field| self.schema.field(field).name().as_str());
        [name(planned.ticks), name(planned.offset), name(planned.content_sha256), name(planned.blob_ref)]
    }

    /// The Arrow type of a column's value as pyarrow spells it; for the manifest.
    pub fn arrow_type_name(&self, column: usize) -> String {
        self.planned.get(column).map_or_else(String::new, |planned| type_name(planned.column.sql_type))
    }
}

fn type_name(sql_type: SqlType) -> String {
    match arrow_type(sql_type) {
        DataType::Boolean => "bool".into(),
        DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Decimal128(precision, scale) => format!("decimal128({precision}, {scale})"),
        DataType::Utf8 => "string".into(),
        DataType::FixedSizeBinary(width) => format!("fixed_size_binary[{width}]"),
        DataType::Date32 => "date32[day]".into(),
        DataType::Time64(_) => "time64[ns]".into(),
        DataType::Timestamp(_, None) => "timestamp[us]".into(),
        DataType::Timestamp(_, Some(zone)) => format!("timestamp[us, tz={zone}]"),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn key_index(columns: &[Column], key_column: &str) -> Result<usize> {
    // Of a chain, whose bundles may have it in another case each. No bundle has two that differ in case alone.
    let found = columns.iter().position(|column| column.name.eq_ignore_ascii_case(key_column));
    found.ok_or_else(|| Error::config("the key column is not among the table's columns").column(key_column))
}

fn check_names(columns: &[Column]) -> Result<()> {
    let mut seen = HashSet::new();
    // Of two that differ in case alone, readers that compare without it would see one.
    match columns.iter().find(|column| !seen.insert(column.name.to_lowercase())) {
        Some(twice) => Err(Error::config("two columns have names that differ in case alone, or not at all")
            .column(&twice.name)
            .hint("rename one of them in the source, or leave it out of the slice table")),
        None => Ok(()),
    }
}

fn arrow_type(sql_type: SqlType) -> DataType {
    let families = [numbers::arrow_type, text::arrow_type, binary::arrow_type, guid::arrow_type, times::arrow_type];
    // Each type belongs to one family; the families' matches are tested to cover all types.
    families.iter().find_map(|family| family(sql_type)).unwrap_or(DataType::Null)
}

/// Fields in the making.
struct FieldsBuilder {
    fields: Vec<Field>,
    taken: HashSet<String>,
    blobs: usize,
    large: usize,
}

impl FieldsBuilder {
    fn new(columns: &[Column]) -> Self {
        let count = |is: fn(SqlType) -> bool| columns.iter().filter(|column| is(column.sql_type)).count();
        Self {
            fields: Vec::new(),
            taken: columns.iter().map(|column| column.name.to_lowercase()).collect(),
            blobs: count(SqlType::is_large_binary),
            large: count(SqlType::is_large),
        }
    }

    fn plan(&mut self, column: &Column) -> Result<PlannedColumn> {
        let (sql_type, name) = (column.sql_type, column.name.as_str());
        // A value over the inline limit is NULL here, and lies in blob/.
        let nullable = column.nullable || sql_type.is_large();
        let mut metadata = HashMap::from([(SQL_TYPE_KEY.to_owned(), sql_type.to_string())]);
        if sql_type == SqlType::UniqueIdentifier {
            metadata.insert(EXTENSION_NAME_KEY.to_owned(), "arrow.uuid".to_owned());
        }
        self.fields.push(Field::new(name, arrow_type(sql_type), nullable).with_metadata(metadata));
        let value = self.fields.len() - 1;
        let several = |base: &str, count: usize| if count == 1 { base.to_owned() } else { format!("{base}_{name}") };
        let (sha_name, ref_name) = (several(DELTA_CONTENT_SHA256, self.blobs), several(DELTA_BLOB_REF, self.large));
        let mut planned = PlannedColumn {
            column: column.clone(),
            value,
            ticks: None,
            offset: None,
            content_sha256: None,
            blob_ref: None,
        };
        if matches!(sql_type, SqlType::DateTime2(7) | SqlType::DateTimeOffset(7)) {
            planned.ticks = Some(self.companion(column, format!("{name}__ticks"), DataType::Int64, nullable)?);
        }
        if matches!(sql_type, SqlType::DateTimeOffset(_)) {
            planned.offset = Some(self.companion(column, format!("{name}__offset"), DataType::Int16, nullable)?);
        }
        if sql_type.is_large_binary() {
            planned.content_sha256 = Some(self.companion(column, sha_name, DataType::FixedSizeBinary(32), nullable)?);
        }
        if sql_type.is_large() {
            planned.blob_ref = Some(self.companion(column, ref_name, DataType::Utf8, true)?);
        }
        Ok(planned)
    }

    fn companion(&mut self, of: &Column, name: String, data_type: DataType, nullable: bool) -> Result<usize> {
        if !self.taken.insert(name.to_lowercase()) {
            let what = format!("the bundle needs the column name {name:?}, which the table has already");
            return Err(Error::config(what)
                .column(&of.name)
                .hint("rename the column in the slice table, or leave it out there"));
        }
        self.fields.push(Field::new(name, data_type, nullable));
        Ok(self.fields.len() - 1)
    }
}
