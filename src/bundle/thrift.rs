//! As much of Thrift's compact protocol as it takes to look at a Parquet file before the library
//! that decodes it does
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>).
//!
//! Everything is read out of bytes at hand, nothing is kept, and nesting is bounded, so no input
//! makes it take memory or time beyond its own length.

/// The types of fields and elements that the caller asks for.
pub(super) const I32: u8 = 5;
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// Structs in structs, of what is skipped: Parquet's footer has five levels.
const MAX_DEPTH: u8 = 16;

/// Reads from the front of a slice. `None` from any of its methods: this is not Thrift.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// The last field's id, of each struct that is open.
    last: i16,
}

impl<'a> Reader<'a> {
    /// At the beginning of a struct.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, last: 0 }
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len()
    }

    /// The next field of the struct: its id and type; the inner `None` at the struct's end.
    pub(super) fn field(&mut self) -> Option<Option<(i16, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        let id = match head >> 4 {
            0 => i16::try_from(self.signed()?).ok()?,
            delta => self.last.checked_add(i16::from(delta))?,
        };
        self.last = id;
        Some(Some((id, head & 0x0F)))
    }

    /// An integer of up to 32 bits.
    pub(super) fn i32(&mut self) -> Option<i32> {
        i32::try_from(self.signed()?).ok()
    }

    /// The head of a list: its length and the type of its elements.
    pub(super) fn list(&mut self) -> Option<(usize, u8)> {
        let head = self.byte()?;
        let length = match head >> 4 {
            15 => usize::try_from(self.unsigned()?).ok()?,
            short => usize::from(short),
        };
        // Each element takes a byte at least.
        (length <= self.left()).then_some((length, head & 0x0F))
    }

    /// Goes into a struct that is a field or an element: what `read` does not read of it is lost.
    pub(super) fn inner<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut inner = Reader::new(self.bytes);
        let value = read(&mut inner)?;
        self.bytes = inner.bytes;
        Some(value)
    }

    /// Goes over a value of a type.
    pub(super) fn skip(&mut self, kind: u8) -> Option<()> {
        self.skip_at(kind, 0)
    }

    fn skip_at(&mut self, kind: u8, depth: u8) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            // The value of a boolean field lies in its type.
            1 | 2 => Some(()),
            3 => self.byte().map(drop),
            4..=6 => self.unsigned().map(drop),
            7 => self.take(8).map(drop),
            BINARY => {
                let length = usize::try_from(self.unsigned()?).ok()?;
                self.take(length).map(drop)
            }
            LIST | 10 => {
                let (length, element) = self.list()?;
                // As an element, a boolean has a byte of its own.
                let element = if element <= 2 { 3 } else { element };
                (0..length).try_for_each(|_| self.skip_at(element, depth + 1))
            }
            STRUCT => self.inner(|inner| {
                while let Some((_, kind)) = inner.field()? {
                    inner.skip_at(kind, depth + 1)?;
                }
                Some(())
            }),
            // Parquet has no maps.
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).and_then(|bytes| bytes.first().copied())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    /// A varint (ULEB128) of at most 64 bits.
    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A zigzag varint.
    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_read_in_both_forms() {
        // Field 1: i32 -3; field 20 (long form): i32 64; field 21: a struct with a binary; end.
        let bytes = [0x15, 0x05, 0x05, 40, 0x80, 0x01, 0x1C, 0x18, 2, b'a', b'b', 0, 0];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.field(), Some(Some((1, I32))));
        assert_eq!(reader.i32(), Some(-3));
        assert_eq!(reader.field(), Some(Some((20, I32))));
        assert_eq!(reader.i32(), Some(64));
        assert_eq!(reader.field(), Some(Some((21, STRUCT))));
        assert_eq!(reader.skip(STRUCT), Some(()));
        assert_eq!(reader.field(), Some(None));
        assert_eq!(reader.left(), 0);
    }

    #[test]
    fn what_is_no_thrift_is_none() {
        assert_eq!(Reader::new(&[0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]).clone().field(), Some(Some((1, BINARY))));
        assert_eq!(Reader::new(&[0xFF; 11]).i32(), None);
        assert_eq!(Reader::new(&[0xF5, 0xFF, 0xFF, 0x7F]).list(), None);
        assert_eq!(Reader::new(&[0x1C; 64]).skip(STRUCT), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Reader::new(&bytes).skip(STRUCT);
            let _ = Reader::new(&bytes).skip(LIST);
        }
    }
}
