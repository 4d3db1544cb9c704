//! The arguments, and the help that a database administrator reads.

use super::access::{AccessArgs, FreshArgs};
use super::bundles::{FormArgs, PartArgs, PlainArgs, ThreadArgs};
use super::chain::ChainArgs;
use super::config::ConfigCommand;
use super::erase::EraseArgs;
use super::instance::Instance;
use super::key::KeyCommand;
use super::login::Login;
use super::mask::MaskArgs;
use super::out::ColorChoice;
use super::pack::PackArgs;
use super::prune::PruneArgs;
use super::receive::ReceiveArgs;
use super::reconcile::ReconcileArgs;
use super::replay::ReplayArgs;
use super::report_args::ReportArgs;
use super::run_args::RunArgs;
use super::ship::ShipArgs;
use super::sign::SignArgs;
use super::table_args::TableCommand;
use super::unpack::UnpackArgs;
use super::version::version;
use super::waiver::PlaceArgs;
use crate::model::id::Guid;
use clap::{Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Copies the rows of blob tables that changed since the last run, and publishes them as a slice and as a
/// bundle of Parquet files with checksums.
#[derive(Debug, Parser)]
#[command(name = "blobdelta", version = version(), about, after_help = EXIT_CODES)]
pub struct Args {
    /// Print one JSON document instead of text
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,

    /// Show all columns of tables, and all digits of times, even if lines get wider than the terminal
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub wide: bool,

    /// Print only errors, warnings, and results that a script needs, such as the path of a bundle, one a line
    #[arg(long, short, global = true, help_heading = EVERYWHERE, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print each step to stderr
    #[arg(long, short, global = true, help_heading = EVERYWHERE)]
    pub verbose: bool,

    /// When to print colours
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,

    /// How to print progress to stderr
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// Let your group read the files that the command makes; without it, only you can read them. In a drop
    /// folder, the permissions of the folder decide
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub group_readable: bool,

    /// Read the configuration from this file, or with an empty name from none. Without this option: from
    /// ~/.config/blobdelta/blobdelta.toml, or else from /etc/blobdelta/blobdelta.toml
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "BLOBDELTA_CONFIG", value_name = "FILE")]
    pub config: Option<OsString>,

    /// Use this profile of the configuration file
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "BLOBDELTA_PROFILE", value_name = "NAME")]
    pub profile: Option<String>,

    /// Do without this setting of the profile; may be repeated
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "SETTING")]
    pub without: Vec<String>,

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
    /// On a terminal that has colours, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
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
Exit codes: 0 done; 1 failed; 2 wrong arguments or configuration; 3 verification found an error;
4 another run holds the lease; 5 the chain has a gap; 6 some tables failed, the others are done;
7 done, but not shipped. If several apply, the exit code is the first of 1, 4, 6, 7.

Start with:  blobdelta demo";

/// How progress is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A progress bar on a terminal, plain lines elsewhere
    Text,
    /// One JSON object per line
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try everything on the files of a folder: run, verify, replay, and compare source and copy
    Demo(DemoArgs),
    /// Create or upgrade the job database; safe to repeat
    Deploy(DeployArgs),
    /// Check a deployment: rights, settings, indexes, clock, scripts; say what to do about each problem
    Doctor(DoctorArgs),
    /// Add, list, change and remove the tables that runs capture
    #[command(subcommand)]
    Table(TableCommand),
    /// Exclude single rows from all runs, include them again, or ask for them once more
    #[command(subcommand)]
    Key(KeyCommand),
    /// Copy the rows that changed into the slices, and publish them as a bundle
    Run(RunArgs),
    /// Publish the bundle of a finished run that has none yet, or give its slices up
    Pack(PackArgs),
    /// Show runs, watermarks and leases, or one run in detail
    Status(StatusArgs),
    /// Check bundles, down to every row with --deep
    Verify(VerifyArgs),
    /// Show the contents of a bundle: windows, tables, columns, rows, bytes
    Inspect(InspectArgs),
    /// Make an archive of a bundle: one file, encrypted if you want
    Archive(ArchiveArgs),
    /// Make a folder from the archive of a bundle
    Extract(ExtractArgs),
    /// Send bundles to an object store or a drop folder
    Ship(ShipArgs),
    /// Fetch bundles from an object store or a drop folder
    Receive(ReceiveArgs),
    /// Show which time the bundles cover: the windows of each chain, gaps, broken links
    Chain(ChainArgs),
    /// Write a page that shows how things stand: chains, gaps, weeks, runs, what is pending
    Report(ReportArgs),
    /// Combine bundles into one: the latest version of each row, and all deletions
    Compact(CompactArgs),
    /// Make masked bundles: of the same shape, without anything of the columns that a policy masks
    Mask(MaskArgs),
    /// Write the values of bundles as files, in folders as in the hierarchy
    Unpack(UnpackArgs),
    /// Say whether values of rows are left in bundles, and what to do until none is
    Erase(EraseArgs),
    /// Apply bundles to a database, which then has the latest version of each row
    Replay(ReplayArgs),
    /// Compare source and bundles: was a change missed?
    Reconcile(ReconcileArgs),
    /// Remove old runs from the job database, or bundles at a destination that a compacted one replaces
    Prune(PruneArgs),
    /// Show the configuration, with where each setting comes from
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
A job database records the server that it was deployed on (an embedded one: the folder). On another
server every run is refused until you say what happened, with --moved or --copied.

Examples:
  blobdelta deploy --connection sqlite:./instance --create
  blobdelta deploy --moved --connection sqlite:./moved
  blobdelta deploy --copied --connection sqlite:./copy_for_tests
  blobdelta deploy --adopt s3://acme-deltas/weekly --connection sqlite:./restored")]
