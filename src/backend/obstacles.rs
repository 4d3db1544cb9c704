//! What of a table that stands would keep rows of a replay out, so that it is refused before anything is written.
//!
//! What a trigger or a foreign key does to a row is known once the row comes, so one that may refuse rows is refused
//! as it is: half a replay helps nobody.

use super::compatibility::is_run_column;
use super::target::{TargetCompatibility, TargetSpec};
use crate::error::{Error, Result};

/// What the catalog says of a table, as far as it can keep rows out.
#[derive(Clone, Debug, Default)]
pub(super) struct Obstacles {
    /// Columns that take no NULL and have no default.
    pub(super) needed: Vec<String>,
    /// Columns whose values the server counts.
    pub(super) identities: Vec<String>,
    /// Enforced foreign keys, a line a column.
    pub(super) foreign_keys: Vec<ForeignKey>,
    /// Triggers that are on.
    pub(super) triggers: Vec<Trigger>,
    /// Whether a constraint of the table replaces rows, or leaves them out, in silence (SQLite's ON CONFLICT).
    pub(super) is_silent: bool,
}

/// A column of a foreign key.
#[derive(Clone, Debug)]
pub(super) struct ForeignKey {
    pub(super) name: String,
    /// The table at its other end.
    pub(super) other: String,
    /// Its column in the target.
    pub(super) column: String,
    pub(super) end: ForeignKeyEnd,
}

/// Which end of a foreign key the target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForeignKeyEnd {
    /// Its rows name rows of the other table.
    Child,
    /// Rows of the other table name its rows.
    Parent { keeps_rows: bool, keeps_values: bool },
}

/// A trigger on one kind of change.
#[derive(Clone, Debug)]
pub(super) struct Trigger {
    pub(super) name: String,
    /// Whether on rows that are deleted; else on those that are written.
    pub(super) is_on_delete: bool,
    pub(super) is_instead: bool,
    /// Whether its text has a statement that undoes the change.
    pub(super) may_abort: bool,
}

impl Obstacles {
    /// Whether anything may do something else with a row than to write it.
    pub(super) fn has_triggers(&self) -> bool {
        !self.triggers.is_empty()
    }

    /// # Errors
    /// Config, with the column, foreign key or trigger that would keep rows out.
    pub(super) fn check(&self, spec: &TargetSpec, compatibility: &TargetCompatibility) -> Result<()> {
        let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        let is_skipped = |name: &str| compatibility.skipped.iter().any(|skipped| same(skipped, name));
        let comes = |name: &str| spec.columns.iter().any(|column| same(&column.name, name));
        let is_written = |name: &str| match is_run_column(name) {
            true => compatibility.has_version_columns,
            false => comes(name) && !is_skipped(name),
        };
        if let Some(column) = self.identities.iter().find(|column| comes(column)) {
            return Err(Error::config(
                "the target counts the values of this column itself (IDENTITY), and others come",
            )
            .column(column)
            .hint("make it a plain column in the target, or replay into another database"));
        }
        if let Some(column) = self.needed.iter().find(|column| !is_written(column)) {
            return Err(Error::config(
                "the target has a column that no bundle fills: it does not allow NULL, and has no default",
            )
            .column(column)
            .hint("give it a default, or allow NULL in it, or replay into another database"));
        }
        let is_key = |name: &str| same(name, &spec.key_column);
        let keeps = |key: &&ForeignKey| match key.end {
            ForeignKeyEnd::Child => is_written(&key.column),
            ForeignKeyEnd::Parent { keeps_rows, keeps_values } => {
                (keeps_rows && spec.removes) || (keeps_values && is_written(&key.column) && !is_key(&key.column))
            }
        };
        if let Some(ForeignKey { name, other, column, end }) = self.foreign_keys.iter().find(keeps) {
            let what = match end {
                ForeignKeyEnd::Child => format!(
                    "the foreign key {name} of the target to {other} would keep out rows that {other} does not know"
                ),
                ForeignKeyEnd::Parent { .. } => {
                    format!("the foreign key {name} of {other} keeps rows of the target from being replaced or deleted")
                }
            };
            let hint = "on a server switch it off for the replay (ALTER TABLE … NOCHECK CONSTRAINT …); on an embedded instance make the \
                        table anew without it; or replay into another database";
            return Err(Error::config(what).column(column).hint(hint));
        }
        if self.is_silent && self.has_triggers() {
            return Err(Error::config(
                "a constraint of the target says ON CONFLICT REPLACE or IGNORE, so that rows could go in silence",
            )
            .hint("make it a plain constraint, or drop the triggers of the table for the replay: without them it is no obstacle"));
        }
        let refuses =
            |trigger: &&Trigger| (trigger.is_instead || trigger.may_abort) && (!trigger.is_on_delete || spec.removes);
        if let Some(Trigger { name, is_instead, .. }) = self.triggers.iter().find(refuses) {
            let what = match is_instead {
                true => format!("the trigger {name} of the target does something else instead of what a replay writes"),
                false => format!("the trigger {name} of the target may refuse rows"),
            };
            let hint = "on a server switch it off for the replay (DISABLE TRIGGER … ON …); on an embedded instance drop it and make it again \
                 afterwards; or replay into another database";
            return Err(Error::config(what).hint(hint));
        }
        Ok(())
    }
}

