//! What an operator has done, through the library, so that a test can bring a disk that fails; and
//! what the operator does after it failed.

use crate::faults::site::Site;
use blobdelta::backend::{Backend, Connection, OpenOptions};
use blobdelta::bundle::{self, Bundle};
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::{Disk, Local};
use blobdelta::engine::{self, PackOptions, PackRequest, RunOptions};
use blobdelta::error::Result;
use blobdelta::model::run::{RunRequest, Scope};
use blobdelta::model::slice::SliceState;
use blobdelta::monitor::Silent;
use blobdelta::replay::{ReplayOptions, replay};
use blobdelta::unpack::{UnpackOptions, unpack};
use blobdelta::verify::{VerifyLevel, verify};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Run,
    Pack,
    Replay,
    Compact,
    Unpack,
    Archive,
    Extract,
}

impl Work {
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "a run",
            Self::Pack => "a pack",
            Self::Replay => "a replay",
            Self::Compact => "a compaction",
            Self::Unpack => "an unpacking",
            Self::Archive => "an archive",
            Self::Extract => "an extraction",
        }
    }

    /// A site on which it is to be done next.
    pub fn site(self) -> Site {
        let site = Site::loaded();
        match self {
            Self::Run => {}
            Self::Pack => site.unpacked_run(),
            _ => drop(site.good(&["run", "--out", "out"])),
        }
        for folder in ["compacted", "archived", "extracted"] {
            std::fs::create_dir(site.path(folder)).unwrap();
        }
        if self == Self::Extract {
            Self::Archive.act(&site, &local()).unwrap();
        }
        site
    }

    /// Does it, with this disk below the files and the databases.
    pub fn act(self, site: &Site, disk: &Arc<dyn Disk>) -> Result<()> {
        match self {
            Self::Run => run(site, disk),
            Self::Pack => {
                let mut backend = open(site, "source", "BlobDeltaJobs", disk)?;
                let (run, out) = (backend.recent_runs(1)?[0].id, site.path("out"));
                let packing = PackOptions::default();
                engine::pack(
                    &mut *backend,
                    &PackRequest { run_id: run, out: &out, options: &packing, lease_seconds: 600 },
                    &**disk,
                    &Silent,
                )
                .map(drop)
            }
            Self::Replay => {
                let mut target = open(site, "target", "Src", disk)?;
                let options = ReplayOptions { create: true, ..ReplayOptions::default() };
                replay(&paths(site, "out"), &mut *target, &options, &Silent).map(drop)
            }
            Self::Compact => {
                let bundles = paths(site, "out").iter().map(|path| Bundle::open(path)).collect::<Result<_>>()?;
                let options = CompactOptions::default();
                compact(bundles, &**disk, &site.path("compacted"), &options, &Silent).map(drop)
            }
            Self::Unpack => {
                let options = UnpackOptions { latest: true, ..UnpackOptions::new(site.path("files")) };
                unpack(&paths(site, "out"), &options, &**disk, &Silent, &mut |_| ()).map(drop)
            }
            Self::Archive => paths(site, "out").iter().try_for_each(|path| {
                bundle::archive(&Bundle::open(path)?, &**disk, &site.path("archived"), None, &Silent).map(drop)
            }),
            Self::Extract => paths(site, "archived").iter().try_for_each(|path| {
                bundle::extract(&Bundle::open(path)?, &**disk, &site.path("extracted"), &Silent).map(drop)
            }),
        }
    }

    /// What stands after a failure may stand: each bundle is whole, and the watermark is where a
    /// complete slice or a bundle ends.
    pub fn check(self, site: &Site, context: &str) {
        for folder in ["out", "compacted", "archived", "extracted"] {
            for path in paths(site, folder) {
                let found = verify(&path, VerifyLevel::Deep, &Silent).unwrap().findings;
                assert!(found.is_empty(), "{context}: {}: {found:?}", path.display());
            }
        }
        let mut backend = open(site, "source", "BlobDeltaJobs", &local()).unwrap();
        let config = backend.tables().unwrap().into_iter().find(|table| table.is_active).unwrap();
        let mark = backend.watermarks().unwrap().into_iter().find(|mark| mark.table == config.name);
        let mark = mark.and_then(|mark| mark.last_high_water);
        let slice = backend.slice_marker(&config).unwrap();
        let ends = paths(site, "out");
        let ends = ends.iter().map(|path| Bundle::open(path).unwrap().manifest().tables[0].window.window().end);
        let complete = slice
            .window
            .filter(|_| matches!(slice.state, SliceState::Complete | SliceState::Packed))
            .map(|window| window.end);
        let ends: Vec<_> = ends.chain(complete).collect();
        assert!(mark.is_none_or(|mark| ends.contains(&mark)), "{context}: {mark:?} of {ends:?}");
    }

    /// Does it again as an operator would, after leases have expired, and gives the rows that are
    /// lost at the end, and those that are too many.
    pub fn again(self, site: &Site, context: &str) -> (u64, u64) {
        site.expire_leases();
        if self == Self::Unpack && site.path("files").exists() {
            std::fs::remove_dir_all(site.path("files")).unwrap();
        }
        let again = if self == Self::Pack { run(site, &local()) } else { self.act(site, &local()) };
        again.unwrap_or_else(|error| panic!("{context}: and again: {error}"));
        self.check(site, context);
        // One that died before it said that it lives is taken for one that is about to, for a minute.
        for folder in ["compacted", "archived", "extracted"] {
            let litter = site.litter(folder).into_iter().map(|name| site.path(folder).join(name));
            litter.for_each(|path| match path.symlink_metadata() {
                Ok(found) if found.len() == 0 => std::fs::remove_file(&path).unwrap(),
                _ => drop(std::fs::remove_dir(&path)),
            });
        }
        let litter = |folder: &str| site.litter(folder);
        match self {
            Self::Run | Self::Pack => assert_eq!(litter("out"), [] as [String; 0], "{context}"),
            Self::Compact => assert_eq!(litter("compacted"), [] as [String; 0], "{context}"),
            Self::Archive => assert_eq!(litter("archived"), [] as [String; 0], "{context}"),
            Self::Extract => assert_eq!(litter("extracted"), [] as [String; 0], "{context}"),
            Self::Replay | Self::Unpack => {}
        }
        self.lost_and_extra(site)
    }

    pub fn lost_and_extra(self, site: &Site) -> (u64, u64) {
        let folder = match self {
            Self::Run | Self::Pack => "out",
            Self::Replay => return site.compare("target"),
            Self::Unpack => return site.compare_files("files"),
            Self::Compact => "compacted",
            Self::Archive => "archived",
            Self::Extract => "extracted",
        };
        let mut target = open(site, "checked", "Src", &local()).unwrap();
        let options = ReplayOptions { create: true, ..ReplayOptions::default() };
        replay(&paths(site, folder), &mut *target, &options, &Silent).unwrap();
        drop(target);
        site.compare("checked")
    }
}

