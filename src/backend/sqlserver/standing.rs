//! What stands in a target: ranks of rows, tombstones, and the hashes of contents.

use super::apply::{Nothing, latest};
use super::client::Client;
use super::session::Session;
use super::sql::{Sql, filled, quote};
use super::staging::{Carried, STAGE};
use super::values::Fields;
use crate::backend::fit::{large_columns, rank};
use crate::backend::standing::{Entry, Standing};
use crate::backend::{DELTA_RUN_ID, DELTA_RUN_STARTED_AT, StandingContent, TargetFit, TargetSpec};
use crate::error::{Error, Result};
use crate::model::column::DELTA_MODIFIED_ON;
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::run::Scope;
use crate::model::version::Version;
use std::collections::HashMap;

const STANDING: &str = include_str!("../../../sql/sqlserver/replay_standing.sql");

/// Nothing beside the rows, where there are no tables for it.
const NOTHING: &str = "(SELECT CONVERT(nvarchar(400), NULL) AS TableName, CONVERT(uniqueidentifier, NULL) AS stream_id, \
                       CONVERT(nvarchar(36), NULL) AS Scope, CONVERT(datetime2(7), NULL) AS DeletedOn, \
                       CONVERT(datetime2(7), NULL) AS ModifiedOn, CONVERT(datetime2(7), NULL) AS RunStartedAt, \
                       CONVERT(uniqueidentifier, NULL) AS RunId, CONVERT(bit, 0) AS IsPart WHERE 1 = 0)";

/// The quoted target, in its own database.
pub(super) fn target_name(spec: &TargetSpec) -> String {
    format!("{}.{}", quote(&spec.target.schema), quote(&spec.target.table))
}

/// The rows of a target as `k` with their marks `vm`, `vs`, `vr`, and whether they have no large value, `vp`; @P1 is
/// [`TargetSpec::here`].
pub(super) fn standing_view(spec: &TargetSpec, fit: &TargetFit, has_ledger: bool) -> String {
    let (target, key) = (target_name(spec), quote(&spec.key_column));
    let is_part = is_part(large_columns(spec, fit).map(|(_, column)| format!("t.{}", quote(&column.name))));
    let marks = |[modified, started, run]: [&str; 3]| {
        let columns = format!("t.{key} AS k, {modified} AS vm, {started} AS vs, {run} AS vr");
        format!("SELECT {columns}, {is_part} AS vp FROM {target} AS t")
    };
    if fit.has_marks {
        let own = [DELTA_MODIFIED_ON, DELTA_RUN_STARTED_AT, DELTA_RUN_ID].map(|name| format!("t.{}", quote(name)));
        return format!("({})", marks([&own[0], &own[1], &own[2]]));
    }
    if !has_ledger {
        let time = "CONVERT(datetime2(7), NULL)";
        return format!("({})", marks([time, time, "CONVERT(uniqueidentifier, NULL)"]));
    }
    format!(
        "({} LEFT JOIN dbo.BlobDeltaReplayRow AS m ON m.TableName = @P1 AND m.stream_id = t.{key})",
        marks(["m.ModifiedOn", "m.RunStartedAt", "m.RunId"])
    )
}

/// Whether none of these values is there, 1 or 0.
pub(super) fn is_part(large: impl Iterator<Item = String>) -> String {
    let absent: Vec<String> = large.map(|value| format!("{value} IS NULL")).collect();
    match absent.is_empty() {
        true => "0".to_owned(),
        false => format!("CASE WHEN {} THEN 1 ELSE 0 END", absent.join(" AND ")),
    }
}

impl Session {
    /// Whether the target's database, which is in use, has a ledger.
    pub(super) fn has_ledger(&mut self) -> Result<bool> {
        let sql =
            Sql::new("SELECT COUNT(*) FROM sys.objects WHERE object_id = OBJECT_ID(N'dbo.BlobDeltaReplayBundle')");
        let row = self.client.unit(|client| client.row("look for the ledger", sql.clone()))?;
        Ok(row.map(|row| Fields::of(&row).must(0, Fields::number)).transpose()?.unwrap_or(0) > 0)
    }

