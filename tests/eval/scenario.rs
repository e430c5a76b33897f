//! A scenario: what is there, what goes wrong, and what the right answers are.
//!
//! In: the text of a YAML file, as docs/scenarios.md describes it. Out: a
//! [`Scenario`], or why it is none, with its line. Nothing of `expect` ever
//! reaches a cluster.
//!
//! Pure: no IO, no clock.

use std::{collections::BTreeMap, fmt, marker::PhantomData, str::FromStr};

use schemas::{diagnosis::FailureMode, duration::Duration, policy::Remedy};
use serde::{
    Deserialize, Deserializer,
    de::{self, IntoDeserializer as _, SeqAccess, Visitor, value::StrDeserializer},
};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::pattern::Pattern;

mod sense;

pub(crate) use sense::{Senseless, kind_and_name};

/// A failure that is made, and what should come of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// Its name: that of the file, without `.yaml`.
    pub(crate) name: String,
    /// It, in a phrase.
    pub(crate) title: String,
    /// What happens and what helps, for people.
    pub(crate) about: String,
    /// Whether nothing else may run on the cluster meanwhile.
    #[serde(default)]
    pub(crate) alone: bool,
    /// Nodes of its own.
    #[serde(default)]
    pub(crate) nodes: Vec<Node>,
    /// The objects that are there, and well, before anything happens.
    #[serde(default)]
    pub(crate) given: Vec<Value>,
    /// What goes wrong, step by step.
    pub(crate) inject: Vec<Spanned<Step>>,
    /// The right answers.
    pub(crate) expect: Expect,
    /// How long after the first step the answers count.
    pub(crate) timeout: Duration,
    /// How long it is looked on after the last answer, for an action that should not come.
    #[serde(default = "ten_seconds")]
    pub(crate) watch: Duration,
}

/// A node of a scenario's own, named `<namespace>-<name>` and labelled `pool: <namespace>`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node {
    /// The last part of its name.
    pub(crate) name: String,
    /// Its cores.
    pub(crate) cpu: String,
    /// Its memory.
    pub(crate) memory: String,
    /// Its taints; left out: `pool=<namespace>:NoSchedule`, so that nobody else's pods land on it.
    pub(crate) taints: Option<Vec<Value>>,
}

/// One step of what goes wrong: when, and one thing that is done.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// How long after the step before.
    pub(crate) after: Option<Duration>,
    /// The state that is waited for first.
    pub(crate) when: Option<When>,
    /// Creates objects, or changes them.
    pub(crate) apply: Option<Vec<Value>>,
    /// Changes an object by a patch.
    pub(crate) patch: Option<Patch>,
    /// Sets annotations, by which the simulation makes pods fail.
    pub(crate) annotate: Option<Annotate>,
    /// Sets the number of replicas.
    pub(crate) scale: Option<Scale>,
    /// Deletes an object.
    pub(crate) delete: Option<Delete>,
    /// Makes a node of the scenario's fail, or come back.
    pub(crate) node: Option<NodeState>,
    /// Writes an Event.
    pub(crate) event: Option<Event>,
}

/// A state that is waited for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    /// The object.
    #[serde(deserialize_with = "parsed")]
    pub(crate) object: Pattern,
    /// Where in it: a JSON pointer.
    pub(crate) at: String,
    /// What stands there then.
    pub(crate) is: Value,
}

/// A change by a patch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patch {
    /// The object.
    #[serde(deserialize_with = "parsed")]
    pub(crate) object: Pattern,
    /// How it is merged.
    #[serde(default, rename = "type")]
    pub(crate) kind: PatchKind,
    /// The patch.
    #[serde(rename = "patch")]
    pub(crate) change: Value,
}

/// How a patch is merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PatchKind {
    /// As kubectl does: lists by their keys.
    #[default]
    Strategic,
    /// RFC 7386: lists and what is not an object are replaced.
    Merge,
    /// RFC 6902.
    Json,
}

/// Annotations that are set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Annotate {
    /// The objects.
    #[serde(deserialize_with = "parsed")]
    pub(crate) object: Pattern,
    /// How many of them, in the order of their names; left out: all.
    pub(crate) pick: Option<usize>,
    /// The annotations; null takes one away.
    pub(crate) annotations: BTreeMap<String, Option<String>>,
}

/// A number of replicas that is set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scale {
    /// The workload.
    #[serde(deserialize_with = "parsed")]
    pub(crate) object: Pattern,
    /// The number.
    pub(crate) replicas: u32,
}

