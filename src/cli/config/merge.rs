//! A profile's settings as words of the command line, behind those that were typed.
//!
//! The typed words are parsed once without the rules on which option goes with which: so it is known what was typed and
//! what the environment says. What is left of the profile is added, and the parser then sees all of it, with its rules.

use super::effective;
use super::file::{find, places};
use super::parsed::ConfigProfile;
use super::settings::{SETTINGS, Setting, SettingWords, nearest};
use crate::error::{Error, Result};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

/// What the words of a command line and the environment say, whatever is wrong with them.
pub(super) struct Typed {
    /// The innermost command that was named, built.
    pub command: Command,
    /// The first of the commands that lead to it, if there is one.
    pub name: Option<String>,
    config: Option<PathBuf>,
    profile: Option<String>,
    without: Vec<String>,
    on_line: BTreeSet<String>,
    by_environment: BTreeSet<String>,
}

/// Words for the parser, and what a message about them has to add.
#[derive(Debug, PartialEq, Eq)]
pub struct MergedWords {
    /// The words, that of the program first.
    pub words: Vec<OsString>,
    /// Where those come from that nobody typed, if there are any; or why there are none although there is a file.
    pub note: Option<String>,
    /// Whether there is a file with profiles of which none is used.
    pub is_unused: bool,
}

/// The typed words, with what the profile adds to them.
///
/// # Errors
/// Usage: the configuration file or the profile is not there, cannot be understood, or cannot be trusted; Io.
pub fn with_profile(root: &Command, words: Vec<OsString>) -> Result<MergedWords> {
    let typed = Typed::of(root, &words);
    let needs_none = typed.name.as_deref().is_none_or(|name| name == "config" || name == "help");
    if needs_none {
        return Ok(MergedWords { words, note: None, is_unused: false });
    }
    let Some(chosen) = typed.profile()? else {
        let note = typed.unchosen()?;
        return Ok(MergedWords { words, is_unused: note.is_some(), note });
    };
    let taken = typed.taken(&chosen.profile.settings);
    effective::keep(&chosen.name, taken.iter().map(|setting| setting.name), &chosen.profile.units);
    let settings = &chosen.profile.settings;
    let added: Vec<OsString> =
        taken.iter().flat_map(|setting| settings[setting.name].iter().map(OsString::from)).collect();
    let options: Vec<String> = taken.iter().map(|setting| format!("--{}", setting.option())).collect();
    let note = (!added.is_empty())
        .then(|| format!("profile {} of {} gives: {}", chosen.name, chosen.path.display(), options.join(", ")));
    // What follows two hyphens is no option.
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let mut all = words;
    all.splice(end..end, added);
    Ok(MergedWords { words: all, note, is_unused: false })
}

/// The profile that counts.
pub(super) struct ChosenProfile {
    pub path: PathBuf,
    pub name: String,
    pub profile: ConfigProfile,
}

impl Typed {
    /// Looks at the words, that of the program first.
    pub(super) fn of(root: &Command, words: &[OsString]) -> Self {
        let mut lenient = root.clone().ignore_errors(true);
        let matches = lenient.try_get_matches_from_mut(words).unwrap_or_default();
        let (mut command, mut at, mut name) = (&lenient, &matches, None);
        while let Some((below, its)) = at.subcommand() {
            let Some(found) = command.find_subcommand(below) else { break };
            name.get_or_insert(below.to_owned());
            (command, at) = (found, its);
        }
        let (mut on_line, mut by_environment) = (BTreeSet::new(), BTreeSet::new());
        for arg in command.get_arguments() {
            match source(at, arg) {
                Some(ValueSource::CommandLine) => on_line.insert(arg.get_id().to_string()),
                Some(ValueSource::EnvVariable) => by_environment.insert(arg.get_id().to_string()),
                _ => continue,
            };
        }
        let config = at.try_get_one::<OsString>("config").ok().flatten().map(PathBuf::from);
        let profile = at.try_get_one::<String>("profile").ok().flatten().cloned();
        let without = at.try_get_many::<String>("without").ok().flatten();
        let without = without.map(|names| names.cloned().collect()).unwrap_or_default();
        Self { command: command.clone(), name, config, profile, without, on_line, by_environment }
    }

    /// Whether a file or a profile was named.
    pub(super) fn names_a_file(&self) -> bool {
        self.config.is_some() || self.profile.is_some()
    }

