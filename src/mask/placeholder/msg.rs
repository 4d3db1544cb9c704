//! The placeholder of a message of Outlook ([MS-OXMSG]): a compound file ([MS-CFB], version 3) with a subject and a text.
//!
//! | sector of 512 bytes | has |
//! |---|---|
//! | before the first | header |
//! | 0 | which sector follows which |
//! | 1 to 3 | directory |
//! | 4 | which 64 bytes of the next sector follow which |
//! | 5 | the values |
//!
//! What fills it up to a size stands behind its sectors, where no reader looks.

use super::segments::{BLANKS, Placeholder, TEXT};

const SECTOR_BYTES: usize = 512;
const MINI_BYTES: usize = 64;
const FREE: u32 = 0xFFFF_FFFF;
const END: u32 = 0xFFFF_FFFE;
const ALLOCATION: u32 = 0xFFFF_FFFD;
const NONE: u32 = FREE;

/// [MS-OXPROPS]: PidTagMessageClass, PidTagSubject, PidTagBody, as Unicode; PidTagStoreSupportMask (all is Unicode) and
/// PidTagMessageFlags (read), as numbers.
const TEXTS: [(u32, &str); 3] = [(0x001A_001F, "IPM.Note"), (0x0037_001F, "masked"), (0x1000_001F, TEXT)];
const NUMBERS: [(u32, u32); 2] = [(0x340D_0003, 0x0004_0000), (0x0E07_0003, 1)];

/// A red or black node of the directory: name, type, and the nodes left, right and below.
type Node = (&'static str, u8, u8, [u32; 3]);

const STORAGE: u8 = 1;
const STREAM: u8 = 2;
const ROOT: u8 = 5;

/// Names are ordered by their length, then by their letters.
const NODES: [Node; 9] = [
    ("Root Entry", ROOT, 1, [NONE, NONE, 3]),
    ("__properties_version1.0", STREAM, 0, [NONE, NONE, NONE]),
    ("__substg1.0_001A001F", STREAM, 0, [NONE, NONE, NONE]),
    ("__substg1.0_0037001F", STREAM, 1, [5, 4, NONE]),
    ("__substg1.0_1000001F", STREAM, 1, [NONE, 1, NONE]),
    ("__nameid_version1.0", STORAGE, 1, [NONE, 2, 7]),
    ("__substg1.0_00020102", STREAM, 0, [NONE, NONE, NONE]),
    ("__substg1.0_00030102", STREAM, 1, [6, 8, NONE]),
    ("__substg1.0_00040102", STREAM, 0, [NONE, NONE, NONE]),
];

pub(super) fn msg(bytes: u64) -> Placeholder {
    let values = values();
    let mut file = header();
    sector(&mut file, &chain(&[ALLOCATION, 2, 3, END, END, END]));
    let (mut minis, mut stored, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for value in &values {
        let first = number(minis.len());
        let count = number(value.len().div_ceil(MINI_BYTES));
        minis.extend((1..count).map(|nth| first + nth));
        minis.push(END);
        places.push((first, number(value.len())));
        stored.extend_from_slice(value);
        stored.resize(minis.len() * MINI_BYTES, 0);
    }
    let mut directory = node(&NODES[0], (5, number(stored.len())));
    for (nth, of) in NODES.iter().enumerate().skip(1) {
        let is_empty = if of.1 == STORAGE { (0, 0) } else { (END, 0) };
        directory.extend(node(of, places.get(nth - 1).copied().unwrap_or(is_empty)));
    }
    directory.resize(3 * SECTOR_BYTES, 0);
    // Nodes that nobody uses have no neighbours.
    for unused in NODES.len()..12 {
        directory[unused * 128 + 68..unused * 128 + 80].fill(0xFF);
    }
    file.extend(directory);
    sector(&mut file, &chain(&minis));
    sector(&mut file, &stored);
    Placeholder::padded(file, BLANKS, b"", bytes)
}

/// The values of the nodes from the first one on: the list of properties, and the texts.
fn values() -> [Vec<u8>; 4] {
    let texts = TEXTS.map(|(_, text)| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    let mut properties = vec![0; 32];
    let mut add = |tag: u32, value: u32| {
        for part in [tag, 6, value, 0] {
            properties.extend_from_slice(&part.to_le_bytes());
        }
    };
    for ((tag, _), text) in TEXTS.iter().zip(&texts) {
        // With the zero that ends it, which is not stored.
        add(*tag, number(text.len()) + 2);
    }
    NUMBERS.iter().for_each(|(tag, value)| add(*tag, *value));
    let [class, subject, body] = texts;
    [properties, class, subject, body]
}

fn header() -> Vec<u8> {
    let mut header = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
    header.resize(24, 0);
    for part in [0x003E_u16, 3, 0xFFFE, 9, 6, 0, 0, 0] {
        header.extend_from_slice(&part.to_le_bytes());
    }
    // No sectors of a directory are counted in this version; one of chains; the directory; no transactions; what is smaller lies
    // in the sector of values; its chains, one sector; no list of more sectors of chains.
    for part in [0, 1, 1, 0, 4096, 4, 1, END, 0, 0] {
        header.extend_from_slice(&u32::to_le_bytes(part));
    }
    header.resize(SECTOR_BYTES, 0xFF);
    header
}

fn chain(next: &[u32]) -> Vec<u8> {
    next.iter().flat_map(|next| next.to_le_bytes()).collect()
}

/// Adds a sector; the rest of chains is free.
fn sector(file: &mut Vec<u8>, bytes: &[u8]) {
    file.extend_from_slice(bytes);
    let whole = file.len().next_multiple_of(SECTOR_BYTES);
    file.resize(whole, FREE.to_le_bytes()[0]);
}

fn node((name, kind, colour, [left, right, below]): &Node, (first, bytes): (u32, u32)) -> Vec<u8> {
    let mut node: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let name_bytes = u16::try_from(node.len() + 2).unwrap_or(0);
    node.resize(64, 0);
    node.extend_from_slice(&name_bytes.to_le_bytes());
    node.extend([*kind, *colour]);
    for part in [left, right, below] {
        node.extend_from_slice(&part.to_le_bytes());
    }
    node.resize(116, 0);
    for part in [first, bytes, 0] {
        node.extend_from_slice(&part.to_le_bytes());
    }
    node
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
