//! The JSON Schema of the configuration file: what an editor completes and checks.

use super::settings::{SETTINGS, Setting, SettingKind};
use clap::{Arg, Command};
use serde_json::{Map, Value, json};

/// The schema, with the help of the options.
pub fn schema(root: &Command) -> Value {
    let settings: Map<String, Value> =
        SETTINGS.iter().map(|setting| (setting.name.to_owned(), property(setting, option_of(root, setting)))).collect();
    let of_units: Map<String, Value> = SETTINGS
        .iter()
        .filter(|setting| setting.is_of_units())
        .map(|setting| {
            (setting.name.to_owned(), json!({"$ref": format!("#/$defs/profile/properties/{}", setting.name)}))
        })
        .collect();
    let mut settings = settings;
    settings.insert(
        "unit".to_owned(),
        json!({
            "type": "object",
            "description": "Settings of the runs of single business units, each under the unit's GUID",
            "propertyNames": {"pattern": "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"},
            "additionalProperties": {"type": "object", "additionalProperties": false, "properties": of_units},
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of blobdelta",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "default_profile": {
                "type": "string",
                "description": "The profile that is used without --profile. Without this key it is the one named default",
            },
            "profile": {
                "type": "object",
                "description": "Sets of options, each under a name",
                "additionalProperties": {"$ref": "#/$defs/profile"},
            },
        },
        "$defs": {
            "profile": {"type": "object", "additionalProperties": false, "properties": settings},
        },
    })
}

fn property(setting: &Setting, arg: Option<&Arg>) -> Value {
    let mut property = match setting.kind {
        SettingKind::Text | SettingKind::Connection | SettingKind::Destination | SettingKind::Secret => {
            json!({"type": "string", "minLength": 1})
        }
        SettingKind::Path | SettingKind::Hook => json!({"type": "string", "minLength": 1}),
        SettingKind::Number => json!({"type": "integer", "minimum": 0}),
        SettingKind::Switch => json!({"type": "boolean"}),
        SettingKind::Texts | SettingKind::Paths | SettingKind::Hooks => {
            json!({"type": "array", "items": {"type": "string", "minLength": 1}})
        }
    };
    let help = arg.and_then(Arg::get_help).map(ToString::to_string).unwrap_or_default();
    property["description"] = help.replace("; may be repeated", "").into();
    let values: Vec<String> = arg
        .map(|arg| arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect())
        .unwrap_or_default();
    match (values.is_empty(), setting.kind) {
        (false, SettingKind::Text) => property["enum"] = values.into(),
        (false, SettingKind::Texts) => property["items"]["enum"] = values.into(),
        _ => {}
    }
    property
}

/// The option of a setting, of the first command that has it.
pub(super) fn option_of<'c>(root: &'c Command, setting: &Setting) -> Option<&'c Arg> {
    let name = setting.option();
    let own = |command: &'c Command| command.get_arguments().find(|arg| arg.get_long() == Some(&name));
    let is_for = |command: &&'c Command| setting.is_for(command.get_name());
    own(root).or_else(|| {
        let below = root.get_subcommands().filter(is_for);
        below.flat_map(|command| std::iter::once(command).chain(command.get_subcommands())).find_map(own)
    })
}
