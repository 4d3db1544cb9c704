//! [`Jobs`] on a server.

use super::client::Client;
use super::database::Database;
use super::engine::Engine;
use super::runs::{self, destination_inputs};
use super::sql::Sql;
use super::values::{RowFields, number_at, table_at, text_at};
use super::{adopted, catalog, config, deploy, deployed, servers};
use crate::backend::jobs::{
    BundleRecord, DeployStep, Jobs, KeyRequest, MissingParentRecord, PackState, PendingRecord, PendingShipment,
    StepRecord, UnitWatermarkRecord, WatermarkRecord, one_of,
};
use crate::backend::servers::{AdoptedBundle, ChainRecord, Handed, Servers};
use crate::backend::slices::Slices as _;
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

const SQL: &str = include_str!("../../../sql/sqlserver/jobs.sql");
const RUN_STEPS: &str = statement(SQL, "run_steps");
const WATERMARKS: &str = statement(SQL, "watermarks");
const UNIT_WATERMARKS: &str = statement(SQL, "unit_watermarks");
const PENDING: &str = statement(SQL, "pending");
const MISSING_PARENTS: &str = statement(SQL, "missing_parents");
const BUNDLES: &str = statement(SQL, "bundles");
const UNSHIPPED: &str = statement(SQL, "unshipped");
const PEND_ANEW: &str = statement(SQL, "pend_anew");
const PEND: &str = statement(SQL, "pend");
const EXCLUDE_ANEW: &str = statement(SQL, "exclude_anew");
const EXCLUDE: &str = statement(SQL, "exclude");
const LOG_DELETION: &str = statement(SQL, "log_deletion");

/// A session that replays has no job database, and one before `deploy` no function yet.
const NOW: &str = statement(SQL, "now");

