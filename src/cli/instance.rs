//! The instance that a command works on.

use super::login::Login;
use super::signals;
use crate::backend::{Backend, Connection, OpenOptions};
use crate::error::{Error, Result};
use std::path::PathBuf;
use std::time::Duration;

/// The instance to work on.
#[derive(clap::Args, Clone, Debug)]
pub struct Instance {
    /// The instance: a connection string of SQL Server (ADO.NET or JDBC), or sqlite:FOLDER for a folder of
    /// SQLite files
    #[arg(long, env = "BLOBDELTA_CONNECTION", hide_env_values = true, value_name = "CONNECTION")]
    connection: Option<String>,
    /// Wait at most N minutes for the server if it restarts or fails over during the command. The first login is
    /// tried only once
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1440))]
    reconnect_minutes: u32,
    #[command(flatten)]
    login: Login,
}

impl Instance {
    /// Opens the instance.
    ///
    /// # Errors
    /// Usage, if none was named; what [`Connection::open`] gives.
    pub fn open(&self, create: bool) -> Result<Box<dyn Backend>> {
        self.open_over(1, create)
    }

    /// The folder of an embedded instance that was named, where there is none.
    ///
    /// # Errors
    /// As [`Instance::open`].
    pub fn missing_folder(&self) -> Result<Option<PathBuf>> {
        Ok(match self.login.connection(self.text()?)? {
            Connection::Embedded(folder) if !folder.is_dir() => Some(folder),
            _ => None,
        })
    }

    /// Whether one was named, by whatever way.
    pub fn is_named(&self) -> bool {
        self.connection.as_deref().is_some_and(|text| !text.is_empty())
    }

    fn text(&self) -> Result<&str> {
        self.connection.as_deref().filter(|text| !text.is_empty()).ok_or_else(|| {
            Error::usage("no connection was given")
                .hint("add --connection with a connection string or sqlite:FOLDER, or set BLOBDELTA_CONNECTION")
        })
    }

    /// The same, with slices read over so many connections.
    ///
    /// # Errors
    /// As [`Instance::open`].
    pub fn open_over(&self, connections: u16, create: bool) -> Result<Box<dyn Backend>> {
        self.login.connection(self.text()?)?.open(&OpenOptions {
            create,
            give_up: signals::is_overdue,
            reconnect: Duration::from_secs(60 * u64::from(self.reconnect_minutes)),
            connections: connections.into(),
            ..OpenOptions::default()
        })
    }
}
