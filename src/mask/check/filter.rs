//! [`BlockFilter`]: of blocks that were put in, it says so; of others, mostly not. It has a fixed size.

/// 16 bytes of a value.
pub(super) type Block = [u8; BLOCK_BYTES];

pub(super) const BLOCK_BYTES: usize = 16;
/// Fewer different bytes say nothing: blanks, zeros, lines.
const LEAST_DIFFERENT: usize = 8;
const PROBES: u64 = 4;

/// A Bloom filter.
pub(super) struct BlockFilter {
    words: Vec<u64>,
}

impl BlockFilter {
    /// Of so many bytes, at least one word.
    pub(super) fn of_bytes(bytes: u64) -> Self {
        let words = usize::try_from(bytes / 8).unwrap_or(1).max(1);
        Self { words: vec![0; words] }
    }

    /// Blocks that it tells apart well.
    pub(super) fn capacity(&self) -> u64 {
        self.words.len() as u64 * 64 / 12
    }

    pub(super) fn add(&mut self, block: &Block) {
        for (word, bit) in places(block, self.words.len()) {
            self.words[word] |= bit;
        }
    }

    pub(super) fn may_hold(&self, block: &Block) -> bool {
        places(block, self.words.len()).all(|(word, bit)| self.words[word] & bit != 0)
    }
}

fn places(block: &Block, words: usize) -> impl Iterator<Item = (usize, u64)> {
    let hash = hash_of(block);
    let step = hash.rotate_left(31) | 1;
    (0..PROBES).map(move |nth| {
        let place = hash.wrapping_add(step.wrapping_mul(nth));
        let word = (u128::from(place) * words as u128) >> 64;
        (usize::try_from(word).unwrap_or(0), 1 << (place & 63))
    })
}

/// Which of several passes a block belongs to, and where it is in the filter, follow from this.
pub(super) fn hash_of(block: &Block) -> u64 {
    let (low, high) = (number(&block[..8]), number(&block[8..]));
    // Multiplications by odd constants of high entropy (those of SplitMix64).
    let mixed = (low ^ high.rotate_left(32)).wrapping_mul(0xBF58_476D_1CE4_E5B9) ^ high;
    let mixed = (mixed ^ mixed >> 31).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 29
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// Whether a block says something of where it comes from.
pub(super) fn is_telling(block: &Block) -> bool {
    // What repeats after eight bytes has eight different ones only if none comes twice; blanks are passed by quickly.
    if block[0] == block[1] && block[..8] == block[8..] {
        return false;
    }
    let mut seen = [0_u64; 4];
    for byte in block {
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
    seen.iter().map(|word| word.count_ones() as usize).sum::<usize>() >= LEAST_DIFFERENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found_and_little_else() {
        let block = |nth: u64| -> Block {
            let mut block = [0; 16];
            block[..8].copy_from_slice(&nth.to_be_bytes());
            block[8..].copy_from_slice(&(nth * 7919).to_be_bytes());
            block
        };
        let mut filter = BlockFilter::of_bytes(64 << 10);
        let most = filter.capacity();
        (0..most).for_each(|nth| filter.add(&block(nth)));
        assert!((0..most).all(|nth| filter.may_hold(&block(nth))));
        let wrong = (most..most * 11).filter(|nth| filter.may_hold(&block(*nth))).count();
        assert!(wrong < 2 * usize::try_from(most).unwrap() / 10, "{wrong} of {}", most * 10);
    }

    #[test]
    fn blanks_and_lines_say_nothing() {
        for (block, due) in [
            (b"                ", false),
            (b"----+----+----+-", false),
            (b"abababababababab", false),
            (b"Joan Example, 19", true),
        ] {
            assert_eq!(is_telling(block), due);
        }
    }
}
