//! [`Pair`].

use crate::bundle::{Bundle, TableInfo};

/// The masked table, and its original.
pub(super) type Pair<'b> = ((&'b Bundle, &'b TableInfo), (&'b Bundle, &'b TableInfo));
