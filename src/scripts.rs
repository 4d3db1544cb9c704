//! The SQL of `sql/`, as it was when this program was built.

use crate::error::{Error, Result};
use crate::model::digest::Sha256;

/// One script of a kind of instance, applied by `deploy` in order.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// Its file name, recorded in `BlobDeltaSchemaVersion`.
    pub name: &'static str,
    /// One more at every change of what it makes. A greater one in the database is refused.
    pub version: u32,
    /// The oldest version that it brings to its own; one below is refused.
    pub since: u32,
    /// Whether a run calls what it makes; what it does not need may be missing.
    pub is_engine: bool,
    /// Its text.
    pub text: &'static str,
}

/// What stands between two lines of GO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'s> {
    /// The number of its first line, from 1.
    pub line: usize,
    /// Its text.
    pub text: &'s str,
}

impl Script {
    /// Its batches, as sqlcmd cuts them: at lines that hold nothing but GO.
    pub fn batches(&self) -> Vec<Batch<'static>> {
        batches(self.text)
    }

    /// That what a job database has of this script is not older than it.
    ///
    /// # Errors
    /// Config.
    pub fn check_applied(&self, applied: Option<u32>) -> Result<()> {
        if applied.is_some_and(|applied| applied >= self.version) {
            return Ok(());
        }
        self.check_upgrade(applied)?;
        let found = applied.map_or("nothing".to_owned(), |applied| format!("version {applied}"));
        let text = format!(
            "the job database is older than this program: it has {found} of {}, not {}",
            self.name, self.version
        );
        Err(Error::config(text).hint("run deploy, which upgrades it and keeps what it holds"))
    }

    /// That there is a way from what a job database has of this script to it.
    ///
    /// # Errors
    /// Config: a version that was never released, or a newer one.
    pub fn check_upgrade(&self, applied: Option<u32>) -> Result<()> {
        let Some(applied) = applied else { return Ok(()) };
        let found = format!("version {applied} of {}, and this program has {}", self.name, self.version);
        if applied < self.since {
            let text = format!("the job database is from before the first release: it has {found}");
            return Err(Error::config(text).hint(
                "there is no upgrade from there; give the job database another name, run deploy, configure the tables again, \
                 and take over the chains with deploy --adopt",
            ));
        }
        if applied > self.version {
            let text = format!("the job database was deployed by a newer version: it has {found}");
            return Err(Error::config(text).hint("use the newer program; nothing was changed"));
        }
        Ok(())
    }
}

/// See [`Script::batches`].
pub fn batches(text: &str) -> Vec<Batch<'_>> {
    let mut found = Vec::new();
    let (mut from, mut at, mut line) = (0, 0, 1);
    for (nth, one) in text.split_inclusive('\n').enumerate() {
        if one.trim().eq_ignore_ascii_case("GO") {
            found.push(Batch { line, text: &text[from..at] });
            from = at + one.len();
            line = nth + 2;
        }
        at += one.len();
    }
    found.push(Batch { line, text: &text[from..] });
    found.retain(|batch| !batch.text.trim().is_empty());
    found
}

/// The scripts of an embedded job database.
pub const SQLITE_DEPLOY: [Script; 2] = [
    Script {
        name: "03_BlobDeltaJobs_Schema.sql",
        version: 9,
        since: 9,
        is_engine: true,
        text: include_str!("../sql/sqlite/03_BlobDeltaJobs_Schema.sql"),
    },
    Script {
        name: "04_BlobDeltaJobs_Seed_Config.sql",
        version: 1,
        since: 1,
        is_engine: true,
        text: include_str!("../sql/sqlite/04_BlobDeltaJobs_Seed_Config.sql"),
    },
];

