//! Rules 7 and 17: ancestors out of a scope that its receivers need.

use super::database::Database;
use super::errors::failed;
use super::prepared::{self, Prepared};
use super::scope::{self, PASSES};
use super::template::{self, Parameters};
use crate::error::Result;
use crate::model::id::Guid;
use crate::model::run::{Scope, TableRun};
use crate::model::time::Timestamp;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlite/ancestors.sql");
const NEEDED_ANCESTORS: &str = statement(SQL, "needed_ancestors");
const LEFT_BEHIND: &str = statement(SQL, "left_behind");
const ABSENT_SETTLED: &str = statement(SQL, "absent_settled");
const ABSENT_ASKED: &str = statement(SQL, "absent_asked");
const ABSENT_DECIDED: &str = statement(SQL, "absent_decided");
const ABSENT_NOTED: &str = statement(SQL, "absent_noted");
const ABSENT_CAME: &str = statement(SQL, "absent_came");
const ANCESTOR_STAMPS: &str = statement(SQL, "ancestor_stamps");

/// What decides by which stamp an ancestor comes that has none in its scope.
struct Ancestor {
    key: Guid,
    /// Whether the scope's receivers have it, and by which stamp.
    handed: Option<Option<Timestamp>>,
    /// When it left the scope, as was logged, or told.
    left: Option<Timestamp>,
    /// The latest deletion of it that the scope was told, or is told by this slice.
    deleted: Option<Timestamp>,
    /// The greatest stamp of its metadata: others may have the whole row by it.
    newest: Option<Timestamp>,
}

impl Ancestor {
    /// The least stamp that its scope's receivers take, where that outranks nobody's whole row: between chains the whole row
    /// wins a tie, and a deletion outranks the rows of all. With a margin a later run than this one has begun.
    fn stamp(&self, scope: Scope, margin: i64, latest: Timestamp) -> Option<Timestamp> {
        let handed = self.handed.map(|handed| handed.or((margin > 0).then_some(Timestamp::MIN))).unwrap_or_default();
        let wins = handed.max(self.left).map(|stamp| stamp.plus_ticks(margin));
        let passes = self.deleted.map(|deleted| {
            let passes = deleted.plus_ticks(PASSES);
            let is_newer = |newest: &Timestamp| scope != Scope::All && *newest > deleted;
            self.newest.filter(is_newer).map_or(passes, |newest| passes.min(newest))
        });
        let stamp = wins.max(passes)?;
        let is_free = self.newest >= Some(stamp) || (passes == Some(stamp) && self.deleted >= self.newest);
        ((scope == Scope::All || is_free) && stamp <= latest).then_some(stamp)
    }
}

/// With the queue: ancestors out of the scope come that its receivers need, and no window brings; and folders that left it
/// and stay there come once more, without their blobs.
pub(super) fn queue_ancestors(db: &Database, prepared: &Prepared, scope: Scope, parameters: &Parameters) -> Result<()> {
    if prepared.config.is_tree() {
        scope::find_what_left(db, prepared, parameters)?;
        prepared.run_filled(db, "needed_ancestors", NEEDED_ANCESTORS, parameters)?;
        prepared.run_filled(db, "left_behind", LEFT_BEHIND, parameters)?;
    }
    scope::drop_foreign(db, prepared, scope, parameters)
}

/// Before the queue is filled: rows whose parents were absent come again, where they lack the keys of those.
pub(super) fn ask_for_orphans(db: &Database, prepared: &Prepared, parameters: &Parameters) -> Result<()> {
    if prepared.config.is_tree() {
        prepared.run_filled(db, "absent_settled", ABSENT_SETTLED, parameters)?;
        prepared.run_filled(db, "absent_asked", ABSENT_ASKED, parameters)?;
    }
    Ok(())
}

/// With the slice complete: rows whose parent is absent are noted, and those whose parent has come.
pub(super) fn note_absent(db: &Database, prepared: &Prepared, table_run: &TableRun) -> Result<()> {
    let parameters = prepared.parameters(&prepared::given(db, table_run, 0, 0)?);
    prepared.run_filled(db, "absent_decided", ABSENT_DECIDED, &parameters)?;
    prepared.run_filled(db, "absent_noted", ABSENT_NOTED, &parameters)?;
    prepared.run_filled(db, "absent_came", ABSENT_CAME, &parameters).map(drop)
}

