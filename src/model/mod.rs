//! The nouns of the system. Nothing here touches a file, a database or a clock of the machine
//! (but [`clock::SystemClock`]); everything else in the crate is built from these types.

pub mod cell;
pub mod clock;
pub mod column;
pub mod decimal;
pub mod destination;
pub mod digest;
pub mod drift;
pub mod filter;
pub mod id;
pub mod key;
pub mod known;
pub mod max_window;
pub mod memory;
pub mod metadata_columns;
pub mod name;
pub mod run;
pub mod shell;
pub mod slice;
pub mod sqltype;
pub mod stamp;
pub mod table;
pub mod time;
pub mod value_range;
pub mod variant;
pub mod version;
pub mod window;
