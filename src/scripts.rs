//! The SQL of `sql/`.
