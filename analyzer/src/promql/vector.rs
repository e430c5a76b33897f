//! The answer to a query: a value per series or group.
//!
//! Pure: no IO, no clock.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use jiff::Timestamp;
use polars::prelude::*;
use schemas::operator::Operator;

use crate::window::{SAMPLED_AT, VALUE};

/// The labels of an answer, each column of which holds numbers of texts.
pub(super) const LABELS: [&str; 9] = [
    "namespace",
    "pod",
    "pod_uid",
    "container",
    "node",
    "owner_kind",
    "owner_name",
    "qos",
    "resource",
];

/// A value per series or group, in the same order whatever order the samples came in.
#[derive(Clone, Debug)]
pub struct Vector {
    frame: DataFrame,
    texts: Arc<Vec<Arc<str>>>,
}

/// The labels of one value; empty where the query aggregated them away, as in Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name of the pod.
    pub pod: Arc<str>,
    /// UID of the pod: carried along with its name, never seen by a query.
    /// For `error_rate` of what is not a pod, the UID of that object.
    pub pod_uid: Arc<str>,
    /// Name of the container.
    pub container: Arc<str>,
    /// Name of the node.
    pub node: Arc<str>,
    /// Kind of the pod's top-most known owner.
    pub owner_kind: Arc<str>,
    /// Name of that owner.
    pub owner_name: Arc<str>,
    /// Quality-of-service class.
    pub qos: Arc<str>,
    /// `cpu` or `memory`, of limits and requests.
    pub resource: Arc<str>,
}

/// One value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Whose value it is.
    pub labels: Labels,
    /// The value; it may be no number.
    pub value: f64,
    /// When what it says was measured: of several samples that made it, the oldest of the newest.
    pub sampled_at: Timestamp,
}

/// What is read of one pod or owner: the worst of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Whose value it is; names the container that speaks.
    pub labels: Labels,
    /// The worst value.
    pub value: f64,
    /// When what it says was measured.
    pub sampled_at: Timestamp,
}

/// The owner of pods, as their labels name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Kind.
    pub kind: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl Vector {
    pub(super) fn new(frame: DataFrame, texts: Arc<Vec<Arc<str>>>) -> Self {
        Self { frame, texts }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.frame.height()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The columns: a number of a text per label, `value`, and `sampled_at` in milliseconds.
    pub fn frame(&self) -> &DataFrame {
        &self.frame
    }

    /// Every value with its labels.
    pub fn samples(&self) -> Vec<Sample> {
        let labels: Vec<Vec<u32>> = LABELS.iter().map(|name| self.numbers(name)).collect();
        let value = |row: usize| self.frame.column(VALUE).ok()?.f64().ok()?.get(row);
        let time = |row: usize| self.frame.column(SAMPLED_AT).ok()?.i64().ok()?.get(row);
        let text = |label: usize, row: usize| self.text(labels.get(label)?.get(row).copied()?);
        let sample = |row: usize| {
            Some(Sample {
                labels: Labels {
                    namespace: text(0, row)?,
                    pod: text(1, row)?,
                    pod_uid: text(2, row)?,
                    container: text(3, row)?,
                    node: text(4, row)?,
                    owner_kind: text(5, row)?,
                    owner_name: text(6, row)?,
                    qos: text(7, row)?,
                    resource: text(8, row)?,
                },
                value: value(row)?,
                sampled_at: Timestamp::from_millisecond(time(row)?).ok()?,
            })
        };
        (0..self.len()).filter_map(sample).collect()
    }

    /// What is read of each pod, by UID: the worst of its containers speaks for
    /// it. Empty when the query aggregated the pods away.
    pub fn per_pod(&self, operator: Operator) -> BTreeMap<Arc<str>, Reading> {
        let key =
            |labels: &Labels| (!labels.pod_uid.is_empty()).then(|| Arc::clone(&labels.pod_uid));
        self.worst(operator, key)
    }

    /// What is read of each owner: the worst of its values. For a query that
    /// says something of owners, such as `availability`.
    pub fn per_owner(&self, operator: Operator) -> BTreeMap<Owner, Reading> {
        self.worst(operator, |labels| {
            (!labels.owner_name.is_empty()).then(|| Owner {
                namespace: Arc::clone(&labels.namespace),
                kind: Arc::clone(&labels.owner_kind),
                name: Arc::clone(&labels.owner_name),
            })
        })
    }

    fn worst<K: Ord>(
        &self,
        operator: Operator,
        key: impl Fn(&Labels) -> Option<K>,
    ) -> BTreeMap<K, Reading> {
        let mut readings = BTreeMap::new();
        for Sample {
            labels,
            value,
            sampled_at,
        } in self.samples()
        {
            let Some(key) = key(&labels) else { continue };
            let reading = Reading {
                labels,
                value,
                sampled_at,
            };
            match readings.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(reading);
                }
                Entry::Occupied(mut entry) => {
                    if is_worse(&reading, entry.get(), operator) {
                        entry.insert(reading);
                    }
                }
            }
        }
        readings
    }

    fn numbers(&self, label: &str) -> Vec<u32> {
        let column = self
            .frame
            .column(label)
            .and_then(|column| column.u32().cloned());
        column.map_or_else(
            |_| Vec::new(),
            |column| column.into_no_null_iter().collect(),
        )
    }

    fn text(&self, number: u32) -> Option<Arc<str>> {
        self.texts.get(number as usize).map(Arc::clone)
    }
}

/// Whether `new` is worse than `old`. What is no number is never worse; of equals, the first stands.
fn is_worse(new: &Reading, old: &Reading, operator: Operator) -> bool {
    if old.value.is_nan() {
        return !new.value.is_nan();
    }
    if operator.worse_is_larger() {
        new.value > old.value
    } else {
        new.value < old.value
    }
}
