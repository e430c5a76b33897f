//! Everything that was seen so far, and a line for each change.
//!
//! In: facts with the time since the start. Out: the lines of the timeline, and
//! the state that the live block and the summary show.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemas::action::HealingAction;
use schemas::alert::{Alert, AlertKind};
use schemas::envelope::Envelope;
use schemas::policy::{ActiveTrigger, HealingPolicy};

use crate::fact::{Fact, PodView};
use crate::story::{Stage, Story};

/// The percentage above which the seed's policy calls memory high.
pub(crate) const HIGH: f64 = 85.0;

/// How often memory gets a line of its own.
const MEMORY_EVERY: Duration = Duration::from_secs(10);

/// What a line of the timeline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Demo,
    Pod,
    Memory,
    Trigger,
    Action,
    Guards,
    Alert,
}

impl About {
    /// The word at the line's head.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Pod => "pod",
            Self::Memory => "memory",
            Self::Trigger => "trigger",
            Self::Action => "action",
            Self::Guards => "guards",
            Self::Alert => "alert",
        }
    }
}

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) about: About,
    pub(crate) text: String,
}

fn line(about: About, text: String) -> Line {
    Line { about, text }
}

/// A trigger on a target, by policy, trigger and UID.
type TriggerKey = (String, String, String);

/// What is on stage.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// Pods by UID.
    pub(crate) pods: BTreeMap<String, PodView>,
    /// Triggers that are pending or firing.
    pub(crate) triggers: BTreeMap<TriggerKey, ActiveTrigger>,
    /// Actions by name.
    pub(crate) actions: BTreeMap<String, HealingAction>,
    /// The two stories.
    pub(crate) stories: [Story; 2],
    /// Name and app of the pods that were there when a story began, by UID.
    pub(crate) siblings: BTreeMap<String, String>,
    /// Policies as they were seen last.
    pub(crate) policies: BTreeMap<String, HealingPolicy>,
    /// Pods of which the kernel killed a container.
    pub(crate) killed: BTreeSet<String>,
    memory_said: Option<(Duration, String)>,
}

impl Scene {
    /// An empty stage for these stories.
    pub(crate) fn new(stories: [Story; 2]) -> Self {
        Self {
            pods: BTreeMap::new(),
            triggers: BTreeMap::new(),
            actions: BTreeMap::new(),
            stories,
            siblings: BTreeMap::new(),
            policies: BTreeMap::new(),
            killed: BTreeSet::new(),
            memory_said: None,
        }
    }

    /// Takes in one fact; answers with what is new.
    pub(crate) fn see(&mut self, fact: Fact, at: Duration) -> Vec<Line> {
        let mut lines = match fact {
            Fact::Pod(pod) => self.pod(pod, at),
            Fact::PodGone(uid) => self.pod_gone(&uid),
            Fact::Usage(usage) => self.usage(&usage, at),
            Fact::Policy(policy) => self.policy(*policy, at),
            Fact::Action(action) => self.action(*action, at),
            Fact::Alert(event) => self.alert(&event, at),
            Fact::Said(text) => vec![line(About::Demo, text)],
            Fact::Begun { app, victim } => {
                for (uid, pod) in &self.pods {
                    self.siblings.insert(uid.clone(), pod.name.clone());
                }
                let story = self.stories.iter_mut().find(|story| story.app == app);
                if let Some(story) = story {
                    story.victim = Some(victim);
                }
                Vec::new()
            }
            Fact::Tick | Fact::End => Vec::new(),
        };
        self.healed(at);
        lines.extend(self.memory(at));
        lines
    }

    fn pod(&mut self, mut pod: PodView, at: Duration) -> Vec<Line> {
        let before = self.pods.get(&pod.uid);
        pod.usage = before.and_then(|before| before.usage);
        let begun = pod.ready || pod.restarts > 0 || pod.trouble.is_some() || pod.terminating;
        let changed = match before {
            None => begun,
            Some(before) => before.state() != pod.state(),
        };
        let text = format!("{} {}", pod.name, pod.state());
        if pod.trouble.is_some() {
            for story in &mut self.stories {
                if story.is_about(&pod.uid) {
                    story.reach(Stage::Trouble, at);
                }
            }
        }
        if pod.out_of_memory {
            self.killed.insert(pod.name.clone());
        }
        self.pods.insert(pod.uid.clone(), pod);
        if changed {
            vec![line(About::Pod, text)]
        } else {
            Vec::new()
        }
    }

