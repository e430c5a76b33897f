//! Changes of fields: what differs, whether a change is there, how it is made and taken back.
//!
//! A change is a list of fields with their values before and after. It is made
//! only where every field still has the value before, and taken back only where
//! every field still has the value afterwards; what somebody else has changed
//! since is theirs. Both are written as a merge patch at the version that was
//! looked at, so nothing can slip in between.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeSet;

use schemas::{quantity, step::FieldChange};
use serde_json::{Map, Value, json};

mod path;

pub use path::{Error as PathError, Path, Segment};

/// What an object says about a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Every field has its value before.
    Before,
    /// Every field has its value afterwards.
    After,
    /// These fields have neither all the values before nor all those afterwards.
    Other(Vec<String>),
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The name of the field is not understood.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A value is not JSON.
    #[error("the value of {0} is not JSON")]
    Value(String),
    /// The object has no place for the field.
    #[error("the object has no {0}")]
    NoPlace(String),
}

/// The fields that differ between two objects, in the order of their names.
///
/// Items of a list are told apart by their key where they have one and their
/// order stays; other lists are one value.
pub fn diff(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare(&Path::default(), Some(before), Some(after), &mut changes);
    changes
}

/// The value at `path`.
pub fn at<'a>(content: &'a Value, path: &Path) -> Option<&'a Value> {
    let mut node = content;
    for segment in path.segments() {
        node = match segment {
            Segment::Field(name) => node.get(name)?,
            Segment::Item { key, value } => node
                .as_array()?
                .iter()
                .find(|item| is_item(item, key, value))?,
        };
    }
    Some(node)
}

/// What `content` says about `changes`.
///
/// # Errors
/// When a change is not understood.
pub fn state(content: &Value, changes: &[FieldChange]) -> Result<State, Error> {
    let mut is_before = true;
    let mut other = Vec::new();
    for change in changes {
        let path = Path::parse(&change.path)?;
        let now = at(content, &path);
        let (from, to) = (
            value(change, change.from.as_ref())?,
            value(change, change.to.as_ref())?,
        );
        let names = path.segments().iter();
        let is_amount = names.into_iter().any(holds_amounts);
        is_before &= is_same(is_amount, now, from.as_ref());
        if !is_same(is_amount, now, to.as_ref()) {
            other.push(change.path.clone());
        }
    }
    Ok(match (is_before, other.is_empty()) {
        (_, true) => State::After,
        (true, false) => State::Before,
        (false, false) => State::Other(other),
    })
}

/// `content` with every field at its value afterwards.
///
/// # Errors
/// When a change is not understood, or has no place in the object.
pub fn apply(content: &Value, changes: &[FieldChange]) -> Result<Value, Error> {
    let mut content = content.clone();
    for change in changes {
        let path = Path::parse(&change.path)?;
        let to = value(change, change.to.as_ref())?;
        let placed = match to {
            Some(to) => set(&mut content, path.segments(), to),
            None => remove(&mut content, path.segments()),
        };
        placed.ok_or_else(|| Error::NoPlace(change.path.clone()))?;
    }
    Ok(content)
}

/// The merge patch (RFC 7396) that makes `before` into `after`.
pub fn merge_patch(before: &Value, after: &Value) -> Value {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else {
        return after.clone();
    };
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(same) if same == value => {}
            Some(other) => {
                patch.insert(key.clone(), merge_patch(other, value));
            }
            None => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

/// The JSON patch (RFC 6902) that makes `changes` of fields that are reached without
/// lists, of this object at this version, and only while each has its value before.
///
/// # Errors
/// When a change is not understood, or has another path.
pub fn json_patch(
    changes: &[FieldChange],
    uid: &str,
    resource_version: &str,
) -> Result<Value, Error> {
    let mut operations = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": uid}),
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": resource_version}),
    ];
    for change in changes {
        let mut pointer = String::new();
        for segment in Path::parse(&change.path)?.segments() {
            let Segment::Field(name) = segment else {
                return Err(Error::NoPlace(change.path.clone()));
            };
            pointer.push('/');
            pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        }
        let (from, to) = (
            value(change, change.from.as_ref())?,
            value(change, change.to.as_ref())?,
        );
        if let Some(from) = &from {
            operations.push(json!({"op": "test", "path": pointer, "value": from}));
        }
        operations.push(match to {
            Some(to) => json!({"op": "add", "path": pointer, "value": to}),
            None => json!({"op": "remove", "path": pointer}),
        });
    }
    Ok(Value::Array(operations))
}

