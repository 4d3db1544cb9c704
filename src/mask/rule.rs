//! [`MaskRule`]: what a policy says of one column.

use crate::error::{Error, Result};
use std::fmt;

/// How a column is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is explained in docs/masking.md under its name")]
pub enum MaskKind {
    Keep,
    Null,
    Fixed,
    Token,
    Path,
    Words,
    Person,
    FileName,
    Extension,
    Email,
    Phone,
    DateShift,
    Number,
    Rekey,
    SizeOf,
    Placeholder,
    Noise,
    Empty,
}

/// Each with its name in a policy.
const KINDS: [(MaskKind, &str); 18] = [
    (MaskKind::Keep, "keep"),
    (MaskKind::Null, "null"),
    (MaskKind::Fixed, "fixed"),
    (MaskKind::Token, "token"),
    (MaskKind::Path, "path"),
    (MaskKind::Words, "words"),
    (MaskKind::Person, "person"),
    (MaskKind::FileName, "file_name"),
    (MaskKind::Extension, "extension"),
    (MaskKind::Email, "email"),
    (MaskKind::Phone, "phone"),
    (MaskKind::DateShift, "date_shift"),
    (MaskKind::Number, "number"),
    (MaskKind::Rekey, "rekey"),
    (MaskKind::SizeOf, "size_of"),
    (MaskKind::Placeholder, "placeholder"),
    (MaskKind::Noise, "noise"),
    (MaskKind::Empty, "empty"),
];

impl MaskKind {
    /// Its name in a policy and in a manifest.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    /// Whether a mask follows from the value and a domain.
    pub fn has_domain(self) -> bool {
        use MaskKind as M;
        !matches!(self, M::Keep | M::Null | M::Fixed | M::Extension | M::SizeOf | M::Placeholder | M::Empty)
    }
}

impl fmt::Display for MaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What becomes of a value for whose type there is no placeholder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// A plain text.
    #[default]
    Text,
    /// Noise of the same length.
    Noise,
}

/// See the module's text.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskRule {
    /// How.
    pub kind: MaskKind,
    /// Values of one domain have the same mask in all its columns.
    pub domain: Option<String>,
    /// Of `date_shift`: the most days, 1 to 36,500.
    pub days: u32,
    /// Of `number`: the most that is added or taken away, as a decimal number above 0.
    pub within: String,
    /// Of `fixed`.
    pub value: Option<toml::Value>,
    /// Of `fixed`: also where the value is NULL, or empty.
    pub also_null: bool,
    /// See `also_null`.
    pub also_empty: bool,
    /// Of `placeholder`: the column whose value is, or ends in, the extension of the file.
    pub extension: Option<String>,
    /// Of `placeholder`.
    pub otherwise: Otherwise,
    /// Of `size_of`: the column whose masked values are measured.
    pub column: Option<String>,
    /// The column may be in none of the bundles.
    pub may_be_absent: bool,
}

impl MaskRule {
    /// A rule that says no more than its mask.
    pub fn of(kind: MaskKind) -> Self {
        Self {
            kind,
            domain: None,
            days: 0,
            within: String::new(),
            value: None,
            also_null: false,
            also_empty: false,
            extension: None,
            otherwise: Otherwise::Text,
            column: None,
            may_be_absent: false,
        }
    }

    /// From what the policy has for a column: the name of a mask, or a table with more.
    ///
    /// # Errors
    /// Config: an unknown mask or field, a field of another mask, or one that is missing.
    pub fn parse(value: &toml::Value) -> Result<Self> {
        let table = match value {
            toml::Value::String(name) => return Self::of(kind(name)?).complete(),
            toml::Value::Table(table) => table,
            _ => return Err(Error::config("a rule is the name of a mask, or a table with mask = \"…\"")),
        };
        let Some(toml::Value::String(name)) = table.get("mask") else {
            return Err(Error::config("the rule has no mask").hint("write mask = \"keep\" or another mask in it"));
        };
        let mut rule = Self::of(kind(name)?);
        for (field, value) in table.iter().filter(|(field, _)| *field != "mask") {
            rule.set(field, value)?;
        }
        rule.complete()
    }

    fn set(&mut self, field: &str, value: &toml::Value) -> Result<()> {
        use MaskKind as M;
        let wrong = |what: &str| Error::config(format!("{field} has to be {what}"));
        let text = || value.as_str().map(str::to_owned).ok_or_else(|| wrong("a text"));
        let flag = || value.as_bool().ok_or_else(|| wrong("true or false"));
        match (field, self.kind) {
            ("may_be_absent", _) => self.may_be_absent = flag()?,
            ("domain", kind) if kind.has_domain() => {
                let domain = text()?;
                if domain.is_empty() {
                    return Err(wrong("a name"));
                }
                self.domain = Some(domain);
            }
            ("days", M::DateShift) => {
                let days = value.as_integer().and_then(|days| u32::try_from(days).ok());
                let days = days.filter(|days| (1..=36_500).contains(days));
                self.days = days.ok_or_else(|| wrong("a number of days from 1 to 36500"))?;
            }
            ("within", M::Number) => {
                self.within = match value {
                    toml::Value::Integer(number) => number.to_string(),
                    toml::Value::Float(number) => number.to_string(),
                    toml::Value::String(number) => number.clone(),
                    _ => return Err(wrong("a number")),
                };
            }
            ("value", M::Fixed) => self.value = Some(value.clone()),
            ("also_null", M::Fixed) => self.also_null = flag()?,
            ("also_empty", M::Fixed) => self.also_empty = flag()?,
            ("extension", M::Placeholder) => self.extension = Some(text()?),
            ("otherwise", M::Placeholder) => {
                self.otherwise = match text()?.as_str() {
                    "text" => Otherwise::Text,
                    "noise" => Otherwise::Noise,
                    _ => return Err(wrong("\"text\" or \"noise\"")),
                };
            }
            ("column", M::SizeOf) => self.column = Some(text()?),
            (field, kind) => return Err(Error::config(format!("the mask {kind} takes no {field:.60?}"))),
        }
        Ok(())
    }

    fn complete(self) -> Result<Self> {
        let lacks = match self.kind {
            MaskKind::DateShift if self.days == 0 => Some("days = 30"),
            MaskKind::Number if self.within.is_empty() => Some("within = 5"),
            MaskKind::Fixed if self.value.is_none() => Some("value = \"…\""),
            MaskKind::SizeOf if self.column.is_none() => Some("column = \"file_stream\""),
            _ => None,
        };
        match lacks {
            None => Ok(self),
            Some(lacks) => Err(Error::config(format!("the mask {} needs more to be said", self.kind))
                .hint(format!("write {{ mask = \"{}\", {lacks} }}", self.kind))),
        }
    }
}

fn kind(name: &str) -> Result<MaskKind> {
    MaskKind::parse(name).ok_or_else(|| {
        let names: Vec<&str> = KINDS.iter().map(|(_, name)| *name).collect();
        Error::config(format!("there is no mask {name:.60?}")).hint(format!("the masks are: {}", names.join(", ")))
    })
}
