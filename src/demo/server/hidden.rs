//! Rule 25 on a server that has masks and policies.

use super::ground::{DemoServer, LOGIN, SOURCE, completed, flat, refusal, run};
use super::outcome::Said;
use crate::backend::{OpenOptions, Sandbox};
use crate::error::Result;
use crate::model::id::Guid;

const RIGHTS: &str = include_str!("../../../sql/sqlserver/demo/rights.sql");

/// Logins by password are off, or refused for who they are.
const NO_LOGIN: [u32; 3] = [18452, 18456, 15118];

/// A login that may see the column carries it; one that may not is refused, and takes a table without such a column.
pub(super) fn masked(ground: &mut DemoServer<'_>) -> Result<Said> {
    let table = flat(SOURCE, "Masked")?;
    ground.carry(table.clone())?;
    let mut session = match open_login(ground) {
        Ok(Some(session)) => session,
        Ok(None) => return Ok(Said::Lacks("there are no logins here".into())),
        Err(error) if error.number_of_server().is_some_and(|number| NO_LOGIN.contains(&number)) => {
            return Ok(Said::Lacks(format!("no login by password: {}", error.what())));
        }
        Err(error) => return Err(error),
    };
    let plain = flat(SOURCE, "Plain")?;
    let mut run = |table| run(&mut *session, table, None, &ground.bundles, ground.monitor);
    completed(run(&plain.name)?)?;
    let refused = refusal(run(&table.name))?;
    Ok(Said::Done(format!("refused for another: {}", refused.what())))
}

/// A session of a login that has the rights of the account that runs, and no more.
fn open_login(ground: &mut DemoServer<'_>) -> Result<Option<Box<dyn Sandbox>>> {
    // Longer than a policy asks for, with letters of each kind.
    let password = format!("{}-Aa1", Guid::random());
    ground.session.execute_script(&format!("CREATE LOGIN {LOGIN} WITH PASSWORD = N'{password}'"))?;
    ground.execute(RIGHTS)?;
    ground.session.execute_script("USE BlobDeltaJobs")?;
    let connection = ground.stage.as_login(LOGIN, &password);
    connection.map(|connection| connection.open_sandbox(&OpenOptions::default())).transpose()
}

/// Nobody sees all rows, so the run is refused for everybody, until that is accepted by name.
pub(super) fn filtered(ground: &mut DemoServer<'_>) -> Result<Said> {
    let mut table = flat(SOURCE, "Filtered")?;
    ground.session.save_table(&table)?;
    ground.session.execute_script("USE BlobDeltaDemo; ALTER SECURITY POLICY dbo.Regions WITH (STATE = ON)")?;
    ground.session.execute_script("USE BlobDeltaJobs")?;
    let refused = refusal(ground.run(&table.name, None))?;
    table.accepted_hidden = Some(table.source.to_string());
    ground.carry(table)?;
    Ok(Said::Done(format!("refused before: {}", refused.what())))
}
