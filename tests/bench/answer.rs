//! How long each HealingAction took.
//!
//! In: an action, the instant at which a watch showed it, the one at which the API
//! server received it, and when the stream stored each scrape. Out: the times in
//! between.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use schemas::action::HealingAction;

use crate::quantile::Sorted;
use crate::table::Table;
use crate::traffic::Scrapes;

/// The times of one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The scrape at which the trigger fired.
    tick: i64,
    /// From the tick to the storage of its first message: the collector's part.
    collected: Duration,
    /// From there to the action in a watch: what is measured.
    latency: Duration,
    /// From there to the API server's receipt of the request that created it.
    received: Option<Duration>,
    /// From the moment the pod was told to offend to the action. The metrics API
    /// and the wait for the next scrape are most of it.
    felt: Duration,
}

/// Name of the pod that an action is about.
pub(crate) fn offender(action: &HealingAction) -> Option<String> {
    let trigger = action.spec.trigger.as_ref()?;
    let target = &action.spec.target_resource.name;
    Some(trigger.offender_name.as_ref().unwrap_or(target).clone())
}

/// What the times are computed from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Instants {
    /// When each scrape was stored, by tick.
    pub(crate) scrapes: Scrapes,
    /// When each pod was told to offend, by name.
    pub(crate) begun: BTreeMap<String, Timestamp>,
    /// When the API server received each action, by name, as its audit log says.
    pub(crate) received: BTreeMap<String, Timestamp>,
}

/// The times of `action`, which a watch showed at `seen`; none when it names no
/// scrape that was stored, or a pod that was not told to offend.
pub(crate) fn of(action: &HealingAction, seen: Timestamp, instants: &Instants) -> Option<Answer> {
    let Instants {
        scrapes,
        begun,
        received,
    } = instants;
    let fired = action.spec.trigger.as_ref()?.fired_at;
    let tick = fired.as_millisecond();
    let stored = scrapes.get(&tick)?.first;
    let received = received.get(action.metadata.name.as_ref()?);
    Some(Answer {
        tick,
        collected: between(fired, stored),
        latency: between(stored, seen),
        received: received.map(|received| between(stored, *received)),
        felt: between(*begun.get(&offender(action)?)?, seen),
    })
}

/// Zero when `to` is before `from`.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// Quantiles of the three times.
pub(crate) fn table(pods: u32, offenders: usize, answers: &[Answer]) -> Table {
    let mut per_tick = BTreeMap::<i64, usize>::new();
    for answer in answers {
        *per_tick.entry(answer.tick).or_default() += 1;
    }
    let most = per_tick.values().max().copied().unwrap_or_default();
    let title = format!(
        "Latency in ms at {pods} pods (offenders {offenders}, HealingActions {}, ticks with any {}, most at one tick {most})",
        answers.len(),
        per_tick.len(),
    );
    let head = ["from → to", "p50", "p90", "p99", "max"];
    let mut table = Table::new(&title, &head);
    let mut row = |name: &str, time: fn(&Answer) -> Option<Duration>| {
        let sorted: Sorted = answers.iter().filter_map(time).collect();
        let quantiles = [0.5, 0.9, 0.99].map(|q| sorted.quantile(q));
        let cells = quantiles.into_iter().chain([sorted.max()]).map(millis);
        table.row(std::iter::once(name.to_owned()).chain(cells));
    };
    row("sample stored → HealingAction in a watch", |a| {
        Some(a.latency)
    });
    row("sample stored → API server received it", |a| a.received);
    row("tick → sample stored", |a| Some(a.collected));
    row("pod told to offend → HealingAction in a watch", |a| {
        Some(a.felt)
    });
    table
}

fn millis(time: Option<Duration>) -> String {
    time.map_or_else(
        || "–".to_owned(),
        |time| format!("{:.1}", time.as_secs_f64() * 1e3),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::Scrape;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    fn action(fired: i64) -> HealingAction {
        let spec = serde_json::from_value(serde_json::json!({
            "policyName": "memory",
            "targetResource": {"kind": "Pod", "name": "load-0-x"},
            "action": {"type": "restart"},
            "trigger": {
                "name": "watched", "reading": "93.8 > 85",
                "since": at(fired).to_string(), "firedAt": at(fired).to_string(),
            },
        }));
        HealingAction::new("a", spec.unwrap())
    }

    fn instants() -> Instants {
        let scrape = Scrape {
            first: at(15_020),
            last: at(15_030),
            messages: 2,
            bytes: 100,
        };
        Instants {
            scrapes: BTreeMap::from([(15_000, scrape)]),
            begun: BTreeMap::from([("load-0-x".to_owned(), at(1_000))]),
            received: BTreeMap::from([("a".to_owned(), at(15_220))]),
        }
    }

    #[test]
    fn the_clock_starts_at_the_first_stored_message() {
        let answer = of(&action(15_000), at(15_250), &instants()).unwrap();
        assert_eq!(answer.collected, Duration::from_millis(20));
        assert_eq!(answer.latency, Duration::from_millis(230));
        assert_eq!(answer.received, Some(Duration::from_millis(200)));
        assert_eq!(answer.felt, Duration::from_millis(14_250));
        let table = table(50, 1, &[answer]).to_string();
        assert!(
            table.contains("HealingActions 1, ticks with any 1"),
            "{table}"
        );
        assert!(table.contains("   230.0 |"), "{table}");
    }

    #[test]
    fn an_action_for_an_unknown_scrape_or_pod_is_no_answer() {
        assert_eq!(of(&action(30_000), at(30_250), &instants()), None);
        let nobody = Instants {
            begun: BTreeMap::new(),
            ..instants()
        };
        assert_eq!(of(&action(15_000), at(15_250), &nobody), None);
    }
}
