//! Rule 28 on the embedded instance: the folder is the server.

use super::database::Database;
use super::engine::Engine;
use super::sql::filled;
use super::{catalog, config};
use crate::backend::jobs::DeployStep;
use crate::backend::servers::Servers;
use crate::durable::folder_identity;
use crate::error::Result;
use crate::model::id::Guid;
use crate::model::table::TableConfig;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/servers.sql");
const FORGET_WATERMARKS: &str = statement(SQL, "forget_watermarks");
const TAKE_MARKER: &str = statement(SQL, "take_marker");

/// What the original did, and a copy forgets. Of what others keep by table nothing is left that a chain
/// goes on with.
const FORGOTTEN: [&str; 16] = [
    "BlobDeltaAbsentParent",
    "BlobDeltaBundle",
    "BlobDeltaBusinessUnitWatermark",
    "BlobDeltaContentAside",
    "BlobDeltaHeldBackKey",
    "BlobDeltaKnownContent",
    "BlobDeltaMissingParentsQueue",
    "BlobDeltaRunStep",
    "BlobDeltaRunTable",
    "BlobDeltaRun",
    "BlobDeltaSharedPlace",
    "BlobDeltaShippedKey",
    "BlobDeltaReportedDeletion",
    "BlobDeltaWaivedShipment",
    "BlobDeltaWindowQueue",
    "BlobDeltaKnownServer",
];

pub(super) fn read_servers(db: &Database) -> Result<Servers> {
    let here = folder_identity(&db.folder)?;
    let known: Vec<String> = match has_job_table(db, "BlobDeltaKnownServer")? {
        true => db.query_all(
            "SELECT ServerIdentity FROM BlobDeltaKnownServer ORDER BY FirstSeenAt, ServerIdentity",
            [],
            |row| row.get(0),
        )?,
        false => Vec::new(),
    };
    Ok(Servers { is_known: known.contains(&here), here, known })
}

fn has_job_table(db: &Database, name: &str) -> Result<bool> {
    db.query_one("SELECT EXISTS (SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = ?1)", [name])
}

/// Notes the folder.
pub(super) fn note_server(db: &Database) -> Result<()> {
    if !has_job_table(db, "BlobDeltaKnownServer")? {
        return Ok(());
    }
    let (here, now) = (folder_identity(&db.folder)?, db.server_time().utc);
    db.execute(
        "INSERT OR IGNORE INTO BlobDeltaKnownServer (ServerIdentity, FirstSeenAt) VALUES (?1, ?2)",
        (here, now),
    )?;
    Ok(())
}

pub(super) fn become_another_source(engine: &mut Engine<'_>) -> Result<Vec<DeployStep>> {
    let tables = config::configured_tables(engine.db)?;
    engine.state.prepared.forget_all();
    engine.db.transact("make a copy a source of its own", |db| {
        let old: Guid = db.query_one("SELECT SourceId FROM BlobDeltaSource", [])?;
        let own = Guid::random();
        let mut steps = Vec::new();
        for table in &tables {
            let outcome = mark_as_own(db, table, old, own)?;
            let needs_attention = outcome != EMPTIED && table.is_active;
            let name = format!("slice {} of {}", table.target, table.name);
            steps.push(DeployStep { name, outcome: outcome.to_owned(), needs_attention });
        }
        for table in FORGOTTEN {
            if has_job_table(db, table)? {
                db.execute(&format!("DELETE FROM {table}"), [])?;
            }
        }
        // The epoch goes on, so that whoever still works on the copy is fenced.
        db.execute(FORGET_WATERMARKS, [])?;
        db.execute("UPDATE BlobDeltaSource SET SourceId = ?1", [own])?;
        note_server(db)?;
        Ok(steps)
    })
}

fn mark_as_own(db: &Database, table: &TableConfig, old: Guid, own: Guid) -> Result<&'static str> {
    let marker = crate::model::name::TableName::new(&table.target.db, "dbo", "BlobDeltaSlice")?;
    let Ok(markers) = catalog::resolve(db, &marker) else { return Ok(NOT_THERE) };
    let marked = db.execute(&filled(TAKE_MARKER, &[("Markers", &markers)]), (&table.target.table, old, own))?;
    Ok(if marked > 0 { EMPTIED } else { NOT_OURS })
}

const EMPTIED: &str = "marked as empty: its rows were the original's";
const NOT_THERE: &str = "not there: it is made by deploy, and must not be a copy of the original's";
const NOT_OURS: &str = "left alone: no marker row says that it was the original's";
