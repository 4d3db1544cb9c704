//! [`ConfigFile`]: what a configuration file says. A message names the line, and never repeats a value.

use super::settings::{SETTINGS, Setting, SettingKind, SettingWords, nearest, setting};
use crate::backend::{Connection, Credentials};
use crate::bundle::is_identity;
use crate::cli::again::without_secrets;
use crate::error::{Error, Result};
use crate::model::id::Guid;
use crate::store::Location;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const DEFAULT_PROFILE: &str = "default_profile";
const PROFILE: &str = "profile";
const UNIT: &str = "unit";
/// Stands for a unit's GUID in paths and URLs; and one in its place, where they are looked at.
const UNIT_IN_PLACES: &str = "{unit}";
const ANY_UNIT: &str = "00000000-0000-0000-0000-000000000000";
/// The profile that counts where none is named.
const USUAL: &str = "default";

/// A file, checked: all of its profiles, whichever is used.
#[derive(Debug)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    default_profile: Option<String>,
    profiles: BTreeMap<String, ConfigProfile>,
}

/// What stands under a name.
#[derive(Clone, Debug, Default)]
pub struct ConfigProfile {
    /// For all commands that take them.
    pub settings: SettingWords,
    /// For the runs of single business units.
    pub units: BTreeMap<Guid, SettingWords>,
}

impl ConfigFile {
    /// Understands the text of a file, and knows whether every account of the machine can read it.
    ///
    /// # Errors
    /// Usage, with the line: no TOML, a key that is not known, or a value that cannot be one of it.
    pub fn parse(path: &Path, text: &str, is_readable_by_all: bool) -> Result<Self> {
        let reading = ConfigReading { path, text, is_readable_by_all };
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            reading.refused(at, format!("this is not TOML: {}", error.message()))
        })?;
        let mut file = Self { path: path.to_owned(), default_profile: None, profiles: BTreeMap::new() };
        for (key, value) in table.get_ref() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                (DEFAULT_PROFILE, DeValue::String(name)) => file.default_profile = Some(name.to_string()),
                (PROFILE, DeValue::Table(profiles)) => {
                    for (name, profile) in profiles {
                        file.profiles.insert(name.get_ref().to_string(), reading.profile(name, profile)?);
                    }
                }
                (DEFAULT_PROFILE, _) => return Err(reading.wrong(key, "the name of a profile, in quotes")),
                (PROFILE, _) => return Err(reading.wrong(key, "a table: begin it with a line [profile.NAME]")),
                (other, _) => return Err(reading.unknown_at_the_top(key, other)),
            }
        }
        if let Some(name) = &file.default_profile {
            file.named(name)?;
        }
        Ok(file)
    }

    /// The profile of this name, or else the one that the file says, or the one named `default`. None, if there is none of these.
    ///
    /// # Errors
    /// Usage: the one that was named is not there.
    pub fn profile(&self, name: Option<&str>) -> Result<Option<(&str, &ConfigProfile)>> {
        match name.or(self.default_profile.as_deref()) {
            Some(name) => self.named(name).map(Some),
            None => Ok(self.profiles.get_key_value(USUAL).map(|(name, profile)| (name.as_str(), profile))),
        }
    }

    /// Why none of its profiles is used where none is named, if it has some.
    pub fn unchosen(&self) -> Option<String> {
        let names: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
        let is_chosen = self.default_profile.is_some() || self.profiles.contains_key(USUAL);
        (!is_chosen && !names.is_empty()).then(|| {
            format!(
                "no profile of {} is used, because none of them is named {USUAL:?}: add --profile with one of {}, or put \
                 {DEFAULT_PROFILE} = \"NAME\" before the first of them",
                self.path.display(),
                names.join(", ")
            )
        })
    }

    fn named(&self, name: &str) -> Result<(&str, &ConfigProfile)> {
        self.profiles.get_key_value(name).map(|(name, profile)| (name.as_str(), profile)).ok_or_else(|| {
            let names: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
            let hint = match (nearest(name, names.iter().copied()), names.is_empty()) {
                (Some(near), _) => format!("did you mean {near}?"),
                (None, true) => "the file has no profiles: add one that begins with a line [profile.NAME]".to_owned(),
                (None, false) => format!("the file has these profiles: {}", names.join(", ")),
            };
            Error::usage(format!("there is no profile {name:?} in this file")).file(&self.path).hint(hint)
        })
    }
}

