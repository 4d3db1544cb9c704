//! [`Jobs`] on a server.

use super::session::{Session, unfinished};
use crate::backend::jobs::{
    BundleRecord, DeployStep, Jobs, MissingParentRecord, PackState, StepRecord, WatermarkRecord,
};
use crate::error::{Error, Result};
use crate::model::clock::ServerTime;
use crate::model::column::Column;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Run, Scope};
use crate::model::slice::Deletion;
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;

impl Jobs for Session {
    fn describe(&self) -> String {
        self.address.to_string()
    }
    fn now(&mut self) -> Result<ServerTime> {
        Err(unfinished())
    }
    fn deploy(&mut self) -> Result<Vec<DeployStep>> {
        Err(unfinished())
    }
    fn source_id(&mut self) -> Result<Guid> {
        Err(unfinished())
    }
    fn tables(&mut self) -> Result<Vec<TableConfig>> {
        Err(unfinished())
    }
    fn save_table(&mut self, _table: &TableConfig) -> Result<()> {
        Err(unfinished())
    }
    fn source_columns(&mut self, _table: &TableConfig) -> Result<Vec<Column>> {
        Err(unfinished())
    }
    fn run(&mut self, _id: Guid) -> Result<Run> {
        Err(unfinished())
    }
    fn recent_runs(&mut self, _limit: u32) -> Result<Vec<Run>> {
        Err(unfinished())
    }
    fn run_tables(&mut self, _id: Guid) -> Result<Vec<(TableName, PackState)>> {
        Err(unfinished())
    }
    fn run_steps(&mut self, _id: Guid) -> Result<Vec<StepRecord>> {
        Err(unfinished())
    }
    fn watermarks(&mut self) -> Result<Vec<WatermarkRecord>> {
        Err(unfinished())
    }
    fn missing_parents(&mut self, _id: Guid) -> Result<Vec<MissingParentRecord>> {
        Err(unfinished())
    }
    fn bundles(&mut self, _id: Guid) -> Result<Vec<BundleRecord>> {
        Err(unfinished())
    }
    fn pend_key(&mut self, _table: &TableName, _key: Guid, _reason: &str) -> Result<()> {
        Err(unfinished())
    }
    fn exclude_key(&mut self, _table: &TableName, _key: Guid, _reason: &str) -> Result<()> {
        Err(unfinished())
    }
    fn log_deletion(&mut self, _table: &TableName, _deletion: &Deletion) -> Result<()> {
        Err(unfinished())
    }
}