impl Jobs for Engine<'_> {
    fn describe(&mut self) -> String {
        self.db.address.to_string()
    }

    fn now(&mut self) -> Result<ServerTime> {
        let row = self.db.client.unit(|client| client.row("read the clock", Sql::new(NOW)))?;
        let row = row.ok_or_else(|| Error::internal("the server's clock gave nothing"))?;
        let fields = RowFields::of(&row);
        Ok(ServerTime { utc: fields.must(0, RowFields::time)?, local: fields.must(1, RowFields::time)? })
    }

    fn deploy(&mut self) -> Result<Vec<DeployStep>> {
        deploy::deploy_all(self)
    }

    fn servers(&mut self) -> Result<Servers> {
        servers::read_servers(self.db)
    }

    fn add_server(&mut self) -> Result<()> {
        servers::note_server(self.db)
    }

    fn become_own_source(&mut self) -> Result<Vec<DeployStep>> {
        self.source_id()?;
        servers::become_another_source(self)
    }

    fn chain_records(&mut self, table: &TableName, scope: Scope) -> Result<Vec<ChainRecord>> {
        adopted::read_chain(self.db, table, scope)
    }

    fn adopt_bundles(&mut self, table: &TableName, scope: Scope, bundles: &[AdoptedBundle]) -> Result<()> {
        adopted::adopt_all(self.db, table, scope, bundles)
    }

    fn adopt_keys(&mut self, table: &TableName, scope: Scope, handed: Handed, keys: &[(Guid, Version)]) -> Result<()> {
        adopted::keep_adopted(self.db, table, scope, handed, keys)
    }

    fn check_deployed(&mut self) -> Result<()> {
        self.source_id()?;
        deployed::check_versions(self.db)
    }

    fn source_id(&mut self) -> Result<Guid> {
        let sql = "SELECT SourceId FROM dbo.BlobDeltaSource";
        let found = self.db.client.unit(|client| client.row("read the source's identity", Sql::new(sql)));
        let row = found.map_err(|error| not_deployed(self.db, error))?;
        row.map(|row| RowFields::of(&row).must(0, RowFields::guid)).unwrap_or_else(|| {
            Err(Error::config("the job database has no identity").hint("run deploy, which gives it one"))
        })
    }

    fn tables(&mut self) -> Result<Vec<TableConfig>> {
        self.state.known.configs.clear();
        config::configured_tables(self.db).map_err(|error| not_deployed(self.db, error))
    }

    fn table(&mut self, name: &TableName) -> Result<TableConfig> {
        self.state.known.configs.remove(name);
        match config::configured_table(self.db, name).map_err(|error| not_deployed(self.db, error))? {
            Some(table) => {
                self.state.known.configs.insert(name.clone(), table.clone());
                Ok(table)
            }
            None => one_of(self.tables()?, name),
        }
    }

    fn save_table(&mut self, table: &TableConfig) -> Result<()> {
        table.check()?;
        let before = self.tables()?.into_iter().find(|config| config.name == table.name);
        config::write_config(self, table)?;
        if table.only_stops(before.as_ref()) {
            return Ok(());
        }
        match deploy::make_slice(self, table) {
            Ok(_) => Ok(()),
            Err(error) => Err(match config::restore_config(self, &table.name, before.as_ref()) {
                Ok(()) => error,
                // What failed first says more.
                Err(_) => {
                    error.hint("correct or remove its row in BlobDeltaTableConfig, which could not be taken back")
                }
            }),
        }
    }

    fn refresh_slice(&mut self, table: &TableConfig) -> Result<()> {
        deploy::refresh_slice(self, table)
    }

    fn source_columns(&mut self, table: &TableConfig) -> Result<Vec<Column>> {
        let known = &mut self.state.known;
        let mut columns = known.columns_of_run(&mut self.db.client, &table.source, &table.excluded_columns)?;
        table.spell(&mut columns);
        if table.metadata_columns.is_empty() {
            return Ok(columns);
        }
        let metadata = catalog::columns_of(&mut self.db.client, &table.metadata, &table.metadata_columns)?;
        table.with_metadata_columns(columns, &metadata)
    }

    fn run(&mut self, id: Guid) -> Result<Run> {
        let found = runs::read_runs(self.db, Sql::new("WHERE RunId = ").bind(id), "")?.into_iter().next();
        found.ok_or_else(|| Error::usage("there is no such run").run(id).hint("status lists the runs"))
    }

    fn record_destination(&mut self, run_id: Guid, recorded: &Destination) -> Result<()> {
        let doing = "record a destination";
        self.db.disk().before_commit(doing)?;
        let record = |client: &mut Client| {
            let inputs = [("RunId", run_id.into())].into_iter().chain(destination_inputs(Some(recorded))).collect();
            client.call(doing, "dbo.usp_BlobDelta_RecordDestination", inputs, &[])
        };
        self.db.client.unit(record).map(drop)
    }

    fn recent_runs(&mut self, limit: u32) -> Result<Vec<Run>> {
        let order = Sql::new("ORDER BY RunStartedAt DESC, RunId");
        runs::read_runs(self.db, order, &format!("TOP ({limit})")).map_err(|error| not_deployed(self.db, error))
    }

    fn run_tables(&mut self, id: Guid) -> Result<Vec<(TableName, PackState)>> {
        let sql =
            "SELECT TableName, Status, PackNumber FROM dbo.BlobDeltaRunTable WHERE RunId = @P1 ORDER BY TableName";
        let found = self.db.list("read the tables of a run", &Sql::new(sql).with(id), |fields| {
            let status = Status::parse(fields.must(1, RowFields::text)?);
            let pack = fields.number(2)?.and_then(|number| u32::try_from(number).ok());
            Ok((table_at(fields, 0)?, status, pack))
        })?;
        let mut states = Vec::new();
        for (name, status, pack) in found {
            let state = match status {
                Some(Status::Completed) => pack_state(self, id, &name, pack),
                Some(Status::GivenUp) => PackState::GivenUp,
                _ => PackState::NotCompleted,
            };
            states.push((name, state));
        }
        Ok(states)
    }

    fn run_steps(&mut self, id: Guid) -> Result<Vec<StepRecord>> {
        self.db.list("read the steps of a run", &Sql::new(RUN_STEPS).with(id), |fields| {
            Ok(StepRecord {
                table: table_at(fields, 0)?,
                step: number_at(fields, 1)?,
                batch: number_at(fields, 2)?,
                rows_processed: number_at(fields, 3)?,
                total_rows_processed: number_at(fields, 4)?,
                window_start: fields.time(5)?,
                window_end: fields.time(6)?,
                started_at: fields.must(7, RowFields::time)?,
                completed_at: fields.time(8)?,
                status: text_at(fields, 9)?,
                error: fields.text(10)?.map(str::to_owned),
            })
        })
    }

    fn watermarks(&mut self) -> Result<Vec<WatermarkRecord>> {
        let watermarks = self.db.list("read the watermarks", &Sql::new(WATERMARKS), |fields| {
            Ok(WatermarkRecord {
                table: table_at(fields, 0)?,
                last_high_water: fields.time(1)?,
                last_run_id: fields.guid(2)?,
                last_run_completed_at: fields.time(3)?,
                is_initial_full_load_done: number_at::<u8>(fields, 4)? != 0,
                is_running: number_at::<u8>(fields, 5)? != 0,
                lease_expires_at: fields.time(6)?,
                lease_run_id: fields.guid(7)?,
                lease_epoch: number_at(fields, 8)?,
            })
        });
        watermarks.map_err(|error| not_deployed(self.db, error))
    }

    fn unit_watermarks(&mut self) -> Result<Vec<UnitWatermarkRecord>> {
        self.db.list("read the watermarks of business units", &Sql::new(UNIT_WATERMARKS), |fields| {
            Ok(UnitWatermarkRecord {
                table: table_at(fields, 0)?,
                unit: fields.must(1, RowFields::guid)?,
                last_high_water: fields.must(2, RowFields::time)?,
                last_run_id: fields.guid(3)?,
                last_run_completed_at: fields.time(4)?,
            })
        })
    }

    fn pending(&mut self) -> Result<Vec<PendingRecord>> {
        self.db.list("count the keys that wait", &Sql::new(PENDING), |fields| {
            let scope = fields.must(1, RowFields::text)?;
            Ok(PendingRecord {
                table: table_at(fields, 0)?,
                scope: if scope.is_empty() { None } else { Some(scope.parse()?) },
                keys: number_at(fields, 2)?,
                since: Some(fields.must(3, RowFields::time)?),
            })
        })
    }

    fn missing_parents(&mut self, id: Guid) -> Result<Vec<MissingParentRecord>> {
        self.db.list("read the missing parents", &Sql::new(MISSING_PARENTS).with(id), |fields| {
            Ok(MissingParentRecord {
                table: table_at(fields, 0)?,
                stream_id: fields.must(1, RowFields::guid)?,
                business_unit: fields.guid(2)?,
                processed: number_at::<u8>(fields, 3)? != 0,
                created_at: fields.must(4, RowFields::time)?,
            })
        })
    }

    fn bundles(&mut self, id: Guid) -> Result<Vec<BundleRecord>> {
        self.db.list("read the bundles of a run", &Sql::new(BUNDLES).with(id), |fields| {
            Ok(BundleRecord {
                columns: Vec::new(),
                remembers_content: false,
                run_id: fields.must(0, RowFields::guid)?,
                table: table_at(fields, 1)?,
                pack_number: number_at(fields, 2)?,
                scope: fields.must(3, RowFields::text)?.parse()?,
                root_sha256: Sha256::parse(fields.must(4, RowFields::text)?)?,
                previous_root_sha256: fields.text(5)?.map(Sha256::parse).transpose()?,
                name: text_at(fields, 6)?,
                folder: text_at(fields, 7)?,
                published_at: fields.must(8, RowFields::time)?,
                ship_to: fields.text(9)?.map(str::to_owned),
                shipped_at: fields.time(10)?,
            })
        })
    }

    fn unshipped(&mut self) -> Result<Vec<PendingShipment>> {
        self.db.list("read what is still to be shipped", &Sql::new(UNSHIPPED), |fields| {
            Ok(PendingShipment {
                run_id: fields.must(0, RowFields::guid)?,
                pack_number: number_at(fields, 1)?,
                root_sha256: Sha256::parse(fields.must(2, RowFields::text)?)?,
                name: text_at(fields, 3)?,
                folder: text_at(fields, 4)?,
                ship_to: text_at(fields, 5)?,
            })
        })
    }

    fn add_pending_shipment(&mut self, run_id: Guid, pack_number: u32, destination: &str) -> Result<()> {
        let inputs =
            || vec![("RunId", run_id.into()), ("PackNumber", pack_number.into()), ("ShipTo", destination.into())];
        let add = |client: &mut Client| {
            client.call("note a pending shipment", "dbo.usp_BlobDelta_OweShipment", inputs(), &[])
        };
        self.db.client.unit(add).map(drop)
    }

    fn record_shipped(&mut self, bundle: &PendingShipment) -> Result<()> {
        let inputs = || {
            vec![
                ("RunId", bundle.run_id.into()),
                ("PackNumber", bundle.pack_number.into()),
                ("ShipTo", (&bundle.ship_to).into()),
                ("RootSha256", bundle.root_sha256.to_string().into()),
            ]
        };
        self.db.disk().before_commit("record a shipment")?;
        let record =
            |client: &mut Client| client.call("record a shipment", "dbo.usp_BlobDelta_RecordShipment", inputs(), &[]);
        self.db.client.unit(record).map(drop)
    }

    fn pend_key(&mut self, table: &TableName, key: Guid, asked: &KeyRequest<'_>) -> Result<()> {
        let table = &self.table(table)?.name;
        let scope = asked.scope.map_or_else(String::new, |scope| scope.to_string());
        let of = |text: &str| Sql::new(text).with(table).with(scope.clone()).with(key);
        let update = of(PEND_ANEW).with(asked.reason).with(asked.without_metadata);
        let insert = of(PEND).with(asked.reason).with(asked.without_metadata);
        note_key(self.db, &update, &insert)
    }

    fn exclude_key(&mut self, table: &TableName, key: Guid, reason: &str) -> Result<()> {
        let table = &self.table(table)?.name;
        let of = |text: &str| Sql::new(text).with(table).with(key).with(reason);
        note_key(self.db, &of(EXCLUDE_ANEW), &of(EXCLUDE))
    }

    fn log_deletion(&mut self, table: &TableName, deletion: &Deletion) -> Result<()> {
        let table = &self.table(table)?.name;
        let values = vec![
            ("Table", table.into()),
            ("Key", deletion.key.into()),
            ("DeletedOn", deletion.deleted_on.into()),
            ("BusinessUnit", deletion.business_unit.into()),
            ("Reason", deletion.reason.as_str().into()),
        ];
        let sql = Sql::bound(LOG_DELETION, values);
        self.db.client.unit(|client| client.execute("log a deletion", sql.clone())).map(drop)
    }
}

fn pack_state(engine: &mut Engine<'_>, id: Guid, table: &TableName, pack: Option<u32>) -> PackState {
    let marker = config::config(engine, table).and_then(|config| engine.slice_marker(&config)).ok();
    match (marker.filter(|marker| marker.run_id == Some(id)).map(|marker| marker.state), pack) {
        (Some(SliceState::Packed), Some(number)) => PackState::Packed(number),
        (Some(SliceState::Complete), _) => PackState::Unpacked,
        _ => PackState::SliceGone,
    }
}

/// The entry of a key is changed where it has one, and else made.
fn note_key(db: &mut Database, update: &Sql<'_>, insert: &Sql<'_>) -> Result<()> {
    let doing = "note a key";
    db.client.transact(doing, |client| {
        if client.execute(doing, update.clone())? == 0 {
            client.execute(doing, insert.clone())?;
        }
        Ok(())
    })
}

/// Without the tables of the job database nothing else can be said. What keeps the program from
/// the server is said as it is.
fn not_deployed(db: &Database, error: Error) -> Error {
    if error.kind() != Kind::Database || !db.client.is_linked() {
        return error;
    }
    Error::config("the job database cannot be read").caused_by(error).hint("run deploy first, or doctor")
}
