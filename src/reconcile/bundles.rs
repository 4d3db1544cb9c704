//! The side of the bundles: the latest version of each key of one table.

use crate::bundle::{Bundle, FileRole, TableInfo};
use crate::error::Result;
use crate::known::{Holders, KnownValues};
use crate::latest::{KeyMemory, LatestIndex, Versioned, stored};
use crate::links::{report_links, tables_in_order};
use crate::model::cell::Cell;
use crate::model::column::{Column, DELTA_BUSINESS_UNIT, DELTA_PARENT_KEY, DELTA_STEP};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::key::{place_bytes, place_column};
use crate::model::name::TableName;
use crate::model::run::{Scope, Step};
use crate::model::version::Version;
use crate::monitor::{Event, Monitor};
use crate::rows::{PartKeys, TableRows, Wanted};

/// Some 30 MB of keys, or of their file.
pub(super) const MEMORY: KeyMemory = KeyMemory::of("reconciliation", 1 << 17);

/// In the place of the hash of a value that is left out, and in no bundle that is here: no content has it.
const NOWHERE: Sha256 = Sha256::from_bytes([0; 32]);

/// The latest version of a key, as the bundles have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LatestVersion {
    /// When and by which run it came, and whether it is a tombstone.
    pub(super) version: Version,
    /// Whether it came because something lies under it, and not by itself.
    pub(super) is_ancestor: bool,
    /// Its business unit.
    pub(super) unit: Option<Guid>,
    /// The hash of its path's bytes.
    pub(super) path: Option<Sha256>,
    /// The key of the row that it lies in.
    pub(super) parent_key: Option<Guid>,
    /// The hash of its content hashes.
    pub(super) content: Option<Sha256>,
}

stored!(LatestVersion { version, is_ancestor, unit, path, parent_key, content });

impl Versioned for LatestVersion {
    fn version(&self) -> &Version {
        &self.version
    }
}

/// Which bundles count (rule 16).
pub(super) struct ReconciledChain<'a> {
    pub(super) source_id: Guid,
    pub(super) table: &'a TableName,
    pub(super) scope: Scope,
    /// The columns that are hashed.
    pub(super) hashed: &'a [Column],
    /// Whether content counts: then what is left out has to be in a bundle that is here.
    pub(super) content: bool,
}

impl ReconciledChain<'_> {
    fn is_of_source(&self, bundle: &Bundle) -> bool {
        bundle.manifest().run.source_id == self.source_id
    }
}

/// The latest versions of a chain, and how many bundles were looked at for them.
pub(super) struct Gathered {
    pub(super) index: LatestIndex<LatestVersion>,
    /// Those that have something of the chain.
    pub(super) bundles: u64,
    /// Those that have a table of this name, and are of another source.
    pub(super) foreign: u64,
}

/// Puts the latest version of each key into a store.
///
/// # Errors
/// Verification, with the file; Io; Database; Cancelled.
pub(super) fn gather(bundles: &[Bundle], chain: &ReconciledChain<'_>, monitor: &dyn Monitor) -> Result<Gathered> {
    let mut gathered = Gathered { index: LatestIndex::new(MEMORY), bundles: 0, foreign: 0 };
    let mut tables = tables_in_order(bundles)?;
    tables.retain(|(_, table)| table.name == *chain.table);
    let of_chain =
        |(bundle, table): &&(&Bundle, &TableInfo)| chain.is_of_source(bundle) && table.scope.0 == chain.scope;
    report_links(tables.iter().filter(of_chain).copied(), monitor);
    let holders = Holders::of(bundles);
    let mut known = KnownValues::new(&holders, false);
    for (bundle, table) in tables.iter().filter(of_chain).filter(|_| chain.content) {
        let asked = known.need_all(TableRows { bundle, table }, monitor, |_, _| Ok(true));
        asked.map_err(|error| error.file(bundle.path()))?;
    }
    known.find(false, monitor)?;
    for (bundle, table) in tables {
        if !chain.is_of_source(bundle) {
            gathered.foreign += 1;
            continue;
        }
        if table.scope.0 != chain.scope {
            continue;
        }
        let name = bundle.path().file_name().unwrap_or_default().to_string_lossy();
        let rows = table.files_of(FileRole::Rows).filter_map(|file| file.rows).sum();
        monitor.event(Event::WorkStarted { what: "read", name: &name, rows: Some(rows), bytes: None });
        let taken = take((bundle, table), (chain, &mut known), &mut gathered.index, monitor);
        monitor.event(Event::WorkFinished);
        taken.map_err(|error| error.file(bundle.path()))?;
        gathered.bundles += 1;
    }
    Ok(gathered)
}

