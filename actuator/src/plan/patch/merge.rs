//! JSON merge patch, RFC 7396.
//!
//! Pure: no IO, no clock.

use serde_json::Value;

/// `target` with `patch` merged into it: objects field by field, `null` removes, all else replaces.
pub(super) fn merged(target: &Value, patch: &Value) -> Value {
    let mut target = target.clone();
    json_patch::merge(&mut target, patch);
    target
}
