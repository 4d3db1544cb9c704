//! Which server is meant: connection strings, and what a login needs. Secrets stay in here.

use crate::error::{Error, Result};
use connection_string::{AdoNetString, JdbcString};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use tiberius::{AuthMethod, Config};

/// The largest that TDS allows (MS-TDS 2.2.6.4), and the fastest by measure.
const PACKET_BYTES: u32 = 32_767;

/// Name resolution, TCP, TLS and login together.
pub(super) const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);

/// So long a server may say nothing in the middle of a statement, unless the string says otherwise.
const SILENCE: Duration = Duration::from_secs(4 * 60 * 60);

/// What a login needs beside the connection string, so that no secret has to stand in one.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The password of a SQL login.
    pub password: Option<String>,
    /// An access token of Microsoft Entra ID for `https://database.windows.net/`.
    pub access_token: Option<String>,
}

/// A server and a login, understood from an ADO.NET or JDBC connection string. TLS with
/// validation is on unless the string switches it off by name.
#[derive(Clone)]
pub struct Address {
    config: Config,
    shown: String,
    silence: Option<Duration>,
    warnings: Vec<&'static str>,
}

impl Address {
    /// Understands a connection string.
    ///
    /// # Errors
    /// Usage: no server, a value that cannot be read, or no way to log in.
    pub fn parse(text: &str, credentials: &Credentials) -> Result<Self> {
        let is_jdbc = text.trim_start().to_ascii_lowercase().starts_with("jdbc:");
        let values = values_of(text, is_jdbc)?;
        let config = if is_jdbc { Config::from_jdbc_string(text) } else { Config::from_ado_string(text) };
        // The driver's message may quote the string, and with it the password.
        let mut config = config.map_err(|_| unreadable("a value of it is not one that is known"))?;
        let user = first(&values, &["user id", "uid", "user", "username"]);
        let password = credentials.password.as_deref().or(first(&values, &["password", "pwd"]));
        let integrated = first(&values, &["integratedsecurity", "integrated security", "trusted_connection"])
            .is_some_and(|value| ["true", "yes", "sspi"].contains(&value.to_ascii_lowercase().as_str()));
        match (&credentials.access_token, user, password) {
            (Some(token), _, _) => config.authentication(AuthMethod::aad_token(token)),
            (None, Some(user), Some(password)) => config.authentication(AuthMethod::sql_server(user, password)),
            (None, Some(user), None) => {
                return Err(Error::usage(format!("there is no password for the login {user}"))
                    .hint("set BLOBDELTA_PASSWORD, or name a file with --password-file"));
            }
            (None, None, _) if integrated => integrated_login(&mut config)?,
            (None, None, _) => {
                return Err(Error::usage("the connection string names no login").hint(
                    "add User ID=…, or set BLOBDELTA_ACCESS_TOKEN, or write Integrated Security=true where this \
                     program was built for Kerberos",
                ));
            }
        }
        config.packet_size(PACKET_BYTES);
        config.handshake_timeout(Some(LOGIN_TIMEOUT));
        // Batches and scans may take hours; what watches over them is in `client`.
        config.command_timeout(None);
        if first(&values, &["application name", "applicationname"]).is_none() {
            config.application_name("blobdelta");
        }
        let shown = shown(&config, &values, user);
        Ok(Self { warnings: warnings_of(&values), silence: silence_of(&values)?, config, shown })
    }

    /// What is unsafe about this connection, in words.
    pub fn warnings(&self) -> &[&'static str] {
        &self.warnings
    }

    pub(super) fn config(&self) -> Config {
        self.config.clone()
    }

    /// So long the server may say nothing: `Command Timeout` or `queryTimeout` in seconds, of which 0 is
    /// for ever; four hours, if neither is there.
    pub(super) fn silence(&self) -> Option<Duration> {
        self.silence
    }

    /// Whether a text is meant to be a connection string of SQL Server.
    pub fn is_one(text: &str) -> bool {
        let lower = text.trim_start().to_ascii_lowercase();
        lower.starts_with("jdbc:") || ["server", "data source"].iter().any(|key| has_key(&lower, key))
    }
}

fn has_key(text: &str, key: &str) -> bool {
    text.split(';').any(|pair| pair.split('=').next().is_some_and(|name| name.trim() == key))
}

fn silence_of(values: &HashMap<String, String>) -> Result<Option<Duration>> {
    let Some(text) = first(values, &["command timeout", "commandtimeout", "querytimeout"]) else {
        return Ok(Some(SILENCE));
    };
    match text.trim().parse::<u32>() {
        Ok(seconds) => Ok((seconds > 0).then(|| Duration::from_secs(seconds.into()))),
        Err(_) => Err(unreadable("Command Timeout is not a number of seconds")),
    }
}

fn unreadable(why: &str) -> Error {
    Error::usage(format!("the connection string cannot be read: {why}")).hint(
        "write Server=tcp:HOST,PORT;User ID=LOGIN;Encrypt=true, with quotes around a value that holds a semicolon, \
         or jdbc:sqlserver://HOST:PORT;user=LOGIN",
    )
}

