//! The SQL of `sql/`, as it was when this program was built.

/// One script of a kind of instance, applied by `deploy` in order.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// Its file name, recorded in `BlobDeltaSchemaVersion`.
    pub name: &'static str,
    /// One more at every change of what it makes. A greater one in the database is refused.
    pub version: u32,
    /// Its text.
    pub text: &'static str,
}

/// The scripts of an embedded job database.
pub const SQLITE_DEPLOY: [Script; 2] = [
    Script {
        name: "03_BlobDeltaJobs_Schema.sql",
        version: 1,
        text: include_str!("../sql/sqlite/03_BlobDeltaJobs_Schema.sql"),
    },
    Script {
        name: "04_BlobDeltaJobs_Seed_Config.sql",
        version: 1,
        text: include_str!("../sql/sqlite/04_BlobDeltaJobs_Seed_Config.sql"),
    },
];

/// What every embedded slice database holds; `{Schema}` is filled in.
pub const SQLITE_SLICE_SCHEMA: &str = include_str!("../sql/sqlite/slice_schema.sql");

/// The shared templates of the steps: number, name, text.
pub const SQLITE_STEP_TEMPLATES: [(u8, &str, &str); 3] = [
    (1, "Roots", include_str!("../sql/sqlite/templates/Roots.sql")),
    (2, "MissingParentsBatch", include_str!("../sql/sqlite/templates/MissingParentsBatch.sql")),
    (3, "Children", include_str!("../sql/sqlite/templates/Children.sql")),
];

/// The shared templates that fill the queues: name, text.
pub const SQLITE_QUEUE_TEMPLATES: [(&str, &str); 2] = [
    ("WindowQueue", include_str!("../sql/sqlite/templates/WindowQueue.sql")),
    ("MissingParents", include_str!("../sql/sqlite/templates/MissingParents.sql")),
];

/// The operations of the embedded engine, one file each.
pub mod sqlite {
    /// Depth and parent key of the rows of a batch.
    pub const BATCH_PARENTS: &str = include_str!("../sql/sqlite/engine/batch_parents.sql");
    /// How each key of a batch ended.
    pub const BATCH_STATES: &str = include_str!("../sql/sqlite/engine/batch_states.sql");
    /// Rule 4: what lies between the window's end and the run's start.
    pub const HELD_BACK: &str = include_str!("../sql/sqlite/engine/held_back.sql");
    /// Rule 6: what no window can catch, counted.
    pub const TOLD: &str = include_str!("../sql/sqlite/engine/told.sql");
    /// Rule 12: units in scope that no run over all units has seen.
    pub const NEW_UNITS: &str = include_str!("../sql/sqlite/engine/new_units.sql");
    /// Rule 15: deletions of the window into the slice.
    pub const DELETIONS: &str = include_str!("../sql/sqlite/engine/deletions.sql");
    /// What the slice holds, counted.
    pub const SLICE_COUNTS: &str = include_str!("../sql/sqlite/engine/slice_counts.sql");
    /// Rule 7: parents that the slice lacks.
    pub const ABSENT_PARENTS: &str = include_str!("../sql/sqlite/engine/absent_parents.sql");
}
