//! Many small rows instead of files: measures whether a late batch costs what an early one does.

use super::names::{self, UNITS, index};
use super::narrator::Narrator;
use super::node::{DemoNode, Meta, child_path};
use super::options::{DemoReport, Folders, Pace};
use super::seed::{create, metadata_cells, source_cells};
use super::stage::{DemoStage, run_all};
use crate::backend::Sandbox;
use crate::error::Result;
use crate::model::cell::Cell;
use crate::model::clock::{Clock as _, SystemClock};
use crate::model::id::Guid;
use crate::model::run::Step;
use crate::model::time::{TICKS_PER_DAY, TICKS_PER_SECOND, Timestamp};
use crate::monitor::{Event, Monitor};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Rows of one folder.
const FOLDER_ROWS: u64 = 1000;
/// Folders of one transaction.
const FOLDERS_AT_ONCE: usize = 10;
const BATCH_SIZE: u32 = 500;
/// Stamps are spread over the ten days before this.
const AGE_TICKS: i64 = 20 * TICKS_PER_DAY;

/// Plants so many rows, runs a full load, and tells the pace.
pub(super) fn measure(
    rows: u64,
    stage: &DemoStage,
    folders: &Folders,
    narrator: &Narrator<'_>,
    monitor: &dyn Monitor,
) -> Result<DemoReport> {
    let mut source = stage.open()?;
    let began = Instant::now();
    seed(&mut *source, rows, monitor)?;
    narrator.say(format!("{rows} rows seeded in {:.1} s", began.elapsed().as_secs_f64()));
    source.deploy()?;
    for table in 0..names::TABLES.len() {
        source.save_table(&stage.config(table)?)?;
    }
    let began = Instant::now();
    let watch = ChildrenWatch { inner: monitor, batches: Mutex::new(Vec::new()) };
    let report = run_all(&mut *source, &folders.bundles, Some(BATCH_SIZE), &watch)?;
    narrator.say(format!("run and packed in {:.1} s", began.elapsed().as_secs_f64()));
    let pace = pace(&watch.batches.into_inner().unwrap_or_else(PoisonError::into_inner));
    if let Some(Pace { batches, first_micros, last_micros }) = pace {
        narrator.say(format!(
            "{batches} batches; a row took {first_micros:.1} µs in the first tenth and {last_micros:.1} µs in the last: \
             {:.2} times",
            last_micros / first_micros
        ));
    }
    Ok(DemoReport { bundles: report.bundles, comparison: None, pace, server: None })
}

fn seed(source: &mut dyn Sandbox, rows: u64, monitor: &dyn Monitor) -> Result<()> {
    create(source)?;
    monitor.event(Event::WorkStarted { what: "seed", name: names::BLOBS, rows: Some(rows), bytes: None });
    let stamp = SystemClock.now().utc.plus_ticks(-AGE_TICKS);
    let (name, metadata) = (names::source(0)?, names::metadata(0)?);
    let sizes: Vec<u64> =
        (0..rows.div_ceil(FOLDER_ROWS)).map(|nth| FOLDER_ROWS.min(rows - nth * FOLDER_ROWS)).collect();
    for (nth, some) in sizes.chunks(FOLDERS_AT_ONCE).enumerate() {
        monitor.check()?;
        let numbers = (nth * FOLDERS_AT_ONCE + 1..).filter_map(|number| u32::try_from(number).ok());
        let folders: Vec<Vec<DemoNode>> =
            numbers.zip(some).map(|(number, rows)| folder(number, *rows, stamp)).collect();
        let cells: Vec<Vec<Cell<'_>>> = folders.iter().flat_map(|nodes| folder_cells(nodes)).collect();
        source.insert(&name, &names::source_columns(), &cells)?;
        let with = folders.iter().flatten();
        let with = with.filter_map(|node| Some(metadata_cells(node.key, node.metadata?, &node.name)));
        source.insert(&metadata, &names::metadata_columns(), &with.collect::<Vec<_>>())?;
        monitor.event(Event::WorkDone { rows: some.iter().sum(), bytes: 0 });
    }
    monitor.event(Event::WorkFinished);
    Ok(())
}

fn folder_cells(nodes: &[DemoNode]) -> impl Iterator<Item = Vec<Cell<'_>>> {
    nodes.iter().map(|node| {
        let mut cells = source_cells(node, node.parent.map(|parent| nodes[parent].path.as_slice()));
        if !node.is_folder {
            cells[index::BYTES] = Cell::Bytes(node.name.as_bytes());
        }
        cells
    })
}

/// A folder and the files in it, `rows` in all.
fn folder(number: u32, rows: u64, stamp: Timestamp) -> Vec<DemoNode> {
    let unit = Some(UNITS[number as usize % UNITS.len()].0);
    let root = child_path(&[], number);
    (0..u32::try_from(rows).unwrap_or(1))
        .map(|nth| {
            let name = if nth == 0 { format!("folder {number}") } else { format!("{number}-{nth}.txt") };
            let modified = stamp.plus_ticks(i64::from(number) * TICKS_PER_SECOND + i64::from(nth));
            DemoNode {
                key: sequential_key(number, nth),
                parent: (nth > 0).then_some(0),
                path: if nth == 0 { root.clone() } else { child_path(&root, nth) },
                bytes: name.len() as u64,
                name,
                is_folder: nth == 0,
                modified,
                disk: PathBuf::new(),
                metadata: Some(Meta { modified_on: Some(modified), business_unit: unit }),
                is_gone: false,
            }
        })
        .collect()
}

/// Keys that ascend, as `newsequentialid()` gives them to a FileTable.
fn sequential_key(number: u32, nth: u32) -> Guid {
    let mut bytes = [0x5A; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes[4..6].copy_from_slice(&nth.to_be_bytes()[2..]);
    bytes[6] = 0x80;
    bytes[8] = 0x80;
    Guid::from_bytes(bytes)
}

/// Notes when each batch of children ended.
struct ChildrenWatch<'a> {
    inner: &'a dyn Monitor,
    batches: Mutex<Vec<(Instant, u64)>>,
}

impl Monitor for ChildrenWatch<'_> {
    fn event(&self, event: Event<'_>) {
        if let Event::Batch { step: Step::Children, rows, .. } = event {
            self.batches.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), rows));
        }
        self.inner.event(event);
    }

    fn cancelled(&self) -> bool {
        self.inner.cancelled()
    }
}

/// From the ends of batches; `None` if there are too few to say anything.
fn pace(ends: &[(Instant, u64)]) -> Option<Pace> {
    let batches = ends.len().checked_sub(1)?;
    let tenth = batches / 10;
    if tenth == 0 {
        return None;
    }
    let micros = |some: &[(Instant, u64)]| {
        let rows: u64 = some[1..].iter().map(|(_, rows)| rows).sum();
        (some[some.len() - 1].0 - some[0].0).as_secs_f64() * 1e6 / rows.max(1) as f64
    };
    let (first_micros, last_micros) = (micros(&ends[..=tenth]), micros(&ends[batches - tenth..]));
    Some(Pace { batches, first_micros, last_micros })
}