    /// The profile that was named, or the one that counts without a name.
    pub(super) fn profile(&self) -> Result<Option<ChosenProfile>> {
        let named = self.profile.as_deref().filter(|name| !name.is_empty());
        let Some(file) = find(self.config.as_deref())? else {
            return match named {
                None => Ok(None),
                Some(name) => {
                    let places: Vec<String> = places().iter().map(|path| path.display().to_string()).collect();
                    Err(Error::usage(format!("there is no configuration file, so there is no profile {name:?}"))
                        .hint(format!("name the file with --config, or make one of: {}", places.join(", "))))
                }
            };
        };
        for name in &self.without {
            if SETTINGS.iter().all(|setting| setting.name != name && setting.option() != *name) {
                let near = nearest(name, SETTINGS.iter().map(|setting| setting.name));
                let hint = near.map_or("`blobdelta config show` lists the settings".into(), |near| {
                    format!("did you mean {near}?")
                });
                return Err(Error::usage(format!("--without: there is no setting {name:?}")).hint(hint));
            }
        }
        let chosen = file.profile(named)?;
        Ok(chosen.map(|(name, profile)| ChosenProfile {
            path: file.path.clone(),
            name: name.to_owned(),
            profile: profile.clone(),
        }))
    }

    /// Why no profile counts although the file has some.
    pub(super) fn unchosen(&self) -> Result<Option<String>> {
        Ok(find(self.config.as_deref())?.and_then(|file| file.unchosen()))
    }

    /// The settings of a profile that count for this command.
    pub(super) fn taken(&self, settings: &SettingWords) -> Vec<&'static Setting> {
        let own = SETTINGS.iter().filter(|setting| settings.contains_key(setting.name));
        own.filter(|setting| self.takes(setting)).collect()
    }

    fn takes(&self, setting: &Setting) -> bool {
        let Some(arg) = self.option(&setting.option()) else { return false };
        let is_for = self.name.as_deref().is_some_and(|name| setting.is_for(name));
        let is_left_out = self.without.iter().any(|name| name == setting.name || *name == setting.option());
        is_for && !is_left_out && !self.is_given(arg) && !self.is_in_the_way(setting, arg)
    }

    /// Whether something that was typed contradicts a setting, or says the same in another way.
    fn is_in_the_way(&self, setting: &Setting, arg: &Arg) -> bool {
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_typed = |option: &&str| self.option(option).is_some_and(|arg| self.is_on_line(arg));
        setting.variables.iter().any(is_set)
            || setting.others.iter().any(is_typed)
            || self.is_contradicted(arg)
            || setting.needs.and_then(|name| self.option(name)).is_some_and(|needed| self.is_contradicted(needed))
    }

    /// Whether an option that was typed may not stand beside this one.
    fn is_contradicted(&self, arg: &Arg) -> bool {
        let is_against = |one: &Arg, other: &Arg| {
            self.command.get_arg_conflicts_with(one).iter().any(|against| against.get_id() == other.get_id())
        };
        let typed = self.command.get_arguments().filter(|other| self.is_on_line(other));
        typed.into_iter().any(|other| !other.is_global_set() && (is_against(arg, other) || is_against(other, arg)))
    }

    /// The option of this name.
    pub(super) fn option(&self, name: &str) -> Option<&Arg> {
        self.command.get_arguments().find(|arg| arg.get_long() == Some(name))
    }

    fn is_given(&self, arg: &Arg) -> bool {
        self.is_on_line(arg) || self.is_by_environment(arg)
    }

    /// Whether somebody typed this option.
    pub(super) fn is_on_line(&self, arg: &Arg) -> bool {
        self.on_line.contains(arg.get_id().as_str())
    }

    /// Whether the environment has it.
    pub(super) fn is_by_environment(&self, arg: &Arg) -> bool {
        self.by_environment.contains(arg.get_id().as_str())
    }
}

/// Where the value of an option comes from; an empty variable is none.
fn source(matches: &ArgMatches, arg: &Arg) -> Option<ValueSource> {
    let id = arg.get_id().as_str();
    let is_known = matches.try_contains_id(id).is_ok();
    let source = is_known.then(|| matches.value_source(id)).flatten()?;
    let is_empty = || arg.get_env().and_then(std::env::var_os).is_none_or(|value| value.is_empty());
    (source != ValueSource::EnvVariable || !is_empty()).then_some(source)
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