/// A file that is being understood.
struct ConfigReading<'f> {
    path: &'f Path,
    text: &'f str,
    is_readable_by_all: bool,
}

type Key<'t> = Spanned<toml::de::DeString<'t>>;

impl ConfigReading<'_> {
    fn profile(&self, name: &Key<'_>, value: &Spanned<DeValue<'_>>) -> Result<ConfigProfile> {
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.wrong(name, "a table: begin it with a line [profile.NAME]"));
        };
        let mut profile = ConfigProfile::default();
        for (key, value) in table {
            if key.get_ref() == UNIT {
                profile.units = self.units(key, value)?;
                continue;
            }
            let known = setting(key.get_ref()).ok_or_else(|| self.unknown(key, &|_| true))?;
            profile.settings.insert(known.name, self.words(known, key, value.get_ref())?);
        }
        Ok(profile)
    }

    /// The sections of single business units.
    fn units(&self, key: &Key<'_>, value: &Spanned<DeValue<'_>>) -> Result<BTreeMap<Guid, SettingWords>> {
        let due = "a table for each business unit: begin it with a line [profile.NAME.unit.GUID]";
        let DeValue::Table(units) = value.get_ref() else { return Err(self.wrong(key, due)) };
        // As they stand in the file: of two sections of one unit, the second is named.
        let mut sections: Vec<_> = units.iter().collect();
        sections.sort_by_key(|(name, _)| name.span().start);
        let mut found = BTreeMap::new();
        for (name, section) in sections {
            let unit = Guid::parse(name.get_ref()).map_err(|_| self.wrong(name, "the GUID of a business unit"))?;
            let DeValue::Table(section) = section.get_ref() else { return Err(self.wrong(name, due)) };
            let mut words = SettingWords::new();
            for (key, value) in section {
                let known = setting(key.get_ref()).filter(|setting| setting.is_of_units());
                let known = known.ok_or_else(|| self.unknown(key, &Setting::is_of_units))?;
                words.insert(known.name, self.words(known, key, value.get_ref())?);
            }
            if found.insert(unit, words).is_some() {
                return Err(self.refused(name.span().start, format!("the business unit {unit} has two sections")));
            }
        }
        Ok(found)
    }

    /// A value as words of a command line.
    fn words(&self, setting: &Setting, key: &Key<'_>, value: &DeValue<'_>) -> Result<Vec<String>> {
        match (setting.kind, value) {
            (SettingKind::Switch, DeValue::Boolean(is_on)) => {
                Ok(is_on.then(|| format!("--{}", setting.option())).into_iter().collect())
            }
            (SettingKind::Number, DeValue::Integer(number)) => {
                let number = u64::from_str_radix(number.as_str(), number.radix());
                let number = number.map_err(|_| self.wrong(key, "a whole number from 0 on"))?;
                Ok(vec![word(setting, &number.to_string())])
            }
            (SettingKind::Texts | SettingKind::Paths | SettingKind::Hooks, DeValue::Array(values)) => {
                values.iter().map(|value| self.text(setting, key, value.get_ref())).collect()
            }
            (kind, value) if takes_text(kind) => self.text(setting, key, value).map(|word| vec![word]),
            (kind, _) => Err(self.wrong(key, due(kind))),
        }
    }

    fn text(&self, setting: &Setting, key: &Key<'_>, value: &DeValue<'_>) -> Result<String> {
        let text = value.as_str().filter(|text| !text.is_empty() && !text.contains('\0'));
        let text = text.ok_or_else(|| self.wrong(key, due(setting.kind)))?;
        if is_identity(text) {
            let what = format!("{} holds an identity of age, which is secret", setting.name);
            return Err(self.refused(key.span().start, what).hint(
                "a recipient starts with age1, as `age-keygen -y FILE` prints it; identities are named by their files",
            ));
        }
        let is_whole = match setting.kind {
            SettingKind::Path | SettingKind::Paths => Path::new(text).is_absolute(),
            SettingKind::Destination => match Location::parse(&text.replace(UNIT_IN_PLACES, ANY_UNIT)) {
                Ok(location) => location.folder().is_none_or(Path::is_absolute),
                Err(error) => return Err(self.refused(key.span().start, format!("{}: {}", setting.name, error.what()))),
            },
            SettingKind::Connection => self.is_whole_connection(key, text)?,
            SettingKind::Hook | SettingKind::Hooks => self.is_kept_hook(key, text)?,
            _ => true,
        };
        if !is_whole {
            return Err(self.wrong(key, due(setting.kind)));
        }
        Ok(word(setting, text))
    }

    fn is_whole_connection(&self, key: &Key<'_>, text: &str) -> Result<bool> {
        if without_secrets(text) != text {
            let what = "connection holds a password, and a configuration file is no place for one";
            return Err(self.refused(key.span().start, what.to_owned()).hint(
                "leave it out of the connection, and use password_file, password_command or BLOBDELTA_PASSWORD",
            ));
        }
        // What else it lacks is said when it is used.
        let nobody = Credentials { password: Some(String::new()), access_token: None };
        Ok(match Connection::parse(text, &nobody) {
            Ok(Connection::Embedded(folder)) => folder.is_absolute(),
            _ => true,
        })
    }

    /// A URL by which everybody can speak in the operator's name stands in no file that everybody can read.
    fn is_kept_hook(&self, key: &Key<'_>, text: &str) -> Result<bool> {
        if let Some(file) = text.strip_prefix('@') {
            return Ok(Path::new(file).is_absolute());
        }
        if self.is_readable_by_all {
            let what = format!(
                "{} holds a URL, which may be a secret, and everybody on this machine can read the file",
                key.get_ref()
            );
            let file = self.path.display();
            return Err(self
                .refused(key.span().start, what)
                .hint(format!("chmod o-r {file}, or write @ and the path of a file that has the URL")));
        }
        Ok(true)
    }

    fn unknown(&self, key: &Key<'_>, is_there: &dyn Fn(&Setting) -> bool) -> Error {
        let typed = key.get_ref();
        let there = SETTINGS.iter().filter(|setting| is_there(setting)).map(|setting| setting.name);
        let hint = match nearest(typed, there) {
            Some(near) => format!("did you mean {near}?"),
            None if typed == "password" => "use password_file, password_command or BLOBDELTA_PASSWORD".to_owned(),
            None => "`blobdelta config show` lists the settings".to_owned(),
        };
        self.refused(key.span().start, format!("there is no setting {typed:?} here")).hint(hint)
    }

    fn unknown_at_the_top(&self, key: &Key<'_>, typed: &str) -> Error {
        let hint = match nearest(typed, [DEFAULT_PROFILE, PROFILE]) {
            Some(near) => format!("did you mean {near}?"),
            None if setting(typed).is_some() => "write it below a line [profile.NAME]".to_owned(),
            None => format!("at the top of the file there are {DEFAULT_PROFILE} and {PROFILE}"),
        };
        self.refused(key.span().start, format!("the file has no key {typed:?}")).hint(hint)
    }

    fn wrong(&self, key: &Key<'_>, due: &str) -> Error {
        self.refused(key.span().start, format!("{} has to be {due}", key.get_ref()))
    }

    fn refused(&self, at: usize, what: String) -> Error {
        let line = self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        Error::usage(format!("line {line} of the configuration file: {what}")).file(self.path)
    }
}

