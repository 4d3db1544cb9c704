//! [`Upkeep`] on a server.

use super::client::Client;
use super::database::Database;
use super::engine::Engine;
use super::sql::{Sql, literal, quote};
use super::values::{RowFields, number_at};
use super::{deletion_script, deployed, template};
use crate::backend::deletion_script::DeletionSource;
use crate::backend::prune::{PrunedTable, Retention};
use crate::backend::upkeep::{Advice, BackupRecord, Severity, Upkeep};
use crate::error::{Error, Result};
use crate::model::run::Fence;
use crate::model::table::TableConfig;
use crate::scripts::statement::statement;
use std::time::Duration;

const SQL: &str = include_str!("../../../sql/sqlserver/upkeep.sql");
const EDITION_WITH_BACKUP: &str = statement(SQL, "edition_with_backup");
const BACKUP_RIGHTS: &str = statement(SQL, "backup_rights");
const MANAGED_KEYS: &str = statement(SQL, "managed_keys");
const IS_COMPRESSING: &str = statement(SQL, "is_compressing");
const BACKUP_SIZE: &str = statement(SQL, "backup_size");

const POLL: Duration = Duration::from_millis(500);

fn advice(fields: &RowFields<'_>) -> Result<Advice> {
    let severity = fields.must(0, RowFields::text)?;
    Ok(Advice {
        severity: Severity::parse(severity)
            .ok_or_else(|| Error::internal(format!("the doctor says {severity:?}, which is no severity")))?,
        subject: fields.must(1, RowFields::text)?.to_owned(),
        finding: fields.must(2, RowFields::text)?.to_owned(),
        what_to_do: fields.text(3)?.map(str::to_owned),
    })
}

impl Upkeep for Engine<'_> {
    fn limit_memory(&mut self, bytes: u64) -> Result<()> {
        self.db.read_ahead_bytes = bytes;
        Ok(())
    }

    fn doctor(&mut self) -> Result<Vec<Advice>> {
        deployed::check_script(self.db, "07_BlobDeltaJobs_Doctor.sql")?;
        let rows = self.db.client.rows("look at the deployment", Sql::new("EXEC dbo.usp_BlobDelta_Doctor"));
        let rows = rows.map_err(|error| self.db.name_script(error))?;
        let mut found: Vec<Advice> = rows.iter().map(|row| advice(&RowFields::of(row))).collect::<Result<_>>()?;
        found.extend(template::changed_templates(self.db)?);
        Ok(found)
    }

    fn look_at_data(&mut self, table: &TableConfig) -> Result<Vec<Advice>> {
        // Its script is not needed for anything else, so that a server may be without it.
        if deployed::check_script(self.db, "07_BlobDeltaJobs_Doctor.sql").is_err() {
            return Ok(Vec::new());
        }
        let sql = Sql::new("EXEC dbo.usp_BlobDelta_LookAtSamples ").bind(&table.name);
        let rows = self.db.client.rows("look at the data", sql).map_err(|error| error.table(&table.name))?;
        rows.iter().map(|row| advice(&RowFields::of(row))).collect()
    }

    fn deletion_script(&mut self, table: &TableConfig, from: &DeletionSource) -> Result<String> {
        deletion_script::script(self.db, table, from)
    }

    fn check_backup(&mut self, databases: &[String], place: &str) -> Result<()> {
        let edition = edition_with_backup(self.db)?;
        if edition == MANAGED_INSTANCE && !place.starts_with("https://") {
            return Err(Error::config("a managed instance backs up only to Azure Blob Storage, not to a file")
                .hint("name a container: --backup-slice https://ACCOUNT.blob.core.windows.net/CONTAINER, with a credential of that name"));
        }
        for database in databases {
            check_backup_rights(self.db, database)?;
            if edition == MANAGED_INSTANCE {
                check_encryption(self.db, database)?;
            }
        }
        Ok(())
    }

    fn backup(
        &mut self,
        fences: &[Fence],
        database: &str,
        path: &str,
        progress: &mut dyn FnMut(u8),
    ) -> Result<BackupRecord> {
        for fence in fences {
            let inputs = vec![
                ("RunId", fence.run_id.into()),
                ("TableName", (&fence.table).into()),
                ("LeaseEpoch", fence.epoch.into()),
            ];
            self.db.client.call("check the slice", "dbo.usp_BlobDelta_PassSlice", inputs, &[])?;
        }
        let started_at = utc_now(self.db)?;
        // BACKUP says nothing until it ends, and may take a day.
        let mut worker = self.db.another(None)?;
        let session = worker.session_id()?;
        let stripes = stripes(path, if is_url(path) { data_bytes(self.db, database)? } else { 0 });
        let (write, check) = statements(database, &stripes, compresses(self.db)?);
        let client = &mut self.db.client;
        std::thread::scope(|scope| {
            let work = scope.spawn(move || {
                worker.batch("back up the slice", &write)?;
                worker.batch("verify the backup", &check)
            });
            while !work.is_finished() {
                std::thread::sleep(POLL);
                if let Some(percent) = percent_complete(client, session) {
                    progress(percent);
                }
            }
            work.join().unwrap_or_else(|_| Err(Error::internal("the backup's thread ended in a panic")))
        })?;
        let completed_at = utc_now(self.db)?;
        let (bytes, file_bytes) = sizes(self.db, database)?;
        Ok(BackupRecord {
            database: database.into(),
            path: stripes.join(", "),
            started_at,
            completed_at,
            bytes,
            file_bytes,
        })
    }

    fn prune(&mut self, retention: &Retention, plan: bool) -> Result<Vec<PrunedTable>> {
        retention.check()?;
        deployed::check_script(self.db, "08_BlobDeltaJobs_Prune.sql")?;
        let sql = Sql::new("EXEC dbo.usp_BlobDelta_Prune @KeepRuns = ")
            .bind(retention.keep_runs.map(i64::from))
            .then(", @KeepDays = ")
            .bind(retention.keep_days.map(i64::from))
            .then(", @PlanOnly = ")
            .bind(i64::from(plan));
        // What it did before an error stands, so it may be asked again.
        let rows = self.db.client.unit(|client| client.rows("prune the job database", sql.clone()))?;
        let pruned = |fields: RowFields<'_>| {
            Ok(PrunedTable {
                table: fields.must(0, RowFields::text)?.to_owned(),
                rows: number_at(&fields, 1)?,
                removed: number_at(&fields, 2)?,
            })
        };
        rows.iter().map(|row| pruned(RowFields::of(row))).collect()
    }
}

