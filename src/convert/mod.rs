//! Cells to Arrow and back; one file a type family.
