//! `config show` and `config schema`.

use super::merge::{ChosenProfile, Typed};
use super::schema::{option_of, schema};
use super::settings::{SETTINGS, Setting, SettingKind};
use crate::backend::{Connection, Credentials};
use crate::cli::answer::Answer;
use crate::cli::out::clean;
use crate::cli::table::{TextTable, plain};
use crate::cli::text::Text;
use crate::error::{Error, Result};
use crate::store::HookUrl;
use clap::{Arg, Command, Subcommand};
use serde_json::json;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;

/// What stands in place of a value that nobody may see.
const HIDDEN: &str = "(set, not shown)";

/// What is asked of the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show the settings that a command would use, each with where it comes from
    Show(ConfigShowArgs),
    /// Print the JSON Schema of the configuration file, for editors
    Schema,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
The configuration file is that of --config or BLOBDELTA_CONFIG, or the first that is there of
~/.config/blobdelta/blobdelta.toml and /etc/blobdelta/blobdelta.toml. An option that is typed comes
first, then the environment, then the profile, then the default. No secret is shown.

Examples:
  blobdelta config show
  blobdelta config show --profile weekly
  blobdelta config show run --out ./bundles")]
pub struct ConfigShowArgs {
    /// The command, with its options. Without one, all settings are shown
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Shows the configuration, or how one is written.
///
/// # Errors
/// Usage: the configuration cannot be used, or there is no such command.
pub fn run(command: &ConfigCommand, root: &Command, typed: &[OsString]) -> Result<Answer> {
    match command {
        ConfigCommand::Show(args) => show(args, root, typed),
        ConfigCommand::Schema => {
            let schema = schema(root);
            let text = serde_json::to_string_pretty(&schema)
                .map_err(|error| Error::internal("the schema cannot be written").caused_by(error))?;
            Ok(Answer::shown(format!("{text}\n"), schema))
        }
    }
}

/// The text of a value, if there is one, and where it comes from.
struct ShownSetting {
    value: Option<String>,
    origin: String,
}

impl ShownSetting {
    fn new(value: impl Into<String>, origin: impl Into<String>) -> Self {
        Self { value: Some(value.into()), origin: origin.into() }
    }
}

fn show(args: &ConfigShowArgs, root: &Command, typed: &[OsString]) -> Result<Answer> {
    let own = Typed::of(root, typed);
    let words = [&[OsString::from("blobdelta")], args.command.as_slice()].concat();
    let asked = (!args.command.is_empty()).then(|| Typed::of(root, &words));
    if let (Some(Typed { name: None, .. }), Some(name)) = (&asked, args.command.first()) {
        return Err(Error::usage(format!("there is no command {name:?}")).hint("`blobdelta --help` lists the commands"));
    }
    let of = asked.as_ref().unwrap_or(&own);
    // What stands behind COMMAND is its own.
    let chosen = if of.names_a_file() { of.profile()? } else { own.profile()? };
    let mut table = TextTable::new([plain("Setting"), plain("Origin"), plain("Value")]);
    for setting in &SETTINGS {
        let shown = match &asked {
            Some(asked) => asked.shown(setting, chosen.as_ref(), &words),
            None => Some(shown_of_all(setting, chosen.as_ref(), root)),
        };
        if let Some(ShownSetting { value, origin }) = shown {
            table.push([setting.name.into(), origin.into(), value.map(|value| clean(&value)).into()]);
        }
    }
    let mut text = Text::new();
    let _ = match &chosen {
        Some(chosen) => {
            writeln!(text, "profile {} of {}\n", clean(&chosen.name), clean(&chosen.path.display().to_string()))
        }
        None => match if of.names_a_file() { of.unchosen()? } else { own.unchosen()? } {
            Some(why) => writeln!(text, "{}\n", clean(&why)),
            None => writeln!(text, "no profile is used\n"),
        },
    };
    text.table(&table);
    let profile = chosen.as_ref().map(|chosen| json!({"name": chosen.name, "file": chosen.path.display().to_string()}));
    Ok(Answer::shown(text, json!({"profile": profile, "settings": table.json()})))
}

/// A setting where no command is named: by the environment, the profile, or the first command that has the option.
fn shown_of_all(setting: &Setting, chosen: Option<&ChosenProfile>, root: &Command) -> ShownSetting {
    let arg = option_of(root, setting);
    let variable =
        arg.and_then(Arg::get_env).filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let instead = setting.variables.iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    match (variable, instead, chosen.and_then(|chosen| chosen.profile.settings.get(setting.name))) {
        (Some(variable), _, _) => of_environment(setting, variable),
        (None, Some(variable), _) => ShownSetting::new(HIDDEN, format!("environment {variable}")),
        (None, None, Some(words)) => ShownSetting::new(of_words(setting, words), "profile"),
        (None, None, None) => by_default(arg),
    }
}

fn of_environment(setting: &Setting, variable: &OsStr) -> ShownSetting {
    let value = std::env::var_os(variable).unwrap_or_default();
    ShownSetting::new(visible(setting, &value.to_string_lossy()), format!("environment {}", variable.to_string_lossy()))
}

impl Typed {
    /// A setting as the command would use it; nothing, if it does not take it.
    fn shown(&self, setting: &Setting, chosen: Option<&ChosenProfile>, words: &[OsString]) -> Option<ShownSetting> {
        let arg =
            self.option(&setting.option()).filter(|_| self.name.as_deref().is_some_and(|name| setting.is_for(name)))?;
        if self.is_on_line(arg) {
            return Some(ShownSetting::new(of_words(setting, &typed_values(setting, words)), "command line"));
        }
        if let Some(variable) = arg.get_env().filter(|_| self.is_by_environment(arg)) {
            return Some(of_environment(setting, variable));
        }
        let Some(words) = chosen.and_then(|chosen| chosen.profile.settings.get(setting.name)) else {
            return Some(by_default(Some(arg)));
        };
        let is_taken = chosen
            .is_some_and(|chosen| self.taken(&chosen.profile.settings).iter().any(|one| one.name == setting.name));
        Some(match is_taken {
            true => ShownSetting::new(of_words(setting, words), "profile"),
            false => ShownSetting { value: None, origin: "profile, gave way".into() },
        })
    }
}

fn by_default(arg: Option<&Arg>) -> ShownSetting {
    let values = arg.filter(|arg| arg.get_action().takes_values()).map(Arg::get_default_values).unwrap_or_default();
    let value: Vec<String> = values.iter().map(|value| value.to_string_lossy().into_owned()).collect();
    ShownSetting { value: (!value.is_empty()).then(|| value.join(", ")), origin: "default".into() }
}

/// The typed words of one option, each as `--option=value`.
fn typed_values(setting: &Setting, words: &[OsString]) -> Vec<String> {
    let (option, mut found) = (format!("--{}", setting.option()), Vec::new());
    let mut words = words.iter().map(|word| word.to_string_lossy()).peekable();
    while let Some(word) = words.next() {
        if word.starts_with(&format!("{option}=")) || (word == option && setting.kind == SettingKind::Switch) {
            found.push(word.into_owned());
        } else if word == option {
            found.extend(words.next().map(|value| format!("{option}={value}")));
        }
    }
    found
}

fn of_words(setting: &Setting, words: &[String]) -> String {
    if setting.kind == SettingKind::Switch {
        return (if words.is_empty() { "no" } else { "yes" }).to_owned();
    }
    let start = format!("--{}=", setting.option());
    let values = words.iter().map(|word| visible(setting, word.strip_prefix(&start).unwrap_or_default()));
    values.collect::<Vec<_>>().join(", ")
}

/// A value without secrets.
fn visible(setting: &Setting, value: &str) -> String {
    match setting.kind {
        SettingKind::Secret => HIDDEN.to_owned(),
        SettingKind::Hook | SettingKind::Hooks if value.starts_with('@') => value.to_owned(),
        SettingKind::Hook | SettingKind::Hooks => {
            HookUrl::parse(value).map_or_else(|_| "(cannot be understood)".to_owned(), |hook| hook.to_string())
        }
        SettingKind::Connection => {
            let nobody = Credentials { password: Some(String::new()), access_token: None };
            Connection::parse(value, &nobody).map_or_else(|_| "(cannot be understood)".to_owned(), |it| it.to_string())
        }
        _ => value.to_owned(),
    }
}
