//! What was seen of one scenario: what KubeSkippy said and did, and when.
//!
//! In: facts from the API server and the bus, as they come. Out: the record
//! that the answers are read from. It knows nothing of the right ones.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::{
    action::{HealingAction, HealingActionStatus},
    advice::{Advice, Reply},
    alert::{Alert, AlertKind},
    policy::{CaseSummary, HealingPolicy, Remedy},
};

/// What the annotations of the simulation begin with. Nothing that is said may rest on them: they hold the answer.
const SIMULATION: &str = "sim.kubeskippy.io";

/// Everything that was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// When the first step of the failure was taken.
    pub(crate) injected_at: Option<Timestamp>,
    /// Triggers that fired: when it was told, the trigger, and `Kind/name` of the object.
    pub(crate) fired: Vec<Fired>,
    /// The cases, by identifier.
    pub(crate) cases: BTreeMap<String, CaseSeen>,
    /// The actions, by UID.
    pub(crate) actions: BTreeMap<String, ActionSeen>,
    /// What models replied.
    pub(crate) calls: Calls,
    /// Words of an answer that give away the simulation.
    pub(crate) leaks: Vec<String>,
}

/// A trigger that fired.
#[derive(Clone, Debug)]
pub(crate) struct Fired {
    pub(crate) at: Timestamp,
    pub(crate) trigger: String,
    pub(crate) object: String,
}

/// A case, as the statuses of policies told it.
#[derive(Clone, Debug)]
pub(crate) struct CaseSeen {
    /// Each time something else was said of it.
    pub(crate) said: Vec<(Timestamp, CaseSummary)>,
    /// Whether it is over.
    pub(crate) is_over: bool,
}

/// An action, as it was seen last.
#[derive(Clone, Debug)]
pub(crate) struct ActionSeen {
    /// When it was seen first.
    pub(crate) at: Timestamp,
    /// It, as it is now.
    pub(crate) action: HealingAction,
}

/// What asking models took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Calls.
    pub(crate) made: u32,
    /// Calls that brought nothing usable back.
    pub(crate) failed: u32,
    /// Tokens of the prompts.
    pub(crate) tokens_in: u64,
    /// Tokens of the replies.
    pub(crate) tokens_out: u64,
}

impl ActionSeen {
    /// Its status; of one that nobody has looked at, an empty one.
    pub(crate) fn status(&self) -> HealingActionStatus {
        self.action.status.clone().unwrap_or_default()
    }

    /// What it does.
    pub(crate) fn remedy(&self) -> Remedy {
        self.action.spec.action.kind
    }

    /// Its target as `Kind/name`.
    pub(crate) fn target(&self) -> String {
        let target = &self.action.spec.target_resource;
        format!("{}/{}", target.kind, target.name)
    }

    /// Whether it began to change something.
    pub(crate) fn changed_something(&self) -> bool {
        let spec = &self.action.spec;
        spec.action.kind != Remedy::Notify && !spec.dry_run && self.status().started_at.is_some()
    }

    /// The object that its diagnosis says the cause lies with.
    pub(crate) fn owner(&self) -> Option<String> {
        let diagnosis = self.action.spec.diagnosis.as_ref()?;
        let of_target = || self.status().owner.or_else(|| Some(self.target()));
        diagnosis.owner.clone().or_else(of_target)
    }
}

impl Seen {
    /// Takes in an alert; answers with a line for people when it is worth one.
    pub(crate) fn alert(&mut self, at: Timestamp, alert: &Alert) -> Option<String> {
        if alert.kind != AlertKind::TriggerFiring {
            return None;
        }
        let object = format!("{}/{}", alert.target.kind, alert.target.name);
        let is_first = !self
            .fired
            .iter()
            .any(|fired| fired.trigger == alert.trigger);
        let trigger = alert.trigger.clone();
        let line = is_first.then(|| format!("{trigger} fires on {object}"));
        self.fired.push(Fired {
            at,
            trigger,
            object,
        });
        line
    }

