//! Values that are filled in from the case at hand.
//!
//! Only whole, parsed strings are filled in, and what is filled in stays within
//! its string: an object whose name holds quotes or braces changes nothing else.
//!
//! Pure: no IO, no clock.

use serde_json::Value;

use crate::snapshot::Snapshot;

/// The variables, for the message about one that is not known.
const KNOWN: &str = "target.name, target.namespace, target.kind, target.uid, trigger.name, trigger.value, trigger.threshold, action.name, policy.name";

/// `value` with every `{{ variable }}` of its strings filled in. Names of fields are left as they are.
pub(super) fn fill(value: Value, snapshot: &Snapshot) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => Value::String(text_of(&text, snapshot)?),
        Value::Array(items) => {
            let items = items.into_iter().map(|item| fill(item, snapshot));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(name, value)| Ok((name, fill(value, snapshot)?)));
            Value::Object(fields.collect::<Result<_, String>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    })
}

fn text_of(text: &str, snapshot: &Snapshot) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after
            .split_once("}}")
            .ok_or_else(|| format!("{text:?} opens {{{{ and does not close it"))?;
        filled.push_str(before);
        filled.push_str(&variable(name.trim(), snapshot)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn variable(name: &str, snapshot: &Snapshot) -> Result<String, String> {
    let action = &snapshot.action;
    let target = snapshot.target.as_ref().map(|target| &target.target);
    let trigger = action.spec.trigger.as_ref();
    let number = |value: Option<f64>| value.map(|value| value.to_string());
    let found = match name {
        "target.name" => target.map(|target| target.name.clone()),
        "target.namespace" => target.map(|target| target.namespace.clone()),
        "target.kind" => target.map(|target| target.kind.clone()),
        "target.uid" => target.map(|target| target.uid.clone()),
        "trigger.name" => trigger.map(|trigger| trigger.name.clone()),
        "trigger.value" => number(trigger.and_then(|trigger| trigger.value)),
        "trigger.threshold" => number(trigger.and_then(|trigger| trigger.threshold)),
        "action.name" => Some(action.name.clone()),
        "policy.name" => Some(action.spec.policy_name.clone()),
        _ => return Err(format!("{name:?} is none of {KNOWN}")),
    };
    found.ok_or_else(|| format!("{name} is not known here"))
}
