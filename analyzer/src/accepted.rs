//! A policy that makes sense, ready to be evaluated.
//!
//! In: a HealingPolicy as the API server holds it. Out: its queries parsed, its
//! patterns compiled, its scope and its ladder of actions; or the reason why
//! it is not accepted, in words that say what to write instead.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use schemas::{
    operator::Operator,
    policy::{
        Action, Ai, ConditionStatus, EventType, HealingPolicy, Mode, Severity, Trigger, TriggerType,
    },
};

use crate::{
    promql::{self, Query, Stretch, Trend},
    scope::{self, Scope},
};

/// A policy that makes sense.
#[derive(Debug)]
pub struct Accepted {
    /// UID of the policy.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The generation of the spec that this was made of.
    pub generation: Option<i64>,
    /// When the policy was created: what was before is none of its business.
    pub created_at: Option<Timestamp>,
    /// How far it goes by itself.
    pub mode: Mode,
    /// Which objects it selects.
    pub scope: Scope,
    /// What counts as trouble, in the policy's order.
    pub triggers: Vec<Watched>,
    /// What may be done, what is tried first standing first.
    pub ladder: Vec<Action>,
    /// How causes are found, and what they may decide.
    pub ai: Option<Ai>,
}

/// One trigger of a policy.
#[derive(Debug)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// How long a target rests after an action.
    pub cooldown: SignedDuration,
    /// How long the condition must hold before it fires.
    pub hold: SignedDuration,
    /// How the value is compared with the threshold.
    pub operator: Operator,
    /// What it is compared with.
    pub threshold: f64,
    /// Where the value comes from.
    pub source: Source,
}

/// Where the value of a trigger comes from.
#[derive(Debug)]
pub enum Source {
    /// A query over the samples.
    Metric {
        /// As the policy spells it.
        text: String,
        /// As it is evaluated.
        query: Box<Query>,
    },
    /// The trend of a metric, carried on.
    Trend {
        /// The metric.
        trend: Box<Trend>,
        /// How far back it is fitted, and how far it is carried on.
        stretch: Stretch,
        /// Least share of the variance that it must explain to be believed.
        confidence: f64,
    },
    /// Occurrences of Kubernetes Events within a span.
    Events {
        /// What the reason must match.
        reason: Regex,
        /// Which type; both without one.
        kind: Option<EventType>,
        /// The span in which they are counted.
        window: SignedDuration,
    },
    /// 1 while a condition has the status that means trouble, 0 otherwise.
    Condition {
        /// Type of the condition.
        kind: String,
        /// The status that means trouble.
        status: ConditionStatus,
    },
}

/// Why a policy is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The selector makes no sense, or reaches too far.
    #[error("the selector is not accepted")]
    Scope(#[source] scope::Error),
    /// A query does not parse, or asks for what cannot be evaluated.
    #[error("the query of trigger {trigger:?} is not accepted")]
    Query {
        /// Name of the trigger.
        trigger: String,
        /// What is wrong with it.
        source: promql::Error,
    },
    /// The pattern of an event trigger does not compile.
    #[error("the reason of trigger {trigger:?} is not a regular expression")]
    Pattern {
        /// Name of the trigger.
        trigger: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
    /// A trigger looks back further than the windows reach.
    #[error(
        "trigger {trigger:?} looks back {span}, further than the analyzer remembers ({limit}): shorten it, or raise the analyzer's --longest-window"
    )]
    TooLong {
        /// Name of the trigger.
        trigger: String,
        /// How far it looks back.
        span: schemas::duration::Duration,
        /// How far it may.
        limit: schemas::duration::Duration,
    },
    /// A trigger lacks the block that its type asks for.
    #[error("trigger {trigger:?} lacks the block of its type")]
    Incomplete {
        /// Name of the trigger.
        trigger: String,
    },
    /// The object did not come from an API server.
    #[error("the policy has no UID, namespace or name")]
    Unnamed,
}

impl Error {
    /// A short, bounded label for metrics and conditions.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Scope(source) => source.reason(),
            Self::Query { .. } => "InvalidQuery",
            Self::Pattern { .. } => "InvalidPattern",
            Self::TooLong { .. } => "WindowTooLong",
            Self::Incomplete { .. } => "InvalidTrigger",
            Self::Unnamed => "Unnamed",
        }
    }
}

/// What bounds every policy.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The one namespace whose policies may act in others.
    pub system_namespace: String,
    /// How far a trigger may look back.
    pub longest_window: schemas::duration::Duration,
}

