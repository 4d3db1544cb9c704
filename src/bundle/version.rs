//! The version of the format, and who can read it.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What every `format` URI begins with; the major version follows.
pub const FORMAT_URI_BASE: &str = "https://blobdelta.dev/bundle/";

/// `major.minor`. A reader of a major reads every minor of it: a minor only adds fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FormatVersion {
    /// Changes when an older reader would misread a bundle.
    pub major: u16,
    /// Changes when there is more to read.
    pub minor: u16,
}

impl FormatVersion {
    /// What this program writes, and the latest that it reads.
    pub const CURRENT: Self = Self { major: 1, minor: 0 };

    /// The `format` of a manifest of this version.
    pub fn uri(self) -> String {
        format!("{FORMAT_URI_BASE}{}", self.major)
    }

    /// Whether a reader of another version can read this one.
    ///
    /// # Errors
    /// Verification, with the version that a reader needs.
    pub fn check_readable_by(self, reader: Self) -> Result<()> {
        if self.major == reader.major {
            return Ok(());
        }
        Err(Error::verification(format!(
            "this bundle is of format version {self}, and this program reads versions {}.x",
            reader.major
        ))
        .hint(format!("use a blobdelta that reads format version {}", self.major)))
    }
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl TryFrom<String> for FormatVersion {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let number = |part: &str| part.parse::<u16>().ok().filter(|number| number.to_string() == part);
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self { major: number(major)?, minor: number(minor)? }))
            .ok_or_else(|| Error::verification(format!("{text:.40?} is not a format version such as 1.0")))
    }
}

impl From<FormatVersion> for String {
    fn from(version: FormatVersion) -> String {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minors_are_read_and_majors_are_not() {
        let version = |text: &str| FormatVersion::try_from(text.to_owned());
        assert!(version("1.65535").unwrap().check_readable_by(FormatVersion::CURRENT).is_ok());
        for other in ["2.0", "0.9"] {
            let error = version(other).unwrap().check_readable_by(FormatVersion::CURRENT).unwrap_err().to_string();
            assert!(error.contains(other), "{error}");
        }
        for bad in ["1", "1.0.0", "01.0", "1.+1", "a.b", ""] {
            assert!(version(bad).is_err(), "{bad}");
        }
    }
}
