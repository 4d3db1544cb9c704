//! Whether a table can take what is replayed into it, decided from columns alone, so that both
//! kinds of instance refuse the same targets. A target that would cut or round a value is
//! refused before anything is written.

use super::target::{Evolve, TargetCompatibility, TargetSpec};
use crate::error::{Error, Result};
use crate::model::column::{Column, DELTA_MODIFIED_ON, DELTA_PARENT_KEY, DELTA_RUN_ID, DELTA_RUN_STARTED_AT, is_delta};
use crate::model::id::Guid;
use crate::model::sqltype::SqlType;
use crate::model::time::Timestamp;
use crate::model::version::Version;

/// Whether this is a column that a target has of its own, filled from the rows' versions.
pub(super) fn is_run_column(name: &str) -> bool {
    [DELTA_RUN_STARTED_AT, DELTA_RUN_ID].iter().any(|run| run.eq_ignore_ascii_case(name))
}

/// The columns that a target needs: those of the rows as plain ones, and the two of the run.
/// Values without bound stand last, where SQLite can write them in chunks.
pub(super) fn target_columns(spec: &TargetSpec) -> Vec<Column> {
    let carried = spec.columns.iter().filter(|column| !is_run_column(&column.name));
    let plain = carried.map(|column| Column { computed: false, ..column.clone() });
    let (large, mut columns): (Vec<Column>, Vec<Column>) = plain.partition(|column| column.sql_type.is_large());
    columns.push(Column::new(DELTA_RUN_STARTED_AT, SqlType::DateTime2(7), true));
    columns.push(Column::new(DELTA_RUN_ID, SqlType::UniqueIdentifier, true));
    columns.extend(large);
    columns
}

/// The same for a table that is made: a bundle from before a column was added, or after it was dropped, has none of it.
pub(super) fn made_columns(spec: &TargetSpec) -> Vec<Column> {
    let is_needed = |name: &str| name.eq_ignore_ascii_case(&spec.key_column) || is_delta(name);
    let looser = |column: Column| Column { nullable: column.nullable || !is_needed(&column.name), ..column };
    target_columns(spec).into_iter().map(looser).collect()
}

/// The columns of large values that the target takes: a row without any of them is a part
/// ([`ChainVersion`](super::existing::ChainVersion)).
pub(super) fn large_columns<'c>(
    spec: &'c TargetSpec,
    compatibility: &'c TargetCompatibility,
) -> impl Iterator<Item = (usize, &'c Column)> {
    let is_large = |column: &Column| column.sql_type.is_large() && !compatibility.skipped.contains(&column.name);
    spec.columns.iter().enumerate().filter(move |(_, column)| is_large(column))
}

/// The column of this name among those that were found.
pub(super) fn named<'c>(found: &'c [Column], name: &str) -> Option<&'c Column> {
    found.iter().find(|there| there.name.eq_ignore_ascii_case(name))
}

/// Columns that a target lacks, or that are too narrow there, as they have to be; with the type that one has now.
pub(super) type Lacks = Vec<(Column, Option<SqlType>)>;

/// Rule 24: what a target has to become before the rows come, and the columns that it has then.
///
/// # Errors
/// Config, with the column, where that may not be done; `statement` is what would do it.
pub(super) fn evolved(
    spec: &TargetSpec,
    found: Vec<Column>,
    wanted: &[Column],
    statement: impl Fn(&(Column, Option<SqlType>)) -> Option<String>,
) -> Result<(Vec<Column>, Lacks)> {
    // Keys grow as other columns do, and are never added.
    let is_of_keys = |name: &str| [&spec.key_column, DELTA_PARENT_KEY].iter().any(|key| key.eq_ignore_ascii_case(name));
    let is_extra = |name: &str| !is_of_keys(name) && (is_run_column(name) || is_delta(name));
    let mut lacks = Lacks::new();
    for column in wanted.iter().filter(|column| !is_extra(&column.name)) {
        match named(&found, &column.name) {
            None if is_of_keys(&column.name) => {}
            None => lacks.push((Column { nullable: true, ..column.clone() }, None)),
            Some(there)
                if !there.computed && column.sql_type != there.sql_type && column.sql_type.promotes(there.sql_type) =>
            {
                lacks.push((
                    Column { nullable: there.nullable, name: there.name.clone(), ..column.clone() },
                    Some(there.sql_type),
                ));
            }
            Some(_) => {}
        }
    }
    let Some(first) = lacks.first() else { return Ok((found, lacks)) };
    let is_own =
        [DELTA_MODIFIED_ON, DELTA_RUN_STARTED_AT, DELTA_RUN_ID].iter().all(|name| named(&found, name).is_some());
    if spec.evolve == Evolve::Never || (spec.evolve == Evolve::Own && !is_own) {
        let (column, there) = first;
        let what = there.map_or_else(
            || "the target lacks this column".to_owned(),
            |there| format!("the target's column is {there}, and {} comes", column.sql_type),
        );
        let by_hand = statement(first).map(|statement| format!("`{statement}`, ")).unwrap_or_default();
        return Err(Error::config(what)
            .column(&column.name)
            .hint(format!("{by_hand}have the replay do it with --evolve, or replay into another database")));
    }
    let mut columns = found;
    for (column, _) in &lacks {
        columns.retain(|there| !there.name.eq_ignore_ascii_case(&column.name));
        columns.push(column.clone());
    }
    Ok((columns, lacks))
}