/// The scripts of a job database on SQL Server.
pub const SQLSERVER_DEPLOY: [Script; 8] = [
    Script {
        name: "03_BlobDeltaJobs_Schema.sql",
        version: 12,
        since: 12,
        is_engine: true,
        text: include_str!("../sql/sqlserver/03_BlobDeltaJobs_Schema.sql"),
    },
    Script {
        name: "04_BlobDeltaJobs_Seed_Config.sql",
        version: 18,
        since: 1,
        is_engine: true,
        text: include_str!("../sql/sqlserver/04_BlobDeltaJobs_Seed_Config.sql"),
    },
    Script {
        name: "05_BlobDeltaJobs_Engine.sql",
        version: 23,
        since: 1,
        is_engine: true,
        text: include_str!("../sql/sqlserver/05_BlobDeltaJobs_Engine.sql"),
    },
    Script {
        name: "07_BlobDeltaJobs_Doctor.sql",
        version: 33,
        since: 1,
        is_engine: false,
        text: include_str!("../sql/sqlserver/07_BlobDeltaJobs_Doctor.sql"),
    },
    Script {
        name: "08_BlobDeltaJobs_Prune.sql",
        version: 5,
        since: 1,
        is_engine: false,
        text: include_str!("../sql/sqlserver/08_BlobDeltaJobs_Prune.sql"),
    },
    Script {
        name: "09_BlobDeltaJobs_Servers.sql",
        version: 5,
        since: 1,
        is_engine: false,
        text: include_str!("../sql/sqlserver/09_BlobDeltaJobs_Servers.sql"),
    },
    Script {
        name: "10_BlobDeltaJobs_Bundles.sql",
        version: 9,
        since: 1,
        is_engine: true,
        text: include_str!("../sql/sqlserver/10_BlobDeltaJobs_Bundles.sql"),
    },
    Script {
        name: "11_BlobDeltaJobs_Rights.sql",
        version: 3,
        since: 1,
        is_engine: false,
        text: include_str!("../sql/sqlserver/11_BlobDeltaJobs_Rights.sql"),
    },
];

/// The shared templates of a server: name, text, as the script that seeds them has them.
pub fn sqlserver_templates() -> Vec<(&'static str, String)> {
    let seed = SQLSERVER_DEPLOY.iter().find(|script| script.name.starts_with("04_")).map_or("", |script| script.text);
    let of_insert = |insert: &'static str| {
        // SELECT NULL[, number], N'name', N'text' WHERE …; a quote in a text is doubled.
        let rest = insert.split_once("SELECT NULL,")?.1.split_once("N'")?.1;
        let (name, rest) = rest.split_once("', N'")?;
        let (text, _) = rest.split_once("'\nWHERE NOT EXISTS")?;
        Some((name, text.replace("''", "'")))
    };
    let inserts = ["INSERT INTO dbo.BlobDeltaStepScript", "INSERT INTO dbo.BlobDeltaQueuePopulationScript"];
    batches(seed)
        .iter()
        .filter(|batch| inserts.iter().any(|insert| batch.text.contains(insert)))
        .filter_map(|batch| of_insert(batch.text))
        .collect()
}

/// What every embedded slice database holds; `{Schema}` is filled in.
pub const SQLITE_SLICE_SCHEMA: &str = include_str!("../sql/sqlite/slice_schema.sql");

/// The shared templates of the steps: number, name, text.
pub const SQLITE_STEP_TEMPLATES: [(u8, &str, &str); 3] = [
    (1, "Roots", include_str!("../sql/sqlite/templates/Roots.sql")),
    (2, "MissingParentsBatch", include_str!("../sql/sqlite/templates/MissingParentsBatch.sql")),
    (3, "Children", include_str!("../sql/sqlite/templates/Children.sql")),
];

/// The shared templates that fill the queues: name, text.
pub const SQLITE_QUEUE_TEMPLATES: [(&str, &str); 2] = [
    ("WindowQueue", include_str!("../sql/sqlite/templates/WindowQueue.sql")),
    ("MissingParents", include_str!("../sql/sqlite/templates/MissingParents.sql")),
];

/// SHA-256 of every text that a shared template above ever had, a line each.
const SQLITE_SHIPPED: &str = include_str!("../sql/sqlite/templates/shipped.sha256");

/// Whether a shared template is as some version of this program shipped it: nobody has changed it.
pub fn was_shipped(text: &str) -> bool {
    let digest = Sha256::of(text.as_bytes()).to_string();
    SQLITE_SHIPPED.lines().any(|line| line.split_whitespace().next() == Some(&digest))
}

