//! The arguments of `report`.

use super::access::AccessArgs;
use super::instance::Instance;
use super::prune::KeepArgs;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
The page shows, of the bundles: chains by time, with gaps and broken links; rows and bytes by week; what
was reported; with --verify or --deep, whether they are good. With --connection, of the job database:
runs with durations and errors; what has still to be packed or shipped, pending keys, watermarks; and
what `prune` would remove. Nothing is changed.

The page has no scripts, and loads nothing from elsewhere. It has names of tables, paths and errors. A
report that is at FILE already is replaced; another file is not. The exit code does not say what is on
the page: use `chain`, `verify` and `status` in scripts.

Examples:
  blobdelta report ./bundles --out ./report.html
  blobdelta report ./bundles --out ./report.html --connection sqlite:./instance
  blobdelta report s3://acme-deltas/weekly --out ./report.html --verify")]
pub struct ReportArgs {
    /// Folders or archives of bundles, folders that hold bundles, or URLs to which bundles were shipped
    #[arg(value_name = "FOLDER|BUNDLE|URL")]
    pub places: Vec<PathBuf>,
    /// Write the page to this file
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Verify every byte of the bundles
    #[arg(long)]
    pub verify: bool,
    /// Verify every row of the bundles
    #[arg(long, conflicts_with = "verify")]
    pub deep: bool,
    #[command(flatten)]
    pub access: AccessArgs,
    #[command(flatten)]
    pub instance: Instance,
    #[command(flatten)]
    pub keep: KeepArgs,
}
