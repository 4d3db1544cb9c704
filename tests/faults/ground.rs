//! Where hostile names are tried: an embedded instance, made anew for each, or the one server, whose
//! sessions and job database stay, because a session there takes long until it knows the procedures.
//!
//! A database that will be called by a name is noted on the server before it is made, so that what a process
//! leaves that died in between is dropped by the next, and nothing else is.

use crate::SERVER;
use crate::faults::site::scratch;
use crate::scenarios::server::{Server, empty};
use crate::scenarios::session::Session;
use blobdelta::backend::{Backend, Connection, Credentials, OpenOptions};
use blobdelta::error::Result;
use blobdelta::model::cell::{Cell, CellSink};
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

    fn source(&mut self) -> &mut dyn Backend;

    /// Where the database `Copy` is.
    fn target(&mut self) -> &mut dyn Backend;

    /// The rows of the canaries, as another session sees them.
    fn canaries(&mut self) -> Vec<u64>;

    /// Whether the instance itself takes the name there: a plain statement says so, without anything
    /// that is tried here.
    fn takes(&mut self, name: &str, place: &str) -> bool;
}

fn canary(db: &str) -> TableName {
    TableName::new(db, "dbo", "Canary").unwrap()
}

fn id() -> [Column; 1] {
    [Column::new("Id", SqlType::UniqueIdentifier, false)]
}

fn plant_canaries(backend: &mut dyn Backend) -> Result<()> {
    for db in WITH_CANARY {
        backend.create_database(db)?;
        backend.create_table(&canary(db), &id(), "Id", &[])?;
        backend.insert(&canary(db), &id(), &[vec![Cell::Guid(Guid::from_bytes([1; 16]))]])?;
    }
    Ok(())
}

#[derive(Default)]
struct Count(u64);

impl CellSink for Count {
    fn cell(&mut self, _: usize, _: Cell<'_>) -> Result<()> {
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        self.0 += 1;
        Ok(())
    }
}

fn count_canaries(backend: &mut dyn Backend) -> Vec<u64> {
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
    /// The source, the target and their folder, which goes last.
    open: Option<(Box<dyn Backend>, Option<Box<dyn Backend>>, tempfile::TempDir)>,
}

impl Embedded {
    fn open(&self, folder: &str, main: &str) -> Box<dyn Backend> {
        let options = OpenOptions { create: true, main_database: main.into(), ..OpenOptions::default() };
        Connection::Embedded(self.folder().join(folder)).open(&options).unwrap()
    }
}

impl Ground for Embedded {
    fn has_schemas(&self) -> bool {
        false
    }

    fn begin(&mut self, _: &str, _: &str) {
        let folder = scratch();
        let options = OpenOptions { create: true, ..OpenOptions::default() };
        let mut source = Connection::Embedded(folder.path().join("source")).open(&options).unwrap();
        plant_canaries(&mut *source).unwrap();
        source.deploy().unwrap();
        self.open = Some((source, None, folder));
    }

    fn end(&mut self) {
        self.open = None;
    }

    fn folder(&self) -> &Path {
        self.open.as_ref().unwrap().2.path()
    }

    fn source(&mut self) -> &mut dyn Backend {
        &mut *self.open.as_mut().unwrap().0
    }

    fn target(&mut self) -> &mut dyn Backend {
        let target = self.open("target", "Copy");
        &mut **self.open.as_mut().unwrap().1.insert(target)
    }

    fn canaries(&mut self) -> Vec<u64> {
        count_canaries(&mut *self.open("source", "Src"))
    }

    fn takes(&mut self, _: &str, _: &str) -> bool {
        false
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
        let noted = "IF OBJECT_ID(N'dbo.ScenarioDatabase') IS NULL
                     CREATE TABLE dbo.ScenarioDatabase (Name nvarchar(128) NOT NULL)";
        control.execute_script(noted).unwrap();
        drop_noted(&mut *control).unwrap();
        plant_canaries(&mut *control).unwrap();
        let source = Session::lent(&connection);
        let options = OpenOptions { main_database: "Copy".into(), ..OpenOptions::default() };
        Self { source, target: Session::own(&connection, &options), control, schema: None, folder: scratch() }
    }

    /// Runs statements in a database; whether the server did.
    fn does(&mut self, db: &str, sql: &str) -> bool {
        let done = self.control.execute_script(&format!("USE {db};\n{sql}"));
        self.control.execute_script("USE BlobDeltaJobs;").unwrap();
        done.is_ok()
    }
}

/// Drops the databases that were noted.
fn drop_noted(control: &mut dyn Backend) -> Result<()> {
    control.execute_script(
        "DECLARE @Name nvarchar(128), @Sql nvarchar(400);
         SET @Name = (SELECT MIN(Name) FROM dbo.ScenarioDatabase);
         WHILE @Name IS NOT NULL
         BEGIN
             SET @Sql = N'DROP DATABASE ' + QUOTENAME(@Name);
             IF DB_ID(@Name) IS NOT NULL EXEC (@Sql);
             DELETE FROM dbo.ScenarioDatabase WHERE Name = @Name;
             SET @Name = (SELECT MIN(Name) FROM dbo.ScenarioDatabase);
         END;",
    )
}

impl Ground for OnServer {
    fn has_schemas(&self) -> bool {
        true
    }

    fn begin(&mut self, name: &str, place: &str) {
        self.folder = scratch();
        self.schema = Some(name.to_owned()).filter(|name| place == "schema" && check_identifier(name).is_ok());
        let databases = if place == "database" { vec![name.to_owned(), format!("{name}_Delta")] } else { Vec::new() };
        for name in databases.iter().filter(|name| check_identifier(name).is_ok()).map(|name| literal(name)) {
            let note = format!(
                "IF DB_ID({name}) IS NOT NULL RAISERROR (N'the server has such a database, not of these tests', 16, 1)
                 ELSE INSERT INTO dbo.ScenarioDatabase (Name) VALUES ({name})"
            );
            self.control.execute_script(&note).unwrap();
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
        // What the sessions know of tables that are gone is forgotten behind a script.
        self.source.execute_script("USE BlobDeltaJobs;").unwrap();
        self.target.execute_script("USE Copy;").unwrap();
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn source(&mut self) -> &mut dyn Backend {
        &mut *self.source
    }

    fn target(&mut self) -> &mut dyn Backend {
        &mut *self.target
    }

    fn canaries(&mut self) -> Vec<u64> {
        count_canaries(&mut *self.control)
    }

    fn takes(&mut self, name: &str, place: &str) -> bool {
        let called = bracketed(name);
        let (make, remove) = match place {
            "database" => (format!("CREATE DATABASE {called}"), format!("DROP DATABASE {called}")),
            "schema" => (format!("CREATE SCHEMA {called}"), format!("DROP SCHEMA {called}")),
            "table" | "table of units" => {
                (format!("CREATE TABLE dbo.{called} (Id int NOT NULL)"), format!("DROP TABLE dbo.{called}"))
            }
            "file" => (format!("DECLARE @Name nvarchar(255) = {}", literal(name)), String::new()),
            _ => (format!("CREATE TABLE dbo.Probe ({called} int NOT NULL)"), "DROP TABLE dbo.Probe".into()),
        };
        // In a database of its own, where nothing is called like it.
        self.does("Meta", &make) && self.does("Meta", &remove)
    }
}
