//! Which object: its kind, where it lives, and its UID.
//!
//! Pure: no IO, no clock.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One Kubernetes object, pinned by UID so that a replacement of the same name is another target.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Group and version, as in the object's `apiVersion`.
    pub api_version: String,
    /// Kind, as in the object's `kind`.
    pub kind: String,
    /// Namespace; empty for an object of the whole cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}