    fn pod_gone(&mut self, uid: &str) -> Vec<Line> {
        let gone = self.pods.remove(uid);
        gone.map(|pod| line(About::Pod, format!("{} is gone", pod.name)))
            .into_iter()
            .collect()
    }

    fn usage(&mut self, usage: &[(String, f64)], at: Duration) -> Vec<Line> {
        for (name, bytes) in usage {
            let Some(pod) = self.pods.values_mut().find(|pod| pod.name == *name) else {
                continue;
            };
            pod.usage = Some(*bytes);
            if pod.percent().is_some_and(|percent| percent > HIGH) {
                for story in &mut self.stories {
                    if story.is_about(&pod.uid) {
                        story.reach(Stage::Trouble, at);
                    }
                }
            }
        }
        Vec::new()
    }

    /// One line about memory, when it changed and some time has passed.
    fn memory(&mut self, at: Duration) -> Option<Line> {
        let due = self
            .memory_said
            .as_ref()
            .is_none_or(|(said, _)| at >= *said + MEMORY_EVERY);
        if !due {
            return None;
        }
        let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for pod in self.pods.values().filter(|pod| !pod.terminating) {
            if let Some(percent) = pod.percent() {
                let group = groups.entry(&pod.app).or_default();
                group.push(format!("{percent:.0} %"));
            }
        }
        let text = groups
            .into_iter()
            .map(|(app, percents)| format!("{app} {}", counted(percents)))
            .collect::<Vec<_>>()
            .join(" · ");
        let same = self
            .memory_said
            .as_ref()
            .is_some_and(|(_, said)| *said == text);
        if text.is_empty() || same {
            return None;
        }
        self.memory_said = Some((at, text.clone()));
        Some(line(About::Memory, text))
    }

    fn policy(&mut self, policy: HealingPolicy, at: Duration) -> Vec<Line> {
        let name = policy.metadata.name.clone().unwrap_or_default();
        let active = policy
            .status
            .as_ref()
            .map(|status| status.active_triggers.clone())
            .unwrap_or_default();
        let mut now = BTreeMap::new();
        for trigger in active {
            self.reach_trigger(&name, &trigger.uid, &trigger.state, at);
            let key = (name.clone(), trigger.trigger.clone(), trigger.uid.clone());
            now.insert(key, trigger);
        }
        let mut lines = Vec::new();
        for (key, trigger) in &now {
            let before = self.triggers.get(key);
            if before.is_none_or(|before| before.state != trigger.state) {
                lines.push(line(About::Trigger, said(trigger)));
            }
        }
        let of_this = |key: &TriggerKey| key.0 == name;
        for (key, trigger) in self.triggers.iter().filter(|(key, _)| of_this(key)) {
            if !now.contains_key(key) {
                let text = format!("{} on {}: resolved", trigger.trigger, trigger.name);
                lines.push(line(About::Trigger, text));
            }
        }
        self.triggers.retain(|key, _| !of_this(key));
        self.triggers.append(&mut now);
        self.policies.insert(name, policy);
        lines
    }

    fn reach_trigger(&mut self, policy: &str, uid: &str, state: &str, at: Duration) {
        for story in &mut self.stories {
            if story.policy == policy && story.is_about(uid) {
                story.reach(Stage::Detected, at);
                if state == "FIRED" {
                    story.reach(Stage::Fired, at);
                }
            }
        }
    }

    fn action(&mut self, action: HealingAction, at: Duration) -> Vec<Line> {
        let name = action.metadata.name.clone().unwrap_or_default();
        for story in &mut self.stories {
            story.see_action(&name, &action, at);
        }
        let lines = changes(&name, self.actions.get(&name), &action);
        self.actions.insert(name, action);
        lines
    }

