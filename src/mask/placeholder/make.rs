//! The placeholder of each type.

use super::detect::{ALL, FileType};
use super::segments::Placeholder;
use super::{documents, images, msg, zip};
use std::collections::BTreeSet;

/// A file of a type and of so many bytes; of a few hundred more, where so few make none.
pub(in crate::mask) fn placeholder(file_type: FileType, bytes: u64) -> Placeholder {
    match file_type {
        FileType::Pdf => images::pdf(bytes),
        FileType::Png => images::png(bytes),
        FileType::Jpeg => images::jpeg(bytes),
        FileType::Gif => images::gif(bytes),
        FileType::Tiff => images::tiff(bytes),
        FileType::Docx => zip::docx(bytes),
        FileType::Xlsx => zip::xlsx(bytes),
        FileType::Pptx => zip::pptx(bytes),
        FileType::Odt => zip::odt(bytes),
        FileType::Zip => zip::archive(bytes),
        FileType::Rtf => documents::rtf(bytes),
        FileType::Txt => documents::txt(bytes),
        FileType::Csv => documents::csv(bytes),
        FileType::Html => documents::html(bytes),
        FileType::Xml => documents::xml(bytes),
        FileType::Json => documents::json(bytes),
        FileType::Eml => documents::eml(bytes),
        FileType::Msg => msg::msg(bytes),
    }
}

/// All blocks of 16 bytes that placeholders of any type have, at any place.
pub(in crate::mask) fn known_blocks() -> BTreeSet<[u8; 16]> {
    let mut blocks = BTreeSet::new();
    let mut add = |made: &Placeholder| {
        let mut bytes = Vec::new();
        // Writing to memory cannot fail.
        let _ = made.write_to(&mut bytes);
        blocks.extend(bytes.array_windows::<16>().copied());
    };
    for file_type in ALL {
        add(&placeholder(file_type, 0));
        // With some padding, which goes on as it begins.
        add(&placeholder(file_type, placeholder(file_type, 0).bytes() + 200));
    }
    add(&Placeholder::text(200));
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_has_the_size_of_its_original_or_the_least_of_its_type() {
        for file_type in ALL {
            let least = placeholder(file_type, 0).bytes();
            let edges = (least..least + 300).chain(least + 65_480..least + 65_560);
            for bytes in [0, 1, (1 << 20) + 7].into_iter().chain(edges) {
                let made = placeholder(file_type, bytes);
                let mut written = Vec::new();
                made.write_to(&mut written).unwrap();
                assert_eq!(written.len() as u64, made.bytes(), "{file_type:?}");
                assert_eq!(made.bytes(), bytes.max(least), "{file_type:?} of {bytes}");
            }
        }
        assert_eq!(Placeholder::text(5).bytes(), 5);
        assert_eq!(Placeholder::text(500).bytes(), 500);
    }
}