/// SERVERPROPERTY, EngineEdition.
const MANAGED_INSTANCE: i64 = 8;

/// A blob has 195 GiB at most, and a stripe is one; some room is left for what a backup adds
/// (<https://learn.microsoft.com/azure/azure-sql/managed-instance/transact-sql-tsql-differences-sql-server>).
const STRIPE_BYTES: u64 = 180 << 30;

/// A server writes to so many at once.
const STRIPES_MAX: u64 = 64;

fn is_url(path: &str) -> bool {
    path.starts_with("https://")
}

/// Where a backup of so many bytes goes: the path itself, or numbered ones beside it.
fn stripes(path: &str, bytes: u64) -> Vec<String> {
    let count = (bytes / STRIPE_BYTES + 1).min(STRIPES_MAX);
    let stem = path.strip_suffix(".bak").unwrap_or(path);
    match count {
        1 => vec![path.to_owned()],
        _ => (1..=count).map(|nth| format!("{stem}-{nth}of{count}.bak")).collect(),
    }
}

/// BACKUP, and RESTORE VERIFYONLY, of all stripes. A managed instance writes to URLs alone.
fn statements(database: &str, stripes: &[String], compresses: bool) -> (String, String) {
    let compression = if compresses { "COMPRESSION, " } else { "" };
    let place = |path: &String| format!("{} = {}", if is_url(path) { "URL" } else { "DISK" }, literal(path));
    let places = stripes.iter().map(place).collect::<Vec<_>>().join(", ");
    (
        format!(
            "BACKUP DATABASE {} TO {places} WITH COPY_ONLY, CHECKSUM, {compression}FORMAT, STATS = 5",
            quote(database)
        ),
        format!("RESTORE VERIFYONLY FROM {places} WITH CHECKSUM, STOP_ON_ERROR"),
    )
}

/// What the server says of a running backup; nothing, where the login may not look.
fn percent_complete(client: &mut Client, session: i64) -> Option<u8> {
    let sql =
        Sql::new("SELECT CONVERT(int, percent_complete) FROM sys.dm_exec_requests WHERE session_id = ").bind(session);
    let row = client.row("ask how far the backup is", sql).ok()??;
    u8::try_from(RowFields::of(&row).number(0).ok()??).ok()
}

fn utc_now(db: &mut Database) -> Result<crate::model::time::Timestamp> {
    let row = db.client.row("read the clock", Sql::new("SELECT SYSUTCDATETIME()"))?;
    let row = row.ok_or_else(|| Error::internal("the server's clock gave nothing"))?;
    RowFields::of(&row).must(0, RowFields::time)
}

/// Editions that have BACKUP: 2 Standard, 3 Enterprise, 4 Express, 8 Managed Instance
/// (SERVERPROPERTY, EngineEdition); those that only speak the language have no history.
fn edition_with_backup(db: &mut Database) -> Result<i64> {
    let row = db.client.row("ask whether the server has BACKUP", Sql::new(EDITION_WITH_BACKUP))?;
    match row.map(|row| RowFields::of(&row).number(0)).transpose()?.flatten() {
        Some(edition) => Ok(edition),
        _ => Err(Error::config("this server has no BACKUP, or this login may not see its history in msdb")
            .hint("leave --backup-slice out: the bundle holds the same rows, and schema/ in it the tables' DDL")),
    }
}

