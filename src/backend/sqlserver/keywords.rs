//! The keywords of connection strings, of ADO.NET and of JDBC, and what is made of each.
//!
//! Sources: <https://learn.microsoft.com/dotnet/api/microsoft.data.sqlclient.sqlconnection.connectionstring> and
//! <https://learn.microsoft.com/sql/connect/jdbc/setting-the-connection-properties>.

use crate::error::{Error, Result};
use connection_string::{AdoNetString, JdbcString};
use std::collections::BTreeMap;

/// What this program acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Keyword {
    Server,
    Port,
    Instance,
    Database,
    User,
    Password,
    Integrated,
    Encrypt,
    Trust,
    TrustCa,
    Application,
    Intent,
    MultiSubnet,
    CommandTimeout,
    Authentication,
    ColumnEncryption,
}

/// Every keyword that is known, without its blanks and in lower case. `None`: it changes nothing here, because it is
/// about pools, enlisting, the client's own language or types, or about what this program does by itself.
const KNOWN: &[(Option<Keyword>, &[&str])] = {
    use Keyword as K;
    &[
        (Some(K::Server), &["server", "datasource", "addr", "address", "networkaddress", "servername"]),
        (Some(K::Port), &["port", "portnumber"]),
        (Some(K::Instance), &["instancename"]),
        (Some(K::Database), &["database", "initialcatalog", "databasename"]),
        (Some(K::User), &["userid", "uid", "user", "username"]),
        (Some(K::Password), &["password", "pwd"]),
        (Some(K::Integrated), &["integratedsecurity", "trusted_connection"]),
        (Some(K::Encrypt), &["encrypt"]),
        (Some(K::Trust), &["trustservercertificate"]),
        (Some(K::TrustCa), &["trustservercertificateca"]),
        (Some(K::Application), &["applicationname", "app"]),
        (Some(K::Intent), &["applicationintent"]),
        (Some(K::MultiSubnet), &["multisubnetfailover"]),
        (Some(K::CommandTimeout), &["commandtimeout", "querytimeout"]),
        (Some(K::Authentication), &["authentication"]),
        (Some(K::ColumnEncryption), &["columnencryptionsetting"]),
        (None, &["persistsecurityinfo", "pooling", "maxpoolsize", "minpoolsize", "poolblockingperiod", "enlist"]),
        (None, &["connecttimeout", "connectiontimeout", "timeout", "logintimeout", "sockettimeout", "packetsize"]),
        (None, &["connectretrycount", "connectretryinterval", "connectionlifetime", "loadbalancetimeout"]),
        (None, &["multipleactiveresultsets", "mars", "typesystemversion", "transactionbinding", "replication"]),
        (
            None,
            &["currentlanguage", "language", "workstationid", "wsid", "hostnameincertificate", "ipaddresspreference"],
        ),
        (None, &["sendstringparametersasunicode", "responsebuffering", "selectmethod", "workstation", "locktimeout"]),
        (None, &["transparentnetworkipresolution", "sendtimeasdatetime", "disablestatementpooling", "xopenstates"]),
    ]
};

/// The pairs of a connection string, by what they mean.
#[derive(Debug, Default)]
pub(super) struct Keywords(BTreeMap<Keyword, String>);

impl Keywords {
    /// Reads a string of either form.
    ///
    /// # Errors
    /// Usage: it is of neither form, or a keyword is not known, which is named.
    pub(super) fn parse(text: &str, is_jdbc: bool) -> Result<Self> {
        let mut found = Self::default();
        if is_jdbc {
            let parsed: JdbcString = text.trim().parse().map_err(|_| unreadable("it is not of the form of JDBC"))?;
            for (name, value) in parsed.properties() {
                found.add(name, value)?;
            }
            found.0.extend(parsed.server_name().map(|server| (Keyword::Server, server.to_owned())));
            found.0.extend(parsed.instance_name().map(|instance| (Keyword::Instance, instance.to_owned())));
            found.0.extend(parsed.port().map(|port| (Keyword::Port, port.to_string())));
        } else {
            let parsed: AdoNetString =
                text.trim().parse().map_err(|_| unreadable("it is not of the form of ADO.NET"))?;
            for (name, value) in parsed.iter() {
                found.add(name, value)?;
            }
        }
        Ok(found)
    }

    fn add(&mut self, name: &str, value: &str) -> Result<()> {
        let squeezed: String = name.chars().filter(|one| !one.is_whitespace()).collect::<String>().to_ascii_lowercase();
        let known = KNOWN.iter().find(|(_, names)| names.iter().any(|known| known.eq_ignore_ascii_case(&squeezed)));
        let Some((keyword, _)) = known else {
            return Err(unreadable(&format!("the keyword {:?} is not known", name.trim())));
        };
        self.0.extend(keyword.map(|keyword| (keyword, value.trim().to_owned())));
        Ok(())
    }

    /// The value of a keyword; an empty one is none.
    pub(super) fn get(&self, keyword: Keyword) -> Option<&str> {
        self.0.get(&keyword).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A value that says yes or no.
    ///
    /// # Errors
    /// Usage: it says neither; `name` is the keyword as people write it.
    pub(super) fn is_on(&self, keyword: Keyword, name: &str) -> Result<bool> {
        match self.get(keyword).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "no" | "0") => Ok(false),
            Some("true" | "yes" | "1" | "sspi") => Ok(true),
            Some(other) => Err(unreadable(&format!("{name} is {other:?}, and has to be true or false"))),
        }
    }
}

/// Whether a keyword is one of the server's names.
pub(super) fn names_server(name: &str) -> bool {
    let squeezed: String = name.chars().filter(|one| !one.is_whitespace()).collect();
    KNOWN[0].1.iter().any(|known| known.eq_ignore_ascii_case(&squeezed))
}

pub(super) fn unreadable(why: &str) -> Error {
    Error::usage(format!("the connection string cannot be read: {why}")).hint(
        "write Server=tcp:HOST,PORT;User ID=LOGIN;Encrypt=true, with quotes around a value that holds a semicolon, \
         or jdbc:sqlserver://HOST:PORT;user=LOGIN",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_keyword_has_one_meaning() {
        let mut all: Vec<&str> = KNOWN.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn blanks_and_case_of_a_keyword_do_not_count_and_an_unknown_one_is_named() {
        let ado =
            Keywords::parse("Data Source=x;TRUST SERVER CERTIFICATE=True;Application Intent=ReadOnly", false).unwrap();
        assert_eq!(ado.get(Keyword::Trust), Some("True"));
        assert_eq!((ado.get(Keyword::Server), ado.get(Keyword::Intent)), (Some("x"), Some("ReadOnly")));
        let error =
            Keywords::parse("Server=x;Trust Server Certifikate=True;Pwd=secret1", false).unwrap_err().to_string();
        assert!(
            error.contains("\"Trust Server Certifikate\" is not known") || error.contains("certifikate"),
            "{error}"
        );
        assert!(!error.contains("secret1"));
    }
}
