//! The columns that an unpacking reads of a table, decided once for each table of a bundle.

use super::options::{Filter, UnpackOptions};
use super::tree::{PathKey, TreeNode, path_key};
use crate::bundle::TableInfo;
use crate::convert::{BatchRows, ColumnPlan};
use crate::error::{Error, Result};
use crate::model::cell::{Cell, RowSource as _};
use crate::model::column::{Column, DELTA_MODIFIED_ON, DELTA_PARENT_KEY};
use crate::model::id::Guid;
use crate::model::sqltype::SqlType;
use crate::rows::PartColumns;
use std::sync::Arc;

const NAME: &str = "name";
const BLOB: &str = "file_stream";
const IS_DIRECTORY: &str = "is_directory";

/// See the module's text. Indexes are those of the columns that are read.
pub(super) struct UnpackColumns {
    pub read: PartColumns,
    name: Option<usize>,
    parent_key: Option<usize>,
    path: Option<usize>,
    parent_path: Option<usize>,
    is_tree_by_keys: bool,
    is_directory: Option<usize>,
    filters: Vec<(usize, Filter)>,
    /// Of a whole plan.
    pub blob: Option<usize>,
}

impl UnpackColumns {
    /// What places rows in the tree, and no value.
    pub(super) fn of_tree(table: &TableInfo, options: &UnpackOptions) -> Result<Self> {
        Self::find(table, options, false)
    }

    /// All that a file is made from.
    ///
    /// # Errors
    /// Usage: a column that was asked for and is not there, or is of a type that cannot do.
    pub(super) fn whole(table: &TableInfo, options: &UnpackOptions) -> Result<Self> {
        Self::find(table, options, true)
    }

    fn find(table: &TableInfo, options: &UnpackOptions, whole: bool) -> Result<Self> {
        let columns = table.model_columns()?;
        let name = named(table, &columns, options.name_column.as_deref(), is_short_text, "short text")?;
        let default = columns.iter().any(|column| column.name == NAME && is_short_text(column.sql_type));
        let name = name.or(default.then_some(NAME));
        let blob = if whole { Some(blob(table, &columns, options)?) } else { None };
        let filters = options.filters.iter().filter(|_| whole);
        for filter in filters.clone() {
            named(table, &columns, Some(&filter.column), is_short_text, "short text")?;
        }
        let (path, parent_path) = (table.path_column.as_deref(), table.parent_path_column.as_deref());
        let small = [Some(table.key_column.as_str()), Some(DELTA_MODIFIED_ON), Some(DELTA_PARENT_KEY)];
        let small: Vec<&str> =
            small.into_iter().chain([path, parent_path, name, Some(IS_DIRECTORY)]).flatten().collect();
        // The names of a large column's companions depend on whether there are other large ones.
        let is_read = |column: &&Column| {
            let is_filtered = filters.clone().any(|filter| filter.column == column.name);
            let is_value = whole && (column.sql_type.is_large() || Some(column.name.as_str()) == blob);
            is_value || is_filtered || (small.contains(&column.name.as_str()) && !column.sql_type.is_large())
        };
        let read: Vec<Column> = columns.iter().filter(is_read).cloned().collect();
        let plan = Arc::new(ColumnPlan::rows(&read, &table.key_column)?);
        let at = |name: &str| plan.index_of(name);
        let of_type = |name: &str, sql_type| at(name).filter(|at| plan.columns()[*at].sql_type == sql_type);
        Ok(Self {
            name: name.and_then(at),
            parent_key: at(DELTA_PARENT_KEY),
            path: path.and_then(at),
            parent_path: parent_path.and_then(at),
            is_tree_by_keys: path == Some(table.key_column.as_str()),
            is_directory: of_type(IS_DIRECTORY, SqlType::Bit),
            filters: filters.filter_map(|filter| Some((at(&filter.column)?, filter.clone()))).collect(),
            blob: blob.and_then(at),
            read: PartColumns::some(Arc::clone(&plan)),
        })
    }

