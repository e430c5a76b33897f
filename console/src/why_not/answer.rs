//! Why an object was not healed: everything that stands in the way, what counts first.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use actuator::{
    judge::{Place, protection},
    object::Object,
    pause::Pause,
};
use jiff::Timestamp;
use schemas::{action::HealingAction, policy::HealingPolicy};
use serde::Serialize;

use super::{
    acted::{Acted, acted},
    policy::{Watching, watching},
};
use crate::ask::Known;

/// What was read.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Kind of the object.
    pub(crate) kind: String,
    /// Its name.
    pub(crate) name: String,
    /// Its namespace; empty for one of the whole cluster.
    pub(crate) namespace: String,
    /// KubeSkippy's own namespace.
    pub(crate) system: String,
    /// The object.
    pub(crate) object: Known<Object>,
    /// Its owners, the nearest first.
    pub(crate) owners: Vec<Object>,
    /// Of a workload, the pods that it selects.
    pub(crate) pods: Known<Vec<Object>>,
    /// Labels and annotations of the namespace.
    pub(crate) marks: Known<BTreeMap<String, String>>,
    /// The kill switch.
    pub(crate) paused: Known<Pause>,
    /// The policies that could be read.
    pub(crate) policies: Vec<HealingPolicy>,
    /// The actions that could be read.
    pub(crate) actions: Vec<HealingAction>,
    /// What could not be read, and why.
    pub(crate) unknown: Vec<String>,
}

/// Why an object was not healed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    pub(crate) object: String,
    pub(crate) namespace: String,
    /// `there`, `gone` or `unknown`.
    pub(crate) now: String,
    pub(crate) owners: Vec<String>,
    /// The answer in one sentence.
    pub(crate) because: String,
    /// Why all healing is paused, when it is.
    pub(crate) paused: Option<String>,
    /// What keeps the object from ever being acted on, whatever the policy.
    pub(crate) protected: Option<String>,
    /// Every policy that could concern it, those that select it first.
    pub(crate) policies: Vec<Watching>,
    /// The actions on it, or on its owner, the newest first.
    pub(crate) actions: Vec<Acted>,
    /// What would have to be true for it to be healed.
    pub(crate) would_need: Vec<String>,
    pub(crate) unknown: Vec<String>,
}

impl Facts {
    /// The object and its owners.
    pub(crate) fn line(&self) -> impl Iterator<Item = &Object> {
        self.object.get().into_iter().chain(&self.owners)
    }