/// With the slice complete: ancestors without a stamp get the least that their scope's receivers take.
pub(super) fn stamp_ancestors(
    db: &Database,
    prepared: &Prepared,
    table_run: &TableRun,
    parameters: &Parameters,
) -> Result<()> {
    let (scope, margin) = (table_run.scope, scope::margin(db, table_run)?);
    let latest = prepared::given(db, table_run, 0, 0)?.run_start.latest_reported();
    let broken = |error| failed("stamp ancestors", error);
    let sql = prepared.placeholders.fill("ancestor_stamps", ANCESTOR_STAMPS)?;
    let mut stamps: Vec<(Guid, Timestamp)> = Vec::new();
    let mut statement = template::prepare_script(db, "ancestor_stamps", &sql, parameters)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(broken)? {
        let is_handed: bool = row.get(1).map_err(broken)?;
        let handed: Option<Timestamp> = row.get(2).map_err(broken)?;
        let (logged, reported): (Option<Timestamp>, Option<Timestamp>) =
            (row.get(3).map_err(broken)?, row.get(4).map_err(broken)?);
        let ancestor = Ancestor {
            key: row.get(0).map_err(broken)?,
            handed: is_handed.then_some(handed),
            left: logged.max(reported),
            deleted: row.get(5).map_err(broken)?,
            newest: row.get(6).map_err(broken)?,
        };
        stamps.extend(ancestor.stamp(scope, margin, latest).map(|stamp| (ancestor.key, stamp)));
    }
    drop(rows);
    let update = "UPDATE {TargetTable} SET DeltaModifiedOn = ?2 WHERE {KeyColumn} = {ToKey(}?1{)ToKey}";
    let update = prepared.placeholders.fill("ancestor_stamps", update)?;
    stamps.iter().try_for_each(|stamp| db.execute(&update, *stamp).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ticks: i64) -> Option<Timestamp> {
        Timestamp::from_ticks(ticks)
    }

    fn stamp(
        handed: Option<Option<Timestamp>>,
        deleted: Option<Timestamp>,
        newest: Option<Timestamp>,
        margin: i64,
    ) -> Option<i64> {
        let ancestor = Ancestor { key: Guid::from_bytes([1; 16]), handed, left: None, deleted, newest };
        ancestor.stamp(Scope::BusinessUnit(Guid::from_bytes([2; 16])), margin, at(1000).unwrap()).map(Timestamp::ticks)
    }

    #[test]
    fn rule_14_an_ancestor_wins_in_its_scope_and_outranks_nobody_s_whole_row() {
        assert_eq!(stamp(None, None, at(50), 0), None, "nobody was handed it");
        assert_eq!(stamp(Some(None), None, at(50), 0), None, "the later run wins");
        assert_eq!(stamp(Some(None), None, at(50), PASSES), Some(PASSES), "unless it started earlier");
        assert_eq!(stamp(Some(at(50)), None, at(50), 0), Some(50), "between chains the whole row wins a tie");
        assert_eq!(stamp(Some(at(50)), None, at(50), PASSES), None, "and nothing later");
        assert_eq!(stamp(Some(at(50)), None, at(40), 0), None);
        assert_eq!(stamp(Some(None), at(60), at(50), 0), Some(60 + PASSES), "a deletion outranks the rows of all");
        assert_eq!(stamp(Some(None), at(60), None, 0), Some(60 + PASSES));
        assert_eq!(stamp(Some(None), at(60), at(90), 0), Some(60 + PASSES));
        assert_eq!(stamp(Some(None), at(60), at(65), 0), Some(65), "no later than others have it");
        assert_eq!(stamp(Some(at(80)), at(60), at(70), 0), None);
        assert_eq!(stamp(Some(None), at(1000), None, 0), None, "rule 27: a later run passes it");
    }
}
