//! The command that goes on with what was begun, as it has to be typed.

use super::config::is_from_profile;
use crate::backend::{Connection, Credentials};
use crate::error::Unfinished;
use crate::model::id::Guid;
use std::sync::{Mutex, PoisonError};

/// What stands for the unit's GUID in paths and URLs.
pub const UNIT: &str = "{unit}";

/// Options of `run` that say what a run takes: a run that is gone on with takes what it was started with.
const OF_A_FRESH_RUN: [&str; 9] = [
    "--table",
    "--business-unit",
    "--each-business-unit",
    "--batch-size",
    "--max-dop",
    "--from",
    "--until",
    "--resume",
    "--take-over",
];
/// Options of `run` that `pack` does not have.
const NOT_OF_PACK: [&str; 5] = ["--backup-slice", "--notify", "--notify-on", "--ping", "--metrics"];
/// Those of either without a value.
const FLAGS_NOT_OF_PACK: [&str; 2] = ["--no-bundle", "--plan"];
/// Commands that act on an instance.
const OF_AN_INSTANCE: [&str; 10] =
    ["run", "pack", "table", "key", "deploy", "reconcile", "status", "doctor", "prune", "report"];
const CONNECTION: &str = "--connection";
/// Options whose value may be a secret.
const SECRETS: [&str; 3] = ["--password-command", "--notify", "--ping"];
/// Options that say which instance is meant.
const WHERE: [&str; 3] = [CONNECTION, "--config", "--profile"];
/// An option that needs another.
const ENCRYPT_TO: &str = " --encrypt-to ";
const ARCHIVE: &str = " --archive";
/// Where somebody else publishes.
const FOLDER: &str = " --out FOLDER";

/// The run of a business unit that is made: a run that is gone on with is told its places, and no unit.
#[derive(Debug)]
pub struct UnitOptions {
    /// Whose run it is.
    pub unit: Guid,
    /// Options that say its places, which a section of the profile may have given.
    pub options: Vec<(&'static str, String)>,
}

static OF_UNIT: Mutex<Option<UnitOptions>> = Mutex::new(None);

/// From now on, a command that goes on is that of this unit's run.
pub fn speak_of(unit: Option<UnitOptions>) {
    *OF_UNIT.lock().unwrap_or_else(PoisonError::into_inner) = unit;
}

/// The command that goes on, with the options of this one that it takes too. No secret is in it.
pub fn command(unfinished: &Unfinished) -> String {
    let unit = OF_UNIT.lock().unwrap_or_else(PoisonError::into_inner);
    command_of(unfinished, std::env::args().skip(1), unit.as_ref())
}

fn command_of(unfinished: &Unfinished, typed: impl Iterator<Item = String>, unit: Option<&UnitOptions>) -> String {
    let (mut text, is_pack) = match unfinished {
        Unfinished::Run(run) => (format!("blobdelta run --resume {run}"), false),
        Unfinished::Pack(run) => (format!("blobdelta pack --run {run}"), true),
    };
    let is_left_out =
        |name: &str| OF_A_FRESH_RUN.contains(&name) || name == "--run" || (is_pack && NOT_OF_PACK.contains(&name));
    let mut typed = typed.peekable();
    while let Some(argument) = typed.next() {
        let Some(option) = argument.strip_prefix("--") else { continue };
        let (name, mut value) = match option.split_once('=') {
            Some((name, value)) => (format!("--{name}"), Some(value.to_owned())),
            None => (argument.clone(), None),
        };
        if is_pack && FLAGS_NOT_OF_PACK.contains(&name.as_str()) {
            continue;
        }
        // A value never begins with two hyphens here, and a flag has none.
        if value.is_none() && typed.peek().is_some_and(|next| !next.starts_with("--")) {
            value = typed.next();
        }
        if is_left_out(&name) {
            continue;
        }
        let value = value.map(|value| match unit {
            Some(of) => value.replace(UNIT, &of.unit.to_string()),
            None => value,
        });
        let value = value.map(|value| match name.as_str() {
            CONNECTION => without_secrets(&value),
            hook if SECRETS[1..].contains(&hook) && value.starts_with('@') => value,
            secret if SECRETS.contains(&secret) => "VALUE".to_owned(),
            _ => value,
        });
        text += &format!(" {name}");
        text += &value.map_or(String::new(), |value| format!(" {}", quoted(&value)));
    }
    let untold = |(name, _): &&(&str, String)| !text.contains(&format!(" {name} "));
    let untold = unit.into_iter().flat_map(|of| &of.options).filter(untold);
    text += &untold.map(|(name, value)| format!(" {name} {}", quoted(value))).collect::<String>();
    if text.contains(ENCRYPT_TO) && !text.contains(ARCHIVE) {
        text += ARCHIVE;
    }
    if is_pack && !text.contains(" --out ") && !is_from_profile("out") {
        text += FOLDER;
    }
    text
}

/// A command to type, with the connection that was typed for this one.
pub fn connected(command: &str) -> String {
    connected_of(command, std::env::args().skip(1))
}

fn connected_of(command: &str, typed: impl Iterator<Item = String>) -> String {
    let (mut text, mut typed) = (command.to_owned(), typed.peekable());
    while let Some(argument) = typed.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        if WHERE.contains(&name.as_str())
            && let Some(value) = value.or_else(|| typed.next())
        {
            let value = if name == CONNECTION { without_secrets(&value) } else { value };
            text += &format!(" {name} {}", quoted(&value));
        }
    }
    text
}

/// A text for people, with that in each command between backticks that acts on an instance.
pub fn connected_text(text: &str) -> String {
    text_of(text, std::env::args().skip(1).collect())
}