/// Reads a policy, or says why it is not accepted.
///
/// # Errors
/// When the policy makes no sense or reaches beyond its bounds.
pub fn accept(policy: &HealingPolicy, bounds: &Bounds) -> Result<Accepted, Error> {
    let metadata = &policy.metadata;
    let (Some(uid), Some(namespace), Some(name)) =
        (&metadata.uid, &metadata.namespace, &metadata.name)
    else {
        return Err(Error::Unnamed);
    };
    let spec = &policy.spec;
    let scope =
        Scope::new(&spec.selector, namespace, &bounds.system_namespace).map_err(Error::Scope)?;
    let triggers = spec
        .triggers
        .iter()
        .map(|trigger| watch(trigger, bounds))
        .collect::<Result<_, _>>()?;
    Ok(Accepted {
        uid: uid.clone(),
        namespace: namespace.clone(),
        name: name.clone(),
        generation: metadata.generation,
        created_at: metadata.creation_timestamp.as_ref().map(|time| time.0),
        mode: spec.mode,
        scope,
        triggers,
        ladder: ladder(&spec.actions),
        ai: spec.ai.clone(),
    })
}

/// The actions of a policy, what is tried first standing first. Of two with the same priority, that is the one written first.
pub fn ladder(actions: &[Action]) -> Vec<Action> {
    let mut ladder = actions.to_vec();
    ladder.sort_by_key(|action| std::cmp::Reverse(action.priority));
    ladder
}

/// Whether an action of a policy is for a trigger.
pub fn answers(action: &Action, trigger: &str) -> bool {
    action.triggers.is_empty() || action.triggers.iter().any(|name| name == trigger)
}

fn watch(trigger: &Trigger, bounds: &Bounds) -> Result<Watched, Error> {
    let incomplete = || Error::Incomplete {
        trigger: trigger.name.clone(),
    };
    let (operator, threshold, source) = match trigger.kind {
        TriggerType::Metric => metric(trigger).ok_or_else(incomplete)??,
        TriggerType::Event => events(trigger).ok_or_else(incomplete)??,
        TriggerType::Condition => {
            let condition = trigger.condition_trigger.as_ref().ok_or_else(incomplete)?;
            let source = Source::Condition {
                kind: condition.kind.clone(),
                status: condition.status,
            };
            (Operator::AtLeast, 1.0, source)
        }
        TriggerType::Predictive => predictive(trigger).ok_or_else(incomplete)??,
    };
    let watched = Watched {
        name: trigger.name.clone(),
        severity: trigger.severity,
        cooldown: trigger.cooldown_period.get(),
        hold: trigger.hold().get(),
        operator,
        threshold,
        source,
    };
    within(watched, bounds)
}

fn within(watched: Watched, bounds: &Bounds) -> Result<Watched, Error> {
    let span = watched.source.span();
    if span <= bounds.longest_window.get() {
        return Ok(watched);
    }
    let seconds = u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
    Err(Error::TooLong {
        trigger: watched.name,
        span: schemas::duration::Duration::from_secs(seconds),
        limit: bounds.longest_window,
    })
}

type Compared = (Operator, f64, Source);

fn metric(trigger: &Trigger) -> Option<Result<Compared, Error>> {
    let metric = trigger.metric_trigger.as_ref()?;
    let query = Query::parse(&metric.query).map_err(|source| Error::Query {
        trigger: trigger.name.clone(),
        source,
    });
    Some(query.map(|query| {
        let source = Source::Metric {
            text: metric.query.clone(),
            query: Box::new(query),
        };
        (metric.operator, metric.threshold, source)
    }))
}

fn predictive(trigger: &Trigger) -> Option<Result<Compared, Error>> {
    let predictive = trigger.predictive_trigger.as_ref()?;
    let trend = Trend::parse(&predictive.query).map_err(|source| Error::Query {
        trigger: trigger.name.clone(),
        source,
    });
    Some(trend.map(|trend| {
        let source = Source::Trend {
            trend: Box::new(trend),
            stretch: Stretch {
                lookback: predictive.lookback.get(),
                horizon: predictive.horizon.get(),
            },
            confidence: predictive.min_confidence,
        };
        (predictive.operator, predictive.threshold, source)
    }))
}

fn events(trigger: &Trigger) -> Option<Result<Compared, Error>> {
    let events = trigger.event_trigger.as_ref()?;
    // The pattern must match all of the reason.
    let reason = Regex::new(&format!("^(?:{})$", events.reason)).map_err(|source| Error::Pattern {
        trigger: trigger.name.clone(),
        source: Box::new(source),
    });
    Some(reason.map(|reason| {
        let source = Source::Events {
            reason,
            kind: events.kind,
            window: events.window.get(),
        };
        (Operator::AtLeast, f64::from(events.count), source)
    }))
}

