//! What every model client does: one request, one bounded answer, or why there is none.
//!
//! In: a prompt, the schema that binds the reply, and bounds. Out: the text as it came, and the
//! tokens that were used. A client asks once and never retries: whether it is worth asking again
//! is not for a client to decide. Nothing here reads what the reply says; it is untrusted and goes
//! to `review`.

use std::{fmt, time::Duration};

use futures::future::BoxFuture;
use serde_json::Value;

use super::{models, refusal::Refusal};

/// Longest reply that is kept. A schema-bound reply has a tenth of it.
pub const LONGEST_REPLY: usize = 16 * 1024;

/// What is asked of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The model, as its server knows it.
    pub model: String,
    /// The instructions.
    pub system: String,
    /// The case.
    pub user: String,
    /// The JSON schema of the reply.
    pub schema: Value,
    /// Tokens that the model reads and writes at most, together.
    pub context_tokens: u32,
    /// Tokens that it writes at most.
    pub reply_tokens: u32,
    /// How much chance there is in the answer; none: as the server likes it.
    pub temperature: Option<f32>,
    /// Whether the reply is read as it is written.
    pub stream: bool,
}

/// What came of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The reply, or why there is none.
    pub reply: Result<String, Refusal>,
    /// Tokens of the prompt, when the server counts them.
    pub tokens_in: Option<u32>,
    /// Tokens of the reply, when the server counts them.
    pub tokens_out: Option<u32>,
}

impl Answer {
    /// No reply, and nothing known of tokens.
    pub const fn none(refusal: Refusal) -> Self {
        Self {
            reply: Err(refusal),
            tokens_in: None,
            tokens_out: None,
        }
    }
}

/// A model that can be asked.
pub trait Model: fmt::Debug + Send + Sync {
    /// Sends one request and reads its answer. Never retries.
    fn ask<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Answer>;
}

/// A client for a configured model.
///
/// # Errors
/// When the HTTP client cannot be set up, such as without any certificates.
pub fn connect(config: &models::Model) -> Result<Box<dyn Model>, reqwest::Error> {
    Ok(match config.provider {
        models::Provider::Ollama => Box::new(super::ollama::Ollama::new(config)?),
        models::Provider::OpenAi => Box::new(super::openai::OpenAi::new(config)?),
    })
}

/// Asks, and gives up after `timeout`, whatever the server does.
pub async fn ask_within(model: &dyn Model, request: &Request, timeout: Duration) -> Answer {
    tokio::time::timeout(timeout, model.ask(request))
        .await
        .unwrap_or(Answer::none(Refusal::TimedOut))
}

/// A reply as it comes in pieces.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    text: String,
    refused: bool,
    finish: Option<String>,
    /// Tokens of the prompt.
    pub(super) tokens_in: Option<u32>,
    /// Tokens of the reply.
    pub(super) tokens_out: Option<u32>,
}

impl Gathered {
    /// Takes in the next piece of text.
    ///
    /// # Errors
    /// When the reply is longer than it may be.
    pub(super) fn push(&mut self, text: &str) -> Result<(), Refusal> {
        if self.text.len().saturating_add(text.len()) > LONGEST_REPLY {
            return Err(Refusal::BadResponse);
        }
        self.text.push_str(text);
        Ok(())
    }

    /// Takes in that the model declines.
    pub(super) fn refuse(&mut self) {
        self.refused = true;
    }

    /// Takes in why the reply ends. An empty reason, as some servers send it, means a plain end.
    pub(super) fn end(&mut self, reason: &str) {
        let reason = if reason.is_empty() { "stop" } else { reason };
        self.finish = Some(reason.to_owned());
    }

    /// The answer, once nothing more comes.
    pub(super) fn answer(self) -> Answer {
        let Self {
            text,
            refused,
            finish,
            tokens_in,
            tokens_out,
        } = self;
        let reply = match finish.as_deref() {
            _ if refused => Err(Refusal::Refused),
            None => Err(Refusal::Cut),
            Some("length") => Err(Refusal::LengthStop),
            Some("content_filter") => Err(Refusal::ContentFiltered),
            Some(_) if text.trim().is_empty() => Err(Refusal::BadResponse),
            Some(_) => Ok(text),
        };
        Answer {
            reply,
            tokens_in,
            tokens_out,
        }
    }

    /// The answer when reading it failed; what was counted so far still counts.
    pub(super) fn failed(self, refusal: Refusal) -> Answer {
        Answer {
            reply: Err(refusal),
            tokens_in: self.tokens_in,
            tokens_out: self.tokens_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reply_without_an_end_is_cut_and_never_taken_for_whole() {
        let mut gathered = Gathered::default();
        gathered.push("{\"action\":").unwrap();
        assert_eq!(gathered.clone().answer().reply, Err(Refusal::Cut));
        gathered.end("length");
        assert_eq!(gathered.answer().reply, Err(Refusal::LengthStop));
    }

    #[test]
    fn a_refusal_counts_whatever_text_comes_with_it() {
        let mut gathered = Gathered::default();
        gathered.push("{}").unwrap();
        gathered.refuse();
        gathered.end("stop");
        assert_eq!(gathered.answer().reply, Err(Refusal::Refused));
    }

    proptest! {
        #[test]
        fn no_reply_is_longer_than_it_may_be(pieces in proptest::collection::vec(0_usize..9000, 0..8)) {
            let mut gathered = Gathered::default();
            for length in pieces {
                let _refused = gathered.push(&"x".repeat(length));
            }
            gathered.end("");
            if let Ok(text) = gathered.answer().reply {
                prop_assert!(text.len() <= LONGEST_REPLY && !text.is_empty());
            }
        }
    }
}
