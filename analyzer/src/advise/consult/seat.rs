//! One configured model: its client, whether it rests, and what people see of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use schemas::policy::AdvisorState;

use crate::advise::{
    breaker::{Breaker, State},
    budget::OverBudget,
    model,
    models::Model,
    refusal::Refusal,
};

/// A model that may be asked.
#[derive(Debug)]
pub(super) struct Seat {
    /// How it is configured.
    pub(super) config: Model,
    /// Its client.
    pub(super) client: Box<dyn model::Model>,
    health: Mutex<Health>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Health {
    breaker: Breaker,
    /// The last call, and what came of it.
    last: Option<(Timestamp, Option<Refusal>)>,
}

impl Seat {
    /// A model that was not asked yet.
    ///
    /// # Errors
    /// When its client cannot be set up.
    pub(super) fn new(config: Model) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: model::connect(&config)?,
            config,
            health: Mutex::default(),
        })
    }

    /// Whether it may be called at `at`. A yes is followed by [`Seat::note`] or [`Seat::withdraw`].
    pub(super) fn admits(&self, at: Timestamp) -> bool {
        self.lock().breaker.admit(at)
    }

    /// Notes that a call that was admitted was not made after all.
    pub(super) fn withdraw(&self) {
        self.lock().breaker.withdrew();
    }

    /// Notes what came of a call.
    pub(super) fn note(&self, refusal: Option<Refusal>, at: Timestamp) {
        let mut health = self.lock();
        match refusal {
            None => health.breaker.succeeded(),
            Some(refusal) => health.breaker.failed(refusal, at),
        }
        health.last = Some((at, refusal));
    }

    /// Whether it rests at `at`.
    pub(super) fn rests(&self, at: Timestamp) -> bool {
        matches!(self.lock().breaker.state(at), State::Open { .. })
    }

    /// What a policy's status says of it.
    pub(super) fn state(&self, over: Option<OverBudget>, at: Timestamp) -> AdvisorState {
        let Health { breaker, last } = *self.lock();
        let failure = last.and_then(|(when, refusal)| Some((when, refusal?)));
        let (state, message) = match (breaker.state(at), over, failure) {
            (State::Open { until }, _, failure) => {
                let why = failure.map_or_else(String::new, |(_, refusal)| format!("{refusal}; "));
                (
                    "Unavailable",
                    Some(format!("{why}it is asked again after {until:.0}")),
                )
            }
            (_, Some(over), _) => ("OverBudget", Some(over.to_string())),
            (_, None, Some((when, refusal))) if refusal.blames_server() => {
                ("Failing", Some(format!("{refusal}, at {when:.0}")))
            }
            (_, None, Some((when, refusal))) => (
                "Available",
                Some(format!(
                    "the last reply, at {when:.0}, was unusable: {refusal}"
                )),
            ),
            (_, None, None) => {
                let replied = |(when, _)| format!("the last reply came at {when:.0}");
                ("Available", last.map(replied))
            }
        };
        AdvisorState {
            name: self.config.name.clone(),
            state: state.to_owned(),
            message,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