fn values_of(text: &str, is_jdbc: bool) -> Result<HashMap<String, String>> {
    let mut pairs: HashMap<String, String> = if is_jdbc {
        let parsed: JdbcString = text.trim().parse().map_err(|_| unreadable("it is not of the form of JDBC"))?;
        let mut pairs = parsed.properties().clone();
        pairs.extend(parsed.server_name().map(|server| ("server".to_owned(), server.to_owned())));
        pairs
    } else {
        let parsed: AdoNetString = text.trim().parse().map_err(|_| unreadable("it is not of the form of ADO.NET"))?;
        parsed.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    pairs = pairs.into_iter().map(|(key, value)| (key.trim().to_ascii_lowercase(), value)).collect();
    if first(&pairs, &["server", "data source"]).is_none_or(|server| server.trim().is_empty()) {
        return Err(unreadable("it names no server"));
    }
    Ok(pairs)
}

fn first<'a>(values: &'a HashMap<String, String>, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| values.get(*key)).map(String::as_str)
}

/// Kerberos on Unix, the process's own account on Windows.
#[cfg(any(windows, feature = "kerberos"))]
fn integrated_login(config: &mut Config) -> Result<()> {
    config.authentication(AuthMethod::Integrated);
    Ok(())
}

#[cfg(not(any(windows, feature = "kerberos")))]
fn integrated_login(_: &mut Config) -> Result<()> {
    Err(Error::usage("this program was built without Kerberos, so it cannot log in with Integrated Security")
        .hint("build it with --features kerberos, or use a SQL login or an access token"))
}

fn shown(config: &Config, values: &HashMap<String, String>, user: Option<&str>) -> String {
    let mut shown = format!("Server={}", config.get_addr().replace(':', ","));
    if let Some(database) = first(values, &["database", "initial catalog", "databasename"]) {
        shown.push_str(&format!(";Database={database}"));
    }
    if let Some(user) = user {
        shown.push_str(&format!(";User ID={user}"));
    }
    // Without these the same string would not connect.
    for (key, name) in TOLD_OPTIONS {
        if let Some(value) = first(values, &[key]).filter(|value| !value.contains([';', '\'', '"'])) {
            shown.push_str(&format!(";{name}={value}"));
        }
    }
    shown
}

/// Options of TLS, which are no secrets.
const TOLD_OPTIONS: [(&str, &str); 3] = [
    ("encrypt", "Encrypt"),
    ("trustservercertificate", "TrustServerCertificate"),
    ("trustservercertificateca", "TrustServerCertificateCA"),
];

fn warnings_of(values: &HashMap<String, String>) -> Vec<&'static str> {
    let is = |key: &str, wanted: &[&str]| {
        first(values, &[key]).is_some_and(|value| wanted.contains(&value.to_ascii_lowercase().as_str()))
    };
    let mut warnings = Vec::new();
    if is("encrypt", &["danger_plaintext"]) {
        warnings.push("the connection is not encrypted, not even the password");
    } else if is("encrypt", &["false", "no", "optional"]) {
        warnings.push("only the login is encrypted, the data are not");
    }
    if is("trustservercertificate", &["true", "yes"]) {
        warnings.push("the server's certificate is not checked, so anybody on the way can read along");
    }
    warnings
}

/// The server and the login, without secrets.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address> {
        Address::parse(text, &Credentials::default())
    }

    #[test]
    fn both_forms_are_understood_and_secrets_never_shown() {
        let ado = "Server=tcp:db.example,1444;Initial Catalog=X;User ID=sa;Password='p;w\"d';Encrypt=true";
        let jdbc = "jdbc:sqlserver://db.example:1444;databaseName=X;user=sa;password=pw;encrypt=true";
        for text in [ado, jdbc] {
            let address = parse(text).unwrap();
            assert_eq!(address.to_string(), "Server=db.example,1444;Database=X;User ID=sa;Encrypt=true");
            assert!(!format!("{address:?}").contains("pw"));
            assert!(address.warnings().is_empty());
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_its_secret() {
        for (text, why) in [
            ("User ID=sa;Password=secret1", "names no server"),
            ("Server=x;User ID=sa", "no password for the login sa"),
            ("Server=x", "names no login"),
            ("Server=x;User ID=sa;Password=secret1;Encrypt=perhaps", "a value of it"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("secret1"), "{error}");
        }
    }

    #[test]
    fn how_long_a_server_may_be_silent_can_be_said() {
        let silence =
            |more: &str| parse(&format!("Server=x;User ID=a;Password=b{more}")).map(|address| address.silence());
        assert_eq!(silence("").unwrap(), Some(SILENCE));
        assert_eq!(silence(";Command Timeout=90").unwrap(), Some(Duration::from_secs(90)));
        assert_eq!(silence(";Command Timeout=0").unwrap(), None);
        assert!(silence(";Command Timeout=soon").unwrap_err().to_string().contains("Command Timeout"));
        let jdbc = parse("jdbc:sqlserver://x;user=a;password=b;queryTimeout=30").unwrap();
        assert_eq!(jdbc.silence(), Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_is_unsafe_is_said() {
        let address = parse("Server=x;User ID=a;Password=b;Encrypt=DANGER_PLAINTEXT;TrustServerCertificate=true");
        assert_eq!(address.unwrap().warnings().len(), 2);
        assert!(Address::is_one("Data Source=x;User ID=y") && !Address::is_one("sqlite:server=x"));
    }
}
