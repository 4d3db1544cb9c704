//! One session on a server: the connection for statements, and what opens more of them.

use super::abilities::Abilities;
use super::address::Address;
use super::apply::Plan;
use super::catalog::{self, ColumnsByTable};
use super::client::Client;
use super::made::Made;
use super::page::Cursor;
use super::sql::quote;
use super::values::Fields;
use super::watch::Watch;
use crate::backend::connect::OpenOptions;
use crate::durable::Disk;
use crate::error::{Error, Kind, Result};
use crate::model::column::Column;
use crate::model::id::Guid;
use crate::model::memory::Memory;
use crate::model::name::TableName;
use crate::model::table::TableConfig;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The job database of every instance.
pub(super) const JOB_DATABASE: &str = "BlobDeltaJobs";

/// See the module's text.
pub struct Session {
    pub(super) client: Client,
    pub(super) address: Address,
    pub(super) options: OpenOptions,
    /// Says to the server that a lease that it meets again is this session's own.
    pub(super) owner: Guid,
    /// The run that this session resumed, and as which attempt of it.
    pub(super) resumed: Option<(Guid, u32)>,
    /// The run that the operator says is dead.
    pub(super) taken_over: Option<Guid>,
    /// Configurations by table, for methods that are called once a page.
    pub(super) known: HashMap<TableName, TableConfig>,
    /// Column lists of tables, likewise.
    pub(super) columns: HashMap<TableName, Vec<Column>>,
    /// What the catalog said of all configured tables of a database since the run began; `None` where one table was
    /// asked for.
    catalogs: HashMap<String, Option<ColumnsByTable>>,
    /// Connections that have read all rows that they were opened for.
    pub(super) readers: Vec<Client>,
    /// What may be read and not taken yet.
    pub(super) read_ahead_bytes: u64,
    /// How rows come into the targets of a replay.
    pub(super) targets: HashMap<TableName, Arc<Plan>>,
    /// What a replay that fails takes back.
    pub(super) made: Made,
    /// Where a reading of many rows stands.
    pub(super) cursor: Option<Cursor>,
    /// What the server has, once it was asked.
    pub(super) abilities: Option<Abilities>,
}

/// How long the server may be silent or away.
pub(super) fn watch_of(address: &Address, options: &OpenOptions) -> Watch {
    Watch { read_timeout: address.read_timeout(), give_up: options.give_up, reconnect: options.reconnect }
}

impl Session {
    /// Logs in, and uses the main database.
    ///
    /// # Errors
    /// Database, if the server cannot be reached or refuses the login; Config, if the main
    /// database is not there and may not be created.
    pub fn open(address: &Address, options: &OpenOptions) -> Result<Self> {
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
            owner: Guid::random(),
            resumed: None,
            taken_over: None,
            known: HashMap::new(),
            columns: HashMap::new(),
            catalogs: HashMap::new(),
            readers: Vec::new(),
            read_ahead_bytes: Memory::default().databases(),
            targets: HashMap::new(),
            made,
            cursor: None,
            abilities: None,
        })
    }

    /// A second connection to the same server, with the main database in use. It is given up when the
    /// server is silent for so long, or never.
    pub(super) fn another(&self, read_timeout: Option<Duration>) -> Result<Client> {
        let watch = Watch { read_timeout, ..watch_of(&self.address, &self.options) };
        Client::connect(&self.address, Some(&self.options.main_database), watch)
    }

    /// Forgets what the catalog said.
    pub(super) fn forget_catalogs(&mut self) {
        self.catalogs.clear();
    }

    /// The columns of a configured source or slice table. From the second in a database on, all are asked for at
    /// once, and are then as they were at that time, until the next run begins.
    ///
    /// # Errors
    /// As those of [`catalog::columns`].
    pub(super) fn columns_of_run(&mut self, table: &TableName) -> Result<Vec<Column>> {
        match self.catalogs.get(&table.db) {
            None => {
                self.catalogs.insert(table.db.clone(), None);
                return catalog::columns(&mut self.client, table);
            }
            // What cannot be read at once is told of the table that it is about.
            Some(None) => {
                let found = catalog::configured_columns(&mut self.client, &table.db).unwrap_or_default();
                self.catalogs.insert(table.db.clone(), Some(found));
            }
            Some(Some(_)) => {}
        }
        let known = self.catalogs.get(&table.db).and_then(Option::as_ref);
        let is_it = |(schema, name): &&(String, String)| {
            schema.eq_ignore_ascii_case(&table.schema) && name.eq_ignore_ascii_case(&table.table)
        };
        let mut spelled = known.into_iter().flat_map(|known| known.keys().filter(is_it));
        match (spelled.next(), spelled.next()) {
            (Some(place), None) => Ok(known.and_then(|known| known.get(place)).cloned().unwrap_or_default()),
            _ => catalog::columns(&mut self.client, table),
        }
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
            Ok(Some(row)) => match Fields::of(&row).text(0) {
                Ok(Some(script)) => error.script(script),
                _ => error,
            },
            // The error that there is says more than one of asking about it.
            _ => error,
        }
    }

    /// Is told of every commit that is a step of a run.
    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.options.disk
    }
}
