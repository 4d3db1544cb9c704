//! The arguments, and the help that a database administrator reads.

use super::access::{AccessArgs, FreshArgs};
use super::bundles::{FormArgs, PackingArgs, PartArgs, PlainArgs, ThreadArgs};
use super::chain::ChainArgs;
use super::instance::Instance;
use super::key::KeyCommand;
use super::login::Login;
use super::out::ColorChoice;
use super::pack::PackArgs;
use super::prune::PruneArgs;
use super::receive::ReceiveArgs;
use super::reconcile::ReconcileArgs;
use super::replay::ReplayArgs;
use super::ship::ShipArgs;
use super::shipping::ShippingArgs;
use super::sign::SignArgs;
use super::table_args::TableCommand;
use super::unpack::UnpackArgs;
use super::waiver::{PlaceArgs, WaiverArgs};
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::time::Timestamp;
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Captures what changed in blob tables since the last run, as a slice and as a bundle of
/// Parquet files that can be checked.
#[derive(Debug, Parser)]
#[command(name = "blobdelta", version, about, after_help = EXIT_CODES)]
pub struct Args {
    /// Print one JSON document instead of text
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,

    /// Show all columns of tables, with every digit of their times, however wide they get
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub wide: bool,

    /// Print nothing but errors and warnings, and what a script goes on with, such as the path of a bundle, a line each
    #[arg(long, short, global = true, help_heading = EVERYWHERE, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say on stderr what is done, step by step
    #[arg(long, short, global = true, help_heading = EVERYWHERE)]
    pub verbose: bool,

    /// Colours; `auto` shows them on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,

    /// How progress is written to stderr; `text` shows a bar on a terminal
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// Let your group read the files that are made; else they are for you alone. In a drop folder its
    /// own permissions decide
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub group_readable: bool,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// Heading of the options that every command has.
const EVERYWHERE: &str = "Options of every command";

impl Args {
    /// How much is said on stderr.
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Warnings,
            (false, false) => Verbosity::Usual,
            (false, true) => Verbosity::Everything,
        }
    }
}

/// How much is said while a command works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// What nobody may overlook.
    Warnings,
    /// Beside it, how far the work is.
    Usual,
    /// Each step of it.
    Everything,
}

/// When there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// Where the stream is a terminal that has them, and NO_COLOR is not set
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed; 2 wrong arguments or configuration; 3 verification found something;
4 another run holds the lease; 5 the chain has a gap; 6 some tables failed, the others are done;
7 done, but not shipped. Where several apply: 1, then 4, then 6, then 7.

Start with:  blobdelta demo";

/// How progress is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A progress bar on a terminal, plain lines elsewhere
    Text,
    /// One JSON object a line
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play the whole job on the files of a folder, and compare the outcome with them
    Demo(DemoArgs),
    /// Create or upgrade the job database; safe to repeat
    Deploy(DeployArgs),
    /// Look at a deployment: rights, settings, indexes, clock, scripts; a line each, with what to do
    Doctor(DoctorArgs),
    /// Add, list and change the tables that runs take
    #[command(subcommand)]
    Table(TableCommand),
    /// Leave single rows out of all runs, take that back, or ask for them
    #[command(subcommand)]
    Key(KeyCommand),
    /// Capture what changed: fill the slices and publish their bundle
    Run(RunArgs),
    /// Publish the bundle of a finished run that has none yet
    Pack(PackArgs),
    /// Show runs, watermarks and leases, or one run in detail
    Status(StatusArgs),
    /// Check bundles, down to every row with --deep
    Verify(VerifyArgs),
    /// Show what a bundle holds: windows, tables, columns, rows, bytes
    Inspect(InspectArgs),
    /// Publish a bundle once more as an archive, encrypted if need be
    Archive(ArchiveArgs),
    /// Make an archive a folder again
    Extract(ExtractArgs),
    /// Send bundles to an object store or a drop folder
    Ship(ShipArgs),
    /// Fetch bundles from where they were shipped to
    Receive(ReceiveArgs),
    /// Show what bundles cover: the windows of each chain, gaps, links that do not fit
    Chain(ChainArgs),
    /// Make one bundle of many: the latest version of each row, and all deletions
    Compact(CompactArgs),
    /// Write the values of bundles as files, in the folders of their hierarchy
    Unpack(UnpackArgs),
    /// Apply bundles to a database: the latest version of each row
    Replay(ReplayArgs),
    /// Ask the source whether bundles hold everything that was due
    Reconcile(ReconcileArgs),
    /// Remove old runs from the job database; or old bundles at a destination, where a compacted
    /// one stands for them
    Prune(PruneArgs),
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
A job database knows the server (an embedded one: the folder) that it was deployed on. On another one
every run is refused, until it is said what happened: --moved or --copied.

