//! Whether a masked value may be what its original was.

use crate::mask::MaskKind;
use crate::model::cell::Cell;

/// Fewer letters and digits, or bytes, may be the same by chance.
const LEAST_TELLING: usize = 8;

/// Whether values of a mask may be equal to their originals, and so say nothing.
pub(super) fn may_be_equal(mask: Option<MaskKind>, cell: Cell<'_>) -> bool {
    use MaskKind as M;
    let Some(mask) = mask else { return true };
    let bytes = match cell {
        Cell::Text(text) => text.len(),
        Cell::Bytes(bytes) => bytes.len(),
        _ => usize::MAX,
    };
    match mask {
        M::Keep | M::Fixed | M::Extension | M::SizeOf | M::Empty | M::Person => true,
        M::Null => cell == Cell::Null,
        M::Token | M::Path => match cell {
            Cell::Text(text) => text.chars().filter(|c| c.is_alphanumeric()).count() < LEAST_TELLING,
            _ => false,
        },
        M::Words | M::Noise | M::Placeholder => bytes < LEAST_TELLING,
        M::FileName | M::Email | M::Phone => bytes == 0,
        // Those at the ends of their types.
        M::DateShift | M::Number => false,
        M::Rekey => matches!(cell, Cell::Int(_)),
    }
}

/// Whether a mask decides itself what becomes of NULL.
pub(super) fn decides_nulls(mask: Option<MaskKind>) -> bool {
    matches!(mask, Some(MaskKind::Null | MaskKind::Fixed | MaskKind::SizeOf))
}