fn take(
    (bundle, table): (&Bundle, &TableInfo),
    (chain, known): (&ReconciledChain<'_>, &mut KnownValues<'_, '_>),
    index: &mut LatestIndex<LatestVersion>,
    monitor: &dyn Monitor,
) -> Result<()> {
    let own = table.model_columns()?;
    // What the source has no more cannot be compared.
    let is_there = |name: &str| chain.hashed.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    let hashed = own.iter().filter(|column| column.sql_type.is_large_binary() && is_there(&column.name));
    let names: Vec<&str> = hashed.map(|column| column.name.as_str()).collect();
    let mut columns = vec![DELTA_STEP, DELTA_BUSINESS_UNIT, DELTA_PARENT_KEY];
    columns.extend(place_of(table));
    let rows = Wanted { columns: &columns, hashed: &names, ..Wanted::default() };
    for file in table.files_of_versions() {
        let wanted = if file.role == FileRole::Rows { rows } else { Wanted::default() };
        TableRows { bundle, table }.each_key(file, wanted, monitor, |some| {
            for nth in 0..some.keys.len() {
                let said = names.iter().zip(some.known(nth)).zip(some.hashes(nth));
                let mut hashes = Vec::with_capacity(names.len());
                for ((name, left), hash) in said {
                    let is_here = match left.filter(|_| chain.content) {
                        Some(left) => known.holds((some.keys[nth], name), (hash, left))?,
                        None => true,
                    };
                    hashes.push((*name, if is_here { hash } else { Some(NOWHERE) }));
                }
                index.upsert(some.keys[nth], latest(some, nth, (table, hashes))?)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The column that says where rows of the table lie.
fn place_of(table: &TableInfo) -> Option<&str> {
    place_column(&table.key_column, table.path_column.as_ref(), table.parent_path_column.as_ref())
}

/// A row with the content hashes of its columns, by name.
fn latest(
    some: &PartKeys<'_>,
    nth: usize,
    (table, hashes): (&TableInfo, Vec<(&str, Option<Sha256>)>),
) -> Result<LatestVersion> {
    let path = place_of(table).map(|place| some.cell(nth, place)).transpose()?;
    let path = path.and_then(place_bytes).map(|path| Sha256::of(&path));
    Ok(LatestVersion {
        version: some.versions[nth],
        is_ancestor: some.cell(nth, DELTA_STEP)? == Cell::Int(i64::from(Step::MissingParents.number())),
        unit: match some.cell(nth, DELTA_BUSINESS_UNIT)? {
            Cell::Guid(unit) => Some(unit),
            _ => None,
        },
        path,
        parent_key: some.id(nth, DELTA_PARENT_KEY)?,
        content: content_of(hashes.into_iter()),
    })
}

/// One hash of those of several columns, whatever their order (rule 24); NULL says as much as a column that is not there.
/// Nothing where no column has a value.
pub(super) fn content_of<'c>(hashes: impl Iterator<Item = (&'c str, Option<Sha256>)>) -> Option<Sha256> {
    let mut named: Vec<_> = hashes.filter_map(|(name, hash)| Some((name.to_lowercase(), hash?))).collect();
    named.sort();
    let bytes: Vec<u8> =
        named.iter().flat_map(|(name, hash)| [name.as_bytes(), &[0], hash.as_bytes().as_slice()].concat()).collect();
    (!bytes.is_empty()).then(|| Sha256::of(&bytes))
}
