//! Reading the tree of a real folder: names, sizes and times, never what is in the files.
//!
//! Links are not followed, so nothing outside of the folder is read and no walk is endless;
//! whatever is skipped is counted and reported.

use super::names::TABLES;
use super::node::{DemoNode, MAX_LEVELS, child_path, key_of};
use crate::error::{Error, Result};
use crate::model::time::Timestamp;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

/// The most bytes that SQLite holds in one value.
const MAX_FILE_BYTES: u64 = 1_000_000_000;

/// What was left out, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Symbolic links.
    pub links: u64,
    /// Sockets, pipes and devices.
    pub special: u64,
    /// Files and folders that this account may not read, or that went away.
    pub unreadable: u64,
    /// Files over 1,000,000,000 bytes, and what lies under 223 levels.
    pub too_large_or_deep: u64,
}

impl Skipped {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.links + self.special + self.unreadable + self.too_large_or_deep
    }
}

/// The nodes of the two tables, each folder before what lies in it.
#[derive(Debug, Default)]
pub struct Walked {
    /// By table.
    pub tables: [Vec<DemoNode>; 2],
    /// What was left out.
    pub skipped: Skipped,
}

struct TreeEntry {
    path: PathBuf,
    metadata: Metadata,
}

/// Reads the tree. Each entry of the folder goes with all that is in it to the table that has
/// fewer rows so far; a folder that holds one folder alone is looked through.
///
/// # Errors
/// Usage: no folder, or fewer than two files in it; Io.
pub fn walk(from: &Path) -> Result<Walked> {
    if !from.is_dir() {
        return Err(Error::usage("this is no folder").file(from).hint("name a folder with some files: --from FOLDER"));
    }
    let mut skipped = Skipped::default();
    let mut top = list(from, &mut skipped)?;
    while let [only] = top.as_slice() {
        if !only.metadata.is_dir() {
            break;
        }
        top = list(&only.path.clone(), &mut skipped)?;
    }
    let mut walked = Walked { skipped, ..Walked::default() };
    let mut ordinals = [0; 2];
    for entry in top {
        let counts = [0, 1].map(|table| walked.tables[table].len());
        let table = usize::from(counts[1] < counts[0]);
        ordinals[table] += 1;
        let root = child_path(&[], ordinals[table]);
        let nodes = &mut walked.tables[table];
        descend(TABLES[table], from, (entry, None, root), nodes, &mut walked.skipped);
    }
    let files = |table: usize| walked.tables[table].iter().filter(|node| !node.is_folder).count();
    if files(0) == 0 || files(1) == 0 {
        return Err(Error::usage("the demo needs files for two tables, and this folder has too few")
            .file(from)
            .hint("name a folder with at least two folders or files at its top"));
    }
    Ok(walked)
}

/// Walks one entry of the top, without recursion.
fn descend(
    table: &str,
    from: &Path,
    first: (TreeEntry, Option<usize>, Vec<u8>),
    nodes: &mut Vec<DemoNode>,
    skipped: &mut Skipped,
) {
    let mut waiting = vec![first];
    while let Some((entry, parent, path)) = waiting.pop() {
        let is_folder = entry.metadata.is_dir();
        let relative = entry.path.strip_prefix(from).unwrap_or(&entry.path).as_os_str().as_encoded_bytes();
        let name = entry.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let node = DemoNode {
            key: key_of(table, relative),
            parent,
            path,
            name,
            is_folder,
            bytes: if is_folder { 0 } else { entry.metadata.len() },
            modified: modified(&entry.metadata),
            disk: entry.path,
            metadata: None,
            is_gone: false,
        };
        let at = nodes.len();
        if is_folder {
            if node.path.len() / super::node::LEVEL_BYTES >= MAX_LEVELS {
                skipped.too_large_or_deep += 1;
            } else if let Ok(children) = list(&node.disk, skipped) {
                let numbered = children.into_iter().zip(1..);
                let placed = numbered.map(|(child, ordinal)| (child, Some(at), child_path(&node.path, ordinal)));
                let from = waiting.len();
                waiting.extend(placed);
                waiting[from..].reverse();
            } else {
                skipped.unreadable += 1;
            }
        }
        nodes.push(node);
    }
}

/// The entries of a folder that can be carried, by name.
fn list(folder: &Path, skipped: &mut Skipped) -> Result<Vec<TreeEntry>> {
    let read = fs::read_dir(folder).map_err(|error| Error::io("read", folder, error))?;
    let mut entries = Vec::new();
    for entry in read {
        let found = entry.and_then(|entry| Ok((entry.path(), fs::symlink_metadata(entry.path())?)));
        let Ok((path, metadata)) = found else {
            skipped.unreadable += 1;
            continue;
        };
        let kind = metadata.file_type();
        if kind.is_symlink() {
            skipped.links += 1;
        } else if !kind.is_dir() && !kind.is_file() {
            skipped.special += 1;
        } else if kind.is_file() && metadata.len() > MAX_FILE_BYTES {
            skipped.too_large_or_deep += 1;
        } else {
            entries.push(TreeEntry { path, metadata });
        }
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

fn modified(metadata: &Metadata) -> Timestamp {
    let since = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let ticks = since.and_then(|since| i64::try_from(since.as_nanos() / 100).ok());
    let epoch = Timestamp::from_unix_micros(0).unwrap_or(Timestamp::MIN);
    epoch.plus_ticks(ticks.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_without_following_links_and_a_parent_is_a_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("only");
        fs::create_dir_all(root.join("a/b c")).unwrap();
        fs::write(root.join("a/b c/ü.txt"), "x").unwrap();
        fs::write(root.join("z"), "y").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("/", root.join("a/link")).unwrap();
        let walked = walk(folder.path()).unwrap();
        assert_eq!(walked.skipped.links, u64::from(cfg!(unix)));
        let names: Vec<&str> = walked.tables[0].iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["a", "b c", "ü.txt"]);
        assert_eq!(walked.tables[1].len(), 1);
        for node in &walked.tables[0] {
            if let Some(parent) = node.parent {
                let parent = &walked.tables[0][parent];
                assert_eq!(node.path[..node.path.len() - 4], parent.path);
                assert_ne!(node.key, parent.key);
            }
        }
    }

    #[test]
    fn a_folder_with_too_little_in_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("only"), "x").unwrap();
        assert_eq!(walk(folder.path()).unwrap_err().kind(), crate::error::Kind::Usage);
        assert_eq!(walk(&folder.path().join("absent")).unwrap_err().kind(), crate::error::Kind::Usage);
    }
}
