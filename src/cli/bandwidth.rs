//! `--bandwidth`: how much of a line a command may take.

use crate::store;

/// How fast bundles go over the network.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct BandwidthArgs {
    /// Send and receive at most so many bytes per second, all connections together: 500K, 20M or 1G, in powers of 1024
    #[arg(long, value_name = "RATE", value_parser = rate)]
    bandwidth: Option<u64>,
}

impl BandwidthArgs {
    /// Holds this process to it from now on.
    pub fn apply(self) {
        if let Some(bytes_per_second) = self.bandwidth {
            store::limit_bandwidth(bytes_per_second);
        }
    }
}

/// Bytes, in thousands of 1024 if a letter says so.
fn rate(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 10),
        Some((at, 'M' | 'm')) => (&text[..at], 20),
        Some((at, 'G' | 'g')) => (&text[..at], 30),
        _ => (text, 0),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| digits.parse::<u64>().ok()).flatten();
    let rate = number.and_then(|number| number.checked_mul(1 << shift)).filter(|rate| *rate >= LEAST);
    rate.ok_or_else(|| "write it as 500K, 20M or 1G: bytes per second, 10K or more".to_owned())
}

/// With less, a part of 8 MiB would take longer than a store waits.
const LEAST: u64 = 10 << 10;

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn a_rate_is_a_number_of_bytes() {
        assert_eq!((rate("20M"), rate("500k"), rate("1G")), (Ok(20 << 20), Ok(500 << 10), Ok(1 << 30)));
        assert_eq!(rate("20480"), Ok(20480));
        for wrong in ["", "M", "20 M", "20MB", "-1M", "1.5M", "0", "9K", "99999999999G"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
