//! Profiles of AWS: the static keys, session token, region and endpoint that `~/.aws/credentials`
//! and `~/.aws/config` hold for one name. `object_store` reads the environment alone.
//!
//! What needs a program or a sign-in (SSO, `credential_process`, `role_arn` with a source profile)
//! is not carried out: `aws configure export-credentials --format env` turns it into variables.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// No file of profiles is larger.
const MAX_BYTES: u64 = 1 << 20;

/// What a profile says.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) keys: Option<(String, String)>,
    pub(super) token: Option<String>,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    /// When a checksum goes along.
    pub(super) checksums: Option<String>,
}

/// Where the files are, and which profile is asked for.
pub(super) struct RequestedProfile {
    pub(super) credentials: Option<PathBuf>,
    pub(super) config: Option<PathBuf>,
    /// `None`: the one called default, if there is one.
    pub(super) name: Option<String>,
}

impl RequestedProfile {
    /// As the environment says it.
    pub(super) fn by_environment() -> Self {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = var("HOME").or_else(|| var("USERPROFILE")).map(PathBuf::from);
        let file = |name: &str, default: &str| {
            var(name).map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".aws").join(default)))
        };
        Self {
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            config: file("AWS_CONFIG_FILE", "config"),
            name: var("AWS_PROFILE").and_then(|name| name.into_string().ok()),
        }
    }
}

/// Reads a profile; that of the credentials goes before that of the config.
///
/// # Errors
/// Config: a profile that was named and is not there or has no static keys; Io. No value is reported.
pub(super) fn read(asked: &RequestedProfile) -> Result<Profile> {
    let name = asked.name.as_deref().unwrap_or("default");
    let own = format!("profile {name}");
    let mut found = section(asked.config.as_deref(), &[name, &own])?;
    let credentials = section(asked.credentials.as_deref(), &[name])?;
    if asked.name.is_some() && found.is_none() && credentials.is_none() {
        return Err(Error::config(format!("there is no profile {name:.60?} in the files of AWS"))
            .hint("correct AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
    }
    let values = found.get_or_insert_default();
    values.extend(credentials.unwrap_or_default());
    let mut take = |key: &str| values.remove(key).filter(|value| !value.is_empty());
    let keys = take("aws_access_key_id").zip(take("aws_secret_access_key"));
    if asked.name.is_some() && keys.is_none() {
        return Err(Error::config(format!("the profile {name:.60?} holds no static keys"))
            .hint("SSO, roles and credential_process are not carried out: eval \"$(aws configure export-credentials --format env)\""));
    }
    Ok(Profile {
        keys,
        token: take("aws_session_token"),
        region: take("region"),
        endpoint: take("endpoint_url"),
        checksums: take("request_checksum_calculation").map(|text| text.to_ascii_lowercase()),
    })
}

/// The lines of the first section that has one of these names.
fn section(path: Option<&Path>, names: &[&str]) -> Result<Option<BTreeMap<String, String>>> {
    let Some(path) = path else { return Ok(None) };
    let mut text = String::new();
    match File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text)) {
        Ok(_) => Ok(parse(&text, names)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read the profiles in", path, error)),
    }
}

fn parse(text: &str, names: &[&str]) -> Option<BTreeMap<String, String>> {
    let (mut found, mut is_inside) = (None::<BTreeMap<String, String>>, false);
    for line in text.lines() {
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.starts_with(['#', ';']) || line.is_empty() || is_nested {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" ");
            is_inside = names.contains(&name.as_str());
            if is_inside {
                found.get_or_insert_default();
            }
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_inside) {
            found.get_or_insert_default().insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(folder: &Path, name: Option<&str>) -> RequestedProfile {
        let credentials = "# comment\n[default]\naws_access_key_id = A\naws_secret_access_key=B=\n\n[ week ]\n\
                           aws_access_key_id=C\naws_secret_access_key=D\naws_session_token=E\n";
        let config = "[default]\nregion=eu-1\n[profile week]\nregion = eu-2\ns3 =\n  addressing_style = path\n\
                      [profile sso]\nsso_session = x\n";
        std::fs::write(folder.join("credentials"), credentials).unwrap();
        std::fs::write(folder.join("config"), config).unwrap();
        let at = |name| Some(folder.join(name));
        RequestedProfile { credentials: at("credentials"), config: at("config"), name: name.map(str::to_owned) }
    }

    #[test]
    fn static_keys_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let week = read(&asked(folder.path(), Some("week"))).unwrap();
        assert_eq!(week.keys, Some(("C".into(), "D".into())));
        assert_eq!((week.token.as_deref(), week.region.as_deref()), (Some("E"), Some("eu-2")));
        let default = read(&asked(folder.path(), None)).unwrap();
        assert_eq!(default.keys, Some(("A".into(), "B=".into())));
        assert_eq!(default.region.as_deref(), Some("eu-1"));
    }

    #[test]
    fn what_was_named_has_to_be_there_with_keys() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["sso", "nowhere"] {
            let reported = read(&asked(folder.path(), Some(name))).err().unwrap();
            assert_eq!(reported.kind(), crate::error::Kind::Config, "{reported}");
        }
        let nothing = RequestedProfile { credentials: Some("/nowhere/x".into()), config: None, name: None };
        assert!(read(&nothing).unwrap() == Profile::default());
    }
}
