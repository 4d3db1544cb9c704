//! Archives of stored entries (APPNOTE.TXT 6.3, sections 4.3.7, 4.3.12 and 4.3.16), and the documents that are such archives.

use super::crc;
use super::segments::{BLANKS, Placeholder, Segment, TEXT};
use std::borrow::Cow;

const VERSION: u16 = 20;
/// 1980-01-01, the first day that an archive knows.
const DATE: u16 = 0x21;

/// What is in an archive, and the name of the last entry, which holds blanks.
struct ArchiveContent {
    entries: Vec<(&'static str, Cow<'static, str>)>,
    padding: &'static str,
}

/// An archive with a text.
pub(super) fn archive(bytes: u64) -> Placeholder {
    make(ArchiveContent { entries: vec![("masked.txt", TEXT.into())], padding: "padding.bin" }, bytes)
}

const RELATIONSHIPS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const VND: &str = "application/vnd.openxmlformats-officedocument";

/// A part of an Office document: its name, and its type behind `application/vnd.openxmlformats-officedocument.`.
type OfficePart = (&'static str, &'static str);

fn xml(body: &str) -> Cow<'static, str> {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n{body}").into()
}

/// `[Content_Types].xml` of these parts.
fn types(parts: &[OfficePart]) -> Cow<'static, str> {
    let over = |(name, part): &OfficePart| format!("<Override PartName=\"/{name}\" ContentType=\"{VND}.{part}+xml\"/>");
    xml(&format!(
        "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
         <Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/>\
         <Default Extension=\"bin\" ContentType=\"application/octet-stream\"/>{}</Types>",
        parts.iter().map(over).collect::<String>()
    ))
}

/// Relationships to these targets, each of a type.
fn relationships(targets: &[(&str, &str)]) -> Cow<'static, str> {
    let one = |(nth, (kind, target)): (usize, &(&str, &str))| {
        format!("<Relationship Id=\"rId{}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>", nth + 1)
    };
    let all: String = targets.iter().enumerate().map(one).collect();
    xml(&format!("<Relationships xmlns=\"{RELATIONSHIPS}\">{all}</Relationships>"))
}

pub(super) fn docx(bytes: u64) -> Placeholder {
    let body = xml(&format!(
        "<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body><w:p><w:r><w:t>\
         {TEXT}</w:t></w:r></w:p></w:body></w:document>"
    ));
    let entries = vec![
        ("[Content_Types].xml", types(&[("word/document.xml", "wordprocessingml.document.main")])),
        ("_rels/.rels", relationships(&[("officeDocument", "word/document.xml")])),
        ("word/document.xml", body),
    ];
    make(ArchiveContent { entries, padding: "masked.bin" }, bytes)
}

pub(super) fn xlsx(bytes: u64) -> Placeholder {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let parts =
        [("xl/workbook.xml", "spreadsheetml.sheet.main"), ("xl/worksheets/sheet1.xml", "spreadsheetml.worksheet")];
    let workbook = xml(&format!(
        "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets><sheet name=\"masked\" sheetId=\"1\" r:id=\"rId1\"/></sheets>\
         </workbook>"
    ));
    let sheet = xml(&format!(
        "<worksheet xmlns=\"{MAIN}\"><sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>{TEXT}</t></is></c></row>\
         </sheetData></worksheet>"
    ));
    let entries = vec![
        ("[Content_Types].xml", types(&parts)),
        ("_rels/.rels", relationships(&[("officeDocument", "xl/workbook.xml")])),
        ("xl/workbook.xml", workbook),
        ("xl/_rels/workbook.xml.rels", relationships(&[("worksheet", "worksheets/sheet1.xml")])),
        ("xl/worksheets/sheet1.xml", sheet),
    ];
    make(ArchiveContent { entries, padding: "masked.bin" }, bytes)
}

pub(super) fn pptx(bytes: u64) -> Placeholder {
    let parts = [
        ("ppt/presentation.xml", "presentationml.presentation.main"),
        ("ppt/slideMasters/slideMaster1.xml", "presentationml.slideMaster"),
        ("ppt/slideLayouts/slideLayout1.xml", "presentationml.slideLayout"),
        ("ppt/slides/slide1.xml", "presentationml.slide"),
        ("ppt/theme/theme1.xml", "theme"),
    ];
    let entries = vec![
        ("[Content_Types].xml", types(&parts)),
        ("_rels/.rels", relationships(&[("officeDocument", "ppt/presentation.xml")])),
        ("ppt/presentation.xml", include_str!("pptx/presentation.xml").into()),
        (
            "ppt/_rels/presentation.xml.rels",
            relationships(&[("slideMaster", "slideMasters/slideMaster1.xml"), ("slide", "slides/slide1.xml")]),
        ),
        ("ppt/slideMasters/slideMaster1.xml", include_str!("pptx/master.xml").into()),
        (
            "ppt/slideMasters/_rels/slideMaster1.xml.rels",
            relationships(&[("slideLayout", "../slideLayouts/slideLayout1.xml"), ("theme", "../theme/theme1.xml")]),
        ),
        ("ppt/slideLayouts/slideLayout1.xml", include_str!("pptx/layout.xml").into()),
        (
            "ppt/slideLayouts/_rels/slideLayout1.xml.rels",
            relationships(&[("slideMaster", "../slideMasters/slideMaster1.xml")]),
        ),
        ("ppt/slides/slide1.xml", include_str!("pptx/slide.xml").replace("TEXT", TEXT).into()),
        ("ppt/slides/_rels/slide1.xml.rels", relationships(&[("slideLayout", "../slideLayouts/slideLayout1.xml")])),
        ("ppt/theme/theme1.xml", include_str!("pptx/theme.xml").into()),
    ];
    make(ArchiveContent { entries, padding: "masked.bin" }, bytes)
}

