//! One masking, from bundles to masked bundles.

use super::chain::MaskedChain;
use super::options::MaskOptions;
use super::plan::{Domains, TableMask, check_policy};
use super::policy::MaskPolicy;
use super::secret::MaskSecret;
use super::table;
use crate::bundle::manifest::{BundleKind, FailedTable, Previous, Producer, RunInfo};
use crate::bundle::{
    Bundle, BundleName, Manifest, MaskedInfo, Published, StagedBundle, TableInfo, check_plain, compacted_run_id,
    sweep_staging,
};
use crate::durable::{Disk, is_abandoned};
use crate::error::{Error, Result};
use crate::links::bundles_in_order;
use crate::model::digest::Sha256;
use crate::monitor::{Event, Monitor};
use crate::rows::TableRows;
use std::path::Path;

/// A masked bundle that was published.
#[derive(Debug)]
pub struct MaskedBundle {
    /// It.
    pub published: Published,
    /// Its rows.
    pub rows: u64,
    /// Files for whose type there is no placeholder, and that became what the policy says of those.
    pub untyped: u64,
}

/// Masks bundles one by one, in the order of their chains, and publishes each in `out_dir`.
///
/// # Errors
/// Config: a policy that does not name a column, or does not fit; Usage: a bundle that is masked already, or none;
/// Verification, with the file, for a bundle that is not what it says; Io; Cancelled. All that can be refused is refused
/// before anything is written.
pub fn mask(
    bundles: Vec<Bundle>,
    (policy, secret): (&MaskPolicy, &MaskSecret),
    disk: &dyn Disk,
    out_dir: &Path,
    options: &MaskOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<MaskedBundle>> {
    let bundles = bundles_in_order(bundles)?;
    if let Some(masked) = bundles.iter().find(|bundle| bundle.manifest().masked.is_some()) {
        return Err(Error::usage("this bundle is masked already")
            .file(masked.path())
            .hint("name the originals alone; masked bundles lie in a folder of their own, that of --out"));
    }
    for bundle in &bundles {
        bundle.manifest().check_whole_values("masking").map_err(|error| error.file(bundle.path()))?;
    }
    check_plain(bundles.iter(), &options.form, options.allows_plain, monitor)?;
    check_policy(&bundles, policy, secret)?;
    bundles.iter().try_for_each(Bundle::check_file_set)?;
    for swept in sweep_staging(disk, out_dir, &|_, path| is_abandoned(disk, path))? {
        monitor.event(Event::Note(&swept.to_string()));
    }
    let sources = bundles.iter().map(|bundle| secret.masked_id("source", bundle.manifest().run.source_id)).collect();
    let chain = MaskedChain::existing(secret, &sources, out_dir, monitor)?;
    let coming = bundles.iter().map(Bundle::root_sha256).collect();
    bundles.iter().try_for_each(|bundle| chain.check_again(bundle, policy.digest(), &coming))?;
    check_masked_alike(&bundles, (policy, secret), &chain)?;
    let mut work = Masking { policy, secret, chain, options, monitor };
    bundles.iter().map(|bundle| work.bundle(bundle, disk, out_dir)).collect()
}

/// That no table is masked otherwise than in the masked bundle that it follows.
fn check_masked_alike(
    bundles: &[Bundle],
    (policy, secret): (&MaskPolicy, &MaskSecret),
    chain: &MaskedChain<'_>,
) -> Result<()> {
    for bundle in bundles {
        for table in &bundle.manifest().tables {
            let Some(previous) = &table.previous else { continue };
            let now = TableMask::of(table, policy, secret, &mut Domains::default())?.info();
            let alike = chain.check_alike(previous.root_sha256, table, &now);
            alike.map_err(|error| error.file(bundle.path()))?;
        }
    }
    Ok(())
}

struct Masking<'m> {
    policy: &'m MaskPolicy,
    secret: &'m MaskSecret,
    chain: MaskedChain<'m>,
    options: &'m MaskOptions,
    monitor: &'m dyn Monitor,
}