pub struct DeployArgs {
    #[command(flatten)]
    pub instance: Instance,
    /// Make the folder of a new embedded instance
    #[arg(long)]
    pub create: bool,
    /// The job database moved here, or this server is a failover partner: allow runs here too. Say it once
    /// on each server
    #[arg(long, conflicts_with = "copied")]
    pub moved: bool,
    /// The job database is a copy, and the original may still be in use. The copy gets a new source id, and forgets
    /// runs, watermarks, bundles and pending shipments. Its first run is a full load
    #[arg(long)]
    pub copied: bool,
    /// The job database was restored from a backup. Record the bundles of its source in this folder, or at this
    /// destination, that it does not know, and continue their chains. Every row of these bundles is verified first. The
    /// next run copies their windows again
    #[arg(long, value_name = "PLACE", conflicts_with = "copied")]
    pub adopt: Option<PathBuf>,
    /// How the bundles to record are opened
    #[command(flatten)]
    pub access: AccessArgs,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Nothing is changed. Exit code 2 means that you have to correct something before a run.

Example:
  blobdelta doctor --connection sqlite:./instance")]
pub struct DoctorArgs {
    #[command(flatten)]
    pub instance: Instance,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without --run: the latest 50 runs, the watermark and lease of every table, and slices and bundles that
have still to be packed or shipped. With --run: the tables, batches, missing parents and bundles of
that run. Columns have the names that they have in the job database; --wide and --json show all of
them. Times that end in Z are UTC. The times of a window are in the clock of its table.

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
#[command(after_help = "Example:\n  blobdelta inspect ./bundles/20261122T180000Z-6f1c2a34-1.bundle")]
pub struct InspectArgs {
    /// The folder or archive of a bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    #[command(flatten)]
    pub access: AccessArgs,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Every file is checked against its hash while it is copied. The archive of a bundle has the same bytes
wherever it is made. Plain `tar xf` unpacks it. `age --decrypt` decrypts an encrypted one.

Examples:
  blobdelta archive ./bundles/20261122T180000Z-6f1c2a34-1.bundle
  blobdelta archive ./bundles/20261122T180000Z-6f1c2a34-1.bundle --out ./outgoing \\
      --encrypt-to age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")]
pub struct ArchiveArgs {
    /// The folder or archive of a bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Publish the archive in this folder; without it, beside the bundle
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Encrypt the archive with age for this recipient (age1…); may be repeated
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
For each table and scope, the bundles have to be one chain without a gap. Name them in any order; they
may be compacted themselves. Replaying the new bundle has the same result as replaying all of them.
Compacting the same bundles again gives the same bytes.

Example:
  blobdelta compact ./bundles/*.bundle --out ./yearly")]
pub struct CompactArgs {
    /// Folders or archives of bundles, or a folder that holds bundles
    #[arg(value_name = "BUNDLE", required = true)]
    pub bundles: Vec<PathBuf>,
    /// Publish the bundle in this folder, which has to exist
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Continue although bundles are missing in between. The new bundle records this, and whoever replays it is warned
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
    /// The archive of a bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Publish the bundle in this folder, which has to exist
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
Checks, in this order: names of files; the signature or root digest, if asked for; sizes, and that no
file is missing or was added; hashes of the tag files; the manifest; all hashes; Parquet footers and
row counts; with --deep, every row. Nothing is parsed before its hash was checked.

Exit code 3 means that something is wrong. If you name several bundles and all are good, their chains
are checked too, as `chain` does it: exit code 5 then means a gap, and 3 a broken link.

Examples:
  blobdelta verify ./bundles/20261122T180000Z-6f1c2a34-1.bundle
  blobdelta verify --deep ./bundles/*.bundle
  blobdelta verify --signer ./allowed_signers ./bundles/*.bundle")]
pub struct VerifyArgs {
    /// Folders or archives of bundles, or a folder that holds bundles
    #[arg(value_name = "BUNDLE", required = true)]
    pub bundles: Vec<PathBuf>,
    /// Check only the set of files, their sizes and the manifest
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
The files of --from are not changed. The demo leaves in the folder of --dir: source and target, the two
instances; and bundles, the folder of the bundles.

Examples:
  blobdelta demo
  blobdelta demo --from /usr/share/doc --dir ./demo
  blobdelta demo --into 'Server=tcp:localhost,1433;User ID=sa;TrustServerCertificate=true'")]
pub struct DemoArgs {
    /// Use the files of this folder; without it, example files that come with this program
    #[arg(long, value_name = "FOLDER")]
    pub from: Option<PathBuf>,
    /// Write everything that the demo makes into this new folder
    #[arg(long, value_name = "FOLDER", default_value = "blobdelta-demo")]
    pub dir: PathBuf,
    /// Use this server instead of embedded instances: source, slices and the replayed copy are new databases there.
    /// Then try the features of this server (hierarchyid, FileTables, masks, open transactions, backups and more), print
    /// what was executed and what the server lacks, and drop the databases
    #[arg(long, value_name = "CONNECTION")]
    pub into: Option<String>,
    /// Keep the databases on the server, and the bundles
    #[arg(long, requires = "into")]
    pub keep: bool,
    #[command(flatten)]
    pub login: Login,
    /// Make N weeks of changes after the full load, with a run after each week
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=52))]
    pub weeks: u32,
    /// Leave content out of bundles that earlier bundles have for the same key
    #[arg(long)]
    pub omit_known_content: bool,
    /// Generate so many rows instead of reading files
    #[arg(long, value_name = "N", hide = true, conflicts_with = "from")]
    pub rows: Option<u64>,
}
