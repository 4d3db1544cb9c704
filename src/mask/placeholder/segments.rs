//! [`Placeholder`]: a file as it is written, piece by piece.

use std::borrow::Cow;
use std::io::{self, Write};

/// What every placeholder says.
pub(super) const TEXT: &str = "This file is masked: its content was replaced.";
pub(super) const BLANKS: &[u8] = &[b' '; 64];

/// See the module's text.
#[derive(Clone, Debug)]
pub(in crate::mask) struct Placeholder {
    pub(super) segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
pub(super) enum Segment {
    Bytes(Cow<'static, [u8]>),
    /// So many bytes, in which these come again and again.
    Fill(&'static [u8], u64),
    /// These bytes, so many times.
    Repeat(Vec<u8>, u64),
}

impl Segment {
    fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Fill(_, bytes) => *bytes,
            Self::Repeat(unit, times) => unit.len() as u64 * times,
        }
    }
}

impl Placeholder {
    /// A text without a type, of exactly so many bytes.
    pub(in crate::mask) fn text(bytes: u64) -> Self {
        let shown = TEXT.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
        let fill = bytes - shown as u64;
        Self { segments: vec![Segment::Bytes(Cow::from(&TEXT.as_bytes()[..shown])), Segment::Fill(BLANKS, fill)] }
    }

    /// A beginning and an end, with blanks or the like between.
    pub(super) fn padded(
        head: impl Into<Cow<'static, [u8]>>,
        unit: &'static [u8],
        tail: &'static [u8],
        bytes: u64,
    ) -> Self {
        let head = head.into();
        let fill = bytes.saturating_sub((head.len() + tail.len()) as u64);
        Self { segments: vec![Segment::Bytes(head), Segment::Fill(unit, fill), Segment::Bytes(Cow::from(tail))] }
    }

    /// How many bytes it has.
    pub(in crate::mask) fn bytes(&self) -> u64 {
        self.segments.iter().map(Segment::bytes).sum()
    }

    /// Writes it.
    pub(in crate::mask) fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        for segment in &self.segments {
            match segment {
                Segment::Bytes(bytes) => out.write_all(bytes)?,
                Segment::Fill(unit, bytes) => fill(unit, *bytes, out)?,
                Segment::Repeat(unit, times) => (0..*times).try_for_each(|_| out.write_all(unit))?,
            }
        }
        Ok(())
    }
}

/// Writes a unit again and again, in blocks.
fn fill(unit: &[u8], mut left: u64, out: &mut dyn Write) -> io::Result<()> {
    const BLOCK_BYTES: u64 = 64 << 10;
    let times = BLOCK_BYTES.min(left).div_ceil(unit.len().max(1) as u64);
    let block = unit.repeat(usize::try_from(times).unwrap_or(1));
    while left > 0 && !block.is_empty() {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        out.write_all(&block[..taken])?;
        left -= taken as u64;
    }
    Ok(())
}
