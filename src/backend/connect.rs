//! Which instance is meant.

use super::sqlserver::{Address, Credentials};
use super::{Backend, Sandbox, sqlite, sqlserver};
use crate::durable::{Disk, Local};
use crate::error::{Error, Kind, Result};
use crate::model::clock::{Clock, SystemClock};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A connection string, understood.
#[derive(Clone, Debug)]
pub enum Connection {
    /// `sqlite:FOLDER`: an embedded instance.
    Embedded(PathBuf),
    /// A server that speaks TDS.
    Server(Box<Address>),
}

/// Longer than a server takes to restart or to fail over.
const RECONNECT: Duration = Duration::from_secs(5 * 60);

/// What a session brings along. Tests and the demo bring a clock and a disk of their own.
#[derive(Clone)]
pub struct OpenOptions {
    /// Where the embedded instance reads the time.
    pub clock: Arc<dyn Clock>,
    /// Told of every commit.
    pub disk: Arc<dyn Disk>,
    /// The database whose transactions span the others: the job database, or the target of a
    /// replay.
    pub main_database: String,
    /// Whether the folder and the main database may be created.
    pub create: bool,
    /// Whether a statement that is at work is to be broken off, and its transaction rolled back; asked a
    /// few times a second. What follows the one that was broken off is done: how the work ends is written.
    pub give_up: fn() -> bool,
    /// So long a server that was reached before is waited for when it is away: it restarts, or fails over. The first login
    /// is tried once.
    pub reconnect: Duration,
    /// Connections over which many rows of a server are read. What comes, and in which order, does not
    /// depend on it.
    pub connections: usize,
    /// Bytes of values after which an embedded instance commits a group of batches (see
    /// [`Target::begin_commit_group`](super::Target::begin_commit_group)); it commits after two seconds, too.
    pub commit_group_bytes: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            disk: Arc::new(Local),
            main_database: sqlite::JOB_DATABASE.into(),
            create: false,
            give_up: || false,
            reconnect: RECONNECT,
            connections: 1,
            commit_group_bytes: 256 << 20,
        }
    }
}

/// The error of a statement that was given up.
pub(super) fn broken_off(doing: &str) -> Error {
    Error::new(Kind::Cancelled, format!("stopped as asked, in the middle of: {doing}; what was committed stands"))
        .hint("call it again; a run goes on with --resume")
}

impl Connection {
    /// Parses a connection string. Credentials count for a server alone.
    ///
    /// # Errors
    /// Usage: not a form that this version knows, or one that cannot log in.
    pub fn parse(text: &str, credentials: &Credentials) -> Result<Self> {
        match text.split_once(':') {
            Some((scheme, folder)) if scheme.eq_ignore_ascii_case("sqlite") && !folder.is_empty() => {
                Ok(Self::Embedded(PathBuf::from(folder)))
            }
            _ if Address::is_one(text) => {
                Address::parse(text, credentials).map(|address| Self::Server(Box::new(address)))
            }
            _ => Err(Error::usage("the connection is not of a form that this version knows").hint(
                "write sqlite:FOLDER for an embedded instance, or for SQL Server a connection string of ADO.NET \
                 (Server=tcp:HOST,PORT;User ID=LOGIN) or JDBC (jdbc:sqlserver://HOST:PORT;user=LOGIN)",
            )),
        }
    }

    /// What is unsafe about this connection, in words.
    pub fn warnings(&self) -> &[&'static str] {
        match self {
            Self::Embedded(_) => &[],
            Self::Server(address) => address.warnings(),
        }
    }

    /// The same server, by a SQL login; `None` of an embedded instance, which has no logins.
    pub fn as_login(&self, user: &str, password: &str) -> Option<Self> {
        match self {
            Self::Embedded(_) => None,
            Self::Server(address) => Some(Self::Server(Box::new(address.as_login(user, password)))),
        }
    }

    /// Opens a session.
    ///
    /// # Errors
    /// Database or Io, if the instance cannot be reached; Config, if it is none.
    pub fn open(&self, options: &OpenOptions) -> Result<Box<dyn Backend>> {
        match self {
            Self::Embedded(folder) => Ok(Box::new(sqlite::Session::open(folder, options)?)),
            Self::Server(address) => Ok(Box::new(sqlserver::Session::open(address, options)?)),
        }
    }

    /// Opens a session that can also build and change what it looks at, for the demo and for tests.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub fn open_sandbox(&self, options: &OpenOptions) -> Result<Box<dyn Sandbox>> {
        match self {
            Self::Embedded(folder) => Ok(Box::new(sqlite::Session::open(folder, options)?)),
            Self::Server(address) => Ok(Box::new(sqlserver::Session::open(address, options)?)),
        }
    }
}

/// The string without secrets, which can be printed.
impl std::fmt::Display for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded(folder) => write!(f, "sqlite:{}", folder.display()),
            Self::Server(address) => address.fmt(f),
        }
    }
}
