//! CRC-32 as ZIP and PNG have it (ISO 3309; polynomial 0xEDB88320), and of a byte that is repeated, without going through it.

const POLYNOMIAL: u32 = 0xEDB8_8320;

/// Of bytes, going on from the CRC of what is before them (0 at the beginning).
pub(super) fn of(before: u32, bytes: &[u8]) -> u32 {
    let mut crc = !before;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
        }
    }
    !crc
}

/// Of so many times the same byte, behind what has the CRC `before`.
pub(super) fn of_repeated(before: u32, byte: u8, mut times: u64) -> u32 {
    let (mut crc, mut block, mut bytes) = (before, of(0, &[byte]), 1_u64);
    while times > 0 {
        if times & 1 == 1 {
            crc = joined(crc, block, bytes);
        }
        block = joined(block, block, bytes);
        bytes <<= 1;
        times >>= 1;
    }
    crc
}

type Matrix = [u32; 32];

fn times(matrix: &Matrix, vector: u32) -> u32 {
    (0..32).filter(|bit| vector >> bit & 1 == 1).fold(0, |sum, bit| sum ^ matrix[bit])
}

/// The CRC of two blocks, from that of each and the length of the second: the first goes through so many zero bytes.
fn joined(first: u32, second: u32, mut bytes: u64) -> u32 {
    let mut crc = first;
    // What one zero bit does, then one byte.
    let mut matrix: Matrix = std::array::from_fn(|bit| if bit == 0 { POLYNOMIAL } else { 1 << (bit - 1) });
    for _ in 0..3 {
        matrix = std::array::from_fn(|bit| times(&matrix, matrix[bit]));
    }
    while bytes > 0 {
        if bytes & 1 == 1 {
            crc = times(&matrix, crc);
        }
        matrix = std::array::from_fn(|bit| times(&matrix, matrix[bit]));
        bytes >>= 1;
    }
    crc ^ second
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_one_of_the_standard_and_joins() {
        assert_eq!(of(0, b"123456789"), 0xCBF4_3926);
        for times in [0, 1, 2, 3, 255, 256, 1000, 65_537] {
            let bytes = vec![b' '; times];
            assert_eq!(of_repeated(of(0, b"abc"), b' ', times as u64), of(of(0, b"abc"), &bytes), "{times}");
        }
    }
}
