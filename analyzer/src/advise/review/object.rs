//! One flat JSON object of exactly the agreed keys.
//!
//! In: a text. Out: its values by key. The parser is `serde_json`'s, which refuses what is no JSON;
//! every key it reads is seen here, also one that stands twice.
//!
//! Pure: no IO, no clock.

use std::fmt;

use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Deserializer, error::Category};

use super::{MOST_BYTES, Rejection, words};
use crate::advise::question::KEYS;

/// A value of the object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Text(String),
    Number(f64),
    List(Vec<Scalar>),
    /// `true`, `false` or `null`.
    Word,
    /// An object, or a list within a list.
    Nested,
}

/// The values by key, each key once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object(Vec<(String, Scalar)>);

impl Object {
    /// The value of a key.
    pub(super) fn value(&self, key: &str) -> Result<&Scalar, Rejection> {
        let found = self.0.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value).ok_or(Rejection::MissingKey)
    }

    /// The text of a key.
    pub(super) fn text(&self, key: &str) -> Result<&str, Rejection> {
        match self.value(key)? {
            Scalar::Text(text) => Ok(text),
            Scalar::Number(_) | Scalar::List(_) | Scalar::Word | Scalar::Nested => {
                Err(Rejection::WrongType)
            }
        }
    }

    /// The texts of a key.
    pub(super) fn list(&self, key: &str) -> Result<Vec<&str>, Rejection> {
        let Scalar::List(values) = self.value(key)? else {
            return Err(Rejection::WrongType);
        };
        let texts = values.iter().map(|value| match value {
            Scalar::Text(text) => Ok(text.as_str()),
            Scalar::Number(_) | Scalar::List(_) | Scalar::Word | Scalar::Nested => {
                Err(Rejection::WrongType)
            }
        });
        texts.collect()
    }
}

/// Reads the object, and nothing else.
///
/// # Errors
/// Why the text is none.
pub(super) fn read(text: &str) -> Result<Object, Rejection> {
    if text.len() > MOST_BYTES {
        return Err(Rejection::TooLong);
    }
    // White space around the object is JSON's own.
    let bare = text.trim_matches([' ', '\t', '\r', '\n']);
    opens(bare)?;
    let mut parser = Deserializer::from_str(bare);
    let Fields(fields) = Fields::deserialize(&mut parser).map_err(|error| malformed(&error))?;
    parser.end().map_err(|_| Rejection::TrailingText)?;
    agreed(&fields)?;
    Ok(Object(fields))
}

/// Whether the text begins as an object does; if not, what it seems to be.
fn opens(bare: &str) -> Result<(), Rejection> {
    let Some(first) = bare.chars().next() else {
        return Err(Rejection::Empty);
    };
    if first == '{' {
        return Ok(());
    }
    if bare.starts_with("```") || bare.starts_with("~~~") {
        return Err(Rejection::Fenced);
    }
    if words::refuses(bare) {
        return Err(Rejection::Refused);
    }
    let is_json = serde_json::from_str::<IgnoredAny>(bare).is_ok();
    if is_json || matches!(first, '[' | '"') {
        return Err(Rejection::NotAnObject);
    }
    Err(Rejection::Prose)
}

fn malformed(error: &serde_json::Error) -> Rejection {
    match error.classify() {
        Category::Eof => Rejection::Truncated,
        Category::Syntax | Category::Data | Category::Io => Rejection::Malformed,
    }
}

/// Every agreed key once, no other, and nothing nested.
fn agreed(fields: &[(String, Scalar)]) -> Result<(), Rejection> {
    for (index, (key, _)) in fields.iter().enumerate() {
        if fields.iter().take(index).any(|(before, _)| before == key) {
            return Err(Rejection::DuplicateKey);
        }
        if !KEYS.contains(&key.as_str()) {
            return Err(Rejection::UnknownKey);
        }
    }
    if fields.len() != KEYS.len() {
        return Err(Rejection::MissingKey);
    }
    let is_nested = |value: &Scalar| match value {
        Scalar::Nested => true,
        Scalar::List(values) => values
            .iter()
            .any(|value| matches!(value, Scalar::Nested | Scalar::List(_))),
        Scalar::Text(_) | Scalar::Number(_) | Scalar::Word => false,
    };
    if fields.iter().any(|(_, value)| is_nested(value)) {
        return Err(Rejection::Nested);
    }
    Ok(())
}

struct Fields(Vec<(String, Scalar)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::with_capacity(KEYS.len());
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        // Only 0 and 1 are allowed; any other is as wrong as 2.
        Ok(Scalar::Number(f64::from(
            u8::try_from(value).unwrap_or(u8::MAX),
        )))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(f64::from(
            i8::try_from(value).unwrap_or(i8::MIN),
        )))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Word)
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Word)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Scalar::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }
}
