//! What of a profile is in effect in this process, for those who have to tell it from what was typed.

use super::settings::SettingWords;
use crate::model::id::Guid;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

#[derive(Debug)]
struct EffectiveProfile {
    name: String,
    settings: BTreeSet<&'static str>,
    units: BTreeMap<Guid, UnitSection>,
}

static EFFECTIVE: OnceLock<EffectiveProfile> = OnceLock::new();

/// What a profile says of the runs of one business unit.
#[derive(Clone, Debug, Default)]
pub struct UnitSection {
    /// Folder of its bundles.
    pub out: Option<String>,
    /// Their destination.
    pub ship: Option<String>,
    /// The key that signs them.
    pub sign_key: Option<String>,
    /// Recipients, for whom they are encrypted.
    pub encrypt_to: Vec<String>,
    /// Hooks that are told of its runs.
    pub notify: Vec<String>,
    /// Their dead man's switch.
    pub ping: Option<String>,
}

impl UnitSection {
    fn of(words: &SettingWords) -> Self {
        let values = |name: &str| -> Vec<String> {
            let words = words.get(name).into_iter().flatten();
            words.filter_map(|word| word.split_once('=')).map(|(_, value)| value.to_owned()).collect()
        };
        let value = |name: &str| values(name).pop();
        Self {
            out: value("out"),
            ship: value("ship"),
            sign_key: value("sign_key"),
            encrypt_to: values("encrypt_to"),
            notify: values("notify"),
            ping: value("ping"),
        }
    }
}

/// Keeps which profile was used, which of its settings were given to the parser, and its sections of business units. Once a
/// process; what is said later does not count.
pub(super) fn keep(profile: &str, settings: impl Iterator<Item = &'static str>, units: &BTreeMap<Guid, SettingWords>) {
    let units = units.iter().map(|(unit, words)| (*unit, UnitSection::of(words))).collect();
    _ = EFFECTIVE.set(EffectiveProfile { name: profile.to_owned(), settings: settings.collect(), units });
}

/// Whether the value of this setting came from a profile.
pub fn is_from_profile(setting: &str) -> bool {
    EFFECTIVE.get().is_some_and(|profile| profile.settings.contains(setting))
}

/// The name of the profile that was used, if there was one.
pub fn profile_in_use() -> Option<&'static str> {
    EFFECTIVE.get().map(|profile| profile.name.as_str())
}

/// The sections of business units in the profile that was used.
pub fn unit_sections() -> BTreeMap<Guid, UnitSection> {
    EFFECTIVE.get().map(|profile| profile.units.clone()).unwrap_or_default()
}
