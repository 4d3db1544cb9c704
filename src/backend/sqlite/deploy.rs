//! `deploy`: the job database and the marker rows of the slices.

use super::session::{JOB_DATABASE, Session, failed};
use crate::backend::jobs::DeployStep;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::table::TableConfig;
use crate::scripts::{self, Script};
use rusqlite::ToSql;

impl Session {
    pub(super) fn deploy_all(&mut self) -> Result<Vec<DeployStep>> {
        if !self.options.main_database.eq_ignore_ascii_case(JOB_DATABASE) {
            return Err(Error::internal("a job database is deployed in its own session"));
        }
        let servers = self.read_servers()?;
        if !servers.known.is_empty() {
            servers.check()?;
        }
        let mut steps = Vec::new();
        for script in scripts::SQLITE_DEPLOY {
            steps.push(self.transact("deploy a script", |session| session.apply_script(&script))?);
        }
        let renewed = self.transact("deploy the templates", |session| {
            session.seed_templates()?;
            session.renew_templates()
        })?;
        if !renewed.is_empty() {
            let outcome = format!("replaced, for nobody had changed them: {}", renewed.join(", "));
            steps.push(DeployStep { name: "templates".into(), outcome, needs_attention: false });
        }
        self.execute("INSERT OR IGNORE INTO BlobDeltaSource (OnlyRow, SourceId) VALUES (1, ?1)", [Guid::random()])?;
        self.note_server()?;
        for table in self.configured_tables()? {
            steps.push(self.deploy_slice(&table));
        }
        Ok(steps)
    }

    fn applied_version(&self, script: &Script) -> Result<Option<u32>> {
        let has_versions: bool =
            self.query_one("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'BlobDeltaSchemaVersion')", [])?;
        match has_versions {
            true => self.query_optional(
                "SELECT Version FROM BlobDeltaSchemaVersion WHERE Script = ?1",
                [script.name],
                |row| row.get(0),
            ),
            false => Ok(None),
        }
    }

    /// An older job database lacks what a run would need at its end, so it is refused at the beginning.
    pub(super) fn check_versions(&self) -> Result<()> {
        for script in scripts::SQLITE_DEPLOY {
            script.check_applied(self.applied_version(&script)?)?;
        }
        Ok(())
    }

    fn apply_script(&self, script: &Script) -> Result<DeployStep> {
        let applied = self.applied_version(script)?;
        if applied.is_some_and(|applied| applied > script.version) {
            let text =
                format!("the job database was deployed by a newer version ({} of {})", script.version, script.name);
            return Err(Error::config(text).hint("use the newer program; nothing was changed"));
        }
        let upgrades = scripts::SQLITE_UPGRADES
            .iter()
            .filter(|upgrade| upgrade.name == script.name && applied.is_some_and(|applied| applied < upgrade.version));
        for one in upgrades.chain([script]) {
            self.execute_batch(one.text).map_err(|error| failed("apply a script", error).file(script.name))?;
        }
        self.execute(
            "INSERT INTO BlobDeltaSchemaVersion (Script, Version, Sha256, AppliedAt) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (Script) DO UPDATE SET Version = ?2, Sha256 = ?3, AppliedAt = ?4",
            (script.name, script.version, Sha256::of(script.text.as_bytes()).to_string(), self.server_time().utc),
        )?;
        let outcome = match applied {
            None => "applied",
            Some(applied) if applied < script.version => "upgraded",
            Some(_) => "applied again, nothing changed",
        };
        Ok(DeployStep { name: script.name.into(), outcome: outcome.into(), needs_attention: false })
    }

    /// Shared templates that are not there yet; what an operator changed is left alone.
    fn seed_templates(&self) -> Result<()> {
        for (step, name, text) in scripts::SQLITE_STEP_TEMPLATES {
            self.execute(
                "INSERT OR IGNORE INTO BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText)
                 VALUES (NULL, ?1, ?2, ?3)",
                (step, name, text),
            )?;
        }
        for (queue, text) in scripts::SQLITE_QUEUE_TEMPLATES {
            self.execute(
                "INSERT OR IGNORE INTO BlobDeltaQueuePopulationScript (TableName, QueueName, ScriptText)
                 VALUES (NULL, ?1, ?2)",
                (queue, text),
            )?;
        }
        Ok(())
    }

