//! Decimals as scaled integers and their one text form; never a float on the way.

use crate::error::{Error, Result};

/// `unscaled` × 10^-scale as text: a sign if negative, at least one digit before the point,
/// exactly `scale` digits after it.
pub fn format(unscaled: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Parses text to a scaled integer of exactly this scale; up to 38 digits.
///
/// # Errors
/// Config: not a decimal, more digits than `scale` after the point, or over 38 digits in all.
pub fn parse(text: &str, scale: u8) -> Result<i128> {
    let bad = || Error::config(format!("{text:?} is not a decimal with at most {scale} digits after the point"));
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    if fraction.len() > usize::from(scale) || whole.is_empty() || whole.len() > 38 {
        return Err(bad());
    }
    let padding = std::iter::repeat_n('0', usize::from(scale) - fraction.len());
    let mut value: i128 = 0;
    for digit in whole.chars().chain(fraction.chars()).chain(padding) {
        let digit = digit.to_digit(10).ok_or_else(bad)?;
        value = value.checked_mul(10).and_then(|v| v.checked_add(i128::from(digit))).ok_or_else(bad)?;
    }
    if value >= 10_i128.pow(38) {
        return Err(bad());
    }
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_value_agree() {
        for (value, scale, text) in [(0, 0, "0"), (-5, 2, "-0.05"), (12345, 2, "123.45"), (10, 1, "1.0")] {
            assert_eq!(format(value, scale), text);
            assert_eq!(parse(text, scale).unwrap(), value);
        }
        assert_eq!(parse("1.5", 4).unwrap(), 15000);
        for bad in ["", ".", "1.234", "1e5", "--1", "٣"] {
            assert!(parse(bad, 2).is_err(), "{bad}");
        }
        let widest = 10_i128.pow(38) - 1;
        assert_eq!(parse(&format(widest, 10), 10).unwrap(), widest);
    }
}
