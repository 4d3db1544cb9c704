//! [`ParallelReaders`]: one reading over several connections, where one is the limit.
//!
//! Each connection sends the same statement, which numbers the rows in their order, and takes of `n`
//! connections every `n`-th row of it. By turns, they give the order again. The server orders as often as
//! there are connections, which sorts places of rows, and reads and sends each value once; no index over
//! the order is needed, and no connection waits for a part of the rows that another has.
//!
//! **Never:** a row twice or left out. The connections end in the same turn, and no row comes twice, or what they
//! read was not the same.

use super::client::Client;
use super::sql::Sql;
use super::stream::{Next, RowReading, RowStream};
use crate::error::{Error, Result};

/// See the module's text.
pub(super) struct ParallelReaders {
    readers: Vec<RowStream>,
    turn: usize,
}

impl ParallelReaders {
    /// Sends a statement for each reader; see [`RowStream::open`].
    pub(super) fn open(reading: &RowReading, spare: &mut Vec<Client>, statements: Vec<Sql<'static>>) -> Result<Self> {
        let open = |sql| RowStream::open(reading, spare.pop(), sql);
        Ok(Self { readers: statements.into_iter().map(open).collect::<Result<_>>()?, turn: 0 })
    }

    /// Waits for the next row.
    pub(super) fn next(&mut self) -> Next {
        let next = self.readers[self.turn].next();
        match next {
            Next::Row(_) => self.turn = (self.turn + 1) % self.readers.len(),
            Next::End => return self.end(),
            _ => {}
        }
        next
    }

    /// Whether the other readers end with the one whose turn it is.
    fn end(&mut self) -> Next {
        let turn = self.turn;
        for (_, reader) in self.readers.iter_mut().enumerate().filter(|(nth, _)| *nth != turn) {
            match reader.next() {
                Next::End => {}
                Next::Row(_) => return Next::Broken(differ(), false),
                broken => return broken,
            }
        }
        Next::End
    }

    /// The connections, once [`Next::End`] was said.
    pub(super) fn into_clients(self) -> Vec<Client> {
        self.readers.into_iter().filter_map(RowStream::into_client).collect()
    }
}

/// The error of connections that see different rows.
pub(super) fn differ() -> Error {
    Error::internal("the connections of a reading do not read the same rows")
        .hint("something else writes to the table; when it has ended, do it again")
}
