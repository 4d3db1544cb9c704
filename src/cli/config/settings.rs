//! The settings that a profile may have: one table, from which everything else about them follows.

use std::collections::BTreeMap;

/// Settings, each with its words for a command line: none for a switch that is off.
pub type SettingWords = BTreeMap<&'static str, Vec<String>>;

/// What a setting's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// Text.
    Text,
    /// A connection string without a password, or `sqlite:` and the path of a folder from the root on.
    Connection,
    /// The path of a file or folder from the root on.
    Path,
    /// Several of them.
    Paths,
    /// A URL, or the path of a folder from the root on.
    Destination,
    /// A text that nobody may see: a command, which may hold anything.
    Secret,
    /// A whole number from 0 on.
    Number,
    /// true or false.
    Switch,
    /// Several texts.
    Texts,
    /// The URL of a hook, or `@` and the path of a file that has it. A URL may be a secret.
    Hook,
    /// Several of them.
    Hooks,
}

/// A setting: an option of commands that a profile may give. It has the option's name, with `_` for `-`.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// As the file spells it.
    pub name: &'static str,
    /// What its value is.
    pub kind: SettingKind,
    /// For which commands; for none named, all that have the option.
    pub commands: &'static [&'static str],
    /// The setting without which this one means nothing. If that one gives way, this one does too.
    pub needs: Option<&'static str>,
    /// What it gives way to, beside the option itself, where that is in the environment.
    pub variables: &'static [&'static str],
    /// And where that was typed.
    pub others: &'static [&'static str],
}

impl Setting {
    /// The option's name without its hyphens at the front.
    pub fn option(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Whether the section of a business unit may have it.
    pub fn is_of_units(&self) -> bool {
        ["out", "ship", "sign_key", "encrypt_to", "notify", "ping"].contains(&self.name)
    }

    /// Whether a command of this name takes it, if it has the option.
    pub fn is_for(&self, command: &str) -> bool {
        self.commands.is_empty() || self.commands.contains(&command)
    }
}

const fn everywhere(name: &'static str, kind: SettingKind) -> Setting {
    Setting { name, kind, commands: &[], needs: None, variables: &[], others: &[] }
}

const fn of_runs(name: &'static str, kind: SettingKind) -> Setting {
    Setting { commands: &["run", "pack"], ..everywhere(name, kind) }
}

const fn of_runs_with(name: &'static str, kind: SettingKind, needs: &'static str) -> Setting {
    Setting { needs: Some(needs), ..of_runs(name, kind) }
}

/// Another way to log in.
const fn login(name: &'static str, kind: SettingKind) -> Setting {
    let variables = &[
        "BLOBDELTA_PASSWORD",
        "BLOBDELTA_PASSWORD_COMMAND",
        "BLOBDELTA_ACCESS_TOKEN",
        "BLOBDELTA_ACCESS_TOKEN_FILE",
        "BLOBDELTA_ACCESS_TOKEN_COMMAND",
    ];
    Setting { variables, others: &["password-file", "password-command"], ..everywhere(name, kind) }
}

/// All of them, in the order in which they are shown.
pub const SETTINGS: [Setting; 35] = [
    everywhere("connection", SettingKind::Connection),
    login("password_file", SettingKind::Path),
    login("password_command", SettingKind::Secret),
    everywhere("reconnect_minutes", SettingKind::Number),
    of_runs("out", SettingKind::Path),
    of_runs_with("ship", SettingKind::Destination, "out"),
    everywhere("bandwidth", SettingKind::Text),
    of_runs("archive", SettingKind::Switch),
    of_runs_with("encrypt_to", SettingKind::Texts, "archive"),
    of_runs("sign_key", SettingKind::Path),
    of_runs_with("backup_slice", SettingKind::Text, "out"),
    of_runs("batch_size", SettingKind::Number),
    of_runs("max_dop", SettingKind::Number),
    of_runs("lease_minutes", SettingKind::Number),
    of_runs("connections", SettingKind::Number),
    of_runs("zstd_level", SettingKind::Number),
    of_runs("part_mib", SettingKind::Number),
    of_runs("row_group_mib", SettingKind::Number),
    of_runs("inline_mib", SettingKind::Number),
    everywhere("memory_mib", SettingKind::Number),
    everywhere("threads", SettingKind::Number),
    everywhere("identity", SettingKind::Paths),
    everywhere("signer", SettingKind::Path),
    Setting { needs: Some("signer"), ..everywhere("signer_scope", SettingKind::Path) },
    everywhere("roots", SettingKind::Path),
    Setting { commands: &["prune", "report"], ..everywhere("keep_runs", SettingKind::Number) },
    Setting { commands: &["prune", "report"], ..everywhere("keep_days", SettingKind::Number) },
    everywhere("notify", SettingKind::Hooks),
    everywhere("notify_on", SettingKind::Texts),
    everywhere("ping", SettingKind::Hook),
    everywhere("metrics", SettingKind::Path),
    everywhere("group_readable", SettingKind::Switch),
    everywhere("color", SettingKind::Text),
    everywhere("log_format", SettingKind::Text),
    everywhere("wide", SettingKind::Switch),
];

/// The setting of this name.
pub fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// Of some names the one that was probably meant, if one is near enough: a third of its letters may differ.
pub fn nearest<'n>(typed: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    let ranked = names.into_iter().map(|name| (strsim::damerau_levenshtein(&plain(name), &plain(typed)), name));
    let (distance, name) = ranked.min_by_key(|(distance, _)| *distance)?;
    (distance <= name.chars().count() / 3).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_that_is_near() {
        let names = || SETTINGS.iter().map(|setting| setting.name);
        for (typed, due) in [
            ("conection", Some("connection")),
            ("sign-key", Some("sign_key")),
            ("Out", Some("out")),
            ("encrypt", Some("encrypt_to")),
            ("memory", None),
            ("password", None),
            ("xyz", None),
        ] {
            let found = nearest(typed, names());
            assert_eq!(found, due, "{typed}");
        }
    }
}
