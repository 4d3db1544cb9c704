//! [`Budget`]: how the memory of a writer of parts is shared out, and what a row group in the making
//! costs of it.
//!
//! ```text
//! rows read → batch │ batch │ batch → row groups in the making → blocks of two files → disk
//!             └──── on their way ───┘  └─ values, pages, zstd ─┘  └ one being sealed ┘
//! ```
//!
//! A row group holds its values until they are encoded, and then the pages that they became, which are a
//! little more at worst; beside them the values of a page that is being made, twice, and what zstd works
//! with. All of that is reckoned from the batches alone, so that what is written depends on nothing
//! else; how many row groups are made at once does not show in it.

use crate::error::{Error, Result};
use arrow::array::{Array, AsArray as _, RecordBatch};

const MIB: u64 = 1 << 20;
/// Values of a page: Parquet's default, at which pages are closed.
const PAGE_BYTES: u64 = MIB;
/// The bytes of a batch, at most, whatever memory there is.
const MAX_BATCH_BYTES: u64 = 8 * MIB;
/// Blocks of a file that wait, at most: what hides the waits of a disk.
const MAX_WAITING_BYTES: u64 = 24 * MIB;
/// The inline limits that are tried, from what format 1 recommends down (manifests/FORMAT.md, section 4).
const INLINE_BYTES: [u64; 5] = [16 * MIB, 8 * MIB, 4 * MIB, 2 * MIB, MIB];
/// Batches that are read, that wait, and that are hashed.
const BATCHES_ON_THEIR_WAY: u64 = 3;

/// What zstd 1.5.7 works with at each level, in KiB: for a page of 1 MiB
/// (`ZSTD_estimateCCtxSize_usingCParams`), and for a stream of unknown length
/// (`ZSTD_estimateCStreamSize`), which is more than for any page.
const ZSTD_KIB: [(u64, u64); 22] = [
    (640, 1_400),
    (768, 2_100),
    (1_280, 3_600),
    (2_560, 4_900),
    (3_600, 5_900),
    (3_600, 5_900),
    (6_700, 9_000),
    (6_700, 9_000),
    (12_800, 17_200),
    (12_800, 29_400),
    (12_800, 29_400),
    (12_800, 54_000),
    (17_000, 54_000),
    (17_000, 54_000),
    (17_000, 70_400),
    (17_000, 70_400),
    (17_000, 70_400),
    (17_700, 70_400),
    (17_700, 91_700),
    (17_700, 198_200),
    (17_700, 394_800),
    (17_700, 796_300),
];

/// See the module's text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// A batch is full when it reaches so many bytes; its last value comes on top.
    pub(super) batch_bytes: u64,
    /// Values over so many bytes lie in `blob/`.
    pub(super) inline_bytes: u64,
    /// Blocks of one file that wait to be hashed or written.
    pub(super) waiting_bytes: u64,
    /// For all row groups in the making.
    making_bytes: u64,
    zstd: Zstd,
}

/// What a level of zstd works with, in bytes.
#[derive(Clone, Copy, Debug)]
struct Zstd {
    of_page: u64,
    of_stream: u64,
}

impl Zstd {
    fn of(level: i32) -> Result<Self> {
        let (of_page, of_stream) = usize::try_from(level)
            .ok()
            .and_then(|level| ZSTD_KIB.get(level.checked_sub(1)?))
            .ok_or_else(|| Error::usage(format!("there is no level {level} of zstd")).hint("take 1 to 22"))?;
        Ok(Self { of_page: of_page << 10, of_stream: of_stream << 10 })
    }

    /// For a column of so many bytes with such a largest value: less where there is less to compress.
    fn of_column(self, bytes: u64, largest: u64) -> u64 {
        match largest > PAGE_BYTES {
            true => self.of_stream,
            false => self.of_page * bytes.min(PAGE_BYTES) / PAGE_BYTES,
        }
    }
}

