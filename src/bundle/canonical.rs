//! Canonical JSON: one byte form for one content.
//!
//! Objects sorted by the bytes of their keys, no white space, UTF-8, one LF at the end; in
//! strings `\"`, `\\`, `\b`, `\t`, `\n`, `\f`, `\r` and `\u00xx` for the other control
//! characters, everything else as it is. Integers within ±(2^53−1), no floats. At most 64 MiB
//! and 16 levels. Anything else is refused, a key that comes twice included, so that no two
//! readers can see different things in one file.

use crate::error::{Error, Result};
use serde::de::{Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::cell::Cell;
use std::fmt;

/// The most bytes of a manifest or of a list of hashes.
pub const MAX_BYTES: u64 = 64 << 20;
const MAX_DEPTH: u8 = 16;
const MAX_INTEGER: i64 = (1 << 53) - 1;

/// Writes a value of our own, its keys sorted.
fn write(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Null | Value::Bool(_) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Number(number) if number.as_i64().is_some_and(|value| value.abs() <= MAX_INTEGER) => {
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::Number(number) => return Err(Error::internal(format!("the manifest would hold the number {number}"))),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (nth, item) in items.iter().enumerate() {
                separate(nth, out);
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (nth, (key, value)) in members.into_iter().enumerate() {
                separate(nth, out);
                write_text(key, out);
                out.push(b':');
                write(value, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// A list of at most so many entries: a longer one is refused at its first entry too many.
///
/// # Errors
/// Those of the format, and a list that is longer.
pub(super) fn few<'de, const MOST: usize, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Few<const MOST: usize, T>(std::marker::PhantomData<T>);
    impl<'de, const MOST: usize, T: Deserialize<'de>> Visitor<'de> for Few<MOST, T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MOST} entries")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                if list.len() == MOST {
                    return Err(serde::de::Error::custom(format!("a list has more than {MOST} entries")));
                }
                list.push(item);
            }
            Ok(list)
        }
    }
    deserializer.deserialize_seq(Few::<MOST, T>(std::marker::PhantomData))
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
    let value = serde_json::to_value(value)
        .map_err(|error| Error::internal("the manifest cannot be written as JSON").caused_by(error))?;
    let mut out = Vec::new();
    write(&value, &mut out)?;
    out.push(b'\n');
    Ok(out)
}

/// Holds bytes against the canonical form, value by value, and keeps none of them: what a manifest claims to hold costs
/// nothing yet.
///
/// # Errors
/// Verification: whatever the module's text forbids.
pub(super) fn check(bytes: &[u8]) -> Result<()> {
    let bad = |why: &str| Error::verification(format!("the manifest is not canonical JSON: {why}"));
    if bytes.len() as u64 > MAX_BYTES {
        return Err(bad("it is over 64 MiB long"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| bad("it is not UTF-8").caused_by(error))?;
    let form = CanonicalRest { rest: Cell::new(bytes) };
    let mut parser = serde_json::Deserializer::from_str(text);
    let walked = ValueWalk { form: &form, levels: 0 }.deserialize(&mut parser).and_then(|()| parser.end());
    walked.map_err(|error| Error::verification("the manifest is not canonical JSON").caused_by(error))?;
    if form.rest.get() != b"\n" {
        return Err(bad("it does not end in one line feed"));
    }
    Ok(())
}

/// Bytes that [`check`] let through, as a type. Fields that the type does not have are ignored.
///
/// # Errors
/// Verification: a field that is missing or of another type.
pub(super) fn typed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::verification("the manifest does not have the fields it should").caused_by(error))
}

/// What is left of the bytes that are held against the one form.
struct CanonicalRest<'b> {
    rest: Cell<&'b [u8]>,
}

impl CanonicalRest<'_> {
    fn takes<E: serde::de::Error>(&self, written: &[u8]) -> Result<(), E> {
        match self.rest.get().strip_prefix(written) {
            Some(rest) => {
                self.rest.set(rest);
                Ok(())
            }
            None => Err(E::custom("its keys are not sorted, or it is not in the one form that a content has")),
        }
    }

    fn takes_text<E: serde::de::Error>(&self, text: &str) -> Result<(), E> {
        let mut written = Vec::with_capacity(text.len() + 2);
        write_text(text, &mut written);
        self.takes(&written)
    }
}

/// One value of it, so many levels down.
#[derive(Clone, Copy)]
struct ValueWalk<'f, 'b> {
    form: &'f CanonicalRest<'b>,
    levels: u8,
}

impl ValueWalk<'_, '_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.levels >= MAX_DEPTH {
            return Err(E::custom(format!("it is over {MAX_DEPTH} levels deep")));
        }
        Ok(Self { levels: self.levels + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for ValueWalk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueWalk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of canonical JSON: no floats, integers within 2^53-1")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.form.takes(b"null")
    }

    fn visit_bool<E: serde::de::Error>(self, bit: bool) -> Result<(), E> {
        self.form.takes(if bit { b"true" } else { b"false" })
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        if !(-MAX_INTEGER..=MAX_INTEGER).contains(&value) {
            return Err(E::custom(format!("the integer {value} is beyond 2^53-1")));
        }
        self.form.takes(value.to_string().as_bytes())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.visit_i64(i64::try_from(value).unwrap_or(i64::MAX))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.form.takes_text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        self.form.takes(b"[")?;
        // What stands between two of them is held when it is known that another comes.
        let mut between: &[u8] = b"";
        while items.next_element_seed(After { between, walk: deeper })?.is_some() {
            between = b",";
        }
        self.form.takes(b"]")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        self.form.takes(b"{")?;
        let mut last: Option<String> = None;
        while let Some(key) = members.next_key::<String>()? {
            match &last {
                Some(last) if *last == key => {
                    return Err(serde::de::Error::custom(format!("the key {key:.80?} comes twice")));
                }
                Some(last) if *last > key => return Err(serde::de::Error::custom("its keys are not sorted")),
                Some(_) => self.form.takes(b",")?,
                None => {}
            }
            self.form.takes_text(&key)?;
            self.form.takes(b":")?;
            members.next_value_seed(deeper)?;
            last = Some(key);
        }
        self.form.takes(b"}")
    }
}

/// A value behind what stands between it and the one before.
struct After<'a, 'f, 'b> {
    between: &'a [u8],
    walk: ValueWalk<'f, 'b>,
}

impl<'de> DeserializeSeed<'de> for After<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.walk.form.takes(self.between)?;
        self.walk.deserialize(deserializer)
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
        assert!(check(&bytes).is_ok());
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
            assert!(check(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
        let deepest = format!("{}{}\n", "[".repeat(16), "]".repeat(16));
        assert!(check(deepest.as_bytes()).is_ok());
        assert!(check(b"9007199254740991\n").is_ok());
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC*|[\\x00-\\x7f]{0,40}", number in -MAX_INTEGER..=MAX_INTEGER) {
            let bytes = to_bytes(&(text.clone(), number)).unwrap();
            check(&bytes).unwrap();
            prop_assert_eq!(typed::<(String, i64)>(&bytes).unwrap(), (text, number));
        }
    }
}
