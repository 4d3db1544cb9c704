//! The settings of a configured table by the names that they have in `BlobDeltaTableConfig`;
//! the four three-part names are one field each.

use crate::error::{Error, Result};
use crate::model::clock::ClockKind;
use crate::model::drift::SchemaDrift;
use crate::model::filter::{ConditionKind, MetadataCondition};
use crate::model::key::KeyType;
use crate::model::max_window::MaxWindow;
use crate::model::name::{TableName, check_identifier, join_names, parse_names};
use crate::model::table::TableConfig;
use crate::model::time::Timestamp;
use serde_json::{Map, Value};

/// One setting.
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its value, NULL included.
    pub get: fn(&TableConfig) -> Value,
    /// Sets it from text; an empty text is NULL.
    pub set: fn(&mut TableConfig, &str) -> Result<()>,
}

macro_rules! field {
    ($name:literal, $field:ident, $parse:expr, $show:expr) => {
        Field {
            name: $name,
            get: |config| $show(&config.$field),
            set: |config, text| {
                config.$field = $parse(text)?;
                Ok(())
            },
        }
    };
}

/// All settings, in the order of the columns.
pub const FIELDS: &[Field] = &[
    field!("Source", source, TableName::parse, show),
    field!("Target", target, TableName::parse, show),
    field!("Metadata", metadata, TableName::parse, show),
    field!("MetadataIdColumn", metadata_id_column, identifier, show),
    field!("MetadataModifiedOnCol", metadata_modified_on_column, identifier, show),
    field!("MetadataCreatedOnCol", metadata_created_on_column, |text| optional(text, identifier), show_optional),
    field!("MetadataBusinessUnitCol", metadata_business_unit_column, |text| optional(text, identifier), show_optional),
    field!("BusinessUnit", business_unit_table, |text| optional(text, TableName::parse), show_optional),
    field!("BusinessUnitIdColumn", business_unit_id_column, |text| optional(text, identifier), show_optional),
    field!("KeyColumn", key_column, identifier, show),
    field!("PathColumn", path_column, |text| optional(text, identifier), show_optional),
    field!("ParentPathColumn", parent_path_column, |text| optional(text, identifier), show_optional),
    field!("SafetyBufferMinutes", safety_buffer_minutes, minutes, |value: &u32| Value::from(*value)),
    field!("InitialBaseline", initial_baseline, |text| optional(text, Timestamp::parse), show_optional),
    field!("MaxWindow", max_window, |text| optional(text, MaxWindow::parse), show_optional),
    Field {
        name: "ModifiedOnIsUtc",
        get: |config| (config.clock == ClockKind::Utc).into(),
        set: |config, text| {
            config.clock = if flag(text)? { ClockKind::Utc } else { ClockKind::Local };
            Ok(())
        },
    },
    Field {
        name: "ExcludedStreamId",
        get: |config| config.excluded_stream_id.map(|id| config.key_type.shown(id).to_string()).into(),
        set: |config, text| {
            config.excluded_stream_id = optional(text, KeyType::parse_any)?;
            Ok(())
        },
    },
    field!("IsActive", is_active, flag, |value: &bool| Value::from(*value)),
    field!("IncludeDeletions", include_deletions, flag, |value: &bool| Value::from(*value)),
    field!("OmitKnownContent", omit_known_content, flag, |value: &bool| Value::from(*value)),
    field!("RequireBundle", require_bundle, |text| optional(text, flag), |value: &Option<bool>| Value::from(*value)),
    field!("AcceptedAbsentPercent", accepted_absent_percent, percent, |value: &u8| Value::from(*value)),
    field!("AcceptedOrphanPercent", accepted_orphan_percent, percent, |value: &u8| Value::from(*value)),
    field!("AcceptedLeftPercent", accepted_left_percent, percent, |value: &u8| Value::from(*value)),
    field!("AcceptedStandingPercent", accepted_standing_percent, percent, |value: &u8| Value::from(*value)),
    field!("AcceptedHidden", accepted_hidden, |text| optional(text, listed), show_optional),
    field!("SchemaDrift", schema_drift, SchemaDrift::parse, show),
    field!("ExcludedColumns", excluded_columns, parse_names, |names: &Vec<String>| {
        if names.is_empty() { Value::Null } else { join_names(names).into() }
    }),
    field!("MetadataColumns", metadata_columns, parse_names, |names: &Vec<String>| {
        if names.is_empty() { Value::Null } else { join_names(names).into() }
    }),
    field!(
        "MetadataFilter",
        metadata_filter,
        |text| optional(text, |text| condition(ConditionKind::MetadataFilter, text)),
        show_optional
    ),
    field!(
        "DeletedWhen",
        deleted_when,
        |text| optional(text, |text| condition(ConditionKind::DeletedWhen, text)),
        show_optional
    ),
];

fn identifier(text: &str) -> Result<String> {
    check_identifier(text).map(|()| text.to_owned())
}

fn condition(kind: ConditionKind, text: &str) -> Result<String> {
    MetadataCondition::parse(kind, text).map(|_| text.to_owned())
}

