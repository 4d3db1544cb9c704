//! `deploy`: the scripts of the job database, batch by batch as sqlcmd runs them, and the slices.

use super::catalog;
use super::jobs::{number_at, text_at};
use super::session::{JOB_DATABASE, Session};
use super::sql::Sql;
use super::values::Fields;
use crate::backend::jobs::DeployStep;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Sha256;
use crate::model::table::TableConfig;
use crate::scripts::{self, Script};

impl Session {
    pub(super) fn deploy_all(&mut self) -> Result<Vec<DeployStep>> {
        if self.options.main_database != JOB_DATABASE {
            return Err(Error::internal("a job database is deployed in its own session"));
        }
        // All versions first: a newer one is refused before anything is changed.
        let mut applied = Vec::new();
        for script in scripts::SQLSERVER_DEPLOY {
            applied.push(self.applied_version(&script)?);
        }
        let servers = self.read_servers()?;
        if !servers.known.is_empty() {
            servers.check()?;
        }
        let mut steps = Vec::new();
        for (script, before) in scripts::SQLSERVER_DEPLOY.iter().zip(applied) {
            steps.push(self.apply_script(script, before)?);
        }
        self.client.use_database(JOB_DATABASE)?;
        self.known.clear();
        for table in self.configured_tables()? {
            steps.push(self.deploy_slice(&table));
        }
        Ok(steps)
    }

    fn applied_version(&mut self, script: &Script) -> Result<Option<u32>> {
        if !catalog::has_database(&mut self.client, JOB_DATABASE)? {
            return Ok(None);
        }
        self.client.use_database(JOB_DATABASE)?;
        let there = Sql::new("SELECT OBJECT_ID(N'dbo.BlobDeltaSchemaVersion', N'U')");
        let row = self.client.row("look for the versions of the scripts", there)?;
        if row.map(|row| Fields::of(&row).number(0)).transpose()?.flatten().is_none() {
            return Ok(None);
        }
        let sql = Sql::new("SELECT Version FROM dbo.BlobDeltaSchemaVersion WHERE Script = ").bind(script.name);
        let Some(row) = self.client.row("read the version of a script", sql)? else { return Ok(None) };
        let version = u32::try_from(Fields::of(&row).must(0, Fields::number)?).unwrap_or(u32::MAX);
        if version > script.version {
            let text = format!(
                "the job database was deployed by a newer version ({version} of {}, this program has {})",
                script.name, script.version
            );
            return Err(Error::config(text).hint("use the newer program; nothing was changed"));
        }
        Ok(Some(version))
    }

    /// An older job database lacks what a run would need at its end, so it is refused at the beginning.
    pub(super) fn check_versions(&mut self) -> Result<()> {
        self.check_scripts(|script| script.is_engine)
    }

    /// That the job database has what a command calls that runs do not.
    pub(super) fn check_script(&mut self, name: &str) -> Result<()> {
        self.check_scripts(|script| script.name == name)
    }

    fn check_scripts(&mut self, is_needed: impl Fn(&Script) -> bool) -> Result<()> {
        let sql = Sql::new("SELECT Script, Version FROM dbo.BlobDeltaSchemaVersion");
        let rows = self.client.unit(|client| client.rows("read the versions of the scripts", sql.clone()))?;
        let mut applied = Vec::new();
        for row in &rows {
            let fields = Fields::of(row);
            applied.push((text_at(&fields, 0)?, number_at(&fields, 1)?));
        }
        for script in scripts::SQLSERVER_DEPLOY.iter().filter(|script| is_needed(script)) {
            let found = applied.iter().find(|(name, _)| name == script.name);
            script.check_applied(found.map(|(_, version)| *version))?;
        }
        Ok(())
    }

    fn apply_script(&mut self, script: &Script, before: Option<u32>) -> Result<DeployStep> {
        for batch in script.batches() {
            self.client.batch("apply a script", batch.text).map_err(|error| {
                let place = format!("{}, batch from line {}", script.name, batch.line);
                let error = error.file(&place);
                if error.what_to_do().is_some() {
                    return error;
                }
                error.hint("have the right granted that is missing, then run deploy again: it goes on where it was")
            })?;
        }
        let sha256 = Sha256::of(script.text.as_bytes()).to_string();
        let record = Sql::new("UPDATE dbo.BlobDeltaSchemaVersion SET Sha256 = ")
            .bind(&sha256)
            .then(" WHERE Script = ")
            .bind(script.name);
        if self.client.execute("record a script", record)? != 1 {
            return Err(Error::new(Kind::Internal, "a script did not record its version").file(script.name));
        }
        let outcome = match before {
            None => "applied",
            Some(before) if before < script.version => "upgraded",
            Some(_) => "applied again",
        };
        Ok(DeployStep { name: script.name.into(), outcome: outcome.into(), needs_attention: false })
    }

    fn deploy_slice(&mut self, table: &TableConfig) -> DeployStep {
        let name = format!("slice {} of {}", table.target, table.name);
        let (outcome, needs_attention) = match self.make_slice(table) {
            Ok(outcome) => (outcome, false),
            Err(_) if !table.is_active => ("left alone: the table is not active".to_owned(), false),
            Err(error) => (format!("not marked: {error}"), true),
        };
        DeployStep { name, outcome, needs_attention }
    }

    /// Makes slice database, table and marker row where they are missing.
    pub(super) fn make_slice(&mut self, table: &TableConfig) -> Result<String> {
        self.columns.remove(&table.target);
        self.forget_catalogs();
        let row = self.client.unit(|client| {
            let inputs = vec![("TableName", (&table.name).into())];
            client.call("make the slice", "dbo.usp_BlobDelta_MakeSlice", inputs, &[("Outcome", "nvarchar(100)")])
        });
        let row = row.map_err(|error| {
            // The procedure goes to the slice's database. There are servers that stay where it failed.
            if let Some(home) = self.client.database().map(str::to_owned) {
                let _ = self.client.use_database(&home);
            }
            error.table(&table.name)
        })?;
        let outcome = row.map(|row| Fields::of(&row).text(0).map(|text| text.unwrap_or("made").to_owned()));
        outcome.transpose().map(Option::unwrap_or_default)
    }
}
