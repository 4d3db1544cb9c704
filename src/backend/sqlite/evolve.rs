//! Rule 24: a target's columns follow those of the bundles.

use super::database::Database;
use super::errors::failed;
use super::sql::quote;
use super::types;
use crate::backend::TargetSpec;
use crate::error::{Error, Result};
use crate::model::column::Column;
use crate::model::sqltype::SqlType;

/// What adds a column, for whoever does it by hand; SQLite widens none.
pub(super) fn statement(spec: &TargetSpec, (column, there): &(Column, Option<SqlType>)) -> Option<String> {
    let table = quote(&spec.target.table);
    there.is_none().then(|| format!("ALTER TABLE {table} ADD COLUMN {}", declaration(column)))
}

/// Whether a value of the narrower type is stored as one of the wider: as an integer, a text, or bytes.
fn is_kept_alike(wide: SqlType, narrow: SqlType) -> bool {
    use SqlType as T;
    let is_plain = matches!(
        wide,
        T::TinyInt | T::SmallInt | T::Int | T::BigInt | T::VarChar(_) | T::NVarChar(_) | T::VarBinary(_)
    );
    wide.takes(narrow) || (is_plain && wide.promotes(narrow))
}

fn declaration(column: &Column) -> String {
    format!("{} {} NULL", quote(&column.name), quote(&types::declared(column.sql_type)))
}

/// Adds and widens the columns. Within a transaction.
pub(super) fn evolve(db: &Database, spec: &TargetSpec, lacks: &[(Column, Option<SqlType>)]) -> Result<()> {
    let table = db.quoted(&spec.target);
    for (column, there) in lacks {
        match there {
            None => db.execute(&format!("ALTER TABLE {table} ADD COLUMN {}", declaration(column)), []).map(drop),
            Some(there) if is_kept_alike(column.sql_type, *there) => widen(db, spec, column),
            Some(there) => Err(Error::config(format!(
                "the target's column is {there}, {} comes, and SQLite would keep its values otherwise",
                column.sql_type
            ))
            .hint("replay the whole chain into another database")),
        }
        .map_err(|error| error.table(&spec.target).column(&column.name))?;
    }
    Ok(())
}

/// Gives a column another declared type. No value is stored otherwise under it, so that the text of the schema is all that
/// changes, as SQLite has it for such changes (<https://www.sqlite.org/lang_altertable.html#otheralter>).
fn widen(db: &Database, spec: &TargetSpec, column: &Column) -> Result<()> {
    let (schema, name) = (db.schema_of(&spec.target.db), &spec.target.table);
    let find = format!("SELECT sql FROM {schema}.sqlite_master WHERE type = 'table' AND lower(name) = lower(?1)");
    let made: String = db.query_one(&find, [name])?;
    let of = (name, db.schema_name(&spec.target.db), &column.name);
    let declared: String =
        db.query_one("SELECT type FROM pragma_table_xinfo(?1, ?2) WHERE lower(name) = lower(?3)", of)?;
    let wide = types::declared(column.sql_type);
    let Some(remade) = redeclared(&made, &column.name, (&declared, &wide)) else {
        return Err(Error::config("the target's column is too narrow, and its declaration is not understood")
            .hint("replay into another database, or make the table again with a wider column"));
    };
    let version: i64 = db.query_one(&format!("PRAGMA {schema}.schema_version"), [])?;
    let update = format!("UPDATE {schema}.sqlite_master SET sql = ?1 WHERE type = 'table' AND lower(name) = lower(?2)");
    db.execute_batch("PRAGMA writable_schema = ON").map_err(|error| failed("widen a column", error))?;
    let widened = db.execute(&update, (remade, name));
    let renewed = db.execute_batch(&format!("PRAGMA {schema}.schema_version = {}", version + 1));
    db.execute_batch("PRAGMA writable_schema = OFF").map_err(|error| failed("widen a column", error))?;
    renewed.map_err(|error| failed("widen a column", error))?;
    widened?;
    // What SQLite makes of the text now; where it is not that, everything is taken back.
    let found: Option<String> =
        db.query_optional("SELECT type FROM pragma_table_xinfo(?1, ?2) WHERE lower(name) = lower(?3)", of, |row| {
            row.get(0)
        })?;
    match found {
        Some(found) if found == wide => Ok(()),
        _ => Err(Error::internal("the column was not widened, and nothing was changed")),
    }
}

/// A table's statement in which the one declaration of a column is another one; `None` where it is not found just once,
/// as a whole.
fn redeclared(made: &str, column: &str, (declared, wide): (&str, &str)) -> Option<String> {
    let is_of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let plain = column.chars().all(is_of_name).then(|| column.to_owned());
    let names = [quote(column), format!("[{column}]")].into_iter().chain(plain);
    let mut spelled = names.flat_map(|name| [format!("{name} {}", quote(declared)), format!("{name} {declared}")]);
    let place = spelled.find_map(|text| {
        let mut found = made.match_indices(text.as_str()).filter(|(at, text)| {
            let (before, after) = (&made[..*at], &made[at + text.len()..]);
            !before.ends_with(is_of_name) && !after.starts_with(is_of_name)
        });
        let at = found.next().filter(|_| found.next().is_none())?.0;
        Some(at..at + text.len())
    })?;
    Some(format!("{}{} {}{}", &made[..place.start], quote(column), quote(wide), &made[place.end..]))
}

#[cfg(test)]
mod tests {
    use super::redeclared;

    #[test]
    fn one_declaration_is_changed_as_a_whole_or_none() {
        let of = |made: &str| redeclared(made, "a", ("int", "bigint"));
        assert_eq!(of("t (a int, data integer)").as_deref(), Some(r#"t ("a" "bigint", data integer)"#));
        assert_eq!(of(r#"t (data int, "a" "int" NULL)"#).as_deref(), Some(r#"t (data int, "a" "bigint" NULL)"#));
        assert_eq!(of("t (a  int, data int)"), None, "another column is not touched");
        assert_eq!(of("t (a int, b text DEFAULT ' a int ')"), None, "which of them it is cannot be told");
    }
}
