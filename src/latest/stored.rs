//! [`Stored`]: a value as bytes, for as long as this program runs. No other program reads it.

use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::run::Scope;
use crate::model::slice::DeletionReason;
use crate::model::time::Timestamp;
use crate::model::version::Version;
use std::collections::BTreeMap;

/// See the module's text.
pub trait Stored: Sized {
    /// Adds its bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes one from the front; `None`, if none stands there.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

/// A type that is stored field by field.
macro_rules! stored {
    ($type:ty $(where $param:ident)? { $($field:ident),+ }) => {
        impl $(<$param: $crate::latest::Stored>)? $crate::latest::Stored for $type {
            fn write(&self, out: &mut Vec<u8>) {
                $($crate::latest::Stored::write(&self.$field, out);)+
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::latest::Stored::read(bytes)?),+ })
            }
        }
    };
}
pub(crate) use stored;

/// A type that is stored as another one.
macro_rules! stored_as {
    ($type:ty, $as:ty, $to:expr, $from:expr) => {
        impl Stored for $type {
            fn write(&self, out: &mut Vec<u8>) {
                let to: fn(&$type) -> $as = $to;
                to(self).write(out);
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                let from: fn($as) -> Option<$type> = $from;
                from(Stored::read(bytes)?)
            }
        }
    };
}

impl<const N: usize> Stored for [u8; N] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*first)
    }
}

impl Stored for () {
    fn write(&self, _: &mut Vec<u8>) {}

    fn read(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

impl<T: Stored> Stored for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        self.iter().for_each(|value| value.write(out));
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        match bool::read(bytes)? {
            true => T::read(bytes).map(Some),
            false => Some(None),
        }
    }
}

impl<K: Stored + Ord, V: Stored> Stored for BTreeMap<K, V> {
    fn write(&self, out: &mut Vec<u8>) {
        (self.len() as u64).write(out);
        for (key, value) in self {
            key.write(out);
            value.write(out);
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        (0..u64::read(bytes)?).map(|_| Some((K::read(bytes)?, V::read(bytes)?))).collect()
    }
}

stored_as!(bool, [u8; 1], |bit| [u8::from(*bit)], |[byte]| Some(byte == 1));
stored_as!(i16, [u8; 2], |number| number.to_be_bytes(), |bytes| Some(Self::from_be_bytes(bytes)));
stored_as!(u32, [u8; 4], |number| number.to_be_bytes(), |bytes| Some(Self::from_be_bytes(bytes)));
stored_as!(u64, [u8; 8], |number| number.to_be_bytes(), |bytes| Some(Self::from_be_bytes(bytes)));
stored_as!(i64, [u8; 8], |number| number.to_be_bytes(), |bytes| Some(Self::from_be_bytes(bytes)));
stored_as!(Guid, [u8; 16], |key| *key.as_bytes(), |bytes| Some(Self::from_bytes(bytes)));
stored_as!(Sha256, [u8; 32], |digest| *digest.as_bytes(), |bytes| Some(Self::from_bytes(bytes)));
stored_as!(Timestamp, i64, |at| at.ticks(), Self::from_ticks);
stored_as!(DeletionReason, bool, |reason| *reason == Self::Deleted, |is_deleted| {
    Some(if is_deleted { Self::Deleted } else { Self::LeftScope })
});
stored_as!(Scope, Option<Guid>, |scope| scope.business_unit(), |unit| Some(Self::from(unit)));
stored!(Version { modified_on, tombstone, run_started_at, run_id });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is() {
        let unit = Scope::BusinessUnit(Guid::from_bytes([7; 16]));
        let version = |tombstone| Version {
            modified_on: Timestamp::from_ticks(77),
            tombstone,
            run_started_at: Timestamp::MIN,
            run_id: Guid::from_bytes([9; 16]),
        };
        let reasons = [None, Some(DeletionReason::Deleted), Some(DeletionReason::LeftScope)];
        let value: BTreeMap<Scope, Version> =
            [Scope::All, unit].into_iter().zip(reasons).map(|(scope, reason)| (scope, version(reason))).collect();
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        version(reasons[2]).write(&mut bytes);
        let mut rest = bytes.as_slice();
        assert_eq!(BTreeMap::read(&mut rest), Some(value));
        assert_eq!((Version::read(&mut rest), rest), (Some(version(reasons[2])), [].as_slice()));
        for end in 0..bytes.len() {
            let mut cut = &bytes[..end];
            let whole = BTreeMap::<Scope, Version>::read(&mut cut).and_then(|_| Version::read(&mut cut));
            assert_eq!(whole, None, "{end}");
        }
    }
}