impl Budget {
    /// Shares `memory` bytes out. Without an inline limit, the largest that leaves room.
    ///
    /// # Errors
    /// Usage: no such level, or one that needs more than there is; an inline limit that does.
    pub(super) fn share(memory: u64, zstd_level: i32, inline_bytes: Option<u64>) -> Result<Self> {
        let zstd = Zstd::of(zstd_level)?;
        let with = |memory: u64, inline_bytes: u64| {
            let waiting_bytes = (memory / 16).min(MAX_WAITING_BYTES);
            let batch_bytes = (memory / 48).min(MAX_BATCH_BYTES);
            let batches = BATCHES_ON_THEIR_WAY * (batch_bytes + inline_bytes);
            let making_bytes = memory.saturating_sub(2 * waiting_bytes + batches + zstd.of_stream);
            let budget = Self { batch_bytes, inline_bytes, waiting_bytes, making_bytes, zstd };
            (budget.of_worst_batch() <= making_bytes).then_some(budget)
        };
        let asked = inline_bytes.as_ref().map_or(&INLINE_BYTES[..], std::slice::from_ref);
        if let Some(budget) = asked.iter().find_map(|inline| with(memory, *inline)) {
            return Ok(budget);
        }
        let least = asked.last().copied().unwrap_or(MIB);
        let enough = (1..).map(|more| memory + more * 16 * MIB).find(|memory| with(*memory, least).is_some());
        let more = (enough.unwrap_or(memory) - memory).div_ceil(MIB);
        let what = match inline_bytes {
            Some(bytes) => {
                format!("values of {} MiB in their rows, at level {zstd_level} of zstd,", bytes.div_ceil(MIB))
            }
            None => format!("level {zstd_level} of zstd"),
        };
        Err(Error::usage(format!("{what} needs more memory than this work may take"))
            .hint(format!("give it some {} MiB more with --memory-mib, or ask for less", more + more / 4)))
    }

    /// What the largest batch costs that there can be, alone in its row group.
    fn of_worst_batch(&self) -> u64 {
        let bytes = self.batch_bytes + self.inline_bytes;
        let column = ColumnBudget { bytes, largest: self.inline_bytes, has_dictionary: false };
        Making { columns: vec![column], batch: bytes }.cost(self.zstd)
    }

    /// What a row group costs.
    pub(super) fn cost(&self, making: &Making) -> u64 {
        making.cost(self.zstd)
    }

    /// Pages that nobody uses, and that are kept for the next row group.
    pub(super) fn free_page_bytes(&self) -> u64 {
        self.making_bytes / 3
    }

    /// Whether row groups that cost so much may be in the making at once.
    pub(super) fn allows(&self, cost: u64) -> bool {
        cost <= self.making_bytes
    }
}

/// What a row group was given.
#[derive(Clone, Debug, Default)]
pub(super) struct Making {
    columns: Vec<ColumnBudget>,
    /// The largest batch.
    batch: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct ColumnBudget {
    /// Its values.
    bytes: u64,
    /// The largest of them, where they have lengths of their own.
    largest: u64,
    /// Whether a dictionary may stand beside them: columns of texts and binaries have none (`columns`).
    has_dictionary: bool,
}

impl ColumnBudget {
    fn of(array: &dyn Array) -> Result<Self> {
        let bytes = array.to_data().get_slice_memory_size();
        let bytes = bytes.map_err(|error| Error::internal("a batch cannot be measured").caused_by(error))?;
        let largest = largest(array);
        Ok(Self { bytes: bytes as u64, largest: largest.unwrap_or(0), has_dictionary: largest.is_none() })
    }

    fn with(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            largest: self.largest.max(other.largest),
            has_dictionary: self.has_dictionary || other.has_dictionary,
        }
    }
}

impl Making {
    /// Of one batch.
    ///
    /// # Errors
    /// Internal: Arrow cannot measure it.
    pub(super) fn of(batch: &RecordBatch) -> Result<Self> {
        let columns = batch.columns().iter().map(|array| ColumnBudget::of(array)).collect::<Result<Vec<_>>>()?;
        let batch = columns.iter().map(|column| column.bytes).sum();
        Ok(Self { columns, batch })
    }

    /// Values of all columns, before compression.
    pub(super) fn bytes(&self) -> u64 {
        self.columns.iter().map(|column| column.bytes).sum()
    }