/// BACKUP needs its own right in the slice's database, RESTORE VERIFYONLY that to make one
/// (<https://learn.microsoft.com/sql/t-sql/statements/restore-statements-verifyonly-transact-sql>).
fn check_backup_rights(db: &mut Database, database: &str) -> Result<()> {
    let sql = Sql::new(BACKUP_RIGHTS).with(database);
    let Some(row) = db.client.row("ask for the rights to back up", sql)? else { return Ok(()) };
    let fields = RowFields::of(&row);
    let login = fields.text(2)?.unwrap_or("LOGIN");
    if fields.number(0)? != Some(1) {
        return Err(Error::config(format!("this login may not back up {database}"))
            .hint(format!("USE {}; GRANT BACKUP DATABASE TO {login}", quote(database))));
    }
    if fields.number(1)? != Some(1) {
        return Err(Error::config(
            "this login may not verify a backup: RESTORE VERIFYONLY needs the right to make databases",
        )
        .hint(format!("USE master; GRANT CREATE ANY DATABASE TO {login}")));
    }
    Ok(())
}

/// Under a key that the service manages, a managed instance refuses COPY_ONLY (error 41922). Who may not look is
/// told by the server itself, later.
fn check_encryption(db: &mut Database, database: &str) -> Result<()> {
    let sql = Sql::new(MANAGED_KEYS).with(database);
    let row = db.client.row("ask for the encryption of a database", sql).ok().flatten();
    match row.map(|row| RowFields::of(&row).number(0)).transpose()?.flatten() {
        Some(keys) if keys > 0 => Err(Error::config(format!(
            "{database} is encrypted with a key that the service manages, and a managed instance backs up no such database"
        ))
        .hint(format!("ALTER DATABASE {} SET ENCRYPTION OFF, or encrypt it with a key of your own; or leave --backup-slice out", quote(database)))),
        _ => Ok(()),
    }
}

/// Express (4) and Web have no compression of backups.
fn compresses(db: &mut Database) -> Result<bool> {
    let sql = Sql::new(IS_COMPRESSING);
    let row = db.client.row("ask for the server's edition", sql)?;
    Ok(row.map(|row| RowFields::of(&row).number(0)).transpose()?.flatten() == Some(1))
}

/// What its files have, those of the log left out: no backup of it is larger.
fn data_bytes(db: &mut Database, database: &str) -> Result<u64> {
    let sql = format!(
        "SELECT SUM(CONVERT(bigint, f.size)) * 8192 AS DataBytes FROM {}.sys.database_files AS f WHERE f.type <> 1",
        quote(database)
    );
    let row = db.client.row("ask for the size of a database", Sql::new(sql))?;
    let bytes = row.map(|row| RowFields::of(&row).number(0)).transpose()?.flatten();
    Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
}

fn sizes(db: &mut Database, database: &str) -> Result<(Option<u64>, Option<u64>)> {
    let sql = Sql::new(BACKUP_SIZE).with(database);
    let Some(row) = db.client.row("read the backup's history", sql)? else { return Ok((None, None)) };
    let fields = RowFields::of(&row);
    let size = |at| Ok::<_, Error>(fields.number(at)?.and_then(|size| u64::try_from(size).ok()));
    Ok((size(0)?, size(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_a_copy_that_breaks_no_chain_of_the_dbas() {
        let (write, check) = statements("S]x", &stripes("D:\\it's.bak", 0), true);
        assert_eq!(
            write,
            "BACKUP DATABASE [S]]x] TO DISK = N'D:\\it''s.bak' WITH COPY_ONLY, CHECKSUM, COMPRESSION, FORMAT, STATS = 5"
        );
        assert_eq!(check, "RESTORE VERIFYONLY FROM DISK = N'D:\\it''s.bak' WITH CHECKSUM, STOP_ON_ERROR");
        let (write, _) = statements("S", &stripes("https://a/b.bak", STRIPE_BYTES - 1), false);
        assert!(write.contains("TO URL = N'https://a/b.bak' WITH COPY_ONLY, CHECKSUM, FORMAT"), "{write}");
    }

    #[test]
    fn a_backup_to_urls_has_as_many_stripes_as_its_size_needs() {
        let (write, check) = statements("S", &stripes("https://a/b.bak", STRIPE_BYTES), true);
        let both = "URL = N'https://a/b-1of2.bak', URL = N'https://a/b-2of2.bak'";
        assert!(write.contains(&format!("TO {both} WITH COPY_ONLY")), "{write}");
        assert!(check.contains(&format!("FROM {both} WITH CHECKSUM")), "{check}");
        assert_eq!(stripes("https://a/b.bak", u64::MAX).len(), 64);
    }
}