/// The changes that take `changes` back; each is about another field, so their order may stay.
pub fn inverse(changes: &[FieldChange]) -> Vec<FieldChange> {
    changes.iter().map(FieldChange::inverse).collect()
}

/// One change of one field.
pub fn field(path: &Path, from: Option<&Value>, to: Option<&Value>) -> FieldChange {
    FieldChange {
        path: path.to_string(),
        from: from.map(ToString::to_string),
        to: to.map(ToString::to_string),
    }
}

fn value(change: &FieldChange, text: Option<&String>) -> Result<Option<Value>, Error> {
    let read = text.map(|text| serde_json::from_str(text)).transpose();
    read.map_err(|_| Error::Value(change.path.clone()))
}

/// The maps whose values are quantities.
const AMOUNTS: [&str; 2] = ["limits", "requests"];

fn holds_amounts(segment: &Segment) -> bool {
    matches!(segment, Segment::Field(name) if AMOUNTS.contains(&name.as_str()))
}

/// Whether two values mean the same. The API server rewrites quantities (`1024Mi`
/// becomes `1Gi`) and leaves out empty maps.
fn is_same(is_amount: bool, one: Option<&Value>, other: Option<&Value>) -> bool {
    let is_nothing = |value: Option<&Value>| {
        value.is_none_or(|value| value.is_null() || value.as_object().is_some_and(Map::is_empty))
    };
    if one == other || (is_nothing(one) && is_nothing(other)) {
        return true;
    }
    match (one, other) {
        (Some(Value::String(one)), Some(Value::String(other))) if is_amount => {
            quantity::parse(one).is_ok_and(|one| quantity::parse(other) == Ok(one))
        }
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
            names.into_iter().all(|name| {
                let is_amount = is_amount || AMOUNTS.contains(&name.as_str());
                is_same(is_amount, one.get(name), other.get(name))
            })
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len()
                && pairs.all(|(one, other)| is_same(is_amount, Some(one), Some(other)))
        }
        _ => false,
    }
}

fn compare(
    path: &Path,
    before: Option<&Value>,
    after: Option<&Value>,
    changes: &mut Vec<FieldChange>,
) {
    if before == after {
        return;
    }
    let empty = Map::new();
    let fields = |value: Option<&Value>| match value {
        None => Some(empty.clone()),
        Some(value) => value.as_object().cloned(),
    };
    let is_empty = |value: Option<&Value>| fields(value).is_some_and(|fields| fields.is_empty());
    if is_empty(before) && is_empty(after) {
        changes.push(field(path, before, after));
        return;
    }
    // A map that comes or goes is its fields, so that another's field beside them is left alone.
    if let (Some(old), Some(new)) = (fields(before), fields(after)) {
        let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        for name in names {
            compare(&path.field(name), old.get(name), new.get(name), changes);
        }
        return;
    }
    let lists = before
        .and_then(Value::as_array)
        .zip(after.and_then(Value::as_array));
    let key = lists.and_then(|(old, new)| list_key(path, old, new));
    match (lists, key) {
        (Some((old, new)), Some(key)) => compare_items(path, key, (old, new), changes),
        (None, _) | (_, None) => changes.push(field(path, before, after)),
    }
}

