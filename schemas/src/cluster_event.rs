//! One Kubernetes Event, as it happened.
//!
//! The note is text that anybody who can create an Event may write: it is data
//! to count and to show, never instructions.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::target::Target;

/// One occurrence, or one update of a repeated occurrence, of a Kubernetes Event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterEvent {
    /// UID of the Event object; its updates share it.
    pub uid: String,
    /// What it is about.
    pub regarding: Target,
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Machine-readable reason, such as `BackOff`.
    pub reason: String,
    /// What is said, cut to 1,024 bytes. Written by whoever wrote the Event.
    pub note: String,
    /// The controller that reported it.
    pub reporter: String,
    /// When this occurrence was seen, by the Event's own clock.
    pub occurred_at: Timestamp,
    /// Occurrences so far, as the Event itself counts them: at least 1.
    pub count: u32,
    /// Occurrences since the last message about this Event: what a window adds up.
    pub increase: u32,
}