/// Holds the columns that were found against [`target_columns`].
///
/// # Errors
/// Config, with the column: it is missing, narrower, or does not take NULL; or the key is computed.
pub(super) fn check_columns(found: &[Column], wanted: &[Column], key: &str) -> Result<TargetCompatibility> {
    let hint = "add or widen the column in the target, or replay into another database";
    let is_there = |name: &str| named(found, name).is_some_and(|column| !column.computed);
    let has_version_columns = [DELTA_MODIFIED_ON, DELTA_RUN_STARTED_AT, DELTA_RUN_ID].into_iter().all(is_there);
    let columns = found.iter().filter(|column| !column.computed).map(|column| column.name.clone()).collect();
    let mut compatibility = TargetCompatibility { has_version_columns, columns, ..TargetCompatibility::default() };
    for column in wanted {
        let Some(there) = named(found, &column.name) else {
            if !is_run_column(&column.name) && !is_delta(&column.name) {
                return Err(Error::config("the target lacks this column").column(&column.name).hint(hint));
            }
            compatibility.skipped.push(column.name.clone());
            continue;
        };
        let is_key = column.name.eq_ignore_ascii_case(key);
        // What the target makes itself takes no values, nor one of the version columns without the others.
        if (there.computed || (is_run_column(&column.name) && !has_version_columns)) && !is_key {
            compatibility.skipped.push(column.name.clone());
            continue;
        }
        let why = if !there.sql_type.takes(column.sql_type) {
            format!("the target's column is {}, and {} comes", there.sql_type, column.sql_type)
        } else if there.computed {
            "the target computes its key".to_owned()
        } else if column.nullable && !is_key && !there.nullable {
            "the target's column does not take NULL".to_owned()
        } else {
            continue;
        };
        return Err(Error::config(why).column(&column.name).hint(hint));
    }
    Ok(compatibility)
}

/// The version of a row that came by another way than a replay: older than any that has a run.
pub(super) fn oldest_version() -> Version {
    version_of_columns(None, None, None)
}

/// A row's version, from the version columns that stand with it.
pub(super) fn version_of_columns(
    modified_on: Option<Timestamp>,
    run_started_at: Option<Timestamp>,
    run_id: Option<Guid>,
) -> Version {
    Version {
        modified_on,
        tombstone: None,
        run_started_at: run_started_at.unwrap_or(Timestamp::MIN),
        run_id: run_id.unwrap_or(Guid::from_bytes([0; 16])),
    }
}

/// Two rows of different keys that a unique constraint keeps from standing side by side.
#[derive(Clone, Debug)]
pub(super) struct Clash {
    /// The row that comes.
    pub(super) coming: (Guid, Version),
    /// The row that stands.
    pub(super) existing: (Guid, Version),
    /// The constraint's index.
    pub(super) index: String,
}

impl Clash {
    /// Notes this clash; one that comes again after it was settled would come for ever.
    ///
    /// # Errors
    /// Config, with both keys.
    pub(super) fn note(&self, last: &mut Option<(Guid, Guid)>) -> Result<()> {
        let ((coming, _), (existing, _)) = (self.coming, self.existing);
        if last.replace((coming, existing)) != Some((coming, existing)) {
            return Ok(());
        }
        let text = format!(
            "the row {existing} has the values of this one in the unique index {} and cannot be removed",
            self.index
        );
        Err(Error::config(text).key(coming).hint("does a trigger of the target keep rows from being deleted?"))
    }

    /// The key of the one that has to go: the older, and of equals the one with the lesser key, so
    /// that the order in which they come does not matter.
    ///
    /// # Errors
    /// Config, with both keys, unless the target's rows may be displaced.
    pub(super) fn older(&self, spec: &TargetSpec) -> Result<(Guid, Version)> {
        let ((coming, new), (existing, old)) = (self.coming, self.existing);
        if !spec.displace {
            return Err(self.refused());
        }
        Ok(if (new, coming) < (old, existing) { self.coming } else { self.existing })
    }
}

impl Clash {
    /// Names both keys.
    pub(super) fn refused(&self) -> Error {
        let text = format!(
            "the unique index {} of the target keeps this row out: the row {} has its values",
            self.index, self.existing.0
        );
        Error::config(text).key(self.coming.0).hint(
            "a row that was replaced under a new key while its deletion was never logged: log the deletion at the \
             source and replay that bundle too, or have the older row displaced with --displace",
        )
    }
}

/// The key alone must be unique in a target, because a row replaces the row of its key.
pub(super) fn not_unique(spec: &TargetSpec) -> Error {
    Error::config("the key of this target is not unique by itself")
        .table(&spec.target)
        .column(&spec.key_column)
        .hint("make a unique index on only the key, or replay into another database")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_table_needs_the_source_s_columns_and_no_version_columns() {
        let column = |name: &str, computed| Column { computed, ..Column::new(name, SqlType::Int, true) };
        let wanted = [column("key", false), column("a", false), column("c", true), column(DELTA_MODIFIED_ON, false)];
        let plain = [column("KEY", false), column("a", false), column("C", true), column("own", false)];
        let skipped = vec!["c".to_owned(), DELTA_MODIFIED_ON.to_owned()];
        let found = check_columns(&plain, &wanted, "key").unwrap();
        assert_eq!((found.skipped, found.has_version_columns), (skipped, false));
        let error = check_columns(&plain[..1], &wanted, "key").unwrap_err();
        assert_eq!(error.place().column.as_deref(), Some("a"));
        assert!(check_columns(&[column("key", true)], &wanted, "key").is_err());
    }
}