fn takes_text(kind: SettingKind) -> bool {
    use SettingKind::{Connection, Destination, Hook, Path, Secret, Text};
    matches!(kind, Connection | Destination | Hook | Path | Secret | Text)
}

/// An option with its value is one word, so that no value is taken for an option.
fn word(setting: &Setting, value: &str) -> String {
    format!("--{}={value}", setting.option())
}

/// What a value of this kind has to be.
fn due(kind: SettingKind) -> &'static str {
    match kind {
        SettingKind::Text | SettingKind::Secret => "text in quotes",
        SettingKind::Connection => {
            "a connection string in quotes; of an embedded instance, sqlite: and the path of its folder from the root on"
        }
        SettingKind::Path => "a path from the root on, in quotes",
        SettingKind::Paths => "a list of paths from the root on: [\"/…\", \"/…\"]",
        SettingKind::Destination => "a URL, or the path of a folder from the root on, in quotes",
        SettingKind::Hook => "a URL, or @ and the path of a file from the root on, in quotes",
        SettingKind::Hooks => "a list of URLs, or of @ and the path of a file from the root on: [\"@/…\"]",
        SettingKind::Number => "a whole number from 0 on",
        SettingKind::Switch => "true or false",
        SettingKind::Texts => "a list of texts: [\"…\", \"…\"]",
    }
}

#[cfg(test)]
#[path = "parsed_tests.rs"]
mod tests;
