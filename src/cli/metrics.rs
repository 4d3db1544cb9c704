//! `--metrics`: a file of metrics for Prometheus, by way of node_exporter's textfile collector.
//!
//! The file is replaced as a whole, so that whoever reads it sees the metrics of one run. What a run that failed cannot know,
//! such as when a run last succeeded, is taken over from the file before. A file that cannot be written is a warning.

use super::answer::Answer;
use super::config::profile_in_use;
use super::exit::Exit;
use super::out::{Tone, clean, print_line};
use super::render::exit_of;
use crate::backend::Backend;
use crate::durable::{Disk, Local, Sharing, staging_name, write_file};
use crate::error::{Error, Result};
use crate::model::clock::{Clock as _, SystemClock};
use crate::model::run::Scope;
use crate::model::time::{TICKS_PER_SECOND, Timestamp, UNIX_EPOCH_DAYS};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

const EXTENSION: &str = "prom";
const MAX_BYTES: u64 = 8 << 20;
const SUCCESS: &str = "blobdelta_run_success_timestamp_seconds";

/// Counts of a table that are in the metrics, each as a `kind`: what was reported, and not captured (rule 6).
const KINDS: [&str; 15] = [
    "pending",
    "excluded",
    "out_of_scope",
    "without_business_unit",
    "filtered",
    "held_back",
    "gone",
    "future",
    "without_key",
    "without_stamp",
    "buried",
    "logged_deletions",
    "future_deletions",
    "withheld_deletions",
    "older_now",
];

/// Where metrics go.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct MetricsArgs {
    /// After the run, write metrics of it to this file for Prometheus: FILE ends in .prom, in the folder of
    /// node_exporter's textfile collector. Who may read it, the folder decides. A file that cannot be written is a warning
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
}

/// What the job database says after a run.
#[derive(Clone, Debug, Default)]
pub struct JobFacts {
    /// Whether it was asked.
    is_known: bool,
    watermarks: Vec<(String, Scope, Timestamp)>,
    unshipped: Vec<Option<Timestamp>>,
}

impl JobFacts {
    /// Asks the job database.
    ///
    /// # Errors
    /// Database.
    pub fn read(backend: &mut dyn Backend) -> Result<Self> {
        let all = backend.watermarks()?.into_iter();
        let all = all.filter_map(|mark| Some((mark.table.to_string(), Scope::All, mark.last_high_water?)));
        let units = backend.unit_watermarks()?.into_iter();
        let units = units.map(|mark| (mark.table.to_string(), Scope::BusinessUnit(mark.unit), mark.last_high_water));
        let unshipped = backend.unshipped()?.iter().map(|bundle| begun(&bundle.name)).collect();
        Ok(Self { is_known: true, watermarks: all.chain(units).collect(), unshipped })
    }
}

/// When the run of a bundle began, by the bundle's name.
fn begun(name: &str) -> Option<Timestamp> {
    let (day, time) = name.split_once('Z')?.0.split_once('T')?;
    let is_right = |text: &str, len: usize| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = (is_right(day, 8) && is_right(time, 6))
        .then(|| format!("{}-{}-{}T{}:{}:{}", &day[..4], &day[4..6], &day[6..], &time[..2], &time[2..4], &time[4..]))?;
    Timestamp::parse(&text).ok()
}

impl MetricsArgs {
    /// Whether metrics are written.
    pub fn is_asked(&self) -> bool {
        self.metrics.is_some()
    }

    /// Writes the metrics of a run that began then.
    pub fn write(&self, began: Timestamp, result: &Result<Answer>, facts: &JobFacts) {
        let Some(file) = &self.metrics else { return };
        if let Err(error) = written(file, began, result, facts) {
            print_line(Tone::Care, "warning:", &format!(" no metrics were written: {}", clean(&error.to_string())));
        }
    }
}

fn written(file: &Path, began: Timestamp, result: &Result<Answer>, facts: &JobFacts) -> Result<()> {
    let name =
        file.file_name().and_then(|name| name.to_str()).filter(|_| file.extension().is_some_and(|it| it == EXTENSION));
    let name = name.ok_or_else(|| {
        Error::usage("a file of metrics has a name that ends in .prom, because the collector reads no other").file(file)
    })?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let disk = Local.beneath(folder, Sharing::AsFolder)?;
    let before = match disk.read(file)? {
        Some((mut before, bytes)) if bytes <= MAX_BYTES => {
            let mut text = String::new();
            // One that is no text is no file of ours, and tells nothing.
            before.read_to_string(&mut text).map(|_| text).unwrap_or_default()
        }
        _ => String::new(),
    };
    let timing = RunTiming { began, ended: SystemClock.now().utc, profile: profile_in_use() };
    let text = metrics(&timing, result, facts, &before);
    // The collector reads no name that begins with a dot.
    let staging = folder.join(staging_name(name, ".new-"));
    let made = write_file(disk.as_ref(), &staging, text.as_bytes()).and_then(|()| disk.replace(&staging, file));
    if made.is_err() {
        _ = disk.remove_file(&staging);
    }
    made.and_then(|()| disk.sync_dir(folder))
}

