//! [`Runs`]: rows in a temporary file, sorted run by run, and merged from there.
//!
//! Of each run some chunks of rows are stored, and apart from them the places of their rows. A chunk is read when its first row is
//! due, and forgotten after its last. As many runs are merged at once as chunks fit into memory: so many runs of one level become
//! one of the next, and so each row is written once a level.

use super::picked::{BatchNumber, PickedRows, SortMemory, TakeRows};
use super::place::RowPlace;
use crate::backend::{KeyStore, open_key_store};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

const WORK: &str = "rows that are put in order";
const CACHE_BYTES: u64 = 2 << 20;
const ZSTD_LEVEL: i32 = 1;
/// The fewest runs that are merged at once.
const LEAST_RUNS: u64 = 4;

/// See the module's text.
pub(super) struct Runs {
    memory: SortMemory,
    levels: Vec<RunStore>,
}

/// The runs of one level.
struct RunStore {
    store: Box<dyn KeyStore>,
    /// Of each run, how many chunks it has.
    chunks: Vec<u32>,
}

impl RunStore {
    fn new() -> Result<Self> {
        Ok(Self { store: open_key_store(WORK, CACHE_BYTES)?, chunks: Vec::new() })
    }
}

impl Runs {
    /// None yet.
    pub(super) fn new(memory: SortMemory) -> Self {
        Self { memory, levels: Vec::new() }
    }

    /// Begins one more run.
    ///
    /// # Errors
    /// Database: the temporary file failed.
    pub(super) fn begin(&mut self) -> Result<RunWriter<'_>> {
        self.begin_at(0)
    }

    fn begin_at(&mut self, level: usize) -> Result<RunWriter<'_>> {
        if self.levels.len() == level {
            self.levels.push(RunStore::new()?);
        }
        let SortMemory { run_bytes, chunk_bytes } = self.memory;
        let most = (run_bytes / chunk_bytes.max(1)).max(LEAST_RUNS);
        if self.levels[level].chunks.len() as u64 >= most {
            let full = std::mem::replace(&mut self.levels[level], RunStore::new()?);
            let mut run = self.begin_at(level + 1)?;
            merge(vec![full], chunk_bytes, &mut |rows, places| run.write(&rows, &places))?;
            run.finish();
        }
        Ok(RunWriter { runs: &mut self.levels[level], chunks: 0 })
    }

    /// Gives the rows of all runs in order.
    ///
    /// # Errors
    /// Database: the temporary file failed; what `take` says.
    pub(super) fn merged(self, take: TakeRows<'_>) -> Result<()> {
        merge(self.levels, self.memory.chunk_bytes, &mut |rows, _| take(rows))
    }
}

fn merge(
    mut stores: Vec<RunStore>,
    chunk_bytes: u64,
    take: &mut dyn FnMut(RecordBatch, Vec<RowPlace>) -> Result<()>,
) -> Result<()> {
    let (mut runs, mut heads) = (Vec::new(), BinaryHeap::new());
    for (at, store) in stores.iter_mut().enumerate() {
        for (chunks, run) in store.chunks.iter().zip(0..) {
            let mut reader = RunReader::new(at, run, *chunks);
            heads.extend(reader.next_place(&mut *store.store)?.map(|place| Reverse((place, runs.len()))));
            runs.push(reader);
        }
    }
    let (mut picked, mut places) = (PickedRows::default(), Vec::new());
    while let Some(Reverse((place, nth))) = heads.pop() {
        if picked.bytes >= chunk_bytes {
            take(picked.finish()?, std::mem::take(&mut places))?;
        }
        let store = &mut *stores[runs[nth].store].store;
        let (batch, number, row) = runs[nth].row(store)?;
        picked.add(batch, number, row);
        places.push(place);
        heads.extend(runs[nth].next_place(store)?.map(|place| Reverse((place, nth))));
    }
    if places.is_empty() { Ok(()) } else { take(picked.finish()?, places) }
}

/// Writes one run.
pub(super) struct RunWriter<'r> {
    runs: &'r mut RunStore,
    chunks: u32,
}

