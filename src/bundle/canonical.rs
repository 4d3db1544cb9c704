//! Canonical JSON: one byte form for one content.
//!
//! Objects sorted by the bytes of their keys, no white space, UTF-8, one LF at the end; in
//! strings `\"`, `\\`, `\b`, `\t`, `\n`, `\f`, `\r` and `\u00xx` for the other control
//! characters, everything else as it is. Integers within ±(2^53−1), no floats. At most 64 MiB
//! and 16 levels. Anything else is refused, a key that comes twice included, so that no two
//! readers can see different things in one file.

use crate::error::{Error, Result};
use serde::de::{Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// The most bytes of a manifest or of a list of hashes.
pub const MAX_BYTES: u64 = 64 << 20;
const MAX_DEPTH: u8 = 16;
const MAX_INTEGER: i64 = (1 << 53) - 1;

/// A parsed value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    Text(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// A member of an object.
    pub(super) fn get(&self, key: &str) -> Option<&Json> {
        if let Self::Object(members) = self { members.get(key) } else { None }
    }

    /// The text of a string.
    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(bit) => out.extend_from_slice(if *bit { b"true" } else { b"false" }),
            Self::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Self::Text(text) => write_text(text, out),
            Self::Array(items) => {
                out.push(b'[');
                for (nth, item) in items.iter().enumerate() {
                    separate(nth, out);
                    item.write(out);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (nth, (key, value)) in members.iter().enumerate() {
                    separate(nth, out);
                    write_text(key, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

fn separate(nth: usize, out: &mut Vec<u8>) {
    if nth > 0 {
        out.push(b',');
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0C => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x00..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The canonical bytes of anything that serializes.
pub(super) fn to_bytes<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    let internal = |error| Error::internal("the manifest cannot be written as JSON").caused_by(error);
    let loose = serde_json::to_string(value).map_err(internal)?;
    let tree = serde_json::from_str::<Checked>(&loose).map_err(internal)?.0;
    let mut out = Vec::with_capacity(loose.len() + 1);
    tree.write(&mut out);
    out.push(b'\n');
    Ok(out)
}

/// Parses canonical bytes.
///
/// # Errors
/// Verification: whatever the module's text forbids.
pub(super) fn parse(bytes: &[u8]) -> Result<Json> {
    let bad = |why: &str| Error::verification(format!("the manifest is not canonical JSON: {why}"));
    if bytes.len() as u64 > MAX_BYTES {
        return Err(bad("it is over 64 MiB long"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| bad("it is not UTF-8").caused_by(error))?;
    let parsed = serde_json::from_str::<Checked>(text);
    let tree = parsed.map_err(|error| Error::verification("the manifest is not canonical JSON").caused_by(error))?.0;
    let mut again = Vec::with_capacity(bytes.len());
    tree.write(&mut again);
    again.push(b'\n');
    if again != bytes {
        return Err(bad("its keys are not sorted, or it is not in the one form that a content has"));
    }
    Ok(tree)
}

/// Bytes that [`parse`] let through, as a type. Fields that the type does not have are ignored.
///
/// # Errors
/// Verification: a field that is missing or of another type.
pub(super) fn typed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::verification("the manifest does not have the fields it should").caused_by(error))
}

struct Checked(Json);

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Depth(0).deserialize(deserializer).map(Self)
    }
}

#[derive(Clone, Copy)]
struct Depth(u8);

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Depth {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.0 >= MAX_DEPTH {
            return Err(E::custom(format!("it is over {MAX_DEPTH} levels deep")));
        }
        Ok(Self(self.0 + 1))
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of canonical JSON: no floats, integers within 2^53-1")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, bit: bool) -> Result<Json, E> {
        Ok(Json::Bool(bit))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Json, E> {
        if !(-MAX_INTEGER..=MAX_INTEGER).contains(&value) {
            return Err(E::custom(format!("the integer {value} is beyond 2^53-1")));
        }
        Ok(Json::Integer(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Json, E> {
        self.visit_i64(i64::try_from(value).unwrap_or(i64::MAX))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let deeper = self.deeper()?;
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(deeper)? {
            out.push(item);
        }
        Ok(Json::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let deeper = self.deeper()?;
        let mut out = BTreeMap::new();
        while let Some(key) = members.next_key::<String>()? {
            let value = members.next_value_seed(deeper)?;
            if out.contains_key(&key) {
                return Err(serde::de::Error::custom(format!("the key {key:.80?} comes twice")));
            }
            out.insert(key, value);
        }
        Ok(Json::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_form_is_written_and_read() {
        let tree = r#"{"b":[1,-2,null,true],"a":"\u0007\u001f\"\\\b\t\n\f\r/é\u007f😀","B":{}}"#;
        let tree: serde_json::Value = serde_json::from_str(tree).unwrap();
        let bytes = to_bytes(&tree).unwrap();
        let due = "{\"B\":{},\"a\":\"\\u0007\\u001f\\\"\\\\\\b\\t\\n\\f\\r/é\u{7f}😀\",\"b\":[1,-2,null,true]}\n";
        assert_eq!(std::str::from_utf8(&bytes).unwrap(), due);
        assert!(parse(&bytes).is_ok());
    }

    #[test]
    fn every_other_form_is_refused() {
        let deep = format!("{}{}\n", "[".repeat(17), "]".repeat(17));
        let bad: [&[u8]; 18] = [
            b"{}",
            b"{}\n\n",
            b"{} \n",
            b" {}\n",
            b"{\"b\":1,\"a\":2}\n",
            b"{\"a\":1,\"a\":1}\n",
            b"{\"a\": 1}\n",
            b"1.0\n",
            b"1e2\n",
            b"-0\n",
            b"9007199254740992\n",
            b"-9007199254740992\n",
            b"18446744073709551615\n",
            b"\"\xff\"\n",
            b"\"\\u0041\"\n",
            b"\"\\ud800\"\n",
            b"\xef\xbb\xbf{}\n",
            deep.as_bytes(),
        ];
        for bytes in bad {
            assert!(parse(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
        let deepest = format!("{}{}\n", "[".repeat(16), "]".repeat(16));
        assert!(parse(deepest.as_bytes()).is_ok());
        assert!(parse(b"9007199254740991\n").is_ok());
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC*|[\\x00-\\x7f]{0,40}", number in -MAX_INTEGER..=MAX_INTEGER) {
            let bytes = to_bytes(&(text.clone(), number)).unwrap();
            parse(&bytes).unwrap();
            prop_assert_eq!(typed::<(String, i64)>(&bytes).unwrap(), (text, number));
        }
    }
}
