//! The steps, in their order.

use super::ground::DemoServer;
use super::outcome::{Said, ServerReport, StepOutcome, StepResult};
use super::{actions, hidden};
use crate::demo::narrator::Narrator;
use crate::demo::stage::DemoStage;
use crate::durable::{Disk as _, Local};
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::scripts;
use std::path::Path;

/// See the module's text.
struct DemoStep {
    name: &'static str,
    /// See `sql/sqlserver/demo/ground.sql`.
    script: &'static str,
    run: fn(&mut DemoServer<'_>) -> Result<Said>,
}

macro_rules! step {
    ($name:literal, $script:literal, $run:expr) => {
        DemoStep { name: $name, script: include_str!(concat!("../../../sql/sqlserver/demo/", $script)), run: $run }
    };
}

const GROUND: &str = include_str!("../../../sql/sqlserver/demo/ground.sql");

const STEPS: [DemoStep; 17] = [
    step!("a flat table, to a bundle and back", "plain.sql", |ground| actions::carry_flat(ground, "Plain")),
    step!("the engine called by T-SQL alone", "operator.sql", actions::nothing),
    step!(".WRITE of a large value", "write.sql", actions::write_in_chunks),
    step!("sql_variant", "variant.sql", |ground| actions::carry_flat(ground, "Variant")),
    step!("binaries in sql_variant", "variant_binary.sql", |ground| actions::carry_flat(ground, "VariantBinary")),
    step!("hierarchyid", "hierarchyid.sql", actions::carry_tree),
    step!("FileTable", "filetable.sql", actions::carry_file_table),
    step!("a database of another collation", "collation.sql", actions::carry_other),
    step!("READ_COMMITTED_SNAPSHOT on", "snapshot_on.sql", actions::run_all_again),
    step!("READ_COMMITTED_SNAPSHOT off", "snapshot_off.sql", actions::run_all_again),
    step!("a transaction left open", "open_transaction.sql", actions::leave_open),
    step!("a masked column", "masked.sql", hidden::masked),
    step!("a filtered table", "filtered.sql", hidden::filtered),
    step!("BACKUP and RESTORE VERIFYONLY", "backup.sql", actions::back_up),
    step!("RESTORE of the slices", "restore.sql", actions::restored),
    step!("apply_slice.sql", "apply.sql", actions::apply_slice),
    step!("doctor", "doctor.sql", actions::look),
];

/// The server has no such thing, or this login may not; the numbers of sys.messages.
const MISSING: [u32; 26] = [
    // What the first batch of a step found out itself.
    50_404, // FILESTREAM is disabled; there is no filegroup for it.
    5591, 1969, // Rights: on an object, in a database, of the server; to create, alter and restore databases.
    229, 230, 262, 297, 300, 5011, 3110, 15247, 15151, 371,
    // Azure and managed instances: statement, function, option or reference not in this version.
    40510, 40511, 40512, 40513, 40514, 40515, 40517, 40520, 41902, 41904, 41922,
    // Express and other editions: not in this edition.
    1844, // What servers that only speak T-SQL say of whatever they have not.
    33_557_097,
];

fn is_missing(error: &Error) -> bool {
    error.number_of_server().is_some_and(|number| MISSING.contains(&number))
}

/// Plays all steps, and tells each as it comes. A step that fails does not keep the others.
///
/// # Errors
/// Database: not even the ground could be made; Cancelled; Io of the folder.
pub(in crate::demo) fn run_steps(
    stage: &DemoStage,
    folder: &Path,
    narrator: &Narrator<'_>,
    monitor: &dyn Monitor,
) -> Result<ServerReport> {
    narrator.say("\n9. Try what this server has, and what is its own way");
    let bundles = folder.join("steps");
    Local.create_dir(&bundles)?;
    let session = stage.open()?;
    let mut ground =
        DemoServer { stage, session, bundles, monitor, carried: Vec::new(), backup: None, is_restored: false };
    let version = ground.session.ask("SELECT CONVERT(nvarchar(400), @@VERSION)")?.unwrap_or_default();
    let version = version.lines().next().unwrap_or_default().trim().to_owned();
    narrator.say(format!("   {version}"));
    ground.execute(GROUND)?;
    let mut steps = Vec::new();
    for step in STEPS {
        monitor.check()?;
        let result = StepResult { name: step.name, outcome: step.run(&mut ground) };
        narrator.say(format!("   {result}"));
        steps.push(result);
        // One that broke off may have left a transaction open.
        ground.session = stage.open()?;
    }
    Ok(ServerReport { version, steps, backup: ground.backup, left: Vec::new() })
}

impl DemoStep {
    fn run(&self, ground: &mut DemoServer<'_>) -> StepOutcome {
        let batches = scripts::batches(self.script);
        let (Some(probe), Some(last)) = (batches.first(), batches.last()) else {
            return failed("", &Error::internal("a step has no script"));
        };
        if let Err(error) = ground.session.execute_script(probe.text) {
            return match is_missing(&error) {
                true => StepOutcome::NotHere(one_line(error.what())),
                false => failed(probe.text, &error),
            };
        }
        for batch in batches.iter().skip(1).take(batches.len().saturating_sub(2)) {
            if let Err(error) = ground.session.execute_script(batch.text) {
                return failed(batch.text, &error);
            }
        }
        let said = match ground.session.execute_script("USE BlobDeltaJobs").and_then(|()| (self.run)(ground)) {
            Ok(Said::Done(said)) => said,
            Ok(Said::Lacks(why)) => return StepOutcome::NotHere(one_line(&why)),
            Err(error) => return failed(&format!("the action of {}", self.name), &error),
        };
        match ground.session.ask(last.text) {
            Ok(Some(figure)) if said.is_empty() => StepOutcome::Executed(one_line(&figure)),
            Ok(Some(figure)) => StepOutcome::Executed(one_line(&format!("{figure}, {said}"))),
            Ok(None) => failed(last.text, &Error::verification("what came of it is not what it has to be")),
            Err(error) => failed(last.text, &error),
        }
    }
}

fn failed(statement: &str, error: &Error) -> StepOutcome {
    StepOutcome::Failed {
        statement: one_line(statement),
        number: error.number_of_server(),
        text: one_line(&error.to_string()),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn every_step_has_a_probe_and_a_figure() {
        for step in &STEPS {
            let batches = scripts::batches(step.script);
            assert!(batches.len() >= 2, "{}", step.name);
            assert!(batches.last().is_some_and(|last| last.text.trim_start().starts_with("SELECT")), "{}", step.name);
        }
    }

    #[test]
    fn only_what_a_server_has_not_is_missing() {
        let of = |number| is_missing(&Error::new(Kind::Database, "x").server_number(number));
        assert!(of(5591) && of(262));
        // A wrong name, a wrong word, a full disk, a key twice.
        assert!(![208, 207, 102, 1105, 2627, 468].map(of).contains(&true));
        assert!(!is_missing(&Error::new(Kind::Database, "the connection was lost")));
    }
}
