//! One unpacking, from bundles to report.

use super::by_path;
use super::claims::{Claims, Dir};
use super::columns::UnpackColumns;
use super::latest::{keep_latest, winners};
use super::names::file_name;
use super::options::{UnpackOptions, UnpackReport, Written};
use super::out::OutFolder;
use super::scan;
use super::tree::{Tree, TreeNode};
use super::wanted::{WantedRows, WantedSource};
use super::write::{Item, Writer};
use crate::bundle::{Bundle, Container, FileRole, Newest};
use crate::durable::Disk;
use crate::error::{Error, Kind, Result};
use crate::known::Holders;
use crate::links::{check_whole, report_links, tables_in_order};
use crate::model::cell::RowSource as _;
use crate::model::id::Guid;
use crate::model::key::KeyType;
use crate::model::name::TableName;
use crate::model::version::Version;
use crate::monitor::{Event, Monitor};
use crate::rows::TableRows;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

/// Writes the values of bundles as files: `out/<table>/<folders>/<name>`. Each row that was
/// written goes to `on_written`, in the order of writing.
///
/// Before anything is written, all parts were hashed and their rows placed in the tree. What was
/// written when this fails is right, but not all; nothing of the file that failed is left. When it
/// succeeds, everything survives a loss of power.
///
/// # Errors
/// Usage: several bundles without `latest`, or of several sources; a folder that is not empty; a
/// table, column or key that is not there. ChainGap, unless it is allowed; Verification, with the file; Io; Cancelled.
pub fn unpack(
    bundles: &[PathBuf],
    options: &UnpackOptions,
    disk: &dyn Disk,
    monitor: &dyn Monitor,
    on_written: &mut dyn FnMut(&Written<'_>),
) -> Result<UnpackReport> {
    let mut out = OutFolder::check(disk, &options.out)?;
    let bundles = open(bundles, options)?;
    let mut tables: BTreeMap<&TableName, Vec<TableRows<'_>>> = BTreeMap::new();
    for (bundle, table) in tables_in_order(&bundles)? {
        if is_asked_for(&table.name, options) {
            tables.entry(&table.name).or_default().push(TableRows { bundle, table });
        }
    }
    if let Some(table) = options.table.as_ref().filter(|_| tables.is_empty()) {
        return Err(Error::usage("none of the bundles has this table").table(table).hint("see inspect"));
    }
    let holders = Holders::of(&bundles);
    if options.latest {
        let all = || tables.values().flatten().map(|source| (source.bundle, source.table));
        report_links(all(), monitor);
        check_whole(all(), options.allow_gap, monitor)?;
    }
    let rows = tables.values().map(|sources| {
        let files = sources.iter().flat_map(|source| source.table.files_of(FileRole::Rows));
        files.filter_map(|file| file.rows).fold(0, u64::saturating_add)
    });
    monitor.event(Event::WorkStarted {
        what: "unpack",
        name: &options.out.file_name().unwrap_or_default().to_string_lossy(),
        rows: Some(rows.fold(0, u64::saturating_add)),
        bytes: None,
    });
    let mut report = UnpackReport::default();
    // Folders of tables, which have no keys.
    let mut folders = Claims::of(KeyType::UniqueIdentifier);
    let mut done = Ok(());
    for (name, sources) in tables {
        let folder = folders.claim(Dir::Top, Guid::from_bytes([0; 16]), &name.to_string(), &|_| false);
        let folder = folder.map_or_else(|| file_name(&name.to_string(), Some("2")), |claim| claim.name);
        done = table((&sources, &holders), folder, (options, &mut out, monitor), &mut report, on_written);
        if done.is_err() {
            break;
        }
    }
    if done.is_ok() && report.files + report.folders > 0 {
        done = out.disk().and_then(|disk| disk.sync_tree(&options.out));
    }
    monitor.event(Event::WorkFinished);
    done.map_err(|error| match report.files + report.folders {
        0 => error,
        _ if error.what_to_do().is_some() => error,
        _ => error.hint("what was written is right, but not all: remove the folder before you unpack again"),
    })?;
    if let Some(key) = options.key.as_ref().filter(|_| report.files + report.folders + report.without_value == 0) {
        return Err(Error::usage("no row of this key was found, or a deletion came after it").key(key));
    }
    Ok(report)
}

fn is_asked_for(table: &TableName, options: &UnpackOptions) -> bool {
    options.table.as_ref().is_none_or(|asked| asked == table)
}

fn open(paths: &[PathBuf], options: &UnpackOptions) -> Result<Vec<Bundle>> {
    if paths.is_empty() {
        return Err(Error::usage("there is no bundle to unpack"));
    }
    if paths.len() > 1 && !options.latest {
        return Err(Error::usage("several bundles are named, which may hold several versions of a row")
            .hint("add --latest to write the latest version of each row, or unpack them one by one"));
    }
    let mut seen = HashSet::new();
    let mut bundles: Vec<Bundle> = Vec::new();
    for path in paths {
        let bundle = Bundle::open_in(Container::open(path, &options.access)?)?;
        bundle.check_file_set()?;
        let source = |bundle: &Bundle| bundle.manifest().run.source_id;
        if bundles.first().is_some_and(|first| source(first) != source(&bundle)) {
            return Err(Error::usage("these bundles are not of one source").file(path).hint("unpack them apart"));
        }
        if seen.insert(bundle.root_sha256()) {
            bundles.push(bundle);
        }
    }
    Newest::of(bundles.iter().map(Bundle::manifest)).check(options.access.not_before)?;
    Ok(bundles)
}

type Tools<'a, 'o> = (&'a UnpackOptions, &'a mut OutFolder<'o>, &'a dyn Monitor);

fn table<'b>(
    (sources, holders): (&[TableRows<'b>], &Holders<'b>),
    folder: String,
    (options, out, monitor): Tools<'_, '_>,
    report: &mut UnpackReport,
    on_written: &mut dyn FnMut(&Written<'_>),
) -> Result<()> {
    let mut of_tree = Vec::new();
    let mut whole = Vec::new();
    for source in sources {
        let bad = |error: Error| error.table(&source.table.name).file(source.bundle.path());
        of_tree.push((*source, UnpackColumns::of_tree(source.table, options).map_err(bad)?));
        whole.push((*source, UnpackColumns::whole(source.table, options).map_err(bad)?));
    }
    let mut nodes = folders(&of_tree, options.latest, monitor)?;
    let by_path = by_path::find(&of_tree, &mut nodes, options.latest, monitor)?;
    let mut claims = Claims::of(sources.first().map_or(KeyType::UniqueIdentifier, |source| source.table.key_type()));
    let tree = Tree::build(&nodes, by_path, &mut claims)?;
    drop(nodes);
    let winners = options.latest.then(|| winners(&of_tree, options.keys_in_memory, monitor));
    let mut wanted = WantedRows { options, monitor, winners: winners.transpose()? };
    let mut known = wanted.left_out(&whole, holders)?;
    let mut writer = Writer { out, folder, tree, claims, made: HashSet::new(), report, monitor, on_written };
    for (source, (rows, columns)) in (0_u32..).zip(&whole) {
        let source = WantedSource { nth: source, rows: *rows, columns };
        wanted.each(&source, Some(&mut known), &mut |rows, row, (key, modified_on)| {
            let item = Item { source: source.rows, holders, columns, rows, row, key, modified_on };
            writer.row(&item).map_err(|error| match error.kind() {
                Kind::Cancelled => error,
                _ => error.table(&source.rows.table.name).key(source.rows.table.shown_key(key)),
            })
        })?;
    }
    Ok(())
}

/// The rows that others lie in, each in the version that counts. Two passes: which keys are
/// parents, and what their rows say.
fn folders(
    sources: &[(TableRows<'_>, UnpackColumns)],
    latest: bool,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<Guid, TreeNode>> {
    let mut parents: HashSet<Guid> = HashSet::new();
    for (source, columns) in sources {
        scan::rows(*source, &columns.read, monitor, &mut |rows| {
            for row in 0..rows.rows() {
                parents.extend(columns.parent_key(rows, row)?);
            }
            Ok(())
        })?;
    }
    let mut found: BTreeMap<Guid, (Version, Option<TreeNode>)> = BTreeMap::new();
    for (source, columns) in sources {
        scan::rows(*source, &columns.read, monitor, &mut |rows| {
            for row in 0..rows.rows() {
                let key = rows.key(row)?;
                if parents.contains(&key) {
                    keep_latest(&mut found, key, rows.version(row, false)?, Some(columns.node(rows, row)?));
                }
            }
            Ok(())
        })?;
        if latest {
            scan::tombstones(*source, monitor, &mut |rows| {
                for row in 0..rows.rows() {
                    let key = rows.key(row)?;
                    if parents.contains(&key) {
                        keep_latest(&mut found, key, rows.version(row, true)?, None);
                    }
                }
                Ok(())
            })?;
        }
    }
    Ok(found.into_iter().filter_map(|(key, (_, node))| Some((key, node?))).collect())
}
