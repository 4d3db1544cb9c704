//! [`Location`]: what a user may name as a place of bundles, taken apart.
//!
//! Keys, tokens and signatures are never part of one: they come from the environment, so that they
//! are in no list of processes, no shell history and no log.

use crate::error::{Error, Result};
use std::fmt;
use std::path::{Path, PathBuf};

/// A folder, or a place in an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    text: String,
    place: StorePlace,
}

/// What is behind a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StorePlace {
    Folder(PathBuf),
    Cloud(CloudProvider, Bucket),
}

/// Whose store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum CloudProvider {
    S3,
    Azure,
    Google,
}

/// A bucket or container, and a prefix in it without slashes at its ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) name: String,
    /// Of Azure, where the URL names it.
    pub(super) account: Option<String>,
    pub(super) prefix: String,
}

const SCHEMES: &str = "s3://BUCKET/PREFIX, az://CONTAINER/PREFIX, abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX, \
                       gs://BUCKET/PREFIX, file:///FOLDER or the path of a folder";

impl Location {
    /// Takes a URL or a path apart. Nothing is looked at.
    ///
    /// # Errors
    /// Usage: a scheme that is not known, no bucket, or a secret in the URL, which is not repeated.
    pub fn parse(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = split(text) else {
            if text.is_empty() {
                return Err(Error::usage("no location was named").hint(format!("name one of {SCHEMES}")));
            }
            return Ok(Self { text: text.to_owned(), place: StorePlace::Folder(PathBuf::from(text)) });
        };
        let place = match scheme {
            "file" => StorePlace::Folder(folder(rest)?),
            "s3" | "s3a" => bucket(CloudProvider::S3, rest)?,
            "gs" => bucket(CloudProvider::Google, rest)?,
            "az" | "abfs" | "abfss" | "azure" => bucket(CloudProvider::Azure, rest)?,
            _ => {
                return Err(Error::usage(format!("no store is known by the scheme {scheme:.20}://"))
                    .hint(format!("name one of {SCHEMES}")));
            }
        };
        // Of the root of the file system, `file://` is left, to which a name is joined as to any other.
        Ok(Self { text: format!("{scheme}://{}", rest.trim_end_matches('/')), place })
    }

    /// The location that a path is, if it is a URL.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub fn of_path(path: &Path) -> Result<Option<Self>> {
        match path.to_str().filter(|text| split(text).is_some()) {
            Some(text) => Self::parse(text).map(Some),
            None => Ok(None),
        }
    }

    /// The URL of a folder, from the root of the file system on.
    ///
    /// # Errors
    /// Usage, for a path that is no text.
    pub fn of_folder(path: &Path) -> Result<Self> {
        let text = path.to_str().ok_or_else(|| Error::usage("this path is no text").file(path))?;
        let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
        let coded = |byte: u8| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        let url: String = text.bytes().map(coded).collect();
        Self::parse(&format!("file://{url}"))
    }

    /// The same as a URL: a plain path means what has markers there, where only destinations do.
    ///
    /// # Errors
    /// Io, if there is no such folder; as [`Location::of_folder`].
    pub fn as_url(&self) -> Result<Self> {
        let Some(folder) = self.folder() else { return Ok(self.clone()) };
        Self::of_folder(&folder.canonicalize().map_err(|error| Error::io("open", folder, error))?)
    }

    /// The folder that it is, if it is one.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            StorePlace::Folder(path) => Some(path),
            StorePlace::Cloud(..) => None,
        }
    }

    /// What is behind it.
    pub(super) fn place(&self) -> &StorePlace {
        &self.place
    }

    /// The URL or path of something in it.
    pub fn join(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}/{name}", self.text))
    }

    /// The location that holds this one, and the name that this one has in it.
    pub fn parent(&self) -> Option<(Self, String)> {
        let (parent, name) = self.text.rsplit_once('/')?;
        let is_bucket = matches!(&self.place, StorePlace::Cloud(_, bucket) if bucket.prefix.is_empty());
        if is_bucket || name.is_empty() {
            return None;
        }
        let parent = if parent.is_empty() { "/" } else { parent };
        Some((Self::parse(parent).ok()?, name.to_owned()))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Scheme and rest of a URL. One letter is a drive, not a scheme.
fn split(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+');
    is_scheme.then_some((scheme, rest))
}

fn folder(rest: &str) -> Result<PathBuf> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if path.is_empty() {
        return Ok(PathBuf::from("/"));
    }
    if !path.starts_with('/') {
        return Err(Error::usage("a URL of a folder has three slashes before its path")
            .hint("write file:///srv/bundles, or the path alone"));
    }
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match byte {
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'%')),
                _ => return Err(Error::usage("a % in a URL is followed by two hexadecimal digits").hint("write %25")),
            },
            b'?' | b'#' => {
                return Err(Error::usage("a URL of a folder has no query").hint("write %3F for ?, %23 for #"));
            }
            _ => bytes.push(byte),
        }
    }
    let path = String::from_utf8(bytes).map_err(|error| Error::usage("this URL is no text").caused_by(error))?;
    Ok(PathBuf::from(path))
}

