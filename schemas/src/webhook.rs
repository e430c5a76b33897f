//! What a policy's webhook is asked to do.
//!
//! In: an action whose remedy is a webhook. Out: the `data` of the event
//! that its receiver gets. The event's id is the action's UID, which the header
//! `Idempotency-Key` carries, too: a receiver that sees it twice has done it already.
//!
//! Pure: no IO, no clock.

use serde::{Deserialize, Serialize};

use crate::{action::TriggerReading, target::Target};

/// The type of the event.
pub const EVENT_TYPE: &str = "io.kubeskippy.action.requested.v1";

/// Header with the identity of the request: the action's UID.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Header with the instant of the request, in seconds since 1970.
pub const TIMESTAMP: &str = "kubeskippy-timestamp";

/// Header with `v1=` and the HMAC-SHA256, in lower-case hex, of the timestamp, a dot, and the body.
pub const SIGNATURE: &str = "kubeskippy-signature";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Which HealingAction asks.
    pub action: Named,
    /// Name of the policy's action.
    pub remedy: String,
    /// Whose action it is.
    pub policy: Named,
    /// What it is about.
    pub target: Target,
    /// What called for it; absent when a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerReading>,
    /// Identity of the planned change, to which an approval is bound.
    #[serde(default)]
    pub plan_digest: String,
}

/// An object of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}
