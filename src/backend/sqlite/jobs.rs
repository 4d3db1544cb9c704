//! [`Jobs`] on the embedded instance.

use super::session::Session;
use super::sql::Noted;
use crate::backend::jobs::{
    Asked, BundleRecord, DeployStep, Jobs, MissingParentRecord, PackState, PendingRecord, PendingShipment, StepRecord,
    UnitWatermarkRecord, WatermarkRecord,
};
use crate::backend::servers::{AdoptedBundle, ChainRecord, Handed, Servers};
use crate::error::{Error, Kind, Result};
use crate::model::clock::ServerTime;
use crate::model::column::Column;
use crate::model::destination::Destination;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::{Run, Scope, Status};
use crate::model::slice::{Deletion, SliceState};
use crate::model::table::TableConfig;
use crate::model::version::Version;
use rusqlite::Row;

impl Jobs for Session {
    fn describe(&self) -> String {
        format!("sqlite:{}", self.folder.display())
    }

    fn now(&mut self) -> Result<ServerTime> {
        Ok(self.server_time())
    }

    fn deploy(&mut self) -> Result<Vec<DeployStep>> {
        self.deploy_all()
    }

    fn servers(&mut self) -> Result<Servers> {
        self.read_servers()
    }

    fn add_server(&mut self) -> Result<()> {
        self.transact("note the server", |session| session.note_server())
    }

    fn become_own_source(&mut self) -> Result<Vec<DeployStep>> {
        self.source_id()?;
        self.become_another_source()
    }

    fn chain_records(&mut self, table: &TableName, scope: Scope) -> Result<Vec<ChainRecord>> {
        self.read_chain(table, scope)
    }

    fn adopt_bundles(&mut self, table: &TableName, scope: Scope, bundles: &[AdoptedBundle]) -> Result<()> {
        self.transact("take bundles over", |session| session.adopt_all(table, scope, bundles))
    }

    fn adopt_keys(&mut self, table: &TableName, scope: Scope, handed: Handed, keys: &[(Guid, Version)]) -> Result<()> {
        self.transact("take keys over", |session| session.keep_adopted(table, scope, handed, keys))
    }

    fn check_deployed(&mut self) -> Result<()> {
        self.source_id()?;
        self.check_versions()
    }

    fn source_id(&mut self) -> Result<Guid> {
        self.query_one("SELECT SourceId FROM BlobDeltaSource", []).map_err(not_deployed)
    }

    fn tables(&mut self) -> Result<Vec<TableConfig>> {
        self.configured_tables().map_err(not_deployed)
    }

    fn save_table(&mut self, table: &TableConfig) -> Result<()> {
        self.source_id()?;
        if table.accepted_hidden.is_some() {
            return Err(Error::usage("an embedded instance hides nothing from anybody")
                .table(&table.name)
                .column("AcceptedHidden"));
        }
        self.check_config(table)?;
        self.make_slice(table)?;
        self.prepared.remove(&table.name);
        self.transact("save a table", |session| session.write_config(table))
    }

    fn source_columns(&mut self, table: &TableConfig) -> Result<Vec<Column>> {
        self.table_columns(&table.source)
    }

    fn run(&mut self, id: Guid) -> Result<Run> {
        self.source_id()?;
        self.read_run(id)
    }

    fn record_destination(&mut self, run_id: Guid, told: &Destination) -> Result<()> {
        self.transact("record a destination", |session| session.write_destination(run_id, told))
    }

    fn recent_runs(&mut self, limit: u32) -> Result<Vec<Run>> {
        self.source_id()?;
        self.read_runs(limit)
    }

