//! [`Memory`]: the one number of bytes that a piece of work keeps to, and how it is shared out.
//!
//! Every buffer of a pipeline has its size from here, so that the sum holds whatever the rows are like:
//! what embedded databases cache, rows on their way, row groups in the making, blocks that wait for the
//! disk. What the program is itself (code, stacks, what an allocator does not give back) is set aside
//! first. Values that one piece cannot be split from (a text over 16 MiB that SQLite has to hold whole)
//! come on top, and are told where they are documented.

const MIB: u64 = 1 << 20;
/// For the program itself: its code, and the stacks of its threads.
const PROGRAM_BYTES: u64 = 24 * MIB;
/// A value that is held whole is there as often: as it was read, as a parameter of its statement, and in its row.
const WHOLE_COPIES: u64 = 4;
/// SQLite holds no value that is larger, and neither does a server.
const MOST_VALUE_BYTES: u64 = i32::MAX as u64;
/// One part of so many is what an allocator holds and nobody uses.
const SLACK_ONE_OF: u64 = 12;

/// See the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    bytes: u64,
}

impl Memory {
    /// The least that pipelines are made for, in MiB.
    pub const LEAST_MIB: u64 = 128;
    /// What is taken unless told otherwise, in MiB.
    pub const USUAL_MIB: u64 = 256;

    /// So many MiB, at least [`Memory::LEAST_MIB`].
    pub fn of_mib(mib: u64) -> Self {
        Self { bytes: mib.max(Self::LEAST_MIB).saturating_mul(MIB) }
    }

    /// All of it, in MiB.
    pub fn mib(self) -> u64 {
        self.bytes / MIB
    }

    /// What is left when the program has what it needs for itself.
    fn free(self) -> u64 {
        self.bytes - PROGRAM_BYTES - self.bytes / SLACK_ONE_OF
    }

    /// For embedded databases, while nothing else needs much.
    pub fn databases_alone(self) -> u64 {
        self.free() / 4 * 3
    }

    /// For embedded databases, while a pipeline has [`Memory::pipeline`].
    pub fn databases(self) -> u64 {
        self.free() / 5
    }

    /// The largest value that may be held whole, in bytes.
    pub fn whole_value(self) -> u64 {
        (self.free() / WHOLE_COPIES).min(MOST_VALUE_BYTES)
    }

    /// The least, in whole MiB, in which a value of so many bytes may be held whole; nothing where none suffices.
    pub fn for_whole_value(bytes: u64) -> Option<Self> {
        let needed = (bytes * WHOLE_COPIES + PROGRAM_BYTES) / (SLACK_ONE_OF - 1) * SLACK_ONE_OF;
        let memory = Self::of_mib(needed / MIB + 2);
        (bytes <= MOST_VALUE_BYTES && memory.whole_value() >= bytes).then_some(memory)
    }

    /// For rows on their way and what is made of them.
    pub fn pipeline(self) -> u64 {
        self.free() - self.databases()
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::of_mib(Self::USUAL_MIB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_suffice_for_a_value_does() {
        for bytes in [1, 60 * MIB, 1_000_000_007, MOST_VALUE_BYTES] {
            let memory = Memory::for_whole_value(bytes).unwrap();
            assert!(memory.whole_value() >= bytes);
            assert!(memory.mib() <= Memory::LEAST_MIB || Memory::of_mib(memory.mib() - 4).whole_value() < bytes);
        }
        assert_eq!(Memory::for_whole_value(MOST_VALUE_BYTES + 1), None);
    }

    #[test]
    fn shares_make_the_whole() {
        for mib in [0, Memory::LEAST_MIB, Memory::USUAL_MIB, 1000, 1 << 20] {
            let memory = Memory::of_mib(mib);
            assert!(PROGRAM_BYTES + memory.databases() + memory.pipeline() <= memory.mib() * MIB);
            assert!(PROGRAM_BYTES + memory.databases_alone() <= memory.mib() * MIB);
        }
        assert_eq!(Memory::of_mib(0).mib(), Memory::LEAST_MIB);
    }
}
