//! Tables to replay into, and a place for rows that nobody looks at.

use blobdelta::backend::{Evolve, TargetSpec};
use blobdelta::error::Result;
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::column::Column;
use blobdelta::model::key::KeyType;
use blobdelta::model::name::TableName;
use blobdelta::model::run::Scope;

/// A flat table with keys of uniqueidentifier, into which nothing goes that would change it.
pub fn spec(table: &str, columns: &[Column]) -> TargetSpec {
    TargetSpec {
        evolve: Evolve::Never,
        table: TableName::parse(&format!("Src.dbo.{table}")).unwrap(),
        scope: Scope::All,
        target: TableName::parse(&format!("Copy.dbo.{table}")).unwrap(),
        columns: columns.to_vec(),
        key_column: "stream_id".into(),
        key_type: KeyType::UniqueIdentifier,
        path_column: None,
        displace: false,
        removes: false,
        repair: false,
    }
}

/// Takes rows and keeps nothing.
pub struct Nowhere;

impl CellSink for Nowhere {
    fn cell(&mut self, _: usize, _: Cell<'_>) -> Result<()> {
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        Ok(())
    }
}
