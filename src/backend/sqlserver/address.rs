//! Which server is meant: connection strings, and what a login needs. Secrets stay in here.

use super::browser;
use super::keywords::{Keyword, Keywords, names_server, unreadable};
use crate::error::{Error, Kind, Result};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tiberius::{AuthMethod, Config, EncryptionLevel};

/// The largest that TDS allows (MS-TDS 2.2.6.4), and the fastest by measure.
const PACKET_BYTES: u32 = 32_767;

/// Name resolution, TCP, TLS and login together.
pub(super) const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);

/// So long a server may say nothing in the middle of a statement, unless the string says otherwise.
const READ_TIMEOUT: Duration = Duration::from_secs(4 * 60 * 60);

const DEFAULT_PORT: u16 = 1433;

/// What a login needs beside the connection string, so that no secret has to stand in one.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The password of a SQL login.
    pub password: Option<String>,
    /// An access token of Microsoft Entra ID for `https://database.windows.net/`.
    pub access_token: Option<AccessToken>,
}

/// Where a token comes from. One is good for about an hour, so that a long run needs new ones: a file is read, and a
/// command run, at every login.
#[derive(Clone)]
pub enum AccessToken {
    /// The token itself.
    Value(String),
    /// The first line of a file, which something else keeps fresh.
    File(PathBuf),
    /// What a command of the system's shell prints.
    Command(String),
}

impl AccessToken {
    fn read(&self) -> Result<String> {
        let text = match self {
            Self::Value(token) => token.clone(),
            Self::File(file) => {
                std::fs::read_to_string(file).map_err(|error| Error::io("read the access token in", file, error))?
            }
            Self::Command(command) => printed_by(command, "an access token")?,
        };
        let token = text.lines().next().unwrap_or_default().trim();
        match (token.is_empty(), self) {
            (false, _) => Ok(token.to_owned()),
            (true, Self::File(file)) => Err(Error::usage("the file of the access token has no first line").file(file)),
            (true, _) => Err(Error::usage("the access token is empty")),
        }
    }
}

/// What a command of the system's shell prints, which is the user's own, and so is what it says on stderr. `what` names what
/// is had from it, with its article; the command is in no message.
///
/// # Errors
/// Database: it failed; Usage: it prints no text; Io.
pub fn printed_by(command: &str, what: &str) -> Result<String> {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let done = std::process::Command::new(shell).args([flag, command]).stderr(std::process::Stdio::inherit()).output();
    let done = done.map_err(|error| Error::io(&format!("run the command for {what} with"), Path::new(shell), error))?;
    if !done.status.success() {
        return Err(Error::new(Kind::Database, format!("the command for {what} failed: {}", done.status))
            .hint("run it by hand; it has to print nothing else"));
    }
    String::from_utf8(done.stdout).map_err(|_| Error::usage(format!("the command for {what} prints no text")))
}

/// How to log in.
#[derive(Clone)]
enum Way {
    Password(String, String),
    Token(AccessToken),
    Integrated,
}

/// A server and a login, understood from an ADO.NET or JDBC connection string. TLS with
/// validation is on unless the string switches it off by name.
#[derive(Clone)]
pub struct Address {
    config: Config,
    host: String,
    /// The port, or the named instance that has one.
    port: std::result::Result<u16, String>,
    way: Way,
    shown: String,
    read_timeout: Option<Duration>,
    warnings: Vec<&'static str>,
}

impl Address {
    /// Understands a connection string.
    ///
    /// # Errors
    /// Usage: no server, a keyword that is not known or a value that cannot be read, or no way to log in.
    pub fn parse(text: &str, credentials: &Credentials) -> Result<Self> {
        let is_jdbc = text.trim_start().to_ascii_lowercase().starts_with("jdbc:");
        let keywords = Keywords::parse(text, is_jdbc)?;
        let (host, port) = place_of(&keywords)?;
        let mut config = Config::new();
        config.host(&host);
        encrypt(&mut config, &keywords)?;
        if let Some(database) = keywords.get(Keyword::Database) {
            config.database(database);
        }
        config.application_name(keywords.get(Keyword::Application).unwrap_or("blobdelta"));
        match keywords.get(Keyword::Intent).map(str::to_ascii_lowercase).as_deref() {
            None | Some("readwrite") => {}
            Some("readonly") => config.readonly(true),
            Some(_) => return Err(unreadable("Application Intent is ReadWrite or ReadOnly")),
        }
        config.multi_subnet_failover(keywords.is_on(Keyword::MultiSubnet, "MultiSubnetFailover")?);
        if keywords.get(Keyword::ColumnEncryption).is_some_and(|value| !value.eq_ignore_ascii_case("disabled")) {
            return Err(unreadable("Column Encryption Setting: values under Always Encrypted cannot be read here"));
        }
        config.packet_size(PACKET_BYTES);
        config.handshake_timeout(Some(LOGIN_TIMEOUT));
        // Batches and scans may take hours; what watches over them is in `client`.
        config.command_timeout(None);
        let way = way_of(&keywords, credentials)?;
        let shown = shown(&host, &port, &keywords);
        let (warnings, read_timeout) = (warnings_of(&keywords)?, read_timeout_of(&keywords)?);
        Ok(Self { config, host, port, way, shown, read_timeout, warnings })
    }