    fn run_tables(&mut self, id: Guid) -> Result<Vec<(TableName, PackState)>> {
        let tables: Vec<(TableName, String, Option<u32>)> = self.query_all(
            "SELECT TableName, Status, PackNumber FROM BlobDeltaRunTable WHERE RunId = ?1 ORDER BY TableName",
            [id],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let configs = self.configured_tables()?;
        let state = |name: &TableName, status: &str, pack: Option<u32>| {
            match Status::parse(status) {
                Some(Status::Completed) => {}
                Some(Status::GivenUp) => return PackState::GivenUp,
                _ => return PackState::NotCompleted,
            }
            let marker = configs.iter().find(|table| table.name == *name).and_then(|table| self.marker(table).ok());
            match (marker.filter(|marker| marker.run_id == Some(id)).map(|marker| marker.state), pack) {
                (Some(SliceState::Packed), Some(number)) => PackState::Packed(number),
                (Some(SliceState::Complete), _) => PackState::Unpacked,
                _ => PackState::SliceGone,
            }
        };
        Ok(tables
            .into_iter()
            .map(|(name, status, pack)| {
                let state = state(&name, &status, pack);
                (name, state)
            })
            .collect())
    }

    fn run_steps(&mut self, id: Guid) -> Result<Vec<StepRecord>> {
        self.query_all(
            "SELECT TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed, WindowStart, WindowEnd,
                 BatchStartedAt, BatchCompletedAt, Status, ErrorMessage
             FROM BlobDeltaRunStep WHERE RunId = ?1 ORDER BY TableName, StepNumber, BatchNumber",
            [id],
            read_step,
        )
    }

    fn watermarks(&mut self) -> Result<Vec<WatermarkRecord>> {
        self.source_id()?;
        self.query_all(
            "SELECT TableName, LastHighWaterModifiedOn, LastRunId, LastRunCompletedAt, IsInitialFullLoadDone, IsRunning,
                 RunLeaseExpiresAt, LeaseRunId, LeaseEpoch FROM BlobDeltaHighWatermark ORDER BY TableName",
            [],
            |row| {
                Ok(WatermarkRecord {
                    table: row.get(0)?,
                    last_high_water: row.get(1)?,
                    last_run_id: row.get(2)?,
                    last_run_completed_at: row.get(3)?,
                    is_initial_full_load_done: row.get(4)?,
                    is_running: row.get(5)?,
                    lease_expires_at: row.get(6)?,
                    lease_run_id: row.get(7)?,
                    lease_epoch: row.get(8)?,
                })
            },
        )
    }

    fn unit_watermarks(&mut self) -> Result<Vec<UnitWatermarkRecord>> {
        self.query_all(
            "SELECT TableName, BusinessUnitId, LastHighWaterModifiedOn, LastRunId, LastRunCompletedAt
             FROM BlobDeltaBusinessUnitWatermark WHERE LastHighWaterModifiedOn IS NOT NULL
             ORDER BY TableName, BusinessUnitId",
            [],
            |row| {
                Ok(UnitWatermarkRecord {
                    table: row.get(0)?,
                    unit: row.get(1)?,
                    last_high_water: row.get(2)?,
                    last_run_id: row.get(3)?,
                    last_run_completed_at: row.get(4)?,
                })
            },
        )
    }

    fn pending(&mut self) -> Result<Vec<PendingRecord>> {
        self.query_all(
            "SELECT TableName, Scope, count(*), min(CreatedAt) FROM BlobDeltaPendingKey
             GROUP BY TableName, Scope ORDER BY TableName, Scope",
            [],
            |row| {
                let scope: String = row.get(1)?;
                let scope = if scope.is_empty() { None } else { Some(scope.parse().map_err(broken)?) };
                Ok(PendingRecord { table: row.get(0)?, scope, keys: row.get(2)?, since: row.get::<_, Noted>(3)?.0 })
            },
        )
    }

    fn missing_parents(&mut self, id: Guid) -> Result<Vec<MissingParentRecord>> {
        self.query_all(
            "SELECT TableName, stream_id, BusinessUnit, Processed, CreatedAt FROM BlobDeltaMissingParentsQueue
             WHERE RunId = ?1 ORDER BY TableName, CreatedAt, stream_id",
            [id],
            |row| {
                Ok(MissingParentRecord {
                    table: row.get(0)?,
                    stream_id: row.get(1)?,
                    business_unit: row.get(2)?,
                    processed: row.get(3)?,
                    created_at: row.get(4)?,
                })
            },
        )
    }

    fn bundles(&mut self, id: Guid) -> Result<Vec<BundleRecord>> {
        self.query_all(
            "SELECT RunId, TableName, PackNumber, Scope, RootSha256, PreviousRootSha256, Name, Folder, PublishedAt,
                 ShipTo, ShippedAt
             FROM BlobDeltaBundle WHERE RunId = ?1 ORDER BY PackNumber, TableName",
            [id],
            read_bundle,
        )
    }

    fn unshipped(&mut self) -> Result<Vec<PendingShipment>> {
        self.query_all(
            "SELECT RunId, PackNumber, RootSha256, Name, Folder, ShipTo FROM BlobDeltaBundle
             WHERE ShipTo IS NOT NULL AND ShippedAt IS NULL
             GROUP BY RunId, PackNumber, RootSha256, Name, Folder, ShipTo ORDER BY MIN(BundleId)",
            [],
            read_unshipped,
        )
    }

    fn add_pending_shipment(&mut self, run_id: Guid, pack_number: u32, destination: &str) -> Result<()> {
        let unshipped = self.transact("note a pending shipment", |session| {
            session.execute(
                "UPDATE BlobDeltaBundle SET ShipTo = ?3, ShippedAt = NULL WHERE RunId = ?1 AND PackNumber = ?2",
                (run_id, pack_number, destination),
            )
        })?;
        match unshipped {
            0 => Err(Error::usage(format!("this run has no bundle {pack_number}")).run(run_id)),
            _ => Ok(()),
        }
    }

    fn record_shipped(&mut self, bundle: &PendingShipment) -> Result<()> {
        self.transact("record a shipment", |session| {
            session.execute(
                "UPDATE BlobDeltaBundle SET ShippedAt = ?5
                 WHERE RunId = ?1 AND PackNumber = ?2 AND ShipTo = ?3 AND RootSha256 = ?4",
                (
                    bundle.run_id,
                    bundle.pack_number,
                    &bundle.ship_to,
                    bundle.root_sha256.to_string(),
                    session.server_time().utc,
                ),
            )
        })?;
        Ok(())
    }

    fn pend_key(&mut self, table: &TableName, key: Guid, asked: &Asked<'_>) -> Result<()> {
        let scope = asked.scope.map_or(String::new(), |scope| scope.to_string());
        let table = &self.table(table)?.name;
        self.transact("pend a key", |session| {
            session.execute(
                "INSERT INTO BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt, WithoutMetadata)
                 VALUES (?1, ?5, ?2, ?3, ?4, ?6) ON CONFLICT (TableName, Scope, stream_id)
                 DO UPDATE SET Reason = ?3, WithoutMetadata = max(WithoutMetadata, ?6)",
                (table, key, asked.reason, session.server_time().utc, scope, asked.without_metadata),
            )
        })?;
        Ok(())
    }

    fn exclude_key(&mut self, table: &TableName, key: Guid, reason: &str) -> Result<()> {
        let table = &self.table(table)?.name;
        self.transact("exclude a key", |session| {
            session.execute(
                "INSERT INTO BlobDeltaExcludedKey (TableName, stream_id, Reason, CreatedAt) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (TableName, stream_id) DO UPDATE SET Reason = ?3",
                (table, key, reason, session.server_time().utc),
            )
        })?;
        Ok(())
    }

    fn log_deletion(&mut self, table: &TableName, deletion: &Deletion) -> Result<()> {
        let table = &self.table(table)?.name;
        self.transact("log a deletion", |session| {
            session.execute(
                "INSERT INTO BlobDeltaDeletionLog (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (
                    table,
                    deletion.key,
                    deletion.deleted_on,
                    deletion.business_unit,
                    session.server_time().utc,
                    deletion.reason,
                ),
            )
        })?;
        Ok(())
    }
}

