//! A row of `BlobDeltaTableConfig`.

use super::clock::ClockKind;
use super::column::{Column, meta_name};
use super::digest::Sha256;
use super::drift::SchemaDrift;
use super::filter::{ConditionKind, MetadataCondition};
use super::id::Guid;
use super::key::{KeyType, place_column};
use super::max_window::MaxWindow;
use super::name::{TableName, check_identifier, check_length, join_names};
use super::run::Scope;
use super::shell::word as shell_word;
use super::sqltype::SqlType;
use super::time::Timestamp;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The hour that comes twice when summer time ends, and once more for good measure: a table in
/// local time needs at least this buffer (rule 1).
pub const LOCAL_TIME_MIN_BUFFER_MINUTES: u32 = 120;

/// The longest text of a table's name, with dots and brackets, in UTF-16 code units: every table of the
/// job database has it in a key.
pub const MAX_TABLE_NAME_UTF16_UNITS: usize = 400;

/// How one table is captured. Field for column of `BlobDeltaTableConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableConfig {
    /// `TableName`, the key: the source's three-part name.
    pub name: TableName,
    /// The blob table.
    pub source: TableName,
    /// The slice table.
    pub target: TableName,
    /// The table that holds `ModifiedOn`; may be the source itself.
    pub metadata: TableName,
    /// Its column that holds the source's key.
    pub metadata_id_column: String,
    /// Its column of change.
    pub metadata_modified_on_column: String,
    /// Its column that counts where the column of change is NULL.
    pub metadata_created_on_column: Option<String>,
    /// Its column of business units; without one every row is in scope.
    pub metadata_business_unit_column: Option<String>,
    /// The table of business units in scope, needed with the column above.
    pub business_unit_table: Option<TableName>,
    /// Its column of identifiers.
    pub business_unit_id_column: Option<String>,
    /// The source's key: one of [`KeyType::TYPES`].
    pub key_column: String,
    /// What the job database knows the keys as. Nobody sets it: it is looked up when the slice is made.
    pub key_type: KeyType,
    /// The source's place in the tree; without one the table is flat.
    pub path_column: Option<String>,
    /// The place of the row's parent; without one the table is flat: step 1 alone.
    pub parent_path_column: Option<String>,
    /// `SafetyBufferMinutes`.
    pub safety_buffer_minutes: u32,
    /// Where the first window starts; the beginning of time without one.
    pub initial_baseline: Option<Timestamp>,
    /// How much one window takes at most; a run then takes what there is in several.
    pub max_window: Option<MaxWindow>,
    /// The clock of `ModifiedOn`.
    pub clock: ClockKind,
    /// One key that is never captured.
    pub excluded_stream_id: Option<Guid>,
    /// Whether runs over all tables take it.
    pub is_active: bool,
    /// Whether logged deletions become tombstones.
    pub include_deletions: bool,
    /// Whether bundles leave out content that the chain has shipped for the same key (known content).
    pub omit_known_content: bool,
    /// Whether a complete slice may only be emptied after it was packed; `None` until somebody says so:
    /// then it may, and the first bundled run makes it `true`.
    pub require_bundle: Option<bool>,
    /// Percent of a window's keys, 0 to 100, that may lack a row before the window is suspect (rule 21).
    pub accepted_absent_percent: u8,
    /// Percent of a slice's children, 0 to 100, that may lack their parent before the slice is suspect.
    pub accepted_orphan_percent: u8,
    /// Percent of the rows that a unit was handed, 0 to 100, that may be out of its scope at once before its run is suspect.
    pub accepted_left_percent: u8,
    /// Percent of the logged deletions that are due, 0 to 100, whose row may stand in the source before a run is suspect.
    pub accepted_standing_percent: u8,
    /// Which rows of the metadata count, as [`MetadataCondition`] has it; all of them without one.
    pub metadata_filter: Option<String>,
    /// Which of them count as deleted, in the same form; none without one.
    pub deleted_when: Option<String>,
    /// Rule 24: what a run does where the source's columns are not the slice's.
    pub schema_drift: SchemaDrift,
    /// Columns of the source that no slice and no bundle has.
    pub excluded_columns: Vec<String>,
    /// Columns of the metadata that come along, as [`super::metadata_columns`] has it.
    pub metadata_columns: Vec<String>,
    /// What the login does not see of source, metadata and units and is accepted, by name with commas between:
    /// `Db.schema.Table` whose rows are filtered, `Db.schema.Table.Column` that is masked. Of servers alone.
    pub accepted_hidden: Option<String>,
}

