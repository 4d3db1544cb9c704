//! One-to-one masks: digits, integers and GUIDs onto others of the same kind, by a Feistel network whose round function is
//! HMAC. So no two values have the same mask, and without the secret none leads back.

use super::secret::{MaskKey, MaskStream};
use crate::model::id::Guid;

const ROUNDS: u8 = 8;

/// Permutes the numbers of these digits, of which each has a radix of its own, 1 to 255.
pub(super) fn digits(key: &MaskKey, tweak: u64, digits: &mut [u8], radices: &[u8]) {
    let half = digits.len() / 2;
    let tweak = tweak.to_be_bytes();
    if let ([digit], [radix]) = (&mut *digits, radices) {
        // A network without a second half would only rotate: one known mask would tell all others.
        *digit = shuffled(key, &tweak, *digit, *radix);
        return;
    }
    for round in 0..ROUNDS {
        let (left, right) = digits.split_at_mut(half);
        let (changed, other, of) = match round % 2 {
            0 => (right, &*left, &radices[half..]),
            _ => (left, &*right, &radices[..half]),
        };
        if changed.is_empty() {
            continue;
        }
        let mut stream = MaskStream::new(key.mac(&[b"digits", &tweak, &[round], radices, other]));
        for (digit, radix) in changed.iter_mut().zip(of) {
            let sum = u32::from(*digit) + stream.below((*radix).into());
            *digit = u8::try_from(sum % u32::from((*radix).max(1))).unwrap_or(0);
        }
    }
}

/// The place of one digit after all digits of its radix were shuffled (Fisher and Yates).
fn shuffled(key: &MaskKey, tweak: &[u8], digit: u8, radix: u8) -> u8 {
    let mut stream = MaskStream::new(key.mac(&[b"digit", tweak, &[radix]]));
    let mut places: Vec<u8> = (0..radix).collect();
    for last in (1..places.len()).rev() {
        let with = stream.below(u32::try_from(last + 1).unwrap_or(1)) as usize;
        places.swap(last, with);
    }
    places.get(usize::from(digit)).copied().unwrap_or(digit)
}

/// Permutes the numbers of so many bits, an even number of them.
fn bits(key: &MaskKey, purpose: &[u8], value: u64, bits: u32) -> u64 {
    let half = bits / 2;
    let mask = (1_u64 << half) - 1;
    let (mut left, mut right) = (value >> half & mask, value & mask);
    for round in 0..ROUNDS {
        let mac = key.mac(&[purpose, &[round], &bits.to_be_bytes(), &right.to_be_bytes()]);
        (left, right) = (right, (left ^ MaskStream::new(mac).number()) & mask);
    }
    left << half | right
}

/// Permutes the integers of a type of so many bits (8, 16, 32, 64), those below zero among themselves.
pub(super) fn integer(key: &MaskKey, value: i64, width: u32, is_signed: bool) -> i64 {
    let bound = if is_signed { 1_u64 << (width - 1) } else { 1_u64 << width };
    let (purpose, place): (&[u8], i64) = if value < 0 { (b"bits below zero", !value) } else { (b"bits", value) };
    let mut place = place.cast_unsigned();
    // A permutation of all bits, repeated until it comes back within the bound, is one of what is within it.
    loop {
        place = bits(key, purpose, place, width);
        if place < bound {
            break;
        }
    }
    let place = place.cast_signed();
    if value < 0 { !place } else { place }
}

/// Permutes GUIDs.
pub(super) fn guid(key: &MaskKey, value: Guid) -> Guid {
    let mut bytes = *value.as_bytes();
    for round in 0..ROUNDS {
        let (left, right) = bytes.split_at_mut(8);
        let (changed, other) = if round % 2 == 0 { (right, left) } else { (left, right) };
        let mac = key.mac(&[b"guid", &[round], other]);
        changed.iter_mut().zip(mac).for_each(|(byte, with)| *byte ^= with);
    }
    Guid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::secret::MaskSecret;
    use super::*;
    use std::collections::BTreeSet;

    fn key(nth: u8) -> MaskKey {
        let digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        MaskSecret::parse(digits).unwrap().key(&[&[nth]]).unwrap()
    }

    #[test]
    fn every_number_of_some_digits_has_a_number_of_its_own() {
        for radices in [&[10_u8][..], &[26, 10], &[10, 3, 7]] {
            let count: usize = radices.iter().map(|radix| usize::from(*radix)).product();
            let mut seen = BTreeSet::new();
            for number in 0..count {
                let mut rest = number;
                let mut value: Vec<u8> = Vec::new();
                for radix in radices {
                    value.push(u8::try_from(rest % usize::from(*radix)).unwrap());
                    rest /= usize::from(*radix);
                }
                digits(&key(1), 0, &mut value, radices);
                assert!(value.iter().zip(radices).all(|(digit, radix)| digit < radix));
                assert!(seen.insert(value));
            }
        }
    }

    #[test]
    fn one_mask_of_a_digit_does_not_tell_the_others() {
        let is_rotation = |nth: u8| {
            let mask = |digit: u8| {
                let mut digits = [digit];
                super::digits(&key(nth), 0, &mut digits, &[26]);
                (26 + digits[0] - digit) % 26
            };
            (1..26).all(|digit| mask(digit) == mask(0))
        };
        assert!((0..20).all(|nth| !is_rotation(nth)));
        let mirrored = |value: i64| integer(&key(1), !value, 32, true) == !integer(&key(1), value, 32, true);
        assert!(!(0..20).all(mirrored));
    }

    #[test]
    fn every_integer_of_a_type_has_one_of_its_own_and_keeps_its_sign() {
        let bytes: BTreeSet<i64> = (0..256).map(|value| integer(&key(2), value, 8, false)).collect();
        assert_eq!(bytes, (0..256).collect());
        let small: BTreeSet<i64> = (-500..500).map(|value| integer(&key(2), value, 16, true)).collect();
        assert!(small.len() == 1000 && small.iter().all(|value| i16::try_from(*value).is_ok()));
        for value in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(integer(&key(2), value, 64, true) < 0, value < 0);
        }
        assert!(i32::try_from(integer(&key(2), i32::MAX.into(), 32, true)).is_ok());
    }

    #[test]
    fn guids_are_told_apart_and_depend_on_the_key() {
        let guids = || (0..=255).map(|nth| Guid::from_bytes([nth; 16]));
        let masked: BTreeSet<Guid> = guids().map(|value| guid(&key(3), value)).collect();
        assert_eq!(masked.len(), 256);
        assert!(guids().all(|value| guid(&key(3), value) != guid(&key(4), value)));
    }
}