pub(super) fn odt(bytes: u64) -> Placeholder {
    const TYPE: &str = "application/vnd.oasis.opendocument.text";
    const NAMES: &str = "urn:oasis:names:tc:opendocument:xmlns";
    let entry = |path: &str, kind: &str| {
        format!("<manifest:file-entry manifest:full-path=\"{path}\" manifest:media-type=\"{kind}\"/>")
    };
    let manifest = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<manifest:manifest xmlns:manifest=\"{NAMES}:manifest:1.0\" \
         manifest:version=\"1.2\">{}{}{}</manifest:manifest>",
        entry("/", TYPE),
        entry("content.xml", "text/xml"),
        entry("masked.bin", "application/octet-stream")
    );
    let content = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<office:document-content xmlns:office=\"{NAMES}:office:1.0\" \
         xmlns:text=\"{NAMES}:text:1.0\" office:version=\"1.2\"><office:body><office:text><text:p>{TEXT}</text:p></office:text>\
         </office:body></office:document-content>"
    );
    let entries =
        vec![("mimetype", TYPE.into()), ("META-INF/manifest.xml", manifest.into()), ("content.xml", content.into())];
    make(ArchiveContent { entries, padding: "masked.bin" }, bytes)
}

/// Where an entry lies in the archive, and what its headers say.
struct StoredEntry {
    name: &'static str,
    crc: u32,
    bytes: u32,
    at: u32,
}

impl StoredEntry {
    fn common(&self) -> Vec<u8> {
        let mut header = Vec::new();
        // Version, flags, stored, time, date.
        [VERSION, 0, 0, 0, DATE].iter().for_each(|field| header.extend(field.to_le_bytes()));
        [self.crc, self.bytes, self.bytes].iter().for_each(|field| header.extend(field.to_le_bytes()));
        header.extend(len16(self.name).to_le_bytes());
        header.extend(0_u16.to_le_bytes());
        header
    }

    fn local(&self) -> Vec<u8> {
        [b"PK\x03\x04".as_slice(), &self.common(), self.name.as_bytes()].concat()
    }

    fn central(&self) -> Vec<u8> {
        let mut header = [b"PK\x01\x02".as_slice(), &VERSION.to_le_bytes(), &self.common()].concat();
        // Comment, disk, attributes.
        header.extend([0; 10]);
        header.extend(self.at.to_le_bytes());
        header.extend(self.name.as_bytes());
        header
    }
}

fn len16(text: &str) -> u16 {
    u16::try_from(text.len()).unwrap_or(u16::MAX)
}

fn len32(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// An archive of so many bytes, or the least that it has.
fn make(content: ArchiveContent, bytes: u64) -> Placeholder {
    let (mut head, mut entries): (Vec<u8>, Vec<StoredEntry>) = (Vec::new(), Vec::new());
    for (name, text) in content.entries {
        let crc = crc::of(0, text.as_bytes());
        let (bytes, at) = (len32(text.len() as u64), len32(head.len() as u64));
        let entry = StoredEntry { name, crc, bytes, at };
        head.extend(entry.local());
        head.extend(text.as_bytes());
        entries.push(entry);
    }
    let mut last = StoredEntry { name: content.padding, crc: 0, bytes: 0, at: len32(head.len() as u64) };
    let central: usize = entries.iter().chain([&last]).map(|entry| entry.central().len()).sum();
    const END_BYTES: usize = 22;
    let least = head.len() + last.local().len() + central + END_BYTES;
    last.bytes = len32(bytes.saturating_sub(least as u64));
    last.crc = crc::of_repeated(0, BLANKS[0], last.bytes.into());
    head.extend(last.local());
    let fill = u64::from(last.bytes);
    entries.push(last);
    let mut tail: Vec<u8> = entries.iter().flat_map(StoredEntry::central).collect();
    let at = len32(head.len() as u64 + fill);
    let count = u16::try_from(entries.len()).unwrap_or(u16::MAX);
    tail.extend(b"PK\x05\x06\0\0\0\0");
    [count, count].iter().for_each(|field| tail.extend(field.to_le_bytes()));
    [len32(central as u64), at].iter().for_each(|field| tail.extend(field.to_le_bytes()));
    tail.extend(0_u16.to_le_bytes());
    let segments = vec![Segment::Bytes(head.into()), Segment::Fill(BLANKS, fill), Segment::Bytes(tail.into())];
    Placeholder { segments }
}