    /// Shared templates of an earlier version of this program, as it shipped them, become those of this
    /// one. Gives their names.
    fn renew_templates(&self) -> Result<Vec<&'static str>> {
        let mut renewed = Vec::new();
        for (step, name, text) in scripts::SQLITE_STEP_TEMPLATES {
            let of = ("BlobDeltaStepScript", "StepNumber");
            if self.renew_template(of, step, text)? {
                renewed.push(name);
            }
        }
        for (queue, text) in scripts::SQLITE_QUEUE_TEMPLATES {
            let of = ("BlobDeltaQueuePopulationScript", "QueueName");
            if self.renew_template(of, queue, text)? {
                renewed.push(queue);
            }
        }
        Ok(renewed)
    }

    fn renew_template(&self, (table, column): (&str, &str), which: impl ToSql + Copy, text: &str) -> Result<bool> {
        let find = format!("SELECT ScriptText FROM {table} WHERE TableName IS NULL AND {column} = ?1");
        let found: Option<String> = self.query_optional(&find, [which], |row| row.get(0))?;
        if found.is_none_or(|found| found == text || !scripts::was_shipped(&found)) {
            return Ok(false);
        }
        let renew = format!("UPDATE {table} SET ScriptText = ?2 WHERE TableName IS NULL AND {column} = ?1");
        Ok(self.execute(&renew, (which, text))? > 0)
    }

    fn deploy_slice(&mut self, table: &TableConfig) -> DeployStep {
        let name = format!("slice {} of {}", table.target, table.name);
        let made = self.check_config(table).and_then(|_| self.make_slice(table));
        let (outcome, needs_attention) = match made {
            Ok(outcome) => (outcome.to_owned(), false),
            Err(_) if !table.is_active => ("left alone: the table is not active".to_owned(), false),
            Err(error) => (format!("not marked: {error}"), true),
        };
        DeployStep { name, outcome, needs_attention }
    }

    /// The deletions of a slice database from before they had reasons.
    fn add_reasons(&self, schema: &str) -> Result<()> {
        let made = format!("SELECT sql FROM {schema}.sqlite_master WHERE name = 'BlobDeltaDeletion'");
        let made: String = self.query_one(&made, [])?;
        if !made.contains("Reason") {
            let add = "ADD COLUMN Reason TEXT NOT NULL DEFAULT 'Deleted' CHECK (Reason IN ('Deleted', 'LeftScope'))";
            self.execute(&format!("ALTER TABLE {schema}.BlobDeltaDeletion {add}"), [])?;
        }
        Ok(())
    }

    /// Creates the slice table if it is missing, and marks it if it is empty. A table that holds
    /// rows and has no marker row may be anybody's, and is never marked.
    pub(super) fn make_slice(&mut self, table: &TableConfig) -> Result<&'static str> {
        let source = self.check_config(table)?;
        self.attach(&table.target.db)?;
        self.transact("make a slice", |session| {
            let schema = session.schema_of(&table.target.db);
            let script = scripts::SQLITE_SLICE_SCHEMA.replace("{Schema}", &schema);
            session
                .connection
                .execute_batch(&script)
                .map_err(|error| failed("make the slice's marker table", error))?;
            session.add_reasons(&schema)?;
            let created = session.resolve(&table.target).is_err();
            if created {
                session.create_slice_table(table, &source)?;
            }
            session.carried_columns(table)?;
            let marked: bool = session.query_one(
                &format!("SELECT EXISTS (SELECT 1 FROM {schema}.BlobDeltaSlice WHERE TargetTable = ?1)"),
                [&table.target.table],
            )?;
            if marked {
                return Ok("is marked");
            }
            let target = session.quoted(&table.target);
            if session.query_one(&format!("SELECT EXISTS (SELECT 1 FROM {target})"), [])? {
                return Err(Error::config("the slice table holds rows, and no marker row says that they are ours")
                    .table(&table.name)
                    .hint("if they can go, empty the table, then run deploy"));
            }
            session.execute(
                &format!(
                    "INSERT INTO {schema}.BlobDeltaSlice (TargetTable, TableName, SourceId, State)
                     SELECT ?1, ?2, SourceId, 'Empty' FROM main.BlobDeltaSource"
                ),
                (&table.target.table, &table.name),
            )?;
            Ok(if created { "created and marked" } else { "marked" })
        })
    }
}