fn bucket(cloud: CloudProvider, rest: &str) -> Result<StorePlace> {
    let secret = |what: &str| {
        Err(Error::usage(format!("the URL holds {what}, and keys never belong on a command line"))
            .hint(environment(cloud)))
    };
    if rest.contains(['?', '#']) {
        return secret("a query");
    }
    let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let (name, account) = match host.rsplit_once('@') {
        None => (host, None),
        // `abfss://container@account.dfs.core.windows.net/prefix` is how Azure itself writes it.
        Some((name, host)) if cloud == CloudProvider::Azure && !name.contains(':') => {
            (name, host.split('.').next().map(str::to_owned))
        }
        Some(_) => return secret("a user or a key"),
    };
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.$".contains(&b));
    if !is_name(name) || account.as_deref().is_some_and(|account| !is_name(account)) {
        return Err(Error::usage("the URL names no bucket or container").hint(format!("name one of {SCHEMES}")));
    }
    let prefix = prefix.trim_end_matches('/');
    let is_prefix = prefix.is_empty() || prefix.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !is_prefix || prefix.chars().any(|c| c.is_control() || "\\{}^%`[]\"<>~#|*".contains(c)) {
        return Err(Error::usage("the URL's prefix has a part that no store keeps as it is written")
            .hint("use letters, digits, `-`, `_` and `.` between single slashes"));
    }
    Ok(StorePlace::Cloud(cloud, Bucket { name: name.to_owned(), account, prefix: prefix.to_owned() }))
}

/// Where a cloud's keys come from.
pub(super) fn environment(cloud: CloudProvider) -> &'static str {
    match cloud {
        CloudProvider::S3 => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE for a profile of ~/.aws/credentials"
        }
        CloudProvider::Azure => {
            "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or AZURE_CLIENT_ID, \
             AZURE_CLIENT_SECRET and AZURE_TENANT_ID"
        }
        CloudProvider::Google => {
            "set GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT to the file of a service account"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(text: &str) -> (CloudProvider, String, String) {
        match Location::parse(text).unwrap().place {
            StorePlace::Cloud(cloud, Bucket { name, prefix, .. }) => (cloud, name, prefix),
            StorePlace::Folder(path) => panic!("{path:?}"),
        }
    }

    #[test]
    fn urls_and_paths_are_taken_apart() {
        assert_eq!(cloud("s3://b/p/q/"), (CloudProvider::S3, "b".into(), "p/q".into()));
        assert_eq!(cloud("gs://b"), (CloudProvider::Google, "b".into(), String::new()));
        assert_eq!(cloud("az://$web/p"), (CloudProvider::Azure, "$web".into(), "p".into()));
        assert_eq!(cloud("abfss://c@acc.dfs.core.windows.net/p"), (CloudProvider::Azure, "c".into(), "p".into()));
        let folder = |text| Location::parse(text).unwrap().folder().unwrap().to_owned();
        assert_eq!(folder("file:///a%20b/c"), Path::new("/a b/c"));
        let coded = Location::of_folder(Path::new("/å b/%c")).unwrap();
        assert_eq!(Location::parse(&coded.to_string()).unwrap().folder(), Some(Path::new("/å b/%c")));
        assert_eq!(folder("./drop"), Path::new("./drop"));
        assert_eq!(folder("C:\\drop"), Path::new("C:\\drop"));
    }

    #[test]
    fn a_parent_is_never_above_the_bucket() {
        let parent = |text| Location::parse(text).unwrap().parent().map(|(at, name)| (at.to_string(), name));
        assert_eq!(parent("s3://b/p/x.bundle"), Some(("s3://b/p".into(), "x.bundle".into())));
        assert_eq!(parent("s3://b/x.bundle/"), Some(("s3://b".into(), "x.bundle".into())));
        assert_eq!(parent("s3://b"), None);
        assert_eq!(parent("file:///x.bundle").unwrap().1, "x.bundle");
    }

    #[test]
    fn a_secret_is_refused_and_not_repeated() {
        for text in ["s3://KEY:SECRET@b/p", "az://c/p?sv=1&sig=SECRET", "az://c:SECRET@acc/p", "s3://SECRET@b/p"] {
            let reported = Location::parse(text).unwrap_err().to_string();
            assert!(
                reported.contains("_") && !reported.contains("SECRET@") && !reported.contains("sig="),
                "{reported}"
            );
        }
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for text in ["", "sftp://h/p", "s3://", "s3:///p", "s3://b//p", "s3://b/../p", "file://host/p", "gs://b/a*"] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }
}