fn not_deployed(error: Error) -> Error {
    if error.kind() != Kind::Database {
        return error;
    }
    Error::new(Kind::Config, "this instance has no job database yet").caused_by(error).hint("run deploy first")
}

fn read_step(row: &Row<'_>) -> rusqlite::Result<StepRecord> {
    Ok(StepRecord {
        table: row.get(0)?,
        step: row.get(1)?,
        batch: row.get(2)?,
        rows_processed: row.get(3)?,
        total_rows_processed: row.get(4)?,
        window_start: row.get(5)?,
        window_end: row.get(6)?,
        started_at: row.get(7)?,
        completed_at: row.get(8)?,
        status: row.get(9)?,
        error: row.get(10)?,
    })
}

pub(super) fn broken(error: Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
}

fn read_unshipped(row: &Row<'_>) -> rusqlite::Result<PendingShipment> {
    Ok(PendingShipment {
        run_id: row.get(0)?,
        pack_number: row.get(1)?,
        root_sha256: Sha256::parse(&row.get::<_, String>(2)?).map_err(broken)?,
        name: row.get(3)?,
        folder: row.get(4)?,
        ship_to: row.get(5)?,
    })
}

fn read_bundle(row: &Row<'_>) -> rusqlite::Result<BundleRecord> {
    let scope: String = row.get(3)?;
    let previous: Option<String> = row.get(5)?;
    Ok(BundleRecord {
        run_id: row.get(0)?,
        table: row.get(1)?,
        pack_number: row.get(2)?,
        scope: scope.parse().map_err(broken)?,
        root_sha256: Sha256::parse(&row.get::<_, String>(4)?).map_err(broken)?,
        previous_root_sha256: previous.map(|text| Sha256::parse(&text)).transpose().map_err(broken)?,
        name: row.get(6)?,
        folder: row.get(7)?,
        published_at: row.get(8)?,
        ship_to: row.get(9)?,
        shipped_at: row.get(10)?,
    })
}