    fn alert(&mut self, event: &Envelope<Alert>, at: Duration) -> Vec<Line> {
        let Alert {
            kind,
            policy,
            target,
            message,
            ..
        } = &event.data;
        match kind {
            AlertKind::TriggerPending => self.reach_trigger(policy, &target.uid, "EVALUATING", at),
            AlertKind::TriggerFiring => self.reach_trigger(policy, &target.uid, "FIRED", at),
            AlertKind::TriggerResolved
            | AlertKind::ActionProposed
            | AlertKind::ActionAwaitingApproval
            | AlertKind::ActionApproved
            | AlertKind::ActionDenied
            | AlertKind::ActionExecuting
            | AlertKind::ActionVerifying
            | AlertKind::ActionSucceeded
            | AlertKind::ActionFailed
            | AlertKind::ActionRolledBack
            | AlertKind::ActionCancelled
            | AlertKind::CaseOpened
            | AlertKind::CaseDiagnosed
            | AlertKind::CaseResolved
            | AlertKind::PolicyNeedsHuman
            | AlertKind::PolicyHealingDebt => {}
        }
        let text = format!("{} {}: {message}", event.kind, target.name);
        vec![line(About::Alert, text)]
    }

    /// Marks the stories whose victim is gone and replaced.
    fn healed(&mut self, at: Duration) {
        for story in &mut self.stories {
            if !story.marks.contains_key(&Stage::Executed) {
                continue;
            }
            let of_app = |pod: &&PodView| pod.app == story.app && !pod.terminating;
            let lives = self
                .pods
                .values()
                .filter(of_app)
                .any(|pod| story.is_about(&pod.uid));
            let replaced = self
                .pods
                .iter()
                .filter(|(_, pod)| of_app(pod))
                .any(|(uid, pod)| pod.ready && !self.siblings.contains_key(uid));
            if replaced && !lives {
                story.reach(Stage::Healed, at);
            }
        }
    }

    /// Whether both stories ended well.
    pub(crate) fn is_told(&self) -> bool {
        self.stories.iter().all(Story::is_told)
    }

    /// Why it cannot end well any more.
    pub(crate) fn failure(&self) -> Option<String> {
        self.stories.iter().find_map(|story| story.failure.clone())
    }

    /// Names of the pods that were there at the start, were no victims, and are not there now.
    pub(crate) fn lost_siblings(&self) -> Vec<String> {
        let is_victim = |uid: &str| self.stories.iter().any(|story| story.is_about(uid));
        self.siblings
            .iter()
            .filter(|(uid, _)| !is_victim(uid) && !self.pods.contains_key(*uid))
            .map(|(_, name)| name.clone())
            .collect()
    }
}

/// A value with a decimal where it has one.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Equal values once, with their number.
fn counted(mut values: Vec<String>) -> String {
    values.sort();
    let groups = values.chunk_by(|a, b| a == b);
    let text = groups.filter_map(|group| match group {
        [] => None,
        [one] => Some(one.clone()),
        [one, ..] => Some(format!("{} × {one}", group.len())),
    });
    text.collect::<Vec<_>>().join(", ")
}

/// A trigger's state in a line.
fn said(trigger: &ActiveTrigger) -> String {
    let value = match (trigger.value, trigger.threshold) {
        (Some(value), Some(threshold)) => format!(" at {}, threshold {threshold}", number(value)),
        (Some(value), None) => format!(" at {}", number(value)),
        (None, _) => String::new(),
    };
    let held = trigger
        .held
        .as_ref()
        .map(|held| format!("; no action: {held}"))
        .unwrap_or_default();
    format!(
        "{} on {}: {}{value}{held}",
        trigger.trigger, trigger.name, trigger.state
    )
}

/// What is new about an action.
fn changes(name: &str, before: Option<&HealingAction>, now: &HealingAction) -> Vec<Line> {
    let mut lines = Vec::new();
    let empty = schemas::action::HealingActionStatus::default();
    let status = now.status.as_ref().unwrap_or(&empty);
    let old = before
        .and_then(|before| before.status.as_ref())
        .unwrap_or(&empty);
    if before.is_none() {
        let target = &now.spec.target_resource;
        let reading = now.spec.trigger.as_ref().map(|it| it.reading.as_str());
        lines.push(line(
            About::Action,
            format!(
                "{name} created: {} {}/{}, because {}",
                now.spec.action.kind.as_str(),
                target.kind,
                target.name,
                reading.unwrap_or("a person asked for it"),
            ),
        ));
    }
    if status.verdicts != old.verdicts {
        lines.push(line(About::Guards, verdicts(status)));
    }
    if status.phase != old.phase {
        let message = status.message.as_deref().unwrap_or_default();
        let text = format!("{name} {}: {message}", status.phase);
        lines.push(line(About::Action, text));
    }
    lines
}

