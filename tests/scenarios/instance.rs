//! The two kinds of instance that a scenario runs on, and where a world stands on one.

use crate::scenarios::server::Server;
use crate::scenarios::session::Session;
use blobdelta::backend::{Connection, OpenOptions};
use blobdelta::durable::{Disk, Local};
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
                let connection = Connection::Embedded(folder.clone());
                let clock = Arc::new(ManualClock::at(Timestamp::MIN));
                let options =
                    OpenOptions { clock: Arc::<ManualClock>::clone(&clock), create: true, ..OpenOptions::default() };
                let mut backend = connection.open_sandbox(&options).unwrap();
                backend.deploy().unwrap();
                for db in ["Src", "Meta"] {
                    backend.create_database(db).unwrap();
                }
                Self::Embedded { folder, clock }
            }
            Instance::Server(connection) => Self::Server(Box::new(Server::emptied(connection))),
        }
    }

    /// A session on the instance; one with a disk of its own dies with it.
    pub fn open(&self, disk: Option<&Arc<dyn Disk>>) -> Session {
        let options =
            OpenOptions { disk: disk.map_or_else(|| Arc::new(Local) as _, Arc::clone), ..OpenOptions::default() };
        match (self, disk) {
            (Self::Embedded { folder, clock }, _) => {
                let clock: Arc<ManualClock> = Arc::clone(clock);
                Session::own(&Connection::Embedded(folder.clone()), &OpenOptions { clock, ..options })
            }
            (Self::Server(server), Some(_)) => Session::own(&server.connection, &options),
            (Self::Server(server), None) => Session::lent(&server.connection),
        }
    }

    /// Opens a session wherever it is called, on another thread as well.
    pub fn opener(&self) -> Box<dyn FnOnce() -> Session + Send> {
        match self {
            Self::Embedded { folder, clock } => {
                let (connection, clock) = (Connection::Embedded(folder.clone()), Arc::<ManualClock>::clone(clock));
                Box::new(move || Session::own(&connection, &OpenOptions { clock, ..OpenOptions::default() }))
            }
            Self::Server(server) => {
                let connection = server.connection.clone();
                Box::new(move || Session::own(&connection, &OpenOptions::default()))
            }
        }
    }

    /// A session that reads slices over several connections, where there is a network.
    pub fn open_over(&self, connections: usize) -> Session {
        let options = OpenOptions { connections, ..OpenOptions::default() };
        match self {
            Self::Embedded { folder, clock } => {
                let clock: Arc<ManualClock> = Arc::clone(clock);
                Session::own(&Connection::Embedded(folder.clone()), &OpenOptions { clock, ..options })
            }
            Self::Server(server) => Session::own(&server.connection, &options),
        }
    }

    /// A session whose main database is `Copy`: on a server another database, on an embedded
    /// instance another folder.
    pub fn target(&self) -> Session {
        let options = OpenOptions { main_database: "Copy".into(), create: true, ..OpenOptions::default() };
        match self {
            Self::Embedded { folder, .. } => {
                Session::own(&Connection::Embedded(folder.with_file_name("target")), &options)
            }
            Self::Server(server) => Session::own(&server.connection, &options),
        }
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
