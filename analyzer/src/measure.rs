//! What a trigger's value is on each object, at a tick.
//!
//! In: a trigger, the windows and the inventory. Out: a value per object, or
//! why there is none. A pod's value is the worst of its containers, a
//! workload's the worst of its pods or what a query says of the owner itself.
//! Where nothing was measured there is no value, never a guess.
//!
//! Pure: no IO, no clock.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use schemas::{object::ObjectState, operator::Operator, policy::ConditionStatus};

use crate::{
    accepted::{Source, Watched},
    conditions,
    forecast::{self, Basis},
    inventory::Inventory,
    promql::{self, Owner, Vector},
    window::Window,
};

/// The value of a trigger on one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The value.
    pub value: f64,
    /// The container that speaks, where one does.
    pub container: Option<String>,
    /// The pod that speaks, for a workload.
    pub pod: Option<String>,
    /// Event time of what the value was made of.
    pub sampled_at: Timestamp,
    /// What kind of value it is.
    pub basis: Basis,
}

/// The value on an object, or why there is none.
pub type Value = Result<Measured, String>;

const NO_SAMPLE: &str = "no sample of it or of its pods is known";

/// The values of one trigger at one tick.
#[derive(Debug)]
pub struct Measurements<'a> {
    watched: &'a Watched,
    inventory: &'a Inventory,
    at: Timestamp,
    readings: Readings,
}

#[derive(Debug)]
enum Readings {
    Series {
        pods: BTreeMap<Arc<str>, promql::Reading>,
        owners: BTreeMap<Owner, promql::Reading>,
    },
    Trends(BTreeMap<Arc<str>, Value>),
    Counts(BTreeMap<String, u64>),
    /// `BackOff` events about each object within the last minute.
    Conditions(BTreeMap<String, u64>),
    /// The query cannot be evaluated.
    Failed(String),
}

/// Evaluates a trigger over the windows. A query that cannot be evaluated has no value anywhere.
pub fn measure<'a>(
    watched: &'a Watched,
    window: &Window,
    inventory: &'a Inventory,
    at: Timestamp,
) -> Measurements<'a> {
    let readings = match &watched.source {
        Source::Metric { query, .. } => match promql::evaluate(query, window, at) {
            Ok(vector) => series(&vector, watched.operator),
            Err(error) => Readings::Failed(error.to_string()),
        },
        Source::Trend { trend, stretch, .. } => match promql::fit(trend, window, at, *stretch) {
            Ok(fitted) => Readings::Trends(forecast::per_pod(watched, fitted)),
            Err(error) => Readings::Failed(error.to_string()),
        },
        Source::Events {
            reason,
            kind,
            window: span,
        } => Readings::Counts(promql::count_events(window, reason, *kind, *span, at)),
        Source::Condition { kind, .. } => {
            let backoffs = (kind == "CrashLoopBackOff")
                .then(|| Regex::new("BackOff").ok())
                .flatten()
                .map(|reason| {
                    let span = SignedDuration::from_mins(1);
                    promql::count_events(window, &reason, None, span, at)
                });
            Readings::Conditions(backoffs.unwrap_or_default())
        }
    };
    Measurements {
        watched,
        inventory,
        at,
        readings,
    }
}

fn series(vector: &Vector, operator: Operator) -> Readings {
    Readings::Series {
        pods: vector.per_pod(operator),
        owners: vector.per_owner(operator),
    }
}

