//! [`Places`] on a server.

use super::client::Client;
use super::database::JOB_DATABASE;
use super::engine::Engine;
use super::sql::Sql;
use super::values::{RowFields, text_at};
use crate::backend::places::{PlaceRecord, Places};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::run::Scope;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/places.sql");
const RECORDS: &str = statement(SQL, "records");
const SHARE: &str = statement(SQL, "share");
const UNSHIPPED: &str = statement(SQL, "unshipped");

impl Places for Engine<'_> {
    fn place_records(&mut self) -> Result<Vec<PlaceRecord>> {
        self.db.client.use_database(JOB_DATABASE)?;
        let rows = self.db.client.unit(|client| client.rows("read whose places are", Sql::new(RECORDS)))?;
        let record = |fields: RowFields<'_>| {
            let scope = match fields.text(3)? {
                Some(text) => Scope::parse(text)
                    .ok_or_else(|| Error::config(format!("{text} is neither `all` nor a business unit")))?,
                None => Scope::from(fields.guid(2)?),
            };
            Ok(PlaceRecord { place: text_at(&fields, 0)?, run_id: fields.guid(1)?, scope })
        };
        rows.iter().map(|row| record(RowFields::of(row))).collect()
    }

    fn share_place(&mut self, place: &str, scope: Scope) -> Result<()> {
        self.db.client.use_database(JOB_DATABASE)?;
        let share = Sql::new(SHARE).with(place).with(scope.to_string());
        self.db.client.unit(|client| client.execute("allow a place", share.clone())).map(drop)
    }

    fn waive_shipments(&mut self, run_id: Guid) -> Result<Vec<String>> {
        self.db.client.use_database(JOB_DATABASE)?;
        let unshipped = Sql::new(UNSHIPPED).with(run_id);
        let unshipped = self.db.list("read what a run has still to ship", &unshipped, |fields| text_at(fields, 0))?;
        let inputs = || vec![("RunId", run_id.into())];
        let waive =
            |client: &mut Client| client.call("waive shipments", "dbo.usp_BlobDelta_WaiveShipments", inputs(), &[]);
        self.db.client.unit(waive)?;
        Ok(unshipped)
    }
}
