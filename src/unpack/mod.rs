//! Unpacking bundles: the values of a blob column as files, in the folders that the hierarchy gives.
//!
//! Every part is hashed before it is decoded, every value is held against its content hash before
//! its file counts as written, and values in `blob/` are streamed. Names come from a database that
//! anybody may have filled: each becomes one component of a path that is safe on Windows and Unix
//! ([`file_name`]), so nothing is ever written outside of the folder, which is new or empty, and in
//! which nothing is replaced.
//!
//! Memory does not hold rows: one batch, a folder's key, parent, name and 16 bytes of its parent's path for each row that others
//! lie in, 8 bytes for each name that was given (so that names that differ in case alone are told
//! apart), and with several bundles one version of each key, with more than a million of them in a temporary file.

mod by_path;
mod claims;
mod columns;
mod latest;
mod names;
mod options;
mod out;
mod run;
mod scan;
#[cfg(test)]
mod tests;
mod tree;
mod wanted;
mod write;

pub use names::{file_name, original_name};
pub use options::{Filter, UnpackOptions, UnpackReport, Written, WrittenKind};
pub use run::unpack;
