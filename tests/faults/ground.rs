//! Where hostile names are tried: an embedded instance, made anew for each, or the one server, whose
//! sessions and job database stay, because a session there takes long until it knows the procedures.

use crate::SERVER;
use crate::faults::site::scratch;
use crate::scenarios::read::Count;
use crate::scenarios::server::{Server, drop_noted, empty, note_database};
use crate::scenarios::session::Session;
use blobdelta::backend::{Connection, Credentials, OpenOptions, Sandbox};
use blobdelta::error::Result;
use blobdelta::model::cell::Cell;
use blobdelta::model::column::Column;
use blobdelta::model::id::Guid;
use blobdelta::model::name::{TableName, check_identifier};
use blobdelta::model::sqltype::SqlType;
use std::path::Path;
use std::sync::Arc;

/// Databases with a canary: the one that most names stand in, and another.
const WITH_CANARY: [&str; 2] = ["Src", "Meta"];

/// See the module's text.
pub trait Ground {
    /// Whether a schema may be called anything.
    fn has_schemas(&self) -> bool;

    /// Everything is deployed, and the canaries stand.
    fn begin(&mut self, name: &str, place: &str);

    /// Nothing is left of the name.
    fn end(&mut self);

    /// A folder of this name's own.
    fn folder(&self) -> &Path;

    fn source(&mut self) -> &mut dyn Sandbox;

    /// Where the database `Copy` is.
    fn target(&mut self) -> &mut dyn Sandbox;

    /// The rows of the canaries, as another session sees them.
    fn canaries(&mut self) -> Vec<u64>;

    /// Whether the instance itself takes the name there, from anybody: asked by plain statements, with
    /// nothing of what is tried here.
    ///
    /// Seen on a server that is not Microsoft's, and not expected on one that is: no bracket in any name;
    /// no quotes, because its QUOTENAME doubles those too; no database with letters beyond ASCII, because its
    /// answer to USE cannot be read then; a name of more than 63 bytes is kept as another.
    fn takes(&mut self, name: &str, place: &str) -> bool;
}

fn canary(db: &str) -> TableName {
    TableName::new(db, "dbo", "Canary").unwrap()
}

fn id() -> [Column; 1] {
    [Column::new("Id", SqlType::UniqueIdentifier, false)]
}

fn seed_canaries(backend: &mut dyn Sandbox) -> Result<()> {
    for db in WITH_CANARY {
        backend.create_database(db)?;
        backend.create_table(&canary(db), &id(), "Id", &[])?;
        backend.insert(&canary(db), &id(), &[vec![Cell::Guid(Guid::from_bytes([1; 16]))]])?;
    }
    Ok(())
}

fn count_canaries(backend: &mut dyn Sandbox) -> Vec<u64> {
    let mut count = |db| {
        let mut count = Count::default();
        backend.scan(&canary(db), &id(), "Id", &mut count).unwrap();
        count.0
    };
    WITH_CANARY.map(&mut count).to_vec()
}

/// An embedded instance.
#[derive(Default)]
pub struct Embedded {
    source: Option<Box<dyn Sandbox>>,
    target: Option<Box<dyn Sandbox>>,
    /// Goes last.
    folder: Option<tempfile::TempDir>,
}

impl Embedded {
    fn open(&self, folder: &str, main: &str) -> Box<dyn Sandbox> {
        let options = OpenOptions { create: true, main_database: main.into(), ..OpenOptions::default() };
        Connection::Embedded(self.folder().join(folder)).open_sandbox(&options).unwrap()
    }
}

impl Ground for Embedded {
    fn has_schemas(&self) -> bool {
        false
    }

    fn begin(&mut self, _: &str, _: &str) {
        self.folder = Some(scratch());
        let mut source = self.open("source", "BlobDeltaJobs");
        seed_canaries(&mut *source).unwrap();
        source.deploy().unwrap();
        self.source = Some(source);
    }

    fn end(&mut self) {
        *self = Self::default();
    }

    fn folder(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }

    fn source(&mut self) -> &mut dyn Sandbox {
        &mut **self.source.as_mut().unwrap()
    }

    fn target(&mut self) -> &mut dyn Sandbox {
        let target = self.open("target", "Copy");
        &mut **self.target.insert(target)
    }

    fn canaries(&mut self) -> Vec<u64> {
        count_canaries(&mut *self.open("source", "Src"))
    }

    /// SQLite takes no NUL and keeps a prefix for itself; a file's name has 255 bytes at most.
    fn takes(&mut self, name: &str, place: &str) -> bool {
        let is_long = place == "database" && name.len() > 200;
        !(is_long || name.contains('\0') || name.starts_with("sqlite_"))
    }
}

