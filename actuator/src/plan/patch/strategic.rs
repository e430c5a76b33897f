//! Strategic merge patch, as Kubernetes defines it for its built-in kinds.
//!
//! Objects are merged field by field; lists whose items have a merge key are
//! merged item by item; other lists are replaced. The directives `$patch`
//! (`replace`, `delete`), `$retainKeys` and `$deleteFromPrimitiveList/<field>`
//! are followed, `$setElementOrder/<field>` says nothing that changes a value;
//! any other is refused rather than guessed.
//!
//! Pure: no IO, no clock.

use serde_json::{Map, Value};

/// The key by which the items of a list are told apart, by the list's name.
const MERGE_KEYS: [(&str, &str); 12] = [
    ("containers", "name"),
    ("initContainers", "name"),
    ("ephemeralContainers", "name"),
    ("volumes", "name"),
    ("env", "name"),
    ("imagePullSecrets", "name"),
    ("ports", "containerPort"),
    ("volumeMounts", "mountPath"),
    ("volumeDevices", "devicePath"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
    ("ownerReferences", "uid"),
];

/// `target` with `patch` merged into it.
pub(super) fn merged(target: &Value, patch: &Value) -> Result<Value, String> {
    let Some(patch) = patch.as_object() else {
        return Err("a strategic patch is a map".to_owned());
    };
    object(target, patch)
}

fn object(target: &Value, patch: &Map<String, Value>) -> Result<Value, String> {
    let mut result = target.as_object().cloned().unwrap_or_default();
    match patch.get("$patch").map(Value::as_str) {
        None | Some(Some("merge")) => {}
        Some(Some("replace")) => result.clear(),
        Some(Some("delete")) => return Ok(Value::Null),
        Some(other) => return Err(format!("$patch: {other:?} is not known")),
    }
    for (name, value) in patch {
        match name.split_once('/') {
            _ if name == "$patch" || name == "$retainKeys" => {}
            Some(("$setElementOrder", _)) => {}
            Some(("$deleteFromPrimitiveList", list)) => drop_from(&mut result, list, value),
            _ if name.starts_with('$') => return Err(format!("{name} is not known")),
            _ => {
                let before = result.get(name).unwrap_or(&Value::Null);
                let merged = field(name, before, value)?;
                if merged.is_null() {
                    result.remove(name);
                } else {
                    result.insert(name.clone(), merged);
                }
            }
        }
    }
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
        result.retain(|name, _| kept.iter().any(|kept| kept == name.as_str()));
    }
    Ok(Value::Object(result))
}

fn field(name: &str, before: &Value, patch: &Value) -> Result<Value, String> {
    match patch {
        Value::Object(patch) => object(before, patch),
        Value::Array(items) => {
            let key = MERGE_KEYS.iter().find(|(list, _)| *list == name);
            match key {
                Some((_, key)) => list(before, items, key),
                None => Ok(patch.clone()),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(patch.clone()),
    }
}

fn list(before: &Value, patch: &[Value], key: &str) -> Result<Value, String> {
    let mut items = before.as_array().cloned().unwrap_or_default();
    for change in patch {
        let directive = change.get("$patch").and_then(Value::as_str);
        if directive == Some("replace") && change.get(key).is_none() {
            items.clear();
            continue;
        }
        let Some(fields) = change.as_object() else {
            return Err(format!(
                "an item of a list that is merged by {key} is a map"
            ));
        };
        let id = change
            .get(key)
            .ok_or_else(|| format!("an item of a list that is merged by {key} has no {key}"))?;
        let at = items.iter().position(|item| item.get(key) == Some(id));
        let old = at.and_then(|at| items.get(at)).unwrap_or(&Value::Null);
        match (object(old, fields)?, at) {
            (Value::Null, Some(at)) => {
                items.remove(at);
            }
            (Value::Null, None) => {}
            (item, Some(at)) => {
                if let Some(slot) = items.get_mut(at) {
                    *slot = item;
                }
            }
            (item, None) => items.push(item),
        }
    }
    Ok(Value::Array(items))
}

fn drop_from(result: &mut Map<String, Value>, list: &str, dropped: &Value) {
    let dropped = dropped.as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(items) = result.get_mut(list).and_then(Value::as_array_mut) {
        items.retain(|item| !dropped.contains(item));
    }
}