/// When a run was, and by which profile.
struct RunTiming<'p> {
    began: Timestamp,
    ended: Timestamp,
    profile: Option<&'p str>,
}

/// The text of a file, as it grows.
struct MetricsText<'p> {
    /// The label of all metrics: two profiles may write two files in one folder.
    profile: Option<&'p str>,
    text: String,
}

impl MetricsText<'_> {
    /// Begins the metrics of a name.
    fn family(&mut self, name: &str, help: &str) {
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let profile = self.profile.map(|profile| ("profile", profile));
        let labels = labels.iter().copied().chain(profile);
        let labels: Vec<String> = labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }

    /// A family of one sample without labels of its own.
    fn one(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, help);
        self.sample(name, &[], value);
    }
}

/// As the text format of Prometheus writes the value of a label.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn unix_seconds(at: Timestamp) -> i64 {
    at.ticks() / TICKS_PER_SECOND - UNIX_EPOCH_DAYS * 86_400
}

/// The text of the file.
fn metrics(timing: &RunTiming, result: &Result<Answer>, facts: &JobFacts, before: &str) -> String {
    let exit = result.as_ref().map_or_else(exit_of, |answer| answer.exit);
    let ended = unix_seconds(timing.ended);
    let mut text = MetricsText { profile: timing.profile, text: String::new() };
    text.family("blobdelta_build_info", "Version of blobdelta.");
    text.sample("blobdelta_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.one("blobdelta_run_timestamp_seconds", "When the last run ended.", ended);
    let seconds = (timing.ended.ticks() - timing.began.ticks()).max(0) / TICKS_PER_SECOND;
    text.one("blobdelta_run_duration_seconds", "How long the last run took.", seconds);
    text.one("blobdelta_run_exit_code", "Exit code of the last run; 0 is success.", exit.code());
    let success = match exit {
        Exit::Done => Some(ended),
        _ => value_before(before, SUCCESS),
    };
    if let Some(success) = success {
        text.one(SUCCESS, "When a run last ended with exit code 0.", success);
    }
    if let Ok(answer) = result {
        of_tables(&mut text, &answer.json);
        let bytes = published(&answer.json).iter().map(|path| size(Path::new(path))).sum::<u64>();
        text.one("blobdelta_run_bytes", "Bytes of the bundles that the last run published.", bytes);
    }
    of_job_database(&mut text, facts);
    text.text
}

/// What an earlier file says of a metric that has one sample.
fn value_before(before: &str, name: &str) -> Option<i64> {
    let line = before.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// The runs of an answer: itself, or those of its units.
fn runs(answer: &Value) -> Vec<&Value> {
    match answer["units"].as_array() {
        Some(units) => units.iter().filter(|unit| unit["run"].is_object()).collect(),
        None => vec![answer],
    }
}

fn published(answer: &Value) -> Vec<&str> {
    runs(answer)
        .iter()
        .flat_map(|run| run["bundles"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect()
}

/// The tables of all runs, each with its labels.
fn tables(answer: &Value) -> Vec<([(&str, &str); 2], &Value)> {
    let mut found = Vec::new();
    for run in runs(answer) {
        let scope = run["run"]["Scope"].as_str().unwrap_or("all");
        for table in run["tables"].as_array().into_iter().flatten() {
            found.push(([("table", table["table"].as_str().unwrap_or_default()), ("scope", scope)], table));
        }
    }
    found
}

fn of_tables(text: &mut MetricsText<'_>, answer: &Value) {
    let tables = tables(answer);
    let name = "blobdelta_run_table_failed";
    text.family(name, "Whether the table failed in the last run.");
    for (labels, table) in &tables {
        text.sample(name, labels, u8::from(table["status"] != "Completed"));
    }
    let name = "blobdelta_run_rows";
    text.family(name, "Rows that the last run copied.");
    for (labels, table) in tables.iter().filter(|(_, table)| table["counts"].is_object()) {
        let rows = ["roots", "missing_parents", "children"].iter().filter_map(|kind| table["counts"][kind].as_u64());
        text.sample(name, labels, rows.sum::<u64>());
    }
    let name = "blobdelta_run_reported_rows";
    text.family(name, "Rows that the last run reported and did not capture, by kind.");
    for (labels, table) in &tables {
        for kind in KINDS {
            if let Some(count) = table["counts"][kind].as_u64() {
                text.sample(name, &[labels.as_slice(), &[("kind", kind)]].concat(), count);
            }
        }
    }
}

fn of_job_database(text: &mut MetricsText<'_>, facts: &JobFacts) {
    let name = "blobdelta_watermark_timestamp_seconds";
    text.family(name, "The ModifiedOn up to which the table was captured, in the clock of the table.");
    for (table, scope, at) in &facts.watermarks {
        text.sample(name, &[("table", table), ("scope", &scope.to_string())], unix_seconds(*at));
    }
    if !facts.is_known {
        return;
    }
    text.one("blobdelta_unshipped_bundles", "Bundles that are still to be shipped.", facts.unshipped.len());
    if let Some(oldest) = facts.unshipped.iter().flatten().min() {
        let help = "When the run of the oldest bundle that is still to be shipped began.";
        text.one("blobdelta_oldest_unshipped_bundle_timestamp_seconds", help, unix_seconds(*oldest));
    }
}

/// Bytes of a file, or of the files in a folder and in its folders; links are not followed.
fn size(path: &Path) -> u64 {
    let (mut bytes, mut ahead) = (0, vec![path.to_owned()]);
    while let Some(path) = ahead.pop() {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            ahead.extend(entries.map(|entry| entry.path()));
        } else if metadata.is_file() {
            bytes += metadata.len();
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(exit: Exit) -> Result<Answer> {
        let table = json!({"table": "D.s.[a\\b \"c\"\nd]", "status": "Failed", "counts": {"roots": 2, "children": 3, "pending": 7}});
        Ok(Answer::done(String::new(), json!({"run": {"Scope": "all"}, "tables": [table], "bundles": []})).ending(exit))
    }

    fn text(result: &Result<Answer>, facts: &JobFacts, before: &str) -> String {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let timing = RunTiming { began: at("2026-11-30T12:00:00"), ended: at("2026-11-30T12:01:30"), profile: None };
        metrics(&timing, result, facts, before)
    }

    #[test]
    fn a_run_is_told_in_metrics_and_the_last_success_is_kept() {
        let facts = JobFacts {
            is_known: true,
            watermarks: vec![("D.s.T".into(), Scope::All, Timestamp::parse("1970-01-02").unwrap())],
            unshipped: vec![
                begun("20261122T180000Z-6f1c2a34-1.bundle"),
                None,
                begun("20261115T180000Z-6f1c2a34-1.bundle.tar"),
            ],
        };
        let good = text(&answer(Exit::Done), &facts, "");
        for line in [
            "blobdelta_run_timestamp_seconds 1796040090\n",
            "blobdelta_run_success_timestamp_seconds 1796040090\n",
            "blobdelta_run_duration_seconds 90\n",
            "blobdelta_run_exit_code 0\n",
            "blobdelta_run_rows{table=\"D.s.[a\\\\b \\\"c\\\"\\nd]\",scope=\"all\"} 5\n",
            "scope=\"all\",kind=\"pending\"} 7\n",
            "blobdelta_run_table_failed{table=\"D.s.[a\\\\b \\\"c\\\"\\nd]\",scope=\"all\"} 1\n",
            "blobdelta_watermark_timestamp_seconds{table=\"D.s.T\",scope=\"all\"} 86400\n",
            "blobdelta_unshipped_bundles 3\n",
            "blobdelta_oldest_unshipped_bundle_timestamp_seconds 1794765600\n",
        ] {
            assert!(good.contains(line), "{line}{good}");
        }
        let failed = text(&Err(Error::config("x")), &JobFacts::default(), &good);
        assert!(failed.contains("blobdelta_run_success_timestamp_seconds 1796040090\n"), "{failed}");
        assert!(failed.contains("blobdelta_run_exit_code 2\n") && !failed.contains("blobdelta_run_rows"), "{failed}");
        let never = text(&answer(Exit::SomeFailed), &JobFacts::default(), "not ours");
        assert!(!never.contains(SUCCESS) && never.contains("blobdelta_run_exit_code 6\n"), "{never}");
        assert!(!never.contains("oldest"), "{never}");
        let of = "blobdelta_run_success_timestamp_seconds{profile=\"a b\"} 17";
        assert_eq!((value_before(of, SUCCESS), value_before("x 3", SUCCESS)), (Some(17), None));
    }

    #[test]
    fn rule_6_every_count_of_what_is_not_captured_is_a_kind() {
        let counts = serde_json::to_value(crate::model::run::TableCounts::default()).unwrap();
        let others = ["roots", "missing_parents", "children", "early", "late", "tombstones", "went_back_minutes"];
        for name in counts.as_object().unwrap().keys() {
            assert!(KINDS.contains(&name.as_str()) || others.contains(&name.as_str()), "{name}");
        }
    }
}