/// A row that a replay wrote, or removed, and that a trigger kept from it.
pub(super) fn ignored(what: &str) -> Error {
    Error::config(format!("the row was not {what}: a trigger of the target ignored that"))
        .hint("switch the trigger off for the replay (on an embedded instance drop it); rows that were applied before are kept")
}

/// The words of a statement in capitals, and signs by themselves: no comments, texts or quoted names.
pub(super) fn words(sql: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut rest = sql.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let skipped = |mark: &str| sql[at..].starts_with(mark);
        let until = if skipped("--") {
            Some("\n")
        } else if skipped("/*") {
            Some("*/")
        } else {
            match c {
                '\'' => Some("'"),
                '"' => Some("\""),
                '[' => Some("]"),
                '`' => Some("`"),
                _ => None,
            }
        };
        if let Some(until) = until {
            let from = at + if until == "*/" { 2 } else { c.len_utf8() };
            let end =
                sql.get(from..).and_then(|rest| rest.find(until)).map_or(sql.len(), |end| from + end + until.len());
            while rest.next_if(|(at, _)| *at < end).is_some() {}
            words.push(String::new());
        } else if c.is_alphanumeric() || c == '_' {
            if let Some(word) = words.last_mut() {
                word.extend(c.to_uppercase());
            }
        } else {
            let sign = if c.is_whitespace() { String::new() } else { c.to_string() };
            words.extend([sign, String::new()]);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::column::Column;
    use crate::model::name::TableName;
    use crate::model::sqltype::SqlType;

    fn refused(obstacles: &Obstacles, removes: bool) -> Option<String> {
        let table = TableName::new("Db", "dbo", "T").unwrap();
        let column = |name: &str| Column::new(name, SqlType::Int, true);
        let spec = TargetSpec {
            evolve: crate::backend::Evolve::Never,
            table: table.clone(),
            scope: crate::model::run::Scope::All,
            target: table,
            columns: vec![column("id"), column("path")],
            key_column: "id".into(),
            key_type: crate::model::key::KeyType::UniqueIdentifier,
            path_column: None,
            displace: false,
            removes,
            repair: false,
        };
        let compatibility = TargetCompatibility::default();
        obstacles.check(&spec, &compatibility).err().map(|error| format!("{error} {:?}", error.place().column))
    }

    #[test]
    fn what_would_keep_rows_out_is_named_and_what_would_not_is_let_be() {
        let needed = |name: &str| Obstacles { needed: vec![name.to_owned()], ..Obstacles::default() };
        assert!(refused(&needed("own"), false).unwrap().contains("own"));
        assert!(refused(&needed("DeltaRunId"), false).is_some(), "it is not written without the others");
        assert_eq!(refused(&needed("PATH"), false), None);
        let identity = |name: &str| Obstacles { identities: vec![name.to_owned()], ..Obstacles::default() };
        assert!(refused(&identity("path"), false).unwrap().contains("IDENTITY"));
        assert_eq!(refused(&identity("own"), false), None);
        let key = |column: &str, end| Obstacles {
            foreign_keys: vec![ForeignKey { name: "FK".into(), other: "O".into(), column: column.into(), end }],
            ..Obstacles::default()
        };
        let parent = |keeps_rows, keeps_values| ForeignKeyEnd::Parent { keeps_rows, keeps_values };
        assert!(refused(&key("path", ForeignKeyEnd::Child), false).is_some());
        assert_eq!(refused(&key("own", ForeignKeyEnd::Child), false), None);
        assert!(refused(&key("id", parent(true, true)), true).is_some());
        assert_eq!(refused(&key("id", parent(true, true)), false), None, "nothing is deleted");
        assert!(refused(&key("path", parent(false, true)), false).is_some());
        assert_eq!(refused(&key("path", parent(false, false)), true), None, "it cascades");
        let trigger = |is_on_delete, is_instead, may_abort| Obstacles {
            triggers: vec![Trigger { name: "TR".into(), is_on_delete, is_instead, may_abort }],
            ..Obstacles::default()
        };
        assert!(refused(&trigger(false, true, false), false).unwrap().contains("TR"));
        assert!(refused(&trigger(false, false, true), false).is_some());
        assert_eq!(refused(&trigger(false, false, false), true), None);
        assert_eq!(refused(&trigger(true, true, true), false), None);
        assert!(refused(&trigger(true, true, false), true).is_some());
    }

    #[test]
    fn words_leave_out_what_says_nothing() {
        let sql = "CREATE -- raise(abort)\nTRIGGER [raise] /* abort; */ ON \"t\" BEGIN SELECT Raise ( Abort , 'roll''back' ); END";
        let due = ["CREATE", "TRIGGER", "ON", "BEGIN", "SELECT", "RAISE", "(", "ABORT", ",", ")", ";", "END"];
        assert_eq!(words(sql), due);
        assert_eq!(words("a /* never ends"), ["A"]);
        assert_eq!(words("ä'ö"), ["Ä"]);
    }
}
