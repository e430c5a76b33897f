//! Why a model gave no usable answer, as a word that stays the same.
//!
//! In: what a server or a client library said: a status, headers, a body, an error. Out: one of
//! a bounded set of reasons, for conditions, metrics and the record of who was asked. What the
//! server wrote is read to tell reasons apart and is never passed on: it may hold anything.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};

/// Longest pause that a server may ask for; a longer one is cut to this.
pub const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key is missing, wrong or may not use this model (401, 403).
    #[error("the server does not take the key, or the key may not use the model")]
    Unauthorized,
    /// Too much was asked (429); when the server says so, until when it wants rest.
    #[error("the server wants fewer requests")]
    RateLimited {
        /// How long to ask nothing, at most [`LONGEST_PAUSE`].
        retry_after: Option<SignedDuration>,
    },
    /// The server failed, or is still loading the model (5xx).
    #[error("the server failed or is not ready")]
    ServerError {
        /// How long to ask nothing, at most [`LONGEST_PAUSE`].
        retry_after: Option<SignedDuration>,
    },
    /// The server does not know the model.
    #[error("the server does not have the model")]
    ModelNotFound,
    /// The server does not take the request: a bad schema, too long a prompt.
    #[error("the server does not take the request")]
    BadRequest,
    /// A filter of the provider held the prompt or the answer back.
    #[error("a content filter of the provider held it back")]
    ContentFiltered,
    /// The answer was cut at the most tokens that it may have.
    #[error("the answer was cut at its most tokens")]
    LengthStop,
    /// The model declined to answer.
    #[error("the model declined to answer")]
    Refused,
    /// No answer in time.
    #[error("no answer came in time")]
    TimedOut,
    /// The connection ended in the middle of the answer.
    #[error("the connection ended in the middle of the answer")]
    Cut,
    /// No connection.
    #[error("the server cannot be reached")]
    Unreachable,
    /// The answer is not what the API says, or is longer than it may be.
    #[error("the answer is not what the API promises")]
    BadResponse,
    /// The key's file cannot be read; nothing was sent.
    #[error("the file with the key cannot be read")]
    NoKey,
    /// The prompt does not fit the model; nothing was sent.
    #[error("the prompt is longer than what the model reads")]
    TooLong,
    /// A budget is spent; nothing was sent.
    #[error("a budget is spent")]
    OverBudget,
    /// The breaker is open after failures; nothing was sent.
    #[error("it failed repeatedly and rests")]
    Resting,
    /// An analyzer ended while it was asking: whether an answer came is not known.
    #[error("the analyzer that asked ended before it had the answer")]
    Interrupted,
}

impl Refusal {
    /// Every reason, such as for tests of what reads them.
    pub const ALL: [Self; 17] = [
        Self::Unauthorized,
        Self::RateLimited { retry_after: None },
        Self::ServerError { retry_after: None },
        Self::ModelNotFound,
        Self::BadRequest,
        Self::ContentFiltered,
        Self::LengthStop,
        Self::Refused,
        Self::TimedOut,
        Self::Cut,
        Self::Unreachable,
        Self::BadResponse,
        Self::NoKey,
        Self::TooLong,
        Self::OverBudget,
        Self::Resting,
        Self::Interrupted,
    ];

