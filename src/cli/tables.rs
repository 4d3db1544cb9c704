//! `table add`, `table list`, `table set`, `table refresh`, `table trigger` and `table remove`.

use super::again;
use super::answer::Answer;
use super::doctor::advice_table;
use super::fields;
use super::table::{TextTable, plain};
use super::table_args::{
    TableAddArgs, TableListArgs, TableRefreshArgs, TableRemoveArgs, TableSetArgs, TableTriggerArgs,
};
use super::text::Text;
use crate::backend::{AuditTable, Backend, DeletionSource};
use crate::convert::ColumnPlan;
use crate::error::{Error, Result};
use crate::model::column::delta_columns;
use crate::model::drift;
use crate::model::key::KeyType;
use crate::model::name::TableName;
use crate::model::sqltype::SqlType;
use crate::model::table::TableConfig;
use serde_json::{Value, json};

/// Configures one more table.
///
/// # Errors
/// Usage, for an unknown field or a table that is there; as [`crate::backend::Jobs::save_table`].
pub fn add(args: &TableAddArgs) -> Result<Answer> {
    let metadata = args.metadata.clone().unwrap_or_else(|| args.name.clone());
    let mut config = TableConfig::new(args.name.clone(), metadata);
    fields::set_all(&mut config, &args.settings)?;
    let mut backend = args.instance.open(false)?;
    if backend.tables()?.iter().any(|table| table.name == config.name) {
        return Err(Error::usage("this table is configured already").table(&config.name).hint("use table set"));
    }
    check_names(backend.as_mut(), &config, &args.settings)?;
    backend.save_table(&config)?;
    saved(backend.as_mut(), &config.name, "added")
}

/// Changes a configured table.
///
/// # Errors
/// Usage, for an unknown field; Config, if the table is not there or cannot be so.
pub fn set(args: &TableSetArgs) -> Result<Answer> {
    let mut backend = args.instance.open(false)?;
    let before = backend.table(&args.name)?;
    let mut config = before.clone();
    fields::set_all(&mut config, &args.settings)?;
    check_names(backend.as_mut(), &config, &args.settings)?;
    backend.save_table(&config)?;
    let mut answer = saved(backend.as_mut(), &config.name, "changed")?;
    let was_captured = was_captured(backend.as_mut(), &config.name)?;
    for note in notes_on_change(&before, &config, was_captured) {
        answer.text += &again::connected_text(&format!("\n{note}\n"));
    }
    Ok(answer)
}

/// What a change means for rows that were captured before, or should have been.
fn notes_on_change(before: &TableConfig, now: &TableConfig, was_captured: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let again = format!("`blobdelta run --table {} --from 0001-01-01 --out FOLDER`", now.name.shell_word());
    let units = "Call it also for each business unit that has runs of its own, with --business-unit";
    if before.metadata_business_unit_column != now.metadata_business_unit_column {
        notes.push(format!(
            "the business unit of each row is now read from another column. Rows that are in scope only by the new column are \
             in no later window: {again} copies them. {units}. Receivers of a unit are told that rows left that \
             are not in the unit by the new column; if these are more than half of its rows, the table fails as suspect"
        ));
    }
    if was_captured && !before.key_column.eq_ignore_ascii_case(&now.key_column) {
        notes.push(format!(
            "the bundles of this table until now have the key in {}, and the next ones have it in {}. No replay and no \
             compaction takes both, and none into a table that earlier ones were replayed into: receivers need a new chain. To get one, {}",
            before.key_column,
            now.key_column,
            now.begin_another_chain()
        ));
    }
    if before.metadata_filter.is_some() && before.metadata_filter != now.metadata_filter {
        notes.push(format!(
            "rows that the filter left out until now are in no later window: {again} copies them. {units}"
        ));
    }
    if was_captured && before.deleted_when != now.deleted_when {
        notes.push(format!(
            "rows that count as deleted only by the new DeletedWhen, and were stamped before, are in no later window: \
             `blobdelta reconcile --bundles FOLDER --table {} --pend` finds those that receivers have, and the next run ships their \
             deletion; {again} ships all rows and deletions again. {units}. Rows that no longer count as deleted need a new stamp, \
             because a deletion outranks the row with the same stamp",
            now.name.shell_word()
        ));
    }
    notes
}

/// Rule 24: has the slice of a table follow the columns of its source.
///
/// # Errors
/// As [`crate::backend::Jobs::refresh_slice`].
pub fn refresh(args: &TableRefreshArgs) -> Result<Answer> {
    let mut backend = args.instance.open(false)?;
    let config = backend.table(&args.name)?;
    let wanted = config.slice_columns(&backend.source_columns(&config)?);
    let changes = drift::changes(&backend.slice_columns(&config)?, &wanted);
    if !args.plan {
        backend.refresh_slice(&config)?;
    }
    let text = match (changes.is_empty(), args.plan) {
        (true, _) => format!("the slice {} has the columns of its source\n", config.target),
        (false, false) => format!("the slice {} follows its source: {}\n", config.target, drift::listed(&changes)),
        (false, true) => format!("the slice {} would follow its source: {}\n", config.target, drift::listed(&changes)),
    };
    Ok(Answer::done(Text::from(text), json!({"table": config.name, "schema_changes": changes})))
}

