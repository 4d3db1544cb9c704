//! The arguments of `run`.

use super::bundles::PackingArgs;
use super::instance::Instance;
use super::metrics::MetricsArgs;
use super::notify::NotifyArgs;
use super::shipping::ShippingArgs;
use super::waiver::WaiverArgs;
use crate::model::id::Guid;
use crate::model::name::TableName;
use crate::model::time::Timestamp;
use std::path::PathBuf;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Without --table, the run works on all active tables. If a table fails, it keeps its watermark and the
run continues with the others; the next run copies the rows that are left. A run for one business
unit does not move the watermark of the table.

First, a run packs slices that earlier runs left unpacked. If the earlier run was of the same tables
and units, the bundle goes into --out, otherwise into the folder recorded for the earlier run. Signer
and recipients have to be those recorded for it. If the slice may not be packed, its table fails, and
the run prints the command that packs it.

A table with MaxWindow comes in several windows if there is more to take: each is a run of its own with
a bundle of its own, one after the other, until all is taken. If that stops in between, run again: the
next run goes on from there. With --no-bundle there is one window a call, because the next one empties
the slice.

A folder or destination with bundles of one business unit accepts no bundles of another unit or of
all units, unless you add --shared-place.

With --ship, pending shipments of runs of the same tables and units are shipped after the leases are
released. If shipping fails, the exit code is 7, and the next such run tries again.

With --each-business-unit, each unit has its own watermark, chain and places. No unit's folder or
destination may be that of another, or lie in it. If the runs of several units fail, the exit code is
the first of 1, 2, 3, 4, 5, 6, 7.

Examples:
  blobdelta run --each-business-unit --connection sqlite:./instance --out './bundles/{unit}'
  blobdelta run --connection sqlite:./instance --out ./bundles
  blobdelta run --connection sqlite:./instance --out ./bundles --ship s3://acme-deltas/weekly
  blobdelta run --connection sqlite:./instance --plan
  blobdelta run --connection sqlite:./instance --table Files.dbo.Attachment --from 2026-01-01 \\
      --out ./bundles
  blobdelta run --connection sqlite:./instance --until 2020-01-01 --out ./bundles")]
pub struct RunArgs {
    #[command(flatten)]
    pub instance: Instance,
    /// Run only this configured table
    #[arg(long, value_name = "NAME", value_parser = TableName::parse)]
    pub table: Option<TableName>,
    /// Copy only the rows of this business unit
    #[arg(long, value_name = "GUID", value_parser = Guid::parse)]
    pub business_unit: Option<Guid>,
    /// One run after the other for each business unit in scope, or for those that the profile has sections for.
    /// {unit} in --out, --ship and --sign-key stands for the unit's GUID. A unit that fails does not stop the others
    #[arg(long, conflicts_with_all = ["business_unit", "resume", "no_bundle", "backup_slice"])]
    pub each_business_unit: bool,
    /// Copy at most N rows in one transaction; the default is 500 on a server and 20,000 on an embedded
    /// instance. A batch also ends at about 256 MiB on a server and 64 MiB on an embedded instance
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch_size: Option<u32>,
    /// MAXDOP of statements that scan tables, on servers that have MAXDOP
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub max_dop: u16,
    /// Continue a run that did not complete, or whose windows MaxWindow had cut, with the options that it was started with
    #[arg(long, value_name = "RUNID", value_parser = Guid::parse,
          conflicts_with_all = ["table", "business_unit", "batch_size", "max_dop", "from", "until"])]
    pub resume: Option<Guid>,
    /// Take over the leases that this dead run still holds. If it is still alive, it cannot write anything more
    #[arg(long, value_name = "RUNID", value_parser = Guid::parse)]
    pub take_over: Option<Guid>,
    /// Set the start of the windows back to this time, such as 2026-01-31 or 2026-01-31T18:00:00, in the clock
    /// of each table
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    pub from: Option<Timestamp>,
    /// End the windows at this time, if they would end later; a later run takes the rest. In the clock of each table
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    pub until: Option<Timestamp>,
    /// Publish the bundle in this folder, which has to exist
    #[arg(long, value_name = "FOLDER", required_unless_present_any = ["no_bundle", "plan", "each_business_unit"])]
    pub out: Option<PathBuf>,
    /// After packing, while the lease is held, back up the slice databases to this folder of the server (or
    /// URL), verify the backup, and write a note about it beside the bundle
    #[arg(long, value_name = "SERVERPATH", requires = "out")]
    pub backup_slice: Option<String>,
    /// Only fill the slices, for receivers who restore a backup of the slice database
    #[arg(long, conflicts_with_all = ["out", "sign_key"])]
    pub no_bundle: bool,
    /// Change nothing; print the windows and numbers of keys, or with --resume the tables that are left. If the run would
    /// be refused, print only the reasons, with the exit code of the run. You can add it to any run command
    #[arg(long)]
    pub plan: bool,
    #[command(flatten)]
    pub packing: PackingArgs,
    #[command(flatten)]
    pub waiver: WaiverArgs,
    #[command(flatten)]
    pub shipping: ShippingArgs,
    #[command(flatten)]
    pub notify: NotifyArgs,
    #[command(flatten)]
    pub metrics: MetricsArgs,
    /// Minutes after which a lease expires if this program dies; while it is alive, it renews its leases
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub lease_minutes: u32,
}
