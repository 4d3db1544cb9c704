//! A server may be somebody's: nothing that has a name of the demo's may stand there when it begins, and nothing of the demo
//! when it ends.

use super::ground::{DATABASES, LOGIN};
use crate::backend::Sandbox;
use crate::demo::names;
use crate::demo::stage::DemoStage;
use crate::error::{Error, Result};
use std::time::Duration;

/// The job database, which the demo makes too.
const JOBS: &str = "BlobDeltaJobs";
/// A session that ended may hold its database for a moment.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

fn databases() -> impl Iterator<Item = &'static str> {
    [names::BLOBS, names::METADATA, names::SLICES, names::REPLAYED, JOBS].into_iter().chain(DATABASES)
}

/// Refuses a server on which something has a name of the demo's. What it finds it never drops.
///
/// # Errors
/// Usage; Database.
pub(in crate::demo) fn check_free(stage: &DemoStage) -> Result<()> {
    let mut session = stage.open_outside()?;
    for database in databases() {
        if session.ask(&format!("SELECT CONVERT(nvarchar(20), DB_ID(N'{database}'))"))?.is_some() {
            let hint = match database {
                JOBS => "it may be in use: name a server of your own for the demo".to_owned(),
                _ => format!("if an earlier demo left it: DROP DATABASE {database}; or name another server"),
            };
            let what = format!("a database {database} stands there already; the demo overwrites nothing");
            return Err(Error::usage(what).hint(hint));
        }
    }
    Ok(())
}

/// Drops what the demo made; gives what is still there.
pub(in crate::demo) fn clear(stage: &DemoStage, backup: Option<&str>) -> Vec<String> {
    let mut session = match stage.open_outside() {
        Ok(session) => session,
        Err(error) => return vec![format!("everything, because {error}")],
    };
    let mut left = Vec::new();
    for database in databases() {
        if let Err(error) = drop_database(&mut *session, database) {
            left.push(format!("database {database}: {error}"));
        }
    }
    let logins = format!("IF SUSER_ID(N'{LOGIN}') IS NOT NULL DROP LOGIN {LOGIN}");
    if let Err(error) = session.execute_script(&logins) {
        left.push(format!("login {LOGIN}: {error}"));
    }
    if let Some(path) = backup {
        left.extend(remove_backup(&mut *session, path));
    }
    left
}

fn drop_database(session: &mut dyn Sandbox, database: &str) -> Result<()> {
    let id = format!("SELECT CONVERT(nvarchar(20), DB_ID(N'{database}'))");
    // Sessions that are still in it; not every server can say so.
    let alone = format!("ALTER DATABASE {database} SET SINGLE_USER WITH ROLLBACK IMMEDIATE");
    for tried in 1.. {
        if session.ask(&id)?.is_none() {
            break;
        }
        session.execute_script(&alone).ok();
        match session.execute_script(&format!("DROP DATABASE {database}")) {
            Err(error) if tried >= TRIES => return Err(error),
            Err(_) => std::thread::sleep(PAUSE),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// The file and what msdb remembers of it. No documented statement deletes a file, so what is there is looked at afterwards.
fn remove_backup(session: &mut dyn Sandbox, path: &str) -> Option<String> {
    for database in ["BlobDeltaDemo_Delta", "BlobDeltaDemo_Restored"] {
        let history = format!("EXEC msdb.dbo.sp_delete_database_backuphistory @database_name = N'{database}'");
        session.execute_script(&history).ok();
    }
    let file = path.replace('\'', "''");
    session.execute_script(&format!("EXEC master.dbo.xp_delete_file 0, N'{file}'")).ok();
    let stands = session.execute_script(&format!("RESTORE HEADERONLY FROM DISK = N'{file}'")).is_ok();
    stands.then(|| format!("the backup {path} on the server: delete the file"))
}
