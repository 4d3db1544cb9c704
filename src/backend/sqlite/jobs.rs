//! [`Jobs`] on the embedded instance.

use super::engine::Engine;
use super::sql::{Noted, broken};
use super::{adopted, catalog, config, deploy, drift, marker, runs, servers};
use crate::backend::jobs::{
    BundleRecord, DeployStep, Jobs, KeyRequest, MissingParentRecord, PackState, PendingRecord, PendingShipment,
    StepRecord, UnitWatermarkRecord, WatermarkRecord,
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
use crate::scripts::statement::statement;
use rusqlite::Row;

const SQL: &str = include_str!("../../../sql/sqlite/jobs.sql");
const RUN_STEPS: &str = statement(SQL, "run_steps");
const WATERMARKS: &str = statement(SQL, "watermarks");
const UNIT_WATERMARKS: &str = statement(SQL, "unit_watermarks");
const PENDING: &str = statement(SQL, "pending");
const MISSING_PARENTS: &str = statement(SQL, "missing_parents");
const BUNDLES: &str = statement(SQL, "bundles");
const UNSHIPPED: &str = statement(SQL, "unshipped");
const RECORD_SHIPPED: &str = statement(SQL, "record_shipped");
const PEND: &str = statement(SQL, "pend");
const EXCLUDE: &str = statement(SQL, "exclude");
const LOG_DELETION: &str = statement(SQL, "log_deletion");

impl Jobs for Engine<'_> {
    fn describe(&mut self) -> String {
        format!("sqlite:{}", self.db.folder.display())
    }

    fn now(&mut self) -> Result<ServerTime> {
        Ok(self.db.server_time())
    }

    fn deploy(&mut self) -> Result<Vec<DeployStep>> {
        deploy::deploy_all(self.db)
    }

    fn servers(&mut self) -> Result<Servers> {
        servers::read_servers(self.db)
    }

    fn add_server(&mut self) -> Result<()> {
        self.db.transact("note the server", servers::note_server)
    }

    fn become_own_source(&mut self) -> Result<Vec<DeployStep>> {
        self.source_id()?;
        servers::become_another_source(self)
    }

    fn chain_records(&mut self, table: &TableName, scope: Scope) -> Result<Vec<ChainRecord>> {
        adopted::read_chain(self.db, table, scope)
    }

    fn adopt_bundles(&mut self, table: &TableName, scope: Scope, bundles: &[AdoptedBundle]) -> Result<()> {
        self.db.transact("take bundles over", |db| adopted::adopt_all(db, table, scope, bundles))
    }

    fn adopt_keys(&mut self, table: &TableName, scope: Scope, handed: Handed, keys: &[(Guid, Version)]) -> Result<()> {
        self.db.transact("take keys over", |db| adopted::keep_adopted(db, table, scope, handed, keys))
    }

    fn check_deployed(&mut self) -> Result<()> {
        self.source_id()?;
        deploy::check_versions(self.db)
    }

    fn source_id(&mut self) -> Result<Guid> {
        self.db.query_one("SELECT SourceId FROM BlobDeltaSource", []).map_err(not_deployed)
    }

    fn tables(&mut self) -> Result<Vec<TableConfig>> {
        config::configured_tables(self.db).map_err(not_deployed)
    }

    fn save_table(&mut self, table: &TableConfig) -> Result<()> {
        self.source_id()?;
        if table.accepted_hidden.is_some() {
            return Err(Error::usage("an embedded instance hides nothing from anybody")
                .table(&table.name)
                .column("AcceptedHidden"));
        }
        if table.only_stops(self.tables()?.iter().find(|before| before.name == table.name)) {
            return self.db.transact("save a table", |db| config::write_config(db, table));
        }
        let source = config::check_config(self.db, table)?;
        deploy::make_slice(self.db, table)?;
        let table = &TableConfig { key_type: config::key_type(table, &source)?, ..table.clone() };
        self.state.prepared.forget(&table.name);
        self.db.transact("save a table", |db| config::write_config(db, table))
    }

    fn refresh_slice(&mut self, table: &TableConfig) -> Result<()> {
        drift::refresh(self.db, table).map_err(|error| error.table(&table.name))
    }

    fn source_columns(&mut self, table: &TableConfig) -> Result<Vec<Column>> {
        catalog::source_columns(self.db, table)
    }

    fn run(&mut self, id: Guid) -> Result<Run> {
        self.source_id()?;
        runs::run(self.db, id)
    }

    fn record_destination(&mut self, run_id: Guid, recorded: &Destination) -> Result<()> {
        self.db.transact("record a destination", |db| runs::write_destination(db, run_id, recorded))
    }

    fn recent_runs(&mut self, limit: u32) -> Result<Vec<Run>> {
        self.source_id()?;
        runs::recent(self.db, limit)
    }

    fn run_tables(&mut self, id: Guid) -> Result<Vec<(TableName, PackState)>> {
        let tables: Vec<(TableName, String, Option<u32>)> = self.db.query_all(
            "SELECT TableName, Status, PackNumber FROM BlobDeltaRunTable WHERE RunId = ?1 ORDER BY TableName",
            [id],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let configs = config::configured_tables(self.db)?;
        let state = |name: &TableName, status: &str, pack: Option<u32>| {
            match Status::parse(status) {
                Some(Status::Completed) => {}
                Some(Status::GivenUp) => return PackState::GivenUp,
                _ => return PackState::NotCompleted,
            }
            let marker =
                configs.iter().find(|table| table.name == *name).and_then(|table| marker::marker(self.db, table).ok());
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
        self.db.query_all(RUN_STEPS, [id], read_step)
    }

    fn watermarks(&mut self) -> Result<Vec<WatermarkRecord>> {
        self.source_id()?;
        self.db.query_all(WATERMARKS, [], |row| {
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
        })
    }

    fn unit_watermarks(&mut self) -> Result<Vec<UnitWatermarkRecord>> {
        self.db.query_all(UNIT_WATERMARKS, [], |row| {
            Ok(UnitWatermarkRecord {
                table: row.get(0)?,
                unit: row.get(1)?,
                last_high_water: row.get(2)?,
                last_run_id: row.get(3)?,
                last_run_completed_at: row.get(4)?,
            })
        })
    }

    fn pending(&mut self) -> Result<Vec<PendingRecord>> {
        self.db.query_all(PENDING, [], |row| {
            let scope: String = row.get(1)?;
            let scope = if scope.is_empty() { None } else { Some(scope.parse().map_err(broken)?) };
            Ok(PendingRecord { table: row.get(0)?, scope, keys: row.get(2)?, since: row.get::<_, Noted>(3)?.0 })
        })
    }

    fn missing_parents(&mut self, id: Guid) -> Result<Vec<MissingParentRecord>> {
        self.db.query_all(MISSING_PARENTS, [id], |row| {
            Ok(MissingParentRecord {
                table: row.get(0)?,
                stream_id: row.get(1)?,
                business_unit: row.get(2)?,
                processed: row.get(3)?,
                created_at: row.get(4)?,
            })
        })
    }

    fn bundles(&mut self, id: Guid) -> Result<Vec<BundleRecord>> {
        self.db.query_all(BUNDLES, [id], read_bundle)
    }

    fn unshipped(&mut self) -> Result<Vec<PendingShipment>> {
        self.db.query_all(UNSHIPPED, [], read_unshipped)
    }

    fn add_pending_shipment(&mut self, run_id: Guid, pack_number: u32, destination: &str) -> Result<()> {
        let unshipped = self.db.transact("note a pending shipment", |db| {
            db.execute(
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
        self.db.transact("record a shipment", |db| {
            db.execute(
                RECORD_SHIPPED,
                (
                    bundle.run_id,
                    bundle.pack_number,
                    &bundle.ship_to,
                    bundle.root_sha256.to_string(),
                    db.server_time().utc,
                ),
            )
        })?;
        Ok(())
    }

    fn pend_key(&mut self, table: &TableName, key: Guid, asked: &KeyRequest<'_>) -> Result<()> {
        let scope = asked.scope.map_or(String::new(), |scope| scope.to_string());
        let table = &self.table(table)?.name;
        self.db.transact("pend a key", |db| {
            db.execute(PEND, (table, key, asked.reason, db.server_time().utc, scope, asked.without_metadata))
        })?;
        Ok(())
    }

    fn exclude_key(&mut self, table: &TableName, key: Guid, reason: &str) -> Result<()> {
        let table = &self.table(table)?.name;
        self.db.transact("exclude a key", |db| db.execute(EXCLUDE, (table, key, reason, db.server_time().utc)))?;
        Ok(())
    }

    fn log_deletion(&mut self, table: &TableName, deletion: &Deletion) -> Result<()> {
        let table = &self.table(table)?.name;
        self.db.transact("log a deletion", |db| {
            db.execute(
                LOG_DELETION,
                (
                    table,
                    deletion.key,
                    deletion.deleted_on,
                    deletion.business_unit,
                    db.server_time().utc,
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
        columns: Vec::new(),
        remembers_content: false,
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