Examples:
  blobdelta deploy --connection sqlite:./instance --create
  blobdelta deploy --moved --connection sqlite:./moved
  blobdelta deploy --copied --connection sqlite:./copy_for_tests
  blobdelta deploy --adopt s3://acme-deltas/weekly --connection sqlite:./restored")]
pub struct DeployArgs {
    #[command(flatten)]
    pub instance: Instance,
    /// Make the folder of an embedded instance that is not there yet
    #[arg(long)]
    pub create: bool,
    /// The job database moved here, or this is a failover partner: runs are allowed here too, from now
    /// on. To be said once on each
    #[arg(long, conflicts_with = "copied")]
    pub moved: bool,
    /// The job database is a copy, and the original may go on: it becomes a source of its own, forgets
    /// runs, watermarks and bundles, and ships nothing of what the original had still to ship. Its first run is a full load
    #[arg(long)]
    pub copied: bool,
    /// The job database was restored from a backup: go on behind the bundles of its source in this
    /// folder, or at this destination, that it does not know. Every file of them is held against its hash; `verify --deep` looks at their rows. What they took is taken once more
    #[arg(long, value_name = "PLACE", conflicts_with = "copied")]
    pub adopt: Option<PathBuf>,
    /// Of the bundles that are taken over
    #[command(flatten)]
    pub access: AccessArgs,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Nothing is changed. Exit code 2 says that something has to be done before a run.

Example:
  blobdelta doctor --connection sqlite:./instance")]
pub struct DoctorArgs {
    #[command(flatten)]
    pub instance: Instance,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without --run: the latest 50 runs, and the watermark and lease of every table. With --run: the
tables, batches, missing parents and bundles of that run. Columns have the names that they have in
the job database; --wide shows all of them, as --json does. Times that end in Z are UTC; a window's are in
the clock of its table.

Examples:
  blobdelta status --connection sqlite:./instance
  blobdelta status --connection sqlite:./instance --run 6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061")]
pub struct StatusArgs {
    #[command(flatten)]
    pub instance: Instance,
    /// Show this run in detail
    #[arg(long, value_name = "RUNID", value_parser = Guid::parse)]
    pub run: Option<Guid>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
A run packs first what an earlier one left unpacked: into its own --out where that one took the same
tables and units, else where that one was told; and with the signer and recipients that it was told
alone. Where it may not, the table is not taken, and the command that packs it is told. A folder or
destination of one business unit takes no bundle of another, or of all (--shared-place allows it). A table that
fails keeps its watermark and the others go on; what was left is taken by the next run. Without
--table all active tables are taken. A run for one business unit never moves the watermark of the table.

With --ship, what runs of the same tables and units have recorded is shipped when the leases are
released. What cannot be shipped is told and kept (exit code 7), and tried again by the next such run.

Examples:
  blobdelta run --connection sqlite:./instance --out ./bundles
  blobdelta run --connection sqlite:./instance --out ./bundles --ship s3://acme-deltas/weekly
  blobdelta run --connection sqlite:./instance --plan
  blobdelta run --connection sqlite:./instance --table Files.dbo.Attachment --from 2026-01-01 \\
      --out ./bundles")]
pub struct RunArgs {
    #[command(flatten)]
    pub instance: Instance,
    /// Take this configured table alone
    #[arg(long, value_name = "NAME", value_parser = TableName::parse)]
    pub table: Option<TableName>,
    /// Take the rows of this business unit alone
    #[arg(long, value_name = "GUID", value_parser = Guid::parse)]
    pub business_unit: Option<Guid>,
    /// Rows in one transaction, at most; 500 on a server unless told otherwise, 20,000 on an embedded
    /// instance, where about 64 MiB end a batch too
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch_size: Option<u32>,
    /// MAXDOP of the statements that scan, on servers that have it
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub max_dop: u16,
    /// Go on with a run that did not complete; it takes what it was started with
    #[arg(long, value_name = "RUNID", value_parser = Guid::parse,
          conflicts_with_all = ["table", "business_unit", "batch_size", "max_dop", "from"])]
    pub resume: Option<Guid>,
    /// Take leases that this run still holds: it is dead, and nothing else is going to end it. If it is not, it
    /// is kept from writing anything more
    #[arg(long, value_name = "RUNID", value_parser = Guid::parse)]
    pub take_over: Option<Guid>,
    /// Set the start of the windows back to this time of each table's clock, such as 2026-01-31
    /// or 2026-01-31T18:00:00
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    pub from: Option<Timestamp>,
    /// The folder in which the bundle is published
    #[arg(long, value_name = "FOLDER", required_unless_present_any = ["no_bundle", "plan"])]
    pub out: Option<PathBuf>,
    /// Back up the slice databases to this folder of the server (or URL) after packing, with the
    /// lease held, verify the backup, and note it beside the bundle
    #[arg(long, value_name = "SERVERPATH", requires = "out")]
    pub backup_slice: Option<String>,
    /// Fill the slices alone; they are restored by somebody else
    #[arg(long, conflicts_with_all = ["out", "sign_key"])]
    pub no_bundle: bool,
    /// Print windows and numbers of keys, or what a run that is resumed would go on with, and what the run would be
    /// refused for; change nothing. It may be added to any line
    #[arg(long)]
    pub plan: bool,
    #[command(flatten)]
    pub packing: PackingArgs,
    #[command(flatten)]
    pub waiver: WaiverArgs,
    #[command(flatten)]
    pub shipping: ShippingArgs,
    /// How long a lease lives when this program dies; while it lives, it renews its leases
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub lease_minutes: u32,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  blobdelta inspect ./bundles/20261122T180000Z-6f1c2a34-1.bundle")]
pub struct InspectArgs {
    /// The bundle: its folder, or its archive
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    #[command(flatten)]
    pub access: AccessArgs,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Every file is hashed on its way; the archive of a bundle is the same in every byte, wherever it is
made. Plain `tar xf` opens it, and `age --decrypt` what was encrypted.

Examples:
  blobdelta archive ./bundles/20261122T180000Z-6f1c2a34-1.bundle
  blobdelta archive ./bundles/20261122T180000Z-6f1c2a34-1.bundle --out ./outgoing \\
      --encrypt-to age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")]
pub struct ArchiveArgs {
    /// The bundle: its folder, or its archive
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// The folder in which the archive is published; that of the bundle unless given
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Encrypt the archive so that this recipient of age (age1…) can open it; may be repeated
    #[arg(long, value_name = "RECIPIENT")]
    pub encrypt_to: Vec<String>,
    #[command(flatten)]
    pub plain: PlainArgs,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub fresh: FreshArgs,
    #[command(flatten)]
    pub access: AccessArgs,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
The bundles make one chain without a gap, in any order, and may be compacted themselves. Replaying
the one bundle gives what replaying all of them gives. The same bundles give the same bytes.

Example:
  blobdelta compact ./bundles/*.bundle --out ./yearly")]
pub struct CompactArgs {
    /// Bundles: their folders or archives, or a folder that holds bundles
    #[arg(value_name = "BUNDLE", required = true)]
    pub bundles: Vec<PathBuf>,
    /// The folder in which the bundle is published
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Go on where bundles are missing between: the one that is made says so, and whoever replays it is told
    #[arg(long)]
    pub allow_gap: bool,
    #[command(flatten)]
    pub form: FormArgs,
    #[command(flatten)]
    pub plain: PlainArgs,
    #[command(flatten)]
    pub parts: PartArgs,
    #[command(flatten)]
    pub sign: SignArgs,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub fresh: FreshArgs,
    #[command(flatten)]
    pub access: AccessArgs,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  blobdelta extract ./incoming/20261122T180000Z-6f1c2a34-1.bundle.tar.age --identity ./key.txt \\
      --out ./bundles")]
pub struct ExtractArgs {
    /// The archive
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// The folder in which the bundle is published
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub fresh: FreshArgs,
    #[command(flatten)]
    pub access: AccessArgs,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Verification goes from the outside in: names; the signature or root digest, if asked for; sizes and
the exact set of files; the hashes of the tag files; the manifest; all hashes; Parquet footers and row counts; with --deep every row. Nothing
is parsed before its hash was checked. Exit code 3 says that something is wrong. Of several good ones their chains are looked at
too, as chain does: it then ends with 5 where there is a gap, with 3 where a link does not fit.

Examples:
  blobdelta verify ./bundles/20261122T180000Z-6f1c2a34-1.bundle
  blobdelta verify --deep ./bundles/*.bundle
  blobdelta verify --signer ./allowed_signers ./bundles/*.bundle")]
pub struct VerifyArgs {
    /// Bundles: their folders or archives, or a folder that holds bundles
    #[arg(value_name = "BUNDLE", required = true)]
    pub bundles: Vec<PathBuf>,
    /// Check the set of files, their sizes and the manifest alone
    #[arg(long, conflicts_with = "deep")]
    pub quick: bool,
    /// Check every row too: content hashes, window, order, keys, parents
    #[arg(long)]
    pub deep: bool,
    #[command(flatten)]
    pub threads: ThreadArgs,
    #[command(flatten)]
    pub access: AccessArgs,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Nothing of FOLDER is changed. Files that are left: DIR/source and DIR/target, the two instances;
DIR/bundles, the bundles.

Examples:
  blobdelta demo
  blobdelta demo --from /usr/share/doc --dir ./demo
  blobdelta demo --into 'Server=tcp:localhost,1433;User ID=sa;TrustServerCertificate=true'")]
pub struct DemoArgs {
    /// Take the files of this folder; without it, files that come with this program
    #[arg(long, value_name = "FOLDER")]
    pub from: Option<PathBuf>,
    /// Where the demo leaves what it makes; it must not be there yet
    #[arg(long, value_name = "FOLDER", default_value = "blobdelta-demo")]
    pub dir: PathBuf,
    /// Play on this server instead of embedded instances: source, slices and the replayed copy are
    /// databases there, none of which may be there yet. Then it tries what this server has (hierarchyid, FileTables, masks,
    /// open transactions, backups and more), says what was executed and what the server lacks, and drops what it made
    #[arg(long, value_name = "CONNECTION")]
    pub into: Option<String>,
    /// Keep what was made on the server, and the bundles
    #[arg(long, requires = "into")]
    pub keep: bool,
    #[command(flatten)]
    pub login: Login,
    /// Let so many weeks of changes follow the full load, each with a run at its end
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=52))]
    pub weeks: u32,
    /// Generate so many rows instead of reading files
    #[arg(long, value_name = "N", hide = true, conflicts_with = "from")]
    pub rows: Option<u64>,
}