    /// The name of a row; `None` if the table has none, or it is NULL.
    pub(super) fn name<'r>(&self, rows: &'r BatchRows, row: usize) -> Result<Option<&'r str>> {
        self.name.map_or(Ok(None), |column| text(rows, row, column))
    }

    /// The key of a row's parent, if it has one that is known. In a tree by keys it is known of a parent that is absent, too.
    pub(super) fn parent_key(&self, rows: &BatchRows, row: usize) -> Result<Option<Guid>> {
        let known = self.parent_key.map_or(Ok(None), |column| rows.id(row, column))?;
        if known.is_some() || !self.is_tree_by_keys {
            return Ok(known);
        }
        self.parent_path.map_or(Ok(None), |column| rows.id(row, column))
    }

    /// The path of a row.
    pub(super) fn path(&self, rows: &BatchRows, row: usize) -> Result<Option<PathKey>> {
        self.path.map_or(Ok(None), |column| path(rows, row, column))
    }

    /// The path of the folder that it lies in, whether that is known or not.
    pub(super) fn parent_path(&self, rows: &BatchRows, row: usize) -> Result<Option<PathKey>> {
        self.parent_path.map_or(Ok(None), |column| path(rows, row, column))
    }

    /// What a row says about its place.
    pub(super) fn node(&self, rows: &BatchRows, row: usize) -> Result<TreeNode> {
        Ok(TreeNode {
            has_parent: self.has_parent(rows, row)?,
            parent: self.parent_key(rows, row)?,
            parent_path: self.parent_path(rows, row)?,
            is_by_path: false,
            name: self.name(rows, row)?.map(str::to_owned),
        })
    }

    /// Whether a row lies in a folder, be its key known or not.
    pub(super) fn has_parent(&self, rows: &BatchRows, row: usize) -> Result<bool> {
        let path = self.parent_path.map(|column| rows.cell(row, column)).transpose()?;
        Ok(self.parent_key(rows, row)?.is_some() || path.is_some_and(|path| path != Cell::Null))
    }

    /// Whether a row says that it is a folder; `None` if the table does not say such a thing.
    pub(super) fn is_directory(&self, rows: &BatchRows, row: usize) -> Result<Option<bool>> {
        let cell = self.is_directory.map(|column| rows.cell(row, column)).transpose()?;
        Ok(cell.map(|cell| cell == Cell::Bool(true)))
    }

    /// Whether a row meets all conditions.
    pub(super) fn is_wanted(&self, rows: &BatchRows, row: usize) -> Result<bool> {
        for (column, filter) in &self.filters {
            if !filter.is_met(text(rows, row, *column)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn path(rows: &BatchRows, row: usize, column: usize) -> Result<Option<PathKey>> {
    Ok(match rows.cell(row, column)? {
        Cell::Bytes(path) => Some(path_key(path)),
        Cell::Text(path) => Some(path_key(path.as_bytes())),
        Cell::Guid(path) => Some(path_key(path.as_bytes())),
        Cell::Int(path) => Some(path_key(&path.to_be_bytes())),
        _ => None,
    })
}

fn text(rows: &BatchRows, row: usize, column: usize) -> Result<Option<&str>> {
    match rows.cell(row, column)? {
        Cell::Text(text) => Ok(Some(text)),
        _ => Ok(None),
    }
}

fn is_short_text(sql_type: SqlType) -> bool {
    let is_text = matches!(sql_type, SqlType::Char(_) | SqlType::NChar(_) | SqlType::VarChar(_) | SqlType::NVarChar(_));
    is_text && !sql_type.is_large()
}

fn is_binary(sql_type: SqlType) -> bool {
    sql_type.is_large() || matches!(sql_type, SqlType::Binary(_) | SqlType::VarBinary(_))
}

/// A column that the user named, if it can do.
fn named<'a>(
    table: &TableInfo,
    columns: &[Column],
    name: Option<&'a str>,
    can_do: fn(SqlType) -> bool,
    what: &str,
) -> Result<Option<&'a str>> {
    let Some(name) = name else { return Ok(None) };
    let refused = match columns.iter().find(|column| column.name == name) {
        Some(column) if can_do(column.sql_type) => return Ok(Some(name)),
        Some(column) => format!("the column is {}, and not {what}", column.sql_type),
        None => "the table has no such column".to_owned(),
    };
    Err(Error::usage(refused)
        .table(&table.name)
        .column(name)
        .hint("inspect shows the columns of a bundle; --table selects one table"))
}

fn blob<'a>(table: &TableInfo, columns: &'a [Column], options: &'a UnpackOptions) -> Result<&'a str> {
    if let Some(name) = named(table, columns, options.blob_column.as_deref(), is_binary, "of bytes or of large text")? {
        return Ok(name);
    }
    let large = || columns.iter().filter(|column| column.sql_type.is_large_binary());
    let by_name = large().find(|column| column.name == BLOB);
    let only = large().next().filter(|_| large().count() == 1);
    by_name.or(only).map(|column| column.name.as_str()).ok_or_else(|| {
        Error::usage(format!("the table has no column {BLOB}, and not just one of a large binary type"))
            .table(&table.name)
            .hint("name the column of the values with --blob-column")
    })
}
