//! Why a decision was not written.

use super::standing::Settled;

/// Why a decision was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no cluster to ask.
    #[error("failed to connect to the cluster")]
    Connect(#[source] runtime::kube::Error),

    /// The API server refused, in its own words.
    #[error("failed to {what}: {answer}")]
    Refused {
        /// What was attempted.
        what: String,
        /// What the API server answered.
        answer: String,
    },

    /// The API server could not be asked.
    #[error("failed to {what}")]
    Unanswered {
        /// What was attempted.
        what: String,
        /// What went wrong.
        source: Box<kube::Error>,
    },

    /// The API server does not know the caller by a name.
    #[error("failed to learn your user name from the API server: log in as a user who has one")]
    Nobody,

    /// The policy has no such action.
    #[error("the policy has no action {wanted} for this trigger; it has: {others}")]
    NoSuchChoice {
        /// What was asked for.
        wanted: String,
        /// What there is.
        others: String,
    },

    /// The answer cannot be written as JSON.
    #[error("failed to write the answer as JSON")]
    Json(#[source] serde_json::Error),

    /// No such action.
    #[error(
        "there is no HealingAction {name} in the namespace {namespace}: kubeskippy waiting -A lists those that wait"
    )]
    NotFound {
        /// Its name.
        name: String,
        /// Where it was looked for.
        namespace: String,
    },

    /// The caller does not hold the verb.
    #[error(
        "{user} lacks the verb {verb} on healingactions in the namespace {namespace}: \
         ask for a RoleBinding to the ClusterRole kubeskippy-approver there"
    )]
    NotAllowed {
        /// Who.
        user: String,
        /// Which verb.
        verb: &'static str,
        /// Where.
        namespace: String,
    },

    /// Nobody said what the cause is.
    #[error(
        "{0} has no diagnosis to think of: a person created it, or its analyzer was an older one"
    )]
    NotDiagnosed(String),

    /// Another cause is named, and the diagnosis is to be useful all the same.
    #[error("a useful diagnosis named the cause itself: leave --cause out, or say wrong")]
    CauseOfUseful,

    /// There is nothing to decide.
    #[error("nothing to decide about {name}")]
    Settled {
        /// The action.
        name: String,
        /// Why.
        source: Settled,
    },

    /// The plan is another one than the one that was shown.
    #[error("{0} changed while you decided; nothing was written: look at it again and decide anew")]
    Changed(String),

    /// There is nobody to ask.
    #[error("there is no terminal to ask on; --yes says yes beforehand")]
    NoTerminal,

    /// The person said no.
    #[error("nothing was written")]
    Unconfirmed,

    /// The answer could not be read.
    #[error("failed to read your answer")]
    Answer(#[source] std::io::Error),

    /// Nothing could be shown.
    #[error("failed to print")]
    Print(#[source] std::io::Error),
}

impl Error {
    /// What became of asking the API server to do `what`.
    pub(crate) fn refused(what: impl Into<String>, error: kube::Error) -> Self {
        let what = what.into();
        #[expect(clippy::wildcard_enum_match_arm, reason = "kube may grow other errors")]
        match error {
            kube::Error::Api(status) => Self::Refused {
                what,
                answer: status.message.clone(),
            },
            other => Self::Unanswered {
                what,
                source: Box::new(other),
            },
        }
    }

    pub(crate) fn settled(name: &str, source: Settled) -> Self {
        Self::Settled {
            name: name.to_owned(),
            source,
        }
    }
}