    /// Takes in a model's reply.
    pub(crate) fn advice(&mut self, advice: &Advice) -> String {
        let Calls {
            made,
            failed,
            tokens_in,
            tokens_out,
        } = &mut self.calls;
        *made += 1;
        *tokens_in += u64::from(advice.tokens_in);
        *tokens_out += u64::from(advice.tokens_out);
        match &advice.reply {
            Reply::Text(_) => format!("{} replied", advice.advisor),
            Reply::Failed(why) => {
                *failed += 1;
                format!("{} did not answer: {why}", advice.advisor)
            }
        }
    }

    /// Takes in the policies as they are; answers with what is new, for people.
    pub(crate) fn policies(&mut self, at: Timestamp, policies: &[HealingPolicy]) -> Vec<String> {
        let mut lines = Vec::new();
        let statuses = policies.iter().filter_map(|policy| policy.status.as_ref());
        let now: Vec<&CaseSummary> = statuses.flat_map(|status| &status.cases).collect();
        for (id, case) in &mut self.cases {
            case.is_over = !now.iter().any(|summary| summary.id == *id);
        }
        for summary in now {
            let case = self.cases.entry(summary.id.clone()).or_insert(CaseSeen {
                said: Vec::new(),
                is_over: false,
            });
            let before = case.said.last().map(|(_, before)| before);
            let same = |before: &CaseSummary| {
                before.failure_mode == summary.failure_mode
                    && before.owner == summary.owner
                    && before.held == summary.held
                    && before.affected == summary.affected
            };
            if before.is_some_and(same) {
                continue;
            }
            lines.push(spoken(summary));
            case.said.push((at, summary.clone()));
        }
        lines
    }

    /// Takes in the actions as they are; answers with what is new, for people.
    pub(crate) fn actions(&mut self, at: Timestamp, actions: Vec<HealingAction>) -> Vec<String> {
        let mut lines = Vec::new();
        for action in actions {
            let Some(uid) = action.metadata.uid.clone() else {
                continue;
            };
            let known = self.actions.get(&uid);
            let phase =
                |of: &HealingAction| of.status.as_ref().map(|it| (it.phase, it.reason.clone()));
            if known.map(|it| phase(&it.action)) != Some(phase(&action)) {
                lines.push(done(&action));
            }
            if known.is_none() {
                self.leaks.extend(leak(&action));
            }
            let at = known.map_or(at, |it| it.at);
            self.actions.insert(uid, ActionSeen { at, action });
        }
        lines
    }
}

/// Words of a diagnosis that give away the simulation.
fn leak(action: &HealingAction) -> Option<String> {
    let text = serde_json::to_string(&action.spec.diagnosis).ok()?;
    let (_, after) = text.split_once(SIMULATION)?;
    let word: String = after.chars().take(30).collect();
    Some(format!("{SIMULATION}{word}"))
}

fn spoken(summary: &CaseSummary) -> String {
    let CaseSummary {
        owner,
        failure_mode,
        affected,
        source,
        held,
        ..
    } = summary;
    let mode = failure_mode.as_deref().unwrap_or("no known cause");
    let others = match affected {
        0 => String::new(),
        others => format!(", {others} more affected"),
    };
    let held = held.as_ref().map(|why| format!("; held: {why}"));
    format!(
        "{mode} of {owner}{others}, says {source}{}",
        held.unwrap_or_default()
    )
}

fn done(action: &HealingAction) -> String {
    let spec = &action.spec;
    let target = &spec.target_resource;
    let status = action.status.clone().unwrap_or_default();
    let why = status.reason.map(|why| format!(" ({why})"));
    format!(
        "{} of {}/{}: {}{}",
        spec.action.kind.as_str(),
        target.kind,
        target.name,
        status.phase,
        why.unwrap_or_default()
    )
}
