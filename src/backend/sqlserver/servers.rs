//! Rule 28 on a server: its name, and the job database's guid.

use super::database::{Database, JOB_DATABASE};
use super::engine::Engine;
use super::sql::Sql;
use super::values::{RowFields, number_at, text_at};
use super::{catalog, deployed};
use crate::backend::jobs::DeployStep;
use crate::backend::servers::Servers;
use crate::error::Result;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/servers.sql");

/// One row a known server, each with where the job database stands; one row without a known server where
/// nothing was deployed.
const SERVERS: &str = statement(SQL, "servers");

pub(super) fn read_servers(db: &mut Database) -> Result<Servers> {
    if !has_servers(db)? {
        return Ok(Servers { here: db.address.to_string(), is_known: false, known: Vec::new() });
    }
    let rows = db.client.unit(|client| client.rows("read the known servers", Sql::new(SERVERS)))?;
    let mut servers = Servers { here: db.address.to_string(), is_known: false, known: Vec::new() };
    for row in &rows {
        let fields = RowFields::of(row);
        servers.here = text_at(&fields, 0)?;
        servers.is_known |= number_at::<u8>(&fields, 2)? != 0;
        servers.known.extend(fields.text(1)?.map(str::to_owned));
    }
    Ok(servers)
}

/// Whether a version that knows of servers was deployed.
fn has_servers(db: &mut Database) -> Result<bool> {
    if !catalog::has_database(&mut db.client, JOB_DATABASE)? {
        return Ok(false);
    }
    let there = Sql::new("SELECT OBJECT_ID(N'BlobDeltaJobs.dbo.BlobDeltaKnownServer', N'U')");
    let row = db.client.row("look for the known servers", there)?;
    Ok(row.map(|row| RowFields::of(&row).number(0)).transpose()?.flatten().is_some())
}

pub(super) fn note_server(db: &mut Database) -> Result<()> {
    if !has_servers(db)? {
        return Ok(());
    }
    db.client.use_database(JOB_DATABASE)?;
    let call = |client: &mut super::client::Client| {
        client.call("note the server", "dbo.usp_BlobDelta_AddServer", Vec::new(), &[])
    };
    db.client.unit(call).map(drop)
}

pub(super) fn become_another_source(engine: &mut Engine<'_>) -> Result<Vec<DeployStep>> {
    deployed::check_script(engine.db, "09_BlobDeltaJobs_Servers.sql")?;
    engine.state.known.configs.clear();
    engine.db.disk().before_commit("make a copy a source of its own")?;
    let rows =
        engine.db.client.rows("make a copy a source of its own", Sql::new("EXEC dbo.usp_BlobDelta_BecomeOwnSource"))?;
    let step = |fields: RowFields<'_>| {
        Ok(DeployStep {
            name: format!("slice {} of {}", fields.must(1, RowFields::text)?, fields.must(0, RowFields::text)?),
            outcome: text_at(&fields, 2)?,
            needs_attention: number_at::<u8>(&fields, 3)? != 0,
        })
    };
    rows.iter().map(|row| step(RowFields::of(row))).collect()
}
