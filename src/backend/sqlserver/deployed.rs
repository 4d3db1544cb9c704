//! What of the job database is deployed.

use super::database::Database;
use super::sql::Sql;
use super::values::{RowFields, number_at, text_at};
use crate::error::Result;
use crate::scripts::{self, Script};

/// An older job database lacks what a run would need at its end, so it is refused at the beginning.
pub(super) fn check_versions(db: &mut Database) -> Result<()> {
    check_scripts(db, |script| script.is_engine)
}

/// That the job database has what a command calls that runs do not.
pub(super) fn check_script(db: &mut Database, name: &str) -> Result<()> {
    check_scripts(db, |script| script.name == name)
}

fn check_scripts(db: &mut Database, is_needed: impl Fn(&Script) -> bool) -> Result<()> {
    let sql = Sql::new("SELECT Script, Version FROM dbo.BlobDeltaSchemaVersion");
    let rows = db.client.unit(|client| client.rows("read the versions of the scripts", sql.clone()))?;
    let mut applied = Vec::new();
    for row in &rows {
        let fields = RowFields::of(row);
        applied.push((text_at(&fields, 0)?, number_at(&fields, 1)?));
    }
    for script in scripts::SQLSERVER_DEPLOY.iter().filter(|script| is_needed(script)) {
        let found = applied.iter().find(|(name, _)| name == script.name);
        script.check_applied(found.map(|(_, version)| *version))?;
    }
    Ok(())
}