    /// What the pages of all columns inflate to, at most: values that fill a dictionary are in it once more.
    pub(super) fn inflated(&self) -> u64 {
        let dictionaries = self.columns.iter().filter(|column| column.has_dictionary);
        self.bytes() + dictionaries.map(|column| column.bytes.min(PAGE_BYTES)).sum::<u64>()
    }

    /// Both of them in one row group of the same columns.
    pub(super) fn with(&self, other: &Self) -> Self {
        let column = |nth: usize| {
            let of = |making: &Self| making.columns.get(nth).copied().unwrap_or_default();
            of(self).with(of(other))
        };
        let columns = (0..self.columns.len().max(other.columns.len())).map(column).collect();
        Self { columns, batch: self.batch.max(other.batch) }
    }

    fn cost(&self, zstd: Zstd) -> u64 {
        let bytes = self.bytes();
        let largest = self.columns.iter().map(|column| column.largest).max().unwrap_or(0);
        let zstd: u64 = self.columns.iter().map(|column| zstd.of_column(column.bytes, column.largest)).sum();
        bytes + bytes / 8 + self.batch + 2 * (largest + PAGE_BYTES).min(bytes) + zstd
    }
}

/// The bytes of the largest value of an array of texts or binaries.
fn largest(array: &dyn Array) -> Option<u64> {
    let offsets = match (array.as_binary_opt::<i32>(), array.as_string_opt::<i32>()) {
        (Some(array), _) => array.value_offsets(),
        (_, Some(array)) => array.value_offsets(),
        _ => return None,
    };
    let lengths = offsets.windows(2).map(|ends| u64::from(ends[1].abs_diff(ends[0])));
    Some(lengths.max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::memory::Memory;

    fn share(mib: u64, level: i32, inline: Option<u64>) -> Result<Budget> {
        Budget::share(Memory::of_mib(mib).pipeline(), level, inline)
    }

    #[test]
    fn what_is_shared_out_is_no_more_than_there_is() {
        for (least, level) in [(128, 1), (128, 3), (128, 9), (512, 19), (2048, 22)] {
            for mib in [128, 200, 256, 300, 512, 1024, 2048, 1 << 16].into_iter().filter(|mib| *mib >= least) {
                let budget = share(mib, level, None).unwrap();
                let batches = BATCHES_ON_THEIR_WAY * (budget.batch_bytes + budget.inline_bytes);
                let all = 2 * budget.waiting_bytes + batches + budget.zstd.of_stream + budget.making_bytes;
                assert!(all <= Memory::of_mib(mib).pipeline(), "{mib} {level}");
                assert!(budget.allows(budget.of_worst_batch()), "{mib} {level}");
            }
        }
    }

    #[test]
    fn usual_memory_takes_two_full_row_groups_and_values_of_16_mib() {
        let budget = share(Memory::USUAL_MIB, 1, None).unwrap();
        assert_eq!(budget.inline_bytes, 16 * MIB);
        let blobs = ColumnBudget { bytes: 32 * MIB, largest: 64 << 10, has_dictionary: false };
        let small = ColumnBudget { bytes: 8 << 10, largest: 0, has_dictionary: true };
        let mut columns = vec![small; 30];
        columns.push(blobs);
        let small = Making { columns, batch: 4 * MIB };
        assert!(budget.allows(2 * budget.cost(&small)));
    }

    #[test]
    fn less_memory_makes_the_inline_limit_less() {
        let limits = [128, 160, 256].map(|mib| share(mib, 1, None).unwrap().inline_bytes / MIB);
        assert_eq!(limits, [4, 8, 16]);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_what_is_asked_for_instead_fits() {
        assert!(share(256, 1, Some(32 * MIB)).unwrap_err().to_string().contains("values of 32 MiB"));
        assert!(share(512, 1, Some(32 * MIB)).is_ok());
        assert!(share(256, 22, None).unwrap_err().to_string().contains("level 22"));
        assert!(share(1536, 22, None).is_ok());
        assert!(share(256, 23, None).is_err());
        assert!(share(256, 0, None).is_err());
    }
}