impl Masking<'_> {
    fn bundle(&mut self, bundle: &Bundle, disk: &dyn Disk, out_dir: &Path) -> Result<MaskedBundle> {
        let (run, inputs) = self.run(bundle.manifest());
        let name = BundleName::new(run.started_at.0, run.run_id, run.pack_number);
        let files = bundle.manifest().tables.iter().flat_map(|table| &table.files);
        let rows = files.filter_map(|file| file.rows).fold(0, u64::saturating_add);
        let work = Event::WorkStarted { what: "mask", name: name.as_str(), rows: Some(rows), bytes: None };
        self.monitor.event(work);
        let mut staged = StagedBundle::create(disk, out_dir, name)?.signed_by(self.options.signer.clone());
        let (mut tables, mut masked, mut untyped) = (Vec::new(), Vec::new(), 0);
        let mut domains = Domains::default();
        for table in &bundle.manifest().tables {
            let mask = TableMask::of(table, self.policy, self.secret, &mut domains)?;
            let work = (self.options, self.monitor);
            let written = table::write(TableRows { bundle, table }, &mask, self.secret, &mut staged, work);
            let (info, without) = written.map_err(|error| error.file(bundle.path()).table(&table.name))?;
            tables.push(self.linked(info, bundle));
            masked.push(mask.info());
            untyped += without;
        }
        let manifest = self.manifest(bundle, (run, inputs), tables, masked);
        let published = staged.finish(&manifest)?.publish(&self.options.form, self.monitor)?;
        self.monitor.event(Event::WorkFinished);
        self.chain.add(bundle.root_sha256(), published.root_sha256());
        Ok(MaskedBundle { published, rows, untyped })
    }

    /// The run of the masked bundle, and what it was compacted from.
    fn run(&self, of: &Manifest) -> (RunInfo, Vec<Sha256>) {
        let inputs = self.chain.inputs(&of.inputs);
        let run_id = match of.kind {
            BundleKind::Delta => self.secret.masked_id("run", of.run.run_id),
            BundleKind::Compacted => compacted_run_id(&inputs),
        };
        let source_id = self.secret.masked_id("source", of.run.source_id);
        // Who asked for a run is nobody's business here.
        let requested_by = "masked".to_owned();
        let producer = Producer::this();
        (RunInfo { run_id, source_id, requested_by, producer, ..of.run.clone() }, inputs)
    }

    /// The table, which follows the masked bundle of what its original follows.
    fn linked(&self, mut table: TableInfo, bundle: &Bundle) -> TableInfo {
        if let Some(Previous { root_sha256 }) = table.previous {
            if self.chain.known(root_sha256).is_none() {
                self.monitor.event(Event::Warning(&format!(
                    "{}: {}: the masked bundle of the one before it is neither here nor in the folder of --out, so its chain \
                     has a gap there; mask bundles in their order, into one folder",
                    bundle.path().display(),
                    table.name
                )));
            }
            table.previous = Some(Previous { root_sha256: self.chain.root(root_sha256) });
        }
        table.missing.bundles = self.chain.roots(&table.missing.bundles);
        table
    }

    fn manifest(
        &self,
        bundle: &Bundle,
        (run, inputs): (RunInfo, Vec<Sha256>),
        tables: Vec<TableInfo>,
        masked: Vec<crate::bundle::MaskedTable>,
    ) -> Manifest {
        let of = bundle.manifest();
        // Why a table failed may name what is in its rows.
        let failed = |failed: &FailedTable| FailedTable {
            table: failed.table.clone(),
            error: "the table failed in the run of the original".to_owned(),
        };
        Manifest {
            masked: Some(MaskedInfo {
                policies: vec![self.policy.digest()],
                original: Some(self.chain.stand_in(bundle.root_sha256())),
                tables: masked,
            }),
            inputs,
            run,
            tables,
            failed_tables: of.failed_tables.iter().map(failed).collect(),
            requires: Vec::new(),
            ..of.clone()
        }
    }
}
