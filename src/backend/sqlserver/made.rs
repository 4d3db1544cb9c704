//! What a replay made on a server, and takes back if it fails; and whose server it is.

use super::catalog;
use super::session::{JOB_DATABASE, Session};
use super::sql::{Sql, quote};
use super::values::Fields;
use crate::backend::{JobDatabase, TargetSpec};
use crate::error::{Kind, Result};

const WHOSE: &str = include_str!("../../../sql/sqlserver/replay_whose.sql");

/// What this session made since it was opened, or since a replay ended well.
#[derive(Default)]
pub(super) struct Made {
    pub(super) databases: Vec<String>,
    pub(super) tables: Vec<TargetSpec>,
    /// The targets whose databases got a ledger.
    pub(super) ledgers: Vec<TargetSpec>,
}

impl Session {
    /// Removes what was made, where nothing has come into it. Where that is the database in use, another one is
    /// afterwards. A schema stays.
    pub(super) fn take_back(&mut self) -> Result<()> {
        let made = std::mem::take(&mut self.made);
        self.targets.clear();
        for spec in &made.tables {
            let target = format!("{}.{}", quote(&spec.target.schema), quote(&spec.target.table));
            let sql = Sql::new(format!(
                "IF NOT EXISTS (SELECT 1 FROM {target})
                    AND NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayLedger WHERE TableName = @P1)
                    AND NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayBundle WHERE TableName = @P1)
                    DROP TABLE {target};"
            ));
            let sql = sql.with(spec.here());
            let doing = "remove a table that nothing came into";
            self.in_target(spec, |session| session.client.execute(doing, sql).map(drop))?;
        }
        for spec in &made.ledgers {
            let doing = "remove a ledger that nothing came into";
            self.in_target(spec, |session| session.client.batch(doing, &drop_ledger()))?;
        }
        for database in &made.databases {
            self.remove_database(database)?;
        }
        Ok(())
    }

    fn remove_database(&mut self, name: &str) -> Result<()> {
        let doing = "remove a database that nothing came into";
        let tables = Sql::new(format!("SELECT COUNT(*) FROM {}.sys.objects WHERE type IN ('U', 'V')", quote(name)));
        let row = self.client.row(doing, tables)?;
        if row.map(|row| Fields::of(&row).must(0, Fields::number)).transpose()? != Some(0) {
            return Ok(());
        }
        if self.client.database().is_some_and(|used| used.eq_ignore_ascii_case(name)) {
            self.client.use_database("master")?;
        }
        self.client.batch(doing, &format!("DROP DATABASE {}", quote(name)))
    }

    /// The job database of this server, if there is one.
    pub(super) fn job_database(&mut self) -> Result<Vec<JobDatabase>> {
        if !self.client.unit(|client| catalog::has_database(client, JOB_DATABASE))? {
            return Ok(Vec::new());
        }
        // What this login may not see it cannot be asked for in one statement with what it may.
        let asked = self.client.unit(|client| client.rows("ask whose server this is", Sql::new(WHOSE)));
        let rows = match asked {
            Ok(rows) if !rows.is_empty() => rows,
            Err(error) if error.kind() == Kind::Cancelled => return Err(error),
            _ => return Ok(vec![JobDatabase { is_hidden: true, ..JobDatabase::default() }]),
        };
        let mut found = JobDatabase::default();
        for row in &rows {
            let fields = Fields::of(row);
            found.source_id = Some(fields.must(0, Fields::guid)?);
            if let (Some(db), Some(schema), Some(table)) = (fields.text(1)?, fields.text(2)?, fields.text(3)?) {
                found.tables.push([db, schema, table].map(str::to_owned));
            }
        }
        Ok(vec![found])
    }
}

/// Drops the tables of the ledger, where all of them are empty.
fn drop_ledger() -> String {
    let tables: Vec<&str> = super::target::SCHEMA
        .lines()
        .filter_map(|line| line.trim().strip_prefix("CREATE TABLE "))
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    let empty: Vec<String> = tables.iter().map(|table| format!("NOT EXISTS (SELECT 1 FROM {table})")).collect();
    format!("IF {}\nBEGIN\nDROP TABLE {};\nEND;", empty.join(" AND "), tables.join(", "))
}
