//! What a model replied about a case, as it is kept on the bus.
//!
//! One message per question and advisor, the last of which stays: a question
//! that was asked once is answered from here, also after a restart, until it
//! expires. The reply is kept as it came, and is reviewed anew by whoever uses
//! it: nothing in it is trusted.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What one advisor replied to one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Advice {
    /// Digest of the question: the structure of the case, the choices, the prompt's version, the model.
    pub question: String,
    /// The case about which it was asked first.
    pub case: String,
    /// UID of the policy on whose budget it was asked.
    pub policy_uid: String,
    /// The advisor's configured name.
    pub advisor: String,
    /// The model, as its server names it.
    pub model: String,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When the answer was there, or given up.
    pub answered_at: Timestamp,
    /// What came back.
    pub reply: Reply,
    /// Tokens of the prompt, as the server counts them.
    #[serde(default)]
    pub tokens_in: u32,
    /// Tokens of the reply.
    #[serde(default)]
    pub tokens_out: u32,
    /// What it cost, in the currency of the configured prices.
    #[serde(default)]
    pub cost: f64,
    /// Digest of the prompt as it was sent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prompt: String,
    /// What was masked before it was sent, by kind of secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub masked: BTreeMap<String, u32>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    /// The text of the reply, as it came, cut to 16 KiB.
    Text(String),
    /// Nothing usable: a CamelCase word from a bounded set, such as `TimedOut`.
    Failed(String),
}
