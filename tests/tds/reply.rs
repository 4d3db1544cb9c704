//! Answers: token streams of MS-TDS 2.2.7, made by hand so that they can also be wrong.

use crate::tds::types::{Datum, Type};

const DONE: u8 = 0xFD;
const DONE_ERROR: u16 = 0x02;
const DONE_COUNT: u16 = 0x10;

/// Tokens, and whether the message ends as it should.
#[derive(Clone, Debug)]
pub struct Reply {
    pub tokens: Vec<u8>,
    /// False: the connection is cut after these bytes.
    pub is_whole: bool,
    /// Nothing is said at all, and the connection is kept.
    pub is_mute: bool,
}

impl Reply {
    pub fn new() -> Self {
        Self { tokens: Vec::new(), is_whole: true, is_mute: false }
    }

    /// A statement was done, and changed so many rows.
    pub fn done(rows: u64) -> Self {
        Self::new().ended(DONE_COUNT, rows)
    }

    /// One row of one int.
    pub fn number(number: i64) -> Self {
        Self::rows(&[("", Type::Int(8))], &[vec![Datum::Int(number)]])
    }

    /// A whole result set.
    pub fn rows(columns: &[(&str, Type)], rows: &[Vec<Datum>]) -> Self {
        let mut reply = Self::new().columns(columns);
        for row in rows {
            reply = reply.row(columns, row);
        }
        reply.ended(DONE_COUNT, rows.len() as u64)
    }

    /// An error of this number, and the end.
    pub fn error(number: i32, class: u8, message: &str) -> Self {
        Self::new().failed(number, class, message, "")
    }

    pub fn login_accepted() -> Self {
        let mut ack = vec![1, 0x74, 0, 0, 4];
        ack.extend(short_text("endpoint of the tests"));
        ack.extend([16, 0, 0, 0]);
        let size = [vec![4], short_text("4096"), short_text("4096")].concat();
        Self::new().counted(0xAD, &ack).counted(0xE3, &size).ended(0, 0)
    }

    /// COLMETADATA.
    pub fn columns(mut self, columns: &[(&str, Type)]) -> Self {
        const NULLABLE_AND_UPDATEABLE: u16 = 1 | 8;
        self.tokens.push(0x81);
        self.tokens.extend(u16::try_from(columns.len()).unwrap().to_le_bytes());
        for (name, of_type) in columns {
            self.tokens.extend([0; 4]);
            self.tokens.extend(NULLABLE_AND_UPDATEABLE.to_le_bytes());
            self.tokens.extend(of_type.info());
            self.tokens.extend(short_text(name));
        }
        self
    }

    /// ROW.
    pub fn row(mut self, columns: &[(&str, Type)], row: &[Datum]) -> Self {
        assert_eq!(columns.len(), row.len());
        self.tokens.push(0xD1);
        for ((_, of_type), datum) in columns.iter().zip(row) {
            self.tokens.extend(of_type.value(datum));
        }
        self
    }

    /// ERROR, and DONE with its mark.
    pub fn failed(self, number: i32, class: u8, message: &str, procedure: &str) -> Self {
        let state = 1;
        let mut error = number.to_le_bytes().to_vec();
        error.extend([state, class]);
        error.extend(u16::try_from(message.encode_utf16().count()).unwrap().to_le_bytes());
        error.extend(message.encode_utf16().flat_map(u16::to_le_bytes));
        error.extend(short_text("endpoint"));
        error.extend(short_text(procedure));
        error.extend(7_u32.to_le_bytes());
        self.counted(0xAA, &error).ended(DONE_ERROR, 0)
    }

    /// Nothing more comes, not even the last of these bytes.
    pub fn cut(mut self) -> Self {
        self.tokens.pop();
        self.is_whole = false;
        self
    }

    /// Nothing is said, and the connection kept.
    pub fn mute(self) -> Self {
        Self { is_mute: true, ..self }
    }

    fn counted(mut self, token: u8, body: &[u8]) -> Self {
        self.tokens.push(token);
        self.tokens.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
        self.tokens.extend(body);
        self
    }

    fn ended(mut self, status: u16, rows: u64) -> Self {
        self.tokens.push(DONE);
        self.tokens.extend(status.to_le_bytes());
        self.tokens.extend([0, 0]);
        self.tokens.extend(rows.to_le_bytes());
        self
    }
}

/// B_VARCHAR.
fn short_text(text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let length = u8::try_from(units.len()).unwrap();
    [length].into_iter().chain(units.into_iter().flat_map(u16::to_le_bytes)).collect()
}