    /// `Kind/name`.
    pub(crate) fn title(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// Answers for the object of `facts`.
pub(crate) fn answer(facts: &Facts, now: Timestamp) -> Answer {
    let policies = facts.policies.iter();
    let mut policies: Vec<_> = policies
        .map(|policy| watching(facts, policy, now))
        .collect();
    policies.sort_by_key(|policy| (policy.through.is_empty(), policy.name.clone()));
    let actions = acted(facts);
    let paused = facts.paused.get().map(Pause::told);
    let protected = guarded(facts);
    let because = because(facts, (&paused, &protected), &policies, &actions);
    Answer {
        object: facts.title(),
        namespace: facts.namespace.clone(),
        now: facts.object.word().to_owned(),
        owners: facts.owners.iter().map(Object::title).collect(),
        would_need: would_need(facts, (&paused, &protected), &policies),
        unknown: unknown(facts),
        because,
        paused,
        protected,
        policies,
        actions,
    }
}

/// What protects the object whatever the policy says, as the actuator's own guard sees it.
fn guarded(facts: &Facts) -> Option<String> {
    let none = BTreeMap::new();
    let place = Place {
        namespace: &facts.namespace,
        marks: facts.marks.get().unwrap_or(&none),
        system: &facts.system,
    };
    protection(&place, facts.line(), &[]).map(|(_, message)| message)
}

/// The first thing in the way, in the order in which it counts.
fn because(
    facts: &Facts,
    (paused, protected): (&Option<String>, &Option<String>),
    policies: &[Watching],
    actions: &[Acted],
) -> String {
    let title = facts.title();
    if facts.object == Known::Gone && actions.is_empty() {
        return format!(
            "there is no {title} in {}, and no action about it",
            facts.namespace
        );
    }
    if let Some(why) = protected {
        return format!("{title} is protected: {why}");
    }
    if let Some(why) = paused {
        return format!("all healing is paused: {why}");
    }
    let watching: Vec<_> = policies.iter().filter(|p| !p.through.is_empty()).collect();
    if watching.is_empty() && facts.object.get().is_some() && actions.is_empty() {
        return format!("no policy selects {title}");
    }
    // What stands nearest to a change speaks first: an action, then a trigger, then a policy.
    if let Some(open) = actions.iter().find(|action| action.open || action.refused) {
        return open.told();
    }
    let states = watching.iter().flat_map(|policy| {
        let rank = |state: &str| {
            super::trigger::STATES
                .iter()
                .position(|known| *known == state)
        };
        policy
            .triggers
            .iter()
            .map(move |one| (rank(&one.state), policy, one))
    });
    let nearest = states.min_by_key(|(rank, ..)| rank.unwrap_or(usize::MAX));
    let obstacle = watching.iter().find_map(|policy| policy.obstacle.as_ref());
    match (obstacle, nearest) {
        (Some(obstacle), _) => obstacle.clone(),
        (None, Some((_, policy, trigger))) => {
            format!(
                "{}, trigger {}: {}",
                policy.name, trigger.name, trigger.told
            )
        }
        (None, None) => match actions.first() {
            Some(last) => last.told(),
            None => "nothing on record says why".to_owned(),
        },
    }
}

fn would_need(
    facts: &Facts,
    (paused, protected): (&Option<String>, &Option<String>),
    policies: &[Watching],
) -> Vec<String> {
    let mut needs = Vec::new();
    if let Some(why) = protected {
        needs.push(format!("it is not protected any more ({why})"));
    }
    if paused.is_some() {
        needs.push("somebody lets healing go on: kubeskippy resume".to_owned());
    }
    if policies.iter().all(|policy| policy.through.is_empty()) {
        if policies.is_empty() {
            let (namespace, kind) = (&facts.namespace, &facts.kind);
            needs.push(format!(
                "a HealingPolicy in {namespace} whose selector selects it (kind {kind}, or the pods of it)"
            ));
        }
        let misses = policies.iter().filter(|policy| !policy.misses.is_empty());
        needs.extend(
            misses
                .map(|policy| format!("{} selects it: {}", policy.name, policy.misses.join("; "))),
        );
        return needs;
    }
    for policy in policies.iter().filter(|policy| !policy.through.is_empty()) {
        needs.extend(policy.needs.iter().cloned());
        let triggers = policy.triggers.iter().filter(|one| one.state != "FIRED");
        needs.extend(
            triggers.map(|one| format!("{}, trigger {}: {}", policy.name, one.name, one.asks)),
        );
    }
    needs
}

fn unknown(facts: &Facts) -> Vec<String> {
    let mut unknown = facts.unknown.clone();
    let mut note = |what: &str, why: Option<&str>| {
        unknown.extend(why.map(|why| format!("{what}: {why}")));
    };
    note("the object", facts.object.unknown());
    note("its pods", facts.pods.unknown());
    note("the marks of its namespace", facts.marks.unknown());
    note("whether healing is paused", facts.paused.unknown());
    if facts.object == Known::Gone {
        unknown
            .push("which policies would select it: it is gone, and with it its labels".to_owned());
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::{NOW, waiting},
        why_not::text::text,
    };
    use actuator::object::api_resource;
    use jiff::SignedDuration;
    use schemas::{
        action::{GuardVerdict, Phase},
        policy::{ActiveTrigger, HealingPolicyStatus, NoData},
    };
    use serde_json::{Value, json};

    fn read(kind: &str, object: Value) -> Object {
        let kind = api_resource(kind).unwrap();
        Object::read(&kind, serde_json::from_value(object).unwrap())
    }

    fn pod() -> Object {
        let labels = json!({"app": "web"});
        let meta = json!({"name": "web-1", "namespace": "shop", "uid": "u", "labels": labels});
        read("Pod", json!({"metadata": meta}))
    }

    fn policy() -> HealingPolicy {
        let policy = json!({
            "metadata": {"name": "memory", "namespace": "shop", "uid": "p"},
            "spec": {
                "selector": {"labelSelector": {"matchLabels": {"app": "web"}}},
                "triggers": [{
                    "name": "high-memory", "type": "metric",
                    "metricTrigger": {"query": "memory_usage_percent", "threshold": 85.0},
                }],
                "actions": [{"name": "replace", "type": "restart"}],
            },
        });
        let mut policy: HealingPolicy = serde_json::from_value(policy).unwrap();
        policy.status = Some(HealingPolicyStatus {
            targets: 3,
            last_evaluated: Some(NOW - SignedDuration::from_secs(5)),
            ..HealingPolicyStatus::default()
        });
        policy
    }

    fn facts() -> Facts {
        Facts {
            kind: "Pod".to_owned(),
            name: "web-1".to_owned(),
            namespace: "shop".to_owned(),
            system: "system".to_owned(),
            object: Known::Is(pod()),
            owners: Vec::new(),
            pods: Known::Is(Vec::new()),
            marks: Known::Is(BTreeMap::new()),
            paused: Known::Gone,
            policies: vec![policy()],
            actions: Vec::new(),
            unknown: Vec::new(),
        }
    }

    fn active(facts: &mut Facts) -> &mut ActiveTrigger {
        let status = facts.policies[0].status.as_mut().unwrap();
        status.pending = 1;
        status.active_triggers = vec![ActiveTrigger {
            trigger: "high-memory".to_owned(),
            state: "EVALUATING".to_owned(),
            kind: "Pod".to_owned(),
            namespace: "shop".to_owned(),
            name: "web-1".to_owned(),
            uid: "u".to_owned(),
            value: Some(91.24),
            threshold: Some(85.0),
            since: NOW - SignedDuration::from_secs(20),
            fired_at: None,
            held: None,
        }];
        &mut status.active_triggers[0]
    }

    fn because(facts: &Facts) -> String {
        answer(facts, NOW).because
    }

    #[test]
    fn a_trigger_that_does_not_hold_is_told_with_what_it_asks() {
        let facts = facts();
        let told = because(&facts);
        assert!(
            told.starts_with("memory, trigger high-memory: its condition did not hold"),
            "{told}"
        );
        let needs = answer(&facts, NOW).would_need;
        assert_eq!(
            needs,
            ["memory, trigger high-memory: memory_usage_percent > 85 for 30s"]
        );
    }

    #[test]
    fn a_pending_trigger_tells_how_long_still_and_a_fired_one_what_holds_it() {
        let mut facts = facts();
        active(&mut facts);
        let told = because(&facts);
        assert!(
            told.contains("91.2 against 85, true for 20s; it fires in 10s"),
            "{told}"
        );
        let trigger = active(&mut facts);
        trigger.state = "FIRED".to_owned();
        trigger.fired_at = Some(NOW);
        trigger.held = Some("cooldown until tomorrow".to_owned());
        let told = because(&facts);
        assert!(
            told.contains("no action follows because cooldown until tomorrow"),
            "{told}"
        );
        // Of another pod.
        active(&mut facts).uid = "v".to_owned();
        let state = answer(&facts, NOW).policies[0].triggers[0].state.clone();
        assert_eq!(state, "QUIET");
    }

    #[test]
    fn missing_data_is_not_taken_for_health() {
        let mut facts = facts();
        let status = facts.policies[0].status.as_mut().unwrap();
        status.no_data = vec![NoData {
            trigger: "high-memory".to_owned(),
            targets: 2,
            example: "web-1".to_owned(),
            reason: "no memory limit is set".to_owned(),
        }];
        assert!(because(&facts).contains("there is no data: no memory limit is set"));
        facts.policies[0].status.as_mut().unwrap().no_data[0].example = "web-2".to_owned();
        let told = because(&facts);
        assert!(
            told.contains("or there is no data for it, as for 2 of 3 targets"),
            "{told}"
        );
    }

    #[test]
    fn an_action_speaks_with_the_guard_that_held_it() {
        let mut facts = facts();
        let mut action = waiting("memory-1");
        let status = action.status.as_mut().unwrap();
        status.phase = Phase::Denied;
        status.reason = Some("NeedsHuman".to_owned());
        status.verdicts = vec![GuardVerdict {
            guard: "strikes".to_owned(),
            verdict: "Deny".to_owned(),
            reason: Some("NeedsHuman".to_owned()),
            message: Some("the last 3 actions did not help".to_owned()),
            until: None,
        }];
        facts.actions = vec![action];
        assert_eq!(
            because(&facts),
            "the action memory-1 is Denied (NeedsHuman): the guard strikes said Deny, the last 3 actions did not help"
        );
        facts.name = "web-2".to_owned();
        assert!(answer(&facts, NOW).actions.is_empty());
    }

    #[test]
    fn marks_and_the_kill_switch_come_before_everything_else() {
        let mut facts = facts();
        active(&mut facts);
        facts.paused = Known::Is(Pause {
            reason: Some("incident 7".to_owned()),
            ..Pause::default()
        });
        assert_eq!(because(&facts), "all healing is paused: incident 7");
        let mark = ("kubeskippy.io/protected".to_owned(), "true".to_owned());
        facts.marks = Known::Is(BTreeMap::from([mark]));
        assert!(
            because(&facts).starts_with("Pod/web-1 is protected: the namespace shop is marked")
        );
    }

    #[test]
    fn an_object_that_no_policy_selects_learns_what_would_have_to_be_true() {
        let mut facts = facts();
        let mut object = pod();
        object.labels.clear();
        facts.object = Known::Is(object);
        let found = answer(&facts, NOW);
        assert_eq!(found.because, "no policy selects Pod/web-1");
        assert_eq!(
            found.would_need,
            ["memory selects it: the label app must be web, and is missing"]
        );
        facts.policies.clear();
        let needs = answer(&facts, NOW).would_need;
        assert!(needs[0].starts_with("a HealingPolicy in shop"), "{needs:?}");
    }

    #[test]
    fn a_policy_that_only_watches_or_is_not_evaluated_says_so() {
        let mut facts = facts();
        active(&mut facts);
        facts.policies[0].status.as_mut().unwrap().last_evaluated =
            Some(NOW - SignedDuration::from_mins(9));
        assert!(because(&facts).contains("its status may not be how things stand"));
        facts.policies[0].spec.mode = schemas::policy::Mode::Monitor;
        assert!(because(&facts).contains("only watches"));
        facts.object = Known::Gone;
        facts.policies.clear();
        assert!(because(&facts).starts_with("there is no Pod/web-1 in shop"));
    }

    #[test]
    fn a_workload_is_watched_through_its_pods() {
        let mut facts = facts();
        facts.kind = "Deployment".to_owned();
        facts.name = "web".to_owned();
        facts.object = Known::Is(read(
            "Deployment",
            json!({"metadata": {"name": "web", "namespace": "shop", "uid": "d"}}),
        ));
        facts.pods = Known::Is(vec![pod()]);
        active(&mut facts);
        let found = answer(&facts, NOW);
        assert_eq!(found.policies[0].through, ["Pod/web-1"]);
        assert!(
            found.because.contains("EVALUATING on Pod/web-1"),
            "{}",
            found.because
        );
        let shown = text(&found, NOW);
        assert!(
            shown.contains("memory (mode automatic, evaluated 5s ago), through Pod/web-1"),
            "{shown}"
        );
    }
}