/// What the guards said, those that let pass by name only.
pub(crate) fn verdicts(status: &schemas::action::HealingActionStatus) -> String {
    let (allow, other): (Vec<_>, Vec<_>) = status
        .verdicts
        .iter()
        .partition(|verdict| verdict.verdict == "Allow");
    let mut parts: Vec<String> = other
        .iter()
        .map(|it| {
            let message = it.message.as_deref().unwrap_or_default();
            format!("{} {}: {message}", it.guard, it.verdict)
        })
        .collect();
    let names: Vec<_> = allow.iter().map(|it| it.guard.as_str()).collect();
    if !names.is_empty() {
        parts.push(format!("Allow by {}", names.join(", ")));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::stories;
    use crate::story::Victim;

    const AT: Duration = Duration::from_secs(1);

    fn pod(name: &str, app: &str) -> Fact {
        Fact::Pod(PodView {
            uid: format!("{name}-uid"),
            name: name.into(),
            app: app.into(),
            ready: true,
            ..PodView::default()
        })
    }

    fn policy(active: &serde_json::Value) -> Fact {
        let policy = serde_json::json!({
            "apiVersion": "kubeskippy.io/v1alpha1", "kind": "HealingPolicy",
            "metadata": {"name": "memory-leak-healing"},
            "spec": {"triggers": []},
            "status": {"activeTriggers": active},
        });
        Fact::Policy(Box::new(serde_json::from_value(policy).unwrap()))
    }

    fn begun() -> Scene {
        let mut scene = Scene::new(stories());
        for (name, app) in [("leaky-1", "leaky"), ("steady-1", "steady")] {
            scene.see(pod(name, app), AT);
        }
        let victim = Victim {
            name: "leaky-1".into(),
            uid: "leaky-1-uid".into(),
        };
        scene.see(
            Fact::Begun {
                app: "leaky",
                victim,
            },
            AT,
        );
        scene
    }

    #[test]
    fn a_victim_may_go_and_a_sibling_may_not() {
        let mut scene = begun();
        scene.see(Fact::PodGone("leaky-1-uid".into()), AT);
        assert!(scene.lost_siblings().is_empty());
        scene.see(Fact::PodGone("steady-1-uid".into()), AT);
        assert_eq!(scene.lost_siblings(), ["steady-1"]);
    }

    #[test]
    fn a_trigger_gets_a_line_per_change_of_state() {
        let mut scene = begun();
        let active = |state: &str| {
            serde_json::json!([{
                "trigger": "high-memory", "state": state, "kind": "Pod", "name": "leaky-1",
                "uid": "leaky-1-uid", "value": 86.0, "threshold": 85.0,
                "since": "2026-01-01T00:00:00Z",
            }])
        };
        let mut texts = Vec::new();
        for state in ["EVALUATING", "EVALUATING", "FIRED"] {
            texts.extend(scene.see(policy(&active(state)), AT));
        }
        texts.extend(scene.see(policy(&serde_json::json!([])), AT));
        let texts: Vec<_> = texts.into_iter().map(|line| line.text).collect();
        assert_eq!(
            texts,
            [
                "high-memory on leaky-1: EVALUATING at 86, threshold 85",
                "high-memory on leaky-1: FIRED at 86, threshold 85",
                "high-memory on leaky-1: resolved",
            ]
        );
        let [leak, crash] = &scene.stories;
        assert!(leak.marks.contains_key(&Stage::Fired) && crash.marks.is_empty());
    }

    #[test]
    fn equal_values_are_counted() {
        let values = ["19 %", "90 %", "19 %"].map(str::to_owned);
        assert_eq!(counted(values.into()), "2 × 19 %, 90 %");
    }
}