/// The server that the environment names.
pub struct OnServer {
    source: Session,
    target: Session,
    /// No name is tried on it.
    control: Session,
    /// Of the name that is tried.
    schema: Option<String>,
    /// A table that is called like a temporary one is one, and stays in the session that made it.
    temporary: Option<String>,
    folder: tempfile::TempDir,
}

fn bracketed(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

impl OnServer {
    pub fn new() -> Self {
        let credentials = Credentials { password: std::env::var("BLOBDELTA_PASSWORD").ok(), access_token: None };
        let connection = Arc::new(Connection::parse(&std::env::var(SERVER).unwrap(), &credentials).unwrap());
        drop(Server::emptied(&connection));
        let mut control = Session::own(&connection, &OpenOptions::default());
        seed_canaries(&mut *control).unwrap();
        let source = Session::lent(&connection);
        let options = OpenOptions { main_database: "Copy".into(), ..OpenOptions::default() };
        Self {
            source,
            target: Session::own(&connection, &options),
            control,
            schema: None,
            temporary: None,
            folder: scratch(),
        }
    }

    /// Runs statements in a database; whether the server did.
    fn does(&mut self, db: &str, sql: &str) -> bool {
        let done = self.control.execute_script(&format!("USE {db};\n{sql}"));
        let back = self.control.execute_script("USE BlobDeltaJobs;");
        done.is_ok() && back.is_ok()
    }
}

impl Ground for OnServer {
    fn has_schemas(&self) -> bool {
        true
    }

    fn begin(&mut self, name: &str, place: &str) {
        self.folder = scratch();
        self.schema = Some(name.to_owned()).filter(|name| place == "schema" && check_identifier(name).is_ok());
        self.temporary = Some(bracketed(name)).filter(|_| name.starts_with('#') && place.starts_with("table"));
        let databases = if place == "database" { vec![name.to_owned(), format!("{name}_Delta")] } else { Vec::new() };
        for name in databases.iter().filter(|name| check_identifier(name).is_ok()) {
            note_database(&mut *self.control, name).unwrap();
        }
    }

    fn end(&mut self) {
        empty(&mut *self.control, "name <> N'Canary'").unwrap();
        drop_noted(&mut *self.control).unwrap();
        if let Some(schema) = self.schema.take() {
            // One that stays harms nothing: it has no tables.
            for db in ["Src", "Src_Delta", "Copy"] {
                self.does(db, &format!("DROP SCHEMA {}", bracketed(&schema)));
            }
        }
        if let Some(table) = self.temporary.take() {
            let _ = self.source.execute_script(&format!("DROP TABLE {table};"));
        }
        // What the sessions know of tables that are gone is forgotten behind a script.
        self.source.execute_script("USE BlobDeltaJobs;").unwrap();
        self.target.execute_script("USE Copy;").unwrap();
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn source(&mut self) -> &mut dyn Sandbox {
        &mut *self.source
    }

    fn target(&mut self) -> &mut dyn Sandbox {
        &mut *self.target
    }

    fn canaries(&mut self) -> Vec<u64> {
        count_canaries(&mut *self.control)
    }

    fn takes(&mut self, name: &str, place: &str) -> bool {
        let called = bracketed(name);
        let (make, remove) = match place {
            // Some servers make one that nobody can use.
            "database" => (format!("CREATE DATABASE {called}"), format!("DROP DATABASE {called}")),
            "schema" => {
                (format!("EXEC ({})", literal(&format!("CREATE SCHEMA {called}"))), format!("DROP SCHEMA {called}"))
            }
            "table" | "table of units" => {
                (format!("CREATE TABLE dbo.{called} (Id int NOT NULL)"), format!("DROP TABLE dbo.{called}"))
            }
            "file" => (format!("DECLARE @Name nvarchar(255) = {}", literal(name)), "SELECT 1".into()),
            _ => (format!("CREATE TABLE dbo.Probe ({called} int NOT NULL)"), "DROP TABLE dbo.Probe".into()),
        };
        // In a database where nothing is called like it. The procedures take a name from QUOTENAME.
        let (name, quoted) = (literal(name), literal(&called));
        let is_quoted = self.does("Meta", &format!("IF QUOTENAME({name}) <> {quoted} RAISERROR (N'wrong', 16, 1)"));
        let is_made = self.does("Meta", &make);
        let is_used = place != "database" || (is_made && self.does(&called, "SELECT 1"));
        let is_removed = is_made && self.does("Meta", &remove);
        is_quoted && is_removed && is_used
    }
}