/// Prints what fills the deletion log of a table.
///
/// # Errors
/// As [`crate::backend::Upkeep::deletion_script`].
pub fn trigger(args: &TableTriggerArgs) -> Result<Answer> {
    let mut backend = args.instance.open(false)?;
    let config = backend.table(&args.name)?;
    let from = match (&args.audit, &args.key, &args.deleted_on) {
        (Some(table), Some(key), Some(deleted_on)) => DeletionSource::Audit(AuditTable {
            table: table.clone(),
            key_column: key.clone(),
            deleted_on_column: deleted_on.clone(),
            when: args.when.clone(),
        }),
        _ if args.metadata => DeletionSource::Metadata,
        _ => DeletionSource::Source,
    };
    let script = backend.deletion_script(&config, &from)?;
    Ok(Answer::done(Text::from(format!("{script}\n")), json!({"table": config.name, "script": script})))
}

/// Removes a configured table.
///
/// # Errors
/// As [`crate::backend::Keys::remove_table`].
pub fn remove(args: &TableRemoveArgs) -> Result<Answer> {
    let mut backend = args.instance.open(false)?;
    let target = backend.table(&args.name)?.target;
    backend.remove_table(&args.name, args.force)?;
    let text = format!(
        "removed {}\nits slice table {target} was kept, and so were the records of its runs, bundles and logged deletions\n",
        args.name
    );
    Ok(Answer::done(text, json!({"removed": args.name, "slice_table": target})))
}

/// Whether receivers may have rows of a table.
fn was_captured(backend: &mut dyn Backend, name: &TableName) -> Result<bool> {
    let all = backend.watermarks()?.iter().any(|mark| mark.table == *name && mark.last_high_water.is_some());
    Ok(all || backend.unit_watermarks()?.iter().any(|mark| mark.table == *name))
}

/// That a bundle can name the source's columns beside its own. What else is wrong with them is said where the table is saved.
fn check_names(backend: &mut dyn Backend, config: &TableConfig, settings: &[String]) -> Result<()> {
    let names_columns = settings.iter().any(|setting| setting.to_lowercase().starts_with("excludedcolumns="));
    config.check()?;
    let everything = TableConfig { excluded_columns: Vec::new(), ..config.clone() };
    if let Ok(columns) = backend.source_columns(&everything) {
        let is_there = |name: &String| columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
        if let Some(unknown) =
            names_columns.then(|| config.excluded_columns.iter().find(|name| !is_there(name))).flatten()
        {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            let text = format!("ExcludedColumns names {unknown:?}, and the source has no such column");
            return Err(Error::usage(text)
                .table(&config.name)
                .hint(format!("put a name with a comma into brackets; the source has: {}", names.join(", "))));
        }
    }
    let Ok(mut columns) = backend.source_columns(config) else { return Ok(()) };
    let Some(key) = columns.iter().find(|column| column.name == config.key_column) else { return Ok(()) };
    KeyType::check(key.sql_type, &key.name).map_err(|error| error.table(&config.name))?;
    columns.retain(|column| config.carries(&column.name));
    let key = columns.iter().find(|column| column.name == config.key_column);
    columns.extend(delta_columns(key.map_or(SqlType::UniqueIdentifier, |key| key.sql_type)));
    ColumnPlan::rows(&columns, &config.key_column).map(drop).map_err(|error| {
        error.table(&config.name).hint(
            "bundles use this name for a column of their own: rename the column in the source, or leave it out with ExcludedColumns",
        )
    })
}

/// The table as it is now, and what its data says of it.
fn saved(backend: &mut dyn Backend, name: &TableName, what: &str) -> Result<Answer> {
    let config = backend.table(name)?;
    let mut table = TextTable::new([plain("Field"), plain("Value")]);
    for field in fields::FIELDS {
        table.push([field.name.into(), (field.get)(&config).into()]);
    }
    // Of a table that no run captures, the data may be gone.
    let advice = if config.is_active { backend.look_at_data(&config)? } else { Vec::new() };
    let seen = advice_table(&advice);
    let mut text = Text::from(format!("{what} {}\n", config.name));
    text.table(&table);
    if !seen.is_empty() {
        text += "\n";
        text.table(&seen);
    }
    Ok(Answer::done(text, json!({"table": fields::json(&config), "advice": seen.json()})))
}

/// Shows the configured tables.
///
/// # Errors
/// Config, if a row cannot be understood.
pub fn list(args: &TableListArgs) -> Result<Answer> {
    let configs = args.instance.open(false)?.tables()?;
    let mut table = TextTable::new([
        plain("TableName"),
        plain("IsActive"),
        plain("SafetyBufferMinutes"),
        plain("RequireBundle").if_room(),
        plain("Metadata").if_room(),
        plain("Target").if_room(),
    ]);
    for config in &configs {
        table.push([
            config.name.to_string().into(),
            config.is_active.into(),
            config.safety_buffer_minutes.into(),
            config.require_bundle.into(),
            config.metadata.to_string().into(),
            config.target.to_string().into(),
        ]);
    }
    let mut text = Text::new();
    match table.is_empty() {
        true => text += "no table is configured; add one with table add\n",
        false => text.table(&table),
    }
    let tables: Value = configs.iter().map(fields::json).collect();
    Ok(Answer::shown(text, json!({"tables": tables})))
}
