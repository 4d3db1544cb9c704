//! One session on a server, and who serves what on it.

use super::address::Address;
use super::database::Database;
use super::engine::{Engine, EngineState};
use super::inventory::SourceInventory;
use super::replay::{Replay, ReplayState};
use crate::backend::connect::OpenOptions;
use crate::backend::session::Servants;
use crate::error::Result;
use crate::model::column::Column;
use crate::model::name::TableName;
use std::collections::HashMap;

/// See the module's text.
pub struct Session {
    pub(super) database: Database,
    pub(super) engine: EngineState,
    pub(super) replay: ReplayState,
    /// Column lists of source tables, for the inventory.
    pub(super) source_columns: HashMap<TableName, Vec<Column>>,
}

impl Session {
    /// Logs in, and uses the main database.
    ///
    /// # Errors
    /// Database, if the server cannot be reached or refuses the login; Config, if the main
    /// database is not there and may not be created.
    pub fn open(address: &Address, options: &OpenOptions) -> Result<Self> {
        Ok(Self {
            database: Database::open(address, options)?,
            engine: EngineState::new(),
            replay: ReplayState::default(),
            source_columns: HashMap::new(),
        })
    }
}

impl Servants for Session {
    type Engine<'a> = Engine<'a>;
    type Replay<'a> = Replay<'a>;
    type Inventory<'a> = SourceInventory<'a>;

    fn engine(&mut self) -> Engine<'_> {
        Engine { db: &mut self.database, state: &mut self.engine }
    }

    fn replay(&mut self) -> Replay<'_> {
        Replay { db: &mut self.database, state: &mut self.replay }
    }

    fn inventory(&mut self) -> SourceInventory<'_> {
        SourceInventory { db: &mut self.database, columns: &mut self.source_columns }
    }
}
