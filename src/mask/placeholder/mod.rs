//! Placeholders: valid small files of a type that say that they are masked, padded to a size in a place where the format allows
//! it. They hold nothing of the file that they stand for but type and size.

mod crc;
mod detect;
mod documents;
mod images;
mod make;
mod msg;
mod segments;
mod zip;

pub(super) use detect::{FileType, HEAD_BYTES, file_type};
pub(super) use make::{known_blocks, placeholder};
pub(super) use segments::Placeholder;
