//! The life of one trigger on one target: inactive → pending → firing → resolved.
//!
//! In: what an evaluation saw, at the event time of its tick. Out: the new
//! state, and what changed. The clock is the tick alone, as with Prometheus's
//! `for`: a condition is pending from the first tick that saw it hold, and
//! fires at the first tick that is `hold` later and still sees it.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};

/// What one evaluation saw of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The condition holds.
    Breaching,
    /// It does not.
    Well,
    /// The target exists, and nothing is known of it.
    NoData,
    /// The target does not exist any more, or is no target any more.
    Gone,
}

/// A trigger whose condition holds on a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episode {
    /// The first tick at which the condition was seen to hold. It names the episode.
    pub since: Timestamp,
    /// The tick at which the condition had held for the trigger's duration.
    pub fired_at: Option<Timestamp>,
    /// The last tick that had data.
    pub seen_at: Timestamp,
}

/// Why an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The condition is false again.
    Recovered,
    /// Nothing was known of the target for the whole lookback.
    NoData,
    /// The target does not exist any more.
    TargetGone,
}

impl Ending {
    /// The reason as alerts spell it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Recovered => "Recovered",
            Self::NoData => "NoData",
            Self::TargetGone => "TargetGone",
        }
    }
}

/// What changed at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The condition began to hold.
    Pending,
    /// It has held for the trigger's duration.
    Firing,
    /// The episode ended.
    Resolved(Ending),
}

/// The two durations that rule an episode.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long the condition must hold before the trigger fires.
    pub hold: SignedDuration,
    /// How long an episode outlives its data.
    pub lookback: SignedDuration,
}

/// Moves one trigger on one target to tick `at`.
///
/// While there is no data, an episode keeps its state: it neither fires, for
/// nobody saw the condition hold, nor resolves, for nobody saw it end, until
/// the lookback is over.
pub fn advance(
    episode: Option<Episode>,
    seen: Seen,
    at: Timestamp,
    pace: Pace,
) -> (Option<Episode>, Option<Transition>) {
    match (episode, seen) {
        (None, Seen::Breaching) => begin(at, pace),
        (None, Seen::Well | Seen::NoData | Seen::Gone) => (None, None),
        (Some(episode), Seen::Breaching) => hold(episode, at, pace),
        (Some(_), Seen::Well) => resolve(Ending::Recovered),
        (Some(_), Seen::Gone) => resolve(Ending::TargetGone),
        (Some(episode), Seen::NoData) => {
            if at.duration_since(episode.seen_at) >= pace.lookback {
                resolve(Ending::NoData)
            } else {
                (Some(episode), None)
            }
        }
    }
}

fn begin(at: Timestamp, pace: Pace) -> (Option<Episode>, Option<Transition>) {
    let fires = pace.hold <= SignedDuration::ZERO;
    let episode = Episode {
        since: at,
        fired_at: fires.then_some(at),
        seen_at: at,
    };
    let transition = if fires {
        Transition::Firing
    } else {
        Transition::Pending
    };
    (Some(episode), Some(transition))
}

fn hold(episode: Episode, at: Timestamp, pace: Pace) -> (Option<Episode>, Option<Transition>) {
    let fires = episode.fired_at.is_none() && at.duration_since(episode.since) >= pace.hold;
    let episode = Episode {
        fired_at: episode.fired_at.or(fires.then_some(at)),
        seen_at: at,
        ..episode
    };
    (Some(episode), fires.then_some(Transition::Firing))
}