impl RunWriter<'_> {
    /// The next rows of the run, in order.
    ///
    /// # Errors
    /// Database: the temporary file failed.
    pub(super) fn write(&mut self, rows: &RecordBatch, places: &[RowPlace]) -> Result<()> {
        let mut of_places = Vec::new();
        places.iter().for_each(|place| place.write(&mut of_places));
        let run = u32::try_from(self.runs.chunks.len()).unwrap_or(u32::MAX);
        self.runs.store.put(chunk_key(run, self.chunks, 0), &of_places)?;
        self.runs.store.put(chunk_key(run, self.chunks, 1), &stored(rows)?)?;
        self.chunks += 1;
        Ok(())
    }

    /// The run is whole.
    pub(super) fn finish(self) {
        self.runs.chunks.push(self.chunks);
    }
}

/// Reads one run.
struct RunReader {
    store: usize,
    run: u32,
    chunks: u32,
    /// The chunk whose rows come next, and how many of them came.
    chunk: u32,
    rows: usize,
    /// Of the rows that are to come of it.
    places: VecDeque<RowPlace>,
    batch: Option<RecordBatch>,
}

impl RunReader {
    fn new(store: usize, run: u32, chunks: u32) -> Self {
        Self { store, run, chunks, chunk: 0, rows: 0, places: VecDeque::new(), batch: None }
    }

    /// Where the next row stands; nothing at the end.
    fn next_place(&mut self, store: &mut dyn KeyStore) -> Result<Option<RowPlace>> {
        if self.places.is_empty() && self.rows > 0 {
            (self.chunk, self.rows, self.batch) = (self.chunk + 1, 0, None);
        }
        if self.places.is_empty() && self.chunk < self.chunks {
            let bytes = store.get(chunk_key(self.run, self.chunk, 0))?.unwrap_or_default();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                self.places.push_back(RowPlace::read(&mut rest).ok_or_else(gave_another)?);
            }
        }
        Ok(self.places.front().cloned())
    }

    /// The row that stands there: a batch, its number among all batches, and the row of it.
    fn row(&mut self, store: &mut dyn KeyStore) -> Result<(&RecordBatch, BatchNumber, usize)> {
        let batch = match self.batch.take() {
            Some(batch) => batch,
            None => read(&store.get(chunk_key(self.run, self.chunk, 1))?.unwrap_or_default())?,
        };
        let row = self.rows;
        self.rows += 1;
        self.places.pop_front();
        let number = (self.store, self.run, self.chunk);
        Ok((self.batch.insert(batch), number, row))
    }
}

fn gave_another() -> Error {
    Error::internal(format!("the temporary file of {WORK} gave what was not put there"))
}

fn chunk_key(run: u32, chunk: u32, part: u8) -> Guid {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&run.to_be_bytes());
    bytes[4..8].copy_from_slice(&chunk.to_be_bytes());
    bytes[8] = part;
    Guid::from_bytes(bytes)
}

/// Rows as bytes: Arrow's stream, compressed.
fn stored(rows: &RecordBatch) -> Result<Vec<u8>> {
    let failed = |error| Error::internal("rows cannot be kept for a while").caused_by(error);
    let mut writer = StreamWriter::try_new(Vec::new(), rows.schema_ref()).map_err(failed)?;
    writer.write(rows).map_err(failed)?;
    let bytes = writer.into_inner().map_err(failed)?;
    let compressed = zstd::bulk::compress(&bytes, ZSTD_LEVEL);
    let mut compressed =
        compressed.map_err(|error| Error::internal("rows cannot be kept for a while").caused_by(error))?;
    compressed.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    Ok(compressed)
}

fn read(stored: &[u8]) -> Result<RecordBatch> {
    let (compressed, size) = stored.split_last_chunk().ok_or_else(gave_another)?;
    let size = usize::try_from(u64::from_be_bytes(*size)).map_err(|_| gave_another())?;
    let bytes = zstd::bulk::decompress(compressed, size).map_err(|error| gave_another().caused_by(error))?;
    let mut reader = StreamReader::try_new(bytes.as_slice(), None).map_err(|error| gave_another().caused_by(error))?;
    let rows = reader.next().ok_or_else(gave_another)?;
    rows.map_err(|error| gave_another().caused_by(error))
}
