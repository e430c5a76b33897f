//! Which labels tell series apart.
//!
//! Pure: no IO, no clock.

use super::{error::Error, metric, plan::Keys, vector::LABELS};

/// The labels by name; a pod's UID goes with its name.
pub(super) fn keys_by<T: AsRef<str>>(labels: &[T]) -> Keys {
    let named = |name: &str| labels.iter().any(|label| label.as_ref() == name);
    let kept = |name: &&&str| named(name) || (**name == "pod_uid" && named("pod"));
    Keys(LABELS.iter().filter(kept).copied().collect())
}

/// The labels by name, each of which there must be.
pub(super) fn checked_keys_by(labels: &[String]) -> Result<Keys, Error> {
    for label in labels {
        metric::label(label)?;
    }
    Ok(keys_by(labels))
}

/// All labels but these. A label that no series has is left out of all of them anyhow.
pub(super) fn keys_without(labels: &[String]) -> Keys {
    let named = |name: &str| labels.iter().any(|label| label == name);
    let kept = |name: &&&str| !(named(name) || (**name == "pod_uid" && named("pod")));
    Keys(LABELS.iter().filter(kept).copied().collect())
}
