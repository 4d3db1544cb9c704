//! [`KeptPlaces`]: where the rows stand that are kept of one bundle, in their order.

use crate::backend::{Kept, Versions};
use crate::error::Result;
use std::collections::VecDeque;

/// Places that are asked for at once.
const PLACES: u32 = 16_384;

/// See the module's text.
pub(super) struct KeptPlaces {
    kept: Kept,
    places: VecDeque<u64>,
    asked_from: Option<u64>,
}

impl KeptPlaces {
    /// All of them.
    pub(super) fn of(kept: Kept) -> Self {
        Self { kept, places: VecDeque::new(), asked_from: Some(0) }
    }

    /// The next one.
    ///
    /// # Errors
    /// Database.
    pub(super) fn next(&mut self, versions: &mut dyn Versions) -> Result<Option<u64>> {
        if let (true, Some(from)) = (self.places.is_empty(), self.asked_from) {
            self.places = versions.places(self.kept, from, PLACES)?.into();
            self.asked_from = self.places.back().filter(|_| self.places.len() == PLACES as usize).map(|last| last + 1);
        }
        Ok(self.places.front().copied())
    }

    /// Whether a place is the next one, which is passed by then.
    ///
    /// # Errors
    /// Database.
    pub(super) fn take(&mut self, place: u64, versions: &mut dyn Versions) -> Result<bool> {
        let is_kept = self.next(versions)? == Some(place);
        if is_kept {
            self.places.pop_front();
        }
        Ok(is_kept)
    }
}