const fn resolve(ending: Ending) -> (Option<Episode>, Option<Transition>) {
    (None, Some(Transition::Resolved(ending)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PACE: Pace = Pace {
        hold: SignedDuration::from_secs(120),
        lookback: SignedDuration::from_secs(60),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Every transition of a history of `seen` at `step` seconds.
    fn run(history: &[Seen], step: i64, pace: Pace) -> Vec<(i64, Transition)> {
        let mut episode = None;
        let mut transitions = Vec::new();
        for (second, seen) in (0..).step_by(usize::try_from(step).unwrap()).zip(history) {
            let (next, transition) = advance(episode, *seen, at(second), pace);
            episode = next;
            transitions.extend(transition.map(|transition| (second, transition)));
        }
        transitions
    }

    #[test]
    fn a_spike_shorter_than_the_duration_does_not_fire() {
        let history = [Seen::Well, Seen::Breaching, Seen::Well, Seen::Well];
        let ending = Transition::Resolved(Ending::Recovered);
        assert_eq!(
            run(&history, 10, PACE),
            [(10, Transition::Pending), (20, ending)]
        );
    }

    #[test]
    fn it_fires_at_the_first_tick_that_is_the_duration_later() {
        let history = [Seen::Breaching; 12];
        assert_eq!(
            run(&history, 15, PACE),
            [(0, Transition::Pending), (120, Transition::Firing)]
        );
    }

    #[test]
    fn without_a_duration_it_fires_at_once_and_is_never_pending() {
        let pace = Pace {
            hold: SignedDuration::ZERO,
            ..PACE
        };
        assert_eq!(
            run(&[Seen::Breaching; 3], 15, pace),
            [(0, Transition::Firing)]
        );
    }

    #[test]
    fn missing_data_neither_fires_nor_resolves_before_the_lookback_is_over() {
        let mut history = vec![Seen::Breaching; 8];
        history.extend([Seen::NoData; 3]);
        history.push(Seen::Breaching);
        assert_eq!(
            run(&history, 15, PACE),
            [(0, Transition::Pending), (165, Transition::Firing)]
        );
        history.extend([Seen::NoData; 5]);
        let resolved = run(&history, 15, PACE).pop();
        let ending = Transition::Resolved(Ending::NoData);
        assert_eq!(resolved, Some((165 + 60, ending)));
    }

    #[test]
    fn a_target_that_is_gone_resolves_at_once() {
        let ending = Transition::Resolved(Ending::TargetGone);
        let transitions = run(&[Seen::Breaching, Seen::Gone, Seen::Gone], 15, PACE);
        assert_eq!(transitions, [(0, Transition::Pending), (15, ending)]);
    }

    fn any_seen() -> impl Strategy<Value = Seen> {
        prop_oneof![
            5 => Just(Seen::Breaching),
            2 => Just(Seen::Well),
            1 => Just(Seen::NoData),
            1 => Just(Seen::Gone),
        ]
    }

    /// Whether the trigger is firing after `history`, told from the history as
    /// a whole: some stretch without an ending holds two breaches, the first
    /// and a later one, that lie the duration apart.
    fn naively_firing(history: &[Seen], step: i64, pace: Pace) -> bool {
        let mut start: Option<i64> = None;
        let mut data: Option<i64> = None;
        let mut fired = false;
        for (index, seen) in history.iter().enumerate() {
            let now = i64::try_from(index).unwrap() * step;
            let silent = data.map_or(0, |last| now - last);
            let over = match seen {
                Seen::Well | Seen::Gone => true,
                Seen::NoData => silent >= pace.lookback.as_secs(),
                Seen::Breaching => false,
            };
            if over {
                (start, data, fired) = (None, None, false);
            } else if *seen == Seen::Breaching {
                let first = *start.get_or_insert(now);
                data = Some(now);
                fired |= now - first >= pace.hold.as_secs();
            }
        }
        fired
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_naive_reading_of_the_whole_history(
            history in proptest::collection::vec(any_seen(), 0..60),
            step in 5_i64..40,
            hold in 0_i64..200,
            lookback in 1_i64..120,
        ) {
            let pace = Pace {
                hold: SignedDuration::from_secs(hold),
                lookback: SignedDuration::from_secs(lookback),
            };
            let mut episode = None;
            for (index, seen) in history.iter().enumerate() {
                let now = at(i64::try_from(index).unwrap() * step);
                (episode, _) = advance(episode, *seen, now, pace);
                let until = &history[..=index];
                let firing = episode.is_some_and(|episode| episode.fired_at.is_some());
                prop_assert_eq!(firing, naively_firing(until, step, pace));
            }
        }

        #[test]
        fn every_episode_that_begins_ends_before_the_next(
            history in proptest::collection::vec(any_seen(), 0..60),
        ) {
            let mut open = false;
            for (_, transition) in run(&history, 15, PACE) {
                match transition {
                    Transition::Pending => { prop_assert!(!open); open = true; }
                    Transition::Firing => prop_assert!(open),
                    Transition::Resolved(_) => { prop_assert!(open); open = false; }
                }
            }
        }
    }
}
