//! Types and values on the wire: MS-TDS 2.2.5.4 (types), 2.2.5.5 (values), 2.2.5.2.3 (values in
//! chunks).

/// A nullable type, by what is sent of it. Lengths are in bytes; `None` is (max).
#[derive(Clone, Copy, Debug)]
pub enum Type {
    Bit,
    /// tinyint, smallint, int, bigint.
    Int(u8),
    /// real, float.
    Float(u8),
    Decimal(u8, u8),
    Guid,
    Date,
    Time(u8),
    DateTime2(u8),
    DateTimeOffset(u8),
    DateTime,
    SmallDateTime,
    Binary(u16),
    VarBinary(Option<u16>),
    NChar(u16),
    NVarChar(Option<u16>),
}

/// A value, as its type's section says.
#[derive(Clone, Debug)]
pub enum Datum {
    Null,
    Int(i64),
    Float(f64),
    /// Unscaled.
    Decimal(i128),
    /// In RFC order.
    Guid([u8; 16]),
    /// Days since 0001-01-01.
    Date(u32),
    /// In steps of the scale, since midnight.
    Time(u64),
    DateTime2(u32, u64),
    /// UTC, and minutes.
    DateTimeOffset(u32, u64, i16),
    /// Days since 1900-01-01, and 1/300 s or minutes since midnight.
    Since1900(i32, u32),
    Bytes(Vec<u8>),
    Text(String),
}

const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];
/// A value in chunks says this first, where its length is not told before.
const UNKNOWN_LENGTH: u64 = u64::MAX - 1;
const MAX: u16 = u16::MAX;

impl Type {
    /// TYPE_INFO.
    pub fn info(self) -> Vec<u8> {
        let long = |code: u8, length: u16| [&[code][..], &length.to_le_bytes()].concat();
        let text = |code: u8, length: u16| [long(code, length), COLLATION.to_vec()].concat();
        match self {
            Self::Bit => vec![0x68, 1],
            Self::Int(bytes) => vec![0x26, bytes],
            Self::Float(bytes) => vec![0x6D, bytes],
            Self::Decimal(precision, scale) => vec![0x6A, 1 + decimal_bytes(precision), precision, scale],
            Self::Guid => vec![0x24, 16],
            Self::Date => vec![0x28],
            Self::Time(scale) => vec![0x29, scale],
            Self::DateTime2(scale) => vec![0x2A, scale],
            Self::DateTimeOffset(scale) => vec![0x2B, scale],
            Self::DateTime => vec![0x6F, 8],
            Self::SmallDateTime => vec![0x6F, 4],
            Self::Binary(length) => long(0xAD, length),
            Self::VarBinary(length) => long(0xA5, length.unwrap_or(MAX)),
            Self::NChar(length) => text(0xEF, length),
            Self::NVarChar(length) => text(0xE7, length.unwrap_or(MAX)),
        }
    }

    /// TYPE_VARBYTE: length and value.
    pub fn value(self, datum: &Datum) -> Vec<u8> {
        let bytes = self.bytes(datum);
        match self {
            Self::VarBinary(None) | Self::NVarChar(None) => in_chunks(bytes.as_deref()),
            Self::Binary(_) | Self::VarBinary(_) | Self::NChar(_) | Self::NVarChar(_) => {
                let length = bytes.as_ref().map_or(MAX, |bytes| u16::try_from(bytes.len()).unwrap());
                [length.to_le_bytes().to_vec(), bytes.unwrap_or_default()].concat()
            }
            _ => {
                let bytes = bytes.unwrap_or_default();
                [vec![u8::try_from(bytes.len()).unwrap()], bytes].concat()
            }
        }
    }

    fn bytes(self, datum: &Datum) -> Option<Vec<u8>> {
        Some(match (self, datum) {
            (_, Datum::Null) => return None,
            (Self::Bit, Datum::Int(bit)) => vec![u8::from(*bit != 0)],
            (Self::Int(bytes), Datum::Int(number)) => number.to_le_bytes()[..bytes.into()].to_vec(),
            (Self::Float(4), Datum::Float(number)) => (*number as f32).to_le_bytes().to_vec(),
            (Self::Float(_), Datum::Float(number)) => number.to_le_bytes().to_vec(),
            (Self::Decimal(precision, _), Datum::Decimal(unscaled)) => {
                let magnitude = &unscaled.unsigned_abs().to_le_bytes()[..decimal_bytes(precision).into()];
                [&[u8::from(*unscaled >= 0)], magnitude].concat()
            }
            (Self::Guid, Datum::Guid(rfc)) => mixed_endian(rfc),
            (Self::Date, Datum::Date(days)) => days_of(*days),
            (Self::Time(scale), Datum::Time(steps)) => steps_of(scale, *steps),
            (Self::DateTime2(scale), Datum::DateTime2(days, steps)) => {
                [steps_of(scale, *steps), days_of(*days)].concat()
            }
            (Self::DateTimeOffset(scale), Datum::DateTimeOffset(days, steps, minutes)) => {
                [steps_of(scale, *steps), days_of(*days), minutes.to_le_bytes().to_vec()].concat()
            }
            (Self::DateTime, Datum::Since1900(days, fragments)) => {
                [days.to_le_bytes(), fragments.to_le_bytes()].concat()
            }
            (Self::SmallDateTime, Datum::Since1900(days, minutes)) => {
                [u16::try_from(*days).unwrap().to_le_bytes(), u16::try_from(*minutes).unwrap().to_le_bytes()].concat()
            }
            (Self::Binary(_) | Self::VarBinary(_), Datum::Bytes(bytes)) => bytes.clone(),
            (Self::NChar(_) | Self::NVarChar(_), Datum::Text(text)) => {
                text.encode_utf16().flat_map(u16::to_le_bytes).collect()
            }
            (of_type, datum) => panic!("{datum:?} is no {of_type:?}"),
        })
    }
}

fn decimal_bytes(precision: u8) -> u8 {
    match precision {
        ..=9 => 4,
        10..=19 => 8,
        20..=28 => 12,
        _ => 16,
    }
}

fn days_of(days: u32) -> Vec<u8> {
    days.to_le_bytes()[..3].to_vec()
}

fn steps_of(scale: u8, steps: u64) -> Vec<u8> {
    let bytes = match scale {
        ..=2 => 3,
        3..=4 => 4,
        _ => 5,
    };
    steps.to_le_bytes()[..bytes].to_vec()
}

/// The first three fields of a GUID are little-endian on the wire.
fn mixed_endian(rfc: &[u8; 16]) -> Vec<u8> {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    ORDER.iter().map(|at| rfc[*at]).collect()
}

/// As a server does that does not know the length yet, in two chunks where there are two bytes.
fn in_chunks(bytes: Option<&[u8]>) -> Vec<u8> {
    let Some(bytes) = bytes else { return u64::MAX.to_le_bytes().to_vec() };
    let mut sent = UNKNOWN_LENGTH.to_le_bytes().to_vec();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for chunk in [first, second].into_iter().filter(|chunk| !chunk.is_empty()) {
        sent.extend(u32::try_from(chunk.len()).unwrap().to_le_bytes());
        sent.extend(chunk);
    }
    sent.extend([0; 4]);
    sent
}
