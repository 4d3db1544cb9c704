//! The two kinds of instance that a scenario runs on, and where a world stands on one.

use crate::server::Server;
use blobdelta::backend::{Backend, Connection, OpenOptions};
use blobdelta::durable::Disk;
use blobdelta::model::clock::ManualClock;
use blobdelta::model::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a scenario runs on.
#[derive(Clone, Debug)]
pub enum Instance {
    /// A folder of its own for each world.
    Embedded,
    /// A server, on which one world at a time stands.
    Server(Arc<Connection>),
}

/// Where one world stands.
pub enum Place {
    Embedded { folder: PathBuf, clock: Arc<ManualClock> },
    Server(Box<Server>),
}

impl Place {
    /// A place with the databases `Src` and `Meta` and an empty job database.
    pub fn new(on: &Instance, folder: &Path) -> Self {
        match on {
            Instance::Embedded => {
                let folder = folder.join("source");
                let place = Self::Embedded { folder, clock: Arc::new(ManualClock::at(Timestamp::MIN)) };
                let create = OpenOptions { create: true, ..place.options() };
                let mut backend = place.connection().open(&create).unwrap();
                backend.deploy().unwrap();
                for db in ["Src", "Meta"] {
                    backend.create_database(db).unwrap();
                }
                place
            }
            Instance::Server(connection) => Self::Server(Box::new(Server::emptied(connection))),
        }
    }

    fn connection(&self) -> Connection {
        match self {
            Self::Embedded { folder, .. } => Connection::Embedded(folder.clone()),
            Self::Server(server) => Connection::clone(&server.connection),
        }
    }

    fn options(&self) -> OpenOptions {
        match self {
            Self::Embedded { clock, .. } => {
                let clock: Arc<ManualClock> = Arc::clone(clock);
                OpenOptions { clock, ..OpenOptions::default() }
            }
            Self::Server(_) => OpenOptions::default(),
        }
    }

    /// A session on the instance.
    pub fn open(&self, disk: &Arc<dyn Disk>) -> Box<dyn Backend> {
        let options = OpenOptions { disk: Arc::clone(disk), ..self.options() };
        self.connection().open(&options).unwrap()
    }

    /// A session whose main database is `Copy`: on a server another database, on an embedded
    /// instance another folder.
    pub fn target(&self) -> Box<dyn Backend> {
        let options = OpenOptions { main_database: "Copy".into(), create: true, ..OpenOptions::default() };
        let connection = match self {
            Self::Embedded { folder, .. } => Connection::Embedded(folder.with_file_name("target")),
            Self::Server(server) => Connection::clone(&server.connection),
        };
        connection.open(&options).unwrap()
    }

    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded { .. })
    }

    pub fn set_clock(&mut self, utc: Timestamp) {
        match self {
            Self::Embedded { clock, .. } => clock.set(utc),
            Self::Server(server) => server.set_clock(utc),
        }
    }

    pub fn set_offset(&mut self, minutes: i64) {
        match self {
            Self::Embedded { clock, .. } => clock.set_offset_minutes(minutes),
            Self::Server(server) => server.set_offset(minutes),
        }
    }

    /// After a deployment, which brings a server's own clock back.
    pub fn stop_clock(&mut self) {
        if let Self::Server(server) = self {
            server.stop_clock();
        }
    }

    pub fn finest_ticks(&self) -> i64 {
        match self {
            Self::Embedded { .. } => 1,
            Self::Server(server) => server.finest_ticks,
        }
    }
}
