//! When a model that fails is left alone, and when it is tried again.
//!
//! In: what came of each call, and the time. Out: whether to call now. After some failures in a
//! row the breaker opens and nothing is sent; after a pause one call is let through (half-open):
//! it closes the breaker, or opens it for twice as long. A server that asks for rest with
//! `Retry-After` gets it at once. A breaker is of one configured model: one bad key or one missing
//! model says nothing about another model of the same server.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};

use super::refusal::{LONGEST_PAUSE, Refusal};

/// Failures in a row after which it opens. Two may be a restart of the server.
const MOST_FAILURES: u32 = 3;
/// The first pause; it doubles with each failed trial.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// The longest pause: an operator who has mended the server need not wait longer than this.
const LAST_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// Whether one model may be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    /// Pauses begun since the last success.
    pauses: u32,
    open_until: Option<Timestamp>,
    on_trial: bool,
}

/// What a breaker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls pass.
    Closed,
    /// No call passes until then.
    Open {
        /// The end of the pause.
        until: Timestamp,
    },
    /// One call is under way that decides.
    HalfOpen,
}

impl Breaker {
    /// The state at `at`; a pause that is over counts as half-open.
    pub fn state(&self, at: Timestamp) -> State {
        match self.open_until {
            None => State::Closed,
            Some(until) if at < until => State::Open { until },
            Some(_) => State::HalfOpen,
        }
    }

    /// Whether to call at `at`. In the half-open state one caller gets a yes.
    pub fn admit(&mut self, at: Timestamp) -> bool {
        match self.state(at) {
            State::Closed => true,
            State::Open { .. } => false,
            State::HalfOpen => !std::mem::replace(&mut self.on_trial, true),
        }
    }

    /// Takes in that a call that was admitted gave an answer, or one that is not the server's fault.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Takes in that a call that was admitted was not made after all.
    pub fn withdrew(&mut self) {
        self.on_trial = false;
    }

    /// Takes in that a call failed at `at`.
    pub fn failed(&mut self, refusal: Refusal, at: Timestamp) {
        if !refusal.blames_server() {
            self.succeeded();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let asked_for = refusal.retry_after().map(|asked| asked.min(LONGEST_PAUSE));
        if !self.on_trial && self.failures < MOST_FAILURES && asked_for.is_none() {
            return;
        }
        let own = if self.on_trial || self.failures >= MOST_FAILURES {
            let doubled = FIRST_PAUSE.checked_mul(1_i32.wrapping_shl(self.pauses.min(16)));
            self.pauses = self.pauses.saturating_add(1);
            doubled.unwrap_or(LAST_PAUSE).min(LAST_PAUSE)
        } else {
            SignedDuration::ZERO
        };
        let pause = asked_for.map_or(own, |asked| asked.max(own));
        let until = at.saturating_add(pause).unwrap_or(Timestamp::MAX);
        self.open_until = Some(self.open_until.map_or(until, |before| before.max(until)));
        self.on_trial = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_trial_decides() {
        let mut breaker = Breaker::default();
        for second in 0..3 {
            assert!(breaker.admit(at(second)));
            breaker.failed(Refusal::Unreachable, at(second));
        }
        assert_eq!(breaker.state(at(3)), State::Open { until: at(32) });
        assert!(!breaker.admit(at(31)));
        assert!(breaker.admit(at(32)), "one trial");
        assert!(!breaker.admit(at(33)), "and no second one");
        breaker.failed(Refusal::TimedOut, at(40));
        assert_eq!(
            breaker.state(at(41)),
            State::Open { until: at(100) },
            "twice as long"
        );
        assert!(breaker.admit(at(100)));
        breaker.succeeded();
        assert_eq!(breaker.state(at(101)), State::Closed);
    }

    #[test]
    fn a_server_that_asks_for_rest_gets_it_at_once() {
        let mut breaker = Breaker::default();
        let retry_after = Some(SignedDuration::from_secs(7));
        breaker.failed(Refusal::RateLimited { retry_after }, at(0));
        assert!(!breaker.admit(at(6)));
        assert!(breaker.admit(at(7)));
    }

    #[test]
    fn an_answer_that_the_question_is_to_blame_for_opens_nothing() {
        let mut breaker = Breaker::default();
        for second in 0..100 {
            breaker.failed(Refusal::ContentFiltered, at(second));
        }
        assert_eq!(breaker.state(at(100)), State::Closed);
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Ask,
        Succeed,
        Fail(Refusal),
    }

    fn events() -> impl Strategy<Value = Vec<(u16, Event)>> {
        let refusal =
            (0..Refusal::ALL.len(), proptest::option::of(1_i64..4000)).prop_map(|(n, secs)| {
                let retry_after = secs.map(SignedDuration::from_secs);
                let refusal = Refusal::ALL[n];
                if matches!(refusal, Refusal::RateLimited { .. }) {
                    Refusal::RateLimited { retry_after }
                } else {
                    refusal
                }
            });
        let event = prop_oneof![
            Just(Event::Ask),
            Just(Event::Succeed),
            refusal.prop_map(Event::Fail),
        ];
        proptest::collection::vec((0_u16..900, event), 0..60)
    }

    proptest! {
        #[test]
        fn an_open_breaker_lets_nothing_through_and_always_ends(events in events()) {
            let mut breaker = Breaker::default();
            let mut now = 0_i64;
            for (pause, event) in events {
                now += i64::from(pause);
                let before = breaker.state(at(now));
                match event {
                    Event::Ask => {
                        let yes = breaker.admit(at(now));
                        let open = matches!(before, State::Open { .. });
                        prop_assert!(!(open && yes));
                        if yes && before == State::HalfOpen {
                            prop_assert!(!breaker.admit(at(now)));
                        }
                    }
                    Event::Succeed => breaker.succeeded(),
                    Event::Fail(refusal) => breaker.failed(refusal, at(now)),
                }
                if let State::Open { until } = breaker.state(at(now)) {
                    prop_assert!(until.duration_since(at(now)) <= SignedDuration::from_hours(1));
                }
            }
        }
    }
}
