//! The SQL of `sql/`, as it was when this program was built: what is applied whole, and in [`statement`] what is sent one by one.

pub mod statement;

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
        version: 18,
        since: 18,
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
        version: 21,
        since: 21,
        is_engine: true,
        text: include_str!("../sql/sqlserver/03_BlobDeltaJobs_Schema.sql"),
    },
    Script {
        name: "04_BlobDeltaJobs_Seed_Config.sql",
        version: 27,
        since: 1,
        is_engine: true,
        text: include_str!("../sql/sqlserver/04_BlobDeltaJobs_Seed_Config.sql"),
    },
    Script {
        name: "05_BlobDeltaJobs_Engine.sql",
        version: 35,
        since: 1,
        is_engine: true,
        text: include_str!("../sql/sqlserver/05_BlobDeltaJobs_Engine.sql"),
    },
    Script {
        name: "07_BlobDeltaJobs_Doctor.sql",
        version: 48,
        since: 1,
        is_engine: false,
        text: include_str!("../sql/sqlserver/07_BlobDeltaJobs_Doctor.sql"),
    },
    Script {
        name: "08_BlobDeltaJobs_Prune.sql",
        version: 6,
        since: 1,
        is_engine: false,
        text: include_str!("../sql/sqlserver/08_BlobDeltaJobs_Prune.sql"),
    },
    Script {
        name: "09_BlobDeltaJobs_Servers.sql",
        version: 7,
        since: 1,
        is_engine: false,
        text: include_str!("../sql/sqlserver/09_BlobDeltaJobs_Servers.sql"),
    },
    Script {
        name: "10_BlobDeltaJobs_Bundles.sql",
        version: 13,
        since: 1,
        is_engine: true,
        text: include_str!("../sql/sqlserver/10_BlobDeltaJobs_Bundles.sql"),
    },
    Script {
        name: "11_BlobDeltaJobs_Rights.sql",
        version: 6,
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
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders =
            ["src/backend/sqlserver", "sql/sqlserver"].map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
        let files = folders.into_iter().flatten().map(|entry| entry.unwrap());
        // What is deployed calls what it made itself.
        let is_sent = |entry: &std::fs::DirEntry| !entry.file_name().to_string_lossy().starts_with(['0', '1']);
        for file in files.filter(|entry| is_sent(entry) && entry.path().is_file()) {
            let text = std::fs::read_to_string(file.path()).unwrap();
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