/// The operations of the embedded engine, one file each.
pub mod sqlite {
    /// The next keys of steps 1 and 3.
    pub const BATCH_KEYS: &str = include_str!("../sql/sqlite/engine/batch_keys.sql");
    /// The next keys of step 2.
    pub const BATCH_ANCESTORS: &str = include_str!("../sql/sqlite/engine/batch_ancestors.sql");
    /// Depth and parent key of the rows of a batch.
    pub const BATCH_PARENTS: &str = include_str!("../sql/sqlite/engine/batch_parents.sql");
    /// How each key of a batch ended.
    pub const BATCH_STATES: &str = include_str!("../sql/sqlite/engine/batch_states.sql");
    /// Rule 4: what lies between the window's end and the run's start.
    pub const HELD_BACK: &str = include_str!("../sql/sqlite/engine/held_back.sql");
    /// Rule 21: keys of the window without a row.
    pub const SUSPECT_ABSENT: &str = include_str!("../sql/sqlite/engine/suspect_absent.sql");
    /// The same, of a sample of the whole table.
    pub const SAMPLE_ABSENT: &str = include_str!("../sql/sqlite/engine/sample_absent.sql");
    /// Rule 21: children of the slice without a parent.
    pub const SUSPECT_ORPHAN: &str = include_str!("../sql/sqlite/engine/suspect_orphan.sql");
    /// The same, of a sample of the whole table.
    pub const SAMPLE_ORPHAN: &str = include_str!("../sql/sqlite/engine/sample_orphan.sql");
    /// Rule 21: rows that a unit was handed, and those of them that are out of its scope.
    pub const SUSPECT_LEFT: &str = include_str!("../sql/sqlite/engine/suspect_left.sql");
    /// Rule 21: deletions that the slice tells, and those of them whose row stands.
    pub const SUSPECT_STANDING: &str = include_str!("../sql/sqlite/engine/suspect_standing.sql");
    /// Rules 15 and 17: what left a unit since a run goes back to, told again.
    pub const LEFT_AGAIN: &str = include_str!("../sql/sqlite/engine/left_again.sql");
    /// Rule 21: rows whose business unit is not in its table, of a sample where none is.
    pub const SAMPLE_UNITS: &str = include_str!("../sql/sqlite/engine/sample_units.sql");
    /// Rows of the slice before whose stamp is older now.
    pub const WENT_BACK: &str = include_str!("../sql/sqlite/engine/went_back.sql");
    /// The greatest stamp of the source.
    pub const NEWEST: &str = include_str!("../sql/sqlite/engine/newest.sql");
    /// Rule 6: what no window can catch, counted.
    pub const REPORTED: &str = include_str!("../sql/sqlite/engine/reported.sql");
    /// Rule 12: units in scope that no run over all units has seen.
    pub const NEW_UNITS: &str = include_str!("../sql/sqlite/engine/new_units.sql");
    /// Rule 17: what everybody asked for is asked for by each scope.
    pub const EXPAND_PENDING: &str = include_str!("../sql/sqlite/engine/expand_pending.sql");
    /// Rule 17: keys that left a business unit, and are in it again.
    pub const BACK_AGAIN: &str = include_str!("../sql/sqlite/engine/back_again.sql");
    /// Rule 17: pending keys of a business unit that belong to another by now.
    pub const FOREIGN_PENDING: &str = include_str!("../sql/sqlite/engine/foreign_pending.sql");
    /// Rule 17: what a business unit's run hands out.
    pub const SHIPPED_KEYS: &str = include_str!("../sql/sqlite/engine/shipped_keys.sql");
    /// Rule 17: logged keys that have not left this scope.
    pub const LEFT_BACK: &str = include_str!("../sql/sqlite/engine/left_back.sql");
    /// Rule 17: keys that have left a business unit.
    pub const LEFT_SCOPE: &str = include_str!("../sql/sqlite/engine/left_scope.sql");
    /// Rule 17: of them, those with children that have not.
    pub const LEFT_STAYS: &str = include_str!("../sql/sqlite/engine/left_stays.sql");
    /// Rule 17: of those, what comes once more without its blob.
    pub const LEFT_BEHIND: &str = include_str!("../sql/sqlite/engine/left_behind.sql");
    /// Rule 7: ancestors out of scope that a scope's receivers need.
    pub const NEEDED_ANCESTORS: &str = include_str!("../sql/sqlite/engine/needed_ancestors.sql");
    /// Rule 7: of them, those that were asked for by name.
    pub const ASKED_ANCESTORS: &str = include_str!("../sql/sqlite/engine/asked_ancestors.sql");
    /// Rule 7: what the receivers of all units have of such.
    pub const SHIPPED_ANCESTORS: &str = include_str!("../sql/sqlite/engine/shipped_ancestors.sql");
    /// Rule 7: rows whose parents were absent, and need not be looked for any more.
    pub const ABSENT_SETTLED: &str = include_str!("../sql/sqlite/engine/absent_settled.sql");
    /// Rule 7: of them, those that come again with their parents.
    pub const ABSENT_ASKED: &str = include_str!("../sql/sqlite/engine/absent_asked.sql");
    /// Rule 7: of them, those that have come again.
    pub const ABSENT_DECIDED: &str = include_str!("../sql/sqlite/engine/absent_decided.sql");
    /// Rule 7: rows of the slice whose parents are absent.
    pub const ABSENT_NOTED: &str = include_str!("../sql/sqlite/engine/absent_noted.sql");
    /// Rule 7: those of earlier slices whose parents are in this one.
    pub const ABSENT_CAME: &str = include_str!("../sql/sqlite/engine/absent_came.sql");
    /// Rule 7: deletions that were reported, and that an ancestor comes after.
    pub const PASSED_DELETIONS: &str = include_str!("../sql/sqlite/engine/passed_deletions.sql");
    /// Rule 17: ancestors of the slice that receivers have whole.
    pub const WERE_WHOLE: &str = include_str!("../sql/sqlite/engine/were_whole.sql");
    /// Rule 17: what receivers have the whole row of no more.
    pub const LEFT_BARE: &str = include_str!("../sql/sqlite/engine/left_bare.sql");
    /// Rule 7: ancestors without a stamp, and what they have to pass.
    pub const ANCESTOR_STAMPS: &str = include_str!("../sql/sqlite/engine/ancestor_stamps.sql");
    /// Rule 15: deletions that are due into the slice.
    pub const DELETIONS: &str = include_str!("../sql/sqlite/engine/deletions.sql");
    /// Rule 15: what the slice says of deletions, noted.
    pub const REPORTED_DELETIONS: &str = include_str!("../sql/sqlite/engine/reported_deletions.sql");
    /// What the slice holds, counted.
    pub const SLICE_COUNTS: &str = include_str!("../sql/sqlite/engine/slice_counts.sql");
    /// Runs that nothing needs any more.
    pub const PRUNE_EXPIRED: &str = include_str!("../sql/sqlite/engine/prune_expired.sql");
    /// From when on each table's logged deletions stay.
    pub const PRUNE_DELETIONS: &str = include_str!("../sql/sqlite/engine/prune_deletions.sql");
    /// Whom a table's logged deletions have to have been told.
    pub const PRUNE_SCOPES: &str = include_str!("../sql/sqlite/engine/prune_scopes.sql");
    /// Which of them were, a condition.
    pub const PRUNE_REPORTED: &str = include_str!("../sql/sqlite/engine/prune_reported.sql");
    /// Rule 7: parents that the slice lacks.
    pub const ABSENT_PARENTS: &str = include_str!("../sql/sqlite/engine/absent_parents.sql");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_of_a_server_are_found_in_their_script() {
        let found = sqlserver_templates();
        let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["Roots", "MissingParentsBatch", "Children", "WindowQueue", "MissingParents"]);
        assert!(found.iter().all(|(_, text)| text.starts_with("--") && text.len() > 500 && !text.contains("''s")));
    }

    /// What the program calls, and only that, is granted to the account that runs.
    #[test]
    fn every_procedure_that_the_program_calls_is_a_door_or_the_deployer_s() {
        let of_deployer = [
            "usp_BlobDelta_MakeSlice",
            "usp_BlobDelta_RefreshSlice",
            "usp_BlobDelta_ResolveTableConfig",
            "usp_BlobDelta_Prune",
            "usp_BlobDelta_AddServer",
            "usp_BlobDelta_AdoptBundle",
            "usp_BlobDelta_AdoptKeys",
            "usp_BlobDelta_BecomeOwnSource",
        ];
        let rights = SQLSERVER_DEPLOY.iter().find(|script| script.name.starts_with("11_")).unwrap().text;
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend/sqlserver");
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for rest in text.split("dbo.usp_BlobDelta_").skip(1) {
                let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
                let name = format!("usp_BlobDelta_{name}");
                let is_door = rights.contains(&format!("N'{name}'"));
                assert!(is_door != of_deployer.contains(&name.as_str()), "{name} in 11_BlobDeltaJobs_Rights.sql");
            }
        }
    }

    /// A table that stands in neither list could not be written by a run, or be written by who may not.
    #[test]
    fn every_table_of_a_server_is_a_runner_s_or_the_deployer_s() {
        let text = |start: &str| SQLSERVER_DEPLOY.iter().find(|script| script.name.starts_with(start)).unwrap().text;
        let made = text("03_").split("CREATE TABLE dbo.").skip(1).filter_map(|rest| rest.split([' ', '(']).next());
        for table in made {
            assert_eq!(
                text("11_").matches(&format!("N'{table}'")).count(),
                1,
                "{table} in 11_BlobDeltaJobs_Rights.sql"
            );
        }
    }

    #[test]
    fn a_script_is_cut_at_lines_of_go_alone() {
        let found = batches("SELECT 'GO'\nGO\n\n  go \nPRINT 1 -- GO\nGO x\nGO");
        let texts: Vec<(usize, &str)> = found.iter().map(|batch| (batch.line, batch.text)).collect();
        assert_eq!(texts, [(1, "SELECT 'GO'\n"), (5, "PRINT 1 -- GO\nGO x\n")]);
    }

    #[test]
    fn every_template_is_known_as_shipped() {
        let steps = SQLITE_STEP_TEMPLATES.map(|(_, name, text)| (name, text));
        for (name, text) in steps.into_iter().chain(SQLITE_QUEUE_TEMPLATES) {
            let digest = Sha256::of(text.as_bytes());
            assert!(was_shipped(text), "append \"{digest}  {name}.sql\" to sql/sqlite/templates/shipped.sha256");
            assert!(!was_shipped(&format!("{text}\n-- mine")), "{name}");
        }
    }

    /// What of a script makes something: a comment may be mended without a new version.
    fn made(script: &Script) -> String {
        let lines = script.text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"));
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    /// A job database of before is refused by its number alone, so a script that makes something else has another
    /// number: what each made under its present one is recorded.
    #[test]
    fn a_script_that_makes_something_else_has_another_version() {
        let recorded = include_str!("../sql/versions.sha256");
        let embedded = SQLITE_DEPLOY.iter().map(|script| ("sqlite", script));
        for (folder, script) in embedded.chain(SQLSERVER_DEPLOY.iter().map(|script| ("sqlserver", script))) {
            let (name, version) = (format!("{folder}/{}", script.name), script.version);
            let line = format!("{}  {name} {version}", Sha256::of(made(script).as_bytes()));
            let of_version = recorded.lines().find(|line| line.ends_with(&format!("  {name} {version}")));
            assert!(
                of_version.is_none_or(|found| found == line),
                "{name} makes something else than version {version} did. Raise its version: in src/scripts.rs, in its first \
                 line and wherever else it names its own, and in 07_BlobDeltaJobs_Doctor.sql (and that one's too)"
            );
            assert!(of_version.is_some(), "a new version: echo '{line}' >> sql/versions.sha256");
        }
    }

    #[test]
    fn a_script_says_its_version_wherever_it_names_it() {
        for Script { name, version, text, .. } in SQLSERVER_DEPLOY {
            let first = text.lines().next().unwrap_or_default();
            assert!(first.ends_with(&format!("Version {version}.")), "{name}: {first}");
            for said in [
                format!("WHERE Script = N'{name}' AND Version > {version})"),
                format!("WHERE Script = N'{name}' AND Version <= {version};"),
                format!("SET Version = {version}, Sha256 = N''"),
                format!("\nSELECT N'{name}', {version}\n"),
            ] {
                assert_eq!(text.matches(&said).count(), 1, "{name}: {said}");
            }
        }
    }

    #[test]
    fn the_doctor_expects_the_versions_that_deploy_applies() {
        let doctor = SQLSERVER_DEPLOY.into_iter().find(|script| script.name.contains("Doctor")).unwrap();
        for Script { name, version, .. } in SQLSERVER_DEPLOY {
            let expected = [format!("N'{name}', {version}\n"), format!("N'{name}' AS Script, {version} AS Version\n")];
            assert!(expected.iter().any(|line| doctor.text.contains(line)), "{name} has version {version}");
        }
    }
}
