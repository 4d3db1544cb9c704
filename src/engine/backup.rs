//! `run --backup-slice`: slice databases of a bundle that was just published, backed up while
//! their leases are held, and a note of it beside the bundle.

use super::packer::Packer;
use crate::backend::{Backend, BackupRecord};
use crate::bundle::layout::BUNDLE_SUFFIX;
use crate::durable::Disk;
use crate::error::{Error, Result};
use crate::model::digest::{Hasher, Sha256};
use crate::model::name::TableName;
use crate::model::run::{Fence, Run};
use crate::monitor::Event;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A backup is hashed in blocks that stay in the processor's cache.
const BLOCK_BYTES: usize = 256 * 1024;

impl Packer<'_> {
    /// Backs up every slice database of these tables to a folder of the server, and writes
    /// `<name>.backup.json` beside the bundle.
    pub(super) fn backup_slices(
        &mut self,
        run: &Run,
        fences: &[Fence],
        bundle: &Path,
        server_folder: &str,
    ) -> Result<PathBuf> {
        let Self { backend, disk, monitor, .. } = self;
        let mut by_database: BTreeMap<String, Vec<Fence>> = BTreeMap::new();
        for fence in fences {
            let target: TableName = backend.table(&fence.table)?.target;
            by_database.entry(target.db).or_default().push(fence.clone());
        }
        let name = bundle.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = name.split(BUNDLE_SUFFIX).next().unwrap_or_default();
        let mut written = Vec::new();
        for (database, fences) in by_database {
            let path = server_path(server_folder, &format!("{stem}-{}.bak", slug(&database)));
            monitor.check()?;
            monitor.event(Event::WorkStarted { what: "back up", name: &database, rows: None, bytes: Some(100) });
            let mut reported = 0;
            let record = backend.backup(&fences, &database, &path, &mut |percent| {
                let percent = percent.min(100);
                monitor.event(Event::WorkDone { rows: 0, bytes: u64::from(percent.saturating_sub(reported)) });
                reported = reported.max(percent);
            })?;
            monitor.event(Event::WorkFinished);
            written.push(describe(&mut **backend, run, &fences, &record)?);
        }
        let note = json!({"bundle": name, "run_id": run.id, "backups": written});
        let path = bundle.with_file_name(format!("{stem}.backup.json"));
        write_note(*disk, &path, &note)?;
        Ok(path)
    }
}

fn describe(backend: &mut dyn Backend, run: &Run, fences: &[Fence], record: &BackupRecord) -> Result<Value> {
    let mut tables = Vec::new();
    for fence in fences {
        let config = backend.table(&fence.table)?;
        let marker = backend.slice_marker(&config)?;
        tables.push(json!({
            "table": fence.table,
            "slice": config.target,
            "state": marker.state.as_str(),
            "scope": marker.scope.to_string(),
            "window_start": marker.window.map(|window| window.start),
            "window_end": marker.window.map(|window| window.end),
        }));
    }
    Ok(json!({
        "database": record.database,
        "server_path": record.path,
        "run_id": run.id,
        "started_at": record.started_at.rfc3339_utc(),
        "completed_at": record.completed_at.rfc3339_utc(),
        "bytes": record.bytes,
        "file_bytes": record.file_bytes,
        "verified": "RESTORE VERIFYONLY WITH CHECKSUM",
        "sha256": hash_if_readable(Path::new(&record.path))?,
        "tables": tables,
    }))
}

/// The server's file, if this machine sees it under the same path.
fn hash_if_readable(path: &Path) -> Result<Option<Sha256>> {
    let Ok(mut file) = File::open(path) else { return Ok(None) };
    let mut hasher = Hasher::default();
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let count = file.read(&mut block).map_err(|error| Error::io("read", path, error))?;
        if count == 0 {
            return Ok(Some(hasher.finish()));
        }
        hasher.update(&block[..count]);
    }
}

fn write_note(disk: &dyn Disk, path: &Path, note: &Value) -> Result<()> {
    let mut file = disk.create(path)?;
    let text = format!("{note:#}\n");
    file.write_all(text.as_bytes()).map_err(|error| Error::io("write", path, error))?;
    file.sync()?;
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// A file in a folder that may be one of Windows, of Unix, a share or a URL.
fn server_path(folder: &str, file: &str) -> String {
    let separator = if folder.contains('\\') { '\\' } else { '/' };
    format!("{}{separator}{file}", folder.trim_end_matches(['/', '\\']))
}

fn slug(database: &str) -> String {
    database.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_path_keeps_the_separator_of_its_server() {
        assert_eq!(server_path("D:\\Backups\\", "a.bak"), "D:\\Backups\\a.bak");
        assert_eq!(server_path("/var/backups", "a.bak"), "/var/backups/a.bak");
        assert_eq!(server_path("https://x/y", "a.bak"), "https://x/y/a.bak");
        assert_eq!(slug("a/b..\\c"), "a-b---c");
    }
}
