//! A small instance in a folder of its own, and the binary to work on it.

use blobdelta::backend::{Connection, OpenOptions, Sandbox};
use blobdelta::model::cell::Cell;
use blobdelta::model::column::Column;
use blobdelta::model::id::Guid;
use blobdelta::model::name::TableName;
use blobdelta::model::sqltype::SqlType;
use blobdelta::model::time::Timestamp;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The configured table of every world.
pub const DOCS: &str = "Src.dbo.Docs";

/// How a call of the binary ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The one document on stdout.
    pub fn json(&self) -> Value {
        assert_eq!(self.stdout.matches('\n').count(), 1, "one line: {self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub struct World {
    dir: tempfile::TempDir,
}

impl World {
    /// A deployed instance with one table of three rows, configured but never run, and a folder
    /// for bundles.
    pub fn new() -> Self {
        let world = Self::bare();
        world.seed(DOCS, SqlType::NVarChar(Some(50)));
        world.good(&["deploy"]);
        world.good(&["table", "add", DOCS, "--metadata", "Meta.dbo.Docs", "MetadataIdColumn=Id"]);
        world
    }

    /// Nothing but a folder for bundles.
    pub fn bare() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("out")).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn out(&self) -> String {
        self.path("out").display().to_string()
    }

    pub fn connection(&self) -> String {
        format!("sqlite:{}", self.path("source").display())
    }

    pub fn backend(&self) -> Box<dyn Sandbox> {
        let options = OpenOptions { create: true, ..OpenOptions::default() };
        Connection::Embedded(self.path("source")).open_sandbox(&options).unwrap()
    }

    /// A blob table and its metadata, with a column of the given type.
    pub fn seed(&self, table: &str, extra: SqlType) {
        let mut backend = self.backend();
        let source = TableName::parse(table).unwrap();
        let metadata = TableName { db: "Meta".into(), ..source.clone() };
        backend.create_database(&source.db).unwrap();
        backend.create_database("Meta").unwrap();
        let columns = [
            Column::new("stream_id", SqlType::UniqueIdentifier, false),
            Column::new("file_stream", SqlType::VarBinary(None), true),
            Column::new("path_locator", SqlType::VarBinary(Some(892)), false),
            Column::new("parent_path_locator", SqlType::VarBinary(Some(892)), true),
            Column::new("extra", extra, true),
        ];
        backend.create_table(&source, &columns, "stream_id", &[]).unwrap();
        let of_metadata = [
            Column::new("Id", SqlType::UniqueIdentifier, false),
            Column::new("ModifiedOn", SqlType::DateTime2(7), true),
        ];
        backend.create_table(&metadata, &of_metadata, "Id", &[&["ModifiedOn"]]).unwrap();
        for number in 1..=3 {
            let (key, path) = (Guid::from_bytes([number; 16]), [number]);
            let bytes = vec![number; 1000];
            let row = [Cell::Guid(key), Cell::Bytes(&bytes), Cell::Bytes(&path), Cell::Null, Cell::Null];
            backend.insert(&source, &columns, &[row.to_vec()]).unwrap();
            let at = Timestamp::parse("2020-05-01").unwrap();
            backend.insert(&metadata, &of_metadata, &[vec![Cell::Guid(key), Cell::DateTime(at)]]).unwrap();
        }
    }

    /// Rows of the configured table, each a key, a path and a value, stamped at one time.
    pub fn add_rows(&self, rows: &[(Guid, &[u8], &[u8])], at: Timestamp) {
        let mut backend = self.backend();
        let (source, metadata) = (TableName::parse(DOCS).unwrap(), TableName::parse("Meta.dbo.Docs").unwrap());
        let columns = [
            Column::new("stream_id", SqlType::UniqueIdentifier, false),
            Column::new("file_stream", SqlType::VarBinary(None), true),
            Column::new("path_locator", SqlType::VarBinary(Some(892)), false),
        ];
        let (mut blobs, mut stamps) = (Vec::new(), Vec::new());
        for (key, path, bytes) in rows {
            blobs.push(vec![Cell::Guid(*key), Cell::Bytes(bytes), Cell::Bytes(path)]);
            stamps.push(vec![Cell::Guid(*key), Cell::DateTime(at)]);
        }
        backend.insert(&source, &columns, &blobs).unwrap();
        let columns = [
            Column::new("Id", SqlType::UniqueIdentifier, false),
            Column::new("ModifiedOn", SqlType::DateTime2(7), true),
        ];
        backend.insert(&metadata, &columns, &stamps).unwrap();
    }

    /// Calls the binary on the instance of this world.
    pub fn call(&self, args: &[&str]) -> Ended {
        self.call_on(&self.connection(), args)
    }

    /// Calls the binary on another instance, or on none.
    pub fn call_on(&self, connection: &str, args: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
        command.args(args).current_dir(self.dir.path()).env_remove("BLOBDELTA_CONNECTION").env("BLOBDELTA_CONFIG", "");
        if !connection.is_empty() {
            command.env("BLOBDELTA_CONNECTION", connection);
        }
        let done = command.output().unwrap();
        Ended {
            code: done.status.code().unwrap(),
            stdout: String::from_utf8(done.stdout).unwrap(),
            stderr: String::from_utf8(done.stderr).unwrap(),
        }
    }

    /// A call that has to succeed.
    pub fn good(&self, args: &[&str]) -> Ended {
        let ended = self.call(args);
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        ended
    }

    /// A run that publishes one bundle; gives its folder.
    pub fn bundle(&self) -> PathBuf {
        let document = self.good(&["run", "--out", &self.out(), "--json"]).json();
        PathBuf::from(document["bundles"][0].as_str().unwrap())
    }
}

/// Every file under a folder, with its bytes.
pub fn tree(folder: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut folders) = (std::collections::BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for path in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(path).unwrap());
            }
        }
    }
    found
}