pub fn local() -> Arc<dyn Disk> {
    Arc::new(Local)
}

fn open(site: &Site, folder: &str, main_database: &str, disk: &Arc<dyn Disk>) -> Result<Box<dyn Backend>> {
    let options = OpenOptions {
        disk: Arc::clone(disk),
        main_database: main_database.to_owned(),
        create: folder != "source",
        ..OpenOptions::default()
    };
    Connection::Embedded(site.path(folder)).open(&options)
}

fn run(site: &Site, disk: &Arc<dyn Disk>) -> Result<()> {
    let mut backend = open(site, "source", "BlobDeltaJobs", disk)?;
    let request = RunRequest {
        requested_by: "a test".into(),
        table: None,
        scope: Scope::All,
        batch_size: Some(20),
        max_dop: 1,
        from: None,
        until: None,
        continues: None,
    };
    let options = RunOptions {
        request,
        resume: None,
        take_over: None,
        out: Some(site.path("out")),
        backup_slice: None,
        pack: PackOptions::default(),
        lease_seconds: 600,
    };
    let report = engine::run(&mut *backend, &options, &**disk, &Silent)?;
    report.tables.into_iter().find_map(|table| table.error).map_or(Ok(()), Err)
}

fn paths(site: &Site, folder: &str) -> Vec<PathBuf> {
    site.bundles(folder).iter().map(|name| site.path(name)).collect()
}

/// Every file below a folder by its name, and what is in it.
pub fn files(root: &std::path::Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(path, bytes);
            }
        }
    }
    found
}
