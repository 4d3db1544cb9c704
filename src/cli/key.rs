//! `key exclude`, `key include`, `key pend` and `key list`: single rows, spoken of by their key.

use super::answer::Answer;
use super::instance::Instance;
use super::json::utc;
use super::table::{TextTable, ago, plain, prose};
use super::text::Text;
use crate::backend::{Backend, KeyRequest};
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::key::{KeyType, ShownKey};
use crate::model::name::TableName;
use crate::model::run::Scope;
use clap::Subcommand;
use serde_json::json;

/// Keys that are listed unless told otherwise.
const DEFAULT_LIMIT: u32 = 1000;

/// What to say of a key.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Leave a row out of every run from now on, also where a run that failed of it is resumed
    Exclude(ReasonArgs),
    /// Take an exclusion back: the next run of every scope takes the row
    Include(KeyArgs),
    /// Have the next run of every scope, or of one business unit, take a row once more
    Pend(PendArgs),
    /// Show the keys of a table that are excluded or asked for
    List(ListArgs),
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  blobdelta key exclude Files.dbo.Attachment 6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061 \\
      --reason 'its name is longer than its column, ticket 4711'")]
pub struct ReasonArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// Why, for those who find it later
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  blobdelta key pend Files.dbo.Attachment 6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061 \\
      --business-unit 0b1d6f0e-7c1a-4d8e-9f2b-3a4c5d6e7f80 --reason 'their copy is damaged'")]
pub struct PendArgs {
    #[command(flatten)]
    named: ReasonArgs,
    /// Ask the runs of this business unit alone
    #[arg(long, value_name = "GUID", value_parser = Guid::parse)]
    business_unit: Option<Guid>,
    /// Have runs over all business units take the row, content and all, even if no metadata names it: such a row is of no unit. It
    /// has no stamp then, so that receivers keep a stamped version that they have
    #[arg(long, conflicts_with = "business_unit")]
    without_metadata: bool,
}

#[derive(clap::Args, Debug)]
pub struct KeyArgs {
    #[command(flatten)]
    instance: Instance,
    /// The configured table
    #[arg(value_name = "NAME", value_parser = TableName::parse)]
    table: TableName,
    /// The row's key, as the source has it
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    key: String,
}

#[derive(clap::Args, Debug)]
pub struct ListArgs {
    #[command(flatten)]
    instance: Instance,
    /// The configured table
    #[arg(value_name = "NAME", value_parser = TableName::parse)]
    table: TableName,
    /// Show what waits for the runs of this business unit, and what is said of every scope
    #[arg(long, value_name = "GUID", value_parser = Guid::parse)]
    business_unit: Option<Guid>,
    /// Show so many at most
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT)]
    limit: u32,
}

/// Carries one of them out.
///
/// # Errors
/// Config, if the table is not configured; Usage, if the key was not excluded.
pub fn run(command: &KeyCommand) -> Result<Answer> {
    match command {
        KeyCommand::Exclude(args) => {
            let ReasonArgs { key: KeyArgs { instance, table, key }, reason } = args;
            let mut backend = instance.open(false)?;
            let key = possible_key_of(backend.as_mut(), table, key)?;
            backend.exclude_key(table, key.id(), reason)?;
            Ok(said(table, key, "Excluded", "no run takes this row from now on"))
        }
        KeyCommand::Include(KeyArgs { instance, table, key }) => {
            let mut backend = instance.open(false)?;
            let key = key_of(backend.as_mut(), table, key)?;
            if backend.table(table)?.excluded_stream_id == Some(key.id()) {
                return Err(Error::usage("this key is excluded by the table's configuration").key(key).hint(format!(
                    "take it back with `blobdelta table set {} ExcludedStreamId=`, then `blobdelta key pend`",
                    table.shell_word()
                )));
            }
            if !backend.include_key(table, key.id())? {
                return Err(Error::usage("this key is not excluded; nothing was changed")
                    .table(table)
                    .key(key)
                    .hint("to have the next runs take the row once more, use `blobdelta key pend` with --reason"));
            }
            Ok(said(table, key, "Included", "the next run of every scope takes this row where it is in that scope"))
        }
        KeyCommand::Pend(args) => {
            let ReasonArgs { key: KeyArgs { instance, table, key }, reason } = &args.named;
            let mut backend = instance.open(false)?;
            let key = possible_key_of(backend.as_mut(), table, key)?;
            let scope = args.business_unit.map(Scope::BusinessUnit);
            scope.map_or(Ok(()), |scope| check_units(backend.as_mut(), table, scope))?;
            let config = backend.table(table)?;
            if let Some(unit) = args.business_unit
                && !backend.has_unit(&[config], unit)?
            {
                return Err(Error::usage(format!("no table of business units has {unit}, so no run is one of it"))
                    .table(table)
                    .key(key)
                    .hint("name a unit that is in the table's BusinessUnit table, or leave --business-unit out"));
            }
            let without_metadata = args.without_metadata;
            backend.pend_key(table, key.id(), &KeyRequest { scope, reason, without_metadata })?;
            let what = args.business_unit.map_or_else(
                || {
                    let waits = if without_metadata {
                        "one over all business units takes it even if no metadata names it; as long as its blob is not there, it \
                         waits, and for the runs of a business unit as long as its metadata is not"
                    } else {
                        "as long as its metadata or its blob is not there, it waits"
                    };
                    format!("the next run of every scope takes this row where it is in that scope; {waits}")
                },
                |unit| {
                    format!(
                        "the next run of business unit {unit} takes this row if it is one of that unit, or lies above one; as long as its \
                         metadata or its blob is not there, it waits"
                    )
                },
            );
            let mut answer = said(table, key, "Pending", &what);
            answer.json["scope"] = scope.map(|scope| scope.to_string()).into();
            answer.json["without_metadata"] = without_metadata.into();
            Ok(answer)
        }
        KeyCommand::List(args) => list(args),
    }
}

