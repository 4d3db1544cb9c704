//! `table add`, `table list` and `table set`.

use super::answer::Answer;
use super::args::{TableAddArgs, TableListArgs, TableSetArgs};
use super::fields;
use super::table::Table;
use crate::error::{Error, Result};
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
    backend.save_table(&config)?;
    saved(&backend.table(&config.name)?, "added")
}

/// Changes a configured table.
///
/// # Errors
/// Usage, for an unknown field; Config, if the table is not there or cannot be so.
pub fn set(args: &TableSetArgs) -> Result<Answer> {
    let mut backend = args.instance.open(false)?;
    let mut config = backend.table(&args.name)?;
    fields::set_all(&mut config, &args.settings)?;
    backend.save_table(&config)?;
    saved(&backend.table(&config.name)?, "changed")
}

fn saved(config: &TableConfig, what: &str) -> Result<Answer> {
    let mut table = Table::new(&["Field", "Value"]);
    for field in fields::FIELDS {
        table.push([field.name.into(), (field.get)(config)]);
    }
    let text = format!("{what} {}\n{}", config.name, table.text());
    Ok(Answer::done(text, json!({"table": fields::json(config)})))
}

/// Shows the configured tables.
///
/// # Errors
/// Config, if a row cannot be understood.
pub fn list(args: &TableListArgs) -> Result<Answer> {
    let configs = args.instance.open(false)?.tables()?;
    let mut table =
        Table::new(&["TableName", "Target", "Metadata", "SafetyBufferMinutes", "IsActive", "RequireBundle"]);
    for config in &configs {
        table.push([
            config.name.to_string().into(),
            config.target.to_string().into(),
            config.metadata.to_string().into(),
            config.safety_buffer_minutes.into(),
            config.is_active.into(),
            config.require_bundle.into(),
        ]);
    }
    let text = if table.is_empty() { "no table is configured; add one with table add\n".into() } else { table.text() };
    let tables: Value = configs.iter().map(fields::json).collect();
    Ok(Answer::done(text, json!({"tables": tables})))
}