    /// The same server, by a SQL login.
    pub(in crate::backend) fn as_login(&self, user: &str, password: &str) -> Self {
        Self { way: Way::Password(user.to_owned(), password.to_owned()), ..self.clone() }
    }

    /// What is unsafe about this connection, in words.
    pub fn warnings(&self) -> &[&'static str] {
        &self.warnings
    }

    /// What the driver needs for one login: a token is had anew, and a named instance asked for its port.
    ///
    /// # Errors
    /// Usage or Io: the token cannot be had; Database: nobody tells the port.
    pub(super) fn config(&self) -> Result<Config> {
        let mut config = self.config.clone();
        config.port(match &self.port {
            Ok(port) => *port,
            Err(instance) => browser::port_of(&self.host, browser::PORT, instance)?,
        });
        match &self.way {
            Way::Password(user, password) => config.authentication(AuthMethod::sql_server(user, password)),
            Way::Token(token) => config.authentication(AuthMethod::aad_token(token.read()?)),
            Way::Integrated => integrated_login(&mut config)?,
        }
        Ok(config)
    }

    /// So long the server may say nothing: `Command Timeout` or `queryTimeout` in seconds, of which 0 is
    /// for ever; four hours, if neither is there.
    pub(super) fn read_timeout(&self) -> Option<Duration> {
        self.read_timeout
    }

    /// Whether a text is meant to be a connection string of SQL Server.
    pub fn is_one(text: &str) -> bool {
        let is_server = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| names_server(name));
        text.trim_start().to_ascii_lowercase().starts_with("jdbc:") || text.split(';').any(is_server)
    }
}

/// Host and port, or host and named instance.
fn place_of(keywords: &Keywords) -> Result<(String, std::result::Result<u16, String>)> {
    let server = keywords.get(Keyword::Server).ok_or_else(|| unreadable("it names no server"))?;
    let lower = server.to_ascii_lowercase();
    if lower.starts_with("(localdb)") {
        return Err(unreadable("LocalDB is reached by its own protocol alone; name a server that listens on TCP"));
    }
    let server = match lower.split_once(':') {
        Some(("tcp", _)) => server[4..].trim(),
        Some((other @ ("np" | "lpc" | "admin"), _)) => {
            return Err(unreadable(&format!(
                "{other}: is a protocol that this program does not speak; write tcp:HOST,PORT"
            )));
        }
        _ => server,
    };
    let number =
        |text: &str| text.trim().parse::<u16>().map_err(|_| unreadable("the port is not a number up to 65535"));
    let (server, port) = match server.split_once(',') {
        Some((server, port)) => (server.trim(), Some(number(port)?)),
        None => (server, keywords.get(Keyword::Port).map(number).transpose()?),
    };
    let (host, instance) = match server.split_once('\\') {
        Some((host, instance)) => (host.trim(), Some(instance.trim())),
        None => (server, keywords.get(Keyword::Instance)),
    };
    let host = if ["(local)", "."].contains(&host.to_ascii_lowercase().as_str()) { "localhost" } else { host };
    if host.is_empty() {
        return Err(unreadable("it names no server"));
    }
    // The default instance has its own name.
    let instance = instance.filter(|instance| !instance.is_empty() && !instance.eq_ignore_ascii_case("MSSQLSERVER"));
    // A port says it all, as it does for Microsoft's drivers.
    let port = match (port, instance) {
        (Some(port), _) => Ok(port),
        (None, Some(instance)) => Err(instance.to_owned()),
        (None, None) => Ok(DEFAULT_PORT),
    };
    Ok((host.to_owned(), port))
}

