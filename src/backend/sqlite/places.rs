//! [`Places`] on the embedded instance.

use super::engine::Engine;
use super::sql::{broken, filled};
use crate::backend::places::{PlaceRecord, Places};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::run::Scope;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/places.sql");
const RECORDS: &str = statement(SQL, "records");
const WAIVE_SHIPMENTS: &str = statement(SQL, "waive_shipments");

impl Places for Engine<'_> {
    fn place_records(&mut self) -> Result<Vec<PlaceRecord>> {
        self.db.query_all(RECORDS, [], |row| {
            let (unit, scope): (Option<Guid>, Option<String>) = (row.get(2)?, row.get(3)?);
            let scope = scope.as_deref().map_or(Some(Scope::from(unit)), Scope::parse);
            Ok(PlaceRecord {
                place: row.get(0)?,
                run_id: row.get(1)?,
                scope: scope.ok_or_else(|| broken(Error::config("a scope is neither `all` nor a business unit")))?,
            })
        })
    }

    fn share_place(&mut self, place: &str, scope: Scope) -> Result<()> {
        self.db.transact("allow a place", |db| {
            db.execute(
                "INSERT OR IGNORE INTO BlobDeltaSharedPlace (Place, Scope, AllowedAt) VALUES (?1, ?2, ?3)",
                (place, scope.to_string(), db.server_time().utc),
            )
        })?;
        Ok(())
    }

    fn waive_shipments(&mut self, run_id: Guid) -> Result<Vec<String>> {
        self.db.transact("waive shipments", |db| {
            let unshipped = "FROM BlobDeltaBundle WHERE RunId = ?1 AND ShipTo IS NOT NULL AND ShippedAt IS NULL";
            let destinations =
                db.query_all(&format!("SELECT DISTINCT ShipTo {unshipped} ORDER BY 1"), [run_id], |row| row.get(0))?;
            db.execute(
                &filled(WAIVE_SHIPMENTS, &[("Unshipped", unshipped)]),
                (run_id, db.server_time().utc),
            )?;
            db.execute(
                "UPDATE BlobDeltaBundle SET ShipTo = NULL WHERE RunId = ?1 AND ShipTo IS NOT NULL AND ShippedAt IS NULL",
                [run_id],
            )?;
            Ok(destinations)
        })
    }
}
