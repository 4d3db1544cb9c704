//! Where a test replays into: a folder, or databases of a server that are emptied for each test.

use crate::made::{columns, table_name};
use blobdelta::backend::{Connection, Credentials, OpenOptions, Sandbox};
use blobdelta::durable::{Disk, Local};
use blobdelta::error::Result;
use blobdelta::model::cell::{Cell, CellSink};
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::monitor::Silent;
use blobdelta::replay::{ReplayOptions, ReplayReport, replay};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every table that a test makes in a target, beside those of the ledger.
const TABLES: [&str; 14] = [
    "Files",
    "T",
    "Texts",
    "NoKey",
    "BlobDeltaReplayLedger",
    "BlobDeltaTombstone",
    "BlobDeltaReplayBundle",
    "BlobDeltaReplayRow",
    "BlobDeltaReplayRun",
    "BlobDeltaReplayOther",
    "BlobDeltaReplayDisplaced",
    "Standing",
    "ReferralAttachment",
    "ClientAttachment",
];

/// One test's own.
pub struct Place {
    folder: tempfile::TempDir,
    /// The connection string, where it is a server.
    pub server: Option<String>,
}

impl Place {
    pub fn embedded() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), server: None }
    }

    pub fn server(string: String) -> Self {
        Self { server: Some(string), ..Self::embedded() }
    }

    /// Where bundles are made.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// An empty target of this name; one of an earlier call is emptied.
    pub fn target(&self, name: &str) -> Into {
        let target = match &self.server {
            None => Into { at: format!("sqlite:{}", self.folder().join(name).display()), database: "Db".into() },
            Some(string) => Into { at: string.clone(), database: format!("Replay_{name}") },
        };
        if self.server.is_some() {
            let drops: Vec<String> = TABLES
                .iter()
                .map(|table| format!("IF OBJECT_ID(N'dbo.{table}') IS NOT NULL DROP TABLE dbo.{table};"))
                .collect();
            target.open().unwrap().execute_script(&drops.join("\n")).unwrap();
        }
        target
    }
}

/// A target.
#[derive(Clone)]
pub struct Into {
    /// Its connection string.
    pub at: String,
    /// The database.
    pub database: String,
}

impl Into {
    pub fn open(&self) -> Result<Box<dyn Sandbox>> {
        self.open_on(Arc::new(Local))
    }

    pub fn open_on(&self, disk: Arc<dyn Disk>) -> Result<Box<dyn Sandbox>> {
        self.open_with(OpenOptions { disk, ..OpenOptions::default() })
    }

    pub fn open_with(&self, options: OpenOptions) -> Result<Box<dyn Sandbox>> {
        let password = std::env::var("BLOBDELTA_PASSWORD").ok();
        let connection = Connection::parse(&self.at, &Credentials { password, access_token: None })?;
        let main_database = self.database.clone();
        connection.open_sandbox(&OpenOptions { main_database, create: true, ..options })
    }

    pub fn options(&self, allow_gap: bool) -> ReplayOptions {
        ReplayOptions { database: Some(self.database.clone()), create: true, allow_gap, ..ReplayOptions::default() }
    }

    pub fn apply(&self, bundles: &[PathBuf], allow_gap: bool) -> Result<ReplayReport> {
        replay(bundles, &mut *self.open()?, &self.options(allow_gap), &Silent)
    }

    /// The table that bundles made by hand go to.
    pub fn files(&self) -> TableName {
        TableName { db: self.database.clone(), ..table_name() }
    }

    /// Key and value of every row of it.
    pub fn existing(&self) -> BTreeMap<Guid, Option<Vec<u8>>> {
        let mut seen = Seen::default();
        let columns = [columns()[0].clone(), columns()[3].clone()];
        self.open().unwrap().scan(&self.files(), &columns, "stream_id", &mut seen).unwrap();
        seen.rows
    }
}

#[derive(Default)]
struct Seen {
    key: Option<Guid>,
    rows: BTreeMap<Guid, Option<Vec<u8>>>,
}

impl CellSink for Seen {
    fn cell(&mut self, _: usize, cell: Cell<'_>) -> Result<()> {
        match cell {
            Cell::Guid(key) => {
                self.key = Some(key);
                self.rows.insert(key, None);
            }
            Cell::Bytes(bytes) => drop(self.rows.insert(self.key.unwrap(), Some(bytes.to_vec()))),
            _ => {}
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        Ok(())
    }
}