fn encrypt(config: &mut Config, keywords: &Keywords) -> Result<()> {
    config.encryption(match keywords.get(Keyword::Encrypt).map(str::to_ascii_lowercase).as_deref() {
        None | Some("true" | "yes" | "mandatory" | "1") => EncryptionLevel::Required,
        Some("strict") => EncryptionLevel::Strict,
        Some("false" | "no" | "optional" | "0") => EncryptionLevel::Off,
        Some("danger_plaintext") => EncryptionLevel::NotSupported,
        Some(_) => {
            return Err(unreadable(
                "Encrypt is Mandatory (true, yes), Strict, Optional (false, no) or DANGER_PLAINTEXT",
            ));
        }
    });
    let trusted = keywords.is_on(Keyword::Trust, "TrustServerCertificate")?;
    match keywords.get(Keyword::TrustCa) {
        Some(_) if trusted => {
            return Err(unreadable("TrustServerCertificate=true checks nothing, so no authority goes with it"));
        }
        Some(file) => config.trust_cert_ca(file),
        None if trusted => config.trust_cert(),
        None => {}
    }
    Ok(())
}

fn way_of(keywords: &Keywords, credentials: &Credentials) -> Result<Way> {
    if let Some(token) = &credentials.access_token {
        return Ok(Way::Token(token.clone()));
    }
    let way = keywords.get(Keyword::Authentication).map(|way| way.to_ascii_lowercase().replace(' ', ""));
    if let Some(way) = way.filter(|way| !["sqlpassword", "notspecified"].contains(&way.as_str())) {
        return Err(Error::usage(format!("the connection string asks for Authentication {way:?}, of which this program knows tokens alone"))
            .hint("set BLOBDELTA_ACCESS_TOKEN_COMMAND to a command that prints one, such as: az account get-access-token --resource https://database.windows.net/ --query accessToken --output tsv"));
    }
    let password = credentials.password.as_deref().or(keywords.get(Keyword::Password));
    match (keywords.get(Keyword::User), password) {
        (Some(user), Some(password)) => Ok(Way::Password(user.to_owned(), password.to_owned())),
        (Some(user), None) => Err(Error::usage(format!("there is no password for the login {user}"))
            .hint("set BLOBDELTA_PASSWORD, or name a file with --password-file")),
        (None, _) if keywords.is_on(Keyword::Integrated, "Integrated Security")? => {
            integrated_login(&mut Config::new())?;
            Ok(Way::Integrated)
        }
        (None, _) => Err(Error::usage("the connection string names no login").hint(
            "add User ID=…, or set BLOBDELTA_ACCESS_TOKEN, or write Integrated Security=true where this \
             program was built for Kerberos",
        )),
    }
}

