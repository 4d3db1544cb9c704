//! Blocks: whether 16 bytes of a masked value are left anywhere in the masked bundle.

use super::filter::{BLOCK_BYTES, Block, BlockFilter, hash_of, is_telling};
use super::finding::{MaskCheck, MaskFinding, MaskProof};
use super::pair::Pair;
use super::values::{self, ValuePlace};
use crate::bundle::MaskedTable;
use crate::error::{Error, Result};
use crate::mask::MaskKind;
use crate::mask::placeholder::known_blocks;
use crate::model::id::Guid;
use crate::model::memory::Memory;
use crate::monitor::Monitor;
use std::collections::{BTreeMap, BTreeSet};

/// Blocks that are looked for once more in one pass.
const MOST_HITS: usize = 1 << 20;

/// Where a block was found in the masked bundle.
type Hits = BTreeMap<Block, (Guid, String)>;

/// Checks the blocks of a table's masked values.
pub(super) fn check(
    pair: Pair<'_>,
    masks: &MaskedTable,
    memory: Memory,
    proof: &mut MaskProof,
    monitor: &dyn Monitor,
) -> Result<()> {
    // What is cut out of the original is not left of it.
    let is_made_of_it = |kind: MaskKind| matches!(kind, MaskKind::Keep | MaskKind::Extension | MaskKind::SizeOf);
    let is_masked = |name: &str| {
        let mask = masks.columns.iter().find(|mask| mask.column == name);
        mask.and_then(|mask| MaskKind::parse(&mask.mask)).is_some_and(|kind| !is_made_of_it(kind))
    };
    let mut count = 0;
    values::each(pair.1, &is_masked, monitor, &mut |_, piece, _| {
        count += (piece.len() / BLOCK_BYTES) as u64;
        Ok(())
    })?;
    proof.checked(MaskCheck::Blocks, count);
    let known: BTreeSet<Block> = known_blocks();
    let filter_bytes = memory.pipeline() / 2;
    let passes = count.div_ceil(BlockFilter::of_bytes(8).capacity() * (filter_bytes / 8).max(1)).max(1);
    for pass in 0..passes {
        let is_of_pass = |block: &Block| hash_of(block).rotate_left(17) % passes == pass;
        let mut filter = BlockFilter::of_bytes(filter_bytes);
        each_block(pair, &is_masked, monitor, &mut |_, block| {
            if is_of_pass(block) {
                filter.add(block);
            }
        })?;
        let hits = hits(pair, &filter, &known, monitor)?;
        if hits.is_empty() {
            continue;
        }
        let mut confirmed: BTreeSet<Block> = BTreeSet::new();
        each_block(pair, &is_masked, monitor, &mut |place, block| {
            let Some((key, column)) = hits.get(block).filter(|_| confirmed.insert(*block)) else { return };
            let table = pair.1.1;
            let detail =
                format!("16 bytes of it are in column {column} of the masked row {}", pair.0.1.shown_key(*key));
            proof.found(MaskFinding {
                check: MaskCheck::Blocks,
                table: table.name.clone(),
                column: Some(place.column.to_owned()),
                key: Some(table.shown_key(place.key).to_string()),
                detail,
            });
        })?;
    }
    Ok(())
}

/// The telling blocks of masked values of the original, each at a multiple of its size.
fn each_block(
    pair: Pair<'_>,
    is_masked: &dyn Fn(&str) -> bool,
    monitor: &dyn Monitor,
    take: &mut dyn FnMut(ValuePlace<'_>, &Block),
) -> Result<()> {
    values::each(pair.1, is_masked, monitor, &mut |place, piece, _| {
        let blocks = piece.as_chunks::<BLOCK_BYTES>().0.iter();
        blocks.filter(|block| is_telling(block)).for_each(|block| take(place, block));
        Ok(())
    })
}

/// What of the masked bundle the filter may hold, at any place of any value, and no placeholder has.
fn hits(pair: Pair<'_>, filter: &BlockFilter, known: &BTreeSet<Block>, monitor: &dyn Monitor) -> Result<Hits> {
    let (mut hits, mut held) = (Hits::new(), Vec::new());
    values::each(pair.0, &|_| true, monitor, &mut |place, piece, is_first| {
        if is_first {
            held.clear();
        }
        // The end of the piece before, for blocks that go over both.
        held.extend_from_slice(piece);
        for block in held.array_windows::<BLOCK_BYTES>() {
            if block[0] == block[15] && block[..8] == block[8..] {
                continue;
            }
            if filter.may_hold(block) && is_telling(block) && !known.contains(block) && hits.len() < MOST_HITS {
                hits.entry(*block).or_insert_with(|| (place.key, place.column.to_owned()));
            }
        }
        let kept = held.len().saturating_sub(BLOCK_BYTES - 1);
        held.drain(..kept);
        Ok(())
    })?;
    if hits.len() == MOST_HITS {
        return Err(Error::config("too many blocks may be those of the original to look at each of them")
            .hint("give it more memory with --memory-mib; if it stays, a masked column is not masked at all"));
    }
    Ok(hits)
}
