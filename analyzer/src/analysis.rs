//! The deterministic core: messages and policies in, alerts, actions,
//! observations and statuses out.
//!
//! In: object states, cluster events and scrapes, in the order of the cut: what
//! the collector had published before a scrape comes before it. Out: what
//! follows at each tick. The result depends on these messages, the policies
//! and the existing actions alone, so a replay gives what the live run gave;
//! the only clock is the tick.
//!
//! Pure: no IO, no clock.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use schemas::{
    action::HealingAction, advice::Advice, alert::Alert, cluster_event::ClusterEvent,
    object::ObjectState, observation::Observation, outcome::Lesson, policy::HealingPolicy,
    sample::Shard, target::Target,
};

use crate::{
    accepted::{self, Accepted, Bounds, accept},
    actions::{ActionName, Actions},
    inventory::Inventory,
    measure::Measured,
    recommend::Recommendation,
    scrapes::{NodesMessage, Scrape},
    sizing::{self, Sizing},
    told::{Told, TriggerKey},
    trigger::Episode,
    window::{Window, WindowConfig},
};

mod diagnostics;
mod evaluate;
mod inquiry;
mod notice;
mod observe;
mod recollect;
mod report;

use diagnostics::Diagnostics;
pub use inquiry::{Asked, ModelName};
pub use report::PolicyReport;

/// What does not change while the analyzer runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster's name.
    pub cluster: String,
    /// What bounds every policy.
    pub bounds: Bounds,
    /// How long a trigger outlives its data.
    pub lookback: SignedDuration,
    /// How long an object is known without being told of again.
    pub objects_span: SignedDuration,
    /// The most HealingActions of one policy that may be open.
    pub most_open: usize,
    /// The size of the windows.
    pub window: WindowConfig,
    /// Ticks before this one only fill the windows.
    pub evaluate_from: Timestamp,
    /// The models that may be asked.
    pub models: Vec<ModelName>,
}

/// One message.
#[derive(Clone, Debug)]
pub enum Input {
    /// The state of an object, and when the stream stored it.
    Object(Box<ObjectState>, Timestamp),
    /// A cluster event.
    Event(Box<ClusterEvent>),
    /// The nodes of a scrape. They are evaluated with its containers.
    Nodes(NodesMessage),
    /// All there is of a scrape. It is evaluated.
    Scrape(Scrape),
    /// What a model replied.
    Advice(Box<Advice>),
    /// What a finished action teaches.
    Lesson(Box<Lesson>),
}

/// What is known beside the streams.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The policies, as the API server holds them.
    pub policies: &'a [Arc<HealingPolicy>],
    /// The actions, as the API server holds them.
    pub actions: &'a [Arc<HealingAction>],
    /// What was told before.
    pub told: &'a Told,
    /// Whether the tick is the present. A tick of the past leads to alerts
    /// that may not have been published yet, and to nothing else.
    pub live: bool,
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Tell people.
    Alert(Box<Alert>),
    /// Create a HealingAction, and tell people once it is there.
    Propose(Box<Proposal>),
    /// Report on the target of an open action.
    Observe(ActionName, Box<Observation>),
    /// Ask a model about a case.
    Ask(Box<Asked>),
    /// What a policy's status says.
    Report(Box<PolicyReport>),
}

/// A HealingAction to create.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// Its name and spec.
    pub recommendation: Recommendation,
    /// What to tell people once it exists.
    pub alert: Alert,
}

/// What became of the samples of a scrape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows taken in.
    pub rows: u64,
    /// Shards of the past, and repeats.
    pub late: u64,
    /// Rows given up for lack of room.
    pub evicted: u64,
    /// Shards that could not be read, by reason.
    pub malformed: Vec<&'static str>,
    /// Shards that never came.
    pub missing: u64,
}

/// A trigger's episode on one object.
#[derive(Clone, Debug)]
struct Tracked {
    episode: Episode,
    target: Target,
    last: Option<Measured>,
    /// The last alert about it, from which its end can be told when the policy is gone.
    told: Option<Box<Alert>>,
}

#[derive(Debug)]
struct Compiled {
    generation: Option<i64>,
    outcome: Result<Accepted, accepted::Error>,
}

/// Everything that is known, and the rules by which outputs follow from it.
#[derive(Debug)]
pub struct Analysis {
    settings: Settings,
    window: Window,
    sizing: Sizing,
    inventory: Inventory,
    policies: BTreeMap<String, Compiled>,
    episodes: BTreeMap<TriggerKey, BTreeMap<String, Tracked>>,
    actions: Actions,
    diagnostics: Diagnostics,
    tally: Tally,
    /// Why nodes could not be read since the last scrape.
    malformed_nodes: Vec<&'static str>,
    evaluated_at: Option<Timestamp>,
}