    /// See [`Target::standing`](crate::backend::Target::standing); the target's database is in use.
    pub(super) fn standing_there(
        &mut self,
        spec: &TargetSpec,
        fit: &TargetFit,
        keys: &[Guid],
    ) -> Result<Vec<Standing>> {
        let has_ledger = self.has_ledger()?;
        let of = |table: &'static str| if has_ledger { table } else { NOTHING };
        let view = standing_view(spec, fit, has_ledger);
        let tables = [
            ("Standing", view.as_str()),
            ("Runs", of("dbo.BlobDeltaReplayRun")),
            ("Tombstones", of("dbo.BlobDeltaTombstone")),
            ("Others", of("dbo.BlobDeltaReplayOther")),
        ];
        let sql = Sql::new(filled(STANDING, &tables)).with(spec.here());
        let mut found: HashMap<Guid, Standing> = HashMap::new();
        self.ask_of_keys("look up what stands in the target", keys, sql, |key, fields| {
            let (kind, scope) = (fields.must(1, Fields::number)?, fields.text(2)?.unwrap_or_default());
            let is_part = fields.must(6, Fields::number)? != 0;
            let entry = match (kind, Scope::parse(scope)) {
                (0, scope) => Entry::Row(scope, is_part),
                (3, Some(scope)) => Entry::Other(scope, is_part),
                (_, Some(scope)) => Entry::Left(scope),
                (_, None) => Entry::Deleted,
            };
            found.entry(key).or_default().put(entry, version_at(fields, 3)?);
            Ok(())
        })?;
        Ok(keys.iter().map(|key| found.get(key).cloned().unwrap_or_default()).collect())
    }

    /// See [`Target::standing_content`](crate::backend::Target::standing_content), likewise.
    pub(super) fn content_there(
        &mut self,
        spec: &TargetSpec,
        fit: &TargetFit,
        columns: &[usize],
        keys: &[Guid],
    ) -> Result<Vec<Option<StandingContent>>> {
        let has_ledger = self.has_ledger()?;
        let mut select = "SELECT s.n, v.vm, v.vs, v.vr".to_owned();
        for at in columns {
            let name = quote(&spec.columns[*at].name);
            // Whatever the type, `image` too, the bytes are hashed on the server.
            select.push_str(&format!(", HASHBYTES('SHA2_256', CONVERT(varbinary(max), t.{name}))"));
        }
        let view = standing_view(spec, fit, has_ledger);
        let (target, key) = (target_name(spec), quote(&spec.key_column));
        let sql = Sql::new(format!(
            "{select} FROM {STAGE} AS s INNER JOIN {target} AS t ON t.{key} = s.k
             INNER JOIN {view} AS v ON v.k = s.k WHERE @P1 <> N'' ORDER BY s.n"
        ));
        let mut found = HashMap::new();
        self.ask_of_keys("hash what stands in the target", keys, sql.with(spec.here()), |key, fields| {
            let hash = |nth: usize| fields.bytes(4 + nth)?.map(digest).transpose();
            let sha256 = (0..columns.len()).map(hash).collect::<Result<_>>()?;
            found.insert(key, StandingContent { version: version_at(fields, 1)?, sha256 });
            Ok(())
        })?;
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    /// Stages keys, asks, and hands on the rows of the answer, of which the first column is the
    /// number of a key.
    pub(super) fn ask_of_keys(
        &mut self,
        doing: &str,
        keys: &[Guid],
        sql: Sql<'_>,
        mut each: impl FnMut(Guid, &Fields<'_>) -> Result<()>,
    ) -> Result<()> {
        let staged = latest(keys.iter().map(|key| (*key, crate::backend::fit::unmarked())), None);
        let carried = Carried { columns: Vec::new() };
        let rows = self.client.transact(doing, |client: &mut Client| {
            client.batch("make the staging table", &carried.create())?;
            carried.load(client, &Nothing, &staged)?;
            let rows = client.rows(doing, sql.clone())?;
            client.batch("drop the staging table", &format!("DROP TABLE {STAGE}"))?;
            Ok(rows)
        })?;
        for row in &rows {
            let fields = Fields::of(row);
            let nth = usize::try_from(fields.must(0, Fields::number)?).unwrap_or(usize::MAX);
            let key =
                keys.get(nth).ok_or_else(|| Error::internal("the server answered for a key that was not asked"))?;
            each(*key, &fields)?;
        }
        Ok(())
    }
}

/// The rank in three columns from this one on.
pub(super) fn version_at(fields: &Fields<'_>, at: usize) -> Result<Version> {
    Ok(rank(fields.time(at)?, fields.time(at + 1)?, fields.guid(at + 2)?))
}

pub(super) fn digest(bytes: &[u8]) -> Result<Sha256> {
    let bytes = bytes.try_into().map_err(|_| Error::internal("the server's SHA2_256 is not 32 bytes"))?;
    Ok(Sha256::from_bytes(bytes))
}