fn optional<T>(text: &str, parse: impl Fn(&str) -> Result<T>) -> Result<Option<T>> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

/// Names with commas between, as the job database holds them.
fn listed(text: &str) -> Result<String> {
    const MOST: usize = 4000;
    let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let list = names.join(",");
    if list.encode_utf16().count() <= MOST {
        Ok(list)
    } else {
        Err(Error::usage("these names have more than 4000 characters"))
    }
}

fn minutes(text: &str) -> Result<u32> {
    const YEAR_MINUTES: u32 = 525_600;
    let parsed = text.parse().ok().filter(|minutes| *minutes <= YEAR_MINUTES);
    parsed.ok_or_else(|| Error::usage(format!("{text:?} is not a number of minutes from 0 to {YEAR_MINUTES}")))
}

fn percent(text: &str) -> Result<u8> {
    let parsed = text.parse().ok().filter(|percent| *percent <= 100);
    parsed.ok_or_else(|| Error::usage(format!("{text:?} is not a number of percent from 0 to 100")))
}

fn flag(text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err(Error::usage(format!("{text:?} is neither 1 nor 0"))),
    }
}

fn show(value: &impl ToString) -> Value {
    value.to_string().into()
}

fn show_optional(value: &Option<impl ToString>) -> Value {
    value.as_ref().map(ToString::to_string).into()
}

/// Applies `FIELD=VALUE` settings; names in any case.
///
/// # Errors
/// Usage, naming the setting: not of that form, an unknown field (those known are listed), a
/// field twice, or a value that it cannot have.
pub fn set_all(config: &mut TableConfig, settings: &[String]) -> Result<()> {
    let mut seen = Vec::new();
    for setting in settings {
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| Error::usage(format!("{setting:?} is not of the form FIELD=VALUE")).hint(known_fields()))?;
        let field = FIELDS.iter().find(|field| field.name.eq_ignore_ascii_case(name.trim()));
        let field = field.ok_or_else(|| Error::usage(format!("there is no field {name:?}")).hint(known_fields()))?;
        if seen.contains(&field.name) {
            return Err(Error::usage("this field is set twice").column(field.name));
        }
        seen.push(field.name);
        (field.set)(config, value.trim()).map_err(|error| error.table(&config.name).column(field.name))?;
    }
    Ok(())
}

fn known_fields() -> String {
    let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    format!("the fields are {}", names.join(", "))
}

/// All settings as one object.
pub fn json(config: &TableConfig) -> Value {
    let name = [("TableName".to_owned(), config.name.to_string().into())];
    let fields = FIELDS.iter().map(|field| (field.name.to_owned(), (field.get)(config)));
    Value::Object(Map::from_iter(name.into_iter().chain(fields)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TableConfig {
        let name = TableName::parse("Db.dbo.T").unwrap();
        TableConfig::new(name.clone(), name)
    }

    #[test]
    fn every_field_takes_back_what_it_shows() {
        let mut original = config();
        original.business_unit_table = Some(TableName::parse("Db.dbo.[a.b]").unwrap());
        original.initial_baseline = Some(Timestamp::MIN);
        original.clock = ClockKind::Local;
        original.excluded_stream_id = Some(crate::model::id::Guid::from_bytes([7; 16]));
        original.metadata_created_on_column = Some("CreatedOn".into());
        original.path_column = None;
        original.safety_buffer_minutes = 121;
        original.accepted_absent_percent = 83;
        original.accepted_orphan_percent = 0;
        original.accepted_left_percent = 1;
        original.accepted_standing_percent = 100;
        original.metadata_filter = Some("Kind=1,'a, b'".into());
        original.deleted_when = Some("DeletedAt IS NOT NULL".into());
        let settings: Vec<String> = FIELDS
            .iter()
            .map(|field| match (field.get)(&original) {
                Value::Null => format!("{}=", field.name),
                Value::String(text) => format!("{}={text}", field.name.to_lowercase()),
                other => format!("{}={other}", field.name),
            })
            .collect();
        let mut copy = config();
        set_all(&mut copy, &settings).unwrap();
        assert_eq!(copy, original);
    }

    #[test]
    fn a_setting_that_cannot_be_is_a_usage_error_that_names_it() {
        for bad in
            ["Buffer=1", "SafetyBufferMinutes", "SafetyBufferMinutes=x", "IsActive=2", "Target=a.b", "KeyColumn="]
        {
            let error = set_all(&mut config(), &[bad.to_owned()]).unwrap_err();
            let reported = error.to_string();
            assert!(reported.contains(bad.split('=').next().unwrap()), "{reported}");
        }
        let twice = ["IsActive=1".to_owned(), "isactive=0".to_owned()];
        assert!(set_all(&mut config(), &twice).is_err());
        let unknown = set_all(&mut config(), &["Buffer=1".to_owned()]).unwrap_err();
        assert!(unknown.what_to_do().unwrap().contains("SafetyBufferMinutes"));
    }
}