impl Source {
    /// How far back it looks.
    pub fn span(&self) -> SignedDuration {
        match self {
            Self::Metric { query, .. } => query.span(),
            Self::Trend { stretch, .. } => stretch.lookback,
            Self::Events { window, .. } => *window,
            Self::Condition { .. } => SignedDuration::ZERO,
        }
    }
}

impl Watched {
    /// What is measured, for people.
    pub fn subject(&self) -> String {
        match &self.source {
            Source::Metric { text, .. } => text.clone(),
            Source::Trend { trend, stretch, .. } => {
                format!("{} over {} s", trend.text(), stretch.lookback.as_secs())
            }
            Source::Events { reason, window, .. } => {
                let pattern = reason.as_str();
                let pattern = pattern.strip_prefix("^(?:").unwrap_or(pattern);
                let pattern = pattern.strip_suffix(")$").unwrap_or(pattern);
                format!("events {pattern} within {} s", window.as_secs())
            }
            Source::Condition { kind, status } => format!("{kind} {}", status.as_str()),
        }
    }
}

impl Accepted {
    /// The trigger of that name.
    pub fn trigger(&self, name: &str) -> Option<&Watched> {
        self.triggers.iter().find(|trigger| trigger.name == name)
    }

    /// The actions that answer a trigger, what is tried first standing first.
    pub fn rungs<'a>(&'a self, trigger: &'a str) -> impl Iterator<Item = &'a Action> {
        let ladder = self.ladder.iter();
        ladder.filter(move |action| answers(action, trigger))
    }

    /// How far back the policy's triggers look, and how long they hold, at most.
    pub fn span(&self) -> (SignedDuration, SignedDuration) {
        let looks = self.triggers.iter().map(|trigger| trigger.source.span());
        let holds = self.triggers.iter().map(|trigger| trigger.hold);
        (
            looks.max().unwrap_or_default(),
            holds.max().unwrap_or_default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bounds, policy};

    #[test]
    fn the_action_with_the_higher_priority_stands_first_and_equals_keep_their_order() {
        let policy = policy("p")
            .action("late", 10)
            .action("first", 90)
            .action("second", 50)
            .action("third", 50)
            .build();
        let accepted = accept(&policy, &bounds()).unwrap();
        let names: Vec<_> = accepted.rungs("high").map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["first", "second", "third", "late"]);
    }

    #[test]
    fn an_action_can_be_for_some_triggers_only() {
        let mut policy = policy("p").action("any", 10).action("other", 20).build();
        policy.spec.actions[1].triggers = vec!["other-trigger".to_owned()];
        let accepted = accept(&policy, &bounds()).unwrap();
        let names: Vec<_> = accepted.rungs("high").map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["any"]);
    }

    #[test]
    fn a_query_that_does_not_parse_is_refused_and_named() {
        let mut policy = policy("p").build();
        policy.spec.triggers[0]
            .metric_trigger
            .as_mut()
            .unwrap()
            .query = "sum(((".to_owned();
        let refused = accept(&policy, &bounds()).unwrap_err();
        assert_eq!(refused.reason(), "InvalidQuery");
        assert!(refused.to_string().contains("\"high\""));
    }

    #[test]
    fn an_events_pattern_must_match_all_of_the_reason() {
        let policy = policy("p").on_events("Back.*", 1).build();
        let accepted = accept(&policy, &bounds()).unwrap();
        let Source::Events { reason, .. } = &accepted.triggers[0].source else {
            panic!("not an event trigger");
        };
        assert!(reason.is_match("BackOff"));
        assert!(!reason.is_match("NoBackOff"));
    }

    #[test]
    fn a_trend_is_of_a_plain_metric_and_looks_back_its_lookback() {
        let policy = policy("p").predictive("memory_usage_percent", 95.0);
        let accepted = accept(&policy.build(), &bounds()).unwrap();
        assert_eq!(accepted.span().0, SignedDuration::from_mins(10));
        let refused = crate::testing::policy("p").predictive("rate(cpu_usage_cores[5m])", 95.0);
        let refused = accept(&refused.build(), &bounds()).unwrap_err();
        assert_eq!(refused.reason(), "InvalidQuery");
    }

    #[test]
    fn a_window_beyond_what_is_remembered_is_refused() {
        let mut policy = policy("p").on_events("BackOff", 1).build();
        let event = policy.spec.triggers[0].event_trigger.as_mut().unwrap();
        event.window = schemas::duration::Duration::from_mins(600);
        let refused = accept(&policy, &bounds()).unwrap_err();
        assert_eq!(refused.reason(), "WindowTooLong");
    }
}
