//! The connection to a server that statements go through, and what opens more of them.
//!
//! Nothing here knows of runs, slices or targets. How statements are sent, repeated and put into transactions is the
//! [`Client`]'s.

use super::abilities::Abilities;
use super::address::Address;
use super::catalog;
use super::client::Client;
use super::made::Made;
use super::reading::Cursor;
use super::sql::{Sql, quote};
use super::values::RowFields;
use super::watch::ReadTimeouts;
use crate::backend::connect::OpenOptions;
use crate::durable::Disk;
use crate::error::{Error, Kind, Result};
use crate::model::memory::Memory;
use std::time::Duration;

/// The job database of every instance.
pub(super) const JOB_DATABASE: &str = "BlobDeltaJobs";

/// See the module's text.
pub(super) struct Database {
    pub(super) client: Client,
    pub(super) address: Address,
    pub(super) options: OpenOptions,
    /// Connections that have read all rows that they were opened for.
    pub(super) readers: Vec<Client>,
    /// What may be read and not taken yet.
    pub(super) read_ahead_bytes: u64,
    /// Where a reading of many rows stands.
    pub(super) cursor: Option<Cursor>,
    pub(super) made: Made,
    /// What the server has, once it was asked.
    abilities: Option<Abilities>,
}

/// How long the server may be silent or away.
pub(super) fn watch_of(address: &Address, options: &OpenOptions) -> ReadTimeouts {
    ReadTimeouts { read_timeout: address.read_timeout(), give_up: options.give_up, reconnect: options.reconnect }
}

impl Database {
    /// Logs in, and uses the main database.
    ///
    /// # Errors
    /// Database, if the server cannot be reached or refuses the login; Config, if the main
    /// database is not there and may not be created.
    pub(super) fn open(address: &Address, options: &OpenOptions) -> Result<Self> {
        let mut client = Client::connect(address, None, watch_of(address, options))?;
        let mut made = Made::default();
        let main = &options.main_database;
        if catalog::has_database(&mut client, main)? {
            client.use_database(main)?;
        } else if !options.create {
            return Err(Error::config(format!(
                "there is no database {main} on {address}, or this login may not see it"
            ))
            .hint("check the connection string, or create it with deploy"));
        } else if main != JOB_DATABASE {
            // deploy creates the job database by its own script.
            client.batch("create the database", &format!("CREATE DATABASE {}", quote(main)))?;
            client.use_database(main)?;
            made.databases.push(main.clone());
        }
        Ok(Self {
            client,
            address: address.clone(),
            options: options.clone(),
            readers: Vec::new(),
            read_ahead_bytes: Memory::default().databases(),
            made,
            cursor: None,
            abilities: None,
        })
    }

    /// A second connection to the same server, with the main database in use. It is given up when the
    /// server is silent for so long, or never.
    pub(super) fn another(&self, read_timeout: Option<Duration>) -> Result<Client> {
        let watch = ReadTimeouts { read_timeout, ..watch_of(&self.address, &self.options) };
        Client::connect(&self.address, Some(&self.options.main_database), watch)
    }

    /// What the server has; asked once, and not inside of a transaction.
    pub(super) fn abilities(&mut self) -> Result<Abilities> {
        if let Some(known) = self.abilities {
            return Ok(known);
        }
        let asked = Abilities::ask(&mut self.client)?;
        self.abilities = Some(asked);
        Ok(asked)
    }

    /// Adds the script in which an error came up, if the server says that it was in one.
    pub(super) fn name_script(&mut self, error: Error) -> Error {
        if !self.client.is_linked() || !matches!(error.kind(), Kind::Database | Kind::Config) {
            return error;
        }
        let (asking, script) = ("ask for the script", [("Script", "nvarchar(1000)")]);
        match self.client.call(asking, "dbo.usp_BlobDelta_ScriptAtWork", Vec::new(), &script) {
            Ok(Some(row)) => match RowFields::of(&row).text(0) {
                Ok(Some(script)) => error.script(script),
                _ => error,
            },
            // The error that there is says more than one of asking about it.
            _ => error,
        }
    }

    /// Reads a list.
    pub(super) fn list<T>(
        &mut self,
        doing: &str,
        sql: &Sql<'_>,
        read: impl Fn(&RowFields<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let rows = self.client.unit(|client| client.rows(doing, sql.clone()))?;
        rows.iter().map(|row| read(&RowFields::of(row))).collect()
    }
    /// Is told of every commit that is a step of a run.
    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.options.disk
    }
}
