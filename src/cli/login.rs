//! Connections from the command line, and the secrets that never stand on it.

use super::out::{Tone, print_line};
use crate::backend::{AccessToken, Connection, Credentials, printed_by};
use crate::error::{Error, Result};
use std::path::PathBuf;

const PASSWORD: &str = "BLOBDELTA_PASSWORD";
const ACCESS_TOKEN: &str = "BLOBDELTA_ACCESS_TOKEN";
const ACCESS_TOKEN_FILE: &str = "BLOBDELTA_ACCESS_TOKEN_FILE";
const ACCESS_TOKEN_COMMAND: &str = "BLOBDELTA_ACCESS_TOKEN_COMMAND";

/// How to log in to a server.
#[derive(clap::Args, Clone, Debug)]
pub struct Login {
    /// Read the password of a SQL login from the first line of this file instead of BLOBDELTA_PASSWORD. A token of
    /// Microsoft Entra ID is read from BLOBDELTA_ACCESS_TOKEN; or, at every login, from the file that
    /// BLOBDELTA_ACCESS_TOKEN_FILE names or the output of the command in BLOBDELTA_ACCESS_TOKEN_COMMAND
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Run this command, and take the first line that it prints as the password of a SQL login
    #[arg(long, value_name = "COMMAND", env = "BLOBDELTA_PASSWORD_COMMAND", hide_env_values = true)]
    password_command: Option<String>,
}

impl Login {
    /// Understands a connection string. What is unsafe about it is said on stderr.
    ///
    /// # Errors
    /// Usage: it cannot be read or cannot log in; Io, for the password's file.
    pub fn connection(&self, text: &str) -> Result<Connection> {
        let connection = Connection::parse(text, &self.credentials()?)?;
        for warning in connection.warnings() {
            print_line(Tone::Care, "warning:", &format!(" {warning}"));
        }
        Ok(connection)
    }

    fn credentials(&self) -> Result<Credentials> {
        let command = self.password_command.as_deref().filter(|command| !command.is_empty());
        let password = match (&self.password_file, command) {
            (Some(file), _) => {
                let text =
                    std::fs::read_to_string(file).map_err(|error| Error::io("read the password in", file, error))?;
                let line = text.lines().next().unwrap_or_default();
                if line.is_empty() {
                    return Err(Error::usage("the first line of the password's file is empty").file(file));
                }
                Some(line.to_owned())
            }
            (None, Some(command)) => Some(first_line(command)?),
            (None, None) => secret(PASSWORD)?,
        };
        Ok(Credentials { password, access_token: access_token()? })
    }
}

/// The password that a command prints.
fn first_line(command: &str) -> Result<String> {
    let printed = printed_by(command, "a password")?;
    match printed.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(Error::usage("the command for a password prints no first line").hint("run it by hand to see why")),
    }
}

/// A token, or where one is had: a long run outlives one.
fn access_token() -> Result<Option<AccessToken>> {
    if let Some(command) = secret(ACCESS_TOKEN_COMMAND)? {
        return Ok(Some(AccessToken::Command(command)));
    }
    if let Some(file) = secret(ACCESS_TOKEN_FILE)? {
        return Ok(Some(AccessToken::File(file.into())));
    }
    Ok(secret(ACCESS_TOKEN)?.map(AccessToken::Value))
}

/// A secret from the environment; none if the variable is empty.
///
/// # Errors
/// Usage: it is not Unicode.
pub fn secret(variable: &str) -> Result<Option<String>> {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => Ok(Some(value)),
        Ok(_) | Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Error::usage(format!("{variable} is not Unicode"))),
    }
}