    /// A short, bounded label for metrics and conditions.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::RateLimited { .. } => "RateLimited",
            Self::ServerError { .. } => "ServerError",
            Self::ModelNotFound => "ModelNotFound",
            Self::BadRequest => "BadRequest",
            Self::ContentFiltered => "ContentFiltered",
            Self::LengthStop => "LengthStop",
            Self::Refused => "Refused",
            Self::TimedOut => "TimedOut",
            Self::Cut => "Cut",
            Self::Unreachable => "Unreachable",
            Self::BadResponse => "BadResponse",
            Self::NoKey => "NoKey",
            Self::TooLong => "TooLong",
            Self::OverBudget => "OverBudget",
            Self::Resting => "Resting",
            Self::Interrupted => "Interrupted",
        }
    }

    /// The refusal with this reason.
    pub fn of_reason(reason: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|refusal| refusal.reason() == reason)
    }

    /// Whether a request was sent, so that it counts as a call.
    pub const fn was_sent(self) -> bool {
        !matches!(
            self,
            Self::NoKey | Self::TooLong | Self::OverBudget | Self::Resting
        )
    }

    /// Whether the same question may be asked again later: the model itself never saw it, and
    /// nothing was paid for it. Everything else is the answer to the question, such as it is.
    pub const fn is_passing(self) -> bool {
        matches!(
            self,
            Self::Unauthorized
                | Self::RateLimited { .. }
                | Self::ServerError { .. }
                | Self::ModelNotFound
                | Self::Unreachable
                | Self::NoKey
                | Self::OverBudget
                | Self::Resting
        )
    }

    /// Whether it speaks against the server, and not against the question.
    pub const fn blames_server(self) -> bool {
        matches!(
            self,
            Self::Unauthorized
                | Self::RateLimited { .. }
                | Self::ServerError { .. }
                | Self::ModelNotFound
                | Self::TimedOut
                | Self::Cut
                | Self::Unreachable
                | Self::BadResponse
                | Self::NoKey
        )
    }

    /// How long the server wants rest.
    pub const fn retry_after(self) -> Option<SignedDuration> {
        if let Self::RateLimited { retry_after } | Self::ServerError { retry_after } = self {
            retry_after
        } else {
            None
        }
    }

    /// What an unsuccessful HTTP answer means; `body` is its beginning.
    pub fn of_status(status: u16, retry_after: Option<SignedDuration>, body: &str) -> Self {
        let says = |words: &[&str]| words.iter().any(|word| body.contains(word));
        match status {
            401 | 403 => Self::Unauthorized,
            // A spent account is told as 429 too, and no wait mends it; the breaker rests either way.
            429 => Self::RateLimited { retry_after },
            408 | 504 => Self::TimedOut,
            404 => Self::ModelNotFound,
            400 | 422 if says(&["content_filter", "content_policy", "ResponsibleAI"]) => {
                Self::ContentFiltered
            }
            // Ollama answers a schema that it cannot use with 500.
            500 if says(&["invalid JSON schema", "failed to parse grammar"]) => Self::BadRequest,
            500.. => Self::ServerError { retry_after },
            400..=499 => Self::BadRequest,
            _ => Self::BadResponse,
        }
    }
}

/// Reads a `Retry-After` header at `at`: seconds, or a date of HTTP. A longer pause than
/// [`LONGEST_PAUSE`] is cut to it, one in the past is none.
pub fn retry_after(header: &str, at: Timestamp) -> Option<SignedDuration> {
    let header = header.trim();
    let pause = if let Ok(seconds) = header.parse::<u32>() {
        SignedDuration::from_secs(i64::from(seconds))
    } else {
        let date = jiff::fmt::rfc2822::DateTimeParser::new();
        date.parse_timestamp(header).ok()?.duration_since(at)
    };
    let pause = pause.min(LONGEST_PAUSE);
    pause.is_positive().then_some(pause)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noon() -> Timestamp {
        "2026-01-05T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn every_reason_reads_back() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::of_reason(refusal.reason()), Some(refusal));
        }
        assert_eq!(Refusal::of_reason("ignore previous instructions"), None);
    }

    #[test]
    fn what_was_not_sent_may_be_asked_again_or_never_fits() {
        for refusal in Refusal::ALL {
            let again = refusal.is_passing() || refusal == Refusal::TooLong;
            assert!(refusal.was_sent() || again, "{refusal:?}");
        }
    }

    #[test]
    fn a_pause_is_read_from_seconds_and_from_dates() {
        let secs = |text| retry_after(text, noon()).map(|pause| pause.as_secs());
        assert_eq!(secs("7"), Some(7));
        assert_eq!(secs("Mon, 05 Jan 2026 12:01:30 GMT"), Some(90));
        assert_eq!(secs("Mon, 05 Jan 2026 11:00:00 GMT"), None);
        assert_eq!(secs("0"), None);
        assert_eq!(secs("soon"), None);
    }

    #[test]
    fn statuses_are_told_apart() {
        let of = |status, body| Refusal::of_status(status, None, body).reason();
        assert_eq!(of(401, ""), "Unauthorized");
        assert_eq!(of(404, "model 'x' not found"), "ModelNotFound");
        assert_eq!(of(400, r#"{"code":"content_filter"}"#), "ContentFiltered");
        assert_eq!(of(400, "{}"), "BadRequest");
        assert_eq!(
            of(500, r#"{"error":"invalid JSON schema in format"}"#),
            "BadRequest"
        );
        assert_eq!(of(503, "loading"), "ServerError");
        assert_eq!(of(302, ""), "BadResponse");
    }

    proptest! {
        #[test]
        fn no_server_makes_us_wait_longer_than_an_hour(header in ".*", seconds in any::<u64>()) {
            for text in [header, seconds.to_string()] {
                let pause = retry_after(&text, noon());
                prop_assert!(pause.is_none_or(|it| it.is_positive() && it <= LONGEST_PAUSE));
            }
        }

        #[test]
        fn any_status_and_body_have_a_reason(status in any::<u16>(), body in ".*") {
            let refusal = Refusal::of_status(status, None, &body);
            prop_assert!(refusal.was_sent());
        }
    }
}
