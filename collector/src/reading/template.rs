//! A pod template, field by field, in words that say what changed and hold no secret.
//!
//! In: the template as the API server has it. Out: images and resources as they
//! are; everything else as a digest, under the path of its field. The values are
//! hashed while the template is parsed and dropped there and then.
//!
//! A digest without a key would give away a short secret to whoever tries them
//! all, so what is told is keyed, and cut to as much as equality needs. The key
//! stays the same for a cluster ([`DigestKey`]); the owner is part of what is
//! hashed, so that the digests of two owners say nothing of each other.
//!
//! Pure: no IO, no clock.

use std::{collections::BTreeMap, fmt};

use schemas::digest;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::cut;

/// Fields of one template that are told by themselves; what comes after them is told as one.
const MOST: usize = 200;
/// Bytes that are kept of a path, and of a value.
const LONGEST: usize = 512;
/// Hex digits of a digest: 32 bits tell two values apart, and leave a guesser with many that fit.
const DIGITS: usize = 8;
/// The label that tells the pods of a `ReplicaSet` apart, which differs in each revision.
const OWN_LABEL: &str = "pod-template-hash";
/// The path of what is told as one.
const REST: &str = "~rest";

/// What keys the digests: known to the collector, and not on the bus.
#[derive(Clone)]
pub struct DigestKey(String);

impl DigestKey {
    /// The key that follows from something that stays the same, and that the bus does not tell.
    pub fn new(secret: &str) -> Self {
        Self(digest::hex(["kubeskippy template digest", secret]))
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey")
    }
}

/// A pod template as far as it is kept, by the paths of its fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Value")]
pub struct Template(BTreeMap<String, Field>);

/// What is kept of a field's value.
#[derive(Clone, Debug)]
enum Field {
    /// It itself.
    Plain(String),
    /// Its hash.
    Hashed(String),
}

impl From<Value> for Template {
    fn from(value: Value) -> Self {
        let mut fields = BTreeMap::new();
        let empty = Map::new();
        let part = |name| value.get(name).and_then(Value::as_object).unwrap_or(&empty);
        for of in ["labels", "annotations"] {
            let all = part("metadata").get(of).and_then(Value::as_object);
            for (key, value) in all.into_iter().flatten() {
                if key != OWN_LABEL {
                    keep(&mut fields, format!("{of}[{key}]"), hashed(value));
                }
            }
        }
        for (key, value) in part("spec") {
            match key.as_str() {
                "containers" | "initContainers" => containers(&mut fields, key, value),
                "volumes" => each(&mut fields, key, value, hashed),
                // How a `ControllerRevision` says that it is the whole.
                "$patch" => {}
                _ => keep(&mut fields, key.clone(), hashed(value)),
            }
        }
        Self(fields)
    }
}

fn containers(fields: &mut BTreeMap<String, Field>, list: &str, value: &Value) {
    for container in value.as_array().into_iter().flatten() {
        let path = format!("{list}[{}]", name(container));
        for (key, value) in container.as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            match (key.as_str(), value) {
                ("name", _) => {}
                ("image", Value::String(image)) => keep(fields, path, plain(image)),
                ("env", _) => each(fields, &path, value, hashed),
                ("resources", _) => resources(fields, &path, value),
                _ => keep(fields, path, hashed(value)),
            }
        }
    }
}

/// Each member of a list under its name.
fn each(fields: &mut BTreeMap<String, Field>, path: &str, list: &Value, read: fn(&Value) -> Field) {
    for one in list.as_array().into_iter().flatten() {
        keep(fields, format!("{path}[{}]", name(one)), read(one));
    }
}

/// Requests and limits as they are written.
fn resources(fields: &mut BTreeMap<String, Field>, path: &str, value: &Value) {
    for (part, amounts) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{part}");
        let Value::Object(amounts) = amounts else {
            keep(fields, path, hashed(amounts));
            continue;
        };
        for (resource, amount) in amounts {
            let text = amount.as_str().map_or_else(|| hashed(amount), plain);
            keep(fields, format!("{path}.{resource}"), text);
        }
    }
}

fn name(of: &Value) -> &str {
    of.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn keep(fields: &mut BTreeMap<String, Field>, path: String, field: Field) {
    let path = if path.len() > LONGEST {
        // Two long paths stay two.
        let tail = digest::short([&path], DIGITS);
        format!("{}~{tail}", cut(&path, LONGEST))
    } else {
        path
    };
    fields.insert(path, field);
}

fn plain(text: &str) -> Field {
    if text.len() > LONGEST {
        Field::Hashed(digest::hex([text]))
    } else {
        Field::Plain(text.to_owned())
    }
}

fn hashed(value: &Value) -> Field {
    Field::Hashed(digest::hex([value.to_string()]))
}

impl Template {
    /// What is told of it as the template of `owner`.
    pub fn told(&self, key: &DigestKey, owner: &str) -> BTreeMap<String, String> {
        let sealed = |path: &str, hash: &str| {
            let digest = digest::short([&key.0, owner, path, hash], DIGITS);
            format!("#{digest}")
        };
        let tell = |(path, field): (&String, &Field)| {
            let value = match field {
                Field::Plain(text) => text.clone(),
                Field::Hashed(hash) => sealed(path, hash),
            };
            (path.clone(), value)
        };
        let mut told: BTreeMap<_, _> = self.0.iter().take(MOST).map(tell).collect();
        let rest: Vec<_> = self.0.iter().skip(MOST).map(tell).collect();
        if !rest.is_empty() {
            let all = rest.iter().flat_map(|(path, value)| [path, value]);
            told.insert(REST.to_owned(), sealed(REST, &digest::hex(all)));
        }
        told
    }
}

#[cfg(test)]
mod tests;
