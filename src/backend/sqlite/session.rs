//! One connection to an embedded instance, and who serves what on it.

use super::database::Database;
use super::engine::{Engine, EngineState};
use super::inventory::SourceInventory;
use super::made::MadeTargets;
use super::replay::Replay;
use crate::backend::connect::OpenOptions;
use crate::backend::session::Servants;
use crate::error::Result;
use std::path::Path;

/// See the module's text.
pub struct Session {
    pub(super) database: Database,
    engine: EngineState,
    made: MadeTargets,
}

impl Session {
    /// Opens the instance in this folder, every database of it attached.
    ///
    /// # Errors
    /// Config, if the folder is no instance and may not be created; Database.
    pub fn open(folder: &Path, options: &OpenOptions) -> Result<Self> {
        let database = Database::open(folder, options)?;
        Ok(Self { database, engine: EngineState::default(), made: MadeTargets::default() })
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
        Replay { db: &mut self.database, made: &mut self.made }
    }

    fn inventory(&mut self) -> SourceInventory<'_> {
        SourceInventory { db: &self.database }
    }
}
