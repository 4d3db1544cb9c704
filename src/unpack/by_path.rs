//! Parents by path: rows carry the key of the folder that they lay in when they came. Where that leads nowhere, because
//! another folder took its place under another key, the row that has the path of their parent is their folder, if there
//! is just one.
//!
//! Of each path that is looked for 16 bytes of its hash are held, and the rows that have it.

use super::columns::UnpackColumns;
use super::latest::keep_latest;
use super::scan;
use super::tree::{PathKey, TreeNode};
use crate::error::Result;
use crate::model::id::Guid;
use crate::model::version::Version;
use crate::monitor::Monitor;
use crate::rows::TableRows;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Folders by the paths that are looked for, and were found once; each is among the nodes then, and nodes that lie in one of
/// them have it for their parent.
///
/// # Errors
/// As [`scan::rows`].
pub(super) fn find(
    sources: &[(TableRows<'_>, UnpackColumns)],
    nodes: &mut BTreeMap<Guid, TreeNode>,
    latest: bool,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<PathKey, Guid>> {
    let mut wanted: HashSet<PathKey> = HashSet::new();
    each_row(sources, monitor, &mut |columns, rows, row| {
        let leads_nowhere = columns.parent_key(rows, row)?.is_none_or(|parent| !nodes.contains_key(&parent));
        wanted.extend(columns.parent_path(rows, row)?.filter(|_| leads_nowhere));
        Ok(())
    })?;
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut keys: BTreeSet<Guid> = BTreeSet::new();
    each_row(sources, monitor, &mut |columns, rows, row| {
        if columns.path(rows, row)?.is_some_and(|path| wanted.contains(&path)) {
            keys.insert(rows.key(row)?);
        }
        Ok(())
    })?;
    let mut found: BTreeMap<Guid, (Version, Option<(PathKey, TreeNode)>)> = BTreeMap::new();
    each_row(sources, monitor, &mut |columns, rows, row| {
        let key = rows.key(row)?;
        if let (true, Some(path)) = (keys.contains(&key), columns.path(rows, row)?) {
            keep_latest(&mut found, key, rows.version(row, false)?, Some((path, columns.node(rows, row)?)));
        }
        Ok(())
    })?;
    for (source, _) in sources.iter().filter(|_| latest) {
        scan::tombstones(*source, monitor, &mut |rows| {
            (0..rows.batch().num_rows()).try_for_each(|row| {
                let key = rows.key(row)?;
                if keys.contains(&key) {
                    keep_latest(&mut found, key, rows.version(row, true)?, None);
                }
                Ok(())
            })
        })?;
    }
    let mut by_path: BTreeMap<PathKey, Option<Guid>> = BTreeMap::new();
    for (key, (_, row)) in found {
        let Some((path, node)) = row.filter(|(path, _)| wanted.contains(path)) else { continue };
        // Of several nobody knows which.
        by_path.entry(path).and_modify(|one| *one = None).or_insert(Some(key));
        nodes.entry(key).or_insert(node);
    }
    let by_path: BTreeMap<PathKey, Guid> = by_path.into_iter().filter_map(|(path, key)| Some((path, key?))).collect();
    let known: BTreeSet<Guid> = nodes.keys().copied().collect();
    for (key, node) in nodes {
        if node.parent.is_none_or(|parent| !known.contains(&parent)) {
            let by_path = node.parent_path.and_then(|path| by_path.get(&path)).filter(|parent| *parent != key);
            (node.parent, node.is_by_path) = by_path.map_or((node.parent, false), |parent| (Some(*parent), true));
        }
    }
    Ok(by_path)
}

fn each_row(
    sources: &[(TableRows<'_>, UnpackColumns)],
    monitor: &dyn Monitor,
    each: &mut dyn FnMut(&UnpackColumns, &crate::convert::BatchRows, usize) -> Result<()>,
) -> Result<()> {
    sources.iter().try_for_each(|(source, columns)| {
        scan::rows(*source, &columns.read, monitor, &mut |rows| {
            (0..rows.batch().num_rows()).try_for_each(|row| each(columns, rows, row))
        })
    })
}