fn read_timeout_of(keywords: &Keywords) -> Result<Option<Duration>> {
    let Some(text) = keywords.get(Keyword::CommandTimeout) else {
        return Ok(Some(READ_TIMEOUT));
    };
    match text.parse::<u32>() {
        Ok(seconds) => Ok((seconds > 0).then(|| Duration::from_secs(seconds.into()))),
        Err(_) => Err(unreadable("Command Timeout is not a number of seconds")),
    }
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

fn shown(host: &str, port: &std::result::Result<u16, String>, keywords: &Keywords) -> String {
    let mut shown = match port {
        Ok(port) => format!("Server={host},{port}"),
        Err(instance) => format!("Server={host}\\{instance}"),
    };
    if let Some(database) = keywords.get(Keyword::Database) {
        shown.push_str(&format!(";Database={database}"));
    }
    if let Some(user) = keywords.get(Keyword::User) {
        shown.push_str(&format!(";User ID={user}"));
    }
    // Without these the same string would not connect.
    for (key, name) in REPORTED_OPTIONS {
        if let Some(value) = keywords.get(key).filter(|value| !value.contains([';', '\'', '"'])) {
            shown.push_str(&format!(";{name}={value}"));
        }
    }
    shown
}

/// Options of TLS, which are no secrets.
const REPORTED_OPTIONS: [(Keyword, &str); 3] = [
    (Keyword::Encrypt, "Encrypt"),
    (Keyword::Trust, "TrustServerCertificate"),
    (Keyword::TrustCa, "TrustServerCertificateCA"),
];

fn warnings_of(keywords: &Keywords) -> Result<Vec<&'static str>> {
    let mut warnings = Vec::new();
    match keywords.get(Keyword::Encrypt).map(str::to_ascii_lowercase).as_deref() {
        Some("danger_plaintext") => warnings.push("the connection is not encrypted, not even the password"),
        Some("false" | "no" | "optional" | "0") => warnings.push("only the login is encrypted, the data are not"),
        _ => {}
    }
    if keywords.is_on(Keyword::Trust, "TrustServerCertificate")? {
        warnings.push("the server's certificate is not checked, so anybody on the way can read along");
    }
    Ok(warnings)
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
            ("Server=x;User ID=sa;Password=secret1;Encrypt=perhaps", "Encrypt is Mandatory"),
            (
                "Server=x;User ID=sa;Password=secret1;Trust Server Certificate=maybe",
                "TrustServerCertificate is \"maybe\"",
            ),
            ("Server=np:x;User ID=sa;Password=secret1", "write tcp:HOST,PORT"),
            ("Server=(localdb)\\MSSQLLocalDB;User ID=sa;Password=secret1", "LocalDB"),
            ("Server=x;Authentication=Active Directory Default", "BLOBDELTA_ACCESS_TOKEN_COMMAND"),
            ("Server=x;User ID=sa;Password=secret1;Colour=blue", "\"colour\" is not known"),
        ] {
            let error = parse(text).unwrap_err();
            let error = format!("{error} {error:#?}");
            assert!(error.to_lowercase().contains(&why.to_lowercase()) && !error.contains("secret1"), "{error}");
        }
    }

    #[test]
    fn how_long_a_server_may_be_silent_can_be_said() {
        let read_timeout =
            |more: &str| parse(&format!("Server=x;User ID=a;Password=b{more}")).map(|address| address.read_timeout());
        assert_eq!(read_timeout("").unwrap(), Some(READ_TIMEOUT));
        assert_eq!(read_timeout(";Command Timeout=90").unwrap(), Some(Duration::from_secs(90)));
        assert_eq!(read_timeout(";Command Timeout=0").unwrap(), None);
        assert!(read_timeout(";Command Timeout=soon").unwrap_err().to_string().contains("Command Timeout"));
        let jdbc = parse("jdbc:sqlserver://x;user=a;password=b;queryTimeout=30").unwrap();
        assert_eq!(jdbc.read_timeout(), Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_is_unsafe_is_said() {
        let address = parse("Server=x;User ID=a;Password=b;Encrypt=DANGER_PLAINTEXT;TrustServerCertificate=true");
        assert_eq!(address.unwrap().warnings().len(), 2);
        assert!(Address::is_one("Data Source=x;User ID=y") && !Address::is_one("sqlite:server=x"));
    }

    #[test]
    fn strings_as_they_are_pasted_from_tools_are_understood() {
        let ssms = "Data Source=db.example;Initial Catalog=X;Persist Security Info=False;User ID=sa;Password=p;Pooling=False;\
                    Multiple Active Result Sets=False;Encrypt=Mandatory;Trust Server Certificate=True;Application Name=\"SSMS\";\
                    Application Intent=ReadWrite;Command Timeout=0";
        let portal = "Server=tcp:db.example,1433;Initial Catalog=X;Persist Security Info=False;User ID=sa;Password=p;\
                      MultipleActiveResultSets=False;Encrypt=True;TrustServerCertificate=False;Connection Timeout=30;";
        let jdbc = "jdbc:sqlserver://db.example:1433;database=X;user=sa;password=p;encrypt=true;trustServerCertificate=false;\
                    hostNameInCertificate=*.example;loginTimeout=30;";
        for (text, warnings) in [(ssms, 1), (portal, 0), (jdbc, 0)] {
            let address = parse(text).unwrap();
            // With its TLS options, so that what is told can be typed; see `Display`.
            let reported = address.to_string();
            assert!(reported.starts_with("Server=db.example,1433;Database=X;User ID=sa"), "{reported}");
            assert!(!reported.to_lowercase().contains("password"), "{reported}");
            assert_eq!(address.warnings().len(), warnings, "{text}");
        }
    }

    #[test]
    fn a_named_instance_has_a_port_of_its_own() {
        let shown = |server: &str| parse(&format!("Addr={server};Uid=a;Pwd=b")).unwrap().to_string();
        assert_eq!(shown("DB1\\SALES"), "Server=DB1\\SALES;User ID=a");
        assert_eq!(shown("DB1\\SALES,51433"), "Server=DB1,51433;User ID=a");
        assert_eq!(shown(".\\MSSQLSERVER"), "Server=localhost,1433;User ID=a");
    }

    #[test]
    fn a_token_is_had_anew_for_every_login() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "first\n").unwrap();
        let token = AccessToken::File(file.clone());
        assert_eq!(token.read().unwrap(), "first");
        std::fs::write(&file, "second\n").unwrap();
        assert_eq!(token.read().unwrap(), "second");
        assert_eq!(AccessToken::Command("echo third".into()).read().unwrap(), "third");
        assert!(AccessToken::Command("exit 3".into()).read().unwrap_err().to_string().contains("failed"));
    }
}
