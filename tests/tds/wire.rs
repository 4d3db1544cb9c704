//! Packets of MS-TDS 7.4 (<https://learn.microsoft.com/openspecs/windows_protocols/ms-tds>), as far as
//! a client is to be logged in and answered: section 2.2.3 (headers), 2.2.6.4 (LOGIN7), 2.2.6.5
//! (PRELOGIN), 2.2.6.6 (RPC) and 2.2.6.7 (batches).

use std::io::{self, Read, Write};

/// Packets of ours hold so many bytes, so that a large answer comes in many.
const PACKET_BYTES: usize = 4096;
const HEADER_BYTES: usize = 8;
const END_OF_MESSAGE: u8 = 1;

pub const PRELOGIN: u8 = 0x12;
pub const LOGIN7: u8 = 0x10;
const BATCH: u8 = 0x01;
const RPC: u8 = 0x03;
const BULK_LOAD: u8 = 0x07;
const REPLY: u8 = 0x04;

/// Reads one whole message: its kind, and the payloads of its packets.
pub fn read_message(stream: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut message = Vec::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let start = message.len();
        message.resize(start + length - HEADER_BYTES, 0);
        stream.read_exact(&mut message[start..])?;
        if header[1] & END_OF_MESSAGE != 0 {
            return Ok((header[0], message));
        }
    }
}

/// Writes a message; one that is cut has no last packet.
pub fn write_message(stream: &mut impl Write, payload: &[u8], is_whole: bool) -> io::Result<()> {
    let mut packets = payload.chunks(PACKET_BYTES - HEADER_BYTES).peekable();
    while let Some(packet) = packets.next() {
        let is_last = packets.peek().is_none() && is_whole;
        let length = u16::try_from(packet.len() + HEADER_BYTES).unwrap().to_be_bytes();
        // In one call: a header alone would wait for the other side's acknowledgement.
        stream.write_all(&[&[REPLY, u8::from(is_last), length[0], length[1], 0, 0, 1, 0], packet].concat())?;
    }
    stream.flush()
}

/// The answer to a PRELOGIN: a version, and that this server cannot encrypt.
pub fn prelogin() -> Vec<u8> {
    const TABLE_BYTES: u8 = 11;
    const ENCRYPT_NOT_SUP: u8 = 2;
    let table = [0, 0, TABLE_BYTES, 0, 6, 1, 0, TABLE_BYTES + 6, 0, 1, 0xFF];
    [&table[..], &[16, 0, 0, 0, 0, 0, ENCRYPT_NOT_SUP]].concat()
}

/// What a client says of itself.
#[derive(Clone, Debug, Default)]
pub struct Login {
    pub packet_bytes: u32,
    pub user: String,
    pub password: String,
    pub application: String,
}

impl Login {
    pub fn parse(message: &[u8]) -> Self {
        let text = |entry: usize, clear: fn(u8) -> u8| {
            let at = |offset: usize| usize::from(u16::from_le_bytes([message[offset], message[offset + 1]]));
            let bytes = &message[at(entry)..at(entry) + 2 * at(entry + 2)];
            utf16(&bytes.iter().map(|byte| clear(*byte)).collect::<Vec<_>>())
        };
        Self {
            packet_bytes: u32::from_le_bytes(message[8..12].try_into().unwrap()),
            user: text(40, |byte| byte),
            password: text(44, |byte| (byte ^ 0xA5).rotate_left(4)),
            application: text(48, |byte| byte),
        }
    }
}

/// The statement of a batch, or of a call of sp_executesql; the rows of a bulk load are none.
pub fn statement(kind: u8, message: &[u8]) -> Option<String> {
    if kind == BULK_LOAD {
        return Some(String::new());
    }
    let headers = u32::from_le_bytes(message.get(..4)?.try_into().ok()?);
    let body = message.get(usize::try_from(headers).ok()?..)?;
    match kind {
        BATCH => Some(utf16(body)),
        RPC => first_parameter(body),
        _ => None,
    }
}

/// After the procedure (by number), its flags, and the parameter's name, status and type
/// (nvarchar, with its collation): the value, in chunks where it is of nvarchar(max).
fn first_parameter(body: &[u8]) -> Option<String> {
    const BY_NUMBER: [u8; 2] = [0xFF, 0xFF];
    const NVARCHAR: u8 = 0xE7;
    let parameter = body.strip_prefix(&BY_NUMBER)?.get(4..)?;
    let name_bytes = 2 * usize::from(*parameter.first()?);
    let of_type = parameter.get(1 + name_bytes + 1..)?.strip_prefix(&[NVARCHAR])?;
    let (is_max, value) = (of_type.starts_with(&[0xFF, 0xFF]), of_type.get(7..)?);
    if !is_max {
        let length = usize::from(u16::from_le_bytes([value[0], value[1]]));
        return Some(utf16(value.get(2..2 + length)?));
    }
    let (mut text, mut rest) = (Vec::new(), value.get(8..)?);
    loop {
        let length = usize::try_from(u32::from_le_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
        if length == 0 {
            return Some(utf16(&text));
        }
        text.extend_from_slice(rest.get(4..4 + length)?);
        rest = &rest[4 + length..];
    }
}

fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}