impl Analysis {
    /// Knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            window: Window::new(settings.window),
            sizing: Sizing::default(),
            diagnostics: Diagnostics::new(settings.models.clone()),
            settings,
            inventory: Inventory::default(),
            policies: BTreeMap::new(),
            episodes: BTreeMap::new(),
            actions: Actions::default(),
            tally: Tally::default(),
            malformed_nodes: Vec::new(),
            evaluated_at: None,
        }
    }

    /// Takes in one message and returns what follows from it. Only a scrape leads to anything.
    pub fn step(&mut self, input: Input, view: &View<'_>) -> Vec<Output> {
        match input {
            Input::Object(state, told_at) => {
                self.take_object(*state, told_at);
                Vec::new()
            }
            Input::Event(event) => {
                self.window.append_events(&[*event]);
                Vec::new()
            }
            Input::Advice(advice) => {
                self.diagnostics.hear(*advice);
                Vec::new()
            }
            Input::Lesson(lesson) => {
                self.diagnostics.learn(*lesson);
                Vec::new()
            }
            Input::Nodes(nodes) => {
                match self.window.append_nodes(nodes.tick, &nodes.payload) {
                    Ok(_) => {}
                    Err(error) => self.malformed_nodes.push(error.reason()),
                }
                Vec::new()
            }
            Input::Scrape(scrape) => self.take_scrape(&scrape, view),
        }
    }

    fn take_object(&mut self, state: ObjectState, told_at: Timestamp) {
        if state.deleted && state.target.kind == "Pod" {
            self.window.forget_pod(&state.target.uid, state.observed_at);
        }
        self.inventory.apply(state, told_at);
    }

    fn take_scrape(&mut self, scrape: &Scrape, view: &View<'_>) -> Vec<Output> {
        let at = scrape.at;
        self.tally = Tally {
            missing: u64::from(scrape.missing()),
            malformed: std::mem::take(&mut self.malformed_nodes),
            ..Tally::default()
        };
        for (index, payload) in &scrape.shards {
            let shard = Shard {
                index: *index,
                count: scrape.count,
            };
            match self.window.append(at, shard, payload) {
                Ok(appended) => {
                    self.tally.rows += appended.rows as u64;
                    self.tally.late += u64::from(appended.late || appended.duplicate);
                    self.tally.evicted += appended.evicted as u64;
                }
                Err(error) => self.tally.malformed.push(error.reason()),
            }
        }
        self.window.advance(at);
        self.take_usage(at, view);
        for uid in self.inventory.expire(at, self.settings.objects_span) {
            self.window.forget_pod(&uid, at);
        }
        if at < self.settings.evaluate_from {
            return Vec::new();
        }
        self.evaluated_at = Some(at);
        self.evaluate(at, view)
    }

    /// Takes in what the containers used, where any policy asks for sizes.
    fn take_usage(&mut self, at: Timestamp, view: &View<'_>) {
        if !sizing::is_asked_for(view.policies) {
            self.sizing = Sizing::default();
            return;
        }
        let Self { window, sizing, .. } = self;
        window.each_usage(at, |usage| sizing.take(usage));
        sizing.advance(at);
    }

    /// What the policies' statuses say while no scrape comes, at `now` by the
    /// wall clock: without scrapes there is no other time.
    pub fn overdue(&mut self, policies: &[Arc<HealingPolicy>], now: Timestamp) -> Vec<Output> {
        self.refresh_policies(policies);
        let reports = policies.iter().filter_map(|policy| {
            let compiled = self.policies.get(policy.metadata.uid.as_ref()?)?;
            let report = match &compiled.outcome {
                Ok(_) => report::overdue(policy, self.evaluated_at, now),
                Err(error) => report::refused(policy, error, now),
            };
            Some(Output::Report(Box::new(report)))
        });
        reports.collect()
    }

    /// What became of the samples of the last scrape.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The tick that was evaluated last.
    pub const fn evaluated_at(&self) -> Option<Timestamp> {
        self.evaluated_at
    }

    /// How many rows, and objects, are held.
    pub fn held(&self) -> (usize, usize) {
        (self.window.rows(), self.inventory.len())
    }

    /// How far back the policies look and how long they hold, at most.
    pub fn span(&self) -> (SignedDuration, SignedDuration) {
        let compiled = self.policies.values();
        longest(compiled.filter_map(|compiled| Some(compiled.outcome.as_ref().ok()?.span())))
    }

    /// Reads the policies that are new or have changed, and drops those that are gone.
    fn refresh_policies(&mut self, policies: &[Arc<HealingPolicy>]) {
        let mut previous = std::mem::take(&mut self.policies);
        for policy in policies {
            let Some(uid) = policy.metadata.uid.clone() else {
                continue;
            };
            let generation = policy.metadata.generation;
            let kept = previous
                .remove(&uid)
                .filter(|compiled| compiled.generation == generation && generation.is_some());
            let compiled = kept.unwrap_or_else(|| Compiled {
                generation,
                outcome: accept(policy, &self.settings.bounds),
            });
            self.policies.insert(uid, compiled);
        }
    }
}

/// How far back the policies look and how long they hold, at most: what a
/// restart has to replay. Policies that are not accepted need nothing.
pub fn span_of(
    policies: &[Arc<HealingPolicy>],
    bounds: &Bounds,
) -> (SignedDuration, SignedDuration) {
    let accepted = policies
        .iter()
        .filter_map(|policy| accept(policy, bounds).ok());
    longest(accepted.map(|accepted| accepted.span()))
}

fn longest(
    spans: impl Iterator<Item = (SignedDuration, SignedDuration)>,
) -> (SignedDuration, SignedDuration) {
    spans.fold(
        (SignedDuration::ZERO, SignedDuration::ZERO),
        |(look, hold), (looks, holds)| (look.max(looks), hold.max(holds)),
    )
}

#[cfg(test)]
mod tests;
