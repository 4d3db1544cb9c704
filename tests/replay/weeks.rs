//! Eight weeks of changes in nine bundles, one of them late and one twice; and a replay that is
//! killed again and again. What stands at the end is what stands in the target of the demo, which
//! the demo compared with its source row by row and byte by byte.
//!
//! The files are those that the project ships, or those of the folder that `BLOBDELTA_TEST_FILES`
//! names; with such a folder, a replay is killed at 50 moments.

use crate::replay::place::{Into, Place};
use blobdelta::backend::{Connection, OpenOptions, Sandbox};
use blobdelta::demo::{DemoOptions, run_demo};
use blobdelta::error::Result;
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::digest::Sha256;
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::monitor::Silent;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const FILES: &str = "BLOBDELTA_TEST_FILES";
const SOURCE: &str = "Gwent_LA_FileTable";
const TABLES: [&str; 2] = ["ReferralAttachment", "ClientAttachment"];

/// What the demo left: its bundles by time, and every row of its target.
struct Weeks {
    bundles: Vec<PathBuf>,
    rows: Rows,
    _folder: tempfile::TempDir,
}

fn weeks() -> &'static Weeks {
    static WEEKS: OnceLock<Weeks> = OnceLock::new();
    WEEKS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/files");
        let from = std::env::var_os(FILES).map_or(shipped, PathBuf::from);
        let dir = folder.path().join("demo");
        let options = DemoOptions {
            from,
            dir: dir.clone(),
            into: None,
            rows: None,
            weeks: 8,
            keep: false,
            omit_known_content: false,
        };
        let report = run_demo(&options, &|_| {}, &Silent).unwrap();
        let found = report.comparison.unwrap();
        assert!(found.differences == 0 && found.due > 0, "{found:?}");
        println!("{} rows, {} bytes, {} bundles", found.due + found.ancestors, found.bytes, report.bundles.len());
        let open = OpenOptions { main_database: SOURCE.into(), ..OpenOptions::default() };
        let mut target = Connection::Embedded(dir.join("target")).open_sandbox(&open).unwrap();
        let rows = rows(&mut *target, SOURCE);
        Weeks { bundles: report.bundles, rows, _folder: folder }
    })
}

/// By table and key, the values of a row, those of its version included: a hash, and moments in ticks.
type Rows = BTreeMap<(&'static str, Guid), (Sha256, Vec<i64>)>;

fn rows(backend: &mut dyn Sandbox, database: &str) -> Rows {
    let mut rows = Rows::new();
    for table in TABLES {
        let name = TableName::new(database, "dbo", table).unwrap();
        let mut columns = backend.columns(&name).unwrap();
        columns.sort_by_key(|column| column.name.to_lowercase());
        let key = columns.iter().position(|column| column.name == "stream_id").unwrap();
        let mut seen = Seen { table, key, text: String::new(), moments: Vec::new(), at: None, rows: &mut rows };
        backend.scan(&name, &columns, "stream_id", &mut seen).unwrap();
    }
    rows
}

struct Seen<'a> {
    table: &'static str,
    key: usize,
    text: String,
    moments: Vec<i64>,
    at: Option<Guid>,
    rows: &'a mut Rows,
}

impl CellSink for Seen<'_> {
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        match cell {
            Cell::Guid(key) if column == self.key => self.at = Some(key),
            Cell::DateTime(at) => self.moments.push(at.ticks()),
            Cell::DateTimeOffset(at, minutes) => {
                self.moments.push(at.ticks());
                self.text.push_str(&minutes.to_string());
            }
            Cell::Bytes(bytes) => self.text.push_str(&Sha256::of(bytes).to_string()),
            other => self.text.push_str(&format!("{other:?}")),
        }
        self.text.push('\n');
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        let hash = Sha256::of(std::mem::take(&mut self.text).as_bytes());
        let row = (hash, std::mem::take(&mut self.moments));
        assert_eq!(self.rows.insert((self.table, self.at.take().unwrap()), row), None);
        Ok(())
    }
}

fn check(into: &Into) {
    let found = rows(&mut *into.open().unwrap(), &into.database);
    let due = &weeks().rows;
    // Not every server keeps the seventh digit.
    let near = |a: &[i64], b: &[i64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= 10);
    let is_same = |(due, at): &(Sha256, Vec<i64>), found: &(Sha256, Vec<i64>)| *due == found.0 && near(at, &found.1);
    let other = due.iter().map(|(key, row)| (key, row, found.get(key)));
    let other = other.filter(|(_, row, found)| !found.is_some_and(|found| is_same(row, found)));
    let other: Vec<_> = other.take(3).collect();
    assert!(other.is_empty() && found.len() == due.len(), "{} rows, {} due; {other:?}", found.len(), due.len());
}

fn fresh(place: &Place) -> Into {
    // An embedded target is emptied by being another one.
    place.target(&if place.server.is_some() { "Into".to_owned() } else { Guid::random().short() })
}

pub fn eight_weeks_with_one_late_and_one_twice(place: &Place) {
    let bundles = &weeks().bundles;
    assert_eq!(bundles.len(), 9);
    let into = fresh(place);
    into.apply(&bundles[..4], false).unwrap();
    into.apply(&bundles[5..], true).unwrap();
    into.apply(&bundles[4..5], false).unwrap();
    into.apply(&[bundles[2].clone(), bundles[2].clone()], false).unwrap();
    check(&into);
    let again = into.apply(bundles, false).unwrap();
    assert!(again.bundles.iter().all(|bundle| bundle.was_applied_before()));
}

pub fn killed_at_random_moments_it_goes_on_where_it_was(place: &Place) {
    let kills = if std::env::var_os(FILES).is_some() { 50 } else { 6 };
    let mut random = Random::new();
    let mut killed = 0;
    while killed < kills {
        let into = fresh(place);
        let started = Instant::now();
        let mut child = start(&into);
        // At first a moment in the first seconds, then one in what a replay of the rest may take.
        let most = Duration::from_millis(if place.server.is_some() { 4000 } else { 400 });
        while killed < kills {
            std::thread::sleep(random.below(most));
            if child.try_wait().unwrap().is_some() {
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            child = start(&into);
        }
        assert!(child.wait().unwrap().success(), "seed {}", random.seed);
        check(&into);
        println!("{killed} killed, {:?} since it was begun", started.elapsed());
    }
}

fn start(into: &Into) -> Child {
    let (shown, password) = without_password(&into.at);
    Command::new(env!("CARGO_BIN_EXE_blobdelta"))
        .arg("replay")
        .args(&weeks().bundles)
        .args(["--into", &shown, "--database", &into.database, "--create"])
        .envs(password.map(|password| ("BLOBDELTA_PASSWORD", password)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What may be an argument, and what may not.
fn without_password(connection: &str) -> (String, Option<String>) {
    let is_password = |part: &&str| part.to_lowercase().starts_with("password=");
    let password = connection.split(';').find(is_password).and_then(|part| Some(part.split_once('=')?.1.to_owned()));
    let rest: Vec<&str> = connection.split(';').filter(|part| !is_password(part)).collect();
    (rest.join(";"), password)
}

/// Uneven moments (xorshift64, Marsaglia 2003), begun anew each time.
struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    fn new() -> Self {
        let bytes = *Guid::random().as_bytes();
        let seed = u64::from_le_bytes(bytes[..8].try_into().unwrap()) | 1;
        Self { seed, state: seed }
    }

    fn below(&mut self, most: Duration) -> Duration {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        Duration::from_micros(self.state % u64::try_from(most.as_micros()).unwrap())
    }
}
