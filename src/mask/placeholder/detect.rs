//! Of which type a file is: by its extension and by its first bytes. Where the two contradict each other it has none.

/// Types for which there is a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mask) enum FileType {
    Pdf,
    Docx,
    Xlsx,
    Pptx,
    Odt,
    Zip,
    Png,
    Jpeg,
    Gif,
    Tiff,
    Rtf,
    Txt,
    Csv,
    Html,
    Xml,
    Json,
    Eml,
    Msg,
}

/// Bytes at the beginning of a file that say its type.
pub(in crate::mask) const HEAD_BYTES: usize = 16;

/// What the first bytes say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Magic {
    Is(FileType),
    /// An archive, which many documents are.
    Zip,
    /// A compound file, which messages and older documents are.
    Compound,
    /// Markup, which is XML or HTML.
    Markup,
    /// A type that has no placeholder.
    Other,
}

const MAGICS: [(&[u8], Magic); 15] = [
    (b"%PDF-", Magic::Is(FileType::Pdf)),
    (b"PK\x03\x04", Magic::Zip),
    (b"\x89PNG\r\n\x1A\n", Magic::Is(FileType::Png)),
    (b"\xFF\xD8\xFF", Magic::Is(FileType::Jpeg)),
    (b"GIF8", Magic::Is(FileType::Gif)),
    (b"II*\0", Magic::Is(FileType::Tiff)),
    (b"MM\0*", Magic::Is(FileType::Tiff)),
    (b"{\\rtf", Magic::Is(FileType::Rtf)),
    (b"<?xml", Magic::Markup),
    (b"<!DOCTYPE", Magic::Markup),
    (b"<html", Magic::Markup),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Magic::Compound),
    (b"7z\xBC\xAF\x27\x1C", Magic::Other),
    (b"Rar!\x1A\x07", Magic::Other),
    (b"\x1F\x8B", Magic::Other),
];

const EXTENSIONS: [(&str, FileType); 22] = [
    ("pdf", FileType::Pdf),
    ("docx", FileType::Docx),
    ("xlsx", FileType::Xlsx),
    ("pptx", FileType::Pptx),
    ("odt", FileType::Odt),
    ("zip", FileType::Zip),
    ("png", FileType::Png),
    ("jpg", FileType::Jpeg),
    ("jpeg", FileType::Jpeg),
    ("gif", FileType::Gif),
    ("tif", FileType::Tiff),
    ("tiff", FileType::Tiff),
    ("rtf", FileType::Rtf),
    ("txt", FileType::Txt),
    ("log", FileType::Txt),
    ("csv", FileType::Csv),
    ("html", FileType::Html),
    ("htm", FileType::Html),
    ("xml", FileType::Xml),
    ("json", FileType::Json),
    ("eml", FileType::Eml),
    ("msg", FileType::Msg),
];

/// All types.
pub(super) const ALL: [FileType; 18] = {
    use FileType as F;
    [
        F::Pdf,
        F::Docx,
        F::Xlsx,
        F::Pptx,
        F::Odt,
        F::Zip,
        F::Png,
        F::Jpeg,
        F::Gif,
        F::Tiff,
        F::Rtf,
        F::Txt,
        F::Csv,
        F::Html,
        F::Xml,
        F::Json,
        F::Eml,
        F::Msg,
    ]
};

/// The type of a file, by an extension or a name that ends in one, and its first bytes.
pub(in crate::mask) fn file_type(name: Option<&str>, head: &[u8]) -> Option<FileType> {
    let extension =
        name.map(|name| name.rsplit_once('.').map_or(name, |(_, extension)| extension).to_ascii_lowercase());
    let by_name = extension.and_then(|extension| EXTENSIONS.iter().find(|(known, _)| *known == extension));
    let by_name = by_name.map(|(_, file_type)| *file_type);
    let magic = MAGICS.iter().find(|(bytes, _)| head.starts_with(bytes)).map(|(_, magic)| *magic);
    match (by_name, magic) {
        (by_name, None) => by_name,
        (None, Some(Magic::Is(file_type))) => Some(file_type),
        (None, Some(Magic::Zip)) => Some(FileType::Zip),
        (None, Some(Magic::Markup)) => Some(FileType::Xml),
        (Some(one), Some(magic)) => fits(one, magic).then_some(one),
        (None, Some(Magic::Compound | Magic::Other)) => None,
    }
}

fn fits(by_name: FileType, magic: Magic) -> bool {
    match magic {
        Magic::Is(file_type) => by_name == file_type,
        Magic::Zip => {
            use FileType as F;
            matches!(by_name, F::Docx | F::Xlsx | F::Pptx | F::Odt | F::Zip)
        }
        Magic::Markup => matches!(by_name, FileType::Html | FileType::Xml | FileType::Txt),
        Magic::Compound => by_name == FileType::Msg,
        Magic::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_name_and_content_contradict_each_other_there_is_no_type() {
        for (name, head, due) in [
            (Some("a.PDF"), &b"%PDF-1.7"[..], Some(FileType::Pdf)),
            (Some("pdf"), b"", Some(FileType::Pdf)),
            (None, b"%PDF-1.7", Some(FileType::Pdf)),
            (Some("a.docx"), b"PK\x03\x04....", Some(FileType::Docx)),
            (Some("a.docm"), b"PK\x03\x04....", Some(FileType::Zip)),
            (Some("a.pdf"), b"\x89PNG\r\n\x1A\n", None),
            (Some("a.docx"), b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", None),
            (Some("a.html"), b"<?xml version", Some(FileType::Html)),
            (Some("a.msg"), b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Some(FileType::Msg)),
            (Some("a.doc"), b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", None),
            (Some("a.unknown"), b"", None),
            (None, b"MZ", None),
        ] {
            assert_eq!(file_type(name, head), due, "{name:?}");
        }
    }
}