/// A key as somebody typed it.
fn key_of(backend: &mut dyn Backend, table: &TableName, key: &str) -> Result<ShownKey> {
    let key_type = backend.table(table)?.key_type;
    Ok(key_type.shown(key_type.parse(key).map_err(|error| error.table(table))?))
}

/// The same of one that a row can have: any other would wait for ever.
fn possible_key_of(backend: &mut dyn Backend, table: &TableName, key: &str) -> Result<ShownKey> {
    let key = key_of(backend, table, key)?;
    let config = backend.table(table)?;
    let columns = backend.source_columns(&config)?;
    let column = columns.iter().find(|column| column.name.eq_ignore_ascii_case(&config.key_column));
    let Some(column) = column.filter(|column| !config.key_type.fits(key.id(), column.sql_type)) else { return Ok(key) };
    let (least, most) = KeyType::least_and_most(column.sql_type).unwrap_or((i64::MIN, i64::MAX));
    Err(Error::usage(format!("the key column is {}, and no row of it has this key", column.sql_type))
        .table(table)
        .column(&column.name)
        .key(key)
        .hint(format!("keys are from {least} to {most}")))
}

fn said(table: &TableName, key: ShownKey, state: &str, what: &str) -> Answer {
    let json = json!({"table": table, "key": key.to_string(), "state": state});
    Answer::done(format!("{table}  {key}: {what}\n"), json)
}

/// Rows of a table without units are in no unit's scope.
fn check_units(backend: &mut dyn Backend, table: &TableName, scope: Scope) -> Result<()> {
    match backend.table(table)?.has_scope(scope) {
        true => Ok(()),
        false => Err(Error::usage("this table has no business units, so no run of one takes rows of it")
            .table(table)
            .hint("leave --business-unit out")),
    }
}

/// A scope that is empty is every scope.
fn list(args: &ListArgs) -> Result<Answer> {
    let mut table = TextTable::new([plain("Key"), plain("State"), ago("CreatedAt"), prose("Scope"), prose("Reason")]);
    let mut backend = args.instance.open(false)?;
    let wanted = args.business_unit.map(Scope::BusinessUnit);
    wanted.map_or(Ok(()), |scope| check_units(backend.as_mut(), &args.table, scope))?;
    let key_type = backend.table(&args.table)?.key_type;
    for one in backend.named_keys(&args.table, wanted, args.limit)? {
        let scope = one.scope.map(|scope| scope.to_string());
        table.push([
            key_type.shown(one.key).to_string().into(),
            one.state.as_str().into(),
            utc(one.created_at).into(),
            scope.into(),
            one.reason.into(),
        ]);
    }
    let mut text = Text::new();
    match table.is_empty() {
        true => text += "no key of this table is excluded or asked for\n",
        false => text.table(&table),
    }
    Ok(Answer::shown(text, json!({"table": args.table, "keys": table.json()})))
}
