//! Placeholders of a scenario: `${namespace}` and `${now}` in any text of it.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use serde_json::Value;

/// What the placeholders stand for.
#[derive(Clone, Debug)]
pub(crate) struct Fill<'a> {
    /// The scenario's namespace, for `${namespace}`.
    pub(crate) namespace: &'a str,
    /// This instant, for `${now}`.
    pub(crate) now: Timestamp,
}

impl Fill<'_> {
    /// A text with its placeholders filled.
    pub(crate) fn text(&self, text: &str) -> String {
        text.replace("${namespace}", self.namespace)
            // whole seconds: what reads it need not know of fractions
            .replace(
                "${now}",
                &self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            )
    }

    /// An object with the placeholders of all its texts filled, keys included.
    pub(crate) fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                let filled = fields.iter();
                let filled = filled.map(|(key, value)| (self.text(key), self.value(value)));
                Value::Object(filled.collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

/// The first placeholder that nothing stands for.
pub(crate) fn unknown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => unknown_in(text),
        Value::Array(items) => items.iter().find_map(unknown),
        Value::Object(fields) => fields
            .iter()
            .find_map(|(key, value)| unknown_in(key).or_else(|| unknown(value))),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// The first placeholder of a text that nothing stands for.
pub(crate) fn unknown_in(text: &str) -> Option<String> {
    text.split("${")
        .skip(1)
        .map(|rest| rest.split('}').next().unwrap_or_default())
        .find(|name| !["namespace", "now"].contains(name))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn placeholders_are_filled_wherever_they_stand() {
        let fill = Fill {
            namespace: "team-1",
            now: "2026-01-02T03:04:05.678Z".parse().unwrap(),
        };
        let given = json!({"${namespace}": ["a ${namespace} b", 1, null], "at": "${now}"});
        let filled = json!({"team-1": ["a team-1 b", 1, null], "at": "2026-01-02T03:04:05Z"});
        assert_eq!(fill.value(&given), filled);
    }

    #[test]
    fn an_unknown_placeholder_is_named() {
        assert_eq!(
            unknown(&json!({"a": ["${namespace}", "${nam}"]})),
            Some("nam".to_owned())
        );
        assert_eq!(unknown(&json!({"a": "${now}"})), None);
    }
}
