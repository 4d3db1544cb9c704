//! What a server has: asked once a session, and never guessed from a version's text.

use super::client::Client;
use super::sql::Sql;
use super::values::RowFields;
use crate::error::{Error, Kind, Result};
use crate::model::id::{Guid, KeyOrder};

/// See the module's text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abilities {
    /// Whether `UPDATE … SET c.WRITE(…)` is understood.
    pub(super) has_write: bool,
    /// How it sorts a uniqueidentifier.
    pub(super) key_order: KeyOrder,
}

impl Abilities {
    /// Asks. Not inside of a transaction, which what is not understood would break.
    pub(super) fn ask(client: &mut Client) -> Result<Self> {
        client.unit(|client| Ok(Self { has_write: has_write(client)?, key_order: key_order(client)? }))
    }
}

/// A statement that is not understood is an answer; one that was lost on the way is none.
fn has_write(client: &mut Client) -> Result<bool> {
    let table = format!("[#w{}]", Guid::random().short());
    let sql = format!(
        "CREATE TABLE {table} (v varbinary(max) NULL); UPDATE {table} SET v.WRITE(0x00, NULL, 0); DROP TABLE {table};"
    );
    match client.batch("ask what the server has", &sql) {
        Ok(()) => Ok(true),
        Err(error) if client.may_try_again() => Err(error),
        Err(_) => {
            // It may have been made before the server stopped at the next statement.
            let drop = format!("IF OBJECT_ID(N'tempdb..{table}') IS NOT NULL DROP TABLE {table};");
            client.batch("ask what the server has", &drop)?;
            Ok(false)
        }
    }
}

/// Sorts sixteen keys, each with one byte of its own set, and compares with the orders known.
fn key_order(client: &mut Client) -> Result<KeyOrder> {
    let keys: Vec<Guid> = (0..16)
        .map(|nth| {
            let mut bytes = [0; 16];
            bytes[nth] = 1;
            Guid::from_bytes(bytes)
        })
        .collect();
    let mut sql = Sql::new("SELECT k.g FROM (");
    for (nth, key) in keys.iter().enumerate() {
        sql.push_text(if nth == 0 { "SELECT " } else { " UNION ALL SELECT " });
        sql.push(*key);
        sql.push_text(" AS g");
    }
    let rows = client.rows("ask how keys are sorted", sql.then(") AS k ORDER BY k.g"))?;
    let sorted = rows.iter().map(|row| RowFields::of(row).must(0, RowFields::guid)).collect::<Result<Vec<_>>>()?;
    let is_sorted = |order: &KeyOrder| {
        let mut expected = keys.clone();
        expected.sort_by_key(|key| order.sort_key(*key));
        expected == sorted
    };
    [KeyOrder::SqlServer, KeyOrder::Rfc].into_iter().find(is_sorted).ok_or_else(|| {
        Error::new(Kind::Database, "this server sorts uniqueidentifier in an order that this program does not know")
            .hint("say so where this program is kept; nothing was read")
    })
}
