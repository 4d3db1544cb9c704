//! `key exclude`, `key include`, `key pend` and `key list`: single rows, spoken of by their key.

use super::answer::Answer;
use super::args::Instance;
use super::json::utc;
use super::table::Table;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::name::TableName;
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
    /// Have the next run of every scope take a row once more
    Pend(ReasonArgs),
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
pub struct KeyArgs {
    #[command(flatten)]
    instance: Instance,
    /// The configured table
    #[arg(value_name = "NAME", value_parser = TableName::parse)]
    table: TableName,
    /// The row's key
    #[arg(value_name = "KEY", value_parser = Guid::parse)]
    key: Guid,
}

#[derive(clap::Args, Debug)]
pub struct ListArgs {
    #[command(flatten)]
    instance: Instance,
    /// The configured table
    #[arg(value_name = "NAME", value_parser = TableName::parse)]
    table: TableName,
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
            instance.open(false)?.exclude_key(table, *key, reason)?;
            Ok(said(table, *key, "Excluded", "no run takes this row from now on"))
        }
        KeyCommand::Include(KeyArgs { instance, table, key }) => {
            let mut backend = instance.open(false)?;
            if backend.table(table)?.excluded_stream_id == Some(*key) {
                return Err(Error::usage("this key is excluded by the table's configuration").key(key).hint(format!(
                    "take it back with `blobdelta table set {} ExcludedStreamId=`, then `blobdelta key pend`",
                    table.shell_word()
                )));
            }
            if !backend.include_key(table, *key)? {
                return Err(Error::usage("this key was not excluded; the next run of every scope takes it once more")
                    .table(table)
                    .key(key));
            }
            Ok(said(table, *key, "Included", "the next run of every scope takes this row"))
        }
        KeyCommand::Pend(args) => {
            let ReasonArgs { key: KeyArgs { instance, table, key }, reason } = args;
            instance.open(false)?.pend_key(table, *key, None, reason)?;
            Ok(said(table, *key, "Pending", "the next run of every scope takes this row"))
        }
        KeyCommand::List(args) => list(args),
    }
}

fn said(table: &TableName, key: Guid, state: &str, what: &str) -> Answer {
    let json = json!({"table": table, "key": key, "state": state});
    Answer::done(format!("{table}  {key}: {what}\n"), json)
}

fn list(args: &ListArgs) -> Result<Answer> {
    let mut table = Table::new(&["Key", "State", "Reason", "CreatedAt"]);
    for one in args.instance.open(false)?.named_keys(&args.table, args.limit)? {
        table.push([one.key.to_string().into(), one.state.as_str().into(), one.reason.into(), utc(one.created_at)]);
    }
    let text = if table.is_empty() { "no key of this table is excluded or asked for\n".into() } else { table.text() };
    Ok(Answer::done(text, json!({"table": args.table, "keys": table.json()})))
}
