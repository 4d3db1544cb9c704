//! [`survey`]: what bundles have of some keys.

use crate::bundle::{Access, Bundle, Container};
use crate::conform::check_version;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::model::key::ShownKey;
use crate::model::name::TableName;
use crate::model::slice::DeletionReason;
use crate::model::version::Version;
use crate::monitor::{Event, Monitor};
use crate::rows::{TableRows, Wanted};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How far the erasure of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErasureState {
    /// A bundle has the row, and no deletion of it is as late: receivers have it.
    NotDeleted,
    /// The deletion is in the bundles, and so is the row, in bundles from before.
    ValuesLeft,
    /// No bundle has the row.
    Erased,
}

/// A row to be erased.
#[derive(Clone, Debug)]
pub struct ErasedKey {
    /// Its key.
    pub key: ShownKey,
    /// The bundles that have values of it.
    pub held_by: Vec<PathBuf>,
    /// Whether a bundle has its tombstone.
    pub has_tombstone: bool,
    /// How far it is.
    pub state: ErasureState,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// The rows, in the order of their ids.
    pub keys: Vec<ErasedKey>,
    /// Bundles that were looked at, and those of them that have the table.
    pub bundles: usize,
    /// See `bundles`.
    pub of_table: usize,
}

#[derive(Default)]
struct FoundVersions {
    held_by: Vec<PathBuf>,
    row: Option<Version>,
    tombstone: Option<Version>,
}

/// Looks for rows of a table in bundles, each of which is read whole where it has the table: keys and versions.
///
/// # Errors
/// Usage: a text that is no key of the table, or a table that no bundle has; Verification: a bundle that is not what it says,
/// or cannot be opened; Io; Cancelled.
pub fn survey(
    paths: &[PathBuf],
    (table, keys): (&TableName, &[String]),
    access: &Access,
    monitor: &dyn Monitor,
) -> Result<Erasure> {
    let mut found: BTreeMap<Guid, (ShownKey, FoundVersions)> = BTreeMap::new();
    let mut of_table = 0;
    for path in paths {
        monitor.check()?;
        // What cannot be read may hold anything: nothing is passed by here.
        let bundle = Bundle::open_in(Container::open(path, access)?)?;
        let Some(info) = bundle.manifest().table(table) else { continue };
        bundle.check_file_set()?;
        of_table += 1;
        for text in keys {
            let id = info.key_type().parse(text).map_err(|error| error.table(table))?;
            found.entry(id).or_insert_with(|| (info.shown_key(id), FoundVersions::default()));
        }
        look(TableRows { bundle: &bundle, table: info }, &mut found, monitor)
            .map_err(|error| error.table(table).file(bundle.path()))?;
    }
    if of_table == 0 {
        return Err(Error::usage("none of these bundles has this table").table(table).hint(
            "write the name as it is configured, Database.schema.Table; `blobdelta inspect BUNDLE` shows the tables",
        ));
    }
    let keys = found.into_values().map(|(key, found)| erased(key, found)).collect();
    Ok(Erasure { keys, bundles: paths.len(), of_table })
}

fn look(
    source: TableRows<'_>,
    found: &mut BTreeMap<Guid, (ShownKey, FoundVersions)>,
    monitor: &dyn Monitor,
) -> Result<()> {
    let (bundle, table) = (source.bundle, source.table);
    let rows = table.files_of_versions().filter_map(|file| file.rows).fold(0, u64::saturating_add);
    let name = bundle.path().file_name().unwrap_or_default().to_string_lossy();
    monitor.event(Event::WorkStarted { what: "look through", name: &name, rows: Some(rows), bytes: None });
    for file in table.files_of_versions() {
        source.each_key(file, Wanted::default(), monitor, |part| {
            for (key, version) in part.keys.iter().zip(&part.versions) {
                let Some((_, found)) = found.get_mut(key) else { continue };
                check_version(bundle, table, *key, version)?;
                match version.tombstone {
                    None => {
                        found.row = found.row.max(Some(*version));
                        if found.held_by.last().is_none_or(|last| last != bundle.path()) {
                            found.held_by.push(bundle.path().to_owned());
                        }
                    }
                    Some(DeletionReason::Deleted) => found.tombstone = found.tombstone.max(Some(*version)),
                    // The row stands elsewhere.
                    Some(DeletionReason::LeftScope) => {}
                }
            }
            Ok(())
        })?;
    }
    monitor.event(Event::WorkFinished);
    Ok(())
}

fn erased(key: ShownKey, found: FoundVersions) -> ErasedKey {
    let FoundVersions { held_by, row, tombstone } = found;
    let state = match (row, tombstone) {
        (None, _) => ErasureState::Erased,
        (row, tombstone) if tombstone > row => ErasureState::ValuesLeft,
        _ => ErasureState::NotDeleted,
    };
    ErasedKey { key, held_by, has_tombstone: tombstone.is_some(), state }
}
