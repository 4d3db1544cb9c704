//! What of a standing table would keep rows of a replay out, asked of the server's catalog.

use super::client::Client;
use super::sql::{Sql, quote};
use super::values::RowFields;
use crate::backend::TargetSpec;
use crate::backend::obstacles::{ForeignKey, ForeignKeyEnd, Obstacles, Trigger, words};
use crate::error::Result;
use crate::scripts::statement::statement;

const SQL: &str = include_str!("../../../sql/sqlserver/obstacles.sql");
const OBSTACLES: &str = statement(SQL, "obstacles");

/// Whether an error of this severity is one for the client (MS-TDS 2.2.7.10: 10 and less inform).
const LEAST_SEVERITY: u32 = 11;

/// What may keep rows out, and the columns that the server fills itself; the target's database is in use.
pub(super) fn ask(client: &mut Client, spec: &TargetSpec) -> Result<(Obstacles, Vec<String>)> {
    let table = format!("{}.{}", quote(&spec.target.schema), quote(&spec.target.table));
    let sql = Sql::new(OBSTACLES).with(table);
    let (mut obstacles, mut generated) = (Obstacles::default(), Vec::new());
    for row in client.unit(|client| client.rows("look for what would keep rows out", sql.clone()))? {
        let fields = RowFields::of(&row);
        let text = |at: usize| Ok::<_, crate::error::Error>(fields.text(at)?.unwrap_or_default().to_owned());
        let name = text(1)?;
        let (a, b) = (fields.must(4, RowFields::number)? != 0, fields.must(5, RowFields::number)? != 0);
        match fields.must(0, RowFields::text)? {
            "generated" => generated.push(name),
            "identity" => obstacles.identities.push(name),
            "needed" => obstacles.needed.push(name),
            "trigger" => obstacles.triggers.push(Trigger {
                name,
                is_on_delete: a,
                is_instead: b,
                may_abort: may_abort(&words(fields.text(6)?.unwrap_or_default())),
            }),
            kind => obstacles.foreign_keys.push(ForeignKey {
                name,
                other: text(2)?,
                column: text(3)?,
                end: if kind == "child" {
                    ForeignKeyEnd::Child
                } else {
                    ForeignKeyEnd::Parent { keeps_rows: a, keeps_values: b }
                },
            }),
        }
    }
    Ok((obstacles, generated))
}

fn may_abort(words: &[String]) -> bool {
    let raises = |nth: usize| {
        // RAISERROR ('text', 10, 1) informs.
        let rest = words.get(nth + 1..).unwrap_or_default();
        let severity = rest.iter().take_while(|word| *word != ")").skip_while(|word| *word != ",").nth(1);
        severity.and_then(|word| word.parse::<u32>().ok()).is_none_or(|severity| severity >= LEAST_SEVERITY)
    };
    words.iter().enumerate().any(|(nth, word)| match word.as_str() {
        "THROW" | "ROLLBACK" => true,
        "RAISERROR" => raises(nth),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_that_only_informs_refuses_nothing() {
        let may = |sql: &str| may_abort(&words(sql));
        assert!(may("BEGIN THROW 51000, 'no', 1 END") && may("IF @x = 1 ROLLBACK TRANSACTION"));
        assert!(may("RAISERROR ('no', 16, 1)") && may("RAISERROR (N'no', @severity, 1)"));
        assert!(
            !may("RAISERROR ('so many', 10, 1) WITH NOWAIT; -- THROW") && !may("INSERT INTO log VALUES ('ROLLBACK')")
        );
    }
}