impl TableConfig {
    /// A configuration with the defaults of the schema: slice in `<db>_Delta`, buffer 240
    /// minutes, UTC, keyed by `stream_id`, tree by `path_locator` and `parent_path_locator`.
    pub fn new(source: TableName, metadata: TableName) -> Self {
        let target = TableName { db: format!("{}_Delta", source.db), ..source.clone() };
        Self {
            name: source.clone(),
            source,
            target,
            metadata,
            metadata_id_column: "stream_id".into(),
            metadata_modified_on_column: "ModifiedOn".into(),
            metadata_created_on_column: None,
            metadata_business_unit_column: None,
            business_unit_table: None,
            business_unit_id_column: None,
            key_column: "stream_id".into(),
            key_type: KeyType::UniqueIdentifier,
            path_column: Some("path_locator".into()),
            parent_path_column: Some("parent_path_locator".into()),
            safety_buffer_minutes: 240,
            initial_baseline: None,
            max_window: None,
            clock: ClockKind::Utc,
            excluded_stream_id: None,
            is_active: true,
            include_deletions: true,
            omit_known_content: false,
            require_bundle: Some(true),
            accepted_hidden: None,
            accepted_absent_percent: 50,
            accepted_orphan_percent: 50,
            accepted_left_percent: 50,
            accepted_standing_percent: 50,
            metadata_filter: None,
            deleted_when: None,
            schema_drift: SchemaDrift::Carry,
            excluded_columns: Vec::new(),
            metadata_columns: Vec::new(),
        }
    }

    /// Whether a run of this scope can take the table: one for a business unit needs units.
    pub fn has_scope(&self, scope: Scope) -> bool {
        scope == Scope::All || self.metadata_business_unit_column.is_some()
    }

    /// Rule 10: whether a complete slice may only be emptied after it was packed.
    pub fn requires_bundle(&self) -> bool {
        self.require_bundle == Some(true)
    }