fn compare_items(
    path: &Path,
    key: &str,
    (old, new): (&[Value], &[Value]),
    changes: &mut Vec<FieldChange>,
) {
    let names = |items: &[Value]| -> Vec<String> {
        items.iter().filter_map(|item| name(item, key)).collect()
    };
    let (before, after) = (names(old), names(new));
    for (name, item) in before.iter().zip(old) {
        let path = path.item(key, name);
        match new.iter().find(|other| is_item(other, key, name)) {
            Some(other) => compare(&path, Some(item), Some(other), changes),
            None => changes.push(field(&path, Some(item), None)),
        }
    }
    for (name, item) in after.iter().zip(new) {
        if !before.contains(name) {
            changes.push(field(&path.item(key, name), None, Some(item)));
        }
    }
}

/// The field by which the items of two lists can be told apart, if there is one and
/// items come and go at the end.
fn list_key(path: &Path, old: &[Value], new: &[Value]) -> Option<&'static str> {
    let list = match path.segments().last()? {
        Segment::Field(name) => name.as_str(),
        Segment::Item { .. } => return None,
    };
    let keys: &[&'static str] = match list {
        "ports" => &["containerPort", "port"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "hostAliases" => &["ip"],
        "topologySpreadConstraints" => &["topologyKey"],
        "ownerReferences" => &["uid"],
        "conditions" => &["type"],
        _ => &["name"],
    };
    keys.iter().copied().find(|key| {
        let names = |items: &[Value]| -> Option<Vec<String>> {
            items.iter().map(|item| name(item, key)).collect()
        };
        let (Some(before), Some(after)) = (names(old), names(new)) else {
            return false;
        };
        let is_unique =
            |names: &[String]| names.iter().collect::<BTreeSet<_>>().len() == names.len();
        // What comes or goes does so at the end, so that taking it back gives the same order.
        let kept = before.iter().filter(|name| after.contains(name)).count();
        is_unique(&before)
            && is_unique(&after)
            && before.iter().take(kept).eq(after.iter().take(kept))
    })
}

/// The value of an item's key, as text.
fn name(item: &Value, key: &str) -> Option<String> {
    match item.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_item(item: &Value, key: &str, value: &str) -> bool {
    name(item, key).is_some_and(|name| name == value)
}

fn set(node: &mut Value, path: &[Segment], to: Value) -> Option<()> {
    let Some((segment, rest)) = path.split_first() else {
        *node = to;
        return Some(());
    };
    match segment {
        Segment::Field(name) => {
            if node.is_null() {
                *node = Value::Object(Map::new());
            }
            let slot = node.as_object_mut()?.entry(name.clone());
            set(slot.or_insert(Value::Null), rest, to)
        }
        Segment::Item { key, value } => {
            if node.is_null() {
                *node = Value::Array(Vec::new());
            }
            let items = node.as_array_mut()?;
            match items.iter_mut().find(|item| is_item(item, key, value)) {
                Some(item) => set(item, rest, to),
                None if rest.is_empty() && is_item(&to, key, value) => {
                    items.push(to);
                    Some(())
                }
                None => None,
            }
        }
    }
}

/// Removes a field; one that is not there is removed already.
fn remove(node: &mut Value, path: &[Segment]) -> Option<()> {
    let (segment, rest) = path.split_first()?;
    match (segment, rest.is_empty()) {
        (Segment::Field(name), true) => {
            if let Some(fields) = node.as_object_mut() {
                fields.remove(name);
            }
        }
        (Segment::Item { key, value }, true) => {
            if let Some(items) = node.as_array_mut() {
                items.retain(|item| !is_item(item, key, value));
            }
        }
        (Segment::Field(name), false) => {
            if let Some(inner) = node.get_mut(name) {
                remove(inner, rest)?;
            }
        }
        (Segment::Item { key, value }, false) => {
            let mut items = node.as_array_mut().into_iter().flatten();
            if let Some(inner) = items.find(|item| is_item(item, key, value)) {
                remove(inner, rest)?;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests;
