//! What stands in a target: versions of rows, tombstones, and the hashes of contents.

use super::database::Database;
use super::key_id;
use super::ledger;
use super::sql::{Sql, filled, quote};
use super::staging;
use super::values::RowFields;
use crate::backend::compatibility::{large_columns, version_of_columns};
use crate::backend::existing::{ExistingEntry, ExistingVersions};
use crate::backend::{ExistingContent, TargetCompatibility, TargetSpec};
use crate::error::{Error, Result};
use crate::model::column::{DELTA_MODIFIED_ON, DELTA_RUN_ID, DELTA_RUN_STARTED_AT};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::run::Scope;
use crate::model::version::Version;
use crate::scripts::statement::statement;
use std::collections::HashMap;

const SQL: &str = include_str!("../../../sql/sqlserver/existing.sql");
const EXISTING: &str = statement(SQL, "existing");
const CONTENT: &str = statement(SQL, "content");

const NOTHING: &str = statement(SQL, "nothing");

/// The quoted target, in its own database.
pub(super) fn target_name(spec: &TargetSpec) -> String {
    format!("{}.{}", quote(&spec.target.schema), quote(&spec.target.table))
}

/// The rows of a target as `k` with their version columns `vm`, `vs`, `vr`, and whether they have no large value, `vp`; @P1 is
/// [`TargetSpec::here`].
pub(super) fn existing_view(spec: &TargetSpec, compatibility: &TargetCompatibility, has_ledger: bool) -> String {
    let (target, key) = (target_name(spec), quote(&spec.key_column));
    let is_part = is_part(large_columns(spec, compatibility).map(|(_, column)| format!("t.{}", quote(&column.name))));
    let version_columns = |[modified, started, run]: [&str; 3]| {
        let columns = format!("t.{key} AS k, {modified} AS vm, {started} AS vs, {run} AS vr");
        format!("SELECT {columns}, {is_part} AS vp FROM {target} AS t")
    };
    if compatibility.has_version_columns {
        let own = [DELTA_MODIFIED_ON, DELTA_RUN_STARTED_AT, DELTA_RUN_ID].map(|name| format!("t.{}", quote(name)));
        return format!("({})", version_columns([&own[0], &own[1], &own[2]]));
    }
    if !has_ledger {
        let time = "CONVERT(datetime2(7), NULL)";
        return format!("({})", version_columns([time, time, "CONVERT(uniqueidentifier, NULL)"]));
    }
    let id = key_id::to_id(spec.key_type, &format!("t.{key}"));
    format!(
        "({} LEFT JOIN dbo.BlobDeltaReplayRow AS m ON m.TableName = @P1 AND m.stream_id = {id})",
        version_columns(["m.ModifiedOn", "m.RunStartedAt", "m.RunId"])
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

/// See [`Target::existing`](crate::backend::Target::existing); the target's database is in use.
pub(super) fn existing_there(
    db: &mut Database,
    spec: &TargetSpec,
    compatibility: &TargetCompatibility,
    keys: &[Guid],
) -> Result<Vec<ExistingVersions>> {
    let has_ledger = ledger::is_there(db)?;
    let of = |table: &'static str| if has_ledger { table } else { NOTHING };
    let view = existing_view(spec, compatibility, has_ledger);
    let tables = [
        ("Standing", view.as_str()),
        ("Runs", of("dbo.BlobDeltaReplayRun")),
        ("Tombstones", of("dbo.BlobDeltaTombstone")),
        ("Others", of("dbo.BlobDeltaReplayOther")),
    ];
    let sql = Sql::new(filled(&key_id::with_keys(spec.key_type, EXISTING), &tables)).with(spec.here());
    let mut found: HashMap<Guid, ExistingVersions> = HashMap::new();
    staging::ask_of_keys(db, "look up what stands in the target", keys, sql, |key, fields| {
        let (kind, scope) = (fields.must(1, RowFields::number)?, fields.text(2)?.unwrap_or_default());
        let is_part = fields.must(6, RowFields::number)? != 0;
        let entry = match (kind, Scope::parse(scope)) {
            (0, scope) => ExistingEntry::Row(scope, is_part),
            (3, Some(scope)) => ExistingEntry::Other(scope, is_part),
            (_, Some(scope)) => ExistingEntry::Left(scope),
            (_, None) => ExistingEntry::Deleted,
        };
        found.entry(key).or_default().put(entry, version_at(fields, 3)?);
        Ok(())
    })?;
    Ok(keys.iter().map(|key| found.get(key).cloned().unwrap_or_default()).collect())
}

/// See [`Target::existing_content`](crate::backend::Target::existing_content), likewise.
pub(super) fn content_there(
    db: &mut Database,
    spec: &TargetSpec,
    compatibility: &TargetCompatibility,
    columns: &[usize],
    keys: &[Guid],
) -> Result<Vec<Option<ExistingContent>>> {
    let has_ledger = ledger::is_there(db)?;
    let mut hashes = String::new();
    for at in columns {
        let name = quote(&spec.columns[*at].name);
        // Whatever the type, `image` too, the bytes are hashed on the server.
        hashes.push_str(&format!(", HASHBYTES('SHA2_256', CONVERT(varbinary(max), t.{name}))"));
    }
    let view = existing_view(spec, compatibility, has_ledger);
    let (target, key) = (target_name(spec), quote(&spec.key_column));
    let values = [("Hashes", hashes.as_str()), ("Target", &target), ("Key", &key), ("Standing", &view)];
    let sql = Sql::new(filled(&key_id::with_keys(spec.key_type, CONTENT), &values));
    let mut found = HashMap::new();
    staging::ask_of_keys(db, "hash what stands in the target", keys, sql.with(spec.here()), |key, fields| {
        let hash = |nth: usize| fields.bytes(4 + nth)?.map(digest).transpose();
        let sha256 = (0..columns.len()).map(hash).collect::<Result<_>>()?;
        found.insert(key, ExistingContent { version: version_at(fields, 1)?, sha256 });
        Ok(())
    })?;
    Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
}

/// The version in three columns from this one on.
pub(super) fn version_at(fields: &RowFields<'_>, at: usize) -> Result<Version> {
    Ok(version_of_columns(fields.time(at)?, fields.time(at + 1)?, fields.guid(at + 2)?))
}

pub(super) fn digest(bytes: &[u8]) -> Result<Sha256> {
    let bytes = bytes.try_into().map_err(|_| Error::internal("the server's SHA2_256 is not 32 bytes"))?;
    Ok(Sha256::from_bytes(bytes))
}
