//! The ledger of a replay, in the database of its target; and how that is in use.

use super::catalog;
use super::client::Client;
use super::database::Database;
use super::sql::Sql;
use super::values::RowFields;
use crate::backend::LedgerEntry;
use crate::backend::target::TargetSpec;
use crate::error::{Error, Result};
use crate::model::digest::Sha256;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/ledger.sql");
const LEDGER_MOVE: &str = statement(SQL, "ledger_move");
pub(super) const LEDGER_READ: &str = statement(SQL, "ledger_read");
pub(super) const SCHEMA: &str = statement(SQL, "schema");

/// Whether the target's database, which is in use, has a ledger.
pub(super) fn is_there(db: &mut Database) -> Result<bool> {
    let sql = Sql::new("SELECT COUNT(*) FROM sys.objects WHERE object_id = OBJECT_ID(N'dbo.BlobDeltaReplayBundle')");
    let row = db.client.unit(|client| client.row("look for the ledger", sql.clone()))?;
    Ok(row.map(|row| RowFields::of(&row).must(0, RowFields::number)).transpose()?.unwrap_or(0) > 0)
}

/// Does something with the target's database in use.
pub(super) fn in_target<T>(
    db: &mut Database,
    spec: &TargetSpec,
    work: impl FnOnce(&mut Database) -> Result<T>,
) -> Result<T> {
    // What was read ahead of a table may be about to change.
    db.cursor = None;
    let before = db.client.database().map(str::to_owned);
    if before.as_ref().is_some_and(|before| before.eq_ignore_ascii_case(&spec.target.db)) {
        return work(db);
    }
    if !db.client.unit(|client| catalog::has_database(client, &spec.target.db))? {
        return Err(Error::config(format!("there is no database {}, or this login may not see it", spec.target.db))
            .hint("correct the name, or let it be created with --create"));
    }
    db.client.use_database(&spec.target.db)?;
    let done = work(db);
    if let Some(before) = before {
        db.client.use_database(&before)?;
    }
    done
}

/// The same, or nothing where there is no ledger yet, or no table: what a ledger says of one that was dropped since,
/// it says of none.
pub(super) fn in_ledger<T: Default>(
    db: &mut Database,
    spec: &TargetSpec,
    work: impl FnOnce(&mut Database) -> Result<T>,
) -> Result<T> {
    if !db.client.unit(|client| catalog::has_table(client, &spec.target))? {
        return Ok(T::default());
    }
    in_target(db, spec, |db| if is_there(db)? { work(db) } else { Ok(T::default()) })
}

/// How far one part was applied.
pub(super) fn entry(root: Sha256, fields: &RowFields<'_>) -> Result<LedgerEntry> {
    Ok(LedgerEntry {
        passed_by: 0,
        root_sha256: root,
        part: fields.must(0, RowFields::text)?.to_owned(),
        rows: fields.must(1, RowFields::number)?.unsigned_abs(),
        complete: fields.must(2, RowFields::number)? != 0,
        applied_at: fields.must(3, RowFields::time)?,
    })
}

/// Whether the ledger stood where these rows begin, and stands where they end now.
pub(super) fn move_to(client: &mut Client, spec: &TargetSpec, entry: &LedgerEntry, rows: usize) -> Result<bool> {
    let count = |_| Error::internal("a part has more rows than can be counted");
    let after = i64::try_from(entry.rows).map_err(count)?;
    let before = after - i64::try_from(rows as u64 + entry.passed_by).map_err(count)?;
    let sql = Sql::new(LEDGER_MOVE).with(entry.root_sha256.to_string()).with(spec.here()).with(&entry.part);
    let sql = sql.with(after).with(entry.complete).with(before).with(entry.applied_at);
    let row = client.row("move the ledger", sql)?;
    Ok(row.map(|row| RowFields::of(&row).must(0, RowFields::number)).transpose()? == Some(1))
}

/// Whether it stands behind this batch: then the batch was applied, and its answer lost.
pub(super) fn stands_at(client: &mut Client, spec: &TargetSpec, entry: &LedgerEntry) -> Result<bool> {
    let sql = Sql::new(LEDGER_READ).with(entry.root_sha256.to_string()).with(spec.here());
    for row in client.rows("read the ledger", sql)? {
        let fields = RowFields::of(&row);
        if fields.must(0, RowFields::text)? == entry.part {
            let (rows, complete) = (fields.must(1, RowFields::number)?, fields.must(2, RowFields::number)? != 0);
            return Ok(rows.unsigned_abs() == entry.rows && complete == entry.complete);
        }
    }
    Ok(false)
}

/// The error of a batch that does not begin where the ledger stands.
pub(super) fn out_of_place(entry: &LedgerEntry, rows: usize) -> Error {
    let text = format!(
        "another replay has applied some of this to this table meanwhile: its ledger is not where a batch of {rows} rows that ends \
             at row {} begins",
        entry.rows
    );
    Error::internal(text).hint("another replay may be applying the same bundle; run again when it has ended")
}