impl Measurements<'_> {
    /// The value on one object.
    pub fn of(&self, state: &ObjectState) -> Value {
        match &self.readings {
            Readings::Series { pods, owners } => self.of_series(state, pods, owners),
            Readings::Trends(pods) => self.of_trends(state, pods),
            Readings::Counts(counts) => Ok(self.of_counts(state, counts)),
            Readings::Conditions(backoffs) => self.of_condition(state, backoffs),
            Readings::Failed(reason) => Err(reason.clone()),
        }
    }

    /// The trigger.
    pub const fn watched(&self) -> &Watched {
        self.watched
    }

    /// The tick.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Whether a value means trouble.
    pub fn breaches(&self, measured: &Measured) -> bool {
        self.watched
            .operator
            .breaches(measured.value, self.watched.threshold)
    }

    fn of_series(
        &self,
        state: &ObjectState,
        pods: &BTreeMap<Arc<str>, promql::Reading>,
        owners: &BTreeMap<Owner, promql::Reading>,
    ) -> Value {
        let own = pods.get(state.target.uid.as_str()).map(measured);
        if let Some(own) = own {
            return known(own);
        }
        if state.pod.is_some() {
            return Err(why_no_data(state, self.watched, pods.is_empty()));
        }
        let worst = self.worst(state, |pod| {
            let reading = pods.get(pod.target.uid.as_str())?;
            let mut of_pod = measured(reading);
            of_pod.pod = Some(pod.target.name.clone());
            Some(of_pod)
        });
        let owner = Owner {
            namespace: state.target.namespace.as_str().into(),
            kind: state.target.kind.as_str().into(),
            name: state.target.name.as_str().into(),
        };
        match worst.or_else(|| owners.get(&owner).map(measured)) {
            Some(found) => known(found),
            None => Err(NO_SAMPLE.to_owned()),
        }
    }

    fn of_trends(&self, state: &ObjectState, pods: &BTreeMap<Arc<str>, Value>) -> Value {
        let own = |pod: &ObjectState| pods.get(pod.target.uid.as_str());
        if state.pod.is_some() {
            let why = || why_no_data(state, self.watched, pods.is_empty());
            return own(state).cloned().unwrap_or_else(|| Err(why()));
        }
        let worst = self.worst(state, |pod| {
            let mut of_pod = own(pod)?.clone().ok()?;
            of_pod.pod = Some(pod.target.name.clone());
            Some(of_pod)
        });
        let of_pods = || self.inventory.pods_of(&state.target.uid);
        let why = || of_pods().find_map(|pod| own(pod)?.clone().err());
        worst.ok_or_else(|| why().unwrap_or_else(|| NO_SAMPLE.to_owned()))
    }

    fn of_counts(&self, state: &ObjectState, counts: &BTreeMap<String, u64>) -> Measured {
        let count = |uid: &str| counts.get(uid).copied().unwrap_or(0);
        // Kubelets put the name of their node where its UID belongs.
        let by_name = match state.target.kind.as_str() {
            "Node" => count(&state.target.name),
            _ => 0,
        };
        let own = self.exact(precise(count(&state.target.uid).saturating_add(by_name)));
        if state.pod.is_some() {
            return own;
        }
        let of_pods = self.worst(state, |pod| {
            let mut of_pod = self.exact(precise(count(&pod.target.uid)));
            of_pod.pod = Some(pod.target.name.clone());
            Some(of_pod)
        });
        match of_pods {
            Some(worst) if worst.value > own.value => worst,
            Some(_) | None => own,
        }
    }

    fn of_condition(&self, state: &ObjectState, backoffs: &BTreeMap<String, u64>) -> Value {
        let Source::Condition { kind, status } = &self.watched.source else {
            return Err("not a condition".to_owned());
        };
        let one = |state: &ObjectState| {
            let backoff = backoffs.contains_key(&state.target.uid).then_some(self.at);
            let known = conditions::condition(state, kind, backoff, self.at)?;
            let mut measured = self.exact(truth(known.status, *status));
            measured.container = known.container;
            Some(measured)
        };
        if let Some(own) = one(state) {
            return Ok(own);
        }
        let of_pods = self.worst(state, |pod| {
            let mut of_pod = one(pod)?;
            of_pod.pod = Some(pod.target.name.clone());
            Some(of_pod)
        });
        of_pods.ok_or_else(|| format!("it has no condition {kind}"))
    }

    /// The worst value among the pods of a workload.
    fn worst(
        &self,
        state: &ObjectState,
        of_pod: impl Fn(&ObjectState) -> Option<Measured>,
    ) -> Option<Measured> {
        if state.pod.is_some() {
            return None;
        }
        let larger = self.watched.operator.worse_is_larger();
        let pods = self.inventory.pods_of(&state.target.uid);
        pods.filter(|pod| !pod.terminating)
            .filter_map(of_pod)
            .reduce(|worst, next| {
                let is_worse = if larger {
                    next.value > worst.value
                } else {
                    next.value < worst.value
                };
                if is_worse { next } else { worst }
            })
    }

    fn exact(&self, value: f64) -> Measured {
        Measured {
            value,
            container: None,
            pod: None,
            sampled_at: self.at,
            basis: Basis::Measured,
        }
    }
}

fn measured(reading: &promql::Reading) -> Measured {
    let container = reading.labels.container.to_string();
    Measured {
        value: reading.value,
        container: (!container.is_empty()).then_some(container),
        pod: None,
        sampled_at: reading.sampled_at,
        basis: Basis::Measured,
    }
}

/// What is no number was not measured.
fn known(measured: Measured) -> Value {
    if measured.value.is_nan() {
        Err("its value is not a number".to_owned())
    } else {
        Ok(measured)
    }
}

/// Why a pod has no value, in words for a policy's status.
fn why_no_data(state: &ObjectState, watched: &Watched, no_pods_at_all: bool) -> String {
    let containers = || state.pod.iter().flat_map(|pod| &pod.containers);
    let text = match &watched.source {
        Source::Metric { text, .. } => text,
        Source::Trend { trend, .. } => trend.text(),
        Source::Events { .. } | Source::Condition { .. } => {
            return "nothing is known of it".to_owned();
        }
    };
    let unlimited_memory = containers().all(|one| one.resources.memory_limit_bytes.is_none());
    let unlimited_cpu = containers().all(|one| one.resources.cpu_limit_cores.is_none());
    if text.contains("memory_usage_percent") && unlimited_memory {
        return "no memory limit is set".to_owned();
    }
    if text.contains("cpu_usage_percent") && unlimited_cpu {
        return "no cpu limit is set".to_owned();
    }
    if no_pods_at_all {
        return "the query has no value for any pod".to_owned();
    }
    "no sample of it is known".to_owned()
}

const fn truth(is: ConditionStatus, wanted: ConditionStatus) -> f64 {
    if is as u8 == wanted as u8 { 1.0 } else { 0.0 }
}

/// A count as a number; beyond 2^32 the difference is of no interest.
fn precise(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