fn text_of(text: &str, typed: Vec<String>) -> String {
    let needs = |part: &str| {
        let command = part.strip_prefix("blobdelta ").and_then(|rest| rest.split(' ').next());
        command.is_some_and(|command| OF_AN_INSTANCE.contains(&command)) && !part.contains("--connection")
    };
    let parts = text.split('`').enumerate().map(|(nth, part)| match nth % 2 == 1 && needs(part) {
        true => connected_of(part, typed.iter().cloned()),
        false => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

/// A password that was typed is not printed; the environment takes it.
pub fn without_secrets(connection: &str) -> String {
    if !connection.to_ascii_lowercase().contains("password") && !connection.to_ascii_lowercase().contains("pwd") {
        return connection.to_owned();
    }
    let kept = connection.split(';').filter(|part| {
        let name = part.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        !matches!(name.as_str(), "password" | "pwd")
    });
    let kept = kept.collect::<Vec<_>>().join(";");
    // One that cannot be cut so is not shown at all.
    let nobody = Credentials { password: Some(String::new()), access_token: None };
    if Connection::parse(&kept, &nobody).is_ok() { kept } else { "CONNECTION".to_owned() }
}

/// For a shell.
pub fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:,@%+".contains(c));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str, unfinished: &Unfinished) -> String {
        command_of(unfinished, text.split(' ').map(str::to_owned), None)
    }

    #[test]
    fn what_was_typed_is_typed_again_without_what_the_run_took() {
        let run = Unfinished::Run("R".into());
        assert_eq!(
            typed("run --table a.b.c --connection sqlite:d --out=/b --no-bundle --batch-size 5 --ship s3://x/y", &run),
            "blobdelta run --resume R --connection sqlite:d --out /b --no-bundle --ship s3://x/y"
        );
        assert_eq!(typed("run --resume Q --out it's", &run), r"blobdelta run --resume R --out 'it'\''s'");
    }

    #[test]
    fn the_run_of_a_unit_is_gone_on_with_in_its_own_places() {
        let unit = Guid::parse("6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061").unwrap();
        let options = [("--out", "/b/own"), ("--ship", "/d/own"), ("--encrypt-to", "age1"), ("--encrypt-to", "age2")];
        let options = options.map(|(name, value)| (name, value.to_owned())).to_vec();
        let of = UnitOptions { unit, options };
        let said = |typed: &str, what: &Unfinished| command_of(what, typed.split(' ').map(str::to_owned), Some(&of));
        let own = "--ship /d/own --encrypt-to age1 --encrypt-to age2 --archive";
        let (run, pack) = (Unfinished::Run("R".into()), Unfinished::Pack("R".into()));
        let each = "run --each-business-unit --out /x/{unit} --connection sqlite:d";
        let due = format!("--out /x/{unit} --connection sqlite:d {own}");
        assert_eq!(said(each, &run), format!("blobdelta run --resume R {due}"));
        assert_eq!(said(each, &pack), format!("blobdelta pack --run R {due}"));
        let one = format!("run --business-unit {unit} --profile p");
        assert_eq!(said(&one, &run), format!("blobdelta run --resume R --profile p --out /b/own {own}"));
    }

    #[test]
    fn a_command_in_a_hint_has_the_connection_that_was_typed() {
        let hint = "pack it with `blobdelta pack --run R --out b`, or see `blobdelta chain b` and `deploy`";
        let with = |typed: &str| text_of(hint, typed.split(' ').map(str::to_owned).collect());
        let due = "pack it with `blobdelta pack --run R --out b --connection sqlite:d`, or see `blobdelta chain b` and `deploy`";
        assert_eq!(with("run --connection sqlite:d --out b"), due);
        assert_eq!(with("run --connection=sqlite:d"), due);
        assert_eq!(with("run --out b"), hint, "it comes from the environment");
        assert!(!with("run --connection Server=h;Password=secret").contains("secret"));
    }

    #[test]
    fn a_run_that_completed_is_packed() {
        let pack = Unfinished::Pack("R".into());
        let command = typed("run --out /b --backup-slice D:\\B --max-dop 4 --sign-key k", &pack);
        assert_eq!(command, "blobdelta pack --run R --out /b --sign-key k");
        assert_eq!(typed("run --no-bundle", &pack), "blobdelta pack --run R --out FOLDER");
    }

    #[test]
    fn a_command_to_type_has_the_connection_that_was_typed() {
        let reported = |typed: &str| connected_of("blobdelta pack --run R", typed.split(' ').map(str::to_owned));
        assert_eq!(reported("status --connection sqlite:d"), "blobdelta pack --run R --connection sqlite:d");
        assert_eq!(reported("status --connection=sqlite:d --json"), "blobdelta pack --run R --connection sqlite:d");
        assert_eq!(reported("status --json"), "blobdelta pack --run R");
        assert_eq!(
            reported("--config /c.toml status --profile=week"),
            "blobdelta pack --run R --config /c.toml --profile week"
        );
    }

    #[test]
    fn no_password_is_shown() {
        let run = Unfinished::Run("R".into());
        let connection = "Server=tcp:h,1433;User ID=u;Password=secret;Encrypt=true";
        let shown = command_of(&run, ["run".into(), "--connection".into(), connection.into()].into_iter(), None);
        assert_eq!(shown, "blobdelta run --resume R --connection 'Server=tcp:h,1433;User ID=u;Encrypt=true'");
        let odd = command_of(&run, ["--connection".into(), "jdbc:x;password={se;cret}".into()].into_iter(), None);
        assert!(!odd.contains("cret"), "{odd}");
        let hooks = "run --notify https://h/secret --ping=https://h/secret --notify @/file --password-command secret";
        let due = "blobdelta run --resume R --notify VALUE --ping VALUE --notify @/file --password-command VALUE";
        assert_eq!(typed(hooks, &run), due);
    }
}
