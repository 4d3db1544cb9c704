//! The arguments of `table add`, `table list`, `table set` and `table remove`.

use super::instance::Instance;
use crate::model::name::TableName;
use clap::Subcommand;

/// What to do with the configured tables.
#[derive(Debug, Subcommand)]
pub enum TableCommand {
    /// Configure one more table, with its watermark row and its slice table
    Add(TableAddArgs),
    /// Show the configured tables
    List(TableListArgs),
    /// Change settings of a configured table
    Set(TableSetArgs),
    /// Have a slice table follow the columns of its source, as the next run would
    Refresh(TableRefreshArgs),
    /// Remove a table from the configuration; runs and bundles stay known, its slice table stays
    Remove(TableRemoveArgs),
}

const SETTINGS_HELP: &str = "\
Settings are columns of BlobDeltaTableConfig, written FIELD=VALUE; an empty value is NULL:
  Source, Target, Metadata      three-part names, Db.schema.Table
  MetadataIdColumn, MetadataModifiedOnCol, MetadataBusinessUnitCol
  BusinessUnit                  three-part name of the table of business units in scope
  BusinessUnitIdColumn
  KeyColumn, PathColumn, ParentPathColumn
                                no ParentPathColumn: a flat table, without a tree
  SafetyBufferMinutes           240 unless set
  InitialBaseline               where the first window starts: a time of the table's clock
  ModifiedOnIsUtc, IsActive, IncludeDeletions, RequireBundle    1 or 0
  AcceptedAbsentPercent         keys of a window that may lack a row before it is suspect; 50
  AcceptedOrphanPercent         children that may lack their parent before the slice is suspect; 50
  AcceptedLeftPercent           rows handed to a unit that may be out of its scope before its run is suspect; 50
  AcceptedStandingPercent       logged deletions whose row may stand before the run is suspect; 50
  ExcludedStreamId              one key that is never captured
  SchemaDrift                   where the source's columns change: Carry (the slice follows, the default) or Refuse
  ExcludedColumns               columns of the source, with commas between, that no slice and no bundle has
  AcceptedHidden                names, with commas between, of what the login does not see and need not: masked
                                columns (Db.schema.Table.Column), tables with filtered rows (Db.schema.Table)";

const TABLE_ADD_EXAMPLE: &str = "\
Example:
  blobdelta table add Files.dbo.Attachment --metadata Meta.dbo.Attachment \\
      MetadataBusinessUnitCol=BusinessUnit BusinessUnit=Files.dbo.Units BusinessUnitIdColumn=Id \\
      --connection sqlite:./instance";

const TABLE_SET_EXAMPLE: &str = "\
Example:
  blobdelta table set Files.dbo.Attachment SafetyBufferMinutes=120 IsActive=1 \\
      --connection sqlite:./instance";

#[derive(clap::Args, Debug)]
#[command(after_help = format!("{SETTINGS_HELP}\n\n{TABLE_ADD_EXAMPLE}"))]
pub struct TableAddArgs {
    #[command(flatten)]
    pub instance: Instance,
    /// The blob table: Db.schema.Table
    #[arg(value_name = "NAME", value_parser = TableName::parse)]
    pub name: TableName,
    /// The table that holds ModifiedOn: Db.schema.Table; the blob table itself if not given
    #[arg(long, value_name = "NAME", value_parser = TableName::parse)]
    pub metadata: Option<TableName>,
    /// Settings that differ from the defaults
    #[arg(value_name = "FIELD=VALUE")]
    pub settings: Vec<String>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  blobdelta table list --connection sqlite:./instance")]
pub struct TableListArgs {
    #[command(flatten)]
    pub instance: Instance,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  blobdelta table refresh Files.dbo.Attachment --connection sqlite:./instance")]
pub struct TableRefreshArgs {
    #[command(flatten)]
    pub instance: Instance,
    /// The configured table
    #[arg(value_name = "NAME", value_parser = TableName::parse)]
    pub name: TableName,
    /// Say what differs, and change nothing
    #[arg(long)]
    pub plan: bool,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  blobdelta table remove Files.dbo.Attachment --connection sqlite:./instance")]
pub struct TableRemoveArgs {
    #[command(flatten)]
    pub instance: Instance,
    /// The configured table
    #[arg(value_name = "NAME", value_parser = TableName::parse)]
    pub name: TableName,
    /// Also while a run holds the table, or where its complete slice is in no bundle
    #[arg(long)]
    pub force: bool,
}

#[derive(clap::Args, Debug)]
#[command(after_help = format!("{SETTINGS_HELP}\n\n{TABLE_SET_EXAMPLE}"))]
pub struct TableSetArgs {
    #[command(flatten)]
    pub instance: Instance,
    /// The configured table
    #[arg(value_name = "NAME", value_parser = TableName::parse)]
    pub name: TableName,
    /// What to change
    #[arg(value_name = "FIELD=VALUE", required = true)]
    pub settings: Vec<String>,
}