/// An object that is deleted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delete {
    /// The objects.
    #[serde(deserialize_with = "parsed")]
    pub(crate) object: Pattern,
}

/// What becomes of a node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeState {
    /// One of the scenario's nodes.
    pub(crate) name: String,
    /// What becomes of it.
    pub(crate) state: Health,
}

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Health {
    /// Its kubelet says nothing any more; after its grace the control plane calls it `Unknown`.
    Silent,
    /// Its kubelet says that it is not ready.
    NotReady,
    /// It is well.
    Ready,
}

/// An Event that is written, as anybody with the right to create Events can.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    /// The objects that it is about.
    #[serde(deserialize_with = "parsed")]
    pub(crate) about: Pattern,
    /// How many of them, in the order of their names; left out: all.
    pub(crate) pick: Option<usize>,
    /// `Warning` or `Normal`.
    #[serde(default = "warning", rename = "type")]
    pub(crate) kind: String,
    /// The reason.
    pub(crate) reason: String,
    /// The note.
    pub(crate) message: String,
    /// How often it claims to have happened.
    #[serde(default = "one")]
    pub(crate) count: u32,
    /// Whom it claims to come from.
    #[serde(default = "kubelet")]
    pub(crate) reporter: String,
}

/// The right answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// The triggers whose firing counts as noticing it; empty: every trigger of the scenario's policies.
    #[serde(default)]
    pub(crate) triggers: Vec<String>,
    /// The troubles, each of which should be one case.
    pub(crate) cases: Vec<Spanned<Label>>,
}

/// The right answers about one trouble.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Label {
    /// The cause, or causes either of which is right.
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) cause: Vec<FailureMode>,
    /// The object that the cause lies with.
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) owner: Vec<Pattern>,
    /// What is done first.
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) action: Vec<Wanted>,
    /// To which object; empty: to any.
    #[serde(default, deserialize_with = "one_or_many")]
    pub(crate) target: Vec<Pattern>,
    /// Whether a person must be asked before.
    #[serde(default)]
    pub(crate) asks: bool,
    /// Within which time after the action began the target is well again; left out: it does not count.
    pub(crate) recovers: Option<Duration>,
}

/// What is wanted: a remedy, or that nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// `none`.
    Nothing,
    /// A remedy.
    Remedy(Remedy),
}

impl Wanted {
    /// As scenarios spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Remedy(remedy) => remedy.as_str(),
        }
    }
}

impl FromStr for Wanted {
    type Err = de::value::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self::Nothing);
        }
        let text: StrDeserializer<'_, de::value::Error> = text.into_deserializer();
        Remedy::deserialize(text).map(Self::Remedy)
    }
}

impl Scenario {
    /// Reads a scenario from the text of its file.
    ///
    /// # Errors
    /// Why it is none, with the line.
    pub(crate) fn read(text: &str, name: &str) -> Result<Self, Error> {
        let strict = serde_saphyr::options! { strict_booleans: true };
        let scenario: Self = serde_saphyr::from_str_with_options(text, strict)
            .map_err(|error| Error::Form(Box::new(error)))?;
        sense::check(&scenario, name)?;
        Ok(scenario)
    }

    /// The objects that its steps create, with the step's line.
    pub(crate) fn applied(&self) -> impl Iterator<Item = &Value> {
        let steps = self
            .inject
            .iter()
            .filter_map(|step| step.value.apply.as_ref());
        steps.flatten()
    }
}

/// Why a file is no scenario.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It has not the form of one.
    #[error("{0}")]
    Form(Box<serde_saphyr::Error>),
    /// It has the form, and makes no sense.
    #[error(transparent)]
    Sense(#[from] Senseless),
}

fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

/// Reads one text or a list of texts.
fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    struct Texts<T>(PhantomData<T>);

    impl<'de, T: FromStr<Err: fmt::Display>> Visitor<'de> for Texts<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a list of texts")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let one = text.parse().map_err(E::custom)?;
            Ok(vec![one])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(text) = texts.next_element::<String>()? {
                all.push(text.parse().map_err(de::Error::custom)?);
            }
            Ok(all)
        }
    }

    deserializer.deserialize_any(Texts(PhantomData))
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

const fn one() -> u32 {
    1
}

fn warning() -> String {
    "Warning".to_owned()
}

fn kubelet() -> String {
    "kubelet".to_owned()
}

#[cfg(test)]
mod tests;
