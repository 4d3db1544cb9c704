//! What a job database knows of a chain, and what it takes over of one that it published before it was
//! restored from a backup.

use super::client::Client;
use super::database::Database;
use super::deployed;
use super::sql::Sql;
use super::staging::{Carried, Nothing, STAGE, latest};
use super::values::{RowFields, text_at};
use crate::backend::servers::{AdoptedBundle, ChainRecord, Handed};
use crate::backend::slices::columns_json;
use crate::error::Result;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::run::Scope;
use crate::model::version::Version;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/adopted.sql");
const READ_CHAIN: &str = statement(SQL, "read_chain");

pub(super) fn read_chain(db: &mut Database, table: &TableName, scope: Scope) -> Result<Vec<ChainRecord>> {
    let all = db.list("read the bundles of a chain", &Sql::new(READ_CHAIN).with(table), |fields| {
        let record = ChainRecord {
            run_id: fields.must(0, RowFields::guid)?,
            run_started_at: fields.must(1, RowFields::time)?,
            root_sha256: Sha256::parse(fields.must(2, RowFields::text)?)?,
            previous_root_sha256: fields.text(3)?.map(Sha256::parse).transpose()?,
            name: text_at(fields, 4)?,
        };
        Ok((text_at(fields, 5)?, record))
    })?;
    let scope = scope.to_string();
    Ok(all.into_iter().filter(|(of, _)| *of == scope).map(|(_, record)| record).collect())
}

pub(super) fn adopt_all(db: &mut Database, table: &TableName, scope: Scope, bundles: &[AdoptedBundle]) -> Result<()> {
    deployed::check_script(db, "09_BlobDeltaJobs_Servers.sql")?;
    let Some(last) = bundles.last() else { return Ok(()) };
    for one in bundles {
        let columns = columns_json(&one.columns)?;
        let inputs = || {
            vec![
                ("TableName", table.into()),
                ("Scope", scope.to_string().into()),
                ("RunId", one.run_id.into()),
                ("RunType", (&one.run_type).into()),
                ("RequestedBy", (&one.requested_by).into()),
                ("RunStartedAt", one.run_started_at.into()),
                ("BusinessUnitId", one.business_unit.into()),
                ("PackNumber", one.pack_number.into()),
                ("RootSha256", one.root_sha256.to_string().into()),
                ("PreviousRootSha256", one.previous_root_sha256.map(|root| root.to_string()).into()),
                ("Name", (&one.name).into()),
                ("Folder", (&one.folder).into()),
                ("Watermark", last.watermark.into()),
                ("Columns", columns.clone().into()),
            ]
        };
        db.disk().before_commit("take bundles over")?;
        let adopt =
            |client: &mut Client| client.call("take a bundle over", "dbo.usp_BlobDelta_AdoptBundle", inputs(), &[]);
        db.client.unit(adopt)?;
    }
    Ok(())
}

pub(super) fn keep_adopted(
    db: &mut Database,
    table: &TableName,
    scope: Scope,
    handed: Handed,
    keys: &[(Guid, Version)],
) -> Result<()> {
    deployed::check_script(db, "09_BlobDeltaJobs_Servers.sql")?;
    let staged = latest(keys.iter().copied(), None);
    let carried = Carried::of_ids();
    db.client.transact("take keys over", |client: &mut Client| {
        client.batch("make the staging table", &carried.create())?;
        carried.load(client, &Nothing, &staged)?;
        let inputs = vec![
            ("TableName", table.into()),
            ("Scope", scope.to_string().into()),
            ("HasLeft", (handed == Handed::Left).into()),
            ("IsWhole", (handed == Handed::Whole).into()),
        ];
        client.call("take keys over", "dbo.usp_BlobDelta_AdoptKeys", inputs, &[])?;
        client.batch("drop the staging table", &format!("DROP TABLE {STAGE}"))
    })
}
