//! Whether what is known of the cluster can be trusted to be its present state.
//!
//! A watch that is idle and a watch that is cut off look alike. So the API
//! server is asked at short intervals whether it answers, and a watch that
//! failed counts as broken until it tells something, or has not failed again
//! for longer than the longest pause between two attempts.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// The longest pause of kube's default back-off is 30 s, plus the attempt itself.
const QUIET: SignedDuration = SignedDuration::from_secs(35);
/// How old the last sign of health may be before scrapes would mislead.
const TOLERATED: SignedDuration = SignedDuration::from_secs(60);

/// The health of all watches.
#[derive(Debug)]
pub struct Staleness {
    broken: BTreeMap<String, (Timestamp, String)>,
    answers: bool,
    sound_at: Option<Timestamp>,
}

impl Default for Staleness {
    /// Healthy until something says otherwise.
    fn default() -> Self {
        Self {
            broken: BTreeMap::new(),
            answers: true,
            sound_at: None,
        }
    }
}

impl Staleness {
    /// A watch failed; whether that is news.
    pub fn broke(&mut self, watch: &str, why: &str, now: Timestamp) -> bool {
        let state = (now, why.to_owned());
        self.broken.insert(watch.to_owned(), state).is_none()
    }

    /// A watch told something; whether it was broken before.
    pub fn works(&mut self, watch: &str) -> bool {
        self.broken.remove(watch).is_some()
    }

    /// The API server answered, or did not.
    pub fn answers(&mut self, answers: bool) {
        self.answers = answers;
    }

    /// Looks at everything: what is wrong now, if anything is.
    pub fn check(&mut self, now: Timestamp) -> Result<(), String> {
        if !self.answers {
            return Err("the API server does not answer".to_owned());
        }
        self.broken
            .retain(|_, (at, _)| now.duration_since(*at) < QUIET);
        if let Some((watch, (_, why))) = self.broken.first_key_value() {
            return Err(format!("watch of {watch}: {why}"));
        }
        self.sound_at = Some(now);
        Ok(())
    }

    /// Whether the last sign of health is recent enough to tell the state as the present one.
    pub fn is_tolerable(&self, now: Timestamp) -> bool {
        self.sound_at
            .is_some_and(|at| now.duration_since(at) < TOLERATED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_broken_watch_is_tolerated_for_a_minute() {
        let mut staleness = Staleness::default();
        assert!(!staleness.is_tolerable(at(0)));
        staleness.check(at(0)).unwrap();
        for second in (10..100).step_by(10) {
            staleness.broke("pods", "refused", at(second));
            staleness.check(at(second)).unwrap_err();
            assert_eq!(staleness.is_tolerable(at(second)), second < 60, "{second}");
        }
        assert!(staleness.works("pods"));
        staleness.check(at(100)).unwrap();
        assert!(staleness.is_tolerable(at(100)));
    }

    #[test]
    fn an_idle_watch_heals_by_not_failing_again() {
        let mut staleness = Staleness::default();
        assert!(staleness.broke("nodes", "reset", at(0)));
        staleness.check(at(34)).unwrap_err();
        staleness.check(at(35)).unwrap();
    }

    #[test]
    fn a_silent_api_server_is_never_sound() {
        let mut staleness = Staleness::default();
        staleness.answers(false);
        staleness.check(at(1000)).unwrap_err();
        staleness.answers(true);
        staleness.check(at(1000)).unwrap();
    }
}