    /// The names of [`TableConfig::accepted_hidden`].
    pub fn hidden(&self) -> impl Iterator<Item = &str> {
        self.accepted_hidden.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|name| !name.is_empty())
    }

    /// Whether a column of the source comes into slices and bundles.
    pub fn carries(&self, column: &str) -> bool {
        !self.excluded_columns.iter().any(|excluded| excluded.eq_ignore_ascii_case(column))
    }

    /// Those of the source's columns that come into slices and bundles.
    pub fn carried(&self, source: &[Column]) -> Vec<Column> {
        source.iter().filter(|column| self.carries(&column.name)).cloned().collect()
    }

    /// The columns of a slice for those of its source, without the engine's own: plain ones, of which key and path are always
    /// there, and large values may be left out (rule 7).
    pub fn slice_columns(&self, source: &[Column]) -> Vec<Column> {
        let is_needed = |name: &str| name == self.key_column || self.path_column.as_deref() == Some(name);
        let plain = |column: &Column| Column {
            nullable: !is_needed(&column.name) && (column.nullable || column.sql_type.is_large()),
            computed: false,
            ..column.clone()
        };
        source.iter().filter(|column| self.carries(&column.name)).map(plain).collect()
    }

    /// The one place where names of columns meet those of a table: what is named here is spelled in the columns of its source or
    /// slice as it is here, and everything behind it compares names as they are. One that is spelled so comes first, for there are
    /// servers on which two differ in case alone.
    pub fn spell(&self, columns: &mut [Column]) {
        let named = [Some(&self.key_column), self.path_column.as_ref(), self.parent_path_column.as_ref()];
        let of_metadata = self.metadata_columns.iter().map(|name| meta_name(name));
        for name in named.into_iter().flatten().cloned().chain(of_metadata) {
            let lower = name.to_lowercase();
            let exact = columns.iter().any(|column| column.name == name);
            let other = columns.iter_mut().find(|column| !exact && column.name.to_lowercase() == lower);
            if let Some(column) = other {
                column.name = name;
            }
        }
    }

    /// A path that is the key in another case is the key ([`TableConfig::place_column`]).
    #[must_use]
    pub fn with_one_spelling(mut self) -> Self {
        let key = self.key_column.to_lowercase();
        for name in [&mut self.path_column, &mut self.parent_path_column].into_iter().flatten() {
            if name.to_lowercase() == key {
                name.clone_from(&self.key_column);
            }
        }
        self
    }

    /// The column that says where rows lie; none in a flat table.
    pub fn place_column(&self) -> Option<&str> {
        place_column(&self.key_column, self.path_column.as_ref(), self.parent_path_column.as_ref())
    }

    /// That the keys of the source are what the job database knows them as.
    ///
    /// # Errors
    /// Config, with what to do.
    pub fn check_key_type(&self, key: SqlType) -> Result<()> {
        if KeyType::of(key) == Some(self.key_type) {
            return Ok(());
        }
        let text = format!("the key is {key}, and keys of the type {} are noted for this table", self.key_type);
        Err(Error::config(text).table(&self.name).column(&self.key_column).hint(format!(
            "if none was captured yet, run deploy, which notes the new type; else {}",
            self.begin_another_chain()
        )))
    }

    /// How the rows of this source go on under another name, whose chain begins anew, as text with the command.
    pub fn begin_another_chain(&self) -> String {
        let default = Self::new(self.source.clone(), self.metadata.clone());
        let given = |text: &String| Some(text.clone());
        let flag = |is_on: bool| u8::from(is_on).to_string();
        let settings = [
            ("KeyColumn", given(&self.key_column), given(&default.key_column)),
            ("PathColumn", self.path_column.clone(), default.path_column),
            ("ParentPathColumn", self.parent_path_column.clone(), default.parent_path_column),
            ("MetadataIdColumn", given(&self.metadata_id_column), given(&default.metadata_id_column)),
            (
                "MetadataModifiedOnCol",
                given(&self.metadata_modified_on_column),
                given(&default.metadata_modified_on_column),
            ),
            ("MetadataBusinessUnitCol", self.metadata_business_unit_column.clone(), None),
            ("BusinessUnit", self.business_unit_table.as_ref().map(TableName::to_string), None),
            ("BusinessUnitIdColumn", self.business_unit_id_column.clone(), None),
            ("MetadataFilter", self.metadata_filter.clone(), None),
            ("DeletedWhen", self.deleted_when.clone(), None),
            ("ExcludedColumns", Some(join_names(&self.excluded_columns)), Some(String::new())),
            ("MetadataColumns", Some(join_names(&self.metadata_columns)), Some(String::new())),
            ("ModifiedOnIsUtc", Some(flag(self.clock == ClockKind::Utc)), Some(flag(true))),
        ];
        let settings = settings.into_iter().filter(|(_, value, default)| value != default);
        let settings = settings
            .map(|(name, value, _)| format!(" {}", shell_word(&format!("{name}={}", value.unwrap_or_default()))));
        let another = TableName { table: format!("{}2", self.name.table), ..self.name.clone() };
        format!(
            "begin a chain under another name with `blobdelta table add {} --metadata {} {}{}`, and remove the table under this name \
             with `blobdelta table remove {}`, where it is configured",
            another.shell_word(),
            self.metadata.shell_word(),
            shell_word(&format!("Source={}", self.source)),
            settings.collect::<String>(),
            self.name.shell_word()
        )
    }

    /// Whether all that changes is that runs capture it no more: that is possible whatever is wrong with the table.
    pub fn only_stops(&self, before: Option<&Self>) -> bool {
        before.is_some_and(|before| *self == Self { is_active: false, ..before.clone() })
    }

    /// Whether the table has a tree, and so steps 2 and 3.
    pub fn is_tree(&self) -> bool {
        self.parent_path_column.is_some()
    }

    /// The columns that are named here, each behind the column of `BlobDeltaTableConfig` that names it.
    fn named_columns(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let always = [
            ("KeyColumn", &self.key_column),
            ("MetadataIdColumn", &self.metadata_id_column),
            ("MetadataModifiedOnCol", &self.metadata_modified_on_column),
        ];
        let maybe = [
            ("PathColumn", self.path_column.as_ref()),
            ("ParentPathColumn", self.parent_path_column.as_ref()),
            ("MetadataCreatedOnCol", self.metadata_created_on_column.as_ref()),
            ("MetadataBusinessUnitCol", self.metadata_business_unit_column.as_ref()),
            ("BusinessUnitIdColumn", self.business_unit_id_column.as_ref()),
        ];
        always.into_iter().chain(maybe.into_iter().filter_map(|(column, name)| Some((column, name?))))
    }

    /// The text of a condition on rows of the metadata, if there is one.
    pub fn condition(&self, kind: ConditionKind) -> Option<&str> {
        match kind {
            ConditionKind::MetadataFilter => self.metadata_filter.as_deref(),
            ConditionKind::DeletedWhen => self.deleted_when.as_deref(),
            ConditionKind::When => None,
        }
    }

    /// What can be said without a catalog.
    ///
    /// # Errors
    /// Config, naming the column of `BlobDeltaTableConfig` to change.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str, column: &str| Err(Error::config(what).table(&self.name).column(column));
        if self.clock == ClockKind::Local && self.safety_buffer_minutes < LOCAL_TIME_MIN_BUFFER_MINUTES {
            return wrong(
                "a table whose ModifiedOn is local time needs a safety buffer of at least 120 minutes, \
                 because one hour comes twice",
                "SafetyBufferMinutes",
            );
        }
        if self.parent_path_column.is_some() && self.path_column.is_none() {
            return wrong("a parent path column needs a path column", "PathColumn");
        }
        if self.name.to_string().encode_utf16().count() > MAX_TABLE_NAME_UTF16_UNITS {
            return wrong("the name of the table is longer than 400 characters", "TableName");
        }
        // The database of a slice may be called after that of the source, and is longer then.
        check_identifier(&self.target.db).map_err(|error| error.table(&self.name).column("TargetDb"))?;
        for (column, name) in self.named_columns() {
            check_length(name).map_err(|error| error.table(&self.name).column(column))?;
        }
        let places = [Some(&self.key_column), self.path_column.as_ref(), self.parent_path_column.as_ref()];
        if let Some(needed) = places.into_iter().flatten().find(|name| !self.carries(name)) {
            let text = format!("ExcludedColumns names {needed}, without which no row has a key and a place");
            return wrong(&text, "ExcludedColumns");
        }
        self.check_metadata_columns()?;
        for kind in [ConditionKind::MetadataFilter, ConditionKind::DeletedWhen] {
            let Some(text) = self.condition(kind) else { continue };
            MetadataCondition::parse(kind, text).map_err(|error| error.table(&self.name))?;
        }
        if self.deleted_when.is_some() && !self.include_deletions {
            return wrong(
                "DeletedWhen says which rows are deleted, and IncludeDeletions=0 that no deletion is shipped",
                "DeletedWhen",
            )
            .map_err(|error| error.hint("set IncludeDeletions=1, or leave DeletedWhen empty (`table set`)"));
        }
        let stamp = &self.metadata_modified_on_column;
        if self.metadata_created_on_column.as_ref().is_some_and(|created| created.eq_ignore_ascii_case(stamp)) {
            let text = format!("MetadataCreatedOnCol is {stamp}, which is MetadataModifiedOnCol");
            return wrong(&text, "MetadataCreatedOnCol").map_err(|error| {
                error.hint("name the column that counts where the other one is NULL, or leave it empty (`table set`)")
            });
        }
        let bu = self.metadata_business_unit_column.is_some();
        if bu && (self.business_unit_table.is_none() || self.business_unit_id_column.is_none()) {
            return wrong(
                "a business unit column needs the table of business units and its id column",
                "BusinessUnitTable",
            );
        }
        if self.target == self.source || self.target == self.metadata {
            return wrong(
                "the slice would be emptied, so it cannot be the source or the metadata table",
                "TargetTable",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TableConfig {
        let name = TableName::parse("Db.dbo.T").unwrap();
        TableConfig::new(name.clone(), name)
    }

    #[test]
    fn rule_1_local_time_needs_two_hours() {
        let mut table = config();
        table.clock = ClockKind::Local;
        table.safety_buffer_minutes = 119;
        assert!(table.check().is_err());
        table.safety_buffer_minutes = 120;
        assert!(table.check().is_ok());
    }

    #[test]
    fn rule_3_a_column_is_found_in_any_case_and_the_one_that_is_spelled_so_first() {
        let mut table = config();
        (table.key_column, table.path_column, table.parent_path_column) =
            ("ID".into(), Some("id".into()), Some("ÄLTER".into()));
        let table = table.with_one_spelling();
        assert_eq!((table.path_column.as_deref(), table.place_column()), (Some("ID"), Some("ÄLTER")));
        let spelled = |names: [&str; 3]| {
            let mut columns = names.map(|name| Column::new(name, SqlType::Int, false));
            table.spell(&mut columns);
            columns.map(|column| column.name)
        };
        assert_eq!(spelled(["Id", "Name", "älter"]), ["ID", "Name", "ÄLTER"]);
        assert_eq!(spelled(["Id", "ID", "Name"]), ["Id", "ID", "Name"]);
    }

    #[test]
    fn a_slice_is_never_its_own_source() {
        let mut table = config();
        table.target = table.source.clone();
        assert!(table.check().is_err());
    }

    #[test]
    fn a_name_that_no_job_database_could_hold_is_refused() {
        let long = |units: usize| "]".repeat(units);
        let check = |db: &str, table: &str| {
            let name = TableName::new(db, "dbo", table).unwrap();
            TableConfig::new(name.clone(), name).check()
        };
        assert!(check(&long(122), &long(72)).is_ok());
        assert!(check(&long(122), &long(80)).is_err(), "its text is longer than 400");
        assert!(check(&long(123), "T").is_err(), "that of its slice is longer than 128");
        let mut table = config();
        table.path_column = Some(long(128));
        assert!(table.check().is_ok());
        table.path_column = Some(long(129));
        assert!(table.check().unwrap_err().to_string().contains("PathColumn"));
    }
}

/// A script template that is not as this program ships it, and that runs of a table carry out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedScript {
    /// Its name, with whose it is.
    pub name: String,
    /// SHA-256 of its text, in UTF-8 with line feeds.
    pub sha256: Sha256,
}
