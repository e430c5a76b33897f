//! How one trigger of a policy stands on an object, as the policy's status says it.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::policy::{
    ActiveTrigger, HealingPolicy, HealingPolicyStatus, NoData, Trigger, TriggerType,
};
use serde::Serialize;

use crate::span;

/// The states, what is nearest to an action first.
pub(super) const STATES: [&str; 6] = [
    "FIRED",
    "EVALUATING",
    "NO DATA",
    "PERHAPS NO DATA",
    "UNKNOWN",
    "QUIET",
];

/// How a trigger stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Standing {
    /// Name of the trigger.
    pub(crate) name: String,
    /// One of [`STATES`].
    pub(crate) state: String,
    /// Which object it stands so on.
    pub(crate) object: Option<String>,
    pub(crate) value: Option<f64>,
    pub(crate) threshold: Option<f64>,
    pub(crate) since: Option<Timestamp>,
    /// When it fires if nothing changes, or when it did.
    pub(crate) fires_at: Option<Timestamp>,
    /// Why no action follows, as the analyzer says.
    pub(crate) held: Option<String>,
    /// All of it in a sentence.
    pub(crate) told: String,
    /// When it fires, in words.
    pub(crate) asks: String,
}

/// How `trigger` of `policy` stands on the objects with these UIDs and names.
pub(super) fn standing(
    policy: &HealingPolicy,
    trigger: &Trigger,
    objects: &[(&str, &str)],
    now: Timestamp,
) -> Standing {
    let none = HealingPolicyStatus::default();
    let status = policy.status.as_ref().unwrap_or(&none);
    let mut standing = Standing {
        name: trigger.name.clone(),
        state: "QUIET".to_owned(),
        object: None,
        value: None,
        threshold: None,
        since: None,
        fires_at: None,
        held: None,
        told: String::new(),
        asks: asks(trigger),
    };
    let active = status.active_triggers.iter();
    let mut active = active.filter(|active| {
        let about = |(uid, _): &(&str, &str)| *uid == active.uid;
        active.trigger == trigger.name && objects.iter().any(about)
    });
    if let Some(active) = active.next() {
        fill(&mut standing, active, trigger, now);
        return standing;
    }
    (standing.state, standing.told) = idle(status, trigger, objects);
    standing
}

fn fill(standing: &mut Standing, active: &ActiveTrigger, trigger: &Trigger, now: Timestamp) {
    let fires_at = active.since.saturating_add(trigger.hold().get());
    let fires_at = active.fired_at.or(fires_at.ok());
    let numbers = active.value.zip(active.threshold);
    let numbers = numbers.map(|(value, threshold)| format!("{value:.1} against {threshold}, "));
    let ago = span::words(now.duration_since(active.since));
    let when = match (active.fired_at, fires_at) {
        (Some(fired), _) => format!("; it fired at {fired}"),
        (None, Some(at)) if at > now => {
            format!(
                "; it fires in {} if that lasts",
                span::words(at.duration_since(now))
            )
        }
        (None, Some(_) | None) => "; it fires at the next evaluation if that lasts".to_owned(),
    };
    let held = match (&active.held, active.fired_at) {
        (Some(held), _) => format!("; no action follows because {held}"),
        (None, Some(_)) => "; an action follows, or has followed".to_owned(),
        (None, None) => String::new(),
    };
    standing.told = format!(
        "{} on {}/{}: {}true for {ago}{when}{held}",
        active.state,
        active.kind,
        active.name,
        numbers.unwrap_or_default()
    );
    standing.state.clone_from(&active.state);
    standing.object = Some(format!("{}/{}", active.kind, active.name));
    standing.value = active.value;
    standing.threshold = active.threshold;
    standing.since = Some(active.since);
    standing.fires_at = fires_at;
    standing.held.clone_from(&active.held);
}

/// State and words of a trigger that is neither pending nor firing on the object, as far as the status tells.
fn idle(
    status: &HealingPolicyStatus,
    trigger: &Trigger,
    objects: &[(&str, &str)],
) -> (String, String) {
    let Some(at) = status.last_evaluated else {
        let told = "it was never evaluated".to_owned();
        return ("UNKNOWN".to_owned(), told);
    };
    let gaps = status.no_data.iter();
    let gaps: Vec<&NoData> = gaps.filter(|gap| gap.trigger == trigger.name).collect();
    let is_named = |gap: &&&NoData| objects.iter().any(|(_, name)| gap.example == *name);
    if let Some(gap) = gaps.iter().find(is_named) {
        let told = format!("there is no data: {}", gap.reason);
        return ("NO DATA".to_owned(), told);
    }
    let listed = u32::try_from(status.active_triggers.len()).unwrap_or(u32::MAX);
    if status.pending.saturating_add(status.firing) > listed {
        let told = "the status lists only the worst targets, and this is none of them".to_owned();
        return ("UNKNOWN".to_owned(), told);
    }
    // A gap of one target is that of its example.
    if let Some(gap) = gaps.iter().find(|gap| gap.targets > 1) {
        let told = format!(
            "its condition does not hold, or there is no data for it, as for {} of {} targets: {}",
            gap.targets, status.targets, gap.reason
        );
        return ("PERHAPS NO DATA".to_owned(), told);
    }
    let told = format!("its condition did not hold at {at}");
    ("QUIET".to_owned(), told)
}

/// What makes a trigger fire, in words.
fn asks(trigger: &Trigger) -> String {
    let hold = trigger.hold();
    let text = match trigger.kind {
        TriggerType::Metric => trigger
            .metric_trigger
            .as_ref()
            .map(|it| format!("{} {} {} for {hold}", it.query, it.operator, it.threshold)),
        TriggerType::Event => trigger.event_trigger.as_ref().map(|it| {
            format!(
                "{} Events with the reason {} within {}",
                it.count, it.reason, it.window
            )
        }),
        TriggerType::Condition => trigger.condition_trigger.as_ref().map(|it| {
            format!(
                "the condition {} is {} for {hold}",
                it.kind,
                it.status.as_str()
            )
        }),
        TriggerType::Predictive => trigger.predictive_trigger.as_ref().map(|it| {
            format!(
                "{} will be {} {} within {}, forecast for {hold}",
                it.query, it.operator, it.threshold, it.horizon
            )
        }),
    };
    text.unwrap_or_else(|| "the trigger lacks the block of its type".to_owned())
}
