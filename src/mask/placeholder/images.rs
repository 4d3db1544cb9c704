//! Pictures with the word "masked", padded where each format has room for what is no picture, and PDF.

use super::crc;
use super::segments::{BLANKS, Placeholder, Segment, TEXT};

const PNG: &[u8] = include_bytes!("blank.png");
const JPEG: &[u8] = include_bytes!("blank.jpg");
const GIF: &[u8] = include_bytes!("blank.gif");
const TIFF: &[u8] = include_bytes!("blank.tif");

/// With a private chunk before the last one (ISO/IEC 15948, section 5.4: ancillary, private, safe to copy).
pub(super) fn png(bytes: u64) -> Placeholder {
    const END_BYTES: usize = 12;
    const NAME: &[u8; 4] = b"maSk";
    let (head, end) = PNG.split_at(PNG.len().saturating_sub(END_BYTES));
    let fill = bytes.saturating_sub((PNG.len() + 12) as u64);
    let mut head = head.to_vec();
    head.extend(u32::try_from(fill).unwrap_or(0).to_be_bytes());
    head.extend(NAME);
    let mut tail = crc::of_repeated(crc::of(0, NAME), BLANKS[0], fill).to_be_bytes().to_vec();
    tail.extend(end);
    let segments = vec![Segment::Bytes(head.into()), Segment::Fill(BLANKS, fill), Segment::Bytes(tail.into())];
    Placeholder { segments }
}

/// With comments behind its first segment, the JFIF header (ITU-T T.81, B.2.4.5).
pub(super) fn jpeg(bytes: u64) -> Placeholder {
    const JFIF_BYTES: usize = 20;
    const MOST: usize = 65_533;
    let segment = |payload: &[u8]| {
        let length = u16::try_from(payload.len() + 2).unwrap_or(u16::MAX);
        [&[0xFF, 0xFE][..], &length.to_be_bytes(), payload].concat()
    };
    let full = segment(&vec![b' '; MOST]);
    let fill = bytes.saturating_sub((JPEG.len() + segment(TEXT.as_bytes()).len()) as u64);
    let times = fill / full.len() as u64;
    let rest = usize::try_from(fill % full.len() as u64).unwrap_or(0);
    // What is too little for a segment of its own, or too much for one, is shared with the text.
    let own = if TEXT.len() + rest > MOST { 4 + 1000 } else { 0 };
    let mut text = TEXT.as_bytes().to_vec();
    text.resize(TEXT.len() + rest - own, b' ');
    let (head, tail) = JPEG.split_at(JFIF_BYTES);
    let mut head = [head, &segment(&text)].concat();
    if own > 0 {
        head.extend(segment(&[b' '; 1000]));
    }
    let segments = vec![Segment::Bytes(head.into()), Segment::Repeat(full, times), Segment::Bytes(tail.into())];
    Placeholder { segments }
}

/// With a comment before its end (GIF89a, section 24).
pub(super) fn gif(bytes: u64) -> Placeholder {
    const MOST: usize = 255;
    let block = |content: &[u8]| {
        let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
        [&[length], content].concat()
    };
    let full = block(&[b' '; MOST]);
    let (head, end) = GIF.split_at(GIF.len() - 1);
    let least = GIF.len() + 3 + 1 + TEXT.len();
    let fill = bytes.saturating_sub(least as u64);
    let times = fill / full.len() as u64;
    let rest = usize::try_from(fill % full.len() as u64).unwrap_or(0);
    let mut comment = [head, &[0x21, 0xFE]].concat();
    match rest {
        // A block of its own has two bytes at least.
        0 | 1 => {
            let mut text = TEXT.as_bytes().to_vec();
            text.resize(TEXT.len() + rest, b' ');
            comment.extend(block(&text));
        }
        _ => {
            comment.extend(block(TEXT.as_bytes()));
            comment.extend(block(&vec![b' '; rest - 1]));
        }
    }
    let tail = [&[0], end].concat();
    let segments = vec![Segment::Bytes(comment.into()), Segment::Repeat(full, times), Segment::Bytes(tail.into())];
    Placeholder { segments }
}

/// With blanks behind what its directory names (TIFF 6.0, section 2: offsets say where everything is).
pub(super) fn tiff(bytes: u64) -> Placeholder {
    Placeholder::padded(TIFF, BLANKS, b"", bytes)
}

/// With a stream of blanks that no page uses (ISO 32000-1, section 7.5).
pub(super) fn pdf(bytes: u64) -> Placeholder {
    let page = format!("BT /F1 12 Tf 40 780 Td ({TEXT}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{page}\nendstream", page.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let (mut head, mut offsets) = (String::from("%PDF-1.4\n"), Vec::new());
    for (nth, object) in objects.iter().enumerate() {
        offsets.push(head.len());
        head += &format!("{} 0 obj\n{object}\nendobj\n", nth + 1);
    }
    offsets.push(head.len());
    // Numbers of a fixed width, so that sizes do not depend on them.
    let stream = |fill: u64| format!("6 0 obj\n<< /Length {fill:010} >>\nstream\n");
    let table: String = offsets.iter().map(|at| format!("{at:010} 00000 n \n")).collect();
    let tail = |at: u64| {
        format!(
            "\nendstream\nendobj\nxref\n0 7\n0000000000 65535 f \n{table}trailer\n<< /Size 7 /Root 1 0 R >>\nstartxref\n\
             {at:010}\n%%EOF\n"
        )
    };
    let least = head.len() + stream(0).len() + tail(0).len();
    let fill = bytes.saturating_sub(least as u64);
    head += &stream(fill);
    let at = head.len() as u64 + fill + "\nendstream\nendobj\n".len() as u64;
    let (head, tail) = (head.into_bytes(), tail(at).into_bytes());
    let segments = vec![Segment::Bytes(head.into()), Segment::Fill(BLANKS, fill), Segment::Bytes(tail.into())];
    Placeholder { segments }
}
