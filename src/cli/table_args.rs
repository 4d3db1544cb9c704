//! The arguments of `table add`, `table list`, `table set`, `table refresh`, `table trigger` and `table remove`.

use super::instance::Instance;
use crate::model::name::TableName;
use clap::Subcommand;

/// What to do with the configured tables.
#[derive(Debug, Subcommand)]
pub enum TableCommand {
    /// Configure a table, and make its watermark row and its slice table
    Add(TableAddArgs),
    /// Show the configured tables
    List(TableListArgs),
    /// Change settings of a configured table
    Set(TableSetArgs),
    /// Change a slice table to the columns of its source, as the next run would do it
    Refresh(TableRefreshArgs),
    /// Print a trigger, or a statement, that logs deletions
    Trigger(TableTriggerArgs),
    /// Remove a table from the configuration; records of its runs and bundles stay, and its slice table stays
    Remove(TableRemoveArgs),
}

const SETTINGS_HELP: &str = "\
Settings are columns of BlobDeltaTableConfig. Write FIELD=VALUE; an empty value is NULL:
  Source, Target, Metadata      names of the blob table, slice table and metadata table: Db.schema.Table
  MetadataIdColumn              column of the metadata table that has the key
  MetadataModifiedOnCol         column of the metadata table that has the stamp
  MetadataCreatedOnCol          column of the metadata table that has the stamp of rows whose ModifiedOn is NULL
  MetadataBusinessUnitCol       column of the metadata table that has the business unit
  MetadataFilter                a column of the metadata table, and values: COLUMN=VALUE[,VALUE…], or
                                COLUMN IS NOT NULL; other rows are left out
  DeletedWhen                   a column of the metadata table, and values: COLUMN=VALUE[,VALUE…], or COLUMN IS NOT NULL; rows
                                that have them count as deleted
  BusinessUnit                  table of the business units that are in scope: Db.schema.Table
  BusinessUnitIdColumn          column of that table that has the unit
  KeyColumn                     column of the blob table that has the key
  PathColumn, ParentPathColumn  columns of the blob table that have the paths; a flat table has no ParentPathColumn
                                In a tree by keys: the key column, and the column of the parent's key
  SafetyBufferMinutes           the default is 240
  InitialBaseline               start of the first window, in the clock of the table
  MaxWindow                     the most that one window takes, such as \"30 days\" or \"1000000 rows\"; a run then takes what there
                                is in several windows, each with a slice and a bundle of its own
  ModifiedOnIsUtc               1: ModifiedOn is in UTC; 0: in local time of the server
  IsActive                      1: runs without --table capture it; 0: they do not
  IncludeDeletions              1: ship logged deletions; 0: do not
  OmitKnownContent              1: bundles leave out content that earlier bundles of the chain have for the same key; 0 (the
                                default): every bundle has all content of its rows
  RequireBundle                 1: a slice may be emptied only after it was packed; 0: also before
  AcceptedAbsentPercent         accepted percentage of a window's keys without a row; above it, the table fails as suspect; 50
  AcceptedOrphanPercent         accepted percentage of children without a parent; above it, the table fails as suspect; 50
  AcceptedLeftPercent           accepted percentage of shipped rows that left the scope; above it, the table fails as suspect; 50
  AcceptedStandingPercent       accepted percentage of logged deletions whose rows exist; above it, the table fails as suspect; 50
  ExcludedStreamId              a key that is never captured
  SchemaDrift                   if the source's columns change: Carry (change the slice too; the default) or Refuse (fail)
  ExcludedColumns               columns of the source that no slice and no bundle has, separated by commas
  MetadataColumns               columns of the metadata table that come along as Meta_<name>, separated by commas
  AcceptedHidden                masked columns (Db.schema.Table.Column) and tables with filtered rows (Db.schema.Table)
                                that the login need not see, separated by commas";

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
    /// The blob table: Db.schema.Table; or any other name for it, with Source=Db.schema.Table among the settings
    #[arg(value_name = "NAME", value_parser = TableName::parse)]
    pub name: TableName,
    /// The metadata table, which has ModifiedOn: Db.schema.Table; without it, the blob table itself
    #[arg(long, value_name = "NAME", value_parser = TableName::parse)]
    pub metadata: Option<TableName>,
    /// Settings that differ from the defaults; see below
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
    /// Print what differs, and change nothing
    #[arg(long)]
    pub plan: bool,
}

const TABLE_TRIGGER_HELP: &str = "\
The script is for the administrator of the tables. It fills the deletion log (BlobDeltaDeletionLog). It is only
printed; nothing is changed. TRUNCATE TABLE fires no trigger. An embedded instance has no triggers that reach the job
database, only --audit. Systems that set a flag and delete nothing need no trigger: see DeletedWhen of `table set`.

Examples:
  blobdelta table trigger Files.dbo.Attachment --connection \"$BLOBDELTA_CONNECTION\"
  blobdelta table trigger Files.dbo.Attachment --audit Files.dbo.Audit --key RowId --deleted-on At --when Action=D";

#[derive(clap::Args, Debug)]
#[command(after_help = TABLE_TRIGGER_HELP)]
pub struct TableTriggerArgs {
    #[command(flatten)]
    pub instance: Instance,
    /// The configured table
    #[arg(value_name = "NAME", value_parser = TableName::parse)]
    pub name: TableName,
    /// Print a trigger on the metadata table; without this, on the blob table
    #[arg(long, conflicts_with = "audit")]
    pub metadata: bool,
    /// Print a statement that logs the deletions that this table has recorded: Db.schema.Table
    #[arg(long, value_name = "TABLE", value_parser = TableName::parse, requires = "key", requires = "deleted_on")]
    pub audit: Option<TableName>,
    /// The column of that table that has the key of the deleted row
    #[arg(long, value_name = "COLUMN", requires = "audit")]
    pub key: Option<String>,
    /// The column of that table that has the time of the deletion
    #[arg(long, value_name = "COLUMN", requires = "audit")]
    pub deleted_on: Option<String>,
    /// Which rows of that table record a deletion: COLUMN=VALUE[,VALUE…], or COLUMN IS NOT NULL
    #[arg(long, value_name = "CONDITION", requires = "audit")]
    pub when: Option<String>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  blobdelta table remove Files.dbo.Attachment --connection sqlite:./instance")]
pub struct TableRemoveArgs {
    #[command(flatten)]
    pub instance: Instance,
    /// The configured table
    #[arg(value_name = "NAME", value_parser = TableName::parse)]
    pub name: TableName,
    /// Remove it even if a run holds its lease, or if its complete slice is in no bundle
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
    /// The settings to change; see below
    #[arg(value_name = "FIELD=VALUE", required = true)]
    pub settings: Vec<String>,
}
